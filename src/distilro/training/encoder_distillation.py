"""Distilling an encoder on plain texts, before it knows any task.

In every pass other tokens are hidden, and the student learns what stood there and what its
teachers say of it (see `lessons`). What it starts from is the matter of `students`. Texts, batches,
masks and the absence of dropout are those of `pretraining`: without teachers it is the same.

Source: Sanh et al. 2019, "DistilBERT", sections 2 and 3.
Axes: N texts, M masked positions.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.modeling.precision import choose_precision
from distilro.modeling.ragged import RaggedTokens, cut_by_tokens
from distilro.modeling.token_batches import arrange_padded
from distilro.modeling.tokenization import encode
from distilro.student_settings import EncoderDistillationSettings
from distilro.training.checkpoints import Checkpoints
from distilro.training.lessons import Lesson, check_teachers
from distilro.training.loop import Learner, StepSettings, run_steps
from distilro.training.masking import find_maskable, mask_tokens, read_vocabulary
from distilro.training.optimisation import build_optimiser
from distilro.training.pretraining import (
    measure_plan_padding,
    plan_batches,
    split_held_out,
    thin_out,
)

_WEIGHT_DECAY = 0.01
_BETAS = (0.9, 0.98)
_EPSILON = 1e-6
_HELD_OUT_STREAM, _MASK_STREAM = 0, 2  # those of `pretraining`: the same seed, the same masks

logger = logging.getLogger(__name__)


def distil_encoder(  # noqa: PLR0913 - those of adapt_encoder, and the teachers
    student: PreTrainedModel,
    teachers: Sequence[PreTrainedModel],
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    settings: EncoderDistillationSettings,
    seed: int,
    *,
    checkpoints: Checkpoints | None = None,
) -> dict:
    """Train `student` in place on the distinct texts and return what its card says about it.

    Args:
        student: an encoder with its head for masked tokens, on the device to compute on.
        teachers: encoders with their heads, which are left as they are; see `lessons`.
        tokenizer: of all of them.
        texts: training texts; their order does not matter.
        settings: see EncoderDistillationSettings; `student` is not looked at.
        seed: of the held-out texts, the batches and the masks.
        checkpoints: where to go on from and what to keep; None keeps nothing.

    Returns:
        JSON values: counts, precision, weights, temperature, loss curve as [step, mean loss] pairs,
        and each loss on held-out texts, without its weight, before and after. Nothing depends on
        the clock.

    Raises:
        SettingsError: teachers do not fit the student.
        DataError: fewer than two texts.
        TrainingError: a loss or gradient is not finite.
        StopRequestedError: a signal asked to stop.
    """
    distinct = sorted(set(texts))
    if settings.epochs == 0:
        return {"texts": len(distinct), "epochs": 0}
    check_teachers(student, teachers, tokenizer, settings)
    precision = choose_precision(settings.precision, student.device.type)
    tokens = encode(tokenizer, distinct, settings.max_tokens)
    tokens = tokens.select(find_maskable(tokens, read_vocabulary(tokenizer)))
    held_out, learned = split_held_out(len(tokens), seed)
    plan = plan_batches(learned, tokens.lengths, settings, seed)
    lesson = Lesson(student, teachers, settings, precision)
    work = _DistillationWork(lesson, tokenizer, tokens, plan, seed)
    before = work.measure_losses(held_out)
    _learn(work, settings, checkpoints)
    after = work.measure_losses(held_out)
    logger.info("Held-out losses of the student: %s before, %s after.", before, after)
    return {
        "texts": len(learned),
        "held_out_texts": len(held_out),
        "epochs": settings.epochs,
        "steps": len(plan),
        "tokens": sum(int(tokens.lengths[rows].sum()) for rows in plan),
        "padding_share": measure_plan_padding(plan, tokens.lengths),
        "precision": precision,
        "teachers": len(teachers),
        "temperature": settings.temperature,
        "weights": lesson.weights,
        "held_out_loss": {"before": before, "after": after},
        "loss_curve": thin_out(torch.stack(work.losses).tolist()),
    }


class _DistillationWork:
    """The steps of one distillation; see `loop.Work`."""

    size_setting = "batch_tokens of the encoder's distillation"

    def __init__(
        self,
        lesson: Lesson,
        tokenizer: PreTrainedTokenizerFast,
        tokens: RaggedTokens,
        plan: Sequence[np.ndarray],
        seed: int,
    ) -> None:
        self.lesson, self.tokens, self.plan, self.seed = lesson, tokens, plan, seed
        self.vocabulary = read_vocabulary(tokenizer)
        self.total_steps = len(plan)
        self.losses: list[Tensor] = []  # one per step

    def compute_loss(self, step: int) -> Tensor:
        """Return the weighed sum of the step's mean losses."""
        rng = np.random.default_rng((self.seed, _MASK_STREAM, step))
        parts = self._compute_parts(self.plan[step], rng)
        weights = self.lesson.weights
        means = [weights[name] * losses.mean() for name, losses in parts.items() if weights[name]]
        loss = torch.stack(means).sum()
        self.losses.append(loss.detach())
        return loss

    def describe(self, step: int) -> str:
        """Say how many texts the step had."""
        return f"distillation of the encoder, {len(self.plan[step])} texts"

    def finish_step(self, step: int) -> None:
        """Do nothing: a distillation has no epochs to look back on."""

    def remember(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Return the losses of all steps."""
        return {"losses": torch.stack(self.losses)}, {}

    def recall(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up what `remember` returned."""
        del values
        self.losses = list(tensors["losses"].to(self.lesson.student.device))

    def measure_losses(self, rows: np.ndarray) -> dict[str, float]:
        """Return the mean of each loss over texts, without weights; always with the same masks.

        That of masked tokens is measured even where it is not learned from.
        """
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        with torch.inference_mode():
            for number, batch in enumerate(self._cut(rows)):
                rng = np.random.default_rng((self.seed, _HELD_OUT_STREAM, number))
                for name, losses in self._compute_parts(batch, rng).items():
                    sums[name] = sums.get(name, 0.0) + float(losses.double().sum())
                    counts[name] = counts.get(name, 0) + len(losses)
        return {name: total / max(1, counts[name]) for name, total in sorted(sums.items())}

    def _cut(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        lengths = self.tokens.lengths
        by_length = rows[np.argsort(lengths[rows], kind="stable")]
        return cut_by_tokens(by_length, lengths, self.lesson.settings.batch_tokens)

    def _compute_parts(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        device = self.lesson.student.device
        ids, mask = self.tokens.pad(rows, self.vocabulary.pad_id)
        masked = mask_tokens(ids, mask, self.vocabulary, rng)
        batch = arrange_padded(masked.ids, mask, device)
        parts = (masked.places, masked.targets, np.flatnonzero(mask))
        return self.lesson.compute(batch, *(torch.from_numpy(part).to(device) for part in parts))


def _learn(
    work: _DistillationWork, settings: EncoderDistillationSettings, checkpoints: Checkpoints | None
) -> None:
    """Take the steps that are still to be taken, and say how fast."""
    student = work.lesson.student.eval()  # subtle: what switches dropout off in the head
    optimiser = build_optimiser(
        student,
        learning_rate=settings.learning_rate,
        weight_decay=_WEIGHT_DECAY,
        betas=_BETAS,
        eps=_EPSILON,
    )
    steps = StepSettings(
        settings.learning_rate, settings.warmup_share, settings.clip_norm, work.seed
    )
    clock = time.perf_counter()
    began = run_steps(work, Learner(student, optimiser), steps, checkpoints=checkpoints)
    seconds = time.perf_counter() - clock
    taken = sum(int(work.tokens.lengths[rows].sum()) for rows in work.plan[began:])
    logger.info(
        "Distilled in %d steps of %s: %.1f s, %.0f tokens/s.",
        *(len(work.plan) - began, work.lesson.precision, seconds, taken / max(seconds, 1e-9)),
    )
