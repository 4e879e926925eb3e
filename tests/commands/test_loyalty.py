"""The command loyalty: which predictions meet which, and the table that is written."""

import json
from pathlib import Path

import numpy as np
import pytest

from distilro.artifacts import read_json
from distilro.cli import main
from distilro.corpora.examples import Task
from distilro.evaluation.predictions import Predictions, write_predictions

TASK = Task("sentiment", "multi_class", ("negative", "positive"))
EVALUATION = {"bootstrap_samples": 100, "threshold": 0.5, "confidence": 0.95, "seed": 13}
EVALUATION |= {"seeds_needed": 3}
PAIR = {
    **{"student": "distilled", "student_scope": "all"},
    **{"teacher": "single_mixed", "teacher_scope": "sentiment", "task": "sentiment"},
}


def write(folder: Path, recipe: str, seed: int, positive: list[float], **changes: str) -> Path:
    """Write predictions of a recipe's seed: the probability of "positive" of each item."""
    values = {"test_set": "reviews", "variant": "official", "language": "ro", **changes}
    scope = "all" if recipe == "distilled" else "sentiment"
    path = folder / f"{recipe}-{seed}-{'-'.join(values.values())}.parquet"
    second = np.array(positive, np.float32)
    predictions = Predictions(
        **{"task": TASK, "recipe": recipe, "scope": scope, "seed": seed, "model_hash": "0" * 64},
        **values,
        id=[f"{row:016x}" for row in range(len(positive))],
        probabilities=np.stack([1 - second, second], axis=1),
        gold=np.tile(np.array([[0, 1]], np.float32), (len(positive), 1)),
        observed=np.ones((len(positive), 2), bool),
    )
    write_predictions(path, {"ro": predictions})
    return path


def run(folder: Path, files: list[Path], *pairs: dict) -> int:
    settings = json.dumps({"evaluation": EVALUATION, "pairs": pairs or [PAIR]})
    argv = ["loyalty", "--settings", settings, "--predictions", *map(str, files)]
    return main([*argv, "--out", str(folder / "loyalty.json")])


def test_each_student_meets_its_teachers_same_seed(tmp_path):
    files = [write(tmp_path, "distilled", seed, [0.9, 0.2, 0.7]) for seed in (1, 0)]
    files += [write(tmp_path, "single_mixed", 0, [0.9, 0.2, 0.7])]
    files += [write(tmp_path, "single_mixed", 1, [0.9, 0.2, 0.3])]
    assert run(tmp_path, files) == 0
    table = read_json(tmp_path / "loyalty.json")
    assert {name: table[name] for name in ("version", "confidence", "samples")} == {
        **{"version": 1, "confidence": 0.95, "samples": 100}
    }
    first, second = table["rows"]
    assert {name: first[name] for name in (*PAIR, "test_set", "seed", "n")} == {
        **PAIR, "test_set": "reviews", "seed": 0, "n": 3
    }  # fmt: skip
    assert first["label"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert first["probability"]["value"] == pytest.approx(1)
    assert second["seed"] == 1
    assert second["label"]["value"] == pytest.approx(2 / 3)


def test_a_teacher_of_one_seed_speaks_to_every_student(tmp_path):
    files = [write(tmp_path, "distilled", seed, [0.9, 0.2]) for seed in (3, 4)]
    files += [write(tmp_path, "single_mixed", 0, [0.8, 0.4])]
    assert run(tmp_path, files) == 0
    assert [row["seed"] for row in read_json(tmp_path / "loyalty.json")["rows"]] == [3, 4]


def test_what_is_undefined_is_null(tmp_path):
    files = [write(tmp_path, "distilled", 0, [0.9, 0.2])]
    files += [write(tmp_path, "single_mixed", 0, [0.5, 0.5])]
    assert run(tmp_path, files) == 0
    (row,) = read_json(tmp_path / "loyalty.json")["rows"]
    assert row["regression"] == {"value": None, "low": None, "high": None}


def test_the_order_of_the_files_changes_no_byte(tmp_path):
    files = [write(tmp_path, name, seed, [0.9, 0.1 * seed, 0.6])
             for name in ("distilled", "single_mixed") for seed in (1, 2)]  # fmt: skip
    written = []
    for order in (files, files[::-1]):
        assert run(tmp_path, order) == 0
        written.append((tmp_path / "loyalty.json").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("teachers", "complaint"),
    [([], "got those of the seeds []"), ([1, 2], "by its seed 0 or by its only one")],
)
def test_a_student_without_its_teacher_is_an_error(tmp_path, caplog, teachers, complaint):
    files = [write(tmp_path, "distilled", 0, [0.9])]
    files += [write(tmp_path, "single_mixed", seed, [0.9]) for seed in teachers]
    assert run(tmp_path, files) == 4
    assert complaint in caplog.text
    assert not (tmp_path / "loyalty.json").exists()


def test_a_pair_without_a_student_is_an_error(tmp_path, caplog):
    assert run(tmp_path, [write(tmp_path, "single_mixed", 0, [0.9])]) == 4
    assert "distilled/all: expected predictions of sentiment, got none" in caplog.text


def test_a_file_given_twice_is_an_error(tmp_path, caplog):
    path = write(tmp_path, "distilled", 0, [0.9])
    assert run(tmp_path, [path, path]) == 4
    assert "distilled/all seed 0 on reviews are given twice" in caplog.text


@pytest.mark.parametrize("changes", [{"variant": "typos"}, {"language": "en"}])
def test_perturbed_or_english_predictions_are_refused(tmp_path, caplog, changes):
    assert run(tmp_path, [write(tmp_path, "distilled", 0, [0.9], **changes)]) == 4
    assert "expected official predictions of texts in 'ro'" in caplog.text


def test_a_mistyped_setting_stops_it(tmp_path, caplog):
    path = write(tmp_path, "distilled", 0, [0.9])
    assert run(tmp_path, [path], {**PAIR, "techer": "x"}) == 2
    assert "techer" in caplog.text
