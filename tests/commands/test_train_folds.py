"""The command `train-folds`: no row is answered by a model that learned its text."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.examples import read_examples, write_examples
from distilro.distillation.folds import assign_folds
from distilro.distillation.logits import read_logits
from distilro.distillation.teachers import identify_teacher, name_logits
from distilro.errors import IntegrityError
from distilro.training.checkpoints import Checkpoints
from tests.distillation.tiny_study import TinyStudy, is_same, teach

RO, BOTH = [{"ro": 1.0}], [{"ro": 1.0, "en": 1.0}]
EN_CRITIC = {"stages": [{"en": 1.0}], "adversary": {"steps": 1, "batch_examples": 4, "weight": 1.0}}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    before = torch.get_num_threads()
    study = TinyStudy(tmp_path_factory.mktemp("folds"))
    assert study.train_folds("teacher", {"stages": RO}, ["ro1", "ro1-en1"], seeds=[0, 1]) == 0
    yield study
    torch.set_num_threads(before)


def read_mixture(study, name):
    return read_examples(study.results / "mixtures" / "sentiment" / f"{name}.parquet")


def read_answers(study, teacher, examples, seed=0):
    identity = identify_teacher(find_set(study, teacher, seed))
    path = name_logits(study.results, identity, "sentiment")
    return read_logits(path, examples=examples, teacher=identity)


def find_set(study, teacher, seed=0):
    return study.results / "models" / teacher / "sentiment" / f"seed{seed}-folds"


def train_without(folder, fold, recipe, mixtures):
    """Return a study whose model was trained by `train` on mixtures without a fold's rows."""
    other = TinyStudy(folder)
    asked = read_mixture(other, "ro1-en1")
    for name in mixtures:
        examples = read_mixture(other, name)
        kept = np.flatnonzero(assign_folds(examples.text_hash, 2, "13") != fold)
        path = other.results / "mixtures" / "sentiment" / f"{name}.parquet"
        write_examples(path, examples.select(kept))
    other.train("alone", recipe)
    path = other.results / "mixtures" / "sentiment" / "asked.parquet"
    write_examples(path, asked)
    other.ask("alone", "asked")
    answers = load_file(other.results / "logits/alone/sentiment/seed0/sentiment-asked.safetensors")
    return other, answers["logits"]


@pytest.mark.parametrize(
    ("name", "recipe", "mixtures"),
    [("teacher", {"stages": RO}, ["ro1"]), ("critical", EN_CRITIC, ["ro1", "en1"])],
)
def test_a_text_is_answered_by_a_model_that_never_read_it(study, tmp_path, name, recipe, mixtures):
    """Each model equals one that `train` makes of mixtures from which the fold was taken away.

    An adversary's texts are away as well, though nobody reads their labels.
    """
    if name != "teacher":
        assert study.train_folds(name, recipe, ["ro1-en1"]) == 0
    examples = read_mixture(study, "ro1-en1")
    got = read_answers(study, name, examples)
    folds = assign_folds(examples.text_hash, 2, "13")
    assert set(folds) == {0, 1}
    models = [train_without(tmp_path / str(j), j, recipe, mixtures) for j in (0, 1)]
    learned = {text for part in mixtures for text in read_mixture(study, part).text_hash}
    for row, fold in enumerate(folds):
        answers = [logits[row] for _, logits in models]
        inside = examples.text_hash[row] in learned
        expected = answers[fold] if inside else np.mean(answers, axis=0)
        np.testing.assert_allclose(got[row], expected, atol=1e-5)
    card = read_json(find_set(study, name) / "card.json")
    assert card["fold_weights"] == [other.read_card("alone")["weights"] for other, _ in models]


def test_a_set_has_as_many_models_as_folds_and_every_seed_has_its_own(study):
    cards = [read_json(find_set(study, "teacher", seed) / "card.json") for seed in (0, 1)]
    assert [card["folds"] for card in cards] == [2, 2]
    hashes = [weights for card in cards for weights in card["fold_weights"]]
    assert len(set(hashes)) == 4
    assert set(cards[0]["valid"]) == {"sentiment"}


def test_stopped_folds_go_on_and_answer_as_if_they_had_never_been_stopped(study, monkeypatch):
    recipe, mixtures = {"stages": RO}, ["ro1", "ro1-en1"]
    with monkeypatch.context() as patch:
        save = Checkpoints.save

        def save_and_ask(checkpoints, moment):
            save(checkpoints, moment)
            if checkpoints.folder.name == "seed0-fold1-stage0" and moment.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        patch.setattr(Checkpoints, "save", save_and_ask)
        assert study.train_folds("stopped", recipe, mixtures) == 143
    assert not find_set(study, "stopped").exists()
    assert study.train_folds("stopped", recipe, mixtures) == 0
    record = read_json(study.results / "records" / "folds-stopped-sentiment.json")
    assert record["resumed"].keys() == {"seed0-fold0-stage0", "seed0-fold1-stage0"}
    examples = read_mixture(study, "ro1-en1")
    assert np.array_equal(
        read_answers(study, "stopped", examples), read_answers(study, "teacher", examples)
    )
    assert not list((study.results / "checkpoints" / "stopped").rglob("*.safetensors"))


def test_another_number_of_folds_makes_other_answers(study):
    examples = read_mixture(study, "ro1")
    folds = {"count": 3, "salt": "13"}
    assert study.train_folds("three", {"stages": RO}, ["ro1"], folds=folds) == 0
    assert len(read_json(find_set(study, "three") / "card.json")["fold_weights"]) == 3
    three = read_answers(study, "three", examples)
    assert not np.array_equal(three, read_answers(study, "teacher", examples))


def test_a_student_of_out_of_fold_answers_differs_from_one_of_in_sample_answers(study):
    study.train("teacher", {"stages": RO})
    study.ask("teacher", "ro1")
    students = []
    for kind in ("in_sample", "out_of_fold"):
        recipe, settings = teach("teacher", teacher_logits=kind)
        students.append(study.train(kind, recipe, **settings))
    assert not is_same(*students)


def test_a_student_of_out_of_fold_answers_refuses_in_sample_ones(study, caplog):
    """The store of the one model lies where that of the folds should."""
    in_sample = TinyStudy(study.results.parent)
    in_sample.train("twofaced", {"stages": RO})
    in_sample.ask("twofaced", "ro1")
    assert in_sample.train_folds("twofaced", {"stages": RO}, ["ro1"]) == 0
    logits = in_sample.results / "logits" / "twofaced" / "sentiment"
    for suffix in (".json", ".safetensors"):
        there = logits / "seed0-folds" / f"sentiment{suffix}"
        there.write_bytes((logits / "seed0" / f"sentiment-ro1{suffix}").read_bytes())
    recipe, settings = teach("twofaced", teacher_logits="out_of_fold")
    told = in_sample.describe(recipe, ("sentiment",), **settings)
    misled = replace(in_sample.cell, name="misled/sentiment")
    assert main(misled.list_arguments(**told)) == IntegrityError.exit_code
    assert "these logits are not the ones asked for" in caplog.text
