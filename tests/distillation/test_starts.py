"""How a model begins: fresh, or as another recipe's model of the same tasks."""

import pytest

from distilro.corpora.examples import Task
from distilro.distillation.cell_settings import CellPlaces, CellSettings, StartSettings
from distilro.distillation.starts import build_start, find_start
from distilro.errors import SettingsError
from distilro.modeling.heads import build_classifier, load_classifier
from distilro.settings import check_section
from tests.corpora.handmade import EMOTION, SENTIMENT
from tests.distillation.tiny_study import TinyStudy, is_same, start_from

RO = {"stages": [{"ro": 1.0}]}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = TinyStudy(tmp_path_factory.mktemp("starts"))
    study.train("first", RO)
    return study


def begin(study, tasks=(SENTIMENT,), seed=0, start=True, **recipe):
    begun = start_from("first") if start else {}
    told = {**RO, **({"init_from": "first"} if start else {}), **recipe}
    settings = study.describe(told, ("sentiment",), **begun)
    inputs = study.cell.inputs
    places = CellPlaces("some", "sentiment", inputs / "encoder", inputs, study.results)
    return build_start(check_section(CellSettings, settings), places, tasks, seed)


def read_first(study):
    return load_classifier(study.find_model("first")).classifier


def test_without_a_start_the_encoder_has_fresh_heads(study):
    fresh = build_classifier(
        study.cell.inputs / "encoder", [SENTIMENT], pooling="mean", dropout=0.1, seed=3
    )
    begun = begin(study, seed=3, start=False)
    assert is_same(begun.state_dict(), fresh.state_dict())
    assert begun.encoder_dropout.states == begun.encoder_dropout.attention == 0.1


def test_a_start_brings_encoder_and_heads_and_the_seed_changes_nothing_of_them(study):
    before = read_first(study).state_dict()
    assert is_same(begin(study).state_dict(), before)
    assert is_same(begin(study, seed=5).state_dict(), before)


def test_a_student_has_the_layers_that_it_was_asked_to_keep_and_the_teacher_s_head(study):
    before, begun = read_first(study), begin(study, student={"layers": (1,)})
    assert begun.encoder.config.num_hidden_layers == 1
    ours = begun.encoder.encoder.layer[0].state_dict()
    assert is_same(ours, before.encoder.encoder.layer[1].state_dict())
    assert is_same(begun.heads.state_dict(), before.heads.state_dict())


def test_a_narrower_student_has_fresh_heads_by_its_seed(study):
    narrow = [begin(study, seed=s, student={"layers": 2, "hidden": 8}) for s in (0, 0, 1)]
    assert narrow[0].heads["sentiment"].weight.shape == (2, 8)
    states = [model.heads.state_dict() for model in narrow]
    assert is_same(states[0], states[1]) and not is_same(states[0], states[2])


def test_a_task_that_the_start_has_no_head_for_is_refused(study):
    with pytest.raises(SettingsError, match="has no head for emotion, only for sentiment"):
        begin(study, tasks=(EMOTION,))


def test_a_head_of_other_labels_stays_fresh(study):
    other = Task("sentiment", "multi_class", ("negative", "neutral", "positive"))
    assert begin(study, tasks=(other,)).heads["sentiment"].weight.shape[0] == 3


@pytest.mark.parametrize(("seed", "chosen"), [(2, 2), (7, 1)])
def test_a_seed_begins_from_its_own_or_from_the_first(tmp_path, seed, chosen):
    start = StartSettings(recipe="a", scope="all", seeds=(1, 2))
    assert find_start(start, tmp_path, seed) == tmp_path / "models" / "a" / "all" / f"seed{chosen}"
