"""Which comparisons a run makes: declared by its recipes, and no others."""

import json

import pytest

from distilro import evidence
from distilro.commands.compare import CompareSettings
from distilro.commands.language_gap import GapSettings
from distilro.commands.loyalty import LoyaltySettings
from distilro.errors import SettingsError
from distilro.evaluation.influence import PlainCell, find_additions
from distilro.recipes import list_cells, list_tasks, order_recipes
from distilro.settings import check_section
from tests.support import SCENARIOS, build_settings, read_params

TASKS = ("emotion", "sentiment", "topic")


def compare(*names, scenario="study", **recipes):
    settings = build_settings(scenario, training={"recipes": list(names)}, recipes=recipes)
    return evidence.describe_comparisons(settings)


def pick(described, recipe):
    return [row for row in described["family"] if row["recipe"] == recipe]


def test_a_recipe_is_compared_with_its_reference_on_each_of_its_tasks():
    assert pick(compare("multi"), "multi") == [
        {
            "task": task,
            "recipe": "multi",
            "scope": "all",
            "reference": "single_mixed",
            "reference_scope": task,
        }
        for task in TASKS
    ]


def test_a_recipe_without_a_reference_is_compared_with_nothing():
    described = compare("linear")
    assert pick(described, "majority") == []
    assert len(pick(described, "linear")) == len(TASKS) == len(described["family"])


def test_a_pair_is_compared_scope_by_scope():
    rows = pick(compare("multi_pairs"), "multi_pairs")
    assert [(row["scope"], row["task"]) for row in rows] == [
        ("emotion+sentiment", "emotion"),
        ("emotion+sentiment", "sentiment"),
        ("emotion+topic", "emotion"),
        ("emotion+topic", "topic"),
        ("sentiment+topic", "sentiment"),
        ("sentiment+topic", "topic"),
    ]


def test_a_reference_with_several_models_of_a_task_is_refused():
    with pytest.raises(SettingsError, match="multi_pairs: expected one model"):
        compare("a", a={"extends": "multi", "reference": "multi_pairs"})


def test_a_reference_without_the_task_is_refused():
    with pytest.raises(SettingsError, match=r"zero_shot: expected one .*sentiment, got 0"):
        compare("adversarial", zero_shot={"tasks": ["emotion"]})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_family_has_each_pair_once_and_only_cells_that_are_trained(scenario):
    settings = build_settings(scenario)
    described = evidence.describe_comparisons(settings)
    keys = [(row["recipe"], row["scope"], row["task"]) for row in described["family"]]
    cells = {
        (cell.recipe, cell.scope, task)
        for cell in list_cells(settings)
        for task in list_tasks(cell.scope, settings)
    }
    others = {(r["reference"], r["reference_scope"], r["task"]) for r in described["family"]}
    assert len(keys) == len(set(keys))
    assert set(keys) | others <= cells
    alone = {n for n in order_recipes(settings) if settings.recipes[n].reference is None}
    assert {recipe for recipe, _, _ in keys} == set(order_recipes(settings)) - alone


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_stages_understand_what_they_are_told(scenario):
    settings = build_settings(scenario)
    comparisons = evidence.describe_comparisons(settings)
    taken = check_section(CompareSettings, comparisons)
    assert len(taken.family) == len(comparisons["family"])
    loyalty = evidence.describe_loyalty(settings)
    assert len(check_section(LoyaltySettings, loyalty).pairs) == len(loyalty["pairs"])
    gaps = evidence.describe_gaps(settings)
    assert len(check_section(GapSettings, gaps).pairs) == len(gaps["pairs"])
    assert bool(gaps["pairs"]) == ("adversarial" in order_recipes(settings))


def test_what_knows_no_seeds_is_named():
    described = compare("single_ro")
    assert described["deterministic"] == ["majority", "linear"]
    assert described["seeds_needed"] == read_params("study")["evaluation"]["seeds_needed"]


def test_plain_cells_differ_in_their_data_alone():
    described = compare("zero_shot", "multi_pairs", "multi")
    assert [(cell["recipe"], cell["scope"]) for cell in described["cells"]] == [
        *(("single_ro", task) for task in TASKS),
        *(("zero_shot", task) for task in TASKS),
        *(("single_mixed", task) for task in TASKS),
        *(("multi_pairs", f"{a}+{b}") for a, b in [TASKS[:2], TASKS[::2], TASKS[1:]]),
        ("multi", "all"),
    ]
    assert described["cells"][0]["datasets"] == {"emotion": ["redv2"]}
    assert described["cells"][-1]["datasets"] == {
        "emotion": ["carer", "redv2"],
        "sentiment": ["laroseda", "sst2"],
        "topic": ["ag_news", "moroco"],
    }


@pytest.mark.parametrize(
    "name",
    [
        "linear",
        "gradual",
        "adversarial",
        "annealed",
        "born_again",
        "voted",
        "compact",
        "compact_agnostic",
        "multi_difficulty",
    ],
)
def test_a_special_training_does_not_speak_for_its_data(name):
    assert name not in {cell["recipe"] for cell in compare(name)["cells"]}


def test_a_part_of_a_dataset_does_not_speak_for_the_whole():
    described = compare("half", half={"stages": [{"ro": 1.0, "en": 0.5}]})
    assert "half" not in {cell["recipe"] for cell in described["cells"]}


def find_influences(*names, **recipes):
    told = check_section(CompareSettings, json.dumps(compare(*names, **recipes)))
    return find_additions(
        [
            PlainCell(
                cell.recipe,
                cell.scope,
                {task: frozenset(datasets) for task, datasets in cell.datasets.items()},
                cell.conditions,
            )
            for cell in told.cells
        ]
    )


def test_each_dataset_of_a_joint_model_is_left_out_by_a_recipe_of_the_study():
    names = [f"multi_without_{task}_{language}" for task in TASKS for language in ("en", "ro")]
    found = {
        (addition.added, addition.pair.reference)
        for addition in find_influences("multi", *names)
        if addition.pair.recipe == "multi" and addition.pair.reference in names
    }
    datasets = build_settings("study").data.tasks
    expected = [getattr(datasets[t], language) for t in TASKS for language in ("en", "ro")]
    assert found == set(zip(expected, names, strict=True))


def test_another_language_of_validation_is_told_of_the_task_that_is_chosen_by_it():
    name = "multi_without_topic_ro"
    also = {
        (addition.pair.task, addition.pair.reference_scope): addition.also
        for addition in find_influences("multi", "multi_pairs", name)
        if (addition.pair.recipe, addition.pair.reference) == ("multi", name)
        or (addition.pair.recipe, addition.pair.reference) == (name, "multi_pairs")
    }
    topic = ("language of validation of topic",)
    pair = "emotion+sentiment"
    assert also == {
        **{(task, "all"): topic for task in TASKS},
        ("emotion", pair): (),
        ("sentiment", pair): (),
    }


def test_of_several_with_the_same_data_the_first_speaks():
    cells = compare("multi", "multi_uniform", "multi_square_root")["cells"]
    assert [cell["recipe"] for cell in cells if cell["scope"] == "all"] == ["multi"]


def test_a_student_is_held_against_each_of_its_teachers_on_each_task():
    settings = build_settings("study", training={"recipes": ["ensemble"]})
    pairs = evidence.describe_loyalty(settings)["pairs"]
    mine = [(pair["teacher"], pair["task"]) for pair in pairs if pair["student"] == "ensemble"]
    assert mine == [(teacher, task) for teacher in ("single_mixed", "linear") for task in TASKS]
    assert {pair["student"] for pair in pairs} == {"annealed", "annealed_oof", "ensemble"}


def test_a_smaller_student_is_held_against_the_model_that_it_was_made_from_too():
    smaller = {"extends": "compact", "teachers": ["single_mixed"]}
    settings = build_settings(
        "study", recipes={"smaller": smaller}, training={"recipes": ["smaller", "compact"]}
    )
    pairs = evidence.describe_loyalty(settings)["pairs"]

    def list_teachers(student):
        return {(p["teacher"], p["teacher_scope"]) for p in pairs if p["student"] == student}

    singles = {("single_mixed", task) for task in TASKS}
    assert list_teachers("smaller") == {("annealed", "all"), *singles}
    assert list_teachers("compact") == {("annealed", "all")}


def test_a_gap_is_asked_for_where_an_adversary_was_and_of_its_reference():
    joint = {"extends": "adversarial_labelled", "scope": "all"}
    settings = build_settings(
        "study", recipes={"joint": joint}, training={"recipes": ["joint", "multi"], "seeds": [0, 4]}
    )
    gaps = evidence.describe_gaps(settings)
    assert gaps["seeds"] == [0, 4]
    assert gaps["texts"]["emotion"] == {"en": "carer", "ro": "redv2"}
    assert gaps["pairs"] == [
        {
            **{"task": task, "recipe": "joint", "scope": "all"},
            **{"reference": "single_mixed", "reference_scope": task},
        }
        for task in TASKS
    ]


@pytest.mark.parametrize("reference", ["linear", "adversarial"])
def test_a_reference_without_features_or_with_an_adversary_tells_no_gap(reference):
    recipe = {"extends": "adversarial", "reference": reference}
    settings = build_settings("study", recipes={"a": recipe}, training={"recipes": ["a"]})
    assert "a" not in {row["recipe"] for row in evidence.describe_gaps(settings)["pairs"]}
