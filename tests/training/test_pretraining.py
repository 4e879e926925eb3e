"""Masked-language modelling: plans, the projected positions, and that it learns."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilro.encoder_settings import AdaptationSettings
from distilro.errors import DataError, SettingsError, TrainingError
from distilro.modeling.encoders import ARCHITECTURES, build_masked_model, load_masked_model
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import pad_batch
from distilro.training.masked_steps import plan_batches, split_held_out
from distilro.training.pretraining import adapt_encoder, predict_masked
from tests.modeling.tiny import SCRATCH, TEXTS, build_tokenizer, write_hub_model


def build_adaptation(**changes: object) -> AdaptationSettings:
    values = {"epochs": 2, "learning_rate": 1e-3, "batch_tokens": 64, "max_tokens": 16}
    return AdaptationSettings(**{**values, "precision": "fp32", **changes})


def adapt(seed: int = 1, texts: list[str] = TEXTS, **changes: object):
    tokenizer = build_tokenizer()
    model = build_masked_model(SCRATCH, tokenizer, 1)
    return model, adapt_encoder(model, tokenizer, texts, build_adaptation(**changes), seed)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_projecting_masked_positions_alone_gives_what_the_whole_model_gives_there(tmp_path, kind):
    model, _ = load_masked_model(write_hub_model(tmp_path, kind))
    tokens = RaggedTokens(np.array([2, 20, 21, 22, 3, 2, 30, 31, 3], np.int32), np.array([0, 5, 9]))
    batch = pad_batch(tokens, np.arange(2), model.config.pad_token_id)
    places = torch.tensor([1, 3, 6])
    ids = batch.ids.view(batch.mask.shape).long()
    whole = model(input_ids=ids, attention_mask=batch.mask.long()).logits.flatten(0, 1)
    logits, _ = predict_masked(model, batch, places, "fp32")
    torch.testing.assert_close(logits, whole[places])


def test_a_text_that_is_repeated_is_learned():
    """One sentence in ten guises: what is masked is known from the rest."""
    texts = [f"Copiii aleargă veseli prin parc{'!' * number}" for number in range(1, 11)]
    _, report = adapt(texts=texts, epochs=40, learning_rate=5e-3)
    loss = report["held_out_loss"]
    assert loss["before"] == pytest.approx(np.log(len(build_tokenizer())), abs=0.3)
    assert loss["after"] < 0.6 * loss["before"]
    assert report["loss_curve"][-1][1] < report["loss_curve"][0][1]


def test_the_same_seed_gives_the_same_weights_whatever_the_order_of_the_texts():
    first, report = adapt()
    again, report_again = adapt(texts=[*reversed(TEXTS), TEXTS[0]])
    other, _ = adapt(seed=2)
    assert report == report_again
    weights = [model.state_dict() for model in (first, again, other)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert any(not torch.equal(value, weights[2][name]) for name, value in weights[0].items())


def test_no_epochs_leave_the_model_as_it_was():
    model, report = adapt(epochs=0)
    fresh = build_masked_model(SCRATCH, build_tokenizer(), 1)
    assert report == {"texts": len(TEXTS), "epochs": 0}
    assert all(torch.equal(v, model.state_dict()[n]) for n, v in fresh.state_dict().items())


def test_the_report_is_json_and_counts_what_was_learned():
    _, report = adapt(epochs=1.5)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["texts"], report["held_out_texts"]) == (len(TEXTS) - 1, 1)
    assert report["loss_curve"][-1][0] == report["steps"]
    assert report["precision"] == "fp32"
    assert 0 <= report["padding_share"] < 0.5
    assert 0 < report["tokens"] <= 1.5 * 16 * len(TEXTS)


def test_bfloat16_learns_about_the_same():
    _, exact = adapt()
    _, coarse = adapt(precision="bf16")
    assert coarse["held_out_loss"]["after"] == pytest.approx(
        exact["held_out_loss"]["after"], rel=0.02
    )


def test_the_model_is_left_in_evaluation_mode():
    assert not adapt()[0].training


def test_a_text_without_ordinary_tokens_is_left_out():
    _, report = adapt(texts=[*TEXTS, "漢"])
    assert report["texts"] + report["held_out_texts"] == len(TEXTS)


def test_one_text_is_too_few():
    with pytest.raises(DataError, match="two texts or more"):
        adapt(texts=["plouă"])


def test_texts_longer_than_the_encoder_takes_are_refused(tmp_path):
    model, _ = load_masked_model(write_hub_model(tmp_path))
    with pytest.raises(SettingsError, match="max_tokens"):
        adapt_encoder(model, build_tokenizer(), TEXTS, build_adaptation(max_tokens=64), 1)


def test_a_gradient_that_is_not_finite_stops_the_training():
    tokenizer = build_tokenizer()
    model = build_masked_model(SCRATCH, tokenizer, 1)
    with torch.no_grad():
        model.base_model.encoder.layer[0].output.dense.weight[0, 0] = torch.inf
    with pytest.raises(TrainingError, match="not finite at step 0"):
        adapt_encoder(model, tokenizer, TEXTS, build_adaptation(), 1)


@given(st.integers(2, 500), st.integers(0, 100))
def test_held_out_texts_are_two_percent_and_never_learned(count: int, seed: int):
    held_out, learned = split_held_out(count, seed)
    assert sorted([*held_out, *learned]) == list(range(count))
    assert len(held_out) == max(1, round(0.02 * count))


@given(st.lists(st.integers(3, 16), min_size=1, max_size=60), st.integers(1, 3))
def test_whole_epochs_show_every_text_as_often_as_there_are_epochs(lengths, epochs):
    rows = np.arange(len(lengths))
    plan = plan_batches(rows, np.array(lengths), build_adaptation(epochs=epochs), 1)
    shown = np.bincount(np.concatenate(plan), minlength=len(lengths))
    assert (shown == epochs).all()


def test_half_an_epoch_is_half_of_its_batches():
    lengths = np.full(100, 16)
    plan = plan_batches(np.arange(100), lengths, build_adaptation(epochs=0.5), 1)
    assert len(plan) == 12  # of 25 batches of 4 texts of 16 tokens
    assert len(set(np.concatenate(plan).tolist())) == 48
