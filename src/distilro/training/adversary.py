"""Adversarial language adaptation (ADAN): features in which a critic cannot tell languages apart.

Before each step of the classifier the critic Q takes a few of its own, up the estimate
`W = mean Q(source) - mean Q(target)`; the classifier then goes down `label loss + weight * W`.
Target texts are read without their labels. The labels' loss, the classifier's steps and the choice
of its best weights are the engine's matter, and one process is all that it knows of.

All that is drawn is a function of (seed, what for, step, critic step), so that a resumed training
needs the tensors of `remember` and no random state. A GPU is never waited for inside a step.

Source: Chen et al. 2018, "Adversarial deep averaging networks for cross-lingual text
classification", section 3 and algorithm 1.
Axes: B texts of a batch, H width of a pooled vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from distilro.errors import DataError
from distilro.modeling.critic import build_critic, estimate_gap, penalise_slope
from distilro.modeling.features import pool_features
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import TokenBatch, pack_batch, pad_batch, send_values
from distilro.recipe_settings import AdversarySettings
from distilro.training.loop import Learner

_GAPS = "gaps"


class _Draw(IntEnum):
    """What random numbers are drawn for; no two purposes share any."""

    CRITIC_SOURCE = 0
    CRITIC_TARGET = 1
    MIXING = 2
    LOSS_SOURCE = 3
    LOSS_TARGET = 4
    WEIGHTS = 5


@dataclass(frozen=True)
class LanguageTexts:
    """The texts of both languages that the critic is shown, and how they are read."""

    source: RaggedTokens
    target: RaggedTokens
    pad_id: int
    packed: bool
    precision: str  # "bf16" or "fp32", of the encoder's activations


def count_critic_steps(step: int, settings: AdversarySettings, *, first_epoch_steps: int) -> int:
    """Return how many steps the critic takes before `step` of the classifier, counted from 0.

    Many in the first `many_first` steps of the first epoch and at every `many_every`th step, step 0
    among them.

    Source: the code of Chen et al. 2018, which counts the steps of each epoch from 0 anew; here
    they are counted through.

    >>> settings = AdversarySettings(steps=5, many_steps=10, many_first=2, many_every=4)
    >>> [count_critic_steps(step, settings, first_epoch_steps=9) for step in range(6)]
    [10, 10, 5, 5, 10, 5]
    """
    catching_up = step < min(settings.many_first, first_epoch_steps)
    return settings.many_steps if catching_up or not step % settings.many_every else settings.steps


class Adversary:
    """The critic of one training, with its optimiser and the texts that it learns from."""

    def __init__(
        self,
        settings: AdversarySettings,
        texts: LanguageTexts,
        *,
        width: int,
        seed: int,
        first_epoch_steps: int,
        device: torch.device | str,
    ) -> None:
        """Make a fresh critic.

        Args:
            settings: see AdversarySettings.
            texts: of both languages, one text of each at least.
            width: H, of the classifier's pooled vectors.
            seed: the run's seed.
            first_epoch_steps: steps of the classifier in its first epoch.
            device: the classifier's.

        Raises:
            DataError: a language has no text.
        """
        _check_texts(texts)
        self.settings, self.texts = settings, texts
        self.seed, self.first_epoch_steps, self.device = seed, first_epoch_steps, device
        first_weights = int(self._make_rng(_Draw.WEIGHTS, 0, 0).integers(2**31))
        self.critic = build_critic(width, settings.hidden, seed=first_weights).to(device)
        self._bound_weights()  # so that no classifier ever meets a critic without bound
        self.optimiser = torch.optim.Adam(
            self.critic.parameters(), lr=settings.learning_rate, fused=True
        )
        self._joined = RaggedTokens.join([texts.source, texts.target])
        self._gaps: list[Tensor] = []

    def train_critic(self, classifier: nn.Module, step: int) -> None:
        """Let the critic take its steps before `step`: each on a fresh batch of both languages.

        The classifier is frozen meanwhile, so that one pass over the texts of all these steps
        serves: without gradients, in evaluation mode, and texts of equal length together.
        """
        count = count_critic_steps(step, self.settings, first_epoch_steps=self.first_epoch_steps)
        rows = [
            self._draw_rows(kind, step, number)
            for number in range(count)
            for kind in (_Draw.CRITIC_SOURCE, _Draw.CRITIC_TARGET)
        ]
        features = pool_features(
            classifier,
            self._joined.select(np.concatenate(rows)),
            pad_id=self.texts.pad_id,
            precision=self.texts.precision,
            packed=self.texts.packed,
        )
        parts = features.split(self.settings.batch_examples)  # by turns source and target, [B, H]
        for number in range(count):
            gap = self._take_critic_step(parts[2 * number], parts[2 * number + 1], (step, number))
        self._gaps.append(gap)

    def compute_loss(
        self, classifier: nn.Module, pooled: Tensor, source: Tensor, step: int
    ) -> Tensor:
        """Return `weight * W`, scalar, for the classifier to go down; the critic is held still.

        W sets the batch's source rows, or fresh ones where it has none, against fresh target texts,
        all read in the classifier's present mode and with gradients. A critic that is not finite
        makes the loss not finite, and so the guard of the training stops at that step. At weight
        0 that is all the loss tells: no text is read, and no gradient changes by a bit.

        Args:
            classifier: its `pool_texts` is called.
            pooled: float32 [B, H], of the batch with labels, with its gradient.
            source: bool [B], which of its rows are in the source language. In the processor's
                memory: what is read depends on it, and a GPU would be waited for.
            step: of the classifier.
        """
        critic = {name: value.detach() for name, value in self.critic.named_parameters()}
        if self.settings.weight == 0.0:
            return 0.0 * functional_call(self.critic, critic, (pooled.detach(),)).sum()
        source = source.cpu()
        labelled = bool(source.any())
        target_rows = self._draw_rows(_Draw.LOSS_TARGET, step)
        drawn = [] if labelled else [self._draw_rows(_Draw.LOSS_SOURCE, step)]
        batch = self._arrange(np.concatenate([target_rows, *drawn]))
        fresh = classifier.pool_texts(batch, self.texts.precision)
        scores = functional_call(self.critic, critic, (torch.cat([pooled, fresh]),))
        of_pooled, of_target, of_drawn = scores.tensor_split(
            (len(pooled), len(pooled) + len(target_rows))
        )
        if labelled:
            shares = send_values((source / source.sum()).numpy(), self.device)  # [B], 1 in all
            gap = (of_pooled * shares).sum() - of_target.mean()
        else:
            gap = of_drawn.mean() - of_target.mean()
        return self.settings.weight * gap

    def take_gap(self) -> float | None:
        """Return the mean W since the last call, None where the critic took no step since.

        Of each step, W on the critic's last batch, before it learned from that batch.
        """
        if not self._gaps:
            return None
        gap = float(torch.stack(self._gaps).mean())
        self._gaps = []
        return gap

    def remember(self) -> dict[str, Tensor]:
        """Return the critic, its optimiser's state, and the W that nobody has taken yet."""
        tensors = Learner(self.critic, self.optimiser).capture()
        return {**tensors, _GAPS: torch.stack(self._gaps)} if self._gaps else tensors

    def recall(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `remember` returned."""
        self.optimiser.state.clear()  # before the first step there is none, and none is kept
        Learner(self.critic, self.optimiser).restore(tensors)
        self._gaps = list(tensors[_GAPS].to(self.device)) if _GAPS in tensors else []

    def _take_critic_step(self, source: Tensor, target: Tensor, place: tuple[int, int]) -> Tensor:
        """Move the critic up W; return W as it was, scalar."""
        self.optimiser.zero_grad(set_to_none=True)
        gap = estimate_gap(self.critic, source, target)
        loss = -gap
        if self.settings.gradient_penalty is not None:
            shares = self._make_rng(_Draw.MIXING, *place).random((len(source), 1), np.float32)
            slope = penalise_slope(self.critic, source, target, send_values(shares, self.device))
            loss = loss + self.settings.gradient_penalty * slope
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._bound_weights()
        return gap.detach()

    def _bound_weights(self) -> None:
        if self.settings.gradient_penalty is None:
            self.critic.clip_weights(self.settings.clip)

    def _draw_rows(self, kind: _Draw, step: int, number: int = 0) -> np.ndarray:
        """Return the places of a batch's texts among those of both languages, int64 [B]."""
        is_source = kind in (_Draw.CRITIC_SOURCE, _Draw.LOSS_SOURCE)
        size, first = len(self.texts.source), 0
        if not is_source:
            size, first = len(self.texts.target), size
        rng = self._make_rng(kind, step, number)
        return first + rng.integers(size, size=self.settings.batch_examples)

    def _make_rng(self, kind: _Draw, step: int, number: int) -> np.random.Generator:
        key = (int(kind), step, number)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def _arrange(self, rows: np.ndarray) -> TokenBatch:
        if self.texts.packed:
            return pack_batch(self._joined, rows, self.device)
        return pad_batch(self._joined, rows, self.texts.pad_id, self.device)


def _check_texts(texts: LanguageTexts) -> None:
    counts = {"source": len(texts.source), "target": len(texts.target)}
    if not all(counts.values()):
        raise DataError(
            f"Adversary: expected texts of both languages, got {counts['source']} source and "
            f"{counts['target']} target texts. Nothing was trained; set the recipe's stages and "
            "its adversary's target to languages that the tasks have training rows of."
        )
