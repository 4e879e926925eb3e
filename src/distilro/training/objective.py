"""What one training minimises: labels, votes and teachers, weighed, with what a recipe adds.

An objective turns a batch into one loss per example, in this order: gold labels (or votes beside
them), mixed with the teachers' answers by the clock, plus an alignment with a teacher's states,
weighed by task. An adversary adds a term that belongs to the batch as a whole. The formulas stand
in `losses`, `alignment`, `adversary` and `weighting`; this module only joins them.

Axes: B examples of a batch, L labels, H width of a pooled vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from distilro.modeling.heads import Classifier
from distilro.training.adversary import Adversary
from distilro.training.alignment import Alignment
from distilro.training.epochs import LaidOutBatch
from distilro.training.losses import (
    compute_gold_loss,
    compute_teacher_loss,
    compute_teacher_weight,
    compute_votes_loss,
    find_votes,
    mix_losses,
    mix_votes,
)
from distilro.training.weighting import LEARNING_RATE as WEIGHTING_RATE
from distilro.training.weighting import Weighting

_ADVERSARY = "adversary."


@dataclass(frozen=True)
class Targets:
    """How labels, votes and teachers are mixed; the fields mean what they mean in a recipe."""

    anneal: str | float | None = None
    temperature: float = 1.0
    votes: float | None = None

    def compute_losses(self, logits: Tensor, batch: LaidOutBatch, teacher_weight: float) -> Tensor:
        """Return the loss of each example, float32 [B], of the student's logits [B, L].

        A teacher of weight 0 is not looked at, so that such a student is the supervised model to
        the last bit.
        """
        kind = batch.task.kind
        losses = compute_gold_loss(kind, logits, batch.target, batch.observed)
        if self.votes is not None and batch.votes is not None:
            has_votes = find_votes(kind, batch.votes)
            voted = compute_votes_loss(kind, logits, batch.votes, has_votes)
            losses = mix_votes(losses, voted, self.votes, has_votes)
        if batch.teacher is None or teacher_weight == 0.0:
            return losses
        taught = compute_teacher_loss(kind, logits, batch.teacher, self.temperature)
        return mix_losses(losses, taught, teacher_weight)


@dataclass
class Objective:
    """The loss of one training; what is None takes no part.

    `soft` is the weight of labels and teachers beside an alignment.
    """

    weighting: Weighting
    targets: Targets = field(default_factory=Targets)
    alignment: Alignment | None = None
    soft: float = 1.0
    adversary: Adversary | None = None

    def __post_init__(self) -> None:
        """Gather what is learned beside the classifier."""
        self.module = nn.ModuleDict({"weighting": self.weighting.module})
        if self.alignment is not None:
            self.module["alignment"] = self.alignment.module

    def list_learned(self, learning_rate: float) -> list[tuple[nn.Module, float]]:
        """Return each part of `module` with its highest rate; the classifier's if it has none."""
        own = {"weighting": WEIGHTING_RATE}
        return [(part, own.get(name, learning_rate)) for name, part in self.module.items()]

    def begin(self, first_epoch_steps: int) -> None:
        """Take notice of how long the first epoch is, before the first step of a training."""
        if self.adversary is not None:
            self.adversary.first_epoch_steps = first_epoch_steps

    def prepare_step(self, classifier: Classifier, step: int) -> None:
        """Do what comes before the classifier's step: the critic's own steps."""
        if self.adversary is not None:
            self.adversary.train_critic(classifier, step)

    def compute_losses(
        self, classifier: Classifier, batch: LaidOutBatch, precision: str, clock: tuple[int, int]
    ) -> tuple[Tensor, Tensor | None]:
        """Return the weighed loss of each example, float32 [B], and the adversary's term or None.

        Args:
            classifier: in training mode.
            batch: the step's examples.
            precision: "fp32" or "bf16".
            clock: the step, and the total of steps.
        """
        step, total = clock
        teacher_weight = compute_teacher_weight(self.targets.anneal, step, total)
        logits, aligned, added = self._run(classifier, batch, precision, step)
        losses = self.targets.compute_losses(logits, batch, teacher_weight)
        if aligned is not None:
            losses = self.soft * losses + aligned
        return self.weighting.weigh(batch.task.name, losses), added

    def _run(
        self, classifier: Classifier, batch: LaidOutBatch, precision: str, step: int
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the logits [B, L], the alignment's losses [B] and the adversary's term."""
        task, tokens = batch.task.name, batch.tokens
        if self.alignment is None and self.adversary is None:
            return classifier(task, tokens, precision), None, None
        aligned = added = None
        if self.alignment is None:
            pooled = classifier.pool_texts(tokens, precision)
        else:
            states = classifier.compute_all_states(tokens, precision)
            pooled = classifier.pool_states(tokens, states[-1])
            aligned = self.alignment.compute_losses(classifier.encoder, tokens, states, step)
        logits = classifier.classify(task, pooled)
        if self.adversary is not None:
            added = self.adversary.compute_loss(classifier, pooled, batch.source, step)
        return logits, aligned, added

    def finish_epoch(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Take notice of an epoch's validation scores; return what its history should tell."""
        self.weighting.finish_epoch(scores)
        gap = self.adversary.take_gap() if self.adversary is not None else None
        return {} if gap is None else {"gap": gap}

    def remember(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state beyond `module`: tensors, and JSON values."""
        tensors = self.adversary.remember() if self.adversary is not None else {}
        named = {_ADVERSARY + name: tensor for name, tensor in tensors.items()}
        return named, {"weighting": self.weighting.remember()}

    def recall(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up what `remember` returned; other tensors are not looked at."""
        self.weighting.recall(values["weighting"])
        if self.adversary is not None:
            own = {
                name.removeprefix(_ADVERSARY): tensor
                for name, tensor in tensors.items()
                if name.startswith(_ADVERSARY)
            }
            self.adversary.recall(own)
