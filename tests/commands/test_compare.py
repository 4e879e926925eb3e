"""The command compare: from predictions files to comparisons and influence."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distilro.artifacts import read_json
from distilro.commands import compare
from distilro.errors import DataError, SettingsError
from distilro.evaluation.predictions import read_predictions, write_predictions
from tests.evaluation.studies import Study, make_predictions

EVALUATION = {"bootstrap_samples": 200, "threshold": 0.5, "confidence": 0.95, "seed": 13}
EVALUATION |= {"seeds_needed": 3}
PAIR = {"task": "topic", "recipe": "new", "scope": "all"}
PAIR |= {"reference": "old", "reference_scope": "all"}
CELLS = [
    {"recipe": "old", "scope": "all", "datasets": {"topic": ["moroco"]}},
    {"recipe": "new", "scope": "all", "datasets": {"topic": ["moroco", "ag_news"]}},
]
SETTINGS = {"evaluation": EVALUATION, "seeds_needed": 3, "family": [PAIR], "cells": CELLS}
SETTINGS |= {"test_sets": {"topic": ["ro"]}}


def write_study(folder: Path, *, scope: str = "all", **changes) -> list[Path]:
    study = Study(**({"items": 100, "seeds": 3, "effect": 0.25} | changes))
    paths = []
    for simulated in study.simulate(np.random.default_rng(5), "topic"):
        one = replace(simulated, scope=scope)
        paths.append(folder / f"{one.recipe}{one.seed}.parquet")
        english = replace(one, language="en", test_set="topic_en")
        write_predictions(paths[-1], {"ro": one, "en": english})
    return paths


def run_compare(folder: Path, files: list[Path], **settings) -> tuple[dict, dict]:
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    outs = [folder / "out" / name for name in ("comparisons.json", "influence.json")]
    words = ["--settings", json.dumps(SETTINGS | settings), "--predictions", *map(str, files)]
    words += ["--out", str(outs[0]), "--influence", str(outs[1])]
    compare.run(parser.parse_args(words))
    return read_json(outs[0]), read_json(outs[1])


def test_both_files_hold_what_later_stages_read(tmp_path):
    comparisons, influence = run_compare(tmp_path, write_study(tmp_path))
    header = {"version": 1, "confidence": 0.95, "samples": 200}
    assert {key: comparisons[key] for key in header} == header
    assert (comparisons["seeds_needed"], comparisons["correction"]) == (3, "holm")
    (row,) = comparisons["family"]
    sides = {"task", "test_set", "metric", "recipe", "scope", "reference", "reference_scope"}
    numbers = {"seeds", "reference_seeds", "items", "value", "reference_value", "difference"}
    evidence = {"low", "high", "p", "p_holm", "minimum_detectable", "mcnemar", "verdict", "claim"}
    assert set(row) == sides | numbers | evidence
    assert (row["verdict"], row["claim"], len(row["mcnemar"])) == ("higher", True, 3)
    assert {key: influence[key] for key in header} == header
    (addition,) = influence["rows"]
    assert (addition["kind"], addition["added"]) == ("dataset", "ag_news")
    assert addition["difference"] == row["difference"]


def test_influence_is_measured_on_every_test_set_that_is_named(tmp_path):
    files = write_study(tmp_path)
    for path in files:
        parts = read_predictions(path)
        spoiled = replace(parts["en"], probabilities=parts["en"].probabilities[:, ::-1])
        write_predictions(path, {**parts, "en": spoiled})
    linear = tmp_path / "linear.parquet"
    write_predictions(linear, {"ro": replace(read_predictions(files[0])["ro"], recipe="linear")})
    told = {"topic": ["ro", "en"]}
    _, influence = run_compare(tmp_path, [*files, linear], test_sets=told)
    rows = {row["test_set"]: row for row in influence["rows"]}
    assert list(rows) == ["topic_test", "topic_en"]
    assert rows["topic_test"]["difference"] != rows["topic_en"]["difference"]
    assert {row["added"] for row in rows.values()} == {"ag_news"}


def test_a_test_set_that_is_named_must_be_predicted_by_both_sides(tmp_path):
    with pytest.raises(DataError, match="new/all"):
        run_compare(tmp_path, write_study(tmp_path), test_sets={"topic": ["ood"]})


def test_the_order_of_the_files_changes_no_byte(tmp_path):
    files = write_study(tmp_path)
    written = []
    for order in (files, files[::-1]):
        run_compare(tmp_path, order)
        out = tmp_path / "out"
        written.append([path.read_bytes() for path in sorted(out.iterdir())])
    assert written[0] == written[1]


def test_a_large_family_gets_the_resamples_that_it_needs(tmp_path):
    files = write_study(tmp_path)
    family = []
    for number in range(12):
        one = make_predictions([True] * 4, task=f"t{number}", recipe="new")
        other = make_predictions([True] * 4, task=f"t{number}", recipe="old")
        for side in (one, other):
            files.append(tmp_path / f"{side.recipe}_{number}.parquet")
            write_predictions(files[-1], {"ro": side})
        family.append(PAIR | {"task": f"t{number}"})
    comparisons, _ = run_compare(tmp_path, files, family=[PAIR, *family])
    assert comparisons["samples"] == 1300
    assert comparisons["family"][0]["verdict"] == "higher"


def test_a_missing_seed_leaves_an_indication(tmp_path):
    files = [path for path in write_study(tmp_path) if path.name != "old1.parquet"]
    (row,) = run_compare(tmp_path, files)[0]["family"]
    assert (row["seeds"], row["reference_seeds"], row["claim"]) == ([0, 1, 2], [0, 2], False)


def test_one_seed_of_a_deterministic_recipe_is_enough(tmp_path):
    files = write_study(tmp_path, old_seeds=1, old_spread=0)
    (row,) = run_compare(tmp_path, files, deterministic=["old"])[0]["family"]
    assert row["claim"] is True


def test_an_unknown_reference_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(DataError, match="linear/topic"):
        pair = PAIR | {"reference": "linear", "reference_scope": "topic"}
        run_compare(tmp_path, write_study(tmp_path), family=[pair])
    assert not (tmp_path / "out").exists()


def test_two_files_of_other_items_are_both_named(tmp_path):
    files = write_study(tmp_path)
    other = tmp_path / "other.parquet"
    older = make_predictions([True] * 4, task="topic", recipe="older")
    write_predictions(other, {"ro": older})
    with pytest.raises(DataError, match=r"older/all seed 0.*new/all seed 0"):
        run_compare(tmp_path, [*files, other])


def test_models_of_two_tasks_are_compared(tmp_path):
    paths = write_study(tmp_path, scope="sentiment+topic")
    pair = PAIR | {"scope": "sentiment+topic", "reference_scope": "sentiment+topic"}
    cells = [cell | {"scope": "sentiment+topic"} for cell in CELLS]
    comparisons, influence = run_compare(tmp_path, paths, family=[pair], cells=cells)
    assert comparisons["family"][0]["scope"] == "sentiment+topic"
    assert influence["rows"][0]["with"] == {"recipe": "new", "scope": "sentiment+topic"}


def test_a_file_without_the_romanian_test_set_is_named(tmp_path):
    path = tmp_path / "abroad.parquet"
    write_predictions(path, {"en": make_predictions([True] * 4, task="topic")})
    with pytest.raises(DataError, match=r"abroad\.parquet: .*'ro'.* got those of \['en'\]"):
        run_compare(tmp_path, [path])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"family": [PAIR | {"scope": "sentiment+"}]}, "scope"),
        ({"seeds_needed": 0}, "seeds_needed"),
        ({"family": [PAIR | {"refrence": "old"}]}, "refrence"),
        ({"evaluation": EVALUATION | {"confidence": 1.0}}, "confidence"),
        ({"cells": [CELLS[0] | {"datasets": {"topic": []}}]}, "topic"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, settings, said):
    with pytest.raises(SettingsError, match=said):
        run_compare(tmp_path, [tmp_path / "unread.parquet"], **settings)
