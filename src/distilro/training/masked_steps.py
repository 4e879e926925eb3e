"""Learning from plain texts of which tokens are hidden: held-out texts, batches, steps.

In every pass other tokens are hidden (see `masking`). What is learned from a batch is its caller's
matter: `pretraining` says what stood there, `encoder_distillation` what teachers say of it, too.

Dropout is off: in so few passes nothing is overfitted, and it slows a processor down by a tenth.
Source: Devlin et al. 2019, 3.1; no dropout: Geiping and Goldstein 2023, 4.2.
Axes: N texts, M masked positions, R places that are not padding.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.encoder_settings import AdaptationSettings
from distilro.errors import DataError
from distilro.modeling.ragged import RaggedTokens, cut_by_tokens
from distilro.modeling.token_batches import PaddedBatch, arrange_padded
from distilro.modeling.tokenization import encode
from distilro.training.checkpoints import Checkpoints
from distilro.training.loop import Learner, StepSettings, run_steps
from distilro.training.masking import find_maskable, mask_tokens, read_vocabulary
from distilro.training.optimisation import build_optimiser

HELD_OUT_SHARE = 0.02

_WEIGHT_DECAY = 0.01
_BETAS = (0.9, 0.98)  # RoBERTa's: 0.999 forgets too slowly for a few hundred steps
_EPSILON = 1e-6
_CURVE_POINTS = 50
_HELD_OUT_STREAM, _ORDER_STREAM, _MASK_STREAM = range(3)  # separate random numbers, one seed

# A batch, its masked places int64 [M], what stood there int64 [M], and the places that are not
# padding int64 [R] -> losses without their weights by name, each float32 [M] or [R].
ComputeLosses = Callable[[PaddedBatch, Tensor, Tensor, Tensor], dict[str, Tensor]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskedGoal:
    """What is learned of a batch and in which steps, and how the learning is called."""

    compute_losses: ComputeLosses
    weights: Mapping[str, float]  # loss -> its weight in the sum; 0: measured only
    steps: StepSettings  # and the seed of the held-out texts, the batches and the masks
    name: str  # for the log and for errors
    size_setting: str  # the setting that says how large a step is


def learn_masked(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    goal: MaskedGoal,
    settings: AdaptationSettings,
    *,
    checkpoints: Checkpoints | None = None,
) -> dict:
    """Train `model` in place on distinct texts and return what its card says about it.

    Args:
        model: an encoder with its head for masked tokens, on the device to compute on.
        tokenizer: its tokenizer.
        texts: training texts, sorted and distinct.
        goal: what is learned.
        settings: passes, and the sizes of texts and batches; nothing else is looked at.
        checkpoints: where to go on from and what to keep; None keeps nothing.

    Returns:
        JSON values: counts, loss curve as [step, mean loss] pairs, and each loss on held-out texts,
        without its weight, before and after. Nothing depends on the clock.

    Raises:
        DataError: fewer than two texts.
        TrainingError: a loss or gradient is not finite.
        StopRequestedError: a signal asked to stop.
    """
    tokens = encode(tokenizer, texts, settings.max_tokens)
    tokens = tokens.select(find_maskable(tokens, read_vocabulary(tokenizer)))
    held_out, learned = split_held_out(len(tokens), goal.steps.seed)
    plan = plan_batches(learned, tokens.lengths, settings, goal.steps.seed)
    work = _MaskedWork(model, tokenizer, tokens, plan, goal)
    # subtle: evaluation mode is what switches dropout off in the head; gradients are computed.
    model.eval()
    # subtle: a resumed training begins with the same fresh weights, and takes the kept ones later.
    before = work.measure_losses(held_out, settings.batch_tokens)
    _take_steps(work, checkpoints)
    after = work.measure_losses(held_out, settings.batch_tokens)
    logger.info("Held-out losses: %s before, %s after.", before, after)
    return {
        "texts": len(learned),
        "held_out_texts": len(held_out),
        "epochs": settings.epochs,
        "steps": len(plan),
        "tokens": sum(int(tokens.lengths[rows].sum()) for rows in plan),
        "padding_share": _measure_padding(plan, tokens.lengths),
        "held_out_loss": {"before": before, "after": after},
        "loss_curve": _thin_out(torch.stack(work.losses).tolist()),
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


class _MaskedWork:
    """The steps of one learning; see `loop.Work`."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        tokens: RaggedTokens,
        plan: Sequence[np.ndarray],
        goal: MaskedGoal,
    ) -> None:
        self.model, self.tokens, self.plan = model, tokens, plan
        self.goal = goal
        self.vocabulary = read_vocabulary(tokenizer)
        self.total_steps, self.size_setting = len(plan), goal.size_setting
        self.losses: list[Tensor] = []  # one per step

    def compute_loss(self, step: int) -> Tensor:
        """Return the weighed sum of the step's mean losses."""
        rng = np.random.default_rng((self.goal.steps.seed, _MASK_STREAM, step))
        weights = self.goal.weights
        parts = self._compute_parts(self.plan[step], rng)
        means = [weights[name] * losses.mean() for name, losses in parts.items() if weights[name]]
        loss = torch.stack(means).sum()
        self.losses.append(loss.detach())
        return loss

    def describe(self, step: int) -> str:
        """Say how many texts the step had."""
        return f"{self.goal.name}, {len(self.plan[step])} texts"

    def finish_step(self, step: int) -> None:
        """Do nothing: there are no epochs to look back on."""

    def remember(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Return the losses of all steps."""
        return {"losses": torch.stack(self.losses)}, {}

    def recall(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take up what `remember` returned."""
        del values
        self.losses = list(tensors["losses"].to(self.model.device))

    def measure_losses(self, rows: np.ndarray, batch_tokens: int) -> dict[str, float]:
        """Return the mean of each loss over texts, without weights; always with the same masks."""
        lengths = self.tokens.lengths
        by_length = rows[np.argsort(lengths[rows], kind="stable")]
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        with torch.inference_mode():
            for number, batch in enumerate(cut_by_tokens(by_length, lengths, batch_tokens)):
                rng = np.random.default_rng((self.goal.steps.seed, _HELD_OUT_STREAM, number))
                for name, losses in self._compute_parts(batch, rng).items():
                    sums[name] = sums.get(name, 0.0) + float(losses.double().sum())
                    counts[name] = counts.get(name, 0) + len(losses)
        return {name: total / max(1, counts[name]) for name, total in sorted(sums.items())}

    def _compute_parts(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        device = self.model.device
        ids, mask = self.tokens.pad(rows, self.vocabulary.pad_id)
        masked = mask_tokens(ids, mask, self.vocabulary, rng)
        batch = arrange_padded(masked.ids, mask, device)
        parts = (masked.places, masked.targets, np.flatnonzero(mask))
        return self.goal.compute_losses(
            batch, *(torch.from_numpy(part).to(device) for part in parts)
        )


def _take_steps(work: _MaskedWork, checkpoints: Checkpoints | None) -> None:
    """Take the steps that are still to be taken, and say how fast."""
    steps = work.goal.steps
    optimiser = build_optimiser(
        work.model,
        learning_rate=steps.learning_rate,
        weight_decay=_WEIGHT_DECAY,
        betas=_BETAS,
        eps=_EPSILON,
    )
    clock = time.perf_counter()
    began = run_steps(work, Learner(work.model, optimiser), steps, checkpoints=checkpoints)
    seconds = time.perf_counter() - clock
    taken = sum(int(work.tokens.lengths[rows].sum()) for rows in work.plan[began:])
    logger.info(
        "%s: %d steps, %.1f s, %.0f tokens/s.",
        *(work.goal.name, len(work.plan) - began, seconds, taken / max(seconds, 1e-9)),
    )


def _measure_padding(plan: Sequence[np.ndarray], lengths: np.ndarray) -> float:
    """Return the share of padding among all tokens of the batches of a plan, in [0, 1)."""
    real = sum(int(lengths[rows].sum()) for rows in plan)
    padded = sum(int(lengths[rows].max()) * len(rows) for rows in plan)
    return 1 - real / padded


def _thin_out(losses: Sequence[float]) -> list[list[float]]:
    """Return at most `_CURVE_POINTS` pairs of last step and mean loss, of equal stretches."""
    stretches = np.array_split(np.asarray(losses), min(len(losses), _CURVE_POINTS))
    ends = np.cumsum([len(stretch) for stretch in stretches])
    return [[int(end), float(part.mean())] for end, part in zip(ends, stretches, strict=True)]
