"""Attention within each text of a batch, in the fastest way that the device has.

On a processor: two batched matrix products and a softmax. Torch's fused kernel is three times
slower there in bfloat16, all of it in its backward pass (torch 2.13, texts of 40 to 200 tokens).
On a GPU: torch's fused kernel for padded texts, and its flash attention of variable length for
packed ones, which knows no dropout. Packed texts are padded for this one step where there is no
such kernel.

Axes: B texts, T tokens of the longest, S places, N heads, D width of a head, H = N * D.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn

from distilro.modeling.dropout import drop
from distilro.modeling.token_batches import PackedBatch, PaddedBatch, TokenBatch

_HALF = (torch.bfloat16, torch.float16)  # all that flash attention computes in
_HIDDEN = -1e4  # added to the scores of padding: exp(-1e4) is 0 in every float type


def attend(batch: TokenBatch, joined: Tensor, heads: int, dropout: float) -> Tensor:
    """Return what each token gathers from the tokens of its text, [S, H].

    Args:
        batch: which token belongs to which text.
        joined: queries, keys and values side by side, [S, 3 * H].
        heads: N.
        dropout: share of the attention weights set to zero; 0 for packed texts on a GPU.

    Source: Vaswani et al. 2017, section 3.2, eq. 1.
    """
    if isinstance(batch, PaddedBatch):
        texts, longest = batch.mask.shape
        mask = None if batch.whole else batch.mask
        by_text = joined.view(texts, longest, 3, heads, -1)
        return _attend_padded(by_text, mask, dropout).reshape(len(joined), -1)
    if joined.is_cuda and joined.dtype in _HALF:
        return _attend_packed(batch, joined, heads)
    return _attend_by_padding(batch, joined, heads, dropout)


def _attend_padded(joined: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Return [B, T, N, D] from [B, T, 3, N, D]."""
    query, key, value = joined.permute(2, 0, 3, 1, 4)  # [B, N, T, D] each
    if joined.is_cuda:
        mask = None if mask is None else mask[:, None, None, :]  # [B, 1, 1, T]
        gathered = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout
        )
        return gathered.transpose(1, 2)
    texts, heads, longest, width = query.shape
    flat = (texts * heads, longest, width)
    scores = torch.bmm(
        (query / math.sqrt(width)).reshape(flat), key.reshape(flat).transpose(1, 2)
    )  # [B * N, T, T]
    if mask is not None:
        hidden = torch.where(mask, 0.0, _HIDDEN).to(scores.dtype)  # [B, T]
        scores = scores.view(texts, heads, longest, longest) + hidden[:, None, None, :]
        scores = scores.view(texts * heads, longest, longest)
    weights = drop(scores.softmax(dim=-1), dropout)
    gathered = torch.bmm(weights, value.reshape(flat))  # [B * N, T, D]
    return gathered.view(texts, heads, longest, width).transpose(1, 2)


def _attend_packed(batch: PackedBatch, joined: Tensor, heads: int) -> Tensor:
    query, key, value = joined.view(len(joined), 3, heads, -1).unbind(dim=1)  # [S, N, D] each
    offsets, longest = batch.offsets, batch.longest
    gathered = varlen_attn(query, key, value, offsets, offsets, longest, longest)
    return gathered.reshape(len(joined), -1)


def _attend_by_padding(batch: PackedBatch, joined: Tensor, heads: int, dropout: float) -> Tensor:
    texts, places = len(batch.offsets) - 1, batch.padded_places
    padded = joined.new_zeros(texts * batch.longest, joined.shape[1])
    padded = padded.index_copy(0, places, joined).view(texts, batch.longest, 3, heads, -1)
    mask = torch.zeros(texts * batch.longest, dtype=torch.bool, device=joined.device)
    mask[places] = True
    gathered = _attend_padded(padded, mask.view(texts, batch.longest), dropout)
    return gathered.reshape(texts * batch.longest, -1)[places]
