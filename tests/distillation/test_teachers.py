from dataclasses import asdict, replace

import numpy as np
import pytest

from distilro.artifacts import read_json, write_json
from distilro.distillation.ensembles import combine_answers
from distilro.distillation.folds import describe_fold_set
from distilro.distillation.logits import write_logits
from distilro.distillation.teachers import (
    identify_teacher,
    name_logits,
    read_teacher_probabilities,
)
from distilro.errors import IntegrityError
from distilro.modeling.probabilities import compute_probabilities
from tests.distillation.test_logits import TEACHER, make_examples

STEM = "topic-ro1"


def add_teacher(results, identity, logits, examples, **entries):
    folder = results / "models" / identity.recipe / identity.scope / f"seed{identity.seed}"
    card = {**asdict(identity), "other": "entries do not matter", **entries}
    write_json(folder / "card.json", card)
    path = name_logits(results, identity, STEM)
    write_logits(path, examples=examples, logits=logits, teacher=identity)
    return folder


@pytest.fixture
def examples():
    return make_examples(["unu", "doi"])


def test_a_teacher_is_known_by_its_card(tmp_path, examples):
    folder = add_teacher(tmp_path, TEACHER, np.zeros((2, 3), np.float32), examples)
    assert identify_teacher(folder) == TEACHER


def test_a_card_without_folds_is_one_model(tmp_path):
    card = {name: value for name, value in asdict(TEACHER).items() if name != "folds"}
    write_json(tmp_path / "card.json", card)
    assert identify_teacher(tmp_path).folds is None


def test_out_of_fold_logits_lie_beside_the_seeds_own(tmp_path):
    folder = tmp_path / "logits" / "single_mixed" / "topic"
    assert name_logits(tmp_path, TEACHER, STEM) == folder / "seed0" / f"{STEM}.safetensors"
    folds = replace(TEACHER, folds=5)
    assert name_logits(tmp_path, folds, STEM) == folder / "seed0-folds" / f"{STEM}.safetensors"


def test_a_set_of_fold_models_answers_by_its_card(tmp_path, examples):
    logits = np.array([[0, 1, 2], [3, 0, 0]], np.float32)
    parts = [
        {**asdict(replace(TEACHER, weights=letter * 64)), "valid": {"topic": 0.5}}
        for letter in "abc"
    ]
    card = describe_fold_set(parts)
    folder = tmp_path / "models" / "single_mixed" / "topic" / "seed0-folds"
    write_json(folder / "card.json", card)
    teacher = identify_teacher(folder)
    assert (teacher.folds, teacher.weights) == (3, card["weights"])
    write_logits(
        name_logits(tmp_path, teacher, STEM), examples=examples, logits=logits, teacher=teacher
    )
    said = read_teacher_probabilities(tmp_path, [folder], examples=examples, stem=STEM)
    assert np.array_equal(said, compute_probabilities("multi_class", logits))
    card = describe_fold_set([*parts[:2], {**parts[2], "weights": "z" * 64}])
    write_json(folder / "card.json", card)
    with pytest.raises(IntegrityError, match=r"teacher\.weights"):
        read_teacher_probabilities(tmp_path, [folder], examples=examples, stem=STEM)


def test_one_teacher_says_its_probabilities(tmp_path, examples):
    logits = np.array([[0, 1, 2], [3, 0, 0]], np.float32)
    folder = add_teacher(tmp_path, TEACHER, logits, examples)
    said = read_teacher_probabilities(tmp_path, [folder], examples=examples, stem=STEM)
    assert np.array_equal(said, compute_probabilities("multi_class", logits))
    assert said.dtype == np.float32


def test_several_teachers_say_the_mean_of_their_probabilities(tmp_path, examples):
    sure, unsure = np.array([[9, 0, 0]] * 2, np.float32), np.zeros((2, 3), np.float32)
    folders = [
        add_teacher(tmp_path, replace(TEACHER, recipe=recipe), logits, examples)
        for recipe, logits in (("first", sure), ("second", unsure))
    ]
    said = read_teacher_probabilities(tmp_path, folders, examples=examples, stem=STEM)
    assert said[0, 0] == pytest.approx((1 + 1 / 3) / 2, abs=1e-3)
    assert np.allclose(said.sum(axis=1), 1)


def test_a_teacher_that_was_trained_again_needs_new_logits(tmp_path, examples):
    folder = add_teacher(tmp_path, TEACHER, np.zeros((2, 3), np.float32), examples)
    write_json(folder / "card.json", {**asdict(TEACHER), "weights": "n" * 64})
    with pytest.raises(IntegrityError, match=r"teacher\.weights"):
        read_teacher_probabilities(tmp_path, [folder], examples=examples, stem=STEM)


@pytest.fixture
def two_teachers(tmp_path, examples):
    """Two teachers, of which the validation scores are 0.9 and 0.3 on this task."""
    answers = np.array([[4, 0, 0]] * 2, np.float32), np.array([[0, 2, 0]] * 2, np.float32)
    folders = [
        add_teacher(
            tmp_path,
            replace(TEACHER, recipe=f"teacher{number}"),
            logits,
            examples,
            valid={"topic": score, "emotion": 0.0},
        )
        for number, (logits, score) in enumerate(zip(answers, (0.9, 0.3), strict=True))
    ]
    return tmp_path, folders, answers


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize(
    ("how", "weights"),
    [("mean_probability", None), ("mean_logit", None), ("validation", [0.9, 0.3])],
)
def test_teachers_are_combined_as_they_are_asked_to_be(
    two_teachers, examples, how, weights, temperature
):
    results, folders, answers = two_teachers
    said = read_teacher_probabilities(
        results, folders, examples=examples, stem=STEM, how=how, temperature=temperature
    )
    expected = combine_answers(
        "multi_class", answers, how=how, temperature=temperature, weights=weights
    )
    assert np.array_equal(said, expected)


def test_a_card_without_validation_scores_is_missed_only_where_they_count(two_teachers, examples):
    results, folders, _ = two_teachers
    card = read_json(folders[1] / "card.json")
    write_json(folders[1] / "card.json", {**card, "valid": {"emotion": 0.5}})
    read_teacher_probabilities(results, folders, examples=examples, stem=STEM, how="mean_logit")
    with pytest.raises(IntegrityError, match=r"teacher1.*task topic.*train the teacher again"):
        read_teacher_probabilities(results, folders, examples=examples, stem=STEM, how="validation")
