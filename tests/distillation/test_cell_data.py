"""What a cell reads: its mixtures, its teachers' answers, and what is held out of both."""

import numpy as np
import pytest

from distilro.artifacts import hash_file
from distilro.corpora.examples import read_examples
from distilro.distillation.cell_data import CellData, Reader, TeacherFolders
from distilro.distillation.cell_settings import CellSettings
from distilro.settings import check_section
from tests.distillation.tiny_study import TinyStudy, teach
from tests.modeling.tiny import build_tokenizer

EN_TO_RO = {"stages": [{"en": 1.0}], "adversary": {"batch_examples": 4}}
SCOPES = {"first": {"topic": "topic"}, "linear": {"topic": "topic"}}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = TinyStudy(tmp_path_factory.mktemp("data"))
    study.train("first", {"stages": [{"ro": 1.0}]})
    study.ask("first", "ro1")
    return study


def make_data(study, recipe, tasks=("sentiment",), **settings):
    told = check_section(CellSettings, study.describe(recipe, tasks, **settings))
    reader = Reader(build_tokenizer(), 24, study.results / "tokens")
    return CellData(reader, told, study.results)


def find(tmp_path, seed, **fields):
    folders = TeacherFolders(tmp_path, SCOPES, {"first": (0, 1), "linear": (0,)}, **fields)
    return [str(folder.relative_to(tmp_path)) for folder in folders.find("topic", seed)]


def test_a_teacher_is_the_model_of_the_same_seed_or_its_only_one(tmp_path):
    assert find(tmp_path, 1) == ["first/topic/seed1", "linear/topic/seed0"]


def test_all_seeds_of_a_teacher_answer_where_that_is_asked(tmp_path):
    found = find(tmp_path, 1, every_seed=True)
    assert found == ["first/topic/seed0", "first/topic/seed1", "linear/topic/seed0"]


def test_a_set_of_folds_lies_beside_the_model_of_its_seed(tmp_path):
    found = find(tmp_path, 0, out_of_fold=True)
    assert found == ["first/topic/seed0-folds", "linear/topic/seed0-folds"]


def test_every_file_that_a_model_reads_is_named_with_its_hash(study):
    """Those that an adversary is shown among them, though nobody learns their labels."""
    mixtures = study.results / "mixtures"
    data = make_data(study, EN_TO_RO, ("sentiment", "emotion"))
    assert data.list_hashes() == {
        f"{task}/{stage}": hash_file(mixtures / task / f"{stage}.parquet")
        for task in ("sentiment", "emotion")
        for stage in ("en1", "ro1")
    }


def test_an_adversary_is_shown_the_texts_of_every_task(study):
    data = make_data(study, EN_TO_RO, ("sentiment", "emotion"))
    parts = [data.mixtures[task, "ro1"].tokens for task in ("sentiment", "emotion")]
    expected = np.concatenate([part.ids for part in parts])
    assert data.gather_targets().ids.tolist() == expected.tolist()
    assert make_data(study, {"stages": [{"ro": 1.0}]}).gather_targets() is None


def test_what_is_held_out_is_neither_learned_nor_shown(study):
    data = make_data(study, EN_TO_RO)
    hold_out = {key: np.arange(len(part.examples)) % 2 == 0 for key, part in data.mixtures.items()}
    (part,) = data.gather(0, 0, hold_out)
    assert part.ids == data.mixtures["sentiment", "en1"].examples.id[1::2]
    tokens = data.mixtures["sentiment", "ro1"].tokens
    kept = tokens.select(np.arange(1, len(tokens.lengths), 2))
    assert data.gather_targets(hold_out).ids.tolist() == kept.ids.tolist()


def test_teachers_votes_and_languages_come_where_the_recipe_asks_for_them(study):
    recipe, settings = teach("first")
    (taught,) = make_data(study, recipe, **settings).gather(0, 0)
    np.testing.assert_allclose(taught.teacher.sum(axis=1), 1.0, atol=1e-6)
    assert taught.votes is None and taught.source is None
    (voted,) = make_data(study, {"stages": [{"ro": 1.0}], "votes": 0.5}).gather(0, 0)
    examples = read_examples(study.results / "mixtures" / "sentiment" / "ro1.parquet")
    np.testing.assert_array_equal(voted.votes, examples.votes)
    both = {**EN_TO_RO, "stages": [{"ro": 1.0, "en": 1.0}]}
    (mixed,) = make_data(study, both).gather(0, 0)
    langs = read_examples(study.results / "mixtures" / "sentiment" / "ro1-en1.parquet").lang
    assert mixed.source.tolist() == [lang == "en" for lang in langs]


def test_the_last_of_several_stages_holds_its_own_rows_alone(study):
    recipe = {"stages": [{"ro": 1.0, "en": 1.0}, {"ro": 1.0}]}
    data = make_data(study, recipe)
    (last,) = data.gather(1, 0)
    english = set(data.mixtures["sentiment", "ro1-en1"].examples.id) - set(last.ids)
    langs = data.mixtures["sentiment", "ro1"].examples.lang
    assert set(langs) == {"ro"} and len(langs) == len(last.ids) and english


def test_a_task_without_one_of_its_datasets_reads_a_mixture_of_the_other(study):
    recipe = {"stages": [{"ro": 1.0, "en": 1.0}], "without": {"emotion": "en"}}
    data = make_data(study, recipe, ("sentiment", "emotion"))
    assert list(data.mixtures) == [("sentiment", "ro1-en1"), ("emotion", "ro1")]
    sentiment, emotion = data.gather(0, 0)
    assert sentiment.ids == data.mixtures["sentiment", "ro1-en1"].examples.id
    assert emotion.ids == data.mixtures["emotion", "ro1"].examples.id
