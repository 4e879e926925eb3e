"""One recipe: what is taken, what is refused, and that nothing without an effect is accepted."""

import pytest

from distilro.errors import SettingsError
from distilro.recipe_settings import AdversarySettings, AlignmentSettings, Recipe
from distilro.settings import check_section

BOTH = [{"ro": 1.0, "en": 1.0}]
TAUGHT = {"teachers": ["a"], "anneal": 0.5}


def test_a_recipe_that_says_nothing_is_an_encoder_on_romanian_rows():
    recipe = check_section(Recipe, {})
    assert (recipe.kind, recipe.scope, recipe.stages) == ("encoder", "task", ({"ro": 1.0},))
    assert recipe.choose_selection("emotion") == "ro"


def test_an_adversary_and_an_alignment_that_say_nothing_add_the_paper_s_or_nothing():
    assert AdversarySettings().target == {"ro": 1.0}
    assert AdversarySettings().gradient_penalty is None  # hence the clipped critic
    losses = AlignmentSettings()
    assert (losses.soft, losses.masked, losses.cosine, losses.hidden) == (1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"teachers": ["a"]}, "come together"),
        ({"anneal": 0.5}, "come together"),
        ({"kind": "linear", "scope": "all"}, "a linear recipe has scope task"),
        ({"kind": "majority", **TAUGHT}, "a majority recipe has scope task and no teachers"),
        ({"kind": "linear", "stages": [{"en": 1.0}, {"ro": 1.0}]}, "one stage"),
        ({"stages": []}, "at least one stage"),
        ({"stages": [{"ro": 1.0}, {}]}, "at least one stage, each with one language"),
        ({"stages": [{"ro": 0.0}]}, "greater than 0"),
        ({"stages": [{"de": 1.0}]}, "'ro' or 'en'"),
        ({"tasks": ["topic", "topic"]}, "a task twice"),
        ({"anneal": "sometimes", "teachers": ["a"]}, "anneal"),
        ({"anneal": 1.5, "teachers": ["a"]}, "less than or equal to 1"),
        ({"sampling": "randomly"}, "sampling"),
        ({"votes": 0.0}, "votes"),
        ({"question": "money"}, "question"),
        ({"reference": "No Name"}, "reference"),
        ({"without": {"topic": "en"}}, "without needs scope all"),
        ({"without": {"topic": "de"}, "scope": "all"}, "'ro' or 'en'"),
        ({"without": {"topic": "ro"}, "scope": "all"}, "leaves topic nothing in a stage of ro"),
        (
            {"without": {"topic": "en"}, "scope": "all"},
            "leaves out en of topic, which no stage has",
        ),
        (
            {"without": {"topic": "ro"}, "scope": "all", "stages": BOTH, "adversary": {}},
            "without is not for an adversary",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        check_section(Recipe, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 2.0}, "temperature needs teachers"),
        ({"ensemble": "mean_logit"}, "ensemble needs teachers"),
        ({"teacher_seeds": "all"}, "teacher_seeds needs teachers"),
        ({"teacher_logits": "out_of_fold"}, "teacher_logits needs teachers"),
        ({"student": {}}, "need init_from"),
        ({"alignment": {"cosine": 1.0}}, "need init_from"),
        ({"init_from": "a", "alignment": {}}, "alignment needs one weight"),
        (
            {"init_from": "a", "student": {"hidden": 8, "init": "random"}},
            "init has no effect on another width",
        ),
        ({"adversary": {}}, "every stage needs en"),
        ({"weighting": "difficulty"}, "weighting needs a scope of several tasks"),
        ({"encoder": "half", "init_from": "a"}, "two beginnings"),
        ({"keep_optimiser": True}, "keep_optimiser needs several stages"),
        ({"redraw": True}, "redraw needs a stage after the first"),
        ({"redraw": True, "stages": [{"en": 0.5}, {"ro": 1.0}]}, "with a share below 1"),
        ({"kind": "linear", "votes": 0.5}, "votes is for encoders: a linear recipe"),
        ({"kind": "linear", "encoder": "half"}, "encoder is for encoders"),
        ({"kind": "majority", "init_from": "a"}, "init_from is for encoders"),
        ({"kind": "majority", "task_weights": {"topic": 2.0}}, "task_weights is for encoders"),
        ({"kind": "linear", "adversary": {}, "stages": [{"en": 1.0}]}, "adversary is for enc"),
    ],
)
def test_a_setting_without_effect_is_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        check_section(Recipe, values)


@pytest.mark.parametrize(
    "values",
    [
        {**TAUGHT, "temperature": 2.0, "ensemble": "mean_logit", "teacher_seeds": "all"},
        {"stages": [{"en": 1.0}], "adversary": {"gradient_penalty": 10.0}},
        {"scope": "pairs", "weighting": "uncertainty", "task_weights": {"topic": 2.0}},
        {"init_from": "a", "student": {"layers": [0, 2]}, "alignment": {"cosine": 1.0}},
        {"sampling": 0.5, "votes": 1.0, "encoder": "half"},
        {"scope": "all", "stages": BOTH, "without": {"topic": "en"}},
        {"stages": [{"en": 1.0}, {"en": 0.5}], "redraw": True, "keep_optimiser": True},
    ],
)
def test_a_setting_with_its_condition_is_taken_and_passes_through_json(values):
    recipe = check_section(Recipe, values)
    assert check_section(Recipe, recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("stages", "language"),
    [
        ([{"ro": 1.0}], "ro"),
        ([{"en": 1.0}], "en"),
        ([{"en": 1.0}, {"ro": 1.0}], "ro"),
        ([{"ro": 1.0, "en": 1.0}, {"en": 1.0}], "ro"),
    ],
)
def test_romanian_rows_choose_the_epoch_where_romanian_labels_are_learned(stages, language):
    assert check_section(Recipe, {"stages": stages}).choose_selection("topic") == language


def test_a_dataset_that_is_left_out_is_in_no_stage_of_its_task_and_chooses_no_epoch():
    stages = [*BOTH, {"ro": 0.5, "en": 1.0}]
    told = {"scope": "all", "stages": stages, "without": {"topic": "ro"}}
    recipe = check_section(Recipe, told)
    assert recipe.list_stages("topic") == [{"en": 1.0}, {"en": 1.0}]
    assert recipe.list_stages("emotion") == stages
    assert [recipe.choose_selection(task) for task in ("topic", "emotion")] == ["en", "ro"]
