"""The pooled vectors of texts, as a classifier's heads see them.

Axes: N texts, H width of a vector.
"""

import numpy as np
import torch
from torch import Tensor, nn

from distilro.modeling.ragged import RaggedTokens, cut_by_tokens
from distilro.modeling.token_batches import pack_batch, pad_batch, send_values


def pool_features(
    classifier: nn.Module,
    tokens: RaggedTokens,
    *,
    pad_id: int,
    precision: str = "fp32",
    batch_tokens: int = 8192,
    packed: bool = False,
) -> Tensor:
    """Return the pooled vectors of texts, float32 [N, H] on the classifier's device, in order.

    In evaluation mode and without gradients; texts of about equal length are read together. The
    classifier is left in the mode it was in, and a GPU is not waited for.

    Args:
        classifier: its `pool_texts` is called.
        tokens: N texts, one or more.
        pad_id: what padding is filled with.
        precision: "fp32" or "bf16", of the encoder's activations.
        batch_tokens: most tokens that are read at once, padding included.
        packed: leave padding away; see `PackedBatch`.
    """
    device = next(classifier.parameters()).device
    by_length = np.argsort(tokens.lengths, kind="stable")
    training = classifier.training
    classifier.eval()
    with torch.no_grad():  # subtle: what inference mode returns, a critic could not learn from
        pooled = [
            classifier.pool_texts(
                pack_batch(tokens, rows, device)
                if packed
                else pad_batch(tokens, rows, pad_id, device),
                precision,
            )
            for rows in cut_by_tokens(by_length, tokens.lengths, batch_tokens)
        ]
        features = torch.cat(pooled)[send_values(np.argsort(by_length), device)]
    classifier.train(training)
    return features
