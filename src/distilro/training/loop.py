"""The stepping loop, for classifiers and for masked-language models alike.

It knows steps, gradients, the optimiser, checkpoints and signals; what is learned is the Work's
matter. All randomness of a step (dropout) is seeded by (seed, step), so that a resumed training
needs no random state but its step. A GPU is never waited for inside a step.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from distilro.errors import StopRequestedError, TrainingError
from distilro.progress import show_progress
from distilro.training.checkpoints import Checkpoints, Moment
from distilro.training.guard import BadStep, FiniteGuard
from distilro.training.interruption import watch_for_interruption
from distilro.training.optimisation import scale_learning_rate, set_learning_rate
from distilro.training.workers import ALONE, Workers

logger = logging.getLogger(__name__)


class Work(Protocol):
    """What is learned: a loss per step, and what has to be remembered of the steps done."""

    total_steps: int
    size_setting: str  # the setting that says how large a step is

    def compute_loss(self, step: int) -> Tensor:
        """Return the loss to minimise at `step`, scalar."""

    def describe(self, step: int) -> str:
        """Say what the step was made of, for an error message."""

    def finish_step(self, step: int) -> None:
        """Do what is to be done once `step` was taken, at the end of an epoch for instance."""

    def remember(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Return the state beyond weights and optimiser: tensors, and JSON values.

        All workers call it together, and the first one's is kept.
        """

    def recall(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up a state that `remember` returned."""


@dataclass(frozen=True)
class StepSettings:
    """How a step is taken; the fields mean what they mean in params.yaml."""

    learning_rate: float
    warmup_share: float
    clip_norm: float
    seed: int


@dataclass(frozen=True)
class Learner:
    """What a step changes: a model, what is learned beside it for a while, and their optimiser."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    beside: nn.Module = field(default_factory=nn.Module)

    def list_parameters(self) -> list[nn.Parameter]:
        """Return every parameter that the optimiser changes."""
        return [*self.model.parameters(), *self.beside.parameters()]

    def capture(self) -> dict[str, Tensor]:
        """Return weights and optimiser state by name; tied weights come once."""
        tensors = {}
        for name, parameter in self._name_parameters():
            tensors[name] = parameter
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{key}.{name.removeprefix('model.')}"] = value
        for name, buffer in self.model.named_buffers():
            tensors[f"model.{name}"] = buffer
        return tensors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `capture` returned."""
        with torch.no_grad():
            for name, buffer in self.model.named_buffers():
                buffer.copy_(tensors[f"model.{name}"])
            for name, parameter in self._name_parameters():
                parameter.copy_(tensors[name])
                kept = {
                    key: tensors[place].to(parameter.device)
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if (place := f"optimiser.{key}.{name.removeprefix('model.')}") in tensors
                }
                if kept:
                    self.optimiser.state[parameter] = kept

    def _name_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        for prefix, module in (("model", self.model), ("beside", self.beside)):
            for name, parameter in module.named_parameters():
                yield f"{prefix}.{name}", parameter


def run_steps(
    work: Work,
    learner: Learner,
    settings: StepSettings,
    *,
    checkpoints: Checkpoints | None = None,
    workers: Workers = ALONE,
) -> int:
    """Take every step of `work` that is still to be taken; return how many were done before.

    Where `checkpoints` has one, the training goes on from there: weights, optimiser and the work's
    own state are those of that moment.

    Raises:
        TrainingError: a loss or gradient is not finite; the weights are those before that step.
        StopRequestedError: a signal asked to stop; the step was finished and a checkpoint written.
    """
    guard = FiniteGuard(next(learner.model.parameters()).device)
    moment = checkpoints.load() if checkpoints else None
    began = moment.step if moment else 0
    if moment:
        _resume(work, learner, moment)
    total = work.total_steps
    bar = show_progress(total, what="training", unit="step", done=began)
    with bar, watch_for_interruption() as interruption:
        for step in range(began, total):
            _take_step(work, learner, settings, guard, workers, step)
            # One number tells all workers both: by which signal to stop, and whether to save.
            due = checkpoints is not None and workers.rank == 0 and checkpoints.is_due()
            heard, due = divmod(workers.agree(2 * (interruption.signal or 0) + due), 2)
            saves = checkpoints is not None and (heard or due)
            bad = guard.find_bad_step(step, now=bool(saves) or step + 1 == total)
            if bad:
                raise TrainingError(_explain(bad, work, settings))
            work.finish_step(step)
            bar.update()
            if checkpoints and saves:
                moment = _capture(work, learner, step + 1)
                if workers.rank == 0:
                    checkpoints.save(moment)
            if heard:
                raise StopRequestedError(heard, _say_where(step + 1, total, checkpoints))
    return began


def keep_result(
    work: Work, learner: Learner, checkpoints: Checkpoints, *, with_optimiser: bool = False
) -> None:
    """Write the finished training as a last checkpoint, so that it is never done again.

    The optimiser's state, twice the weights, is left out, since no step follows, but where
    `with_optimiser` says that another training goes on with it.
    """
    moment = _capture(work, learner, work.total_steps)
    kept = {
        n: t for n, t in moment.tensors.items() if with_optimiser or not n.startswith("optimiser.")
    }
    checkpoints.save(Moment(moment.step, kept, moment.values))


def measure_gradient(parameters: list[nn.Parameter]) -> Tensor:
    """Return the norm of all gradients together, scalar; 0 where there is none."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return nn.utils.get_total_norm(gradients)


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch's generators for one step; steps, seeds and workers share no random numbers."""
    # subtle: torch's generator for processors takes 32 bits of a seed, so all must depend on both.
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))


def _take_step(
    work: Work,
    learner: Learner,
    settings: StepSettings,
    guard: FiniteGuard,
    workers: Workers,
    step: int,
) -> None:
    optimiser = learner.optimiser
    set_learning_rate(optimiser, _scale(settings, step, work.total_steps))
    seed_step(settings.seed, step, workers.rank)
    try:
        loss = work.compute_loss(step)
        loss.backward()
        parameters = learner.list_parameters()
        workers.add_up_gradients(parameters)
        norm = measure_gradient(parameters)
        # The fused optimiser divides by the one and looks at the other by itself, on the device.
        optimiser.grad_scale = (norm / settings.clip_norm).clamp(min=1.0)
        optimiser.found_inf = guard.judge(step, workers.add_up(loss.detach().clone()), norm)
        optimiser.step()  # the first one makes the optimiser's state: twice the weights
    except torch.OutOfMemoryError as error:
        raise TrainingError(_explain_memory(error, work, step)) from error
    optimiser.zero_grad(set_to_none=True)


def _scale(settings: StepSettings, step: int, total: int) -> float:
    return scale_learning_rate(step, total, settings.warmup_share)


def _capture(work: Work, learner: Learner, step: int) -> Moment:
    tensors, values = work.remember()
    own = {f"work.{name}": tensor for name, tensor in tensors.items()}
    return Moment(
        step, {**learner.capture(), **own}, {**values, "threads": torch.get_num_threads()}
    )


def _resume(work: Work, learner: Learner, moment: Moment) -> None:
    values = dict(moment.values)
    threads = values.pop("threads")
    if threads != torch.get_num_threads():
        logger.warning(
            "Going on with %d threads what began with %d: the weights may differ in the last bits.",
            torch.get_num_threads(),
            threads,
        )
    logger.info("Going on after step %d of %d.", moment.step, work.total_steps)
    learner.restore(moment.tensors)
    prefix = "work."
    own = {n[len(prefix) :]: t for n, t in moment.tensors.items() if n.startswith(prefix)}
    work.recall(own, values)


def _explain(bad: BadStep, work: Work, settings: StepSettings) -> str:
    rate = settings.learning_rate * _scale(settings, bad.step, work.total_steps)
    return (
        f"The loss or its gradient is not finite at step {bad.step} of {work.total_steps} "
        f"({work.describe(bad.step)}): loss {bad.loss}, gradient norm {bad.gradient_norm}, "
        f"learning rate {rate:.3g}. The step was not taken and no model was written; the last "
        "checkpoint, if there is one, is kept. Lower learning_rate or clip_norm, or set precision "
        "to fp32."
    )


def _explain_memory(error: torch.OutOfMemoryError, work: Work, step: int) -> str:
    return (
        f"The GPU ran out of memory at step {step} of {work.total_steps} "
        f"({work.describe(step)}): {error} No model was written; the last checkpoint, if there "
        f"is one, is kept. Lower {work.size_setting}, or take a GPU with more memory."
    )


def _say_where(done: int, total: int, checkpoints: Checkpoints | None) -> str:
    kept = "A checkpoint was written: the same command goes on from here"
    lost = "Nothing was kept"
    return f"Asked to stop: {done} of {total} steps are done. {kept if checkpoints else lost}."
