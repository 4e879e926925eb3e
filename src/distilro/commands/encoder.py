"""Make the encoder that every neural recipe starts from, adapted to the training texts.

An adaptation that is stopped leaves a checkpoint, and the same command goes on from it.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from distilro.artifacts import hash_file, hash_json
from distilro.cards import list_versions, record_run
from distilro.corpora.passages import read_passages
from distilro.devices import add_device_arguments, claim_device
from distilro.encoder_settings import EncoderSettings
from distilro.errors import SettingsError
from distilro.modeling.allocation import keep_freed_memory
from distilro.modeling.encoders import (
    add_token_rows,
    build_masked_model,
    load_masked_model,
    save_encoder,
)
from distilro.modeling.hub import fetch_from_hub
from distilro.modeling.precision import choose_device, choose_precision
from distilro.modeling.tokenization import load_tokenizer, train_tokenizer
from distilro.modeling.vocabulary_transfer import transfer_vocabulary
from distilro.settings import check_section
from distilro.training.checkpoints import Checkpoints
from distilro.training.pretraining import adapt_encoder

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--settings", required=True, help="JSON of the section encoders")
    parser.add_argument("--texts", type=Path, help="Parquet file of the texts to learn")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--records", required=True, type=Path, help="folder of run records")
    parser.add_argument("--lock", type=Path, help="JSON: hub model -> commit it resolved to")
    parser.add_argument("--checkpoints", required=True, type=Path, help="folder to keep them in")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=30.0, help="least time between checkpoints"
    )
    add_device_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Find or make the encoder, adapt it and write its folder."""
    settings = check_section(EncoderSettings, arguments.settings)
    with (
        claim_device(arguments.gpus) as claimed,
        record_run(arguments.records, "encoder", settings.source, arguments.threads) as record,
    ):
        torch.set_num_threads(arguments.threads)
        keep_freed_memory()
        device = choose_device(claimed)
        record["device"] = device
        checkpoints = _make_encoder(settings, arguments, device)
        record["resumed"] = {"adaptation": step} if (step := checkpoints.resumed_at) else {}
        record["earlier_seconds"] = checkpoints.earlier_seconds
        checkpoints.clear()


def _make_encoder(
    settings: EncoderSettings, arguments: argparse.Namespace, device: str
) -> Checkpoints:
    """Write the encoder's folder, and return the checkpoints that are of no use any more."""
    texts = _read_texts(arguments.texts, settings)
    model, tokenizer, origin = _open_source(settings, texts, arguments.lock)
    if settings.vocabulary is not None:
        chosen = settings.vocabulary
        old, tokenizer = tokenizer, train_tokenizer(texts, chosen.size, lowercase=chosen.lowercase)
        origin = {**origin, "vocabulary": transfer_vocabulary(model, old, tokenizer)}
    added = add_token_rows(model, tokenizer)
    read = hash_file(arguments.texts) if texts else None
    used = settings.describe()
    fingerprint = hash_json(
        {
            "settings": used,
            "precision": choose_precision(settings.adaptation.precision, device),
            "origin": origin,
            "texts": read,
            "versions": list_versions(),
        }
    )
    checkpoints = Checkpoints(
        arguments.checkpoints, fingerprint, seconds=arguments.checkpoint_seconds
    )
    adaptation = adapt_encoder(
        model.to(device),
        tokenizer,
        texts,
        settings.adaptation,
        settings.seed,
        checkpoints=checkpoints,
    )
    card = {
        "settings": used,
        "origin": {**origin, "added_tokens": added},
        "texts": read,
        "adaptation": adaptation,
        "versions": list_versions(),
    }
    save_encoder(arguments.out, model, tokenizer, card, half=settings.half)
    return checkpoints


def _read_texts(path: Path | None, settings: EncoderSettings) -> list[str]:
    """Return the distinct texts, sorted; none where nothing is learned from them."""
    if not settings.learns_texts():
        return []
    if path is None:
        raise SettingsError(
            "--texts is missing: this encoder learns from texts. Nothing was made; run the stage "
            "texts and give its file."
        )
    return sorted(set(read_passages(path).text))


def _open_source(
    settings: EncoderSettings, texts: Sequence[str], lock: Path | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast, dict]:
    """Return the model to adapt, its tokenizer, and where it came from for its card."""
    scratch, hub = settings.scratch, settings.hub
    if settings.source == "scratch":
        tokenizer = train_tokenizer(texts, scratch.vocabulary_size, lowercase=scratch.lowercase)
        return build_masked_model(scratch, tokenizer, settings.seed), tokenizer, {}
    if settings.source == "hub":
        folder, commit = fetch_from_hub(hub.name, hub.revision, lock=lock)
        origin = {"name": hub.name, "revision": commit}
    else:
        folder = Path(settings.folder)
        origin = {}
    model, has_head = load_masked_model(folder)
    if settings.adaptation.epochs > 0 and not has_head:
        logger.warning("%s has no head for masked tokens: a fresh one learns along.", folder)
    hashes = {file.name: hash_file(file) for file in sorted(folder.glob("*.safetensors"))}
    return model, load_tokenizer(folder), {**origin, "weights": hashes}
