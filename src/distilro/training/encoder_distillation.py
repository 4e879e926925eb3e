"""Distilling an encoder on plain texts, before it knows any task.

In every pass other tokens are hidden, and the student learns what stood there and what its
teachers say of it (see `lessons`). What it starts from is the matter of `students`. Without
teachers it is the same as `pretraining`.

Source: Sanh et al. 2019, "DistilBERT", sections 2 and 3.
"""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.modeling.precision import choose_precision
from distilro.student_settings import EncoderDistillationSettings
from distilro.training.checkpoints import Checkpoints
from distilro.training.lessons import Lesson, check_teachers
from distilro.training.loop import StepSettings
from distilro.training.masked_steps import MaskedGoal, learn_masked


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
        JSON values: what `learn_masked` returns, precision, number of teachers, temperature and
        weights.

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
    lesson = Lesson(student, teachers, settings, precision)
    goal = MaskedGoal(
        lesson.compute,
        lesson.weights,
        StepSettings(settings.learning_rate, settings.warmup_share, settings.clip_norm, seed),
        "Distillation of the encoder",
        "batch_tokens of the encoder's distillation",
    )
    return {
        **learn_masked(student, tokenizer, distinct, goal, settings, checkpoints=checkpoints),
        "precision": precision,
        "teachers": len(teachers),
        "temperature": settings.temperature,
        "weights": lesson.weights,
    }
