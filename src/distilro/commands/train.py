"""Train the models of one cell: every seed, one after the other, in one process.

A process that is stopped leaves checkpoints, and the same command goes on from them; they are
removed once every seed's model is written.
"""

import argparse
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from distilro.artifacts import hash_file, hash_json, write_json
from distilro.cards import list_versions, record_run
from distilro.devices import add_device_arguments, claim_device
from distilro.distillation.cell_data import CellData, Reader, TeacherFolders
from distilro.evaluation.validation import score_logits
from distilro.modeling.allocation import keep_freed_memory
from distilro.modeling.forward import DropoutRates
from distilro.modeling.heads import Classifier, build_classifier, save_classifier, score_tokens
from distilro.modeling.precision import choose_device, choose_packing, choose_precision
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.tokenization import load_tokenizer
from distilro.recipes import name_stage
from distilro.settings import Recipe, ScheduleSettings, Section, check_section
from distilro.training.batches import BatchLimits
from distilro.training.checkpoints import Checkpoints
from distilro.training.engine import LoopSettings, Training, train_classifier
from distilro.training.workers import Workers, join_workers

logger = logging.getLogger(__name__)

_SCORING_TOKENS = 16_384  # tokens per validation batch: no gradients, so four times a training one


class TrainSettings(Section):
    """What the training of one cell depends on; fields as in params.yaml."""

    recipe: Recipe
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    max_tokens: int
    pooling: str
    dropout: float
    encoder_dropout: float
    attention_dropout: float
    precision: str
    packing: str
    processes: int
    warmup_share: float
    weight_decay: float
    layer_decay: float
    clip_norm: float
    schedule: ScheduleSettings
    validation: dict[str, str]
    teacher_scopes: dict[str, dict[str, str]]
    teacher_seeds: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Machine:
    """What a cell computes on."""

    device: str
    precision: str
    packed: bool
    workers: Workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--cell", required=True, help="RECIPE/SCOPE")
    parser.add_argument("--settings", required=True, help="JSON of TrainSettings")
    parser.add_argument("--encoder", required=True, type=Path, help="folder to start from")
    parser.add_argument("--prepared", required=True, type=Path, help="data/prepared")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=30.0, help="least time between checkpoints"
    )
    add_device_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train, choose by validation and write the model of every seed."""
    settings = check_section(TrainSettings, arguments.settings)
    name = arguments.cell.replace("/", "-")
    records = arguments.results / "records"
    with (
        claim_device(arguments.gpus) as claimed,
        record_run(records, "train", name, arguments.threads) as record,
    ):
        torch.set_num_threads(max(1, arguments.threads // settings.processes))
        keep_freed_memory()
        device = choose_device(claimed)
        with join_workers(device, settings.processes) as workers:
            precision = choose_precision(settings.precision, device)
            packed = choose_packing(settings.packing, device, precision, settings.attention_dropout)
            cell = _Cell(arguments, settings, Machine(device, precision, packed, workers))
            record["device"] = device
            record["seeds"] = {seed: cell.train(seed) for seed in settings.seeds}
            record["resumed"] = cell.resumed
            record["loading_seconds"] = round(cell.loading_seconds, 3)
            cell.clear_checkpoints()


class _Cell:
    """One cell: its data, read once for all its seeds, and how each of them is trained."""

    def __init__(
        self, arguments: argparse.Namespace, settings: TrainSettings, machine: Machine
    ) -> None:
        self.arguments, self.settings, self.machine = arguments, settings, machine
        self.recipe, self.scope = arguments.cell.split("/")
        self.resumed: dict[str, int] = {}  # training -> step that it went on from
        began = time.perf_counter()
        self.tokenizer = load_tokenizer(arguments.encoder)
        self.stages = [name_stage(stage) for stage in settings.recipe.stages]
        results = arguments.results
        reader = Reader(self.tokenizer, settings.max_tokens, results / "tokens")
        self.data = CellData(
            reader,
            results,
            tasks=settings.tasks,
            stages=self.stages,
            teachers=TeacherFolders(
                results / "models", settings.teacher_scopes, settings.teacher_seeds
            ),
        )
        self.valid = {
            task: reader.read(arguments.prepared / dataset / "valid.parquet")
            for task, dataset in settings.validation.items()
        }
        self.tasks = [self.valid[task].examples.task for task in settings.tasks]
        self.identity = self._identify()
        self.loading_seconds = time.perf_counter() - began  # of data and models

    def train(self, seed: int) -> float:
        """Train one seed through all stages, write its model, and return its seconds."""
        settings, machine = self.settings, self.machine
        began = time.perf_counter()
        classifier = build_classifier(
            self.arguments.encoder,
            self.tasks,
            pooling=settings.pooling,
            dropout=settings.dropout,
            encoder_dropout=DropoutRates(settings.encoder_dropout, settings.attention_dropout),
            seed=seed,
        ).to(machine.device)
        self.loading_seconds += time.perf_counter() - began
        trainings = []
        for number, stage in enumerate(self.stages):
            training = train_classifier(
                classifier,
                self.data.gather(stage, seed),
                self._describe_loop(seed),
                self._score,
                checkpoints=self._open_checkpoints(seed, number),
                workers=machine.workers,
            )
            self._report(seed, stage, training)
            trainings.append(training)
        if machine.workers.rank == 0:
            self._write(classifier, seed, trainings)
        return round(sum(training.seconds for training in trainings), 3)

    def clear_checkpoints(self) -> None:
        """Remove what was kept for another time: every model is written."""
        if self.machine.workers.rank > 0:
            return
        for seed in self.settings.seeds:
            for number in range(len(self.stages)):
                self._open_checkpoints(seed, number).clear()

    def _open_checkpoints(self, seed: int, stage: int) -> Checkpoints:
        folder = self.arguments.results / "checkpoints" / self.recipe / self.scope
        teachers = self.data.list_teacher_weights(seed)
        return Checkpoints(
            folder / f"seed{seed}-stage{stage}",
            hash_json({**self.identity, "teachers": teachers, "seed": seed, "stage": stage}),
            seconds=self.arguments.checkpoint_seconds,
        )

    def _identify(self) -> dict:
        """Return all that the weights depend on, but for seed, stage and teachers."""
        encoder = self.arguments.encoder
        return {
            "settings": self.settings.model_dump(mode="json", exclude={"seeds"}),
            "precision": self.machine.precision,
            "packed": self.machine.packed,
            "encoder": hash_file(encoder / "model.safetensors"),
            "encoder_tokenizer": hash_file(encoder / "tokenizer.json"),
            "mixtures": self.data.list_hashes(),
            "validation": {task: part.file_hash for task, part in self.valid.items()},
            "versions": list_versions(),
        }

    def _score(self, classifier: nn.Module) -> Mapping[str, float]:
        scores = {}
        for task, part in self.valid.items():
            logits = self._score_together(classifier, task, part.tokens)
            examples = part.examples
            scores[task] = score_logits(examples.task, logits, examples.target, examples.observed)
        return scores

    def _score_together(self, classifier: nn.Module, task: str, tokens: RaggedTokens) -> np.ndarray:
        """Return logits [N, L] of all texts, of which each worker scores its part."""
        machine = self.machine
        rows = machine.workers.take(np.arange(len(tokens)))
        part = score_tokens(
            classifier,
            task,
            tokens.select(rows),
            batch_tokens=_SCORING_TOKENS,
            precision=machine.precision,
        )
        logits = torch.zeros(len(tokens), part.shape[1], device=machine.device)
        logits[torch.from_numpy(rows)] = torch.from_numpy(part).to(machine.device)
        return machine.workers.add_up(logits).cpu().numpy()

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
            anneal=settings.recipe.anneal,
            seed=seed,
            packed=self.machine.packed,
        )

    def _report(self, seed: int, stage: str, training: Training) -> None:
        if training.resumed_at:
            self.resumed[f"seed{seed}/{stage}"] = training.resumed_at
        logger.info(
            "%s/%s seed %d, %s: validation %.4f at step %d of %d, %.1f s",
            *(self.recipe, self.scope, seed, stage, training.best_score),
            *(training.best_step, training.steps, training.seconds),
        )

    def _write(self, classifier: Classifier, seed: int, trainings: list[Training]) -> None:
        """Write the model's folder, its card last."""
        folder = self.arguments.results / "models" / self.recipe / self.scope / f"seed{seed}"
        save_classifier(folder, classifier, self.tokenizer, self.tasks, self.settings.max_tokens)
        card = {
            "recipe": self.recipe,
            "scope": self.scope,
            "seed": seed,
            "tasks": list(self.settings.tasks),
            **self.identity,
            "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
            "stages": [_describe_training(training) for training in trainings],
            "weights": hash_file(folder / "model.safetensors"),
            "tokenizer": hash_file(folder / "tokenizer.json"),
            "max_tokens": self.settings.max_tokens,
        }
        write_json(folder / "card.json", card)


def _describe_training(training: Training) -> dict:
    """Return what two equal runs share, however often either was stopped."""
    described = asdict(training)
    for name in ("seconds", "resumed_at"):
        del described[name]
    return described
