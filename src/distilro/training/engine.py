"""The training loop: one classifier, one or several tasks, gold labels and teachers.

It lays out all batches first, then steps through them; after each epoch it asks the caller for
validation scores and keeps the best weights. It reads and writes no files and knows no metric:
targets and the score function come as arguments.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from distilro.corpora.examples import Task
from distilro.errors import TrainingError
from distilro.modeling.ragged import RaggedTokens
from distilro.progress import show_progress
from distilro.training.batches import Batch, BatchLimits, measure_padding, plan_epochs
from distilro.training.objectives import (
    compute_gold_loss,
    compute_teacher_loss,
    compute_teacher_weight,
    mix_losses,
)
from distilro.training.optimisation import (
    build_optimiser,
    scale_learning_rate,
    set_learning_rate,
)

logger = logging.getLogger(__name__)

ScoreFunction = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class TaskData:
    """The training examples of one task: N texts, L labels.

    `teacher` holds a teacher's probabilities float32 [N, L], or None without one.
    """

    task: Task
    ids: Sequence[str]
    tokens: RaggedTokens
    target: np.ndarray  # float32 [N, L]
    observed: np.ndarray  # bool [N, L]
    teacher: np.ndarray | None = None


@dataclass(frozen=True)
class LoopSettings:
    """What the loop needs to know; the fields mean what they mean in params.yaml."""

    epochs: int
    learning_rate: float
    limits: BatchLimits
    warmup_share: float
    weight_decay: float
    layer_decay: float
    clip_norm: float
    precision: str  # "bf16" or "fp32"
    sampling: str | float
    anneal: str | float | None
    seed: int


@dataclass
class Training:
    """What a training was: its history, the step whose weights were kept, and its size."""

    history: list[dict] = field(default_factory=list)
    best_step: int = 0
    best_score: float = -np.inf
    steps: int = 0
    tokens: int = 0
    padding_share: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Step:
    """One optimiser step's place: what an error names and a schedule needs."""

    number: int
    total: int
    batch: Batch


def train_classifier(
    classifier: nn.Module, data: Sequence[TaskData], settings: LoopSettings, score: ScoreFunction
) -> Training:
    """Train `classifier` in place and leave it with its best weights.

    Args:
        classifier: called as classifier(task name, ids [B, T], mask [B, T]) -> logits [B, L].
        data: the tasks in their order, each once.
        settings: see LoopSettings.
        score: classifier -> task -> validation score, higher is better; their mean chooses the
            best epoch, the first of equals.

    Raises:
        TrainingError: a gradient is not finite; the message names step, task and examples.
    """
    began = time.perf_counter()
    by_task = {part.task.name: part for part in data}
    lengths = {name: part.tokens.lengths for name, part in by_task.items()}
    plan = plan_epochs(
        lengths,
        sampling=settings.sampling,
        epochs=settings.epochs,
        limits=settings.limits,
        seed=settings.seed,
    )
    torch.manual_seed(settings.seed)
    optimiser = build_optimiser(
        classifier,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        layer_decay=settings.layer_decay,
    )
    total = sum(len(epoch) for epoch in plan)
    training = Training(
        steps=total,
        tokens=sum(int(lengths[b.task][b.rows].sum()) for epoch in plan for b in epoch),
        padding_share=1.0 - measure_padding(plan, lengths),
    )
    best: dict[str, Tensor] = {}
    step = 0
    with show_progress(total, what="training", unit="step") as bar:
        for epoch, batches in enumerate(plan, start=1):
            classifier.train()
            losses = []
            for batch in batches:
                place = _Step(step, total, batch)
                losses.append(_take_step(classifier, optimiser, by_task, settings, place))
                step += 1
                bar.update()
            scores = dict(score(classifier))
            mean_score = float(np.mean(list(scores.values())))
            mean_loss = float(torch.stack(losses).mean())
            training.history.append(
                {
                    "epoch": epoch,
                    "step": step,
                    "loss": mean_loss,
                    "valid": scores,
                    "score": mean_score,
                }
            )
            bar.set_postfix(loss=f"{mean_loss:.3f}", valid=f"{mean_score:.3f}")
            if mean_score > training.best_score:
                training.best_score, training.best_step = mean_score, step
                best = {name: value.clone() for name, value in classifier.state_dict().items()}
    if best:
        classifier.load_state_dict(best)
    training.seconds = time.perf_counter() - began
    return training


def _take_step(
    classifier: nn.Module,
    optimiser: torch.optim.Optimizer,
    by_task: Mapping[str, TaskData],
    settings: LoopSettings,
    step: _Step,
) -> Tensor:
    """Take one optimiser step; return the mean loss of its examples, detached."""
    data = by_task[step.batch.task]
    weight = compute_teacher_weight(settings.anneal, step.number, step.total)
    factor = scale_learning_rate(step.number, step.total, settings.warmup_share)
    set_learning_rate(optimiser, factor)
    losses = compute_losses(classifier, data, step.batch.rows, weight, settings.precision)  # [B]
    optimiser.zero_grad(set_to_none=True)
    (losses.sum() * step.batch.share).backward()
    norm = nn.utils.clip_grad_norm_(classifier.parameters(), settings.clip_norm)
    if not torch.isfinite(norm):
        raise TrainingError(
            f"The gradient is not finite at step {step.number} of {step.total} (task "
            f"{data.task.name}): gradient norm {float(norm)}, loss {losses.tolist()}, learning "
            f"rate {settings.learning_rate * factor:.3g}, examples "
            f"{[data.ids[row] for row in step.batch.rows]}. Nothing was written; lower "
            "learning_rate or clip_norm, or set precision to fp32."
        )
    optimiser.step()
    return losses.detach().mean()


def compute_losses(
    classifier: nn.Module,
    data: TaskData,
    rows: np.ndarray,
    teacher_weight: float,
    precision: str,
) -> Tensor:
    """Return the loss of each example at `rows`, float32 [B].

    A teacher of weight 0 is not looked at, so that such a student is the supervised model to the
    last bit.
    """
    device = next(classifier.parameters()).device
    pad_id = classifier.encoder.config.pad_token_id or 0
    ids, mask = (torch.from_numpy(part).to(device) for part in data.tokens.pad(rows, pad_id))
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits = classifier(data.task.name, ids, mask)
    logits = logits.float()  # [B, L]
    target = torch.from_numpy(data.target[rows]).to(device)
    observed = torch.from_numpy(data.observed[rows]).to(device)
    losses = compute_gold_loss(data.task.kind, logits, target, observed)
    if data.teacher is None or teacher_weight == 0.0:
        return losses
    teacher = torch.from_numpy(data.teacher[rows]).to(device)
    return mix_losses(losses, compute_teacher_loss(data.task.kind, logits, teacher), teacher_weight)
