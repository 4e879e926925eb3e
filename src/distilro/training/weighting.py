"""Weighting: how much each task's losses count in a training of several tasks.

A weighting is asked for every batch and told the validation scores after every epoch. Which task a
batch is of, and how often one comes, is not decided here (see `sampling`).

Axes: B examples of one task.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from distilro.errors import SettingsError, TrainingError

MEMORY = 0.5  # share of the mean of the epochs before in the running score; the rest is the newest
WEIGHTINGS = ("fixed", "difficulty", "uncertainty")
# Highest rate of what a weighting learns. It moves a few units from 0, whatever the encoder's rate
# is: at a rate that suits an encoder it would stay where it began.
LEARNING_RATE = 0.01


class Weighting(Protocol):
    """What every weighting offers.

    `module` holds what is learned together with the model, on the device where it was put; a
    checkpoint keeps its parameters with the model's, and `remember` the rest.
    """

    module: nn.Module

    def weigh(self, task: str, losses: Tensor) -> Tensor:
        """Return the losses [B] of a batch of `task`, weighed."""

    def finish_epoch(self, scores: Mapping[str, float]) -> None:
        """Take notice of an epoch's validation scores: task -> score in [0, 1]."""

    def remember(self) -> dict[str, Any]:
        """Return the state beyond the module's parameters, as JSON values."""

    def recall(self, values: Mapping[str, Any]) -> None:
        """Take up what `remember` returned."""


def build_weighting(name: str, tasks: Sequence[str], fixed: Mapping[str, float]) -> Weighting:
    """Return a new weighting of `tasks`.

    Args:
        name: one of WEIGHTINGS.
        tasks: those that are trained, each once.
        fixed: task -> a weight above 0 that any weighting multiplies by; 1 where none is given.
            Other tasks than `tasks` may be in it.

    Raises:
        SettingsError: there is no such weighting.
    """
    weights = {task: float(fixed.get(task, 1.0)) for task in tasks}
    if name == "fixed":
        return FixedWeighting(weights)
    if name == "difficulty":
        return DifficultyWeighting(weights)
    if name == "uncertainty":
        return UncertaintyWeighting(weights)
    raise SettingsError(f"weighting: expected one of {', '.join(WEIGHTINGS)}, got {name!r}.")


class FixedWeighting:
    """One constant weight per task."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.module: nn.Module = nn.Module()
        self.weights = dict(weights)

    def weigh(self, task: str, losses: Tensor) -> Tensor:
        """Return the losses [B] times the task's weight."""
        return _scale(losses, self.weights[task])

    def finish_epoch(self, scores: Mapping[str, float]) -> None:
        """Do nothing: the weights are constant."""

    def remember(self) -> dict[str, Any]:
        """Return nothing: there is no state."""
        return {}

    def recall(self, values: Mapping[str, Any]) -> None:
        """Do nothing: there is no state."""


class DifficultyWeighting:
    """Weights that grow with a task's difficulty: 1 - its running validation score.

    They are scaled to mean 1 over the tasks, so that the learning rate keeps its meaning, and then
    multiplied by the fixed ones. Before the first epoch ends, and where every task is solved, all
    tasks are equally difficult.
    """

    def __init__(self, fixed: Mapping[str, float]) -> None:
        self.module: nn.Module = nn.Module()
        self.fixed = dict(fixed)
        self.running: dict[str, float] = {}  # task -> score in [0, 1]; empty before the first epoch
        self.weights = dict(fixed)

    def weigh(self, task: str, losses: Tensor) -> Tensor:
        """Return the losses [B] times the task's present weight."""
        return _scale(losses, self.weights[task])

    def finish_epoch(self, scores: Mapping[str, float]) -> None:
        """Bring an epoch's scores into the running ones, and weigh anew.

        Raises:
            TrainingError: a task has no score, or one outside [0, 1].
        """
        for task in self.fixed:
            score = scores.get(task)
            if score is None or not 0 <= score <= 1:
                raise TrainingError(
                    f"weighting difficulty: expected a validation score in [0, 1] for task "
                    f"{task}, got {score}. No model was written; the last checkpoint, if there is "
                    "one, is kept. Choose another weighting, or give the task validation rows."
                )
        self.running = {
            task: MEMORY * self.running.get(task, scores[task]) + (1 - MEMORY) * scores[task]
            for task in self.fixed
        }
        self._weigh_anew()

    def remember(self) -> dict[str, Any]:
        """Return the running scores."""
        return {"running": dict(self.running)}

    def recall(self, values: Mapping[str, Any]) -> None:
        """Take up the running scores, and the weights that follow from them."""
        self.running = dict(values["running"])
        self._weigh_anew()

    def _weigh_anew(self) -> None:
        # subtle: a checkpoint's keys come back sorted; the sum must not depend on their order.
        difficulty = {task: 1.0 - self.running.get(task, 0.0) for task in self.fixed}
        mean = sum(difficulty.values()) / len(difficulty)
        self.weights = {
            task: weight * (difficulty[task] / mean if mean else 1.0)
            for task, weight in self.fixed.items()
        }


class UncertaintyWeighting:
    """Weights that are learned: exp(-s) * loss + s / 2 with s = log sigma^2, one s per task.

    s begins at 0, where the losses are what they were, and has its optimum where exp(-s) times the
    task's mean loss is 1/2. A fixed weight multiplies the whole: inside, s would undo it. The sum
    may fall below 0.

    Source: Kendall et al. 2018, "Multi-Task Learning Using Uncertainty to Weigh Losses", section
        3.2, in the form for classification.
    """

    def __init__(self, fixed: Mapping[str, float]) -> None:
        self.fixed = dict(fixed)
        # subtle: of one axis, so that no weight decay applies; and a parameter per task, so that a
        # batch of one task leaves the others without a gradient and their momentum at rest.
        self.log_variances = nn.ParameterDict({task: torch.zeros(1) for task in fixed})
        self.module: nn.Module = self.log_variances

    def weigh(self, task: str, losses: Tensor) -> Tensor:
        """Return exp(-s) * losses + s / 2, [B], times the task's fixed weight."""
        log_variance = self.log_variances[task]  # [1]
        weighed = torch.exp(-log_variance) * losses + log_variance / 2
        return _scale(weighed, self.fixed[task])

    def finish_epoch(self, scores: Mapping[str, float]) -> None:
        """Do nothing: the parameters learn with every step."""

    def remember(self) -> dict[str, Any]:
        """Return nothing: all state is in the module's parameters."""
        return {}

    def recall(self, values: Mapping[str, Any]) -> None:
        """Do nothing: all state is in the module's parameters."""


def _scale(losses: Tensor, weight: float) -> Tensor:
    """Return losses times weight, and the losses themselves where it is 1."""
    return losses if weight == 1.0 else losses * weight
