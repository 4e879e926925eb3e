"""Our forward pass: what transformers computes, padded or packed."""

import numpy as np
import pytest
import torch
from transformers import AutoModel

from distilro.modeling.encoders import ARCHITECTURES
from distilro.modeling.forward import DropoutRates, compute_states
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import pack_batch, pad_batch
from tests.modeling.tiny import CONFIGS

LENGTHS = np.array([5, 17, 1, 9])


@pytest.fixture(params=ARCHITECTURES)
def encoder(request):
    torch.manual_seed(0)
    return AutoModel.from_config(CONFIGS[request.param], attn_implementation="sdpa").eval()


@pytest.fixture(scope="module")
def tokens():
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    ids = np.random.default_rng(0).integers(5, 200, offsets[-1])
    return RaggedTokens(ids.astype(np.int32), offsets)


def pad(encoder, tokens, rows=None):
    rows = np.arange(len(tokens)) if rows is None else rows
    return pad_batch(tokens, rows, encoder.config.pad_token_id or 0)


def compute_reference(encoder, batch):
    """Return transformers' own states of every token, [sum of lengths, H]."""
    ids = batch.ids.view(batch.mask.shape).long()
    states = encoder(input_ids=ids, attention_mask=batch.mask.long()).last_hidden_state
    return states[batch.mask]


def test_it_agrees_with_transformers(encoder, tokens):
    batch = pad(encoder, tokens)
    ours = compute_states(encoder, batch)[batch.mask.view(-1)]
    torch.testing.assert_close(ours, compute_reference(encoder, batch), atol=1e-5, rtol=0)


def test_its_gradients_agree_with_transformers(encoder, tokens):
    batch = pad(encoder, tokens)
    weights = torch.randn(int(LENGTHS.sum()), encoder.config.hidden_size)
    gradients = []
    for states in (
        compute_reference(encoder, batch),
        compute_states(encoder, batch)[batch.mask.view(-1)],
    ):
        encoder.zero_grad()
        (states * weights).sum().backward()
        gradients.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    expected, got = gradients
    assert expected.keys() == got.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_texts_have_the_states_and_gradients_of_padded_ones(encoder, tokens, dtype):
    padded, packed = pad(encoder, tokens), pack_batch(tokens, np.arange(len(tokens)))
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    results = []
    for batch in (padded, packed):
        encoder.zero_grad()
        pooled = batch.average(compute_states(encoder, batch, dtype=dtype))
        pooled.square().sum().backward()
        gradient = torch.cat([p.grad.view(-1) for p in encoder.parameters() if p.grad is not None])
        results.append((pooled.detach(), gradient))
    torch.testing.assert_close(results[0][0], results[1][0], atol=tolerance, rtol=0)
    torch.testing.assert_close(results[0][1], results[1][1], atol=20 * tolerance, rtol=0)


def test_a_text_s_states_depend_on_no_other_text(encoder, tokens):
    together = pad(encoder, tokens)
    states = compute_states(encoder, together).view(*together.mask.shape, -1)
    for row, length in enumerate(LENGTHS):
        alone = compute_states(encoder, pad(encoder, tokens, np.array([row])))
        torch.testing.assert_close(states[row, :length], alone, atol=1e-5, rtol=0)


def test_bfloat16_stays_near_float32(encoder, tokens):
    batch = pad(encoder, tokens)
    exact = compute_states(encoder, batch)
    near = compute_states(encoder, batch, dtype=torch.bfloat16)
    assert near.dtype == torch.bfloat16
    inside = batch.mask.view(-1)
    torch.testing.assert_close(near.float()[inside], exact[inside], atol=0.1, rtol=0)


@pytest.mark.parametrize("rates", [DropoutRates(states=0.5), DropoutRates(attention=0.5)])
def test_dropout_is_decided_by_torch_s_seed(encoder, tokens, rates):
    batch = pad(encoder, tokens)

    def draw(seed):
        torch.manual_seed(seed)
        return compute_states(encoder, batch, dropout=rates)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
