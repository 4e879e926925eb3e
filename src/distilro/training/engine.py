"""Training a classifier: one or several tasks, gold labels and teachers.

All batches are laid out first, then stepped through (see `loop`); after each epoch the caller is
asked for validation scores, and the best weights are kept. It knows no metric and no loss: both
come with the goal. The only files it writes are checkpoints, where it is given them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distilro.training.batches import Batch, BatchLimits, measure_padding, plan_epochs
from distilro.training.checkpoints import Checkpoints
from distilro.training.epochs import LaidOutBatch, TaskData, lay_out_epoch
from distilro.training.loop import Learner, StepSettings, keep_result, run_steps
from distilro.training.objective import Objective
from distilro.training.optimisation import add_parameters, build_optimiser, scale_learning_rate
from distilro.training.weighting import build_weighting
from distilro.training.workers import ALONE, Workers

ScoreFunction = Callable[[nn.Module], Mapping[str, float]]

_BEST = "best."
_REMEMBERED = ("history", "best_step", "best_score")


@dataclass(frozen=True)
class LoopSettings:
    """What a training needs to know; the fields mean what they mean in params.yaml."""

    epochs: int
    learning_rate: float
    limits: BatchLimits
    warmup_share: float
    weight_decay: float
    layer_decay: float
    clip_norm: float
    precision: str  # "bf16" or "fp32"
    sampling: str | float
    seed: int
    packed: bool = False


@dataclass(frozen=True)
class Goal:
    """What is wanted of a training: a score to choose the best epoch by, and a loss.

    `score` maps the classifier to task -> validation score, higher is better; their mean chooses,
    the first of equals. `objective` is the loss, fresh; None is that of the labels alone.
    """

    score: ScoreFunction
    objective: Objective | None = None


@dataclass
class Training:
    """What a training was: its history, the step whose weights were kept, and its size.

    `seconds` are those of this run alone; all else is the same however often the training was
    stopped and resumed.
    """

    history: list[dict] = field(default_factory=list)
    best_step: int = 0
    best_score: float | None = None
    steps: int = 0
    tokens: int = 0
    padding_share: float = 0.0
    seconds: float = 0.0


def train_classifier(  # noqa: PLR0913 - one more where stages share an optimiser
    classifier: nn.Module,
    data: Sequence[TaskData],
    settings: LoopSettings,
    goal: Goal,
    *,
    optimiser: torch.optim.Optimizer | None = None,
    checkpoints: Checkpoints | None = None,
    workers: Workers = ALONE,
) -> Training:
    """Train `classifier` in place and leave it with its best weights.

    Args:
        classifier: called as classifier(task name, token batch, precision) -> logits [B, L].
        data: the tasks in their order, each once.
        settings: see LoopSettings.
        goal: what chooses the best epoch, and what is minimised.
        optimiser: of `prepare_optimiser`, to go on with: it is left with its last step's state,
            whichever weights are the best. None begins with a new one.
        checkpoints: where to go on from and what to keep for another time; None keeps nothing.
        workers: the processes that train this one classifier together.

    Raises:
        TrainingError: a loss or gradient is not finite; the message names step, task and examples.
        StopRequestedError: a signal asked to stop.
    """
    began = time.perf_counter()
    if goal.objective is None:
        plain = Objective(build_weighting("fixed", [part.task.name for part in data], {}))
        goal = replace(goal, objective=plain)
    work = _ClassifierWork(classifier, data, settings, goal, workers)
    goes_on = optimiser is not None
    optimiser = optimiser or prepare_optimiser(classifier, settings)
    for module, rate in work.objective.list_learned(settings.learning_rate):
        add_parameters(optimiser, module, rate, settings.weight_decay)
    learner = Learner(classifier, optimiser, work.objective.module)
    steps = StepSettings(
        settings.learning_rate, settings.warmup_share, settings.clip_norm, settings.seed
    )
    done = run_steps(work, learner, steps, checkpoints=checkpoints, workers=workers)
    work.take_best()
    if checkpoints and workers.rank == 0 and done < work.total_steps:
        keep_result(work, learner, checkpoints, with_optimiser=goes_on)
    work.training.seconds = time.perf_counter() - began
    return work.training


def prepare_optimiser(classifier: nn.Module, settings: LoopSettings) -> torch.optim.Optimizer:
    """Return a new optimiser of a classifier's parameters."""
    return build_optimiser(
        classifier,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        layer_decay=settings.layer_decay,
    )


class _ClassifierWork:
    """The steps of one classifier's training, epoch by epoch; see `loop.Work`."""

    size_setting = "batch_tokens (training.task or training.joint)"

    def __init__(
        self,
        classifier: nn.Module,
        data: Sequence[TaskData],
        settings: LoopSettings,
        goal: Goal,
        workers: Workers,
    ) -> None:
        self.classifier, self.settings, self.workers = classifier, settings, workers
        self.score, self.objective = goal.score, goal.objective
        self.by_task = {part.task.name: part for part in data}
        lengths = {name: part.tokens.lengths for name, part in self.by_task.items()}
        self.plan = plan_epochs(
            lengths,
            sampling=settings.sampling,
            epochs=settings.epochs,
            limits=settings.limits,
            seed=settings.seed,
        )
        self.places = [(e, b) for e, epoch in enumerate(self.plan) for b in range(len(epoch))]
        self.total_steps = len(self.places)
        self.objective.begin(len(self.plan[0]))
        self.training = Training(
            steps=self.total_steps,
            tokens=sum(int(lengths[b.task][b.rows].sum()) for epoch in self.plan for b in epoch),
            padding_share=0.0 if settings.packed else 1.0 - measure_padding(self.plan, lengths),
        )
        self.best: dict[str, Tensor] = {}
        self.losses: list[Tensor] = []  # of the present epoch, one mean per step
        self._laid_out: tuple[int, list[LaidOutBatch]] = (-1, [])

    def compute_loss(self, step: int) -> Tensor:
        """Return the step's loss, summed over this worker's examples and scaled by their share."""
        settings = self.settings
        epoch, place = self.places[step]
        batch = self._lay_out(epoch)[place]
        self.objective.prepare_step(self.classifier, step)
        self.classifier.train()
        losses, added = self.objective.compute_losses(
            self.classifier, batch, settings.precision, (step, self.total_steps)
        )
        total = losses.sum() * self._count_in(step)
        self.losses.append(total.detach() / len(self.plan[epoch][place].rows))
        return total * batch.share if added is None else total * batch.share + added

    def describe(self, step: int) -> str:
        """Name the step's task and examples."""
        batch = self._find(step)
        ids = self.by_task[batch.task].ids
        return f"task {batch.task}, examples {[ids[row] for row in batch.rows]}"

    def finish_step(self, step: int) -> None:
        """At the end of an epoch: measure the validation sets and keep the weights if best."""
        epoch, place = self.places[step]
        if place + 1 < len(self.plan[epoch]):
            return
        training = self.training
        scores = dict(self.score(self.classifier))
        mean = float(np.mean(list(scores.values())))
        loss = float(self._add_up_losses().mean())
        self.losses = []
        told = {"epoch": epoch + 1, "step": step + 1, "loss": loss, "valid": scores, "score": mean}
        told["learning_rate"] = self._describe_rate(step)
        training.history.append({**told, **self.objective.finish_epoch(scores)})
        if training.best_score is None or mean > training.best_score:
            training.best_score, training.best_step = mean, step + 1
            self.best = {
                name: value.clone() for name, value in self.classifier.state_dict().items()
            }

    def take_best(self) -> None:
        """Put the best weights back."""
        if self.best:
            self.classifier.load_state_dict(self.best)
            self.best = {}

    def remember(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Return the best weights and the present epoch's losses; the history."""
        tensors = {_BEST + name: value for name, value in self.best.items()}
        if self.losses:
            tensors["losses"] = self._add_up_losses()
        own, values = self.objective.remember()
        training = {name: getattr(self.training, name) for name in _REMEMBERED}
        return {**tensors, **own}, {"training": training, "objective": values}

    def recall(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up what `remember` returned."""
        device = next(self.classifier.parameters()).device
        self.best = {
            name[len(_BEST) :]: value.to(device)
            for name, value in tensors.items()
            if name.startswith(_BEST)
        }
        # What is kept was added up already: one worker brings it in, and the others nothing.
        share = float(self.workers.rank == 0)
        self.losses = list(tensors["losses"].to(device) * share) if "losses" in tensors else []
        for name, value in values["training"].items():
            setattr(self.training, name, value)
        self.objective.recall(tensors, values["objective"])

    def _describe_rate(self, step: int) -> float:
        """Return the highest rate of any parameter at a step, the weighting's own left aside."""
        settings = self.settings
        factor = scale_learning_rate(step, self.total_steps, settings.warmup_share)
        return settings.learning_rate * factor

    def _add_up_losses(self) -> Tensor:
        """Return the mean loss of each step of the present epoch, over all workers."""
        return self.workers.add_up(torch.stack(self.losses))

    def _find(self, step: int) -> Batch:
        epoch, place = self.places[step]
        return self.plan[epoch][place]

    def _count_in(self, step: int) -> float:
        """Return 0 where this worker only lends a hand, since it has no example of the batch."""
        return float(len(self.workers.take(self._find(step).rows)) > 0)

    def _lay_out(self, epoch: int) -> list[LaidOutBatch]:
        """Return the epoch's batches, this worker's part of each."""
        if self._laid_out[0] != epoch:
            self._laid_out = (-1, [])  # frees the epoch before first
            batches = [
                # subtle: a worker without an example takes one at weight 0, so that all workers
                # have gradients for the same parameters.
                Batch(b.task, rows if len(rows) else b.rows[:1], b.share)
                for b in self.plan[epoch]
                for rows in [self.workers.take(b.rows)]
            ]
            laid_out = lay_out_epoch(
                self.by_task,
                batches,
                pad_id=self.classifier.encoder.config.pad_token_id or 0,
                packed=self.settings.packed,
                device=next(self.classifier.parameters()).device,
            )
            self._laid_out = (epoch, laid_out)
        return self._laid_out[1]
