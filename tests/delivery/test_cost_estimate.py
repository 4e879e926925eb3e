import pytest

from distilro.corpora.registry import load_dataset
from distilro.delivery.cost_estimate import (
    Workload,
    count_mixture_rows,
    count_parameters,
    estimate_study,
    measure_workloads,
)
from distilro.errors import SettingsError
from distilro.modeling.encoders import build_encoder
from distilro.recipes import Mixture, list_cells
from tests.support import ROOT, build_settings

CAPS = {"caps": {"carer": 4000}}


@pytest.fixture(scope="module")
def settings():
    return build_settings("laptop", training={"seeds": [0, 1]}, mixtures=CAPS)


@pytest.fixture(scope="module")
def datasets(settings):
    names = [name for t in settings.data.tasks.values() for name in (t.ro, t.en, t.ood) if name]
    return {name: load_dataset(ROOT / "data/registry", name) for name in names}


def test_a_mixture_holds_its_shares_of_what_the_caps_leave(settings, datasets):
    assert count_mixture_rows(Mixture("emotion", "ro1"), settings, datasets) == 4088
    assert count_mixture_rows(Mixture("emotion", "ro1-en0.5"), settings, datasets) == 4088 + 2000


def test_every_cell_has_a_workload_and_linear_models_read_no_tokens(settings, datasets):
    loads = measure_workloads(settings, datasets)
    assert [(load.recipe, load.scope) for load in loads] == [
        (cell.recipe, cell.scope) for cell in list_cells(settings)
    ]
    assert {load.training_texts for load in loads if load.recipe == "linear"} == {0}
    assert {load.models for load in loads if load.recipe == "linear"} == {1}


def test_a_training_reads_its_mixture_once_per_epoch_and_seed(settings, datasets):
    (load,) = [
        load
        for load in measure_workloads(settings, datasets)
        if (load.recipe, load.scope) == ("single_ro", "emotion")
    ]
    assert load.training_texts == 4088 * settings.training.task.epochs * 2
    assert load.models == 2


def test_a_dataset_that_is_left_out_is_neither_learned_nor_asked_for_the_best_epoch(datasets):
    names = ["multi", "multi_without_emotion_ro"]
    settings = build_settings("laptop", training={"recipes": names, "seeds": [0]}, mixtures=CAPS)
    whole, without = (
        load for load in measure_workloads(settings, datasets) if load.recipe in names
    )
    epochs = settings.training.joint.epochs
    assert whole.training_texts - without.training_texts == 4088 * epochs
    valid = {name: datasets[name].splits["valid"] for name in ("redv2", "carer")}
    assert whole.forward_texts - without.forward_texts == (valid["redv2"] - valid["carer"]) * epochs


def test_a_teacher_is_asked_once_on_each_mixture_of_its_students(datasets):
    def count(recipes):
        training = {"recipes": recipes, "seeds": [0]}
        settings = build_settings("laptop", training=training, mixtures=CAPS)
        loads = measure_workloads(settings, datasets)
        return {(load.recipe, load.scope): load.forward_texts for load in loads}

    alone, teaching = count(["single_mixed"]), count(["distilled", "annealed"])
    place = "single_mixed", "emotion"
    assert teaching[place] - alone[place] == 4088 + 4000


def test_a_teacher_out_of_fold_is_trained_once_more_per_fold_on_the_rest(datasets):
    def find(logits):
        oof = {"extends": "annealed", "teacher_logits": logits}
        settings = build_settings(
            "laptop",
            training={"recipes": ["oof"], "seeds": [0], "folds": 4},
            recipes={"oof": oof},
        )
        loads = measure_workloads(settings, datasets)
        return next(x for x in loads if (x.recipe, x.scope) == ("single_mixed", "emotion"))

    seen, unseen = find("in_sample"), find("out_of_fold")
    assert (seen.models, unseen.models) == (1, 5)
    assert (
        unseen.training_texts == 4 * seen.training_texts
    )  # its own, and three quarters four times
    epochs = build_settings("laptop").training.task.epochs
    validation = datasets["redv2"].splits["valid"] * epochs
    assert unseen.forward_texts == seen.forward_texts + 4 * validation


def test_flops_and_hours_follow_from_the_texts():
    loads = [Workload("a", "t", 2, 100, 30), Workload("b", "t", 1, 50, 0)]
    by_flops = estimate_study(loads, tokens_per_text=10, parameters=7, flops_per_second=1.0)
    assert (by_flops.cells, by_flops.models) == (2, 3)
    assert (by_flops.training_tokens, by_flops.forward_tokens) == (1500, 300)
    assert by_flops.flops == 7 * (6 * 1500 + 2 * 300)
    assert by_flops.device_hours == pytest.approx(by_flops.flops / 3600)
    by_tokens = estimate_study(loads, tokens_per_text=10, parameters=None, tokens_per_second=2.0)
    assert by_tokens.flops is None
    assert by_tokens.device_hours == pytest.approx((1500 + 300 / 3) / 2 / 3600)
    without_speed = estimate_study(loads, tokens_per_text=10, parameters=7)
    assert (without_speed.flops, without_speed.device_hours) == (by_flops.flops, None)


@pytest.mark.parametrize(
    "speeds", [{"tokens_per_second": 1.0, "flops_per_second": 1.0}, {"flops_per_second": 1.0}]
)
def test_two_speeds_and_flops_of_an_unknown_encoder_are_refused(speeds):
    with pytest.raises(SettingsError, match="Nothing was estimated"):
        estimate_study([], tokens_per_text=10, parameters=None, **speeds)


def test_parameters_are_the_matrices_of_a_real_encoders_layers(settings):
    size = settings.encoders.scratch
    encoder = build_encoder(
        {
            "model_type": "bert",
            "vocab_size": 100,
            "hidden_size": size.hidden,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "intermediate_size": size.intermediate,
        }
    )
    named = encoder.named_parameters()
    matrices = [p.numel() for name, p in named if ".layer." in name and p.ndim == 2]
    assert count_parameters(settings.encoders) == sum(matrices)
    assert count_parameters(build_settings("study").encoders) is None
