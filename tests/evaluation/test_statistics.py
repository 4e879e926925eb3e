"""Bootstrap intervals: seeded, paired, fast, and as wide as they promise."""

import time

import numpy as np
import pytest

from distilro.corpora.examples import Task
from distilro.errors import SettingsError
from distilro.evaluation import statistics
from distilro.evaluation.metrics import compute_metrics, count_outcomes
from distilro.evaluation.statistics import Bootstrap, bootstrap_intervals, draw_weights

SMALL = Bootstrap(samples=400, seed=1)


def compute_mean(sums):
    return {"mean": sums[..., 0] / sums[..., 1]}


def count_mean(values):
    return np.stack([values, np.ones(len(values))], axis=1)


def draw_all(items, name, bootstrap):
    return np.concatenate(list(draw_weights(items, name, bootstrap)))


def test_a_resample_draws_as_many_items_as_there_are():
    weights = draw_all(50, "set", SMALL)
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean() == 1


def test_each_item_is_drawn_as_often_as_chance_says():
    weights = draw_all(50, "set", Bootstrap(samples=20_000, seed=2))
    share_left_out = (weights == 0).mean(axis=0)
    np.testing.assert_allclose(share_left_out, (1 - 1 / 50) ** 50, atol=0.02)


def test_resamples_depend_on_seed_name_and_size_alone():
    np.random.seed(3)
    first = draw_all(20, "redv2", SMALL)
    np.random.seed(4)
    np.testing.assert_array_equal(first, draw_all(20, "redv2", SMALL))
    assert not np.array_equal(first, draw_all(20, "carer", SMALL))
    assert not np.array_equal(first, draw_all(20, "redv2", Bootstrap(samples=400, seed=2)))


def test_the_memory_bound_is_no_part_of_the_result(monkeypatch):
    whole = draw_all(20, "set", SMALL)
    monkeypatch.setattr(statistics, "_WEIGHTS_AT_ONCE", 60)
    assert len(list(draw_weights(20, "set", SMALL))) > 100
    np.testing.assert_array_equal(whole, draw_all(20, "set", SMALL))


def test_two_models_of_a_test_set_meet_the_same_resamples():
    counts = count_mean(np.arange(30.0))
    low = bootstrap_intervals(counts, compute_mean, "set", SMALL)["mean"].low
    raised = count_mean(np.arange(5.0, 35.0))
    shifted = bootstrap_intervals(raised, compute_mean, "set", SMALL)["mean"].low
    assert shifted - low == pytest.approx(5)


def test_the_interval_is_that_of_resampling_one_by_one():
    values = np.random.default_rng(0).random(25)
    weights = draw_all(25, "set", SMALL)
    means = [np.repeat(values, row.astype(int)).mean() for row in weights]
    interval = bootstrap_intervals(count_mean(values), compute_mean, "set", SMALL)["mean"]
    assert interval.value == pytest.approx(values.mean())
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_the_interval_covers_the_truth_about_as_often_as_it_promises():
    generator = np.random.default_rng(11)
    covered = 0
    for trial in range(300):
        counts = count_mean((generator.random(200) < 0.6).astype(float))
        found = bootstrap_intervals(counts, compute_mean, f"set {trial}", SMALL)["mean"]
        covered += found.low <= 0.6 <= found.high
    assert 0.91 <= covered / 300 <= 0.98  # 0.95 give or take three standard errors


def test_a_wider_confidence_gives_a_wider_interval():
    counts = count_mean(np.random.default_rng(0).random(40))
    narrow, wide = (
        bootstrap_intervals(counts, compute_mean, "set", Bootstrap(400, level, 1))["mean"]
        for level in (0.8, 0.99)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_undefined_resamples_are_left_out():
    def compute_rare(sums):
        return {"rare": np.where(sums[..., 0] > 0, 1.0, np.nan)}

    counts = np.zeros((10, 1))
    counts[0] = 1
    interval = bootstrap_intervals(counts, compute_rare, "set", SMALL)["rare"]
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)


def test_an_undefined_value_has_no_interval_though_resamples_may():
    def compute_odd(sums):
        return {"odd": np.where(sums[..., 0] == 10, np.nan, 1.0)}

    counts = np.zeros((10, 1))
    counts[:5] = 2
    interval = bootstrap_intervals(counts, compute_odd, "set", SMALL)["odd"]
    assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_no_items_give_no_interval():
    counts = np.zeros((0, 2))
    with np.errstate(invalid="ignore"):
        interval = bootstrap_intervals(counts, compute_mean, "set", SMALL)["mean"]
    assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_a_thousand_resamples_of_a_large_test_set_take_about_a_second():
    task = Task("topic", "multi_class", tuple("abcdef"))
    gold, decided = np.random.default_rng(0).integers(6, size=(2, 7600))
    eye = np.eye(6, dtype=bool)
    counts = count_outcomes(task, eye[gold], eye[decided], np.ones((7600, 6), bool)).stack()
    start = time.process_time()
    bootstrap_intervals(counts, lambda sums: compute_metrics(task, sums), "set", Bootstrap())
    assert time.process_time() - start < 3  # a loop over resamples takes a minute


@pytest.mark.parametrize("values", [{"samples": 0}, {"confidence": 1.0}, {"seed": -1}])
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(SettingsError, match="bootstrap"):
        Bootstrap(**values)
