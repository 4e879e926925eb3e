"""Predictions do not depend on what else is predicted, in which order, or on padding.

In float32 they agree within 1e-5; no other number is promised. The texts' own logits lie a
thousand times as far apart, so that a text that got another one's answer would be seen.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distilro.corpora.examples import Task
from distilro.modeling.encoders import ARCHITECTURES
from distilro.modeling.heads import build_classifier, save_classifier, score_tokens
from distilro.modeling.scorers import load_scorer
from distilro.modeling.token_batches import pack_batch
from distilro.modeling.tokenization import encode, load_tokenizer
from tests.modeling.tiny import TEXTS, write_hub_model

TOLERANCE = 1e-5
TASK = Task("emotion", "multi_label", ("sadness", "fear", "joy"))
MORE_TEXTS = [*TEXTS, "da", "Nu!", " ".join(TEXTS)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request, tmp_path_factory):
    """Give the folder of a classifier whose head tells texts apart."""
    hub = write_hub_model(tmp_path_factory.mktemp("hub"), request.param)
    classifier = build_classifier(hub, [TASK], pooling="mean", dropout=0.1, seed=3)
    with torch.no_grad():
        classifier.heads[TASK.name].weight.mul_(20)
    folder = tmp_path_factory.mktemp("model")
    save_classifier(folder, classifier, load_tokenizer(hub), [TASK], 24)
    return folder


@pytest.fixture(scope="module")
def scorer(folder):
    return load_scorer(folder)


@pytest.fixture(scope="module")
def alone(scorer):
    """Give the logits of every text that was scored by itself, [N, L]."""
    logits = np.concatenate([scorer.score(TASK.name, [text]) for text in MORE_TEXTS])
    distances = np.abs(logits[:, None] - logits[None]).max(axis=2) + np.eye(len(logits))
    assert distances.min() > 1000 * TOLERANCE
    return logits


def assert_close(logits, expected):
    np.testing.assert_allclose(logits, expected, atol=TOLERANCE, rtol=0)


@settings(max_examples=20)
@given(rows=st.lists(st.integers(0, len(MORE_TEXTS) - 1), min_size=1, max_size=30))
def test_a_text_s_logits_are_its_own_whatever_stands_beside_it(scorer, alone, rows):
    assert_close(scorer.score(TASK.name, [MORE_TEXTS[row] for row in rows]), alone[rows])


@settings(max_examples=20)
@given(
    order=st.permutations(range(len(MORE_TEXTS))),
    batch_tokens=st.integers(1, 400),
)
def test_order_and_batch_size_change_no_logit(scorer, alone, order, batch_tokens):
    tokens = encode(scorer.tokenizer, [MORE_TEXTS[row] for row in order], 24)
    logits = score_tokens(scorer.classifier, TASK.name, tokens, batch_tokens=batch_tokens)
    assert_close(logits, alone[order])


def test_packed_texts_have_the_same_logits(scorer, alone):
    tokens = encode(scorer.tokenizer, MORE_TEXTS, 24)
    with torch.inference_mode():
        batch = pack_batch(tokens, np.arange(len(tokens)))
        assert_close(scorer.classifier(TASK.name, batch).numpy(), alone)


def test_a_classifier_that_is_in_training_scores_as_one_that_is_not(scorer, alone):
    scorer.classifier.train()
    logits = scorer.score(TASK.name, MORE_TEXTS)
    scorer.classifier.eval()
    assert_close(logits, alone)
