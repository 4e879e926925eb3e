import math

from distilro.delivery.measures import group_test_sets, join_seeds
from distilro.delivery.robustness import build_elsewhere, build_robustness, describe_robustness
from tests.delivery.test_measures import make_score


def group(*scores):
    return group_test_sets(join_seeds(scores))


def test_a_rewritten_variant_stands_beside_its_distance_from_the_official_rows():
    sets = group(
        make_score(value=0.6),
        make_score(value=0.55, variant="stripped"),
        make_score(value=0.59, variant="deduplicated"),
        make_score(value=0.4, variant="typos"),
    )
    (table,) = build_robustness(sets)
    assert [cell.text for cell in table.head] == ["recipe", "official", "stripped", "typos"]
    assert [cell.text for cell in table.rows[0]] == ["linear", "0.600", "0.550", "0.400"]
    assert table.rows[0][2].note == "−0.050 from official"


def test_a_test_set_without_rewritten_rows_has_no_table():
    assert build_robustness(group(make_score(), make_score(variant="deduplicated"))) == []


def test_a_variant_is_summed_up_by_its_median_and_its_ends():
    sets = group(
        *(make_score(recipe=name, value=0.6) for name in "abc"),
        *(
            make_score(recipe=name, value=value, variant="stripped")
            for name, value in (("a", 0.5), ("b", 0.58), ("c", 0.61))
        ),
    )
    assert describe_robustness(sets) == [
        "Written without diacritics, texts change the score by −0.020 in the median "
        "(−0.100 for a on emotion, +0.010 for c on emotion)."
    ]


def test_a_variant_that_changes_nothing_names_no_recipe():
    sets = group(make_score(value=0.6), make_score(value=0.6, variant="cedilla"))
    said = "Written ş and ţ with a cedilla, texts change no score."
    assert describe_robustness(sets) == [said]


def test_a_value_that_is_not_defined_is_a_dash_and_counts_for_nothing():
    sets = group(make_score(), make_score(value=math.nan, n=0, variant="typos"))
    (table,) = build_robustness(sets)
    assert table.rows[0][2].text == "–"
    assert describe_robustness(sets) == []


def test_texts_from_elsewhere_stand_after_the_tasks_own():
    own, other = group(make_score(value=0.6)), group(make_score(value=0.4, test_set="xed_ro"))
    (table,) = build_elsewhere(own, other, {"redv2": "REDv2"})
    assert [cell.text for cell in table.head] == ["recipe", "redv2", "xed_ro"]
    assert [cell.text for cell in table.rows[0]] == ["linear", "0.600", "0.400"]
    assert build_elsewhere(own, [], {}) == []
