"""Measure how far apart the languages lie in the features of recipes with an adversary."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from pydantic import Field

from distilro.artifacts import write_json
from distilro.cards import record_run
from distilro.corpora.examples import read_examples
from distilro.devices import add_device_arguments, claim_device
from distilro.errors import DataError
from distilro.modeling.features import pool_features
from distilro.modeling.heads import load_classifier
from distilro.modeling.language_gap import measure_gap
from distilro.modeling.precision import choose_device
from distilro.modeling.tokenization import encode
from distilro.pair_settings import PairSettings
from distilro.progress import show_progress
from distilro.settings import Section, check_section

VERSION = 1
CRITICS = 3  # each of other first weights, learning from another half of the texts

Model = tuple[str, str, str, int]  # recipe, scope, task, seed
Texts = Mapping[str, Mapping[str, Sequence[str]]]  # task -> language -> texts

logger = logging.getLogger(__name__)


class GapSettings(Section):
    """What gaps depend on besides files."""

    seeds: tuple[int, ...] = Field(description="Of the models.")
    texts: dict[str, dict[str, str]] = Field(
        description="Task -> language -> the dataset whose validation texts are read."
    )
    pairs: tuple[PairSettings, ...] = Field(
        description="Every recipe that has an adversary, with its reference."
    )


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
        texts = _read_texts(settings, arguments.prepared)
        gaps = _measure_all(settings, arguments.results, texts, device)
    rows = [
        _describe(pair, seed, gaps, texts) for pair in settings.pairs for seed in settings.seeds
    ]
    write_json(arguments.out, {"version": VERSION, "critics": CRITICS, "rows": rows})
    logger.info("Gaps of %d pairs, %d seeds each", len(settings.pairs), len(settings.seeds))


def _read_texts(settings: GapSettings, prepared: Path) -> Texts:
    """Return validation texts, which no model of the scenario learned."""
    return {
        task: {
            lang: read_examples(prepared / dataset / "valid.parquet").text
            for lang, dataset in sorted(datasets.items())
        }
        for task, datasets in settings.texts.items()
    }


def _measure_all(
    settings: GapSettings, results: Path, texts: Texts, device: str
) -> dict[Model, list[float]]:
    """Return what each critic finds in each model's features; every model is asked once."""
    models: dict[Model, None] = {
        (*cell, pair.task, seed): None
        for pair in settings.pairs
        for cell in ((pair.recipe, pair.scope), (pair.reference, pair.reference_scope))
        for seed in settings.seeds
    }
    gaps = {}
    with show_progress(len(models), what="measuring gaps", unit="model") as bar:
        for recipe, scope, task, seed in models:
            folder = results / "models" / recipe / scope / f"seed{seed}"
            found = _measure(folder, texts[task], device)
            gaps[recipe, scope, task, seed] = found
            logger.info("%s/%s on %s, seed %d: %.4f", recipe, scope, task, seed, fmean(found))
            bar.update()
    return gaps


def _measure(model: Path, texts: Mapping[str, Sequence[str]], device: str) -> list[float]:
    """Return the gap between English and Romanian texts that each critic finds."""
    english, romanian = _pool(model, [texts["en"], texts["ro"]], device)
    try:
        return [measure_gap(english, romanian, seed=critic) for critic in range(CRITICS)]
    except DataError as error:
        raise DataError(f"{model}, on validation texts: {error}") from error


def _pool(model: Path, texts: Sequence[Sequence[str]], device: str) -> list[np.ndarray]:
    """Return a model's pooled vectors of each language's texts, float32 [N, H]."""
    scorer = load_classifier(model, device=device)
    pad_id = scorer.classifier.encoder.config.pad_token_id or 0
    tokens = [encode(scorer.tokenizer, part, scorer.max_tokens) for part in texts]
    pooled = [pool_features(scorer.classifier, part, pad_id=pad_id) for part in tokens]
    return [part.cpu().numpy() for part in pooled]


def _describe(
    pair: PairSettings, seed: int, gaps: Mapping[Model, list[float]], texts: Texts
) -> dict[str, object]:
    return {
        **pair.model_dump(),
        "seed": seed,
        "texts": {lang: len(part) for lang, part in texts[pair.task].items()},
        "gaps": gaps[pair.recipe, pair.scope, pair.task, seed],
        "reference_gaps": gaps[pair.reference, pair.reference_scope, pair.task, seed],
    }
