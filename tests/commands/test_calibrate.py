"""The command calibrate: validation and test in pairs, and the table that is written."""

import json
from pathlib import Path

import numpy as np
import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.examples import Task
from distilro.evaluation.calibration import fit_temperature
from distilro.evaluation.predictions import Predictions, read_predictions, write_predictions
from distilro.modeling.probabilities import compute_probabilities

TASK = Task("topic", "multi_class", ("culture", "politics", "sports"))


def make(test_set: str, seed: int, rows: int = 300, **changes: str) -> Predictions:
    """Return predictions of a model whose logits are three times too large."""
    generator = np.random.default_rng([seed, len(test_set)])
    logits = generator.standard_normal((rows, 3))
    cumulated = compute_probabilities(TASK.kind, logits).cumsum(axis=1)
    gold = np.eye(3)[(generator.random((rows, 1)) > cumulated).sum(axis=1).clip(max=2)]
    values = {
        **{"task": TASK, "recipe": "single_ro", "scope": "topic", "seed": seed},
        **{"language": "ro", "variant": "official", "model_hash": "0" * 64, **changes},
    }
    return Predictions(
        test_set=test_set,
        id=[f"{row:016x}" for row in range(rows)],
        probabilities=compute_probabilities(TASK.kind, 3 * logits),
        gold=gold.astype(np.float32),
        observed=np.ones((rows, 3), bool),
        **values,
    )


def write(folder: Path, seed: int = 0, **changes: str) -> Path:
    """Write a model's test set and its validation split, and an English one beside them."""
    parts = {"ro": make("news", seed, **changes), "ro-valid": make("news-valid", seed, rows=200)}
    english = make("news_en", seed, language="en")
    write_predictions(folder / f"seed{seed}.parquet", {**parts, "en": english})
    return folder / f"seed{seed}.parquet"


def fit(path: Path) -> float:
    return fit_temperature(read_predictions(path)["ro-valid"])


def run(folder: Path, *files: Path, **settings: int) -> int:
    argv = ["calibrate", "--settings", json.dumps(settings), "--predictions", *map(str, files)]
    return main([*argv, "--out", str(folder / "calibration.json")])


def test_the_temperature_comes_from_validation_and_the_figures_from_the_test(tmp_path):
    path = write(tmp_path)
    assert run(tmp_path, path) == 0
    table = read_json(tmp_path / "calibration.json")
    (row,) = table["rows"]
    assert (table["version"], table["bins"]) == (1, 15)
    names = ("recipe", "scope", "task", "seed", "test_set", "n")
    assert [row[name] for name in names] == ["single_ro", "topic", "topic", 0, "news", 300]
    assert row["temperature"] == fit(path)
    assert row["temperature"] == pytest.approx(3, rel=0.25)
    assert row["ece_scaled"] < row["ece"]
    assert row["brier_scaled"] < row["brier"]
    for curve in (row["curve"], row["curve_scaled"]):
        assert sum(part["count"] for part in curve) == 300
        assert len(curve) <= 15
        assert set(curve[0]) == {"confidence", "accuracy", "count"}


def test_every_seed_is_paired_with_its_own_validation(tmp_path):
    files = [write(tmp_path, seed) for seed in (2, 1)]
    assert run(tmp_path, *files, bins=5) == 0
    table = read_json(tmp_path / "calibration.json")
    assert table["bins"] == 5
    assert [row["seed"] for row in table["rows"]] == [2, 1]
    assert [row["temperature"] for row in table["rows"]] == [fit(path) for path in files]


@pytest.mark.parametrize("missing", ["ro", "ro-valid"])
def test_half_a_pair_is_an_error_and_named(tmp_path, caplog, missing):
    files = [write(tmp_path, seed) for seed in (0, 1)]
    parts = read_predictions(files[1])
    del parts[missing]
    write_predictions(files[1], parts)
    assert run(tmp_path, *files) == 4
    assert f"{files[1]}: expected predictions of ['{missing}'], got" in caplog.text
    assert not (tmp_path / "calibration.json").exists()


def test_a_file_given_twice_is_an_error(tmp_path, caplog):
    path = write(tmp_path)
    assert run(tmp_path, path, path) == 4
    assert "single_ro/topic/topic seed 0: predictions are given twice" in caplog.text
    assert not (tmp_path / "calibration.json").exists()


@pytest.mark.parametrize("changes", [{"variant": "stripped"}, {"language": "en"}])
def test_perturbed_or_english_predictions_are_refused(tmp_path, caplog, changes):
    assert run(tmp_path, write(tmp_path, **changes)) == 4
    assert "expected official predictions of texts in 'ro'" in caplog.text


def test_a_setting_out_of_range_stops_it(tmp_path, caplog):
    assert run(tmp_path, write(tmp_path), bins=0) == 2
    assert "bins" in caplog.text
