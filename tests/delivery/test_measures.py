import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.delivery.measures import group_test_sets, join_seeds, read_measures
from distilro.errors import ExportError
from distilro.evaluation.scores import Score, write_scores


def make_score(seed=0, value=0.5, **changes):
    fields = {
        "recipe": "linear",
        "scope": "emotion",
        "task": "emotion",
        "test_set": "redv2",
        "language": "ro",
        "variant": "official",
        "metric": "macro_f1",
        "low": value - 0.1,
        "high": value + 0.2,
        "n": 100,
    }
    return Score(seed=seed, value=value, **{**fields, **changes})


def test_two_seeds_become_their_mean_with_the_mean_of_their_intervals():
    (measure,) = join_seeds([make_score(1, 0.6), make_score(0, 0.5)])
    assert (measure.value, measure.low, measure.high) == pytest.approx((0.55, 0.45, 0.75))
    assert measure.seeds == (0, 1)
    assert measure.values == (0.5, 0.6)


def test_a_seed_without_a_value_makes_the_mean_undefined():
    (measure,) = join_seeds([make_score(0, 0.5), make_score(1, math.nan, n=0)])
    assert not measure.defined
    assert measure.n == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_seeds_does_not_matter(values, random):
    scores = [make_score(seed, value) for seed, value in enumerate(values)]
    shuffled = random.sample(scores, len(scores))
    assert join_seeds(scores) == join_seeds(shuffled)


def test_romanian_test_sets_come_first_and_validation_sets_not_at_all():
    scores = [
        make_score(test_set="carer", language="en"),
        make_score(),
        make_score(test_set="redv2-valid"),
    ]
    assert [found.name for found in group_test_sets(join_seeds(scores))] == ["redv2", "carer"]


def test_accuracy_speaks_for_a_test_set_whose_macro_f1_is_not_defined():
    scores = [make_score(value=math.nan, n=0), make_score(metric="accuracy")]
    (test_set,) = group_test_sets(join_seeds(scores))
    assert test_set.primary == "accuracy"
    assert test_set.list_metrics() == ["accuracy", "macro_f1"]


def test_a_test_set_where_nothing_is_defined_keeps_its_first_metric():
    (test_set,) = group_test_sets(join_seeds([make_score(value=math.nan, n=0)]))
    assert test_set.primary == "macro_f1"
    assert test_set.find("linear", "emotion", "official", "macro_f1").n == 0
    assert test_set.find("linear", "emotion", "stripped", "macro_f1") is None


def test_variants_stand_in_the_order_of_the_evaluation():
    scores = [make_score(variant=name) for name in ("stripped", "official", "deduplicated")]
    (test_set,) = group_test_sets(join_seeds(scores))
    assert test_set.variants == ("official", "deduplicated", "stripped")


def test_a_matrix_without_rows_is_refused(tmp_path):
    write_scores(tmp_path / "matrix.parquet", [])
    with pytest.raises(ExportError, match="no rows"):
        read_measures(tmp_path / "matrix.parquet")
