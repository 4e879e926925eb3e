"""Masked-language modelling: an encoder learns the texts it will be trained on, without labels.

Tokens are hidden anew in every pass, and the model says what stood there. Only the hidden positions
are projected on the vocabulary, which is most of a small model's cost otherwise.

Source: Devlin et al. 2019, 3.1.
Axes: S places of a batch, M masked positions, V tokens of the vocabulary, H width of a state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.encoder_settings import AdaptationSettings
from distilro.modeling.encoders import check_length
from distilro.modeling.forward import compute_states
from distilro.modeling.precision import TYPES, choose_precision
from distilro.modeling.token_batches import TokenBatch
from distilro.training.checkpoints import Checkpoints
from distilro.training.loop import StepSettings
from distilro.training.masked_steps import MaskedGoal, learn_masked

_WARMUP_SHARE = 0.1
_CLIP_NORM = 1.0


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
        JSON values: what `learn_masked` returns, and the precision; the losses are in nats per
        masked token.

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

    def compute_losses(
        batch: TokenBatch, places: Tensor, targets: Tensor, tokens: Tensor
    ) -> dict[str, Tensor]:
        del tokens
        logits, _ = predict_masked(model, batch, places, precision)
        return {"masked": functional.cross_entropy(logits.float(), targets, reduction="none")}

    goal = MaskedGoal(
        compute_losses,
        {"masked": 1.0},
        StepSettings(settings.learning_rate, _WARMUP_SHARE, _CLIP_NORM, seed),
        "Adaptation of the encoder",
        "encoders.adaptation.batch_tokens",
    )
    told = learn_masked(model, tokenizer, distinct, goal, settings, checkpoints=checkpoints)
    measured = {when: losses["masked"] for when, losses in told["held_out_loss"].items()}
    return {**told, "precision": precision, "held_out_loss": measured}


def predict_masked(
    model: PreTrainedModel, batch: TokenBatch, places: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    """Return the logits of the masked positions alone, [M, V], and all last states, [S, H].

    Args:
        model: an encoder with its head for masked tokens.
        batch: the tokens, some of them hidden, in S places.
        places: int64 [M], into the batch's places.
        precision: "fp32" or "bf16".
    """
    dtype = TYPES[precision]
    states = compute_states(model.base_model, batch, dtype=dtype)
    with torch.autocast(states.device.type, dtype, enabled=precision == "bf16"):
        return _project(model, states[places]), states


def _project(model: PreTrainedModel, chosen: Tensor) -> Tensor:
    """Return the logits [M, V] that a model's head for masked tokens gives states [M, H]."""
    if model.config.model_type == "bert":
        return model.cls(chosen)
    if model.config.model_type == "distilbert":
        transformed = model.activation(model.vocab_transform(chosen))
        return model.vocab_projector(model.vocab_layer_norm(transformed))
    return model.lm_head(chosen)  # roberta, xlm-roberta
