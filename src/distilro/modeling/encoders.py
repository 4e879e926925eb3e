"""Encoders: the pretrained or fresh transformers that every neural recipe starts from.

A folder is checked before anything of it is loaded: a known architecture, weights as safetensors,
no code of its own. It is then loaded by transformers' Auto classes, in float32, without pooler,
with PyTorch's scaled dot product attention. Training them is not done here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    BertConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from distilro.artifacts import hash_file, read_json, write_json
from distilro.encoder_settings import ScratchSettings
from distilro.errors import IntegrityError, SettingsError
from distilro.modeling.tokenization import save_tokenizer
from distilro.modeling.weights import collect_weights, halve_weights, write_tensors

ARCHITECTURES = ("bert", "distilbert", "roberta", "xlm-roberta")
WEIGHTS = "model.safetensors"

_SHARDS = "model.safetensors.index.json"
_WITHOUT_POOLER = ("distilbert",)  # never has one, so it cannot be asked to leave it away
_COUNT_FROM_PADDING = ("roberta", "xlm-roberta")  # the first position is the one after pad's id
_ATTENTION = "sdpa"


def load_encoder(folder: str | Path) -> tuple[PreTrainedModel, PretrainedConfig]:
    """Return the encoder of a folder, in float32 and evaluation mode, and its configuration.

    Raises:
        SettingsError: the architecture is not one of `ARCHITECTURES`.
        IntegrityError: there are no safetensors weights, not all of them, or code to run.
    """
    config = check_folder(folder)
    model, missing = _load(AutoModel, folder, config)
    if missing:
        raise IntegrityError(_describe_missing(folder, missing))
    return model, model.config  # subtle: the folder's own names the type of the stored weights


def load_masked_model(folder: str | Path) -> tuple[PreTrainedModel, bool]:
    """Return a folder's encoder with its head for masked tokens, and whether the head was there.

    Without one in the folder the head is fresh; `base_model` of the result is the encoder.
    """
    config = check_folder(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of a fresh head, where there is need of one
        model, missing = _load(AutoModelForMaskedLM, folder, config)
    prefix = model.base_model_prefix + "."
    if inside := [name for name in missing if name.startswith(prefix)]:
        raise IntegrityError(_describe_missing(folder, inside))
    return model, not missing


def build_masked_model(
    scratch: ScratchSettings, tokenizer: PreTrainedTokenizerFast, seed: int
) -> PreTrainedModel:
    """Return a fresh small BERT with its head for masked tokens; the seed alone decides it."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=scratch.layers,
        hidden_size=scratch.hidden,
        num_attention_heads=scratch.heads,
        intermediate_size=scratch.intermediate,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForMaskedLM.from_config(config, attn_implementation=_ATTENTION)
    return model.eval()


def build_encoder(config: Mapping[str, Any]) -> PreTrainedModel:
    """Return an encoder with the architecture of a saved configuration; its weights mean nothing.

    Raises:
        SettingsError: the architecture is not one of `ARCHITECTURES`.
    """
    values = dict(config)
    kind = values.pop("model_type", None)
    _check_architecture(kind, "the saved configuration")
    model = AutoModel.from_config(
        AutoConfig.for_model(kind, **values),
        attn_implementation=_ATTENTION,
        **_leave_pooler_away(kind),
    )
    return model.eval()


def check_folder(folder: str | Path) -> PretrainedConfig:
    """Return the configuration of a folder whose encoder is safe to load; raise otherwise."""
    path = Path(folder) / "config.json"
    values = read_json(path)
    _check_architecture(values.get("model_type"), str(path))
    if "auto_map" in values:
        raise IntegrityError(
            f"{path}: auto_map asks to run code of the model's author, which is never done. "
            f"Nothing was loaded; use a plain model of {', '.join(ARCHITECTURES)}."
        )
    if not any((Path(folder) / name).is_file() for name in (WEIGHTS, _SHARDS)):
        found = sorted(file.name for file in Path(folder).iterdir())
        raise IntegrityError(
            f"{folder}: expected weights in {WEIGHTS}, found {', '.join(found)}. Pickled weights "
            "are never opened; convert them with safetensors or choose another revision."
        )
    return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def count_positions(config: PretrainedConfig) -> int:
    """Return the most tokens that the encoder takes, special tokens included."""
    return config.max_position_embeddings - find_first_position(config)


def find_first_position(config: PretrainedConfig) -> int:
    """Return the number that the encoder gives to the first token of a text."""
    return config.pad_token_id + 1 if config.model_type in _COUNT_FROM_PADDING else 0


def check_length(config: PretrainedConfig, tokens: int) -> None:
    """Raise SettingsError where texts of so many tokens are too long for the encoder."""
    if tokens > count_positions(config):
        raise SettingsError(
            f"max_tokens: expected at most {count_positions(config)}, which is all that this "
            f"{config.model_type} can take, got {tokens}. Lower it."
        )


def add_token_rows(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Give every token of the tokenizer an embedding; return how many rows were added.

    A new row is the mean of the old ones: nothing is random, and the token is no outlier.
    """
    before = model.get_input_embeddings().weight.shape[0]
    added = max(0, len(tokenizer) - before)
    if added:
        with _keep_quiet():
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        weight = model.get_input_embeddings().weight
        with torch.no_grad():
            weight[before:] = weight[:before].mean(dim=0)
    return added


def save_encoder(
    folder: str | Path,
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    card: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write an encoder's folder file by file, each atomically, card.json last.

    The card gets the number of parameters, tied ones once, and the hashes of weights and tokenizer.

    Args:
        folder: where to write.
        encoder: it alone or with its head for masked tokens, which is then kept for a later
            adaptation; `load_encoder` opens both alike.
        tokenizer: its tokenizer.
        card: what else there is to say about it.
        half: store float16, in half the space. The rounding (see `halve_weights`) is for good,
            though the folder is opened in float32 as any other.

    Raises:
        ExportError: a weight is too large for float16; nothing is written.
    """
    folder = Path(folder)
    weights = collect_weights(encoder)
    config = describe_config(encoder)
    if half:
        weights, config = halve_weights(weights), {**config, "dtype": "float16"}
    write_tensors(folder / WEIGHTS, weights)
    write_json(folder / "config.json", config)
    save_tokenizer(folder, tokenizer, count_positions(encoder.config))
    written = {
        "parameters": sum(value.numel() for value in weights.values()),
        "weights": hash_file(folder / WEIGHTS),
        "tokenizer": hash_file(folder / "tokenizer.json"),
    }
    write_json(folder / "card.json", {**card, **written})


def write_weights(path: str | Path, module: nn.Module) -> None:
    """Write a module's weights as safetensors, atomically; equal weights are equal bytes."""
    write_tensors(path, collect_weights(module))


def describe_config(encoder: PreTrainedModel) -> dict[str, Any]:
    """Return an encoder's configuration as JSON values, without where it came from."""
    config = encoder.config.to_dict()
    config.pop("_name_or_path", None)
    return {**config, "architectures": [type(encoder).__name__]}


def _load(
    loader: type, folder: str | Path, config: PretrainedConfig
) -> tuple[PreTrainedModel, list[str]]:
    """Return a model and the sorted names of the weights that the folder did not have."""
    plain = _leave_pooler_away(config.model_type) if loader is AutoModel else {}
    try:
        with _keep_quiet():
            model, report = loader.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                attn_implementation=_ATTENTION,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **plain,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise IntegrityError(
            f"{folder}: the weights do not fit config.json or are damaged: {error}. "
            "Nothing was loaded; fetch or make the folder again."
        ) from error
    return model.eval(), sorted(report["missing_keys"])


def _leave_pooler_away(kind: str) -> dict[str, bool]:
    return {} if kind in _WITHOUT_POOLER else {"add_pooling_layer": False}


def _check_architecture(kind: object, where: str) -> None:
    if kind not in ARCHITECTURES:
        raise SettingsError(
            f"{where}: model_type: expected one of {', '.join(ARCHITECTURES)}, got {kind!r}. "
            "Nothing was loaded; choose another encoder."
        )


def _describe_missing(folder: str | Path, missing: list[str]) -> str:
    return (
        f"{folder}: {len(missing)} weights are missing, the first is {missing[0]}; they would be "
        "random. Nothing was loaded; use a whole encoder."
    )


@contextmanager
def _keep_quiet() -> Iterator[None]:
    """Silence transformers' progress bars and its report of weights of heads not asked for."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
