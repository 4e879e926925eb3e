"""How the models of a cell are trained: every field of a recipe does what it says."""

import numpy as np
import pytest
import torch

from distilro.corpora.examples import read_examples, write_examples
from distilro.distillation.cell_settings import CellSettings
from distilro.recipes import describe_training, list_cells
from distilro.settings import check_section
from tests.distillation.tiny_study import TinyStudy, is_same, start_from, teach
from tests.support import build_settings

JOINT = ("sentiment", "emotion")
RO, EN, BOTH = ([{"ro": 1.0}], [{"en": 1.0}], [{"ro": 1.0, "en": 1.0}])
CRITIC = {"steps": 2, "many_steps": 3, "many_first": 1, "batch_examples": 4, "weight": 1.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Give a study with two trained teachers, asked about the Romanian rows, and two bases."""
    before = torch.get_num_threads()
    study = TinyStudy(tmp_path_factory.mktemp("study"))
    study.train("first", {"stages": RO}, seeds=[0, 1])
    study.train("second", {"stages": EN}, seeds=[0, 1])
    for teacher in ("first", "second"):
        study.ask(teacher, "ro1", (0, 1))
    study.train("joint", {"stages": RO}, JOINT)
    yield study
    torch.set_num_threads(before)


def train_student(study, name, teachers=("first",), seeds=(0,), **fields):
    recipe, settings = teach(*teachers, seeds=seeds, **fields)
    return study.train(name, recipe, **settings)


def read_supervised(study):
    return study.train("supervised", {"stages": RO})


def test_a_student_with_a_teacher_of_weight_0_is_the_supervised_model(study):
    assert is_same(train_student(study, "deaf", anneal=0.0), read_supervised(study))


@pytest.mark.parametrize(
    ("teachers", "base", "change"),
    [
        (("first",), {}, {"anneal": "linear"}),
        (("first",), {}, {"anneal": 1.0}),
        (("first",), {}, {"temperature": 2.0}),
        (("first",), {}, {"votes": 0.5}),
        (("first", "second"), {}, {"ensemble": "mean_logit"}),
        (("first", "second"), {}, {"ensemble": "validation"}),
        (("first", "second"), {}, {"teacher_seeds": "all"}),
        (("first",), {}, {"teachers": ["second"]}),
    ],
)
def test_every_field_of_a_student_changes_its_weights(study, teachers, base, change):
    plain = train_student(study, "plain", teachers, (0, 1), **base)
    named = change.get("teachers", teachers)
    fields = {**base, **{k: v for k, v in change.items() if k != "teachers"}}
    changed = train_student(study, "changed", named, (0, 1), **fields)
    assert not is_same(changed, plain)
    assert not is_same(plain, read_supervised(study))


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": "uniform"},
        {"sampling": 0.2},
        {"weighting": "uncertainty"},
        {"task_weights": {"emotion": 3.0}},
        {"stages": BOTH},
        {"stages": [*EN, *RO]},
        {"stages": BOTH, "without": {"emotion": "en"}},
        {"votes": 0.5},
    ],
)
def test_every_field_of_a_joint_model_changes_its_weights(study, change):
    changed = study.train("changed", {"stages": RO, **change}, JOINT)
    assert not is_same(changed, study.train("joint", {"stages": RO}, JOINT))


def test_difficulty_changes_the_weights_from_the_second_epoch_on(study):
    told = []
    for weighting in ("fixed", "difficulty"):
        study.train(weighting, {"stages": RO, "weighting": weighting}, JOINT)
        (stage,) = study.read_card(weighting, JOINT)["stages"]
        told.append([epoch["loss"] for epoch in stage["history"]])
    assert told[0][0] == told[1][0]
    assert told[0][1] != told[1][1]


@pytest.mark.parametrize(
    "change",
    [
        {"target": {"ro": 1.0, "en": 1.0}},
        {"steps": 4},
        {"many_steps": 9},
        {"many_first": 5},
        {"many_every": 2},
        {"clip": 0.1},
        {"gradient_penalty": 10.0},
        {"weight": 0.1},
        {"learning_rate": 0.01},
        {"hidden": 8},
        {"batch_examples": 5},
    ],
)
def test_every_setting_of_an_adversary_changes_the_weights(study, change):
    plain = study.train("adversarial", {"stages": EN, "adversary": CRITIC})
    changed = study.train("changed", {"stages": EN, "adversary": {**CRITIC, **change}})
    assert not is_same(changed, plain)


def test_an_adversary_of_weight_0_changes_no_bit(study):
    weights = study.train("mute", {"stages": EN, "adversary": {**CRITIC, "weight": 0.0}})
    assert is_same(weights, study.train("zero_shot", {"stages": EN}))


@pytest.mark.parametrize(
    "change",
    [
        {"student": {"layers": 1}},
        {"student": {"layers": [1]}},
        {"student": {"layers": 2, "init": "random"}},
        {"student": {"layers": 2, "hidden": 8}},
        {"alignment": {"cosine": 1.0}},
        {"alignment": {"hidden": 1.0}},
        {"alignment": {"masked": 1.0}},
        {"alignment": {"soft": 0.0, "masked": 1.0}},
    ],
)
def test_every_setting_of_a_student_s_size_and_alignment_changes_its_weights(study, change):
    start = start_from("first")
    recipe = {"stages": RO, "init_from": "first", "student": {"layers": 2}}
    plain = study.train("compact", recipe, **start)
    assert not is_same(study.train("changed", {**recipe, **change}, **start), plain)
    assert not is_same(plain, read_supervised(study))


def test_votes_change_nothing_where_no_row_has_any(study):
    assert np.isnan(_read(study, "en1").votes).all()
    plain = study.train("zero_shot", {"stages": EN})
    assert is_same(study.train("voted", {"stages": EN, "votes": 0.5}), plain)


def test_a_stage_goes_on_from_the_best_weights_of_the_one_before_with_a_fresh_optimiser(study):
    """Two stages are two trainings, of which the second starts from the model of the first."""
    begun = study.train("zero_shot", {"stages": EN})
    goes_on = {"stages": RO, "init_from": "zero_shot"}
    then = study.train("then", goes_on, **start_from("zero_shot"))
    both = study.train("both", {"stages": [*EN, *RO]})
    assert is_same(both, then)
    assert not is_same(both, begun)


def test_a_stage_may_go_on_with_the_optimiser_of_the_one_before(study):
    fresh = study.train("both", {"stages": [*EN, *RO]})
    kept = study.train("kept", {"stages": [*EN, *RO], "keep_optimiser": True})
    assert not is_same(kept, fresh)
    first = [study.read_card(name)["stages"][0] for name in ("both", "kept")]
    assert first[0] == first[1]


def test_the_last_stage_of_gradual_holds_no_english_row():
    settings = build_settings()
    assert settings.recipes["gradual"].stages[-1] == {"ro": 1.0}
    shares = [stage.get("en", 0.0) for stage in settings.recipes["gradual"].stages]
    assert shares == sorted(shares, reverse=True) and shares[0] == 1.0


@pytest.mark.parametrize(("recipe", "language"), [("zero_shot", "en"), ("adversarial", "en")])
def test_who_learns_no_romanian_label_is_chosen_by_english_rows(recipe, language):
    settings = build_settings()
    cells = [cell for cell in list_cells(settings) if cell.recipe == recipe]
    assert cells
    for cell in cells:
        datasets = {t: getattr(settings.data.tasks[t], language) for t in [cell.scope]}
        assert describe_training(cell, settings)["validation"] == datasets


@pytest.mark.parametrize("recipe", [{"stages": EN, "adversary": CRITIC}, {"stages": EN}])
def test_romanian_labels_are_never_read_by_who_learns_english_ones_alone(study, tmp_path, recipe):
    other = TinyStudy(tmp_path)
    path = other.results / "mixtures" / "sentiment" / "ro1.parquet"
    examples = read_examples(path)
    examples.target[:] = np.random.default_rng(0).permutation(examples.target)
    assert not np.array_equal(examples.target, _read(study, "ro1").target)
    write_examples(path, examples)
    assert is_same(other.train("blind", recipe), study.train("blind", recipe))


def test_the_history_of_an_adversarial_training_tells_the_gap_of_every_epoch(study):
    study.train("adversarial", {"stages": EN, "adversary": CRITIC})
    (stage,) = study.read_card("adversarial")["stages"]
    assert len(stage["history"]) == 2
    assert all(np.isfinite(epoch["gap"]) for epoch in stage["history"])
    study.train("zero_shot", {"stages": EN})
    assert all("gap" not in e for e in study.read_card("zero_shot")["stages"][0]["history"])


@pytest.mark.parametrize(
    ("recipe", "tasks"),
    [
        ({"stages": EN, "adversary": CRITIC}, ("sentiment",)),
        ({"stages": RO, "weighting": "uncertainty"}, JOINT),
        ({"stages": RO, "init_from": "joint", "alignment": {"masked": 1.0}}, JOINT),
    ],
)
def test_what_is_learned_on_the_side_is_not_in_the_model(study, recipe, tasks):
    start = start_from("joint", JOINT) if "init_from" in recipe else {}
    weights = study.train("extra", recipe, tasks, **start)
    assert weights.keys() == study.train("without", {"stages": RO}, tasks).keys()


def test_a_card_tells_the_validation_score_of_the_weights_that_were_kept(study):
    study.train("joint", {"stages": RO}, JOINT)
    card = study.read_card("joint", JOINT)
    stage = card["stages"][-1]
    best = max(stage["history"], key=lambda epoch: epoch["score"])
    assert card["valid"] == best["valid"] and set(card["valid"]) == set(JOINT)
    assert stage["best_step"] == best["step"]


def test_a_card_counts_parameters_and_those_of_embeddings_apart(study):
    weights = study.train("supervised", {"stages": RO})
    card = study.read_card("supervised")
    embeddings = {n: w for n, w in weights.items() if n.startswith("encoder.embeddings.")}
    assert card["parameters"] == sum(weight.numel() for weight in weights.values())
    assert card["embedding_parameters"] == sum(weight.numel() for weight in embeddings.values())


@pytest.mark.parametrize("scenario", ["embedded", "laptop", "study"])
def test_the_settings_of_every_neural_cell_are_accepted(scenario):
    settings = build_settings(scenario)
    cells = [c for c in list_cells(settings) if settings.recipes[c.recipe].kind == "encoder"]
    assert cells
    for cell in cells:
        told = check_section(CellSettings, describe_training(cell, settings))
        assert told.recipe.stages == settings.recipes[cell.recipe].stages


def _read(study, mixture):
    return read_examples(study.results / "mixtures" / "sentiment" / f"{mixture}.parquet")
