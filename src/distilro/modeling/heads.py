"""Classifiers: one encoder and one linear head per task.

The states of a text's tokens are pooled into one vector, which each task's head turns into logits.
A classifier's folder holds all that is needed to score raw text. Losses, thresholds and the choice
of what to train are made elsewhere.

Axes: N texts, B texts of a batch, H width of a state, L labels in the task's order.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.artifacts import read_json, write_json
from distilro.corpora.examples import Task
from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.dropout import drop
from distilro.modeling.encoders import (
    WEIGHTS,
    build_encoder,
    check_length,
    describe_config,
    load_encoder,
    write_weights,
)
from distilro.modeling.forward import (
    NO_DROPOUT,
    DropoutRates,
    compute_all_states,
    compute_states,
)
from distilro.modeling.precision import TYPES
from distilro.modeling.ragged import RaggedTokens, cut_by_tokens
from distilro.modeling.token_batches import TokenBatch, pad_batch
from distilro.modeling.tokenization import encode, load_tokenizer, save_tokenizer

FORMAT = "distilro-encoder"
VERSION = 1
POOLINGS = ("mean", "cls")

_BATCH_TOKENS = 8192  # of scoring: no gradients are kept, so memory is no matter
_HEAD_DEVIATION = 0.02  # BERT's initialisation of linear layers


class Classifier(nn.Module):
    """An encoder with a pooling, a dropout and the heads of its tasks."""

    def __init__(
        self,
        encoder: PreTrainedModel,
        tasks: Sequence[Task],
        *,
        pooling: str,
        dropout: float,
        encoder_dropout: DropoutRates = NO_DROPOUT,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise SettingsError(f"pooling: expected one of {', '.join(POOLINGS)}, got {pooling!r}.")
        self.encoder = encoder
        self.pooling = pooling
        self.dropout = dropout
        self.encoder_dropout = encoder_dropout
        width = encoder.config.hidden_size
        self.heads = nn.ModuleDict(
            {task.name: nn.Linear(width, len(task.labels)) for task in tasks}
        )
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=_HEAD_DEVIATION)
            nn.init.zeros_(head.bias)

    def forward(self, task: str, batch: TokenBatch, precision: str = "fp32") -> Tensor:
        """Return the logits of one task, float32 [B, L].

        Args:
            task: name of one of the classifier's tasks.
            batch: the tokens of B texts.
            precision: "fp32" or "bf16", of the encoder's activations; all after it is float32.
        """
        return self.classify(task, self.pool_texts(batch, precision))

    def compute_states(self, batch: TokenBatch, precision: str) -> Tensor:
        """Return the last state of every place of a batch, [S, H]."""
        return self._run(compute_states, batch, precision)

    def compute_all_states(self, batch: TokenBatch, precision: str) -> list[Tensor]:
        """Return the states after the embeddings and after every layer, each [S, H]."""
        return self._run(compute_all_states, batch, precision)

    def pool_texts(self, batch: TokenBatch, precision: str) -> Tensor:
        """Return one vector for each text of a batch, float32 [B, H]."""
        return self.pool_states(batch, self.compute_states(batch, precision))

    def pool_states(self, batch: TokenBatch, states: Tensor) -> Tensor:
        """Return one vector for each text, float32 [B, H], of its places' states [S, H]."""
        return batch.average(states) if self.pooling == "mean" else batch.take_first(states)

    def classify(self, task: str, pooled: Tensor) -> Tensor:
        """Return the logits [B, L] of one task from pooled vectors [B, H]."""
        # The head costs nothing, and logits are stored and compared: they stay in full precision.
        return self.heads[task](drop(pooled, self.dropout if self.training else 0.0))

    def _run(self, compute: Callable[..., Any], batch: TokenBatch, precision: str) -> Any:  # noqa: ANN401
        check_length(self.encoder.config, batch.longest)
        rates = self.encoder_dropout if self.training else NO_DROPOUT
        return compute(self.encoder, batch, dtype=TYPES[precision], dropout=rates)


@dataclass(frozen=True)
class EncoderScorer:
    """A trained classifier that turns texts into logits; see `distilro.modeling.scorers`."""

    classifier: Classifier
    tokenizer: PreTrainedTokenizerFast
    tasks: tuple[Task, ...]
    max_tokens: int
    precision: str = "fp32"

    def score(self, task: str, texts: Sequence[str]) -> np.ndarray:
        """Return logits, float32 [N, L], in the order of `texts`.

        Texts with the same tokens are scored once. In fp32 logits depend on what else is scored by
        rounding only (below 1e-4).
        """
        known = [known.name for known in self.tasks]
        if task not in known:
            raise SettingsError(f"This model scores {', '.join(known)}, not {task!r}.")
        tokens = encode(self.tokenizer, texts, self.max_tokens)
        first, which = tokens.find_distinct()
        distinct = tokens.select(first)
        return score_tokens(self.classifier, task, distinct, precision=self.precision)[which]


def build_classifier(
    folder: str | Path,
    tasks: Sequence[Task],
    *,
    pooling: str,
    dropout: float,
    encoder_dropout: DropoutRates = NO_DROPOUT,
    seed: int,
) -> Classifier:
    """Return the encoder of `folder` with fresh heads; the seed alone decides them."""
    encoder, _ = load_encoder(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(
            encoder, tasks, pooling=pooling, dropout=dropout, encoder_dropout=encoder_dropout
        )


def score_tokens(
    classifier: Classifier,
    task: str,
    tokens: RaggedTokens,
    *,
    batch_tokens: int = _BATCH_TOKENS,
    precision: str = "fp32",
) -> np.ndarray:
    """Return the logits of N tokenised texts, float32 [N, L], in their order.

    Texts of about equal length are scored together. The classifier is left in the mode it was in.
    """
    device = next(classifier.parameters()).device
    logits = np.zeros((len(tokens), classifier.heads[task].out_features), dtype=np.float32)
    by_length = np.argsort(tokens.lengths, kind="stable")
    training = classifier.training
    classifier.eval()
    pad_id = classifier.encoder.config.pad_token_id or 0
    with torch.inference_mode():
        for rows in cut_by_tokens(by_length, tokens.lengths, batch_tokens):
            batch = pad_batch(tokens, rows, pad_id, device)
            logits[rows] = classifier(task, batch, precision).cpu().numpy()
    classifier.train(training)
    return logits


def save_classifier(
    folder: str | Path,
    classifier: Classifier,
    tokenizer: PreTrainedTokenizerFast,
    tasks: Sequence[Task],
    max_tokens: int,
) -> None:
    """Write model.safetensors, the tokenizer's files and config.json, each atomically."""
    folder = Path(folder)
    write_weights(folder / WEIGHTS, classifier)
    save_tokenizer(folder, tokenizer, max_tokens)
    config = {
        "format": FORMAT,
        "version": VERSION,
        "tasks": [{**asdict(task), "labels": list(task.labels)} for task in tasks],
        "max_tokens": max_tokens,
        "pooling": classifier.pooling,
        "dropout": classifier.dropout,
        "encoder": describe_config(classifier.encoder),
    }
    write_json(folder / "config.json", config)


def load_classifier(
    folder: str | Path, *, device: str = "cpu", precision: str = "fp32"
) -> EncoderScorer:
    """Read a classifier that `save_classifier` wrote.

    Args:
        folder: where it lies.
        device: "cpu" or "cuda".
        precision: "fp32", or "bf16" for activations: faster where the hardware has it, and off by
            about 1e-2 in the logits.

    Raises:
        IntegrityError: another format or version, or weights that do not fit the configuration.
    """
    folder = Path(folder)
    config = _read_config(folder / "config.json")
    tasks = tuple(
        Task(task["name"], task["kind"], tuple(task["labels"])) for task in config["tasks"]
    )
    classifier = Classifier(
        build_encoder(config["encoder"]),
        tasks,
        pooling=config["pooling"],
        dropout=config["dropout"],
    )
    try:
        classifier.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise IntegrityError(
            f"{folder / WEIGHTS}: expected the weights that config.json describes: {error}. "
            "Nothing was loaded; train the model again."
        ) from error
    return EncoderScorer(
        classifier=classifier.to(device).eval(),
        tokenizer=load_tokenizer(folder),
        tasks=tasks,
        max_tokens=config["max_tokens"],
        precision=precision,
    )


def _read_config(path: Path) -> dict[str, Any]:
    config = read_json(path)
    found = (config.get("format"), config.get("version"))
    if found != (FORMAT, VERSION):
        raise IntegrityError(
            f"{path}: expected {FORMAT} version {VERSION}, got {found[0]} version {found[1]}. "
            "Train the model again with this version of distilro."
        )
    return config
