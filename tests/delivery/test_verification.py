"""Verification: what is allowed, how often faithful runs pass, and what is found.

Runs are drawn here as the module's docstring assumes them, and as it does not.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nct, norm, t, ttest_ind_from_stats

from distilro.delivery.expectations import summarise_measures
from distilro.delivery.measures import Measure
from distilro.delivery.verification import (
    TOLERANCE,
    describe_verification,
    estimate_error,
    find_allowed,
    verify_run,
)
from tests.delivery.test_expectations import make_expectations

CONFIDENCE = 0.95
ITEMS = 818
QUANTILE = norm.ppf(0.975)
PAIRS, CELLS = 400, 20
LEAST = CONFIDENCE - 3 * (CONFIDENCE * (1 - CONFIDENCE) / PAIRS) ** 0.5


def make_measure(values, *, half_width=0.03, test_set="redv2", n=ITEMS, **changes):
    mean = math.fsum(values) / len(values)
    fields = {"recipe": "multi", "scope": "all", "task": "emotion", "language": "ro"}
    fields |= {"variant": "official", "metric": "macro_f1", **changes}
    bounds = {"low": mean - half_width, "high": mean + half_width}
    seeds = tuple(range(len(values)))
    return Measure(
        **fields, **bounds, test_set=test_set, value=mean, n=n, seeds=seeds, values=tuple(values)
    )


def make_run(table, **changes):
    """Return measures: a row of `table` is a cell, a column a seed."""
    return [
        make_measure(row, test_set=f"set{place:02}", **changes)
        for place, row in enumerate(np.asarray(table).tolist())
    ]


def name_labels(measures, *labels):
    """Add the metrics from which the labels of the emotion task are known."""
    return [*measures, *(make_measure([0.5], metric=f"f1_{label}") for label in labels)]


def publish(measures, deterministic=()):
    cells = summarise_measures(measures, deterministic=deterministic, confidence=CONFIDENCE)
    expected = make_expectations(cells)
    return expected.model_copy(update={"labels": {cell.task: () for cell in cells}})


def verify(published, here, deterministic=()):
    return verify_run(publish(published, deterministic), here)


def find_only(published, here, deterministic=()):
    (finding,) = verify([published], [here], deterministic).findings
    return finding


def share_of_passes(published, here, **changes):
    """Return the share of simulated pairs of runs, [R, cells, seeds], in which all cells agree."""
    pairs = zip(published, here, strict=True)
    passed = [verify(make_run(a, **changes), make_run(b, **changes)).reproduced for a, b in pairs]
    return float(np.mean(passed))


# A worked example


def test_what_is_allowed_worked_out_by_hand():
    # Both runs have values 0.50, 0.52 and 0.54: a standard deviation of 0.02 with 4 degrees of
    # freedom together, hence 2.776 * 0.02 * sqrt(1/3 + 1/3) = 0.0453 from any table of t.
    values = np.array([0.50, 0.52, 0.54])
    agree = find_only(make_measure(values), make_measure(values + 0.045))
    differ = find_only(make_measure(values), make_measure(values + 0.046))
    assert (agree.verdict, differ.verdict) == ("agree", "differ")
    assert agree.allowed == pytest.approx(0.0453, abs=5e-5)
    assert agree.difference == pytest.approx(0.045)
    assert (agree.check, agree.weak) == ("seeds", False)


def test_a_new_run_of_one_seed_is_held_against_the_published_spread():
    # Two degrees of freedom: 4.303 * 0.02 * sqrt(1/3 + 1) = 0.0994.
    finding = find_only(make_measure([0.50, 0.52, 0.54]), make_measure([0.60]))
    assert finding.allowed == pytest.approx(0.0994, abs=5e-5)
    assert (finding.verdict, finding.weak) == ("agree", False)


def test_with_one_seed_on_both_sides_the_error_over_items_stands_in_and_the_check_is_weak():
    # Intervals of 0.03 to each side: sqrt(2) * 0.03 of difference.
    finding = find_only(make_measure([0.50]), make_measure([0.55]))
    assert finding.allowed == pytest.approx(2**0.5 * 0.03)
    assert (finding.verdict, finding.check, finding.weak) == ("differ", "items", True)


def test_a_spread_that_only_the_new_run_knows_is_weak():
    finding = find_only(make_measure([0.52]), make_measure([0.50, 0.52, 0.54]))
    assert (finding.verdict, finding.check, finding.weak) == ("agree", "seeds", True)


def test_a_check_that_allows_ten_points_is_weak_however_well_it_agrees():
    # Two degrees of freedom: 4.303 * 0.0354 * 1 = 0.152 for 0.05 between seeds, 0.061 for 0.02.
    wide, narrow = make_measure([0.50, 0.55]), make_measure([0.50, 0.52])
    assert find_only(wide, wide).allowed == pytest.approx(0.152, abs=5e-4)
    assert find_only(wide, wide).weak
    assert not find_only(narrow, narrow).weak


@pytest.mark.parametrize(("shift", "verdict"), [(0.0049, "agree"), (-0.0051, "differ")])
def test_a_recipe_without_chance_agrees_within_the_tolerance(shift, verdict):
    here = make_measure([0.6 + shift], recipe="linear")
    finding = find_only(make_measure([0.6], recipe="linear"), here, {"linear"})
    assert (finding.verdict, finding.check, finding.weak) == (verdict, "tolerance", False)
    assert finding.allowed == TOLERANCE


# Properties


@given(st.lists(st.floats(0.2, 0.8), min_size=1, max_size=5))
def test_a_run_agrees_with_itself(values):
    measure = make_measure(values)
    assert find_only(measure, measure).verdict == "agree"


@given(
    st.lists(st.floats(0.2, 0.8), min_size=1, max_size=5),
    st.lists(st.floats(0.2, 0.8), min_size=1, max_size=5),
)
def test_it_makes_no_difference_which_run_was_published(one, other):
    there = find_only(make_measure(one), make_measure(other))
    back = find_only(make_measure(other), make_measure(one))
    assert there.allowed == pytest.approx(back.allowed)
    assert there.difference == pytest.approx(-back.difference)


@given(st.integers(1, 60))
def test_more_cells_allow_more_in_each(cells):
    one = verify(make_run([[0.5, 0.6]]), make_run([[0.5, 0.6]])).findings[0].allowed
    table = [[0.5, 0.6]] * (cells + 1)
    assert verify(make_run(table), make_run(table)).findings[0].allowed > one


def test_equal_seeds_by_luck_leave_room_for_rounding_to_an_item():
    measure = make_measure([0.5, 0.5], n=20)
    here = make_measure([0.5, 0.5 + 1 / 20], n=20)
    finding = find_only(measure, here)
    assert finding.verdict == "agree"
    error = estimate_error(*(publish([part]).cells[0] for part in (measure, measure)))
    assert error.value == pytest.approx(1 / (20 * 12**0.5))


# Equality with a reference


@given(
    st.lists(st.integers(200, 800), min_size=1, max_size=6),
    st.lists(st.integers(200, 800), min_size=2, max_size=6),
)
def test_one_cell_agrees_where_students_test_of_two_samples_does(one, other):
    published, here = np.array(one) / 1000, np.array(other) / 1000
    finding = find_only(make_measure(published, n=10**6), make_measure(here, n=10**6))
    spreads = [float(np.std(part, ddof=1)) if len(part) > 1 else 0.0 for part in (published, here)]
    if max(spreads) == 0 or min(len(published), len(here)) < 2:
        return
    sides = zip((published, here), spreads, strict=True)
    (mean_a, sd_a, n_a), (mean_b, sd_b, n_b) = [(p.mean(), s, len(p)) for p, s in sides]
    p = ttest_ind_from_stats(mean_a, sd_a, n_a, mean_b, sd_b, n_b, equal_var=True).pvalue
    if abs(p - 0.05) > 1e-6:
        assert (finding.verdict == "agree") == (p > 0.05)


@pytest.mark.parametrize("seeds", [(5, 5), (5, 1), (1, 5), (2, 3)])
def test_the_level_is_shared_among_the_cells_by_bonferroni(seeds):
    cells, rng = 30, np.random.default_rng(1)
    published, here = (rng.normal(0.6, 0.01, (cells, count)) for count in seeds)
    finding = verify(make_run(published), make_run(here)).findings[0]
    (cell,), (found,) = (publish([make_measure(part[0])]).cells for part in (published, here))
    error = estimate_error(cell, found)
    assert finding.allowed == pytest.approx(find_allowed(error, 1 - 0.05 / cells))
    assert finding.allowed == pytest.approx(
        t.ppf(1 - 0.05 / (2 * cells), sum(seeds) - 2) * error.value
    )


# How often faithful runs pass: 0.95 of the time or more, but for what 400 pairs leave to chance.


@pytest.mark.parametrize("seeds", [(5, 5), (5, 1), (1, 5), (2, 2), (3, 2)])
def test_a_faithful_run_passes_in_all_cells_at_once(seeds):
    rng = np.random.default_rng(sum(seeds))
    spreads = rng.uniform(0.003, 0.03, (CELLS, 1))  # each cell its own
    published, here = (
        0.6 + spreads * rng.standard_normal((PAIRS, CELLS, count)) for count in seeds
    )
    assert share_of_passes(published, here) >= LEAST


def test_a_faithful_run_passes_where_its_cells_depend_on_one_another():
    rng = np.random.default_rng(7)
    runs = []
    for _ in range(2):
        shared, own = rng.standard_normal((PAIRS, 1, 5)), rng.standard_normal((PAIRS, CELLS, 5))
        runs.append(0.6 + 0.01 * (0.95 * shared + 0.31 * own))
    assert share_of_passes(*runs) >= LEAST


def test_a_faithful_run_passes_where_values_are_counts_of_few_items():
    rng = np.random.default_rng(8)
    items = 30
    runs = [rng.binomial(items, 0.95, (PAIRS, CELLS, 3)) / items for _ in range(2)]
    assert share_of_passes(*runs, n=items) >= LEAST


def test_a_faithful_run_of_one_seed_passes_where_the_seed_moves_items_independently():
    rng = np.random.default_rng(9)
    rates = rng.beta(4, 2, (CELLS, ITEMS))  # how often an item is right, over seeds
    half_width = QUANTILE * (rates.mean() * (1 - rates.mean()) / ITEMS) ** 0.5
    runs = [(rng.random((PAIRS, CELLS, ITEMS)) < rates).mean(2)[..., None] for _ in range(2)]
    assert share_of_passes(*runs, half_width=half_width) >= LEAST


def test_the_pass_rate_is_not_high_because_everything_passes():
    # One cell in one pair: the level itself, within three standard errors of 2,000 pairs.
    rng = np.random.default_rng(10)
    published, here = (rng.normal(0.6, 0.01, (2000, 1, 5)) for _ in range(2))
    assert share_of_passes(published, here) == pytest.approx(0.95, abs=0.015)


# What is found


def test_a_shift_in_one_cell_is_found_as_often_as_theory_says():
    seeds, shift = 5, 4.0  # the shift in standard deviations
    rng = np.random.default_rng(11)
    published, here = (rng.normal(0.6, 0.01, (PAIRS, CELLS, seeds)) for _ in range(2))
    here[:, 3] += shift * 0.01
    found = []
    for a, b in zip(published, here, strict=True):
        findings = verify(make_run(a), make_run(b)).findings
        found.append(findings[3].verdict == "differ")
    degrees = 2 * seeds - 2
    bound = t.ppf(1 - 0.05 / (2 * CELLS), degrees)
    power = nct.sf(bound, degrees, shift / (2 / seeds) ** 0.5)
    assert 0.7 < power < 0.99
    assert np.mean(found) == pytest.approx(power, abs=4 * (power * (1 - power) / PAIRS) ** 0.5)


def test_a_shift_of_ten_points_is_found_and_named():
    rng = np.random.default_rng(12)
    published, here = (rng.normal(0.6, 0.01, (30, 5)) for _ in range(2))
    here[3] -= 0.1
    verification = verify(make_run(published), make_run(here))
    (finding,) = [f for f in verification.findings if f.verdict == "differ"]
    assert finding.cell.test_set == "set03"
    assert finding.difference == pytest.approx(here[3].mean() - published[3].mean())
    assert not verification.reproduced


def test_a_cell_that_was_not_run_is_missing_and_one_beside_them_does_no_harm():
    one, two, three = make_run([[0.5, 0.6], [0.5, 0.6], [0.5, 0.6]])
    verification = verify([one, two], [two, three])
    assert [f.verdict for f in verification.findings] == ["missing", "agree", "extra"]
    assert [f.cell.test_set for f in verification.findings] == ["set00", "set01", "set02"]
    assert verification.tests == 1
    assert not verification.reproduced
    assert verify([two], [two, three]).reproduced


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n": 800}, "items: 818 published, 800 here"),
        ({"metric": "accuracy"}, "metric: macro_f1 published, accuracy here"),
    ],
)
def test_what_was_measured_otherwise_is_not_comparable_and_both_values_are_kept(changes, reason):
    finding = find_only(make_measure([0.5, 0.6]), make_measure([0.5, 0.62], **changes))
    assert (finding.verdict, finding.reason) == ("not comparable", reason)
    assert (finding.published.mean, finding.here.mean) == pytest.approx((0.55, 0.56))
    assert finding.difference is None


def test_other_labels_are_not_comparable():
    measures = name_labels([make_measure([0.5])], "joy", "trust")
    expected = publish(measures).model_copy(update={"labels": {"emotion": ("joy", "trust")}})
    assert verify_run(expected, measures).reproduced
    verification = verify_run(expected, name_labels([make_measure([0.5])], "joy"))
    (finding,) = verification.findings
    assert finding.verdict == "not comparable"
    assert finding.reason == "labels: joy, trust published, joy here"
    assert not verification.reproduced


def test_a_value_that_is_undefined_in_both_agrees_and_in_one_is_not_comparable():
    nan = math.nan
    undefined = make_measure([nan, nan])
    assert find_only(undefined, undefined).verdict == "agree"
    finding = find_only(make_measure([0.5, 0.6]), undefined)
    assert (finding.verdict, finding.reason) == (
        "not comparable",
        "defined: True published, False here",
    )


def test_the_description_counts_every_verdict_and_keeps_both_sides():
    one, two = make_run([[0.5, 0.6], [0.5, 0.6]])
    described = describe_verification(verify([one, two], [two]))
    assert described["counts"] == {
        "agree": 1, "extra": 0, "not comparable": 0, "missing": 1, "differ": 0
    }  # fmt: skip
    assert described["reproduced"] is False
    assert described["findings"][0]["published"]["test_set"] == "set00"
    assert described["findings"][0]["here"] is None
    assert described["findings"][1]["here"]["mean"] == pytest.approx(0.55)
