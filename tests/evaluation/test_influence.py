"""Influence: only pairs that one thing sets apart, and the effect of that thing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.errors import DataError, SettingsError
from distilro.evaluation.comparisons import Pair, measure_effect
from distilro.evaluation.influence import Addition, PlainCell, find_additions, measure_influence
from distilro.evaluation.runs import resample_runs
from distilro.evaluation.statistics import Bootstrap
from tests.evaluation.studies import Study, make_predictions


def make_cell(recipe, scope="all", **datasets):
    return PlainCell(recipe, scope, {task: frozenset(names) for task, names in datasets.items()})


RO = make_cell("ro", "emotion", emotion=["redv2"])
EN = make_cell("en", "emotion", emotion=["carer"])
MIXED = make_cell("mixed", "emotion", emotion=["redv2", "carer"])
PAIR_OF_TASKS = make_cell("multi", "two", emotion=["redv2", "carer"], topic=["moroco"])
THREE_TASKS = make_cell(
    "multi", "all", emotion=["redv2", "carer"], topic=["moroco"], sentiment=["laroseda", "sst2"]
)


def name_additions(*cells):
    return [
        (found.kind, found.added, found.pair.task, found.pair.recipe, found.pair.reference)
        for found in find_additions(cells)
    ]


def test_a_dataset_is_added_where_it_alone_is_new():
    assert name_additions(RO, EN, MIXED) == [
        ("dataset", "carer", "emotion", "mixed", "ro"),
        ("dataset", "redv2", "emotion", "mixed", "en"),
    ]


def test_a_task_is_added_with_all_its_datasets_and_tested_on_the_tasks_of_both():
    found = find_additions([PAIR_OF_TASKS, THREE_TASKS])
    assert found == [
        Addition("task", "sentiment", Pair(task, "multi", "all", "multi", "two"))
        for task in ("emotion", "topic")
    ]


def test_a_dataset_of_one_task_is_tested_on_the_other_task_too():
    less = make_cell("multi_ro", "two", emotion=["redv2"], topic=["moroco"])
    assert name_additions(less, PAIR_OF_TASKS) == [
        ("dataset", "carer", "emotion", "multi", "multi_ro"),
        ("dataset", "carer", "topic", "multi", "multi_ro"),
    ]


@pytest.mark.parametrize(
    "cells",
    [
        (RO, EN),  # one for another
        (RO, RO.__class__("again", "emotion", RO.datasets)),  # nothing more
        (RO, PAIR_OF_TASKS),  # a task and a dataset
        (MIXED, THREE_TASKS),  # two tasks
        (make_cell("a", a=["x"]), make_cell("b", a=["x", "y", "z"])),  # two datasets
        (make_cell("a", a=["x"]), make_cell("b", b=["x"])),  # a task for another
        (make_cell("a", a=["x", "y"]), make_cell("b", a=["x"], b=["z"])),  # a dataset for a task
    ],
)
def test_cells_that_differ_otherwise_are_no_pair(cells):
    assert find_additions(cells) == []


@given(st.permutations([RO, EN, MIXED, PAIR_OF_TASKS, THREE_TASKS]))
def test_the_order_of_the_cells_changes_nothing(cells):
    assert find_additions(cells) == find_additions([RO, EN, MIXED, PAIR_OF_TASKS, THREE_TASKS])


def test_what_else_differs_is_said_where_both_have_it():
    few = replace(RO, conditions={"schedule": "short"})
    more = replace(MIXED, conditions={"schedule": "long", "sampling": "uniform"})
    assert {found.also for found in find_additions([few, more])} == {("schedule",)}
    alike = replace(more, conditions={"schedule": "short"})
    assert {found.also for found in find_additions([few, alike])} == {()}


SOURCES = st.dictionaries(
    st.sampled_from("abc"), st.frozensets(st.sampled_from("xyz"), min_size=1), min_size=1
)


@given(st.lists(SOURCES, min_size=2, max_size=5))
def test_taking_the_added_thing_away_gives_the_other_cell(learned):
    cells = [PlainCell(f"r{place}", "all", datasets) for place, datasets in enumerate(learned)]
    datasets_of = {cell.recipe: cell.datasets for cell in cells}
    for found in find_additions(cells):
        richer = {task: set(names) for task, names in datasets_of[found.pair.recipe].items()}
        poorer = {task: set(names) for task, names in datasets_of[found.pair.reference].items()}
        assert found.pair.task in poorer
        if found.kind == "task":
            del richer[found.added]
            assert richer == poorer
        else:
            changed = [task for task in richer if richer[task] != poorer[task]]
            assert len(changed) == 1
            assert richer[changed[0]] - {found.added} == poorer[changed[0]]


def resample(predictions):
    return resample_runs(predictions, threshold=0.5, bootstrap=Bootstrap(200, 0.95, 1))


def test_a_row_says_what_was_added_where_and_by_how_much():
    study = Study(spread=0.01, effect=0.2, seeds=3, old_seeds=2)
    runs = resample(study.simulate(np.random.default_rng(1), "emotion"))
    cells = [make_cell("old", emotion=["redv2"]), make_cell("new", emotion=["redv2", "carer"])]
    (row,) = measure_influence(find_additions(cells), runs, 0.95)
    effect = measure_effect(runs["emotion", "new", "all"], runs["emotion", "old", "all"], 0.95)
    assert row == {
        "kind": "dataset",
        "added": "carer",
        "task": "emotion",
        "test_set": "emotion_test",
        "metric": "macro_f1",
        "with": {"recipe": "new", "scope": "all"},
        "without": {"recipe": "old", "scope": "all"},
        "also": [],
        "difference": effect.difference,
        "low": effect.low,
        "high": effect.high,
        "minimum_detectable": effect.minimum_detectable,
        "seeds": 2,
        "items": 200,
    }
    assert row["low"] < 0.2 < row["high"]


def test_a_cell_without_predictions_is_named():
    runs = resample([make_predictions([True] * 4, task="emotion", recipe="ro", scope="emotion")])
    with pytest.raises(DataError, match="mixed/emotion"):
        measure_influence(find_additions([RO, MIXED]), runs, 0.95)


def test_a_cell_that_stands_twice_is_named():
    with pytest.raises(SettingsError, match="ro/emotion stands twice"):
        find_additions([RO, MIXED, RO])
