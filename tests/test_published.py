"""What the published run of real data must show, whichever numbers it holds."""

import csv
import json
import statistics
from collections import defaultdict

import pytest

from tests.support import ROOT

FOLDER = ROOT / "results/published/laptop"
FLOOR = "majority"


def read_object(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def values():
    """Give the values of all seeds: (recipe, scope, task, test set, variant, metric) -> values."""
    found = defaultdict(list)
    with (FOLDER / "matrix.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = ("recipe", "scope", "task", "test_set", "variant", "metric")
            found[tuple(row[name] for name in place)].append(float(row["value"]))
    return dict(found)


def find_romanian(values):
    """Return the mean of macro F1 on the tasks' own Romanian test sets, by recipe, scope, task."""
    datasets = {
        t: d["ro"] for t, d in read_object("expected.json")["settings"]["data"]["tasks"].items()
    }
    return {
        (recipe, scope, task): statistics.fmean(found)
        for (recipe, scope, task, test_set, variant, metric), found in values.items()
        if (variant, metric) == ("official", "macro_f1") and test_set == datasets[task]
    }


def test_every_recipe_beats_the_majority_class_on_every_task(values):
    means = find_romanian(values)
    floors = {task: mean for (recipe, _, task), mean in means.items() if recipe == FLOOR}
    others = {place: mean for place, mean in means.items() if place[0] != FLOOR}
    assert set(floors) == {"emotion", "sentiment", "topic"}
    assert len({recipe for recipe, _, _ in others}) >= 9
    assert [place for place, mean in others.items() if mean <= floors[place[2]]] == []


def test_a_fresh_critic_finds_a_smaller_gap_after_the_adversary_with_every_seed():
    rows = [row for row in read_object("gaps.json")["rows"] if row["recipe"] == "adversarial"]
    assert [row["seed"] for row in rows] == read_object("expected.json")["settings"]["training"][
        "seeds"
    ]
    for row in rows:
        assert row["reference"] == "zero_shot"
        assert max(row["gaps"]) < min(row["reference_gaps"])


def test_what_is_expected_of_others_is_what_the_matrix_holds(values):
    for cell in read_object("expected.json")["cells"]:
        place = ("recipe", "scope", "task", "test_set", "variant", "metric")
        found = values[tuple(cell[name] for name in place)]
        assert len(found) == len(cell["seeds"])
        if cell["mean"] is not None:
            assert statistics.fmean(found) == pytest.approx(cell["mean"], abs=1e-9)


def test_the_table_shows_the_means_of_the_matrix(values):
    lines = (FOLDER / "matrix.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    shown = {tuple(row[:2]): row[2] for row in rows[1:]}
    means = find_romanian(values)
    scopes = {place[:2] for place in means if place[2] == "emotion"}
    assert len(scopes) >= 9
    for recipe, scope in scopes:
        told = shown[recipe, scope if (recipe, scope) in shown else "task"]
        assert told.startswith(f"{means[recipe, scope, 'emotion']:.3f}")


def test_no_claim_is_made_with_too_few_seeds_of_a_neural_recipe():
    comparisons = read_object("comparisons.json")
    for row in comparisons["family"]:
        sides = ((row["recipe"], row["seeds"]), (row["reference"], row["reference_seeds"]))
        counts = [len(seeds) for recipe, seeds in sides if recipe not in ("linear", FLOOR)]
        assert not row["claim"] or min(counts, default=5) >= comparisons["seeds_needed"] == 5
