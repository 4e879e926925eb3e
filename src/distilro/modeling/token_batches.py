"""Batches of tokens as a model takes them: padded to one length, or packed without padding.

Both hold all tokens one after the other, so that whatever looks at a token alone (embeddings,
linear layers, norms) need not know which of the two it has. They differ where tokens of one text
meet: in attention (see `attention`) and in the two ways to make one vector of a text, here.

Axes: B texts, T tokens of the longest, S places (B * T padded, the sum of lengths packed), H width.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from distilro.modeling.ragged import RaggedTokens


@dataclass(frozen=True)
class PaddedBatch:
    """B texts of T places each, the shorter ones filled up; S = B * T."""

    ids: Tensor  # int32 [S]
    positions: Tensor  # int32 [S], of each token in its text, from 0
    mask: Tensor  # bool [B, T], True for tokens
    whole: bool  # nothing is padding: known beforehand, so that no kernel has to look

    @property
    def longest(self) -> int:
        """Return T."""
        return self.mask.shape[1]

    def average(self, states: Tensor) -> Tensor:
        """Return the mean state of each text's tokens, float32 [B, H], of states [S, H]."""
        by_text = states.view(*self.mask.shape, -1).float()  # [B, T, H]
        if self.whole:
            return by_text.mean(dim=1)
        weights = self.mask.unsqueeze(-1).float()  # [B, T, 1]
        return (by_text * weights).sum(dim=1) / weights.sum(dim=1)

    def take_first(self, states: Tensor) -> Tensor:
        """Return the state of each text's first token, float32 [B, H], of states [S, H]."""
        return states.view(*self.mask.shape, -1)[:, 0].float()


@dataclass(frozen=True)
class PackedBatch:
    """B texts one after the other without padding: text b is places offsets[b]:offsets[b + 1]."""

    ids: Tensor  # int32 [S]
    positions: Tensor  # int32 [S], of each token in its text, from 0
    offsets: Tensor  # int32 [B + 1]
    longest: int  # T

    def average(self, states: Tensor) -> Tensor:
        """Return the mean state of each text's tokens, float32 [B, H], of states [S, H]."""
        lengths = self.offsets.diff().long()
        return torch.segment_reduce(states.float(), "mean", lengths=lengths, unsafe=True)

    def take_first(self, states: Tensor) -> Tensor:
        """Return the state of each text's first token, float32 [B, H], of states [S, H]."""
        return states[self.offsets[:-1].long()].float()

    @cached_property
    def padded_places(self) -> Tensor:
        """Return where each token lies among B * T padded places, int64 [S]."""
        lengths = self.offsets.diff().long()
        texts = torch.arange(len(lengths), device=lengths.device).repeat_interleave(
            lengths, output_size=len(self.ids)
        )
        return texts * self.longest + self.positions


TokenBatch = PaddedBatch | PackedBatch


def pad_batch(
    tokens: RaggedTokens, rows: np.ndarray, pad_id: int, device: torch.device | str = "cpu"
) -> PaddedBatch:
    """Return the texts at integer positions `rows`, padded to the longest of them."""
    return arrange_padded(*tokens.pad(rows, pad_id), device)


def arrange_padded(
    ids: np.ndarray, mask: np.ndarray, device: torch.device | str = "cpu"
) -> PaddedBatch:
    """Return token ids that are padded already, [B, T], with their mask of 0 and 1, as a batch."""
    positions = np.tile(np.arange(ids.shape[1], dtype=np.int32), len(ids))
    return PaddedBatch(
        ids=send_values(ids.astype(np.int32).reshape(-1), device),
        positions=send_values(positions, device),
        mask=send_values(mask.astype(bool), device),
        whole=bool(mask.all()),
    )


def pack_batch(
    tokens: RaggedTokens, rows: np.ndarray, device: torch.device | str = "cpu"
) -> PackedBatch:
    """Return the texts at integer positions `rows`, one after the other."""
    taken = tokens.select(rows)
    lengths = taken.lengths
    positions = np.arange(len(taken.ids)) - np.repeat(taken.offsets[:-1], lengths)
    return PackedBatch(
        ids=send_values(taken.ids, device),
        positions=send_values(positions.astype(np.int32), device),
        offsets=send_values(taken.offsets.astype(np.int32), device),
        longest=int(lengths.max()),
    )


def send_values(values: np.ndarray, device: torch.device | str) -> Tensor:
    """Return values on the device; to a GPU without waiting for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if torch.device(device).type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
