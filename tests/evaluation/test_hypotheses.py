"""Tests of hypotheses: exact, never zero, and corrected for the family."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from distilro.errors import DataError
from distilro.evaluation.hypotheses import (
    adjust_holm,
    compute_bootstrap_p,
    compute_mcnemar_p,
    compute_minimum_detectable,
    compute_student_p,
    count_degrees,
    count_resamples,
)

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def test_mcnemar_by_hand():
    # ten rows speak for one model, two for the other: 2 (1 + 12 + 66) / 2 ** 12
    assert compute_mcnemar_p(2, 10) == 158 / 4096


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert compute_mcnemar_p(first, second) == pytest.approx(expected, rel=1e-9)


def test_models_that_never_differ_are_not_told_apart():
    assert compute_mcnemar_p(0, 0) == 1


def test_mcnemar_takes_thousands_of_rows():
    assert compute_mcnemar_p(2600, 2400) == pytest.approx(binomtest(2400, 5000).pvalue, rel=1e-9)


def test_a_negative_count_is_refused():
    with pytest.raises(DataError, match="-1"):
        compute_mcnemar_p(-1, 3)


def test_holm_by_hand():
    # sorted: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04 raised to the 0.06 before it
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_of_one_test_changes_nothing_and_of_none_is_empty():
    assert adjust_holm([0.04]) == [0.04]
    assert adjust_holm([]) == []


@given(P_VALUES)
def test_holm_rejects_what_its_stepwise_rule_rejects(p_values):
    alpha = 0.05
    rejected, left = set(), sorted(range(len(p_values)), key=lambda place: p_values[place])
    while left and p_values[left[0]] * len(left) < alpha:
        rejected.add(left.pop(0))
    adjusted = adjust_holm(p_values)
    assert {place for place, p in enumerate(adjusted) if p < alpha} == rejected


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order_and_never_lowers_a_p_value(p_values, random):
    adjusted = adjust_holm(p_values)
    assert all(p <= after <= 1 for p, after in zip(p_values, adjusted, strict=True))
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert adjust_holm([p_values[place] for place in order]) == [adjusted[place] for place in order]


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.1])
def test_holm_refuses_what_is_no_p_value(wrong):
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        adjust_holm([0.5, wrong])


def test_the_bootstrap_p_value_by_hand():
    # moved by the difference 2, the resamples are -2, -1, 0, 1, 2: two are as far away as 2
    assert compute_bootstrap_p(2.0, np.array([0.0, 1.0, 2.0, 3.0, 4.0])) == 3 / 6


def test_the_bootstrap_p_value_is_never_zero_and_one_where_there_is_no_difference():
    assert compute_bootstrap_p(1.0, np.full(999, 1.0)) == 1 / 1000
    assert compute_bootstrap_p(0.0, np.zeros(999)) == 1


def test_rounding_decides_no_tie():
    third = 1 / 3
    assert compute_bootstrap_p(third, np.array([2 * third + 1e-16, 1e-17])) == 1


@given(st.floats(-1, 1), st.integers(0, 2**32 - 1))
def test_the_bootstrap_p_value_is_the_same_for_either_side(difference, seed):
    resampled = difference + np.random.default_rng(seed).normal(size=200)
    assert compute_bootstrap_p(difference, resampled) == compute_bootstrap_p(
        -difference, -resampled
    )


def test_the_bootstrap_p_value_of_a_normal_difference_is_the_normal_tests():
    resampled = 0.02 + 0.01 * np.random.default_rng(1).normal(size=100_000)
    assert compute_bootstrap_p(0.02, resampled) == pytest.approx(2 * norm.sf(2), abs=0.002)


def test_the_minimum_detectable_difference_is_found_four_times_in_five():
    detectable = compute_minimum_detectable(0.01, 0.95)
    found = norm.sf(1.959964, loc=detectable / 0.01)
    assert found == pytest.approx(0.8, abs=1e-4)


def test_a_higher_confidence_detects_less():
    assert compute_minimum_detectable(1, 0.99) > compute_minimum_detectable(1, 0.95)


@given(st.integers(1, 500), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_a_family_of_any_size_can_be_told_apart(tests, confidence):
    samples = count_resamples(100, tests, confidence)
    assert samples >= 100
    assert tests / (samples + 1) < (1 - confidence) / 4


def test_student_s_p_value_is_that_of_scipy_and_becomes_the_normal_one():
    for degrees in (1.5, 4, 30):
        expected = 2 * t.sf(2.5, degrees)
        assert compute_student_p(-0.05, 0.02, degrees) == pytest.approx(expected)
    assert compute_student_p(0.05, 0.02, np.inf) == pytest.approx(2 * norm.sf(2.5))
    assert (compute_student_p(0.0, 0.0, 3), compute_student_p(0.1, 0.0, 3)) == (1, 0)


def test_degrees_are_those_of_welch_where_two_sides_are_all_that_varies():
    parts = [(0.04, 5), (0.01, 3)]
    welch = 0.05**2 / (0.04**2 / 4 + 0.01**2 / 2)
    assert count_degrees(0.05, parts) == pytest.approx(welch)
    assert count_degrees(0.03, parts) == pytest.approx(welch)  # a whole below its parts
    assert count_degrees(0.5, parts) == pytest.approx(100 * welch)
    assert count_degrees(0.5, []) == count_degrees(0.5, [(0.0, 5)]) == np.inf
