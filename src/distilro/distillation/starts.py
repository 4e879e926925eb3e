"""How a model of a cell begins: fresh heads on the encoder, or another recipe's model.

From another recipe's model the training goes on with its encoder and the heads of the same tasks;
where the recipe asks for a student, with a smaller encoder made from that one.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from distilro.corpora.examples import Task
from distilro.distillation.cell_settings import CellPlaces, CellSettings, StartSettings
from distilro.errors import SettingsError
from distilro.modeling.forward import DropoutRates
from distilro.modeling.heads import Classifier, build_classifier, load_classifier
from distilro.modeling.students import shrink_encoder
from distilro.recipes import choose_seed


def find_start(start: StartSettings, results: Path, seed: int) -> Path:
    """Return the folder of the model that a seed begins from: of the same seed, or the first."""
    chosen = choose_seed(seed, start.seeds)
    return results / "models" / start.recipe / start.scope / f"seed{chosen}"


def build_start(
    settings: CellSettings, places: CellPlaces, tasks: Sequence[Task], seed: int
) -> Classifier:
    """Return the classifier that a seed's training begins with, on the processor."""
    rates = DropoutRates(settings.encoder_dropout, settings.attention_dropout)
    if settings.start is None:
        return build_classifier(
            places.encoder,
            tasks,
            pooling=settings.pooling,
            dropout=settings.dropout,
            encoder_dropout=rates,
            seed=seed,
        )
    folder = find_start(settings.start, places.results, seed)
    before = load_classifier(folder).classifier
    encoder, student = before.encoder, settings.recipe.student
    if student is not None:
        encoder = shrink_encoder(encoder, student, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(
            encoder,
            tasks,
            pooling=settings.pooling,
            dropout=settings.dropout,
            encoder_dropout=rates,
        )
    _take_heads(classifier, before, folder)
    return classifier


def _take_heads(classifier: Classifier, before: Classifier, folder: Path) -> None:
    """Copy the heads of the same tasks; of another width they stay fresh."""
    for name, head in classifier.heads.items():
        if name not in before.heads:
            raise SettingsError(
                f"init_from: {folder} has no head for {name}, only for "
                f"{', '.join(before.heads)}. Nothing was trained; name a recipe of the same tasks."
            )
        theirs = before.heads[name].state_dict()
        if theirs["weight"].shape == head.weight.shape:
            head.load_state_dict(theirs)
