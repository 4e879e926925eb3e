"""A loss or gradient that is not finite: the run stops there, and what it had is kept."""

import math
from dataclasses import replace

import pytest
import torch

from distilro.errors import TrainingError
from distilro.training.checkpoints import Checkpoints
from distilro.training.engine import Goal, train_classifier
from distilro.training.guard import FiniteGuard
from tests.training.test_engine import SETTINGS, BagOfWords, make_data

DATA = make_data("topic")
FINITE = torch.tensor(2.0)


class SpoiledBag(BagOfWords):
    """A bag of words whose logits are spoiled at one training step."""

    def __init__(self, bad_step, value):
        super().__init__()
        self.bad_step, self.value, self.step = bad_step, value, 0

    def forward(self, task, batch, precision="fp32"):
        logits = super().forward(task, batch, precision)
        if self.training:
            if self.step == self.bad_step:
                logits = logits + torch.tensor([self.value, 0.0, 0.0])
            self.step += 1
        return logits


class WaitingGuard(FiniteGuard):
    """A guard on the CPU that looks as seldom as one on a GPU."""

    def __init__(self, device):
        super().__init__(device)
        self._waits = True


def train(folder, bad_step=None, value=math.inf, **changes):
    """Train until the error, if any; return its message, the weights, and the last checkpoint."""
    classifier, checkpoints = SpoiledBag(bad_step, value), Checkpoints(folder, "one", seconds=0)
    message = ""
    try:
        settings = replace(SETTINGS, **changes)
        train_classifier(
            classifier, [DATA], settings, Goal(lambda _: {"topic": 0.5}), checkpoints=checkpoints
        )
    except TrainingError as error:
        message = str(error)
    return message, dict(classifier.named_parameters()), checkpoints.load()


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("bad_step", [0, 3, 5, 7])  # epochs of 5 steps
def test_the_message_says_which_step_and_what_was_in_it(tmp_path, bad_step, value):
    message, _, _ = train(tmp_path, bad_step, value)
    assert f"not finite at step {bad_step} of 15 (task topic, examples ['topic" in message
    assert "loss nan, gradient norm nan, learning rate 0.0" in message
    assert "Lower learning_rate or clip_norm" in message


@pytest.mark.parametrize("bad_step", [3, 5, 7])
def test_the_weights_and_the_last_checkpoint_are_those_before_that_step(tmp_path, bad_step):
    _, weights, moment = train(tmp_path, bad_step)
    assert moment.step == bad_step
    for name, weight in weights.items():
        assert torch.equal(weight, moment.tensors[f"model.{name}"]), name
        assert torch.isfinite(weight).all()


def test_the_training_goes_on_from_that_checkpoint_once_the_cause_is_gone(tmp_path):
    train(tmp_path / "spoiled", 7)
    resumed = train(tmp_path / "spoiled")[1]
    whole = train(tmp_path / "whole")[1]
    assert all(torch.equal(weight, whole[name]) for name, weight in resumed.items())


def test_an_error_at_the_first_step_leaves_no_checkpoint(tmp_path):
    assert train(tmp_path / "kept", 0)[2] is None


def test_steps_that_were_taken_before_a_gpu_was_looked_at_changed_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("distilro.training.loop.FiniteGuard", WaitingGuard)
    monkeypatch.setattr(Checkpoints, "is_due", lambda self: False)
    message, weights, moment = train(tmp_path / "seldom", 7, epochs=9)
    assert "not finite at step 7 of 45" in message
    assert moment is None
    monkeypatch.setattr(Checkpoints, "is_due", lambda self: True)
    before = train(tmp_path / "often", 7, epochs=9)[2]
    for name, weight in weights.items():
        assert torch.equal(weight, before.tensors[f"model.{name}"]), name


def test_a_gpu_is_looked_at_before_a_checkpoint_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("distilro.training.loop.FiniteGuard", WaitingGuard)
    message, _, moment = train(tmp_path, 7)
    assert "at step 7" in message
    assert moment.step == 7


def test_a_gpu_is_looked_at_after_the_last_step(tmp_path, monkeypatch):
    monkeypatch.setattr("distilro.training.loop.FiniteGuard", WaitingGuard)
    monkeypatch.setattr(Checkpoints, "is_due", lambda self: False)
    message, _, moment = train(tmp_path / "kept", 14)
    assert "at step 14 of 15" in message
    assert moment is None


def test_finite_steps_are_let_pass():
    guard = FiniteGuard(torch.device("cpu"))
    for step in range(40):
        assert guard.judge(step, FINITE, FINITE) == 0.0
        assert guard.find_bad_step(step) is None


@pytest.mark.parametrize(
    ("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, -math.inf)]
)
def test_either_a_loss_or_a_norm_makes_a_step_bad(loss, norm):
    guard = FiniteGuard(torch.device("cpu"))
    assert guard.judge(3, torch.tensor(loss), torch.tensor(norm)) == 1.0
    found = guard.find_bad_step(3)
    assert found.step == 3
    assert str((found.loss, found.gradient_norm)) == str((loss, norm))


def test_the_first_bad_step_is_the_one_that_is_told_and_all_after_it_are_refused():
    guard = WaitingGuard(torch.device("cpu"))
    told = []
    for step in range(1, 40):
        bad = torch.tensor(math.inf) if step in (5, 9) else FINITE
        refused = guard.judge(step, bad, torch.tensor(float(step)))
        assert refused == float(step >= 5)
        told.append(guard.find_bad_step(step))
    assert [step for step, found in enumerate(told, 1) if found] == [32]  # every 32 steps
    assert told[31] == (5, math.inf, 5.0)


def test_a_waiting_guard_looks_at_once_when_it_is_asked_to():
    guard = WaitingGuard(torch.device("cpu"))
    guard.judge(1, torch.tensor(math.nan), FINITE)
    assert guard.find_bad_step(1) is None
    assert guard.find_bad_step(1, now=True).step == 1
