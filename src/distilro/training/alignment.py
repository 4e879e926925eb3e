"""Alignment: losses on a student's hidden states, for which its teacher reads the same batch.

Three losses per example, each with a weight of its own; a weight of 0 costs nothing:

* cosine: 1 - cos of the last states of student and teacher, mean over the tokens of a text.
  Source: Sanh et al. 2019, "DistilBERT", section 2 (L_cos).
* hidden: mean squared distance of the states behind each of the student's layers and behind the
  teacher's layer that it came from. Source: Jiao et al. 2020, "TinyBERT", eq. 8, with the mean over
  layers in place of the sum, so that the weight does not depend on their number. The embeddings
  (eq. 9) are left out: a student takes them from its teacher. States are not normalised first: they
  come out of a norm.
* masked: masked-language modelling of the student's own (see `masking`).

Where the student's states are narrower, one learned linear map without bias (eq. 8: W_h), shared
by all layers and both losses, turns them into the teacher's width. Labels and teachers' answers
are the engine's matter, and so is the weight `soft`.

Axes: B texts of a batch, S places, M hidden positions, V tokens, H width of a state.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from distilro.errors import SettingsError
from distilro.modeling.encoders import check_length
from distilro.modeling.forward import compute_all_states, compute_states
from distilro.modeling.token_batches import PaddedBatch, TokenBatch
from distilro.recipe_settings import AlignmentSettings
from distilro.training.masking import Vocabulary, mask_tokens

_MASK_STREAM = 7  # no random numbers in common with what else is drawn from (seed, stream, step)
_HEAD_DEVIATION = 0.02  # BERT's initialisation of linear layers
_LEAST_SHARE = 1e-6  # below one token of the longest text: only keeps 0 / 0 away


class Alignment:
    """The losses that align a student with a teacher, and what they learn on the side.

    Attributes:
        module: parameters of its own, for the student's optimiser and checkpoints; may be empty.
    """

    module: nn.ModuleDict

    def __init__(
        self,
        settings: AlignmentSettings,
        teacher: PreTrainedModel,
        student: PreTrainedModel,
        *,
        vocabulary: Vocabulary,
        layers: Sequence[int],
        seed: int,
    ) -> None:
        """Freeze the teacher, and make the parameters that the losses need.

        Args:
            settings: the weights.
            teacher: an encoder; where a loss needs it, it is moved to the student's device.
            student: the encoder that will be aligned, on the device to compute on.
            vocabulary: of the tokenizer of both.
            layers: for each of the student's layers the teacher's, see `students.choose_layers`.
            seed: of fresh parameters and of masks.

        Raises:
            SettingsError: `layers` does not fit the two, or they read different vocabularies.
        """
        self._settings, self._vocabulary = settings, vocabulary
        self._layers, self._seed = tuple(layers), seed
        self._teacher: PreTrainedModel | None = None
        if settings.cosine or settings.hidden:
            _check_fit(teacher, student, self._layers)
            self._teacher = teacher.to(student.device).eval().requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = self._build_module(teacher, student).to(student.device)

    def compute_losses(
        self, student: PreTrainedModel, batch: TokenBatch, states: Sequence[Tensor], step: int
    ) -> Tensor:
        """Return the weighed sum of the losses of each example, float32 [B].

        An example's loss does not depend on padding, nor on the other examples but for which of
        its tokens are masked.

        Args:
            student: the encoder, for the masked tokens.
            batch: its tokens.
            states: the student's `compute_all_states` of the batch; the teacher computes in their
                type.
            step: decides which tokens are masked.
        """
        settings = self._settings
        losses = torch.zeros(_count_texts(batch), device=batch.ids.device)
        if self._teacher is not None:
            losses = losses + self._compare(batch, states)
        if settings.masked:
            dtype = states[-1].dtype
            losses = losses + settings.masked * self._predict(student, batch, dtype, step)
        return losses

    def _build_module(self, teacher: PreTrainedModel, student: PreTrainedModel) -> nn.ModuleDict:
        ours, theirs = student.config.hidden_size, teacher.config.hidden_size
        parts = nn.ModuleDict()
        if self._teacher is not None and ours != theirs:
            parts["projection"] = nn.Linear(ours, theirs, bias=False)
            # Keeps lengths and angles, so that the first distances are those of the states.
            nn.init.orthogonal_(parts["projection"].weight)
        if self._settings.masked:
            parts["head"] = MaskedHead(ours, student.get_input_embeddings().weight.shape[0])
        return parts

    def _compare(self, batch: TokenBatch, states: Sequence[Tensor]) -> Tensor:
        """Return the weighed losses that need the teacher, float32 [B]."""
        settings = self._settings
        theirs = self._read(batch, states[-1].dtype)
        losses: Tensor | float = 0.0
        if settings.cosine:
            angles = measure_angles(self._project(states[-1]), theirs[-1])  # [S]
            losses = losses + settings.cosine * _average(batch, angles)
        if settings.hidden:
            distances = [
                (self._project(ours) - theirs[number + 1].float()).square().mean(dim=-1)  # [S]
                for ours, number in zip(states[1:], self._layers, strict=True)
            ]
            mean = torch.stack(distances).mean(dim=0)  # [S]
            losses = losses + settings.hidden * _average(batch, mean)
        return losses

    def _read(self, batch: TokenBatch, dtype: torch.dtype) -> list[Tensor]:
        """Return the teacher's states, embeddings first; the last alone where no other is used."""
        check_length(self._teacher.config, batch.longest)
        with torch.no_grad():
            if self._settings.hidden:
                return compute_all_states(self._teacher, batch, dtype=dtype)
            return [compute_states(self._teacher, batch, dtype=dtype)]

    def _project(self, states: Tensor) -> Tensor:
        """Return the student's states in the teacher's width, float32."""
        if "projection" not in self.module:
            return states.float()
        return self.module["projection"](states.float())

    def _predict(
        self, student: PreTrainedModel, batch: TokenBatch, dtype: torch.dtype, step: int
    ) -> Tensor:
        """Return the mean loss of each text's masked tokens, float32 [B]; 0 where it has none."""
        rng = np.random.default_rng((self._seed, _MASK_STREAM, step))
        masked, places, targets = hide_tokens(batch, self._vocabulary, rng)
        states = compute_states(student, masked, dtype=dtype)[places]  # [M, H]
        words = student.get_input_embeddings().weight
        with torch.autocast(states.device.type, dtype, enabled=dtype != torch.float32):
            logits = self.module["head"](states, words)
        losses = functional.cross_entropy(logits.float(), targets, reduction="none")  # [M]
        empty = torch.zeros(len(batch.ids), device=losses.device)  # [S]
        sums = _average(batch, empty.index_copy(0, places, losses))
        counts = _average(batch, empty.index_fill(0, places, 1.0))
        return sums / counts.clamp(min=_LEAST_SHARE)


class MaskedHead(nn.Module):
    """BERT's head for masked tokens, with the word embeddings of the encoder as its decoder."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(tokens))
        nn.init.normal_(self.dense.weight, std=_HEAD_DEVIATION)
        nn.init.zeros_(self.dense.bias)

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """Return logits [M, V] of states [M, H], given the word embeddings [V, H]."""
        transformed = self.norm(functional.gelu(self.dense(states)))
        return functional.linear(transformed, words, self.bias)


def measure_angles(states: Tensor, teacher_states: Tensor) -> Tensor:
    """Return 1 - cos of every two states, float32 [S] of 0 .. 2, of [S, H] each."""
    return 1.0 - functional.cosine_similarity(states.float(), teacher_states.float(), dim=-1)


def hide_tokens(
    batch: TokenBatch, vocabulary: Vocabulary, rng: np.random.Generator
) -> tuple[TokenBatch, Tensor, Tensor]:
    """Return a batch with some tokens hidden, where they are, and what stood there.

    The same texts in the same order have the same tokens hidden, padded or packed. The ids visit
    the CPU, for which a GPU is waited for.

    Returns:
        The batch; int64 [M], places of it; int64 [M], token ids.
    """
    ids = batch.ids.cpu().numpy().astype(np.int64)  # [S]
    tokens = np.arange(len(ids))
    if isinstance(batch, PaddedBatch):
        tokens = np.flatnonzero(batch.mask.cpu().numpy())
    text = ids[None, tokens]  # the real tokens of all texts, as if they were one
    masked = mask_tokens(text, np.ones_like(text), vocabulary, rng)
    ids[tokens] = masked.ids[0]
    device = batch.ids.device
    hidden = torch.from_numpy(ids).to(device, batch.ids.dtype)
    places, targets = (
        torch.from_numpy(part).to(device) for part in (tokens[masked.places], masked.targets)
    )
    return replace(batch, ids=hidden), places, targets


def _count_texts(batch: TokenBatch) -> int:
    return len(batch.mask) if isinstance(batch, PaddedBatch) else len(batch.offsets) - 1


def _average(batch: TokenBatch, values: Tensor) -> Tensor:
    """Return the mean of each text's tokens, float32 [B], of values [S]."""
    return batch.average(values.unsqueeze(-1)).squeeze(-1)


def _check_fit(teacher: PreTrainedModel, student: PreTrainedModel, layers: Sequence[int]) -> None:
    depth, theirs = student.config.num_hidden_layers, teacher.config.num_hidden_layers
    if len(layers) != depth or not all(0 <= number < theirs for number in layers):
        raise SettingsError(
            f"alignment: expected for each of the student's {depth} layers one of the teacher's, "
            f"0 to {theirs - 1}, got {list(layers)}. Nothing was trained; take them from "
            "choose_layers."
        )
    rows = [model.get_input_embeddings().weight.shape[0] for model in (student, teacher)]
    if rows[0] != rows[1]:
        raise SettingsError(
            f"alignment: expected student and teacher to read the same tokens, but they have "
            f"{rows[0]} and {rows[1]} word embeddings. Nothing was trained; make the student from "
            "this teacher."
        )
