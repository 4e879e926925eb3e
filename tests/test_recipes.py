import pytest

from distilro import recipes
from distilro.errors import SettingsError
from distilro.recipes import Cell, Mixture
from tests.support import build_settings


def test_a_stage_is_named_by_its_shares_romanian_first():
    assert recipes.name_stage({"en": 0.125, "ro": 1.0}) == "ro1-en0.125"
    assert recipes.parse_stage("ro1-en0.125") == {"ro": 1.0, "en": 0.125}


def test_teachers_come_before_their_students_and_along_with_them():
    settings = build_settings(training={"recipes": ["annealed"]})
    assert recipes.order_recipes(settings) == ["single_mixed", "annealed"]


def test_a_recipe_of_scope_task_has_a_cell_per_task_and_a_joint_one_has_one():
    settings = build_settings(training={"recipes": ["single_mixed", "multi"]})
    assert recipes.list_cells(settings) == [
        Cell("single_mixed", "emotion"),
        Cell("single_mixed", "sentiment"),
        Cell("single_mixed", "topic"),
        Cell("multi", "all"),
    ]


def test_a_student_learns_from_the_teacher_of_each_task_on_its_own_mixture():
    settings = build_settings()
    taught = recipes.list_teacher_logits(Cell("annealed", "all"), settings)
    assert taught[0] == (Cell("single_mixed", "emotion"), Mixture("emotion", "ro1-en1"))
    assert [cell.scope for cell, _ in taught] == ["emotion", "sentiment", "topic"]
    assert recipes.list_logits_of(Cell("single_mixed", "topic"), settings) == [
        Mixture("topic", "ro1-en1")
    ]
    assert recipes.list_logits_of(Cell("single_ro", "topic"), settings) == []


def test_a_joint_teacher_answers_for_every_task():
    settings = build_settings(
        recipes={"again": {"extends": "annealed", "teachers": ["multi"]}},
        training={"recipes": ["again"]},
    )
    assert recipes.find_teacher("multi", "topic", settings) == Cell("multi", "all")


def test_a_recipe_that_teaches_itself_is_refused():
    loop = {"scope": "all", "anneal": 0.5}
    settings = build_settings(
        recipes={"a": {**loop, "teachers": ["b"]}, "b": {**loop, "teachers": ["a"]}},
        training={"recipes": ["a"]},
    )
    with pytest.raises(SettingsError, match="teaches itself"):
        recipes.order_recipes(settings)


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    settings = build_settings(training={"recipes": ["anealed"]})
    with pytest.raises(SettingsError, match=r"anealed.*there are: annealed"):
        recipes.order_recipes(settings)


def test_the_encoder_does_not_depend_on_the_recipes():
    few = build_settings(training={"recipes": ["single_ro"]})
    assert recipes.list_encoder_mixtures(few) == recipes.list_encoder_mixtures(build_settings())


def test_a_hub_encoder_without_adaptation_reads_no_texts():
    settings = build_settings(encoders={"source": "hub", "adaptation": {"epochs": 0}})
    assert recipes.list_encoder_mixtures(settings) == []


def test_what_a_cell_is_trained_with_holds_no_other_cells_settings():
    settings = build_settings()
    changed = build_settings(training={"joint": {"learning_rate": 9.0e-4}})
    task, joint = Cell("single_ro", "topic"), Cell("multi", "all")
    assert recipes.describe_training(task, settings) == recipes.describe_training(task, changed)
    assert recipes.describe_training(joint, settings) != recipes.describe_training(joint, changed)
