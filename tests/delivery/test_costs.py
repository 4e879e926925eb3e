import math

import pytest

from distilro.delivery.costs import build_costs, read_shape
from distilro.delivery.inputs import Source

RECIPES = Source("settings", {
    "linear": {"kind": "linear"},
    "single": {},
    "multi": {"teachers": ["single"]},
    "compact": {"init_from": "multi"},
})  # fmt: skip


def make_card(recipe, scope, seed=0, tokens=(1000,), parameters=500):
    stages = {"stages": [{"tokens": count} for count in tokens]} if tokens else {}
    return Source(
        f"models/{recipe}/{scope}/seed{seed}/card.json",
        {"recipe": recipe, "scope": scope, "seed": seed, "parameters": parameters,
         "tasks": ["emotion", "topic"] if scope == "all" else scope.split("-"), **stages},
    )  # fmt: skip


def make_record(stage, name, seconds, **more):
    return Source("record", {"stage": stage, "name": name, "seconds": seconds, **more})


def make_config(recipe, scope, seed=0):
    encoder = {
        "hidden_size": 2, "vocab_size": 90, "max_position_embeddings": 8, "type_vocab_size": 2,
    }  # fmt: skip
    return Source(f"models/{recipe}/{scope}/seed{seed}/config.json", {"encoder": encoder})


def test_flops_are_six_per_parameter_outside_the_embeddings_and_token():
    cards = [make_card("single", "emotion", seed, tokens=(1000, 500)) for seed in (0, 1)]
    configs = [make_config("single", "emotion", seed) for seed in (0, 1)]
    (cost,) = build_costs(cards, [], configs, RECIPES)
    assert read_shape(configs[0]).embedding_parameters == 200
    assert cost.tokens == 3000
    assert cost.flops == 6 * (500 - 200) * 3000


def test_what_no_file_tells_is_not_defined():
    (neural,) = build_costs([make_card("single", "emotion")], [], [], RECIPES)
    (linear,) = build_costs([make_card("linear", "emotion", tokens=())], [], [], RECIPES)
    assert math.isnan(neural.flops) and math.isnan(neural.total_seconds)
    assert math.isnan(linear.tokens)


def test_records_find_their_cell_even_where_one_name_begins_with_another():
    cards = [make_card("pairs", "emotion"), make_card("pairs", "emotion-topic")]
    records = [
        make_record("train", "pairs-emotion", 3.0),
        make_record("train", "pairs-emotion-topic", 7.0),
        make_record("logits", "pairs-emotion-topic-topic-ro1-en1", 2.0),
        make_record("logits", "pairs-emotion-topic-emotion-ro1-en1", 1.5),
        make_record("encoder", "scratch", 99.0),
        make_record("train", "another-emotion", 99.0),
    ]
    one, two = build_costs(cards, records, [], RECIPES)
    assert one.total_seconds == 3.0
    assert (two.seconds["train"], two.seconds["logits"]) == (7.0, 3.5)
    assert math.isnan(two.seconds["predict"])


def test_the_training_of_one_model_is_the_mean_of_its_seeds():
    cards = [make_card("single", "emotion", seed) for seed in range(3)]
    (cost,) = build_costs(cards, [make_record("train", "single-emotion", 12.0)], [], RECIPES)
    assert cost.training_seconds == 4.0


def test_seconds_that_leave_out_what_came_before_a_checkpoint_are_known_to():
    cards = [make_card("single", task) for task in ("emotion", "topic", "sentiment")]
    gone_on = {"seed0-stage0": 30}
    records = [
        make_record("train", "single-emotion", 1.0, resumed=gone_on),
        make_record("train", "single-topic", 1.0, resumed={}),
        make_record("train", "single-sentiment", 9.0, resumed=gone_on, earlier_seconds=8.0),
    ]
    costs = build_costs(cards, records, [], RECIPES)
    assert [cost.partial for cost in costs] == [True, False, False]
    assert [cost.seconds["train"] for cost in costs] == [1.0, 1.0, 9.0]
    assert math.isnan(costs[0].training_seconds) and costs[2].training_seconds == 9.0


def test_the_cost_with_teachers_adds_their_training_and_their_answers():
    cards = [
        make_card("single", "emotion"),
        make_card("single", "topic"),
        make_card("multi", "all"),
    ]
    records = [
        make_record("train", "single-emotion", 10.0),
        make_record("logits", "single-emotion-emotion-ro1", 1.0),
        make_record("train", "single-topic", 20.0),
        make_record("predict", "single-topic", 500.0),
        make_record("train", "multi-all", 100.0),
    ]
    costs = {(c.recipe, c.scope): c for c in build_costs(cards, records, [], RECIPES)}
    assert costs["multi", "all"].seconds_with_upstream == pytest.approx(131.0)
    assert costs["single", "topic"].seconds_with_upstream == 20.0


def test_out_of_fold_answers_cost_the_models_of_the_folds_and_not_the_teacher():
    recipes = Source("settings", {
        "single": {},
        "multi": {"teachers": ["single"], "teacher_logits": "out_of_fold"},
    })  # fmt: skip
    cards = [make_card("single", "emotion"), make_card("multi", "all")]
    records = [
        make_record("train", "single-emotion", 10.0),
        make_record("logits", "single-emotion-emotion-ro1", 1.0),
        make_record("folds", "single-emotion", 30.0),
        make_record("train", "multi-all", 100.0),
    ]
    teacher, student = build_costs(cards, records, [], recipes)
    assert student.seconds_with_upstream == 130.0
    assert teacher.teaching_seconds == 31.0


def test_a_student_encoder_is_part_of_what_its_recipe_costs():
    recipes = Source("settings", {"single": {"encoder": "half"}})
    records = [make_record("train", "single-emotion", 10.0), make_record("student", "half", 5.0)]
    (cost,) = build_costs([make_card("single", "emotion")], records, [], recipes)
    assert (cost.seconds_with_upstream, cost.total_seconds) == (15.0, 10.0)
