import math

import pytest

from distilro.delivery.comparisons import find_highest, name_models, name_rows, read_family
from distilro.delivery.inputs import Source
from distilro.errors import ExportError
from tests.delivery.evidence import make_comparison, make_family


def read(*rows):
    return read_family(Source("comparisons.json", make_family(*rows)))


def test_every_field_of_a_comparison_is_read_as_it_was_written():
    test = {"seed": 0, "reference_seed": 1, "only_recipe": 3, "only_reference": 4, "p": 0.5}
    family = read(make_comparison(mcnemar=[test]))
    (row,) = family.rows
    assert (row.recipe, row.reference, row.difference, row.items) == (
        "single_mixed", "single_ro", 0.03, 818,
    )  # fmt: skip
    assert (row.seed_tests[0].only_recipe, row.seed_tests[0].reference_seed) == (3, 1)
    assert (family.seeds_needed, family.correction, family.confidence) == (5, "holm", 0.95)


def test_a_number_that_is_null_is_not_defined():
    assert math.isnan(read(make_comparison(difference=None)).rows[0].difference)


@pytest.mark.parametrize("value", ["0.1", True])
def test_a_number_that_is_none_is_refused_by_name(value):
    with pytest.raises(ExportError, match=r"family\[0\]: low: expected a number or null"):
        read(make_comparison(low=value))


def test_an_unknown_verdict_is_refused():
    with pytest.raises(ExportError, match="verdict: expected one of higher"):
        read(make_comparison(verdict="better"))


def test_a_comparison_without_a_key_is_refused_by_name():
    row = make_comparison()
    del row["minimum_detectable"]
    with pytest.raises(ExportError, match="no key 'minimum_detectable'"):
        read(row)


def test_a_scope_is_named_only_where_a_recipe_has_several():
    names = name_models([("multi", "all"), ("pairs", "a-b"), ("pairs", "a-c"), ("multi", "all")])
    assert list(names.values()) == ["multi", "pairs (a-b)", "pairs (a-c)"]


def test_the_highest_value_is_found_among_those_that_are_defined():
    rows = read(
        make_comparison(recipe="a", value=None),
        make_comparison(recipe="b", value=0.4),
        make_comparison(recipe="c", value=0.6),
    ).rows
    assert find_highest(rows).recipe == "c"
    assert find_highest(rows[:1]) is None
    assert list(name_rows(rows).values()) == ["a", "b", "c"]
