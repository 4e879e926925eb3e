import pytest

from distilro.corpora.choices import check_choice, list_local_files
from distilro.errors import SettingsError
from distilro.settings import TaskDatasets
from tests.support import ROOT, SCENARIOS, build_settings

REGISTRY = ROOT / "data/registry"


def choose(ro, en, ood=None):
    return TaskDatasets(ro=ro, en=en, ood=ood)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_datasets_of_every_scenario_fit_their_tasks(scenario):
    check_choice(build_settings(scenario).data.tasks, REGISTRY)


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match=r"data\.tasks\.mood: .*emotion, sentiment, topic"):
        check_choice({"mood": choose("redv2", "carer")}, REGISTRY)


@pytest.mark.parametrize(
    ("task", "datasets", "where"),
    [
        ("emotion", choose("laroseda", "carer"), "emotion.ro"),
        ("emotion", choose("redv2", "sst2"), "emotion.en"),
        ("sentiment", choose("sst2", "laroseda"), "sentiment.ro"),
        ("emotion", choose("redv2", "carer", "laroseda"), "emotion.ood"),
        ("emotion", choose("redv2", "carer", "goemotions"), "emotion.ood"),
    ],
)
def test_a_dataset_of_another_task_or_language_is_refused(task, datasets, where):
    with pytest.raises(SettingsError, match=rf"data\.tasks\.{where}: expected a dataset of {task}"):
        check_choice({task: datasets}, REGISTRY)


def test_a_test_set_alone_cannot_be_trained_on():
    with pytest.raises(SettingsError, match=r"emotion\.ro: xed_ro has no split train, valid; "):
        check_choice({"emotion": choose("xed_ro", "carer")}, REGISTRY)


def test_another_domain_needs_a_test_split_alone():
    check_choice({"emotion": choose("redv2", "carer", "xed_ro")}, REGISTRY)


def test_the_embedded_corpus_is_read_from_files_of_the_repository():
    files = list_local_files(REGISTRY, "sample_topic_ro")
    assert [file.removeprefix(f"{ROOT}/") for file in files] == ["data/embedded/topic_ro.tsv"]
    assert list_local_files(REGISTRY, "redv2") == []
