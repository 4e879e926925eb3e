from dataclasses import asdict, replace

import numpy as np
import pytest

from distilro.artifacts import write_json
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


def add_teacher(results, identity, logits, examples):
    folder = results / "models" / identity.recipe / identity.scope / f"seed{identity.seed}"
    write_json(folder / "card.json", {**asdict(identity), "other": "entries do not matter"})
    path = name_logits(results, identity, STEM)
    write_logits(path, examples=examples, logits=logits, teacher=identity)
    return folder


@pytest.fixture
def examples():
    return make_examples(["unu", "doi"])


def test_a_teacher_is_known_by_its_card(tmp_path, examples):
    folder = add_teacher(tmp_path, TEACHER, np.zeros((2, 3), np.float32), examples)
    assert identify_teacher(folder) == TEACHER


def test_one_teacher_says_its_probabilities(tmp_path, examples):
    logits = np.array([[0, 1, 2], [3, 0, 0]], np.float32)
    folder = add_teacher(tmp_path, TEACHER, logits, examples)
    said = read_teacher_probabilities(tmp_path, [folder], examples=examples, stem=STEM)
    assert np.allclose(said, compute_probabilities("multi_class", logits))
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
