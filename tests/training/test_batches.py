from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.modeling.ragged import RaggedTokens
from distilro.training.batches import (
    BatchLimits,
    group_by_length,
    measure_padding,
    plan_epochs,
)

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=300).map(np.array)


def redv2_like_lengths(rows: int) -> np.ndarray:
    """Token counts drawn with the mean, median and 95th percentile recorded for REDv2."""
    rng = np.random.default_rng(0)
    return np.clip(rng.gamma(3.0, 12.0, rows), 5, 110).astype(np.int64)


@given(LENGTHS, st.integers(1, 40), st.integers(1, 400))
def test_grouping_keeps_every_row_and_both_limits(lengths, examples, tokens):
    rows = np.arange(len(lengths))
    limits = BatchLimits(examples, tokens)
    groups = group_by_length(rows, lengths, limits, np.random.default_rng(1))
    assert Counter(np.concatenate(groups).tolist()) == Counter(rows.tolist())
    for group in groups:
        assert len(group) <= examples
        assert len(group) == 1 or len(group) * lengths[group].max() <= tokens


@given(st.dictionaries(st.sampled_from(["emotion", "topic"]), LENGTHS, min_size=1))
def test_every_example_comes_once_per_epoch_under_proportional_sampling(lengths):
    plan = plan_epochs(
        lengths, sampling="proportional", epochs=2, limits=BatchLimits(8, 200), seed=3
    )
    for epoch in plan:
        for task, values in lengths.items():
            rows = [b.rows for b in epoch if b.task == task]
            assert sorted(np.concatenate(rows).tolist()) == list(range(len(values)))


def test_annealed_sampling_moves_draws_to_the_small_task():
    lengths = {"emotion": np.full(100, 10), "topic": np.full(900, 10)}
    plan = plan_epochs(lengths, sampling="annealed", epochs=3, limits=BatchLimits(10, 1000), seed=0)
    drawn = [sum(len(b.rows) for b in epoch if b.task == "emotion") for epoch in plan]
    expected = [1000 / (1 + 9**alpha) for alpha in (1.0, 0.6, 0.2)]
    assert drawn == pytest.approx(expected, abs=1)


def test_examples_weigh_the_same_in_small_and_large_batches():
    lengths = {"emotion": np.array([1] * 30 + [50] * 10)}
    (epoch,) = plan_epochs(
        lengths, sampling="uniform", epochs=1, limits=BatchLimits(16, 100), seed=0
    )
    assert len({len(batch.rows) for batch in epoch}) > 1
    assert {batch.share for batch in epoch} == {len(epoch) / 40}


def test_examples_of_a_task_of_long_texts_weigh_no_more_than_those_of_short_ones():
    lengths = {"emotion": np.full(60, 5), "topic": np.full(60, 50)}
    (epoch,) = plan_epochs(
        lengths, sampling="uniform", epochs=1, limits=BatchLimits(16, 200), seed=0
    )
    sizes = {task: {len(b.rows) for b in epoch if b.task == task} for task in lengths}
    assert max(sizes["topic"]) < max(sizes["emotion"])
    weight = {task: sum(b.share * len(b.rows) for b in epoch if b.task == task) for task in lengths}
    assert weight["topic"] == pytest.approx(weight["emotion"])
    assert sum(weight.values()) == pytest.approx(len(epoch))


def test_the_plan_depends_on_the_seed_alone():
    lengths = {"emotion": redv2_like_lengths(200)}

    def flatten(seed):
        plan = plan_epochs(
            lengths, sampling="annealed", epochs=2, limits=BatchLimits(16, 2000), seed=seed
        )
        return [batch.rows.tolist() for epoch in plan for batch in epoch]

    assert flatten(5) == flatten(5)
    assert flatten(5) != flatten(6)


def test_at_least_95_of_100_tokens_are_real_on_redv2_lengths():
    lengths = {"emotion": redv2_like_lengths(4088)}
    plan = plan_epochs(
        lengths, sampling="proportional", epochs=1, limits=BatchLimits(32, 4096), seed=0
    )
    assert measure_padding(plan, lengths) >= 0.95


def test_short_and_long_texts_are_spread_over_an_epoch():
    lengths = {"emotion": redv2_like_lengths(4088)}
    (epoch,) = plan_epochs(
        lengths, sampling="proportional", epochs=1, limits=BatchLimits(32, 4096), seed=0
    )
    means = np.array([lengths["emotion"][batch.rows].mean() for batch in epoch])
    places = np.arange(len(means))
    assert abs(np.corrcoef(places, means)[0, 1]) < 0.25


def test_padding_fills_each_row_behind_its_own_tokens():
    tokens = RaggedTokens(np.array([1, 2, 3, 4], np.int32), np.array([0, 1, 4]))
    ids, mask = tokens.pad(np.array([1, 0]), pad_id=9)
    assert ids.tolist() == [[2, 3, 4], [1, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
