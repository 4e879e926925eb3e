"""Lessons: what a student learns from one batch of which some tokens are hidden.

Student and teachers read the same batch. Up to three losses come of it, and a weight of 0 switches
one off:

* ce: T^2 * KL(teachers || student) at temperature T, over the vocabulary, of the masked tokens;
* masked: masked-language modelling;
* cosine: 1 - cos of the last states of student and teachers, of all tokens.

Several teachers speak as one: the mean of their distributions, and the mean of the cosine losses
with those whose states have the student's width.

Source: Sanh et al. 2019, "DistilBERT", sections 2 and 3; several teachers: Avram et al. 2022,
    "Distilling the Knowledge of Romanian BERTs Using Multiple Teachers", section 3.
Axes: M masked positions, R places that are not padding, V tokens of the vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.errors import SettingsError
from distilro.modeling.encoders import check_length
from distilro.modeling.token_batches import PaddedBatch
from distilro.student_settings import EncoderDistillationSettings
from distilro.training.alignment import measure_angles
from distilro.training.pretraining import predict_masked


class Lesson:
    """Student, teachers and weights: what is computed of one batch."""

    def __init__(
        self,
        student: PreTrainedModel,
        teachers: Sequence[PreTrainedModel],
        settings: EncoderDistillationSettings,
        precision: str,
    ) -> None:
        self.student, self.settings, self.precision = student, settings, precision
        self.weights = {name: getattr(settings, name) for name in ("ce", "masked", "cosine")}
        needed = teachers if settings.ce or settings.cosine else ()
        self.teachers = [teacher.to(student.device).eval() for teacher in needed]

    def compute(
        self, batch: PaddedBatch, places: Tensor, targets: Tensor, tokens: Tensor
    ) -> dict[str, Tensor]:
        """Return the losses that are on, and that of masked tokens, without their weights.

        Args:
            batch: its tokens, M of them hidden.
            places: int64 [M], where they are.
            targets: int64 [M], what stood there.
            tokens: int64 [R], the places that are not padding.

        Returns:
            "ce" and "masked", float32 [M]; "cosine", float32 [R].
        """
        logits, states = predict_masked(self.student, batch, places, self.precision)
        parts = {"masked": functional.cross_entropy(logits.float(), targets, reduction="none")}
        with torch.no_grad():
            read = [
                predict_masked(teacher, batch, places, self.precision) for teacher in self.teachers
            ]
        if self.weights["ce"]:
            answers = [theirs for theirs, _ in read]
            parts["ce"] = compute_soft_losses(logits, answers, self.settings.temperature)
        if self.weights["cosine"]:
            angles = [
                measure_angles(states[tokens], theirs[tokens])
                for _, theirs in read
                if theirs.shape == states.shape
            ]
            parts["cosine"] = torch.stack(angles).mean(dim=0)
        return parts


def compute_soft_losses(
    logits: Tensor, teacher_logits: Sequence[Tensor], temperature: float
) -> Tensor:
    """Return T^2 * KL(teachers || student) of each position, float32 [M].

    The teachers' distributions at temperature T are averaged. T^2 keeps the gradient's size, which
    would shrink by it.

    Args:
        logits: the student's, [M, V].
        teacher_logits: each teacher's, [M, V].
        temperature: T, above 0.

    Source: Hinton et al. 2015, section 2.
    """
    answers = [(theirs.float() / temperature).softmax(dim=-1) for theirs in teacher_logits]
    target = torch.stack(answers).mean(dim=0) if len(answers) > 1 else answers[0]  # [M, V]
    log_probability = (logits.float() / temperature).log_softmax(dim=-1)
    distances = functional.kl_div(log_probability, target, reduction="none").sum(dim=-1)  # [M]
    return temperature**2 * distances


def check_vocabularies(tokenizers: Sequence[PreTrainedTokenizerFast]) -> None:
    """Raise SettingsError where a tokenizer numbers its tokens otherwise than the first one."""
    first = tokenizers[0].get_vocab()
    for place, tokenizer in enumerate(tokenizers[1:], start=1):
        other = tokenizer.get_vocab()
        if other != first:
            differing = sorted(
                token
                for token in first.keys() | other.keys()
                if first.get(token) != other.get(token)
            )
            raise SettingsError(
                f"teachers: expected one vocabulary, but teacher {place} differs from teacher 0 in "
                f"{len(differing)} tokens, the first is {differing[0]!r}: "
                f"{first.get(differing[0])} and {other.get(differing[0])}. Nothing was trained; "
                "distil from each of them alone."
            )


def check_teachers(
    student: PreTrainedModel,
    teachers: Sequence[PreTrainedModel],
    tokenizer: PreTrainedTokenizerFast,
    settings: EncoderDistillationSettings,
) -> None:
    """Raise SettingsError where the teachers' sizes do not fit the student, or there is none."""
    for model in (student, *teachers):
        check_length(model.config, settings.max_tokens)
    if not teachers and (settings.ce or settings.cosine):
        raise SettingsError(
            "teachers: expected one or more, got none. Nothing was trained; give one, or set ce "
            "and cosine to 0."
        )
    rows = [model.get_input_embeddings().weight.shape[0] for model in (student, *teachers)]
    if len(set(rows)) > 1 or min(rows) < len(tokenizer):
        raise SettingsError(
            f"teachers: expected the student and every teacher to know the same {len(tokenizer)} "
            f"tokens or more, but their word embeddings are {', '.join(map(str, rows))}. Nothing "
            "was trained; choose teachers of one vocabulary."
        )
    widths = [model.config.hidden_size for model in (student, *teachers)]
    if settings.cosine and widths[0] not in widths[1:]:
        raise SettingsError(
            f"cosine: expected a teacher whose states are as wide as the student's ({widths[0]}), "
            f"got {', '.join(map(str, widths[1:]))}. Nothing was trained; set cosine to 0, or "
            "student.hidden to null."
        )
