"""Hub datasets, on a local folder of Parquet files that stands for one: nothing is downloaded."""

import pytest

from distilro.artifacts import read_json
from distilro.corpora.hub import export_hub_dataset
from distilro.corpora.registry import HubSource
from distilro.errors import DataError

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    folder.mkdir()
    labels = datasets.ClassLabel(names=["sadness", "joy"])
    one = datasets.Features({"text": datasets.Value("string"), "label": labels})
    many = datasets.Features({"text": datasets.Value("string"), "label": datasets.List(labels)})
    for split, numbers in (("train", [1, 0]), ("validation", [0, 0])):
        rows = {"text": ["unu ș", "doi"], "label": numbers}
        table = datasets.Dataset.from_dict(rows, features=one)
        table.to_parquet(folder / f"{split}-00000.parquet")
    (tmp_path / "many").mkdir()
    rows = {"text": ["amândouă"], "label": [[0, 1]]}
    table = datasets.Dataset.from_dict(rows, features=many)
    table.to_parquet(tmp_path / "many" / "train-00000.parquet")
    return folder


def declare(dataset: object, /, **changes: object) -> HubSource:
    values = {
        "kind": "hub",
        "dataset": str(dataset),
        "revision": REVISION,
        "splits": {"train": "train", "valid": "validation"},
    }
    return HubSource.model_validate({**values, **changes})


def test_splits_are_exported_with_the_labels_names(hub, tmp_path):
    assert export_hub_dataset(declare(hub), tmp_path / "raw") == ["train.json", "valid.json"]
    assert read_json(tmp_path / "raw" / "train.json") == [
        {"text": "unu ș", "labels": ["joy"]},
        {"text": "doi", "labels": ["sadness"]},
    ]


def test_a_row_may_have_several_labels(hub, tmp_path):
    source = declare(hub.parent / "many", splits={"train": "train"})
    export_hub_dataset(source, tmp_path / "raw")
    rows = read_json(tmp_path / "raw" / "train.json")
    assert rows == [{"text": "amândouă", "labels": ["sadness", "joy"]}]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"splits": {"test": "test"}}, "no split 'test'"),
        ({"text_column": "sentence"}, "no column 'sentence'"),
        ({"dataset": "/no/such/folder"}, "could not be loaded"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_it(hub, tmp_path, changes, complaint):
    with pytest.raises(DataError, match=complaint):
        export_hub_dataset(declare(hub, **changes), tmp_path / "raw")
    assert not (tmp_path / "raw" / "test.json").exists()
