"""The commands fetch and prepare on the project's own samples, as the workflow calls them."""

import shutil
from pathlib import Path

import pytest

from distilro.artifacts import hash_file, read_json
from distilro.cli import main
from distilro.corpora.examples import read_examples

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = [f"sample_{task}_{lang}" for task in ("emotion", "sentiment", "topic") for lang in
           ("ro", "en")]  # fmt: skip


def fetch(registry: Path, name: str, raw: Path) -> int:
    out = str(raw / name / "manifest.json")
    return main(["fetch", "--dataset", name, "--registry", str(registry), "--out", out])


def prepare(registry: Path, name: str, folder: Path, *more: str) -> int:
    manifest = str(folder / "raw" / name / "manifest.json")
    out = str(folder / "prepared" / name)
    arguments = ["--dataset", name, "--registry", str(registry), "--manifest", manifest]
    return main(["prepare", *arguments, "--out", out, *more])


@pytest.fixture
def registry(tmp_path) -> Path:
    shutil.copytree(ROOT / "data" / "registry", tmp_path / "data" / "registry")
    shutil.copytree(ROOT / "data" / "embedded", tmp_path / "data" / "embedded")
    return tmp_path / "data" / "registry"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_fetched_and_prepared_into_three_splits(tmp_path, name):
    assert fetch(ROOT / "data" / "registry", name, tmp_path / "raw") == 0
    assert prepare(ROOT / "data" / "registry", name, tmp_path) == 0
    folder = tmp_path / "prepared" / name
    files = ["summary.json", "test.parquet", "train.parquet", "valid.parquet"]
    assert sorted(path.name for path in folder.iterdir()) == files
    summary = read_json(folder / "summary.json")
    for split in ("train", "valid", "test"):
        examples = read_examples(folder / f"{split}.parquet")
        assert len(examples) == summary["splits"][split]["rows"]
        labels = summary["splits"][split]["labels"]
        assert all(
            count > 0 or summary["splits"][split]["unobserved"][label]
            for label, count in labels.items()
        ), "every label that can be seen is seen in every split"
        if name.endswith("_ro"):
            assert summary["splits"][split]["texts"]["with_cedilla_letters"] == 0


def test_two_runs_give_the_same_bytes(tmp_path):
    sums = []
    for run in ("one", "two"):
        fetch(ROOT / "data" / "registry", "sample_topic_ro", tmp_path / run / "raw")
        prepare(ROOT / "data" / "registry", "sample_topic_ro", tmp_path / run)
        paths = sorted((tmp_path / run).rglob("*.*"))
        sums.append([hash_file(path) for path in paths if path.is_file()])
    assert sums[0] == sums[1]


def test_prepare_refuses_raw_files_that_changed_after_they_were_fetched(tmp_path, caplog):
    fetch(ROOT / "data" / "registry", "sample_topic_ro", tmp_path / "raw")
    with (tmp_path / "raw" / "sample_topic_ro" / "samples.tsv").open("ab") as file:
        file.write(b"tech\tUn rand in plus.\n")
    assert prepare(ROOT / "data" / "registry", "sample_topic_ro", tmp_path) == 3
    assert "Run `distilro fetch` again" in caplog.text
    assert not (tmp_path / "prepared").exists()


def test_an_edited_sample_is_refused_until_its_sums_are_corrected(tmp_path, registry, caplog):
    path = registry.parent / "embedded" / "topic_ro.tsv"
    path.write_text(path.read_text(encoding="utf-8") + "tech\tUn rând.\n", encoding="utf-8")
    assert fetch(registry, "sample_topic_ro", tmp_path / "raw") == 3
    assert "correct its sums" in caplog.text
    assert not (tmp_path / "raw" / "sample_topic_ro" / "manifest.json").exists()


def test_prepare_says_what_to_run_where_nothing_was_fetched(tmp_path, caplog):
    assert prepare(ROOT / "data" / "registry", "sample_topic_ro", tmp_path) == 3
    assert "is missing" in caplog.text


def test_an_unknown_label_map_is_a_settings_error(tmp_path, caplog):
    fetch(ROOT / "data" / "registry", "sample_topic_ro", tmp_path / "raw")
    code = prepare(ROOT / "data" / "registry", "sample_topic_ro", tmp_path, "--label-map", "x")
    assert code == 2
    assert "no label map 'x'" in caplog.text


def test_an_unknown_dataset_is_a_settings_error(tmp_path, caplog):
    assert fetch(ROOT / "data" / "registry", "redv3", tmp_path / "raw") == 2
    assert "Did you mean 'redv2'" in caplog.text
