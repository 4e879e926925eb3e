"""Classifiers: pooling, heads, folders and scoring."""

import json

import numpy as np
import pytest
import torch

from distilro.corpora.examples import Task
from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.encoders import ARCHITECTURES, load_encoder
from distilro.modeling.heads import (
    Classifier,
    build_classifier,
    load_classifier,
    save_classifier,
    score_tokens,
)
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.scorers import load_scorer
from distilro.modeling.token_batches import pad_batch
from distilro.modeling.tokenization import encode, load_tokenizer
from tests.modeling.tiny import TEXTS, build_tokenizer, write_encoder, write_hub_model

TASKS = (
    Task("sentiment", "multi_class", ("negative", "positive")),
    Task("emotion", "multi_label", ("sadness", "fear", "joy")),
)
TOKENS = RaggedTokens(np.array([2, 20, 21, 22, 3, 2, 30, 3], np.int32), np.array([0, 5, 8]))
BATCH = pad_batch(TOKENS, np.arange(2), 0)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def classifier(encoder_folder) -> Classifier:
    return build_classifier(encoder_folder, TASKS, pooling="mean", dropout=0.1, seed=3).eval()


@pytest.fixture
def saved(classifier, encoder_folder, tmp_path):
    """Give a classifier's folder, with heads that tell texts apart."""
    with torch.no_grad():
        for head in classifier.heads.values():
            head.weight.mul_(100)
    save_classifier(tmp_path, classifier, load_tokenizer(encoder_folder), TASKS, 24)
    return tmp_path


def test_each_task_has_as_many_logits_as_labels(classifier):
    assert classifier("sentiment", BATCH).shape == (2, 2)
    assert classifier("emotion", BATCH).shape == (2, 3)


def test_padding_changes_no_logit(classifier):
    alone = classifier("emotion", pad_batch(TOKENS, np.array([1]), 0))
    torch.testing.assert_close(classifier("emotion", BATCH)[1:], alone)


def test_logits_are_float32_in_bfloat16_too(classifier):
    logits = classifier("emotion", BATCH, "bf16")
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, classifier("emotion", BATCH), atol=0.02, rtol=0)


def test_heads_are_decided_by_the_seed_and_the_encoder_is_the_folder_s(encoder_folder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (
        build_classifier(encoder_folder, TASKS, pooling="mean", dropout=0.1, seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(1), expected)
    heads = [classifier.heads["emotion"].weight for classifier in (first, again, other)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    saved = load_encoder(encoder_folder)[0].state_dict()
    assert all(torch.equal(v, saved[n]) for n, v in other.encoder.state_dict().items())


def test_one_task_s_loss_leaves_the_other_head_alone(classifier):
    classifier("emotion", BATCH).sum().backward()
    assert classifier.heads["emotion"].weight.grad is not None
    assert classifier.heads["sentiment"].weight.grad is None


def test_another_pooling_is_refused(encoder_folder):
    with pytest.raises(SettingsError, match="pooling: expected one of mean, cls, got 'max'"):
        build_classifier(encoder_folder, TASKS, pooling="max", dropout=0, seed=1)


def test_texts_longer_than_the_encoder_takes_are_refused(tmp_path):
    folder = write_hub_model(tmp_path)
    classifier = build_classifier(folder, TASKS, pooling="mean", dropout=0, seed=1)
    with pytest.raises(SettingsError, match="max_tokens: expected at most 40"):
        score_tokens(classifier, "emotion", RaggedTokens(np.full(41, 20), np.array([0, 41])))


def test_a_saved_classifier_scores_as_it_did(classifier, saved):
    tokens = encode(build_tokenizer(), TEXTS, 24)
    scorer = load_scorer(saved)
    assert scorer.tasks == TASKS
    for task in TASKS:
        expected = score_tokens(classifier, task.name, tokens)
        assert expected.dtype == np.float32
        np.testing.assert_allclose(scorer.score(task.name, TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_is_saved_and_read_back(tmp_path, kind: str):
    folder = write_hub_model(tmp_path / "hub", kind)
    classifier = build_classifier(folder, TASKS, pooling="cls", dropout=0.2, seed=1)
    save_classifier(tmp_path / "model", classifier, load_tokenizer(folder), TASKS, 24)
    scorer = load_classifier(tmp_path / "model")
    logits = score_tokens(classifier, "emotion", encode(scorer.tokenizer, TEXTS, 24))
    np.testing.assert_allclose(scorer.score("emotion", TEXTS), logits, atol=1e-6)


def test_the_same_classifier_is_saved_as_the_same_bytes(saved, tmp_path):
    scorer = load_classifier(saved)
    save_classifier(tmp_path / "again", scorer.classifier, scorer.tokenizer, TASKS, 24)
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (saved / path.name).read_bytes()


def test_the_configuration_says_what_the_model_answers(saved):
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    assert (config["format"], config["version"]) == ("distilro-encoder", 1)
    assert config["tasks"][0] == {
        "name": "sentiment",
        "kind": "multi_class",
        "labels": ["negative", "positive"],
    }
    assert (config["pooling"], config["dropout"], config["max_tokens"]) == ("mean", 0.1, 24)
    assert config["encoder"]["model_type"] == "bert"


def test_scores_stand_in_the_order_of_the_texts_whatever_is_scored_beside_them(saved):
    scorer = load_classifier(saved)
    together = scorer.score("emotion", TEXTS * 3)
    alone = np.concatenate([scorer.score("emotion", [text]) for text in TEXTS])
    assert np.ptp(alone, axis=0).min() > 0.01  # the texts differ by more than rounding
    np.testing.assert_allclose(together, np.tile(alone, (3, 1)), atol=1e-4)


def test_texts_with_the_same_tokens_are_scored_once_and_alike(saved):
    scorer = load_classifier(saved)
    asked = []
    scorer.classifier.register_forward_pre_hook(lambda _, called: asked.append(called[1].ids))
    scores = scorer.score("emotion", [*TEXTS, "Ştiinţa", *TEXTS[::-1], "Știința"])
    alone = len(asked)
    scorer.score("emotion", [*TEXTS, "Știința"])
    once, twice = (sum(ids.numel() for ids in part) for part in (asked[alone:], asked[:alone]))
    assert once == twice > 0
    assert np.array_equal(scores[: len(TEXTS)], scores[len(TEXTS) + 1 : -1][::-1])
    assert np.array_equal(scores[len(TEXTS)], scores[-1])


def test_a_budget_of_tokens_changes_no_score(saved):
    scorer = load_classifier(saved)
    tokens = encode(scorer.tokenizer, TEXTS, 24)
    whole = score_tokens(scorer.classifier, "emotion", tokens)
    pieces = score_tokens(scorer.classifier, "emotion", tokens, batch_tokens=30)
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


def test_raw_text_scores_as_normalised_text(saved):
    scorer = load_classifier(saved)
    raw = scorer.score("emotion", ["Ştiinţa  şi\u200b ţara merg împreună.", "@ana: http://a.ro"])
    clean = scorer.score("emotion", ["Știința și țara merg împreună.", "<user>: <url>"])
    assert np.array_equal(raw, clean)


def test_bfloat16_scores_are_close(saved):
    exact = load_classifier(saved).score("emotion", TEXTS)
    coarse = load_classifier(saved, precision="bf16").score("emotion", TEXTS)
    assert not np.array_equal(coarse, exact)
    np.testing.assert_allclose(coarse, exact, atol=0.1)


def test_scoring_switches_dropout_off_and_leaves_the_mode_as_it_was(classifier):
    tokens = encode(build_tokenizer(), TEXTS, 24)
    expected = score_tokens(classifier, "emotion", tokens)
    classifier.train()
    assert np.array_equal(score_tokens(classifier, "emotion", tokens), expected)
    assert classifier.training


def test_no_texts_have_no_scores(saved):
    assert load_classifier(saved).score("emotion", []).shape == (0, 3)


def test_an_unknown_task_is_refused(saved):
    with pytest.raises(SettingsError, match="scores sentiment, emotion, not 'topic'"):
        load_classifier(saved).score("topic", TEXTS)


@pytest.mark.parametrize(("key", "value"), [("format", "other"), ("version", 2)])
def test_another_format_or_version_is_refused(saved, key: str, value: object):
    path = saved / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, key: value}), encoding="utf-8")
    with pytest.raises(
        IntegrityError, match=rf"expected distilro-encoder version 1, got .*{value}"
    ):
        load_classifier(saved)


def test_a_configuration_of_another_label_space_is_refused(saved):
    path = saved / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["tasks"][1]["labels"].append("trust")
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"expected the weights that config\.json describes"):
        load_classifier(saved)


@pytest.mark.parametrize("damage", ["cut", "absent"])
def test_damaged_weights_are_refused(saved, damage: str):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[:1000])
    with pytest.raises(IntegrityError, match=r"model\.safetensors: expected the weights"):
        load_classifier(saved)
