import json

import pytest

from distilro.artifacts import hash_file, read_json
from distilro.cli import main
from distilro.corpora.examples import concatenate, read_examples, write_examples
from tests.corpora.handmade import make_examples, number_texts

SETTINGS = {
    "stage": {"ro": 1.0, "en": 0.5},
    "datasets": {"ro": "stiri", "en": "news"},
    "caps": {"news": 20},
    "salt": "13",
}


@pytest.fixture
def prepared(tmp_path):
    """Two audited datasets; the last Romanian training row has a near copy in the test."""
    folder = tmp_path / "prepared"
    leak = make_examples([("o finală de neuitat ieri", "sports")], "stiri")
    parts = [
        concatenate([number_texts(9, "stiri"), leak]),
        make_examples([("O finală de neuitat!", "sports")], "stiri", "test"),
        number_texts(40, "news", lang="en"),
    ]
    for part in parts:
        write_examples(folder / part.dataset[0] / f"{part.split[0]}.parquet", part)
    run_audit(tmp_path)
    return folder


def run_audit(tmp_path):
    outputs = ["--out", str(tmp_path / "audit.parquet"), "--summary", str(tmp_path / "audit.json")]
    folders = [str(tmp_path / "prepared" / name) for name in ("stiri", "news")]
    assert main(["audit", "--settings", '{"jaccard":0.6}', "--prepared", *folders, *outputs]) == 0


def run_mix(tmp_path, name="mixture", **changes):
    settings = json.dumps(SETTINGS | changes)
    inputs = ["--prepared", str(tmp_path / "prepared"), "--audit", str(tmp_path / "audit.parquet")]
    outputs = ["--out", str(tmp_path / f"{name}.parquet")]
    outputs += ["--manifest", str(tmp_path / f"{name}.json")]
    return main(["mix", "--settings", settings, *inputs, *outputs])


def test_a_mixture_and_its_manifest_are_written(prepared, tmp_path):
    assert run_mix(tmp_path) == 0
    examples = read_examples(tmp_path / "mixture.parquet")
    manifest = read_json(tmp_path / "mixture.json")
    leaked = read_examples(prepared / "stiri" / "train.parquet").id[-1]
    assert leaked not in examples.id
    assert len(examples) == manifest["rows"] == 9 + 10
    assert manifest["datasets"]["stiri"]["dropped"] == {leaked: ["near copy of stiri/test"]}
    assert manifest["datasets"]["news"]["over_cap_rows"] == 20
    assert manifest["datasets"]["news"]["over_share_rows"] == 10
    assert manifest["settings"] == {**SETTINGS, "draw": 0}
    assert manifest["inputs"] == {
        "audit": hash_file(tmp_path / "audit.parquet"),
        "news/train": hash_file(prepared / "news" / "train.parquet"),
        "stiri/train": hash_file(prepared / "stiri" / "train.parquet"),
    }


def test_another_draw_is_written_with_other_rows_for_its_shares(prepared, tmp_path):
    assert run_mix(tmp_path, "first") == run_mix(tmp_path, "second", draw=1) == 0
    drawn = [read_examples(tmp_path / f"{name}.parquet") for name in ("first", "second")]
    assert len(drawn[0]) == len(drawn[1]) and set(drawn[0].id) != set(drawn[1].id)
    assert read_json(tmp_path / "second.json")["settings"]["draw"] == 1


def test_the_same_settings_give_the_same_bytes(prepared, tmp_path):
    run_mix(tmp_path, "one")
    run_mix(tmp_path, "other")
    for suffix in (".parquet", ".json"):
        one, other = (tmp_path / f"{name}{suffix}" for name in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


def test_rows_that_were_not_audited_are_refused(prepared, tmp_path, caplog):
    write_examples(prepared / "stiri" / "train.parquet", number_texts(5, "stiri"))
    assert run_mix(tmp_path) == 3
    assert "were not audited" in caplog.text
    assert not (tmp_path / "mixture.parquet").exists()


def test_a_dataset_that_was_not_audited_is_refused(prepared, tmp_path, caplog):
    write_examples(prepared / "late" / "train.parquet", number_texts(5, "late"))
    assert run_mix(tmp_path, stage={"ro": 1.0}, datasets={"ro": "late"}) == 3
    assert "late" in caplog.text


def test_a_stage_without_a_dataset_is_refused(prepared, tmp_path, caplog):
    assert run_mix(tmp_path, datasets={"ro": "stiri"}) == 2
    assert "['en']" in caplog.text


@pytest.mark.parametrize("stage", [{}, {"ro": 0.0}, {"ro": 1.5}, {"ro": "all"}])
def test_a_share_outside_its_range_is_refused(prepared, tmp_path, stage):
    assert run_mix(tmp_path, stage=stage) == 2
