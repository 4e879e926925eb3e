"""Measure how far apart the languages lie in the features of models with and without a critic."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from pydantic import Field

from distilro.artifacts import write_json
from distilro.cards import record_run
from distilro.corpora.examples import read_examples
from distilro.devices import add_device_arguments, claim_device
from distilro.modeling.heads import load_classifier
from distilro.modeling.precision import choose_device
from distilro.modeling.tokenization import encode
from distilro.progress import show_progress
from distilro.settings import Section, check_section
from distilro.training.language_gap import measure_gap, pool_features

VERSION = 1
CRITICS = 3  # of different halves and first weights; their mean is the gap

Model = tuple[str, str, str, int]  # recipe, scope, task, seed

logger = logging.getLogger(__name__)


class GapPair(Section):
    """A recipe with an adversary and its reference, for one task."""

    task: str
    recipe: str
    scope: str
    reference: str
    reference_scope: str


class GapSettings(Section):
    """What gaps depend on besides files."""

    seeds: tuple[int, ...] = Field(description="Of the models.")
    texts: dict[str, dict[str, str]] = Field(
        description="Task -> language -> the dataset whose validation texts are read."
    )
    pairs: tuple[GapPair, ...] = Field(description="Every recipe with its reference.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--settings", required=True, help="JSON of GapSettings")
    parser.add_argument("--prepared", required=True, type=Path, help="data/prepared")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
    parser.add_argument("--out", required=True, type=Path, help="gaps.json")
    add_device_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure every pair, seed by seed, and write one table."""
    settings = check_section(GapSettings, arguments.settings)
    with (
        claim_device(arguments.gpus) as claimed,
        record_run(arguments.results / "records", "language-gap", "all", arguments.threads) as told,
    ):
        torch.set_num_threads(arguments.threads)
        told["device"] = device = choose_device(claimed)
        gaps = _measure_all(settings, arguments, device)
    rows = [
        {
            **pair.model_dump(),
            "seed": seed,
            "gap": gaps[pair.recipe, pair.scope, pair.task, seed],
            "reference_gap": gaps[pair.reference, pair.reference_scope, pair.task, seed],
        }
        for pair in settings.pairs
        for seed in settings.seeds
    ]
    write_json(arguments.out, {"version": VERSION, "critics": CRITICS, "rows": rows})
    logger.info("Gaps of %d pairs, %d seeds each", len(settings.pairs), len(settings.seeds))


def _measure_all(
    settings: GapSettings, arguments: argparse.Namespace, device: str
) -> dict[Model, float]:
    """Return the mean gap that fresh critics find in each model's features, every model once."""
    models: dict[Model, None] = {
        (*cell, pair.task, seed): None
        for pair in settings.pairs
        for cell in ((pair.recipe, pair.scope), (pair.reference, pair.reference_scope))
        for seed in settings.seeds
    }
    texts = {
        task: [_read_texts(arguments.prepared, datasets[lang]) for lang in ("en", "ro")]
        for task, datasets in settings.texts.items()
    }
    gaps = {}
    with show_progress(len(models), what="measuring gaps", unit="model") as bar:
        for recipe, scope, task, seed in models:
            folder = arguments.results / "models" / recipe / scope / f"seed{seed}"
            features = _pool(folder, texts[task], device)
            gap = fmean(measure_gap(*features, seed=critic) for critic in range(CRITICS))
            gaps[recipe, scope, task, seed] = gap
            logger.info("%s/%s on %s, seed %d: %.4f", recipe, scope, task, seed, gap)
            bar.update()
    return gaps


def _read_texts(prepared: Path, dataset: str) -> list[str]:
    """Return texts that no model of the scenario learned."""
    return read_examples(prepared / dataset / "valid.parquet").text


def _pool(model: Path, texts: Sequence[Sequence[str]], device: str) -> list[np.ndarray]:
    """Return a model's pooled vectors of each language's texts, float32 [N, H]."""
    scorer = load_classifier(model, device=device)
    pad_id = scorer.classifier.encoder.config.pad_token_id or 0
    tokens = [encode(scorer.tokenizer, part, scorer.max_tokens) for part in texts]
    pooled = [pool_features(scorer.classifier, part, pad_id=pad_id) for part in tokens]
    return [part.cpu().numpy() for part in pooled]
