import numpy as np
import pytest

from distilro.corpora.examples import Task
from distilro.evaluation.validation import score_logits

TOPIC = Task("topic", "multi_class", ("culture", "sports"))
EMOTION = Task("emotion", "multi_label", ("joy", "fear"))


def test_right_answers_score_one_and_wrong_ones_zero():
    gold = np.eye(2, dtype=np.float32)
    observed = np.ones((2, 2), bool)
    assert score_logits(TOPIC, 5 * gold, gold, observed) == 1.0
    assert score_logits(TOPIC, -5 * gold, gold, observed) == 0.0


def test_the_most_probable_label_counts_even_below_one_half():
    gold = np.eye(2, dtype=np.float32)
    timid = np.array([[-1.0, -2.0], [-2.0, -1.0]])
    assert score_logits(EMOTION, timid, gold, np.ones((2, 2), bool)) == 1.0


def test_gold_sets_are_scored_by_accuracy():
    gold = np.array([[1, 1], [1, 0]], np.float32)
    logits = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert score_logits(TOPIC, logits, gold, np.ones((2, 2), bool)) == pytest.approx(0.5)
