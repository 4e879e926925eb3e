"""The command predict: every role of every task, in the variants that the roles name."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distilro.artifacts import write_json
from distilro.cli import main
from distilro.corpora.examples import write_examples
from distilro.corpora.perturbations import perturb
from distilro.evaluation.predictions import read_predictions
from distilro.modeling.linear import LinearModel, fit_linear, load_linear
from distilro.modeling.probabilities import compute_probabilities
from distilro.roles import ROLES
from distilro.settings import LinearSettings
from tests.corpora.handmade import EMOTION, make_examples

WORDS = {"sadness": "tristețe țâșnește", "joy": "bucurie și șoapte", "trust": "încredere ținută"}
LINEAR = LinearSettings(word_min_documents=1, char_min_documents=1)
DATASETS = {"ro": "tweets", "en": "comments", "ood": "subtitles"}


def make_rows(dataset, split, lang="ro", rows=12):
    labels = [EMOTION.labels[row % 3] for row in range(rows)]
    texts = [f"{WORDS[label]} {dataset} {split} {row}" for row, label in enumerate(labels)]
    return make_examples(
        list(zip(texts, labels, strict=True)), dataset, split, task=EMOTION, lang=lang
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Give a folder with prepared datasets and two seeds of a linear model."""
    folder = tmp_path_factory.mktemp("predict")
    for dataset, splits in (("tweets", "test valid"), ("comments", "test valid"),
                            ("subtitles", "test")):  # fmt: skip
        for split in splits.split():
            examples = make_rows(dataset, split, "en" if dataset == "comments" else "ro")
            write_examples(folder / "prepared" / dataset / f"{split}.parquet", examples)
    for seed in (0, 1):
        model = folder / "results" / "models" / "linear" / "emotion" / f"seed{seed}"
        fit_linear(make_rows("tweets", "train", rows=18), LINEAR, seed).save(model)
        card = {"recipe": "linear", "scope": "emotion", "seed": seed, "weights": "0" * 64}
        write_json(model / "card.json", card)
    return folder


def predict(inputs: Path, **datasets: str | None) -> int:
    settings = {"tasks": {"emotion": {**DATASETS, **datasets}}}
    argv = ["predict", "--cell", "linear/emotion", "--seeds", "0", "1"]
    argv += ["--settings", json.dumps(settings), "--prepared", str(inputs / "prepared")]
    return main([*argv, "--results", str(inputs / "results"), "--gpus", "0"])


@pytest.fixture(scope="module")
def predicted(inputs):
    """Give the predictions of seed 1 by role."""
    assert predict(inputs) == 0
    seed = inputs / "results" / "predictions" / "linear" / "emotion" / "seed1"
    return read_predictions(seed / "emotion.parquet")


def test_one_file_holds_every_role_of_the_task_in_their_order(inputs, predicted):
    files = (inputs / "results" / "predictions").rglob("*.parquet")
    assert sorted(str(path.relative_to(inputs)) for path in files) == [
        f"results/predictions/linear/emotion/seed{seed}/emotion.parquet" for seed in (0, 1)
    ]
    assert list(predicted) == [role.name for role in ROLES]
    assert {(part.recipe, part.scope, part.seed) for part in predicted.values()} == {
        ("linear", "emotion", 1)
    }


def test_a_role_says_which_test_set_variant_and_language_it_is(predicted):
    said = {name: (part.test_set, part.variant, part.language) for name, part in predicted.items()}
    assert said == {
        "ro": ("tweets", "official", "ro"),
        "ro-stripped": ("tweets", "stripped", "ro"),
        "ro-cedilla": ("tweets", "cedilla", "ro"),
        "ro-upper": ("tweets", "upper_case", "ro"),
        "ro-typos": ("tweets", "typos", "ro"),
        "ro-valid": ("tweets-valid", "official", "ro"),
        "en": ("comments", "official", "en"),
        "en-valid": ("comments-valid", "official", "en"),
        "ood": ("subtitles", "official", "ro"),
    }


def test_a_perturbed_role_holds_what_the_model_says_of_the_perturbed_texts(inputs, predicted):
    model = load_linear(inputs / "results" / "models" / "linear" / "emotion" / "seed1")
    texts = make_rows("tweets", "test").text
    for name in ("ro-stripped", "ro-upper", "ro-typos"):
        variant = predicted[name].variant
        logits = model.score("emotion", [perturb(text, variant) for text in texts])
        expected = compute_probabilities(EMOTION.kind, logits)
        np.testing.assert_array_equal(predicted[name].probabilities, expected)
        assert predicted[name].id == predicted["ro"].id


def test_cedillas_change_no_prediction_and_typos_do(predicted):
    official = predicted["ro"].probabilities
    np.testing.assert_array_equal(predicted["ro-cedilla"].probabilities, official)
    assert not np.array_equal(predicted["ro-typos"].probabilities, official)


def test_every_role_of_a_task_is_asked_for_at_once(inputs, monkeypatch):
    asked = []
    score = LinearModel.score

    def count(model, task, texts):
        asked.append(len(texts))
        return score(model, task, texts)

    monkeypatch.setattr(LinearModel, "score", count)
    assert predict(inputs) == 0
    assert asked == [12 * len(ROLES)] * 2  # one call per seed


def test_a_task_without_another_domain_has_no_such_role(inputs, tmp_path):
    shutil.copytree(inputs / "results" / "models", tmp_path / "results" / "models")
    (tmp_path / "prepared").symlink_to(inputs / "prepared")
    assert predict(tmp_path, ood=None) == 0
    for path in (tmp_path / "results" / "predictions").rglob("*.parquet"):
        assert list(read_predictions(path)) == [role.name for role in ROLES if role.name != "ood"]


@pytest.mark.parametrize(
    ("datasets", "complaint"),
    [
        ({"en": "subtitles"}, "subtitles has the splits ['test'], expected valid"),
        ({"ood": "absent"}, "absent has the splits [], expected test"),
    ],
)
def test_a_missing_split_stops_it_before_anything_is_predicted(
    inputs, tmp_path, caplog, datasets, complaint
):
    shutil.copytree(inputs / "results" / "models", tmp_path / "results" / "models")
    (tmp_path / "prepared").symlink_to(inputs / "prepared")
    assert predict(tmp_path, **datasets) == 4
    assert complaint in caplog.text
    assert not (tmp_path / "results" / "predictions").exists()


def test_a_model_of_another_label_space_is_refused(inputs, tmp_path, caplog):
    shutil.copytree(inputs, tmp_path / "all")
    path = tmp_path / "all" / "prepared" / "subtitles" / "test.parquet"
    task = replace(EMOTION, labels=("joy", "sadness", "trust"))
    write_examples(path, replace(make_rows("subtitles", "test"), task=task))
    assert predict(tmp_path / "all") == 2
    assert "expected a model of" in caplog.text
