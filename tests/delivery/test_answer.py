import math

import pytest

from distilro.delivery.answer import answer_questions, format_interval
from distilro.delivery.measures import group_test_sets, join_seeds
from tests.delivery.test_measures import make_score


def answer(**recipes):
    """Ask about recipes given as value, low, high."""
    scores = [
        make_score(recipe=name, value=value, low=low, high=high)
        for name, (value, low, high) in recipes.items()
    ]
    return answer_questions(group_test_sets(join_seeds(scores)), {"linear"})[0]


def test_the_highest_mean_is_the_headline_with_interval_count_and_seeds():
    found = answer(linear=(0.5, 0.4, 0.6), annealed=(0.55, 0.45, 0.65))
    assert found.headline == "annealed is highest: macro F1 0.550 [0.450, 0.650], n = 100, 1 seed."


def test_overlapping_intervals_are_said_to_overlap():
    verdict = answer(linear=(0.5, 0.4, 0.6), annealed=(0.55, 0.45, 0.65)).verdict
    assert "above it by 0.050" in verdict and "their intervals overlap" in verdict


def test_intervals_that_touch_overlap():
    assert "intervals overlap" in answer(linear=(0.5, 0.4, 0.6), multi=(0.7, 0.6, 0.8)).verdict


def test_every_recipe_whose_interval_is_higher_is_named():
    verdict = answer(
        linear=(0.5, 0.4, 0.6),
        multi=(0.7, 0.61, 0.8),
        annealed=(0.8, 0.7, 0.9),
        bad=(0.4, 0.3, 0.5),
    ).verdict
    assert verdict.endswith("clearly above it: annealed, multi.")


def test_neural_recipes_that_all_lose_are_said_to_lose():
    verdict = answer(linear=(0.8, 0.7, 0.9), multi=(0.5, 0.4, 0.6)).verdict
    assert "every neural recipe is clearly below it" in verdict


def test_all_lose_only_where_the_widest_interval_loses_too():
    wide = {"multi": (0.55, 0.5, 0.6), "annealed": (0.5, 0.2, 0.75)}
    verdict = answer(linear=(0.8, 0.7, 0.9), **wide).verdict
    assert "every neural recipe" not in verdict and "multi, is below it by 0.250" in verdict


@pytest.mark.parametrize("alone", ["linear", "multi"])
def test_without_a_baseline_or_a_rival_nothing_is_claimed(alone):
    assert "no linear baseline" in answer(**{alone: (0.5, 0.4, 0.6)}).verdict


def test_a_test_set_without_a_defined_value_says_so():
    nan = math.nan
    assert answer(linear=(nan, nan, nan)).headline == "No recipe has a value that is defined."


def test_english_test_sets_are_no_answer():
    sets = group_test_sets(join_seeds([make_score(language="en")]))
    assert answer_questions(sets, {"linear"}) == []


def test_a_missing_value_is_written_with_its_count():
    (measure,) = join_seeds([make_score(value=math.nan, n=0)])
    assert format_interval(measure) == "n/a (n=0)"
