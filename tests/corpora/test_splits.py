"""Carving: exact sizes, every stratum in proportion, copies together, independent of the order."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.rows import Row
from distilro.corpora.splits import carve, share_out
from distilro.errors import DataError
from distilro.text import key


def build_rows(count: int) -> list[Row]:
    return [
        Row(f"textul cu numărul {number}", ("x",), f"f:{number}", stratum="ab"[number % 4 == 0])
        for number in range(count)
    ]


def names(rows: list[Row]) -> list[str]:
    return [row.source_row for row in rows]


def test_shares_by_largest_remainder_worked_by_hand():
    # 10 of 100: 5.5, 2.7 and 1.8; the two rows that are left go to .8 and .7.
    assert share_out(10, {"a": 55, "b": 27, "c": 18}) == {"a": 5, "b": 3, "c": 2}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.data())
def test_shares_add_up_and_are_within_one_row_of_the_proportion(counts, data):
    population = {str(index): count for index, count in enumerate(counts)}
    total = sum(counts)
    if total < 2:
        return
    wanted = data.draw(st.integers(1, total - 1))
    shares = share_out(wanted, population)
    assert sum(shares.values()) == wanted
    for name, share in shares.items():
        assert abs(share - wanted * population[name] / total) < 1


def test_sizes_are_exact_and_strata_in_proportion():
    left, parts = carve(build_rows(400), {"test": 0.2, "valid": 40}, salt="1")
    assert {name: len(rows) for name, rows in parts.items()} == {"test": 80, "valid": 40}
    assert len(left) == 280
    assert Counter(row.stratum for row in parts["test"]) == {"a": 60, "b": 20}
    assert Counter(row.stratum for row in parts["valid"]) == {"a": 30, "b": 10}


def test_the_parts_are_disjoint_and_whole_and_keep_the_order():
    rows = build_rows(100)
    left, parts = carve(rows, {"valid": 10, "test": 20}, salt="1")
    together = names(left) + names(parts["valid"]) + names(parts["test"])
    assert sorted(together) == sorted(names(rows))
    for part in (left, *parts.values()):
        assert names(part) == [name for name in names(rows) if name in set(names(part))]


@given(st.permutations(build_rows(30)))
def test_the_order_of_the_rows_does_not_matter(rows):
    _left, parts = carve(rows, {"valid": 6}, salt="1")
    _left, straight = carve(build_rows(30), {"valid": 6}, salt="1")
    assert set(names(parts["valid"])) == set(names(straight["valid"]))


def test_another_salt_draws_other_rows():
    drawn = [names(carve(build_rows(100), {"valid": 10}, salt=salt)[1]["valid"]) for salt in "12"]
    assert drawn[0] != drawn[1]


def test_copies_are_never_parted():
    rows = [
        Row(f"{'Bună' if number % 2 else 'BUNA'} ziua, {number // 3}!", ("x",), f"f:{number}")
        for number in range(120)
    ]
    left, parts = carve(rows, {"valid": 30}, salt="1")
    assert len(parts["valid"]) == 30
    assert not {key(row.text) for row in left} & {key(row.text) for row in parts["valid"]}


@pytest.mark.parametrize("size", [10, 11])
def test_more_than_there_is_cannot_be_carved(size):
    with pytest.raises(DataError, match="Cannot carve"):
        carve(build_rows(10), {"valid": size}, salt="1")


def test_a_size_that_would_part_copies_is_an_error():
    rows = [Row("la fel", ("x",), f"f:{number}") for number in range(10)]
    with pytest.raises(DataError, match="without parting copies"):
        carve(rows, {"valid": 3}, salt="1")
