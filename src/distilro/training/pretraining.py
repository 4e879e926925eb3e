"""Masked-language modelling: an encoder learns the texts it will be trained on, without labels.

Tokens are hidden anew in every pass (see `masking`), and the model says what stood there. Only the
hidden positions are projected on the vocabulary, which is most of a small model's cost otherwise.

Dropout is off: in so few passes nothing is overfitted, and it slows a processor down by a tenth.
Source: Devlin et al. 2019, 3.1; no dropout: Geiping and Goldstein 2023, 4.2.
Axes: N texts, S places of a batch, M masked positions, V tokens of the vocabulary.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.encoder_settings import AdaptationSettings
from distilro.errors import DataError
from distilro.modeling.encoders import check_length
from distilro.modeling.forward import compute_states
from distilro.modeling.precision import TYPES, choose_precision
from distilro.modeling.ragged import RaggedTokens, cut_by_tokens
from distilro.modeling.token_batches import TokenBatch, arrange_padded
from distilro.modeling.tokenization import encode
from distilro.training.checkpoints import Checkpoints
from distilro.training.loop import Learner, StepSettings, run_steps
from distilro.training.masking import find_maskable, mask_tokens, read_vocabulary
from distilro.training.optimisation import build_optimiser

HELD_OUT_SHARE = 0.02

_WARMUP_SHARE = 0.1
_WEIGHT_DECAY = 0.01
_BETAS = (0.9, 0.98)  # RoBERTa's: 0.999 forgets too slowly for a few hundred steps
_EPSILON = 1e-6
_CLIP_NORM = 1.0
_CURVE_POINTS = 50
_HELD_OUT_STREAM, _ORDER_STREAM, _MASK_STREAM = range(3)  # separate random numbers, one seed

logger = logging.getLogger(__name__)


def adapt_encoder(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    settings: AdaptationSettings,
    seed: int,
    *,
    checkpoints: Checkpoints | None = None,
) -> dict:
    """Train `model` in place on the distinct texts and return what its card says about it.

    Args:
        model: an encoder with its head for masked tokens, on the device to compute on.
        tokenizer: its tokenizer.
        texts: training texts; their order does not matter.
        settings: see AdaptationSettings; epochs of 0 do nothing.
        seed: of the held-out texts, the batches and the masks.
        checkpoints: where to go on from and what to keep; None keeps nothing.

    Returns:
        JSON values: counts, precision, loss curve as [step, mean loss] pairs, and the loss on
        held-out texts, in nats per masked token, before and after. Nothing depends on the clock.

    Raises:
        DataError: fewer than two texts.
        TrainingError: a loss or gradient is not finite.
        StopRequestedError: a signal asked to stop.
    """
    distinct = sorted(set(texts))
    if settings.epochs == 0:
        return {"texts": len(distinct), "epochs": 0}
    check_length(model.config, settings.max_tokens)
    precision = choose_precision(settings.precision, model.device.type)
    tokens = encode(tokenizer, distinct, settings.max_tokens)
    tokens = tokens.select(find_maskable(tokens, read_vocabulary(tokenizer)))
    held_out, learned = split_held_out(len(tokens), seed)
    plan = plan_batches(learned, tokens.lengths, settings, seed)
    work = _MaskedWork(model, tokenizer, tokens, plan, seed=seed, precision=precision)
    # subtle: a resumed training begins with the same fresh weights, and takes the kept ones later.
    before = work.measure_loss(held_out, settings.batch_tokens)
    _learn(work, settings.learning_rate, checkpoints)
    after = work.measure_loss(held_out, settings.batch_tokens)
    logger.info("Held-out loss of masked tokens: %.3f before, %.3f after.", before, after)
    return {
        "texts": len(learned),
        "held_out_texts": len(held_out),
        "epochs": settings.epochs,
        "steps": len(plan),
        "tokens": sum(int(tokens.lengths[rows].sum()) for rows in plan),
        "padding_share": measure_plan_padding(plan, tokens.lengths),
        "precision": precision,
        "held_out_loss": {"before": before, "after": after},
        "loss_curve": thin_out(torch.stack(work.losses).tolist()),
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


def predict_masked(
    model: PreTrainedModel, batch: TokenBatch, places: Tensor, precision: str
) -> Tensor:
    """Return the logits [M, V] of the masked positions alone.

    Args:
        model: an encoder with its head for masked tokens.
        batch: the tokens, some of them hidden.
        places: int64 [M], into the batch's places.
        precision: "fp32" or "bf16".
    """
    dtype = TYPES[precision]
    states = compute_states(model.base_model, batch, dtype=dtype)  # [S, H]
    with torch.autocast(states.device.type, dtype, enabled=precision == "bf16"):
        return project_masked(model, states[places])


def project_masked(model: PreTrainedModel, chosen: Tensor) -> Tensor:
    """Return the logits [M, V] that a model's head for masked tokens gives states [M, H]."""
    if model.config.model_type == "bert":
        return model.cls(chosen)
    if model.config.model_type == "distilbert":
        transformed = model.activation(model.vocab_transform(chosen))
        return model.vocab_projector(model.vocab_layer_norm(transformed))
    return model.lm_head(chosen)  # roberta, xlm-roberta


class _MaskedWork:
    """The steps of one adaptation; see `loop.Work`."""

    size_setting = "encoders.adaptation.batch_tokens"

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        tokens: RaggedTokens,
        plan: Sequence[np.ndarray],
        *,
        seed: int,
        precision: str,
    ) -> None:
        self.model, self.tokens, self.plan = model, tokens, plan
        self.vocabulary = read_vocabulary(tokenizer)
        self.seed, self.precision = seed, precision
        self.total_steps = len(plan)
        self.losses: list[Tensor] = []  # one mean per step

    def compute_loss(self, step: int) -> Tensor:
        """Return the mean loss of the step's masked tokens."""
        rng = np.random.default_rng((self.seed, _MASK_STREAM, step))
        loss = self._compute_losses(self.plan[step], rng).mean()
        self.losses.append(loss.detach())
        return loss

    def describe(self, step: int) -> str:
        """Say how many texts the step had."""
        return f"adaptation of the encoder, {len(self.plan[step])} texts"

    def finish_step(self, step: int) -> None:
        """Do nothing: an adaptation has no epochs to look back on."""

    def remember(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Return the losses of all steps."""
        return {"losses": torch.stack(self.losses)}, {}

    def recall(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up what `remember` returned."""
        del values
        self.losses = list(tensors["losses"].to(self.model.device))

    def measure_loss(self, rows: np.ndarray, batch_tokens: int) -> float:
        """Return the mean loss of masked tokens of texts, in nats; always with the same masks."""
        lengths = self.tokens.lengths
        by_length = rows[np.argsort(lengths[rows], kind="stable")]
        total, count = 0.0, 0
        with torch.inference_mode():
            for number, batch in enumerate(cut_by_tokens(by_length, lengths, batch_tokens)):
                rng = np.random.default_rng((self.seed, _HELD_OUT_STREAM, number))
                losses = self._compute_losses(batch, rng)
                total += float(losses.double().sum())
                count += len(losses)
        return total / max(1, count)

    def _compute_losses(self, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Return the loss of each masked token of a batch, float32 [M]."""
        device, pad_id = self.model.device, self.vocabulary.pad_id
        ids, mask = self.tokens.pad(rows, pad_id)
        masked = mask_tokens(ids, mask, self.vocabulary, rng)
        batch = arrange_padded(masked.ids, mask, device)
        places, targets = (
            torch.from_numpy(part).to(device) for part in (masked.places, masked.targets)
        )
        logits = predict_masked(self.model, batch, places, self.precision)
        return nn.functional.cross_entropy(logits.float(), targets, reduction="none")


def _learn(work: _MaskedWork, learning_rate: float, checkpoints: Checkpoints | None) -> None:
    """Take the steps that are still to be taken, and say how fast."""
    optimiser = build_optimiser(
        work.model,
        learning_rate=learning_rate,
        weight_decay=_WEIGHT_DECAY,
        betas=_BETAS,
        eps=_EPSILON,
    )
    # subtle: evaluation mode is what switches dropout off in the head; gradients are computed.
    work.model.eval()
    steps = StepSettings(learning_rate, _WARMUP_SHARE, _CLIP_NORM, work.seed)
    clock = time.perf_counter()
    began = run_steps(work, Learner(work.model, optimiser), steps, checkpoints=checkpoints)
    seconds = time.perf_counter() - clock
    taken = sum(int(work.tokens.lengths[rows].sum()) for rows in work.plan[began:])
    logger.info(
        "Adapted in %d steps of %s: %.1f s, %.0f tokens/s.",
        *(len(work.plan) - began, work.precision, seconds, taken / max(seconds, 1e-9)),
    )


def measure_plan_padding(plan: Sequence[np.ndarray], lengths: np.ndarray) -> float:
    """Return the share of padding among all tokens of the batches of a plan, in [0, 1)."""
    real = sum(int(lengths[rows].sum()) for rows in plan)
    padded = sum(int(lengths[rows].max()) * len(rows) for rows in plan)
    return 1 - real / padded


def thin_out(losses: Sequence[float]) -> list[list[float]]:
    """Return at most `_CURVE_POINTS` pairs of last step and mean loss, of equal stretches."""
    stretches = np.array_split(np.asarray(losses), min(len(losses), _CURVE_POINTS))
    ends = np.cumsum([len(stretch) for stretch in stretches])
    return [[int(end), float(part.mean())] for end, part in zip(ends, stretches, strict=True)]
