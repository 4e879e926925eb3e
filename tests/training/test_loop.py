"""The stepping loop: what it resumes, when it stops, and what it says."""

import os
import signal

import pytest
import torch
from torch import nn

from distilro.errors import StopRequestedError, TrainingError
from distilro.modeling.dropout import drop
from distilro.training.checkpoints import Checkpoints
from distilro.training.loop import (
    Learner,
    StepSettings,
    keep_result,
    measure_gradient,
    run_steps,
    seed_step,
)
from distilro.training.optimisation import build_optimiser

SETTINGS = StepSettings(learning_rate=0.01, warmup_share=0.2, clip_norm=1.0, seed=7)
STEPS = 6


class Regression:
    """A line through noise, with dropout: six steps of it; `before` is called before each."""

    total_steps = STEPS
    size_setting = "batch_lines"

    def __init__(self, model, before=lambda step: None):
        self.model, self.before = model, before
        self.taken, self.finished = [], []

    def compute_loss(self, step):
        self.before(step)
        self.taken.append(step)
        inputs = torch.arange(12.0).view(3, 4) + step
        return (drop(self.model(inputs), 0.5) - 1.0).square().mean()

    def describe(self, step):
        return f"lines of step {step}"

    def finish_step(self, step):
        self.finished.append(step)

    def remember(self):
        return {"sum": torch.tensor(sum(self.finished))}, {"finished": list(self.finished)}

    def recall(self, tensors, values):
        assert int(tensors["sum"]) == sum(values["finished"])
        self.finished = values["finished"]


class Tied(nn.Module):
    """Two layers that share their weights, and a buffer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, inputs):
        return self.second(self.norm(self.first(inputs)))


def run(checkpoints=None, before=lambda step: None, settings=SETTINGS):
    """Take all steps that are left; return the work, the learner and the step it began with."""
    model = Tied()
    optimiser = build_optimiser(model, learning_rate=settings.learning_rate, weight_decay=0.1)
    work, learner = Regression(model, before), Learner(model, optimiser)
    return work, learner, run_steps(work, learner, settings, checkpoints=checkpoints)


def interrupt_at(step, number=signal.SIGTERM):
    return lambda taken: os.kill(os.getpid(), number) if taken == step else None


def list_state(learner):
    return {name: tensor.tolist() for name, tensor in learner.capture().items()}


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "kept", "one", seconds=1e9)


@pytest.mark.parametrize("step", range(STEPS))
def test_weights_optimiser_and_buffers_are_the_same_wherever_it_was_stopped(checkpoints, step):
    _, whole, _ = run()
    with pytest.raises(StopRequestedError):
        run(checkpoints, interrupt_at(step))
    work, resumed, began = run(checkpoints)
    assert began == step + 1
    assert work.taken == list(range(step + 1, STEPS))
    assert work.finished == list(range(STEPS))
    state = list_state(whole)
    assert state == list_state(resumed)
    assert {"model.norm.running_mean", "optimiser.exp_avg_sq.first.weight"} <= state.keys()
    assert "model.second.weight" not in state  # it is the first one's


def test_the_model_that_goes_on_need_not_look_like_the_one_that_stopped(checkpoints):
    """All that it has learned comes from the checkpoint; its own weights are of no matter."""
    _, whole, _ = run()
    with pytest.raises(StopRequestedError):
        run(checkpoints, interrupt_at(2))
    model = Tied()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 3.0)
    optimiser = build_optimiser(model, learning_rate=SETTINGS.learning_rate, weight_decay=0.1)
    learner = Learner(model, optimiser)
    run_steps(Regression(model), learner, SETTINGS, checkpoints=checkpoints)
    assert list_state(learner) == list_state(whole)


def test_random_numbers_that_are_drawn_between_two_steps_change_nothing(monkeypatch):
    _, quiet, _ = run()
    monkeypatch.setattr(Regression, "finish_step", lambda work, step: torch.rand(step))
    _, disturbed, _ = run()
    assert list_state(quiet) == list_state(disturbed)


def test_another_seed_takes_other_steps():
    other = StepSettings(learning_rate=0.01, warmup_share=0.2, clip_norm=1.0, seed=8)
    assert list_state(run()[1]) != list_state(run(settings=other)[1])


def test_no_two_of_many_steps_and_seeds_share_their_random_numbers():
    def draw(seed, step):
        seed_step(seed, step)
        return int(torch.randint(2**62, ()))

    drawn = {draw(seed, step) for seed in range(20) for step in range(50)}
    assert len(drawn) == 20 * 50


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_the_step_end_and_writes_a_checkpoint(checkpoints, number, code):
    with pytest.raises(StopRequestedError, match=r"4 of 6 steps are done\. A checkpoint") as stop:
        run(checkpoints, interrupt_at(3, number))
    assert stop.value.exit_code == code
    assert checkpoints.load().step == 4


def test_without_checkpoints_the_message_says_that_nothing_was_kept():
    with pytest.raises(StopRequestedError, match=r"1 of 6 steps are done\. Nothing was kept"):
        run(None, interrupt_at(0))


def test_a_checkpoint_is_written_when_it_is_due_and_not_otherwise(checkpoints, monkeypatch):
    saved = []
    monkeypatch.setattr(checkpoints, "save", lambda moment: saved.append(moment.step))
    run(checkpoints)
    assert saved == []
    due = iter([False, True, False, False, True, False])
    monkeypatch.setattr(checkpoints, "is_due", lambda: next(due))
    run(checkpoints)
    assert saved == [2, 5]


def test_a_finished_training_is_kept_without_its_optimiser_and_not_done_again(checkpoints):
    work, learner, _ = run(checkpoints)
    keep_result(work, learner, checkpoints)
    assert not [name for name in checkpoints.load().tensors if name.startswith("optimiser.")]
    again, same, began = run(checkpoints)
    assert (began, again.taken) == (STEPS, [])
    assert list_state(same).items() <= list_state(learner).items()


def test_going_on_with_another_number_of_threads_is_allowed_and_said(
    checkpoints, caplog, monkeypatch
):
    with pytest.raises(StopRequestedError):
        run(checkpoints, interrupt_at(2))
    run(checkpoints)
    assert "may differ" not in caplog.text
    threads = torch.get_num_threads()
    monkeypatch.setattr("distilro.training.loop.torch.get_num_threads", lambda: threads + 1)
    _, _, began = run(checkpoints)
    assert began == 3
    assert f"Going on with {threads + 1} threads what began with {threads}" in caplog.text


@pytest.mark.parametrize("where", ["loss", "optimiser"])
def test_out_of_memory_names_the_setting_to_change(checkpoints, monkeypatch, where):
    def give_up(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    if where == "optimiser":  # whose state is made in its first step
        monkeypatch.setattr(torch.optim.AdamW, "step", give_up)
    before = give_up if where == "loss" else lambda step: None
    message = r"memory at step 0 of 6 \(lines of step 0\): CUDA out of memory.*Lower batch_lines"
    with pytest.raises(TrainingError, match=message):
        run(checkpoints, before)
    assert checkpoints.load() is None


def test_the_norm_of_no_gradient_at_all_is_nothing():
    assert measure_gradient([nn.Parameter(torch.ones(3))]) == 0.0
    parameters = [nn.Parameter(torch.ones(1)) for _ in range(2)]
    for parameter, gradient in zip(parameters, (3.0, 4.0), strict=True):
        parameter.grad = torch.tensor([gradient])
    assert measure_gradient(parameters) == 5.0
