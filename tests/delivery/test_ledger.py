import math

import pytest

from distilro.delivery.costs import Cost
from distilro.delivery.ledger import build_ledger, build_paretos
from distilro.delivery.measures import group_test_sets, join_seeds
from distilro.delivery.standings import describe_standings, list_unbeaten
from tests.delivery.test_measures import make_score

KINDS = {"linear": "linear", "floor": "majority", "multi": "encoder", "weak": "encoder"}


def make_cost(recipe, seconds=60.0, **changes):
    fields = {
        "recipe": recipe, "scope": "emotion", "tasks": ("emotion",), "models": 2,
        "parameters": 5e6, "tokens": 1.2e6, "flops": 3.3e13, "partial": False,
        "upstream_seconds": math.nan,
        "seconds": {"train": seconds, "logits": math.nan, "folds": math.nan, "predict": 12.0},
    }  # fmt: skip
    return Cost(**{**fields, **changes})


def group(**values):
    return group_test_sets(join_seeds(make_score(recipe=n, value=v) for n, v in values.items()))


def test_a_row_tells_times_tokens_parameters_and_flops():
    (row,) = build_ledger([make_cost("multi")], {}, None).rows
    assert [cell.text for cell in row] == [
        "multi", "–", "2", "1 min 0 s", "1 min 0 s", "–", "12.0 s", "1.20 M", "5.00 M", "33.0 T",
    ]  # fmt: skip


def test_energy_is_seconds_times_declared_watts_and_is_left_out_without_them():
    cost = make_cost("multi", seconds=3588.0)
    table = build_ledger([cost], {}, 100.0)
    assert table.head[-1].note == "kWh at 100 W, declared"
    assert table.rows[0][-1].text == "0.1"
    assert "energy" not in [cell.text for cell in build_ledger([cost], {}, None).head]


def test_seconds_of_a_last_part_are_marked_and_have_no_point():
    cost = make_cost("multi", partial=True)
    (row,) = build_ledger([cost], {}, None).rows
    assert row[3].note == "last part alone"
    assert build_paretos([cost], group(multi=0.7), KINDS) == []


def test_a_recipe_that_is_not_above_the_lines_it_must_beat_is_named():
    sets = group(linear=0.6, floor=0.2, multi=0.7, weak=0.2)
    unbeaten = list_unbeaten(sets, KINDS)
    assert unbeaten == {("weak", "emotion"): ["floor on emotion", "linear on emotion"]}
    weak, multi = build_ledger([make_cost("weak"), make_cost("multi")], unbeaten, None).rows
    assert weak[1].text == "floor on emotion, linear on emotion"
    assert multi[1].text == "–"


def test_a_linear_baseline_is_held_against_the_majority_class_alone():
    assert list_unbeaten(group(linear=0.1, floor=0.2), KINDS) == {
        ("linear", "emotion"): ["floor on emotion"]
    }


@pytest.mark.parametrize(
    ("best", "said"),
    [(0.61, []), (0.6, ["On emotion no neural recipe is above linear (0.600)."])],
)
def test_a_task_on_which_nothing_beats_the_baseline_says_so(best, said):
    assert describe_standings(group(linear=0.6, floor=0.9, multi=best), KINDS) == said


def test_without_a_majority_recipe_only_the_baseline_counts():
    assert list_unbeaten(group(linear=0.6, multi=0.5), KINDS) == {
        ("multi", "emotion"): ["linear on emotion"]
    }


def test_a_cell_without_seconds_or_value_has_no_point():
    costs = [make_cost("linear"), make_cost("multi", seconds=math.nan), make_cost("weak")]
    (plot,) = build_paretos(costs, group(linear=0.6, multi=0.7, weak=math.nan), KINDS)
    assert [(p.name, p.seconds, p.shape) for p in plot.points] == [("linear", 30.0, "square")]
    assert build_paretos([costs[1]], group(multi=0.7), KINDS) == []
