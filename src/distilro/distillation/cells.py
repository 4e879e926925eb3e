"""Training the models of one cell: every seed, stage by stage, and the models of its folds.

A cell reads its data once for all its models. How a model begins, what it minimises and what is
kept of it is decided here from the recipe; how it learns is the engine's matter. Which score
chooses the best epoch comes as an argument. A training that is stopped leaves a checkpoint (see
`cell_checkpoints`).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from distilro.artifacts import hash_file
from distilro.corpora.examples import Task
from distilro.distillation.cell_checkpoints import CellCheckpoints, identify_cell, name_training
from distilro.distillation.cell_data import CellData, HeldOut, Reader
from distilro.distillation.cell_settings import CellPlaces, CellSettings, Machine
from distilro.distillation.folds import check_folds
from distilro.distillation.goals import ObjectiveParts
from distilro.distillation.starts import build_start, find_start
from distilro.modeling.heads import Classifier, save_classifier, score_tokens
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.tokenization import load_tokenizer
from distilro.training.batches import BatchLimits
from distilro.training.engine import (
    Goal,
    LoopSettings,
    Training,
    prepare_optimiser,
    train_classifier,
)

ScoreLogits = Callable[[Task, np.ndarray, np.ndarray, np.ndarray], float]

_SCORING_TOKENS = 16_384  # tokens per validation batch: no gradients, so four times a training one

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A trained model and how each of its stages went."""

    classifier: Classifier
    trainings: Sequence[Training]


class CellTrainer:
    """One cell: its data, and how each of its models is trained."""

    def __init__(
        self,
        settings: CellSettings,
        places: CellPlaces,
        machine: Machine,
        score_logits: ScoreLogits,
    ) -> None:
        self.settings, self.places, self.machine = settings, places, machine
        self.score_logits = score_logits
        began = time.perf_counter()
        self.tokenizer = load_tokenizer(self._find_tokenizer())
        self.objectives = ObjectiveParts(settings, places, machine, self.tokenizer)
        self.reader = Reader(self.tokenizer, settings.max_tokens, places.results / "tokens")
        self.data = CellData(self.reader, settings, places.results)
        self.valid = {
            task: self.reader.read(places.prepared / dataset / "valid.parquet")
            for task, dataset in settings.validation.items()
        }
        self.tasks = [self.valid[task].examples.task for task in settings.tasks]
        validation = {task: part.file_hash for task, part in self.valid.items()}
        self.identity = identify_cell(settings, places, machine, self.data, validation)
        self.checkpoints = CellCheckpoints(settings, places, self.data, self.identity)
        self.loading_seconds = time.perf_counter() - began  # of data and models

    def train(self, seed: int, fold: int | None = None) -> Trained:
        """Train one model through all stages.

        Args:
            seed: of all its randomness.
            fold: the one whose rows it must not read; None reads all.
        """
        machine = self.machine
        began = time.perf_counter()
        classifier = build_start(self.settings, self.places, self.tasks, seed).to(machine.device)
        self.loading_seconds += time.perf_counter() - began
        hold_out, loop = self._hold_out(fold), self._describe_loop(seed)
        kept = prepare_optimiser(classifier, loop) if self.settings.recipe.keep_optimiser else None
        trainings = []
        for stage in range(len(self.settings.recipe.stages)):
            data = self.data.gather(stage, seed, hold_out)
            targets = self.data.gather_targets(hold_out)
            training = train_classifier(
                classifier,
                data,
                loop,
                Goal(self._score, self.objectives.build(classifier, data, seed, targets)),
                optimiser=kept,
                checkpoints=self.checkpoints.open(seed, fold, stage),
                workers=machine.workers,
            )
            self._report(seed, fold, stage, training)
            trainings.append(training)
        return Trained(classifier, trainings)

    def write(self, trained: Trained, seed: int) -> dict:
        """Write a model's folder but for its card, and return the card."""
        folder = self.places.find_model(seed)
        classifier, maximum = trained.classifier, self.settings.max_tokens
        save_classifier(folder, classifier, self.tokenizer, self.tasks, maximum)
        return {
            **self.describe(trained, seed),
            **self.identity,
            "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
            "embedding_parameters": sum(
                parameter.numel() for parameter in classifier.encoder.embeddings.parameters()
            ),
            "stages": [_describe_training(training) for training in trained.trainings],
            "weights": hash_file(folder / "model.safetensors"),
            "tokenizer": hash_file(folder / "tokenizer.json"),
        }

    def describe(self, trained: Trained, seed: int) -> dict:
        """Return what every card of a model of this cell says."""
        return {
            "recipe": self.places.recipe,
            "scope": self.places.scope,
            "seed": seed,
            "tasks": list(self.settings.tasks),
            "max_tokens": self.settings.max_tokens,
            "valid": _find_kept_scores(trained.trainings[-1]),
        }

    def score(
        self, classifier: nn.Module, task: str, tokens: RaggedTokens, precision: str
    ) -> np.ndarray:
        """Return logits [N, L] of all texts, of which each worker scores its part."""
        machine = self.machine
        rows = machine.workers.take(np.arange(len(tokens)))
        part = score_tokens(
            classifier,
            task,
            tokens.select(rows),
            batch_tokens=_SCORING_TOKENS,
            precision=precision,
        )
        logits = torch.zeros(len(tokens), part.shape[1], device=machine.device)
        logits[torch.from_numpy(rows)] = torch.from_numpy(part).to(machine.device)
        return machine.workers.add_up(logits).cpu().numpy()

    def clear_checkpoints(self) -> None:
        """Remove what was kept for another time: what all trainings were for is written."""
        if self.machine.workers.rank == 0:
            self.checkpoints.clear()

    @cached_property
    def _folds(self) -> dict[tuple[str, str], np.ndarray]:
        """Return the fold of every row that is learned: (task, mixture) -> int64 [N]."""
        assign = check_folds(self.settings.folds).assign
        mixtures = self.data.mixtures.items()
        return {place: assign(part.examples.text_hash) for place, part in mixtures}

    def _hold_out(self, fold: int | None) -> HeldOut | None:
        if fold is None:
            return None
        return {place: folds == fold for place, folds in self._folds.items()}

    def _find_tokenizer(self) -> Path:
        """Return the folder whose tokenizer the cell's models have."""
        start = self.settings.start
        if start is None:
            return self.places.encoder
        return find_start(start, self.places.results, self.settings.seeds[0])

    def _score(self, classifier: nn.Module) -> Mapping[str, float]:
        scores = {}
        for task, part in self.valid.items():
            logits = self.score(classifier, task, part.tokens, self.machine.precision)
            gold, observed = part.examples.target, part.examples.observed
            scores[task] = self.score_logits(part.examples.task, logits, gold, observed)
        return scores

    def _describe_loop(self, seed: int) -> LoopSettings:
        settings, schedule = self.settings, self.settings.schedule
        return LoopSettings(
            epochs=schedule.epochs,
            learning_rate=schedule.learning_rate,
            limits=BatchLimits(schedule.batch_examples, schedule.batch_tokens),
            warmup_share=settings.warmup_share,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
            clip_norm=settings.clip_norm,
            precision=self.machine.precision,
            sampling=settings.recipe.sampling,
            seed=seed,
            packed=self.machine.packed,
        )

    def _report(self, seed: int, fold: int | None, stage: int, training: Training) -> None:
        name = name_training(seed, fold, stage)
        logger.info(
            "%s/%s %s: validation %.4f at step %d of %d, %.1f s",
            *(self.places.recipe, self.places.scope, name, training.best_score),
            *(training.best_step, training.steps, training.seconds),
        )


def _find_kept_scores(training: Training) -> dict[str, float]:
    """Return each task's validation score at the step whose weights were kept."""
    for point in training.history:
        if point["step"] == training.best_step:
            return dict(point["valid"])
    return {}


def _describe_training(training: Training) -> dict:
    """Return what two equal runs share, however often either was stopped."""
    described = asdict(training)
    del described["seconds"]
    return described
