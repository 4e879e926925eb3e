"""The command `train-linear`: the baseline of a task, with its card."""

import json

import numpy as np
import pytest

from distilro.artifacts import hash_file, read_json
from distilro.cli import main
from distilro.commands.train_linear import BaselineSettings
from distilro.corpora.examples import write_examples
from distilro.modeling.linear import LinearModel
from distilro.modeling.majority import MajorityModel
from distilro.modeling.scorers import load_scorer
from distilro.recipes import describe_training, list_cells
from distilro.settings import check_section
from tests.corpora.handmade import SENTIMENT, make_examples
from tests.support import build_settings

SETTINGS = {
    "recipe": {"kind": "linear", "stages": [{"ro": 1.0}]},
    "tasks": ["sentiment"],
    "linear": {
        "word_ngrams": [1, 1],
        "char_ngrams": [2, 3],
        "word_min_documents": 1,
        "char_min_documents": 1,
        "inverse_regularisation": 4.0,
    },
    "validation": {"sentiment": "valid_set"},
    "folds": {"count": 3, "salt": "13"},
    "seed": 0,
}


def draw(count, dataset, lang="ro", split="train"):
    words = {"negative": "rău urât trist", "positive": "bun frumos vesel"}
    labels = [("negative", "positive")[row % 2] for row in range(count)]
    rows = [(f"{words[label]} {dataset} {row}", label) for row, label in enumerate(labels)]
    return make_examples(rows, dataset, split, task=SENTIMENT, lang=lang)


def write_inputs(folder):
    mixtures = folder / "results" / "mixtures" / "sentiment"
    write_examples(mixtures / "ro1.parquet", draw(24, "ro"))
    write_examples(folder / "prepared" / "valid_set" / "valid.parquet", draw(8, "v", split="valid"))
    return mixtures


def list_arguments(command, folder, name="linear", *, extra=(), **changes):
    argv = [command, "--cell", f"{name}/sentiment"]
    argv += ["--settings", json.dumps({**SETTINGS, **changes})]
    argv += ["--prepared", str(folder / "prepared"), "--results", str(folder / "results")]
    return [*argv, *extra]


@pytest.mark.parametrize(("kind", "made"), [("linear", LinearModel), ("majority", MajorityModel)])
def test_a_baseline_is_written_with_its_card_and_loads(tmp_path, kind, made):
    mixtures = write_inputs(tmp_path)
    recipe = {"kind": kind, "stages": [{"ro": 1.0}]}
    assert main(list_arguments("train-linear", tmp_path, kind, recipe=recipe)) == 0
    folder = tmp_path / "results" / "models" / kind / "sentiment" / "seed0"
    card, model = read_json(folder / "card.json"), load_scorer(folder)
    assert isinstance(model, made)
    assert card["mixtures"] == {"sentiment/ro1": hash_file(mixtures / "ro1.parquet")}
    assert card["weights"] == hash_file(folder / "model.safetensors")
    fitted = {
        "linear": lambda: model.coefficients.size + model.intercepts.size,
        "majority": lambda: 2,
    }
    assert card["parameters"] == fitted[kind]()


def test_a_card_tells_the_score_on_the_validation_rows(tmp_path):
    """The linear model reads; the other one answers all eight rows alike, four of them wrongly."""
    write_inputs(tmp_path)
    scores = {}
    for kind in ("linear", "majority"):
        recipe = {"kind": kind, "stages": [{"ro": 1.0}]}
        assert main(list_arguments("train-linear", tmp_path, kind, recipe=recipe)) == 0
        card = read_json(tmp_path / "results/models" / kind / "sentiment/seed0/card.json")
        scores[kind] = card["valid"]
    assert scores == {"linear": {"sentiment": 1.0}, "majority": {"sentiment": pytest.approx(1 / 3)}}


def test_the_same_settings_give_the_same_bytes(tmp_path):
    files = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_inputs(folder)
        assert main(list_arguments("train-linear", folder)) == 0
        seed = folder / "results/models/linear/sentiment/seed0"
        files.append({path.name: path.read_bytes() for path in sorted(seed.iterdir())})
    assert files[0] == files[1] and len(files[0]) == 3


@pytest.mark.parametrize("scenario", ["embedded", "laptop", "study"])
def test_the_settings_of_every_baseline_are_accepted(scenario):
    settings = build_settings(scenario)
    cells = [c for c in list_cells(settings) if settings.recipes[c.recipe].kind != "encoder"]
    assert cells
    for cell in cells:
        told = check_section(BaselineSettings, describe_training(cell, settings))
        assert told.tasks == (cell.scope,) and np.isfinite(told.linear.inverse_regularisation)
