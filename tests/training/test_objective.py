"""What one training minimises, joined from labels, votes, teachers, alignment and adversary."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from distilro.corpora.examples import Task
from distilro.modeling.ragged import RaggedTokens
from distilro.recipe_settings import AdversarySettings
from distilro.training.adversary import Adversary, LanguageTexts
from distilro.training.epochs import LaidOutBatch
from distilro.training.objective import Objective, Targets
from distilro.training.weighting import build_weighting

TASK = Task("topic", "multi_class", ("a", "b"))
NAN = float("nan")


def make_batch(teacher=None, votes=None):
    """Two examples, of label a and of label b."""
    return LaidOutBatch(
        TASK,
        SimpleNamespace(),
        target=torch.eye(2),
        observed=torch.ones(2, 2, dtype=torch.bool),
        teacher=None if teacher is None else torch.tensor(teacher),
        share=1.0,
        votes=None if votes is None else torch.tensor(votes),
        source=torch.tensor([True, False]),
    )


class Fixed(nn.Module):
    """A stub of a classifier whose pooled vectors are its logits, the same for every batch."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]]))
        self.encoder = None
        self.called = []

    def forward(self, task, tokens, precision):
        self.called.append("forward")
        return self.classify(task, self.pool_texts(tokens, precision))

    def pool_texts(self, tokens, precision):
        return self.logits

    def compute_all_states(self, tokens, precision):
        return [self.logits]

    def pool_states(self, tokens, states):
        return states

    def classify(self, task, pooled):
        return pooled


def build(name="fixed", weights=None, **parts):
    return Objective(build_weighting(name, ["topic"], weights or {}), **parts)


def compute(objective, batch, clock=(0, 4), classifier=None):
    return objective.compute_losses(classifier or Fixed(), batch, "fp32", clock)


def test_labels_alone_by_hand():
    """Probabilities 3/4 and 1/4, and a half each."""
    losses, added = compute(build(), make_batch())
    torch.testing.assert_close(losses, torch.tensor([math.log(4 / 3), math.log(2)]))
    assert added is None


def test_a_teacher_s_share_falls_with_the_clock():
    batch = make_batch(teacher=[[0.0, 1.0], [0.0, 1.0]])
    objective = build(targets=Targets(anneal="linear"))
    first, third = (compute(objective, batch, (step, 4))[0] for step in (0, 2))
    torch.testing.assert_close(first, torch.tensor([math.log(4), math.log(2)]))
    mixed = (math.log(4) + math.log(4 / 3)) / 2
    torch.testing.assert_close(third, torch.tensor([mixed, math.log(2)]))


@pytest.mark.parametrize("anneal", [None, 0.0])
def test_a_teacher_of_weight_0_is_not_looked_at(anneal):
    batch = make_batch(teacher=[[NAN, NAN], [NAN, NAN]])
    losses, _ = compute(build(targets=Targets(anneal=anneal)), batch)
    assert torch.equal(losses, compute(build(), make_batch())[0])


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
def test_a_teacher_teaches_what_no_gold_label_tells(kind):
    """A label that nobody looked at, or a set of labels: the teacher knows more of both."""
    observed = torch.tensor([[True, kind == "multi_class"]] * 2)
    target = torch.ones(2, 2) if kind == "multi_class" else torch.eye(2)
    batch = replace(
        make_batch(teacher=[[0.1, 0.9]] * 2),
        task=Task("topic", kind, ("a", "b")),
        target=target,
        observed=observed,
    )
    told = {}
    for anneal in (None, 0.5):
        classifier = Fixed()
        compute(build(targets=Targets(anneal=anneal)), batch, classifier=classifier)[
            0
        ].sum().backward()
        told[anneal] = classifier.logits.grad
    assert torch.equal(told[None][:, 1], torch.zeros(2))
    assert (told[0.5][:, 1] < 0).all()  # towards the second label


def test_votes_stand_beside_the_label_where_there_are_any():
    batch = make_batch(votes=[[0.5, 0.5], [NAN, NAN]])
    losses, _ = compute(build(targets=Targets(votes=0.5)), batch)
    voted = (math.log(4 / 3) + math.log(4)) / 2
    expected = torch.tensor([(math.log(4 / 3) + voted) / 2, math.log(2)])
    torch.testing.assert_close(losses, expected)
    without, _ = compute(build(), make_batch())
    assert losses[1] == without[1]


def test_votes_are_mixed_before_the_teacher():
    """Votes take half of what the teacher leaves to the labels."""
    batch = make_batch(teacher=[[0.0, 1.0]] * 2, votes=[[0.0, 1.0]] * 2)
    losses, _ = compute(build(targets=Targets(anneal=0.5, votes=0.5)), batch)
    expected = 0.5 * math.log(4) + 0.5 * (0.5 * math.log(4) + 0.5 * math.log(4 / 3))
    torch.testing.assert_close(losses[0], torch.tensor(expected))


def test_an_alignment_is_added_to_soft_labels_and_a_task_s_weight_takes_all():
    aligned = SimpleNamespace(
        module=nn.ModuleDict(), compute_losses=lambda *_: torch.tensor([10.0, 20.0])
    )
    objective = build(weights={"topic": 2.0}, alignment=aligned, soft=0.5)
    losses, _ = compute(objective, make_batch())
    expected = [2 * (0.5 * math.log(4 / 3) + 10), 2 * (0.5 * math.log(2) + 20)]
    torch.testing.assert_close(losses, torch.tensor(expected))


def test_without_extras_the_classifier_itself_is_called():
    """A hook on its forward pass sees every batch then."""
    classifier = Fixed()
    compute(build(), make_batch(), classifier=classifier)
    assert classifier.called == ["forward"]


def test_what_is_learned_beside_the_classifier_is_gathered():
    aligned = SimpleNamespace(module=nn.ModuleDict({"head": nn.Linear(2, 2)}))
    module = build("uncertainty", alignment=aligned).module
    names = {name.split(".")[0] for name, _ in module.named_parameters()}
    assert names == {"weighting", "alignment"}
    assert not list(build().module.parameters())


class Words(nn.Module):
    """A stub of a classifier that pools the vectors of words."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(8, 4)

    def pool_texts(self, batch, precision="fp32"):
        return batch.average(self.words(batch.ids))


def build_adversarial():
    texts = RaggedTokens(np.arange(8, dtype=np.int32), np.array([0, 2, 4]))
    adversary = Adversary(
        AdversarySettings(steps=1, many_steps=2, many_first=1, batch_examples=3, hidden=4),
        LanguageTexts(texts, texts, pad_id=0, packed=False, precision="fp32"),
        width=4,
        seed=0,
        first_epoch_steps=1,
        device="cpu",
    )
    return build(adversary=adversary)


def test_an_epoch_tells_the_gap_of_its_steps_once():
    objective = build_adversarial()
    objective.prepare_step(Words(), 0)
    assert set(objective.finish_epoch({"topic": 0.5})) == {"gap"}
    assert objective.finish_epoch({"topic": 0.5}) == {}
    assert build().finish_epoch({"topic": 0.5}) == {}


def test_what_was_remembered_makes_a_fresh_objective_go_on_alike():
    first, second, words = build_adversarial(), build_adversarial(), Words()
    for step in range(2):
        first.prepare_step(words, step)
    tensors, values = first.remember()
    read = {name: tensor.clone() for name, tensor in tensors.items()}  # as from a checkpoint
    second.recall({**read, "best.words": torch.zeros(1)}, values)
    for objective in (first, second):
        objective.prepare_step(words, 2)
    kept, again = first.remember()[0], second.remember()[0]
    assert kept.keys() == again.keys() and kept
    assert all(torch.equal(kept[name], again[name]) for name in kept)
