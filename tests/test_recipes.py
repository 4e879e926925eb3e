import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from distilro import recipes
from distilro.commands.train_linear import BaselineSettings
from distilro.distillation.cell_settings import CellSettings
from distilro.errors import SettingsError
from distilro.recipes import Cell, Mixture
from distilro.settings import check_section, check_settings
from tests.support import SCENARIOS, build_settings, read_params

TASKS = ["emotion", "sentiment", "topic"]


def test_a_stage_is_named_by_its_shares_romanian_first():
    assert recipes.name_stage({"en": 0.125, "ro": 1.0}) == "ro1-en0.125"
    assert recipes.parse_stage("ro1-en0.125") == {"ro": 1.0, "en": 0.125}


def test_teachers_come_before_their_students_and_along_with_them():
    settings = build_settings(training={"recipes": ["annealed"]})
    ordered = recipes.order_recipes(settings)
    assert ordered[-2:] == ["multi", "annealed"]
    assert ordered.index("single_mixed") < ordered.index("multi")


def test_a_reference_comes_along_so_that_there_is_something_to_compare_with():
    settings = build_settings(training={"recipes": ["single_ro"]})
    assert recipes.order_recipes(settings) == ["majority", "linear", "single_ro"]


@settings_of(max_examples=40)
@given(st.lists(st.sampled_from(sorted(read_params("study")["recipes"])), min_size=1, unique=True))
def test_whatever_is_asked_for_each_recipe_stands_after_all_that_it_needs(names):
    settings = build_settings("study", training={"recipes": names})
    ordered = recipes.order_recipes(settings)
    assert set(names) <= set(ordered)
    for place, name in enumerate(ordered):
        recipe = settings.recipes[name]
        needed = {*recipe.teachers, recipe.init_from, recipe.reference} - {None}
        assert needed <= set(ordered[:place])


def test_a_recipe_of_scope_task_has_a_cell_per_task_and_a_joint_one_has_one():
    settings = build_settings(training={"recipes": ["single_mixed", "multi"]})
    assert recipes.list_cells(settings)[-4:] == [
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
    with pytest.raises(SettingsError, match="needs itself through a -> b"):
        recipes.order_recipes(settings)


@pytest.mark.parametrize(
    ("teacher", "reason"),
    [
        ({"init_from": "single_ro"}, "begin with those of single_ro, which learned all rows"),
        (
            {"teachers": ["single_ro", "linear"], "anneal": 0.5},
            "learn answers of single_ro, linear, whose models learned them",
        ),
        (
            {"teachers": ["linear"], "anneal": "linear", "teacher_logits": "out_of_fold"},
            "learn answers of linear, whose models learned them",
        ),
    ],
)
def test_an_out_of_fold_teacher_that_hears_of_the_held_out_rows_is_refused(teacher, reason):
    student = {"teachers": ["tainted"], "anneal": "linear", "teacher_logits": "out_of_fold"}
    made = {"tainted": teacher, "student": student}
    with pytest.raises(SettingsError, match=rf"recipes\.student: teacher_logits: .*{reason}"):
        recipes.order_recipes(build_settings(recipes=made, training={"recipes": ["student"]}))
    in_sample = {**made, "student": {**student, "teacher_logits": "in_sample"}}
    assert "student" in recipes.order_recipes(
        build_settings(recipes=in_sample, training={"recipes": ["student"]})
    )


def test_models_of_folds_of_two_of_three_tasks_are_refused_before_anything_is_trained():
    pair = {"scope": "all", "tasks": ["emotion", "topic"]}
    student = {**pair, "teachers": ["two"], "anneal": "linear", "teacher_logits": "out_of_fold"}
    settings = build_settings(
        recipes={"two": pair, "student": student}, training={"recipes": ["student"]}
    )
    with pytest.raises(SettingsError, match=r"recipes\.student: .*two has one for emotion\+topic"):
        recipes.order_recipes(settings)


def test_models_of_folds_are_asked_about_every_task_of_their_cell():
    student = {
        "scope": "all", "tasks": ["emotion", "topic"], "stages": [{"ro": 1.0}],
        "teachers": ["multi"], "anneal": "linear", "teacher_logits": "out_of_fold",
    }  # fmt: skip
    settings = build_settings(recipes={"student": student}, training={"recipes": ["student"]})
    assert recipes.list_fold_questions(Cell("multi", "all"), settings) == [
        Mixture("emotion", "ro1"),
        Mixture("sentiment", "ro1-en1"),
        Mixture("topic", "ro1"),
    ]
    assert recipes.list_fold_questions(Cell("student", "emotion+topic"), settings) == []


def test_a_recipe_with_a_critic_is_trained_by_one_process():
    settings = build_settings(
        training={"processes": 2, "recipes": ["adversarial", "multi"], "gpus": 1}
    )
    trained = {
        cell.recipe: recipes.describe_training(cell, settings)["processes"]
        for cell in recipes.list_cells(settings)
        if settings.recipes[cell.recipe].kind == "encoder"
    }
    assert (trained["adversarial"], trained["multi"]) == (1, 2)


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    settings = build_settings(training={"recipes": ["anealed"]})
    with pytest.raises(SettingsError, match=r"training\.recipes: .*'anealed'; there are: advers"):
        recipes.order_recipes(settings)


def test_the_encoder_does_not_depend_on_the_recipes():
    few = build_settings("laptop", training={"recipes": ["single_ro"]})
    many = build_settings("laptop")
    assert few.encoders.describe() == many.encoders.describe()
    assert recipes.describe_texts(few) == recipes.describe_texts(many)
    assert recipes.needs_texts(few)
    assert recipes.needs_texts(many)


def test_a_hub_encoder_without_adaptation_reads_no_texts():
    settings = build_settings("study", training={"recipes": ["single_ro"]})
    assert not recipes.needs_texts(settings)
    students = build_settings("study", training={"recipes": ["compact_agnostic"]})
    assert recipes.needs_texts(students)  # a student does, even then
    assert not students.encoders.learns_texts()


@pytest.mark.parametrize(
    "encoders",
    [
        {"adaptation": {"epochs": 1}},
        {"vocabulary": {"size": 4000, "lowercase": True}},
        {"source": "scratch"},
    ],
)
def test_an_encoder_that_is_adapted_made_or_given_a_vocabulary_reads_texts(encoders):
    assert build_settings("study", encoders=encoders).encoders.learns_texts()


def test_linear_recipes_alone_need_no_encoder_and_so_no_texts():
    assert not recipes.needs_texts(build_settings("laptop", training={"recipes": ["linear"]}))


def test_the_encoder_s_texts_keep_out_the_test_rows_of_every_dataset_named():
    texts = recipes.describe_texts(build_settings("shipped_encoder"))
    assert texts["training"] == []
    assert {"redv2", "xed_ro", "sample_topic_en"} <= set(texts["evaluation"])


def test_an_encoder_is_described_by_its_own_source_alone():
    settings = build_settings("laptop")
    other = build_settings("laptop", encoders={"hub": {"name": "a/b"}, "students": {"half": {}}})
    assert other.encoders.describe() == settings.encoders.describe()
    assert {"scratch", "texts", "vocabulary", "half"} < set(settings.encoders.describe())


def test_what_a_cell_is_trained_with_holds_no_other_cells_settings():
    settings = build_settings()
    changed = build_settings(training={"joint": {"learning_rate": 9.0e-4}})
    task, joint = Cell("single_ro", "topic"), Cell("multi", "all")
    assert recipes.describe_training(task, settings) == recipes.describe_training(task, changed)
    assert recipes.describe_training(joint, settings) != recipes.describe_training(joint, changed)


@given(
    st.dictionaries(st.sampled_from(["ro", "en"]), st.sampled_from([1.0, 0.5, 0.125, 0.01])),
    st.integers(0, 12),
)
def test_a_stage_s_name_says_all_of_it(stage, draw):
    if stage:
        name = recipes.name_stage(stage, draw)
        assert recipes.parse_stage(name) == stage
        assert recipes.parse_draw(name) == draw


def test_a_recipe_of_pairs_has_a_cell_for_every_two_tasks():
    settings = build_settings("study", training={"recipes": ["multi_pairs"]})
    scopes = recipes.list_scopes(settings.recipes["multi_pairs"], settings)
    assert scopes == ["emotion+sentiment", "emotion+topic", "sentiment+topic"]
    assert recipes.list_tasks("emotion+topic", settings) == ["emotion", "topic"]


def test_of_two_tasks_the_one_pair_is_all_of_them():
    settings = build_settings(recipes={"multi_pairs": {"tasks": ["topic", "emotion"]}})
    assert recipes.list_scopes(settings.recipes["multi_pairs"], settings) == ["emotion+topic"]
    params = read_params()
    del params["data"]["tasks"]["topic"]
    two = check_settings(params)
    assert recipes.list_scopes(two.recipes["multi_pairs"], two) == ["all"]
    assert recipes.list_tasks("all", two) == ["emotion", "sentiment"]


def test_a_recipe_of_some_tasks_has_cells_for_these_alone():
    settings = build_settings(recipes={"single_ro": {"tasks": ["topic"]}})
    assert recipes.list_scopes(settings.recipes["single_ro"], settings) == ["topic"]


@pytest.mark.parametrize("change", [{"tasks": ["mood"]}, {"task_weights": {"mood": 2.0}}])
def test_a_task_that_is_not_there_is_refused_with_those_that_are(change):
    settings = build_settings(recipes={"multi": change})
    with pytest.raises(SettingsError, match="'mood'; there are: emotion, sentiment, topic"):
        recipes.list_scopes(settings.recipes["multi"], settings)


def test_a_joint_model_of_one_task_is_refused():
    settings = build_settings(recipes={"multi": {"tasks": ["topic"]}})
    with pytest.raises(SettingsError, match="two tasks or all of them, not topic"):
        recipes.list_scopes(settings.recipes["multi"], settings)


def test_the_mixtures_of_a_gradual_recipe_stand_in_the_order_of_its_stages():
    settings = build_settings("study")
    names = [m.name for m in recipes.list_mixtures(Cell("gradual", "emotion"), settings)]
    assert names == ["ro1-en1", "ro1-en0.5", "ro1-en0.125", "ro1"]


def test_stages_that_are_drawn_anew_share_only_what_is_whole():
    settings = build_settings("study")
    cell = Cell("gradual_redrawn", "emotion")
    names = [m.name for m in recipes.list_mixtures(cell, settings)]
    assert names == ["ro1-en1", "ro1-en0.5-draw1", "ro1-en0.125-draw2", "ro1"]
    drawn = [recipes.describe_mixture("emotion", name, settings)["draw"] for name in names]
    assert drawn == [0, 1, 2, 0]


def test_a_dataset_that_is_left_out_is_in_no_mixture_and_all_others_are():
    settings = build_settings("study")
    without = set(recipes.list_mixtures(Cell("multi_without_topic_ro", "all"), settings))
    names = {mixture.task: mixture.name for mixture in without}
    assert names == {"emotion": "ro1-en1", "sentiment": "ro1-en1", "topic": "en1"}
    validation = recipes.list_validation(Cell("multi_without_topic_ro", "all"), settings)
    assert validation == {"emotion": "redv2", "sentiment": "laroseda", "topic": "ag_news"}


def test_a_dataset_of_a_task_that_is_not_there_cannot_be_left_out():
    settings = build_settings(recipes={"multi_uniform": {"without": {"mood": "en"}}})
    with pytest.raises(SettingsError, match="'mood'; there are: emotion, sentiment, topic"):
        recipes.list_scopes(settings.recipes["multi_uniform"], settings)


def test_a_dataset_of_a_task_that_the_recipe_does_not_learn_cannot_be_left_out():
    change = {"without": {"topic": "en"}, "tasks": ["emotion", "sentiment"]}
    settings = build_settings(recipes={"multi_uniform": change})
    with pytest.raises(SettingsError, match="'topic' is not among the recipe's tasks, emotion"):
        recipes.list_scopes(settings.recipes["multi_uniform"], settings)


def test_an_adversary_s_texts_are_read_but_their_labels_are_not():
    settings = build_settings()
    cell = Cell("adversarial", "emotion")
    read = recipes.list_mixtures(cell, settings)
    assert [m.name for m in read] == ["en1", "ro1"]
    assert recipes.list_labelled_mixtures(cell, settings) == read[:1]


def test_a_mixture_names_its_datasets_and_only_their_caps():
    settings = build_settings("laptop")
    described = recipes.describe_mixture("emotion", "ro1-en0.5", settings)
    assert described == {
        "stage": {"ro": 1.0, "en": 0.5},
        "draw": 0,
        "datasets": {"ro": "redv2", "en": "carer"},
        "caps": {"carer": settings.mixtures.caps["carer"]},
        "salt": settings.mixtures.salt,
    }


def test_no_mixture_is_drawn_from_a_test_set_of_another_domain():
    settings = build_settings("study")
    assert "xed_ro" in recipes.list_datasets(settings)
    assert "xed_ro" not in recipes.list_training_datasets(settings)
    drawn = {
        name
        for mixture in recipes.list_all_mixtures(settings)
        for name in recipes.list_datasets_of(mixture.task, mixture.name, settings)
    }
    assert drawn <= set(recipes.list_training_datasets(settings))


def test_a_teacher_with_several_models_of_a_task_is_refused():
    settings = build_settings(
        "study", recipes={"a": {"extends": "annealed", "teachers": ["multi_pairs"]}}
    )
    with pytest.raises(SettingsError, match=r"multi_pairs: expected one model .*topic, got 2"):
        recipes.list_teacher_logits(Cell("a", "topic"), settings)


def test_a_teacher_without_the_task_is_refused():
    settings = build_settings()  # its born_again learns emotion alone
    with pytest.raises(SettingsError, match=r"born_again: expected one .*topic, got 0"):
        recipes.find_teacher("born_again", "topic", settings)


def test_folds_are_trained_for_those_who_ask_and_for_nobody_else():
    settings = build_settings("study", training={"recipes": ["annealed", "annealed_oof"]})
    teacher, mixture = Cell("single_mixed", "topic"), Mixture("topic", "ro1-en1")
    assert recipes.list_logits_of(teacher, settings, out_of_fold=True) == [mixture]
    assert recipes.list_logits_of(teacher, settings) == [mixture]
    without = build_settings("study", training={"recipes": ["annealed"]})
    assert recipes.list_logits_of(teacher, without, out_of_fold=True) == []


def test_a_linear_teacher_has_one_seed_and_a_neural_one_has_all():
    settings = build_settings(training={"seeds": [3, 1, 2]})
    assert recipes.list_seeds(settings.recipes["linear"], settings) == (3,)
    assert recipes.list_seeds(settings.recipes["majority"], settings) == (3,)
    assert recipes.list_seeds(settings.recipes["multi"], settings) == (3, 1, 2)


def test_a_compact_model_starts_from_its_teacher_s_joint_model():
    settings = build_settings()
    assert recipes.find_start_cell(Cell("compact", "all"), settings) == Cell("annealed", "all")
    assert recipes.find_start_cell(Cell("annealed", "all"), settings) is None
    described = recipes.describe_training(Cell("compact", "all"), settings)
    assert described["start"] == {"recipe": "annealed", "scope": "all", "seeds": [0, 1]}


def test_a_joint_model_cannot_start_from_a_model_for_each_task():
    settings = build_settings(recipes={"a": {"extends": "multi", "init_from": "single_mixed"}})
    with pytest.raises(SettingsError, match=r"recipes\.a: init_from: single_mixed has one model"):
        recipes.find_start_cell(Cell("a", "all"), settings)


def test_a_student_that_is_not_declared_is_refused_with_those_that_are():
    settings = build_settings(
        recipes={"a": {"encoder": "haf"}}, training={"recipes": ["a", "compact_agnostic"]}
    )
    with pytest.raises(SettingsError, match="no student is called 'haf'; known: half"):
        recipes.list_students(settings)


def test_a_student_that_no_recipe_starts_from_is_not_made():
    alone = build_settings("study", training={"recipes": ["single_ro"]})
    assert recipes.list_students(alone) == []
    assert recipes.list_students(build_settings()) == ["half"]
    described = recipes.describe_student("half", build_settings())
    assert set(described) == {"distillation", "seed", "half"}


@pytest.mark.parametrize(
    ("recipe", "language"),
    [("single_ro", "ro"), ("single_mixed", "ro"), ("zero_shot", "en"), ("adversarial", "en")],
)
def test_a_model_that_learns_no_romanian_label_is_not_chosen_by_one(recipe, language):
    settings = build_settings("study")
    described = recipes.describe_training(Cell(recipe, "emotion"), settings)
    chosen = getattr(settings.data.tasks["emotion"], language)
    assert described["validation"] == {"emotion": chosen}


def test_a_recipe_may_choose_its_validation_rows_itself():
    settings = build_settings("study", recipes={"zero_shot": {"selection": "ro"}})
    described = recipes.describe_training(Cell("zero_shot", "emotion"), settings)
    assert described["validation"] == {"emotion": "redv2"}


@pytest.mark.parametrize("cell", [Cell("annealed", "all"), Cell("linear", "topic")])
def test_what_a_recipe_is_compared_with_and_why_is_no_part_of_its_training(cell):
    told = {"question": "size", "reference": "zero_shot"}
    changed = build_settings("study", recipes={cell.recipe: told})
    before = recipes.describe_training(cell, build_settings("study"))
    assert recipes.describe_training(cell, changed) == before


def test_how_many_jobs_run_side_by_side_is_no_part_of_a_training():
    changed = build_settings(training={"threads": 3, "gpus": 1})
    cell = Cell("annealed", "all")
    before = recipes.describe_training(cell, build_settings())
    assert recipes.describe_training(cell, changed) == before


def test_the_seeds_and_scopes_of_teachers_are_part_of_a_training():
    described = recipes.describe_training(Cell("ensemble", "all"), build_settings())
    assert described["teacher_seeds"] == {"single_mixed": [0, 1], "linear": [0]}
    assert described["teacher_scopes"]["linear"] == {task: task for task in TASKS}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_stage_understands_what_it_is_told_of_its_cell(scenario):
    settings = build_settings(scenario)
    for cell in recipes.list_cells(settings):
        neural = settings.recipes[cell.recipe].kind == "encoder"
        described = recipes.describe_training(cell, settings)
        taken = check_section(CellSettings if neural else BaselineSettings, described)
        assert list(taken.tasks) == recipes.list_tasks(cell.scope, settings)


def test_a_cell_is_tested_in_another_domain_where_there_is_one():
    settings = build_settings("study")
    alone = recipes.describe_prediction("emotion", settings)["tasks"]
    assert alone == {"emotion": {"ro": "redv2", "en": "carer", "ood": "xed_ro"}}
    joint = recipes.describe_prediction("all", settings)["tasks"]
    assert {task: datasets["ood"] for task, datasets in joint.items()} == {
        "emotion": "xed_ro",
        "sentiment": None,
        "topic": None,
    }
    pair = recipes.describe_prediction("emotion+topic", settings)["tasks"]
    assert [datasets["ood"] for datasets in pair.values()] == ["xed_ro", None]


def test_every_recipe_of_params_can_be_laid_out_at_once():
    names = list(read_params("study")["recipes"])
    settings = build_settings("study", training={"recipes": names})
    assert sorted(recipes.order_recipes(settings)) == sorted(names)
    for cell in recipes.list_cells(settings):
        assert recipes.list_mixtures(cell, settings)
        recipes.list_teacher_logits(cell, settings)
        recipes.find_start_cell(cell, settings)


def test_every_recipe_of_params_answers_a_question_against_a_reference_or_is_a_baseline():
    """Or leaves a dataset out, which influence describes."""
    settings = build_settings("study")
    for name, recipe in settings.recipes.items():
        if recipe.kind == "encoder" and not recipe.without:
            assert recipe.question is not None, name
            assert recipe.reference in settings.recipes, name
        else:
            assert recipe.question is None, name
    alone = [name for name, recipe in settings.recipes.items() if recipe.reference is None]
    assert alone == ["majority", *(n for n, recipe in settings.recipes.items() if recipe.without)]
