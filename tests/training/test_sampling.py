from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.training.sampling import allot_draws, choose_exponent, draw_indices

SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), min_size=1)


def test_annealed_sampling_follows_the_formula():
    exponents = [choose_exponent("annealed", epoch, 5) for epoch in range(1, 6)]
    assert exponents == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_annealed_sampling_of_one_epoch_is_proportional():
    assert choose_exponent("annealed", 1, 1) == 1.0


@pytest.mark.parametrize(
    ("sampling", "exponent"),
    [("proportional", 1.0), ("square_root", 0.5), ("uniform", 0.0), (0.75, 0.75)],
)
def test_named_and_numbered_sampling_have_a_constant_exponent(sampling, exponent):
    assert {choose_exponent(sampling, epoch, 4) for epoch in range(1, 5)} == {exponent}


@given(SIZES, st.floats(0, 1))
def test_an_epoch_has_as_many_examples_as_all_tasks_together(sizes, exponent):
    draws = allot_draws(sizes, exponent)
    assert sum(draws.values()) == sum(sizes.values())
    weights = np.array([size**exponent for size in sizes.values()])
    exact = sum(sizes.values()) * weights / weights.sum()
    assert np.abs(np.array(list(draws.values())) - exact).max() < 1.0


@given(SIZES)
def test_proportional_sampling_takes_every_example_once(sizes):
    assert allot_draws(sizes, 1.0) == sizes


@given(st.integers(1, 50), st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_draws_go_on_where_the_last_epoch_stopped_and_none_comes_twice_too_early(size, counts):
    drawn, start = [], 0
    for count in counts:
        drawn.extend(draw_indices(size, start=start, count=count, seed=(7, 0)).tolist())
        start += count
    whole = draw_indices(size, start=0, count=sum(counts), seed=(7, 0)).tolist()
    assert drawn == whole
    for begin in range(0, len(drawn) - size + 1, size):
        assert sorted(drawn[begin : begin + size]) == list(range(size))
    tallies = Counter(drawn).values()
    assert not drawn or max(tallies) <= -(-len(drawn) // size)


def test_another_seed_draws_another_order():
    first = draw_indices(100, start=0, count=100, seed=(0, 0))
    assert not np.array_equal(first, draw_indices(100, start=0, count=100, seed=(1, 0)))
