"""Expectations: what stands in a published cell, and what is refused when it is read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from distilro.artifacts import read_json, write_json
from distilro.delivery.expectations import (
    VERSION,
    Expectations,
    Machine,
    list_labels,
    read_expectations,
    summarise_measures,
    write_expectations,
)
from distilro.delivery.measures import join_seeds
from distilro.errors import IntegrityError
from distilro.evaluation.scores import Score


def make_score(seed=0, value=0.5, **changes):
    fields = {
        "recipe": "multi",
        "scope": "all",
        "task": "emotion",
        "test_set": "redv2",
        "language": "ro",
        "variant": "official",
        "metric": "macro_f1",
        "low": value - 0.02,
        "high": value + 0.04,
        "n": 818,
    }
    return Score(seed=seed, value=value, **{**fields, **changes})


def summarise(*scores, deterministic=(), confidence=0.95):
    measures = join_seeds(scores)
    return summarise_measures(measures, deterministic=deterministic, confidence=confidence)


def make_expectations(cells):
    machine = Machine(processor="A processor", cores=2, memory_gib=8.0, flags=("avx2",), gpus=())
    return Expectations(
        version=VERSION,
        scenario="laptop",
        settings_hash="0" * 64,
        settings={"scenario": "laptop"},
        confidence=0.95,
        machines=(machine,),
        versions=({"distilro": "0.1.0"},),
        mixtures={"emotion/ro1": "1" * 64},
        models={"multi/all/seed0": "2" * 64},
        labels={"emotion": ("joy", "trust")},
        cells=tuple(cells),
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "expected.json"
    write_expectations(path, make_expectations(summarise(make_score(0, 0.5), make_score(1, 0.6))))
    return path


def test_a_cell_worked_out_by_hand():
    # Values 0.5 and 0.6: mean 0.55, squares 2 * 0.05^2 over one degree of freedom. Each interval
    # is 0.06 wide, so half of it is 0.03, and a 95 % interval is 1.96 errors to each side.
    (cell,) = summarise(make_score(0, 0.5), make_score(3, 0.6))
    assert cell.mean == pytest.approx(0.55)
    assert cell.standard_deviation == pytest.approx(0.005**0.5)
    assert cell.half_width == pytest.approx(0.03)
    assert cell.standard_error == pytest.approx(0.03 / 1.959964)
    assert (cell.n, cell.seeds, cell.deterministic) == (818, (0, 3), False)


def test_one_seed_has_no_spread():
    (cell,) = summarise(make_score())
    assert cell.standard_deviation is None
    assert cell.standard_error > 0


def test_a_cell_is_in_its_test_sets_primary_metric_and_every_variant():
    scores = [
        make_score(variant=variant, metric=metric)
        for variant in ("official", "deduplicated", "stripped")
        for metric in ("micro_f1", "macro_f1", "f1_joy")
    ]
    cells = summarise(*scores, make_score(test_set="redv2-valid"), make_score(test_set="other"))
    places = [(cell.test_set, cell.variant, cell.metric) for cell in cells]
    variants = ("official", "deduplicated", "stripped")
    assert places == [
        ("other", "official", "macro_f1"),
        *(("redv2", variant, "macro_f1") for variant in variants),
    ]


def test_the_recipes_that_no_seed_changes_are_marked():
    cells = summarise(make_score(), make_score(recipe="linear"), deterministic={"linear"})
    assert {cell.recipe: cell.deterministic for cell in cells} == {"multi": False, "linear": True}


def test_a_value_that_is_undefined_is_null_and_not_zero():
    nan = math.nan
    (cell,) = summarise(make_score(value=nan, low=nan, high=nan, n=0), make_score(1, 0.5))
    assert (cell.mean, cell.standard_deviation, cell.standard_error) == (None, None, None)


def test_a_value_without_an_interval_keeps_its_value():
    (cell,) = summarise(make_score(low=math.nan, high=math.nan))
    assert (cell.mean, cell.half_width, cell.standard_error) == (0.5, None, None)


@given(st.floats(0.5, 0.999), st.floats(0.001, 0.2))
def test_the_error_gives_the_interval_back(confidence, half_width):
    score = make_score(low=0.5 - half_width, high=0.5 + half_width)
    (cell,) = summarise(score, confidence=confidence)
    low, high = norm.interval(confidence, 0.5, cell.standard_error)
    assert (low, high) == pytest.approx((score.low, score.high))


def test_labels_are_those_with_an_f1_of_their_own():
    names = ("macro_f1", "strict_f1_joy", "f1_trust", "f1_joy")
    scores = [make_score(metric=name) for name in names]
    measures = join_seeds([*scores, make_score(task="topic", metric="accuracy")])
    assert list_labels(measures) == {"emotion": ("joy", "trust"), "topic": ()}


def test_what_is_written_is_read(file):
    cells = summarise(make_score(0, 0.5), make_score(1, 0.6))
    assert read_expectations(file) == make_expectations(cells)


def test_a_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(IntegrityError, match=r"nowhere\.json is missing; expected what `distilro"):
        read_expectations(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("version",), 2, "version: Input should be 1"),
        (("confidence",), 1.0, "confidence: Input should be less than 1"),
        (("cells",), [], "cells: Tuple should have at least 1 item"),
        (("cells", 0, "mean"), "0.5", r"cells\.0\.mean: Input should be a valid number"),
        (("cells", 0, "seeds"), [], r"cells\.0\.seeds: Tuple should have at least 1 item"),
        (("cells", 0, "n"), -1, r"cells\.0\.n: Input should be greater than or equal to 0"),
        (("cells", 0, "median"), 0.5, r"cells\.0\.median: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value_is_refused_and_named(file, place, value, named):
    values = read_json(file)
    part = values
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    write_json(file, values)
    with pytest.raises(IntegrityError, match=named):
        read_expectations(file)


def test_a_file_cut_off_is_refused(file):
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(IntegrityError, match="Invalid JSON"):
        read_expectations(file)


def test_a_cell_that_stands_twice_is_refused(file):
    values = read_json(file)
    write_json(file, {**values, "cells": values["cells"] * 2})
    with pytest.raises(IntegrityError, match="got twice: multi / all / emotion / redv2"):
        read_expectations(file)
