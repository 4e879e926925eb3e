"""The forward pass of an encoder, over the parameters that transformers loaded.

Transformers owns the weights, their names and their files; this pass computes the same states with
less work: no padding where texts are packed, queries, keys and values in one product, activations
in bfloat16 from end to end (weights stay in float32), cheap dropout. In float32 it agrees with
transformers to rounding; tests hold it to that for every architecture.

It knows encoders with a norm after each residual sum: BERT, RoBERTa, XLM-RoBERTa, DistilBERT.
Axes: S places of a batch (see `token_batches`), H width of a state.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from distilro.modeling.attention import attend
from distilro.modeling.dropout import drop, drop_and_add
from distilro.modeling.encoders import find_first_position
from distilro.modeling.token_batches import TokenBatch


@dataclass(frozen=True)
class DropoutRates:
    """Shares that are set to zero in training: of states, and of attention weights."""

    states: float = 0.0
    attention: float = 0.0


@dataclass(frozen=True)
class _Layer:
    """One layer's modules, whatever its architecture calls them."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_out: nn.Linear
    attention_norm: nn.LayerNorm
    widen: nn.Linear
    narrow: nn.Linear
    output_norm: nn.LayerNorm


NO_DROPOUT = DropoutRates()


def compute_states(
    encoder: PreTrainedModel,
    batch: TokenBatch,
    *,
    dtype: torch.dtype = torch.float32,
    dropout: DropoutRates = NO_DROPOUT,
) -> Tensor:
    """Return the last hidden state of every place of a batch, [S, H] in `dtype`.

    Args:
        encoder: of one of `encoders.ARCHITECTURES`; its own dropout rates are not looked at.
        batch: its tokens; the states of padding mean nothing.
        dtype: of the activations: torch.float32 or torch.bfloat16.
        dropout: see DropoutRates; drawn from torch's generator.
    """
    walk = _walk(encoder, batch, dtype, dropout)
    return deque(walk, maxlen=1).pop()  # all but the last may be forgotten on the way


def compute_all_states(
    encoder: PreTrainedModel,
    batch: TokenBatch,
    *,
    dtype: torch.dtype = torch.float32,
    dropout: DropoutRates = NO_DROPOUT,
) -> list[Tensor]:
    """Return every hidden state of every place of a batch, each [S, H] in `dtype`.

    The embeddings come first, then what each layer made of them; the last one is what
    `compute_states` returns for the same arguments, which mean the same.
    """
    return list(_walk(encoder, batch, dtype, dropout))


def _walk(
    encoder: PreTrainedModel, batch: TokenBatch, dtype: torch.dtype, dropout: DropoutRates
) -> Iterator[Tensor]:
    """Yield the embeddings and each layer's output, [S, H]."""
    config = encoder.config
    activate = ACT2FN[getattr(config, "hidden_act", None) or config.activation]
    heads = config.num_attention_heads
    states = drop(_embed(encoder, batch).to(dtype), dropout.states)
    yield states
    for layer in _list_layers(encoder):
        joined = _multiply(states, (layer.query, layer.key, layer.value))  # [S, 3 * H]
        gathered = attend(batch, joined, heads, dropout.attention)
        gathered = _multiply(gathered, (layer.attention_out,))
        states = _normalise(drop_and_add(gathered, states, dropout.states), layer.attention_norm)
        inner = activate(_multiply(states, (layer.widen,)))
        outer = _multiply(inner, (layer.narrow,))
        states = _normalise(drop_and_add(outer, states, dropout.states), layer.output_norm)
        yield states


def _embed(encoder: PreTrainedModel, batch: TokenBatch) -> Tensor:
    """Return the normalised sum of the embeddings, float32 [S, H]."""
    tables = encoder.embeddings
    first = find_first_position(encoder.config)
    states = functional.embedding(batch.ids, tables.word_embeddings.weight)
    states = states + functional.embedding(
        batch.positions + first, tables.position_embeddings.weight
    )
    if hasattr(tables, "token_type_embeddings"):
        states = states + tables.token_type_embeddings.weight[0]  # one text, hence one type
    return _normalise(states, tables.LayerNorm)


def _list_layers(encoder: PreTrainedModel) -> Iterator[_Layer]:
    if encoder.config.model_type == "distilbert":
        for layer in encoder.transformer.layer:
            attention = layer.attention
            yield _Layer(
                query=attention.q_lin,
                key=attention.k_lin,
                value=attention.v_lin,
                attention_out=attention.out_lin,
                attention_norm=layer.sa_layer_norm,
                widen=layer.ffn.lin1,
                narrow=layer.ffn.lin2,
                output_norm=layer.output_layer_norm,
            )
        return
    for layer in encoder.encoder.layer:
        attention = layer.attention
        yield _Layer(
            query=attention.self.query,
            key=attention.self.key,
            value=attention.self.value,
            attention_out=attention.output.dense,
            attention_norm=attention.output.LayerNorm,
            widen=layer.intermediate.dense,
            narrow=layer.output.dense,
            output_norm=layer.output.LayerNorm,
        )


def _multiply(states: Tensor, parts: Sequence[nn.Linear]) -> Tensor:
    """Return the outputs of linear layers side by side, in the type of `states`."""
    if len(parts) == 1:
        weight, bias = parts[0].weight, parts[0].bias
    else:
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
    return functional.linear(states, weight.to(states.dtype), bias.to(states.dtype))


def _normalise(states: Tensor, norm: nn.LayerNorm) -> Tensor:
    weight, bias = norm.weight, norm.bias
    if states.is_cuda:  # where the kernel wants one type
        weight, bias = weight.to(states.dtype), bias.to(states.dtype)
    return functional.layer_norm(states, norm.normalized_shape, weight, bias, norm.eps)
