"""Make the encoder that every neural recipe starts from, adapted to the training texts."""

import argparse
from pathlib import Path

import torch

from distilro.artifacts import hash_file
from distilro.cards import list_versions, record_run
from distilro.corpora.examples import read_examples
from distilro.devices import claim_device
from distilro.encoder_settings import EncoderSettings
from distilro.modeling.encoders import build_masked_model, save_encoder
from distilro.modeling.pretraining import adapt_encoder
from distilro.modeling.tokenization import train_tokenizer
from distilro.settings import check_section


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--settings", required=True, help="JSON of EncoderSettings")
    parser.add_argument("--mixtures", type=Path, nargs="*", default=[], help="training texts")
    parser.add_argument("--records", required=True, type=Path, help="folder of run records")
    parser.add_argument("--out", required=True, type=Path, help="folder of the encoder")
    parser.add_argument("--gpus", type=int, default=0, help="0: stay on the CPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")


def run(arguments: argparse.Namespace) -> None:
    settings = check_section(EncoderSettings, arguments.settings)
    with claim_device(arguments.gpus) as device, record_run(arguments.records, "encoder", settings.source, arguments.threads):
        torch.set_num_threads(arguments.threads)
        texts = sorted({text for path in arguments.mixtures for text in read_examples(path).text})
        tokenizer = train_tokenizer(texts, vocabulary_size=settings.scratch.vocabulary_size, lowercase=settings.scratch.lowercase)
        model = build_masked_model(settings.scratch, tokenizer, settings.seed).to(device)
        adaptation = adapt_encoder(model, tokenizer, texts, settings.adaptation, settings.seed)
        card = {"settings": settings.model_dump(mode="json"), "adaptation": adaptation, "mixtures": {str(p): hash_file(p) for p in arguments.mixtures}, "versions": list_versions()}
        save_encoder(arguments.out, model.base_model, tokenizer, card)
