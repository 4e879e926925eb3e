"""The registry: what stands in it is pinned and whole, and what does not belong is refused."""

import re
from pathlib import Path

import pytest
import yaml

from distilro.artifacts import hash_file
from distilro.corpora.labels import LabelMap
from distilro.corpora.readers import READERS
from distilro.corpora.registry import (
    FilesSource,
    HubSource,
    RepositorySource,
    list_datasets,
    load_dataset,
    load_tasks,
)
from distilro.errors import SettingsError

REGISTRY = Path(__file__).resolve().parents[2] / "data" / "registry"
CORE = ["redv2", "carer", "laroseda", "sst2", "moroco_vardial2019", "ag_news"]
OTHER_DOMAIN = ["xed_ro"]  # test sets alone: never trained on
SAMPLES = [f"sample_{task}_{lang}" for task in ("emotion", "sentiment", "topic") for lang in
           ("ro", "en")]  # fmt: skip


@pytest.fixture
def entry() -> dict:
    """Give a registry entry that is right, to spoil."""
    return yaml.safe_load((REGISTRY / "redv2.yaml").read_text(encoding="utf-8"))


def load(folder: Path, entry: dict):
    (folder / "redv2.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    return load_dataset(folder, "redv2")


def test_the_registry_holds_the_real_corpora_and_the_samples():
    others = ["moroco", "ag_news_30k", "goemotions"]
    assert list_datasets(REGISTRY) == sorted([*CORE, *others, *OTHER_DOMAIN, *SAMPLES])


def test_the_tasks_have_the_label_spaces_of_the_romanian_datasets():
    tasks = load_tasks(REGISTRY)
    assert {name: (task.kind, task.labels) for name, task in tasks.items()} == {
        "emotion": (
            "multi_label",
            ("sadness", "surprise", "fear", "anger", "neutral", "trust", "joy"),
        ),
        "sentiment": ("multi_class", ("negative", "positive")),
        "topic": ("multi_class", ("culture", "finance", "politics", "science", "sports", "tech")),
    }


@pytest.mark.parametrize("name", list_datasets(REGISTRY))
def test_every_entry_can_be_read_mapped_and_cited(name):
    dataset = load_dataset(REGISTRY, name)
    task = load_tasks(REGISTRY)[dataset.task]
    assert dataset.reader in READERS
    trained_on = {"train", "valid"} if name not in OTHER_DOMAIN else set()
    assert set(dataset.splits) == {"test", *trained_on}
    assert dataset.licence and dataset.citation
    for label_map in ("default", *dataset.alternative_label_maps):
        meanings = dataset.choose_label_map(label_map)
        LabelMap(task, meanings, tuple(dataset.never_observed), name)


@pytest.mark.parametrize("name", list_datasets(REGISTRY))
def test_every_source_is_pinned(name):
    for source in load_dataset(REGISTRY, name).sources:
        match source:
            case FilesSource():
                for file in source.files:
                    assert all(re.search(r"/[0-9a-f]{40}/", url) for url in file.urls), file.name
                    assert file.sha256 or name == "moroco", "only MOROCO's main set has no sums"
            case RepositorySource():
                for file in source.files:
                    path = REGISTRY / file.path
                    assert path.stat().st_size == file.bytes
                    assert hash_file(path) == file.sha256
            case HubSource():
                assert re.fullmatch(r"[0-9a-f]{40}", source.revision)


@pytest.mark.parametrize("language", ["ro", "en"])
def test_the_samples_say_that_they_are_a_demonstration(language):
    for task in ("emotion", "sentiment", "topic"):
        sample = load_dataset(REGISTRY, f"sample_{task}_{language}")
        assert sample.demonstration
        assert (sample.task, sample.language) == (task, language)


def test_the_english_samples_are_mapped_like_the_corpora_they_stand_for():
    for sample, real in (("sample_emotion_en", "carer"), ("sample_topic_en", "ag_news")):
        one, other = load_dataset(REGISTRY, sample), load_dataset(REGISTRY, real)
        assert one.label_map == other.label_map
        assert one.never_observed == other.never_observed


def test_an_unknown_key_names_the_nearest_one(tmp_path, entry):
    with pytest.raises(SettingsError, match=r"redv2\.yaml: licnce.*did you mean 'licence'"):
        load(tmp_path, {**entry, "licnce": "MIT"})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": "ABC"}, "sha256"),
        ({"sha256": None}, "unverified"),
        ({"unverified": True}, "never both"),
        ({"name": "../train.json"}, "name"),
        ({"name": "/train.json"}, "name"),
        ({"urls": ["file:///etc/passwd"]}, "urls"),
        ({"urls": []}, "urls"),
        ({"bytes": "4317599"}, "bytes"),
    ],
)
def test_a_file_that_is_not_pinned_or_leads_elsewhere_is_refused(
    tmp_path, entry, change, complaint
):
    entry["sources"][0]["files"][0].update(change)
    with pytest.raises(SettingsError, match=complaint):
        load(tmp_path, entry)


@pytest.mark.parametrize("revision", ["main", "v1.0", "abc123", "A" * 40])
def test_a_hub_revision_that_could_move_is_refused(tmp_path, entry, revision):
    splits = {"train": "train"}
    source = {"kind": "hub", "dataset": "a/b", "revision": revision, "splits": splits}
    with pytest.raises(SettingsError, match="revision"):
        load(tmp_path, {**entry, "sources": [source]})


def test_another_name_than_the_files_is_refused(tmp_path, entry):
    with pytest.raises(SettingsError, match="expected 'redv2', got 'red'"):
        load(tmp_path, {**entry, "name": "red"})


@pytest.mark.parametrize("name", ["redv3", "../registry/redv2", ""])
def test_an_unknown_dataset_names_the_known_ones_and_the_nearest(name):
    with pytest.raises(SettingsError, match=r"known: ag_news, .*Did you mean"):
        load_dataset(REGISTRY, name)


def test_an_unknown_label_map_names_the_known_ones():
    with pytest.raises(SettingsError, match=r"\['default', 'love_unknown'\]"):
        load_dataset(REGISTRY, "carer").choose_label_map("lov")


def test_an_alternative_label_map_says_only_what_differs():
    dataset = load_dataset(REGISTRY, "carer")
    other = dataset.choose_label_map("love_unknown")
    assert other["love"].labels == []
    assert {**other, "love": None} == {**dataset.label_map, "love": None}


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "!!python/object/apply:os.getcwd []"])
def test_yaml_that_is_broken_or_more_than_data_is_refused(tmp_path, text):
    (tmp_path / "redv2.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"redv2\.yaml"):
        load_dataset(tmp_path, "redv2")


def test_a_task_with_a_label_that_stands_twice_is_refused(tmp_path):
    text = "topic: {kind: multi_class, labels: [a, a]}"
    (tmp_path / "tasks.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="twice"):
        load_tasks(tmp_path)
