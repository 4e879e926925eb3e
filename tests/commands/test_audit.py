import json

import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.audit import read_audit, read_inputs
from distilro.corpora.examples import write_examples
from tests.corpora.handmade import make_examples, number_texts


@pytest.fixture
def prepared(tmp_path):
    """Two prepared datasets; one training row of `news` is a copy of a test row of `stiri`."""
    folder = tmp_path / "prepared"
    parts = [
        number_texts(6, "stiri"),
        make_examples([("Un text de probă", "sports")], "stiri", "test"),
        make_examples(
            [("un text de proba", "culture"), ("another text", "sports")], "news", lang="en"
        ),
    ]
    for part in parts:
        write_examples(folder / part.dataset[0] / f"{part.split[0]}.parquet", part)
    return folder


def run_audit(prepared, out, names=("stiri", "news"), settings='{"jaccard": 0.6}'):
    folders = [str(prepared / name) for name in names]
    outputs = ["--out", str(out / "audit.parquet"), "--summary", str(out / "audit.json")]
    return main(["audit", "--settings", settings, "--prepared", *folders, *outputs])


def test_the_audit_writes_pairs_and_their_summary(prepared, tmp_path):
    assert run_audit(prepared, tmp_path) == 0
    pairs = read_audit(tmp_path / "audit.parquet")
    assert pairs.column("other_dataset").to_pylist() == ["stiri"]
    assert sorted(read_inputs(pairs)) == ["news/train", "stiri/test", "stiri/train"]
    summary = read_json(tmp_path / "audit.json")
    assert summary["rows"] == {"news/train": 2, "stiri/test": 1, "stiri/train": 6}
    assert summary["dropped"]["news"] == {"training_rows": 2, "dropped_rows": 1}
    assert summary["dropped"]["stiri"] == {"training_rows": 6, "dropped_rows": 0}
    (counts,) = summary["pairs"]
    assert counts["exact_rows"] == 1
    assert counts["conflicting_pairs"] == 1


def test_the_order_of_the_datasets_does_not_change_a_byte(prepared, tmp_path):
    run_audit(prepared, tmp_path / "one")
    run_audit(prepared, tmp_path / "other", ("news", "stiri", "news"))
    for name in ("audit.parquet", "audit.json"):
        one, other = (tmp_path / folder / name for folder in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


def test_a_folder_without_splits_is_an_error_and_writes_nothing(prepared, tmp_path, caplog):
    (prepared / "empty").mkdir()
    assert run_audit(prepared, tmp_path, ("stiri", "empty")) == 4
    assert "empty holds no split" in caplog.text
    assert not (tmp_path / "audit.parquet").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"jacard": 0.6}, "did you mean jaccard"), ({"jaccard": 2}, "jaccard"), ({}, "jaccard")],
)
def test_wrong_settings_are_refused(prepared, tmp_path, caplog, settings, said):
    assert run_audit(prepared, tmp_path, settings=json.dumps(settings)) == 2
    assert said in caplog.text
