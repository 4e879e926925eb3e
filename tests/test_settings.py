import pytest

from distilro.errors import SettingsError
from distilro.settings import LinearSettings, check_section, check_settings, load_settings
from tests.support import ROOT, SCENARIOS, build_settings, read_params


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_that_ships_is_valid(scenario):
    assert load_settings(ROOT, scenario).scenario == scenario


def test_a_scenario_that_does_not_exist_is_refused_with_the_ones_that_do():
    with pytest.raises(SettingsError, match=", ".join(SCENARIOS)):
        load_settings(ROOT, "desktop")


@pytest.mark.parametrize(
    ("section", "typo", "meant"),
    [
        ("data", "task", "tasks"),
        ("mixtures", "near_duplicate_jacard", "near_duplicate_jaccard"),
        ("encoders", "sorce", "source"),
        ("training", "warmup_shore", "warmup_share"),
        ("evaluation", "treshold", "threshold"),
        ("delivery", "titel", "title"),
    ],
)
def test_a_mistyped_key_is_refused_with_the_nearest_one(section, typo, meant):
    with pytest.raises(SettingsError, match=rf"{section}\.{typo}: .*did you mean {meant}\?"):
        build_settings(**{section: {typo: 1}})


def test_a_mistyped_key_of_a_recipe_is_refused():
    with pytest.raises(SettingsError, match=r"teacher: .*did you mean teachers\?"):
        build_settings(recipes={"multi": {"teacher": ["single_ro"]}})


@pytest.mark.parametrize("wrong", ["1e-5", 0, -1.0, None, True])
def test_a_learning_rate_of_a_wrong_type_or_range_is_refused_with_its_path(wrong):
    with pytest.raises(SettingsError, match=r"training\.task\.learning_rate: .*got"):
        build_settings(training={"task": {"learning_rate": wrong}})


def test_the_message_says_what_came_and_that_nothing_was_run():
    with pytest.raises(SettingsError, match=r"nothing was run[\s\S]*'1e-5' \(str\)"):
        build_settings(training={"task": {"learning_rate": "1e-5"}})


def test_every_fault_is_named_at_once():
    with pytest.raises(SettingsError, match="2 setting"):
        build_settings(training={"dropout": 1.5}, evaluation={"threshold": 0.0})


def test_an_extended_recipe_takes_what_it_does_not_set():
    settings = build_settings()
    assert settings.recipes["annealed"].scope == "all"
    assert settings.recipes["annealed"].sampling == "annealed"
    assert settings.recipes["annealed"].anneal == "linear"


def test_a_recipe_that_extends_itself_or_nothing_known_is_refused():
    with pytest.raises(SettingsError, match="extends itself"):
        build_settings(recipes={"a": {"extends": "b"}, "b": {"extends": "a"}})
    with pytest.raises(SettingsError, match="Did you mean multi"):
        build_settings(recipes={"a": {"extends": "mutli"}})


def test_a_student_encoder_extends_another_one_with_what_the_scenario_made_of_it():
    settings = build_settings(encoders={"students": {"half": {"epochs": 1.5, "max_tokens": 32}}})
    students = settings.encoders.students
    ablations = {name: each for name, each in students.items() if name != "half"}
    assert len(ablations) == 4
    for name, each in ablations.items():
        fields = type(each).model_fields
        differing = [f for f in fields if getattr(each, f) != getattr(students["half"], f)]
        assert len(differing) == 1, name
    with pytest.raises(
        SettingsError, match=r"encoders\.students\.a\.extends: nothing is called 'hal"
    ):
        build_settings(encoders={"students": {"a": {"extends": "hal"}}})


def test_a_fault_in_a_recipe_is_told_with_its_place():
    with pytest.raises(SettingsError, match=r"recipes\.a: .*come together"):
        build_settings(recipes={"a": {"teachers": ["single_ro"]}})


def test_an_extended_recipe_changes_a_part_of_a_part():
    settings = build_settings("study")
    parent, child = settings.recipes["compact"], settings.recipes["compact_without_cosine"]
    assert child.alignment.cosine == 0.0
    assert child.alignment.masked == parent.alignment.masked > 0.0
    assert child.student == parent.student


def test_dropout_of_attention_weights_and_packed_texts_exclude_one_another():
    with pytest.raises(SettingsError, match="packed knows no attention_dropout"):
        build_settings(training={"packing": "packed", "attention_dropout": 0.1})


@pytest.mark.parametrize(("name", "twice"), [("seeds", [1, 2, 1]), ("recipes", ["multi"] * 2)])
def test_a_seed_or_a_recipe_named_twice_is_refused(name, twice):
    with pytest.raises(SettingsError, match=f"{name} has a value twice"):
        build_settings(training={name: twice})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"mixtures": {"caps": {"redv3": 10}}}, r"mixtures\.caps\.redv3: no task .* mean redv2"),
        ({"data": {"label_maps": {"carrer": "x"}}}, r"data\.label_maps\.carrer: .* mean carer"),
    ],
)
def test_a_dataset_that_no_task_uses_is_refused(section, message):
    with pytest.raises(SettingsError, match=message):
        build_settings("study", **section)


def test_a_test_set_of_another_domain_counts_as_used():
    build_settings("study", data={"label_maps": {"xed_ro": "other"}})


def test_settings_cannot_be_changed_after_loading():
    with pytest.raises(ValueError, match="frozen"):
        build_settings().training.dropout = 0.5


def test_a_scenario_name_cannot_leave_its_folder():
    params = read_params()
    with pytest.raises(SettingsError, match="scenario"):
        check_settings({**params, "scenario": "../../x"})


def test_a_section_passes_through_json_unchanged():
    section = build_settings().training.linear
    assert check_section(LinearSettings, section.model_dump_json()) == section


def test_every_setting_of_params_has_a_comment():
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").partition("\nrecipes:")[0]
    bare = [
        line
        for line in text.splitlines()
        if line.strip() and "#" not in line and not line.strip().startswith("-") and line[0] == " "
    ]
    repeated = ("epochs:", "learning_rate:", "batch_examples:", "batch_tokens:", "layers:", "name:")
    named = ("sentiment:", "topic:", "revision:", "title:", "half: {student:")
    assert [line for line in bare if not line.strip().startswith(repeated + named)] == []
