"""Masked-language modelling: an encoder learns the texts it will be trained on, without labels.

Tokens are hidden anew in every pass (see `masking`), and the model says what stood there. Only the
hidden positions are projected on the vocabulary, which is most of a small model's cost otherwise.

Dropout is off: in so few passes nothing is overfitted, and it slows a processor down by a tenth.
Source: Devlin et al. 2019, 3.1; no dropout: Geiping and Goldstein 2023, 4.2.
Axes: N texts, B texts of a batch, T tokens, M masked positions, V tokens of the vocabulary.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.encoder_settings import AdaptationSettings
from distilro.errors import DataError, TrainingError
from distilro.modeling.encoders import check_length
from distilro.modeling.masking import (
    Vocabulary,
    find_maskable,
    mask_tokens,
    read_vocabulary,
)
from distilro.modeling.precision import choose_precision
from distilro.modeling.ragged import RaggedTokens, cut_by_tokens
from distilro.modeling.tokenization import encode
from distilro.progress import show_progress

HELD_OUT_SHARE = 0.02

_WARMUP_SHARE = 0.1
_WEIGHT_DECAY = 0.01
_BETAS = (0.9, 0.98)  # RoBERTa's: 0.999 forgets too slowly for a few hundred steps
_CLIP_NORM = 1.0
_CURVE_POINTS = 50
_HELD_OUT_STREAM, _ORDER_STREAM, _MASK_STREAM = range(3)  # separate random numbers, one seed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Learner:
    """A model with what every one of its batches needs."""

    model: PreTrainedModel
    tokens: RaggedTokens
    vocabulary: Vocabulary
    precision: str


def adapt_encoder(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    settings: AdaptationSettings,
    seed: int,
) -> dict:
    """Train `model` in place on the distinct texts and return what its card says about it.

    Args:
        model: an encoder with its head for masked tokens, on the device to compute on.
        tokenizer: its tokenizer.
        texts: training texts; their order does not matter.
        settings: see AdaptationSettings; epochs of 0 do nothing.
        seed: of the held-out texts, the batches and the masks.

    Returns:
        JSON values: counts, precision, loss curve as [step, mean loss] pairs, and the loss on
        held-out texts, in nats per masked token, before and after. Nothing depends on the clock.

    Raises:
        DataError: fewer than two texts.
        TrainingError: a gradient is not finite.
    """
    distinct = sorted(set(texts))
    if settings.epochs == 0:
        return {"texts": len(distinct), "epochs": 0}
    check_length(model.config, settings.max_tokens)
    precision = choose_precision(settings.precision, model.device.type)
    vocabulary = read_vocabulary(tokenizer)
    tokens = encode(tokenizer, distinct, settings.max_tokens)
    tokens = tokens.select(find_maskable(tokens, vocabulary))
    held_out, learned = split_held_out(len(tokens), seed)
    learner = _Learner(model, tokens, vocabulary, precision)
    plan = plan_batches(learned, tokens.lengths, settings, seed)
    # subtle: evaluation mode is what switches dropout off; gradients are computed all the same.
    model.eval()
    before = measure_loss(learner, held_out, settings.batch_tokens, seed)
    losses = _train(learner, plan, settings.learning_rate, seed)
    after = measure_loss(learner, held_out, settings.batch_tokens, seed)
    logger.info("Held-out loss of masked tokens: %.3f before, %.3f after.", before, after)
    return {
        "texts": len(learned),
        "held_out_texts": len(held_out),
        "epochs": settings.epochs,
        "steps": len(plan),
        "tokens": sum(int(tokens.lengths[rows].sum()) for rows in plan),
        "padding_share": _measure_padding(plan, tokens.lengths),
        "precision": precision,
        "held_out_loss": {"before": before, "after": after},
        "loss_curve": _thin_out(losses),
    }


def split_held_out(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of held-out and of learned texts among `count`, both sorted."""
    held_out = max(1, round(HELD_OUT_SHARE * count))
    if count <= held_out:
        raise DataError(f"Expected two texts or more to adapt an encoder to, got {count}.")
    order = np.random.default_rng((seed, _HELD_OUT_STREAM)).permutation(count)
    return np.sort(order[:held_out]), np.sort(order[held_out:])


def plan_batches(
    rows: np.ndarray, lengths: np.ndarray, settings: AdaptationSettings, seed: int
) -> list[np.ndarray]:
    """Return the texts of every step: texts of about equal length together, in random order.

    Args:
        rows: int64 [n], positions of the texts to learn from.
        lengths: int64 [N], tokens of every position.
        settings: `epochs` passes, of which a fraction is cut off the last, under `batch_tokens`.
        seed: of the order.
    """
    rng = np.random.default_rng((seed, _ORDER_STREAM))
    plan: list[np.ndarray] = []
    whole, fraction = divmod(settings.epochs, 1)
    for share in [1.0] * int(whole) + [fraction] * (fraction > 0):
        shuffled = rng.permutation(rows)
        by_length = shuffled[np.argsort(lengths[shuffled], kind="stable")]
        batches = list(cut_by_tokens(by_length, lengths, settings.batch_tokens))
        taken = max(1, round(share * len(batches)))
        plan.extend(batches[place] for place in rng.permutation(len(batches))[:taken])
    return plan


def predict_masked(model: PreTrainedModel, ids: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """Return the logits [M, V] of the masked positions alone.

    Args:
        model: an encoder with its head for masked tokens.
        ids: int64 [B, T], padded.
        mask: int64 [B, T], 1 for tokens and 0 for padding.
        places: int64 [M], into the flattened [B * T].
    """
    states = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state  # [B, T, H]
    chosen = states.flatten(0, 1)[places]  # [M, H]
    if model.config.model_type == "bert":
        return model.cls(chosen)
    if model.config.model_type == "distilbert":
        transformed = model.activation(model.vocab_transform(chosen))
        return model.vocab_projector(model.vocab_layer_norm(transformed))
    return model.lm_head(chosen)  # roberta, xlm-roberta


def measure_loss(learner: _Learner, rows: np.ndarray, batch_tokens: int, seed: int) -> float:
    """Return the mean loss of masked tokens of texts, in nats; the same masks for the same seed."""
    lengths = learner.tokens.lengths
    by_length = rows[np.argsort(lengths[rows], kind="stable")]
    total, count = 0.0, 0
    with torch.inference_mode():
        for number, batch in enumerate(cut_by_tokens(by_length, lengths, batch_tokens)):
            rng = np.random.default_rng((seed, _HELD_OUT_STREAM, number))
            losses = _compute_losses(learner, batch, rng)
            total += float(losses.double().sum())
            count += len(losses)
    return total / max(1, count)


def _train(
    learner: _Learner, plan: Sequence[np.ndarray], learning_rate: float, seed: int
) -> list[float]:
    """Take one step per batch of the plan; return their losses."""
    optimiser = _build_optimiser(learner.model, learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _scale_learning_rate(step, len(plan))
    )
    losses: list[Tensor] = []
    tokens, began = 0, time.perf_counter()
    bar = show_progress(len(plan), what="adapting", unit="step")
    for step, rows in enumerate(plan):
        rng = np.random.default_rng((seed, _MASK_STREAM, step))
        loss = _compute_losses(learner, rows, rng).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(learner.model.parameters(), _CLIP_NORM)
        if not torch.isfinite(norm):
            raise TrainingError(
                f"The gradient is not finite at step {step} of {len(plan)} of the adaptation: loss "
                f"{loss.item():.3g}. Nothing was written; lower encoders.adaptation.learning_rate "
                "or set its precision to fp32."
            )
        optimiser.step()
        schedule.step()
        losses.append(loss.detach())
        bar.update()
        tokens += int(learner.tokens.lengths[rows].sum())
    seconds = time.perf_counter() - began
    speed = tokens / max(seconds, 1e-9)
    logger.info(
        "Adapted in %d steps of %s: %.1f s, %.0f tokens/s.",
        *(len(plan), learner.precision, seconds, speed),
    )
    return torch.stack(losses).tolist()


def _compute_losses(learner: _Learner, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Return the loss of each masked token of a batch, float32 [M]."""
    ids, mask = learner.tokens.pad(rows, learner.vocabulary.pad_id)
    masked = mask_tokens(ids, mask, learner.vocabulary, rng)
    device = learner.model.device
    inputs, attention, places, targets = (
        torch.from_numpy(part).to(device)
        for part in (masked.ids, mask, masked.places, masked.targets)
    )
    with torch.autocast(device.type, torch.bfloat16, enabled=learner.precision == "bf16"):
        logits = predict_masked(learner.model, inputs, attention, places)
    return nn.functional.cross_entropy(logits.float(), targets, reduction="none")


def _build_optimiser(model: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": _WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},  # norms and biases
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=_BETAS, eps=1e-6, fused=True)


def _scale_learning_rate(step: int, steps: int) -> float:
    """Return the factor of the highest rate: up over the warm-up, then linearly down to 0."""
    warmup = max(1, round(_WARMUP_SHARE * steps))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def _measure_padding(plan: Sequence[np.ndarray], lengths: np.ndarray) -> float:
    real = sum(int(lengths[rows].sum()) for rows in plan)
    padded = sum(int(lengths[rows].max()) * len(rows) for rows in plan)
    return 1 - real / padded


def _thin_out(losses: Sequence[float]) -> list[list[float]]:
    """Return at most `_CURVE_POINTS` pairs of last step and mean loss, of equal stretches."""
    stretches = np.array_split(np.asarray(losses), min(len(losses), _CURVE_POINTS))
    ends = np.cumsum([len(stretch) for stretch in stretches])
    return [[int(end), float(part.mean())] for end, part in zip(ends, stretches, strict=True)]
