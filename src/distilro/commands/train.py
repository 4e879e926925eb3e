"""Train the models of one cell: every seed, one after the other, in one process."""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from distilro.artifacts import hash_file, write_json
from distilro.cards import list_versions, record_run
from distilro.corpora.examples import Examples, read_examples
from distilro.devices import add_device_arguments, claim_device
from distilro.distillation.teachers import read_teacher_probabilities
from distilro.evaluation.validation import score_logits
from distilro.modeling.heads import build_classifier, save_classifier, score_tokens
from distilro.modeling.precision import choose_device, choose_precision
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.tokenization import encode, load_tokenizer
from distilro.recipes import name_stage
from distilro.settings import Recipe, ScheduleSettings, Section, check_section
from distilro.training.batches import BatchLimits
from distilro.training.engine import LoopSettings, TaskData, Training, train_classifier

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
    precision: str
    warmup_share: float
    weight_decay: float
    layer_decay: float
    clip_norm: float
    schedule: ScheduleSettings
    validation: dict[str, str]
    teacher_scopes: dict[str, dict[str, str]]
    teacher_seeds: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Tokenized:
    """Examples with their tokens, and the file they came from."""

    examples: Examples
    tokens: RaggedTokens
    path: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--cell", required=True, help="RECIPE/SCOPE")
    parser.add_argument("--settings", required=True, help="JSON of TrainSettings")
    parser.add_argument("--encoder", required=True, type=Path, help="folder to start from")
    parser.add_argument("--prepared", required=True, type=Path, help="data/prepared")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
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
        torch.set_num_threads(arguments.threads)
        device = choose_device(claimed)
        cell = _Cell(arguments, settings, device)
        record["device"] = device
        record["seeds"] = {seed: cell.train(seed) for seed in settings.seeds}


class _Cell:
    """One cell's data, read and tokenised once for all its seeds."""

    def __init__(self, arguments: argparse.Namespace, settings: TrainSettings, device: str) -> None:
        self.arguments = arguments
        self.settings = settings
        self.device = device
        self.recipe, self.scope = arguments.cell.split("/")
        self.tokenizer = load_tokenizer(arguments.encoder)
        self.stages = [name_stage(stage) for stage in settings.recipe.stages]
        self.mixtures = {
            stage: {task: self._read(self._name_mixture(task, stage)) for task in settings.tasks}
            for stage in dict.fromkeys(self.stages)
        }
        self.valid = {
            task: self._read(arguments.prepared / dataset / "valid.parquet")
            for task, dataset in settings.validation.items()
        }

    def train(self, seed: int) -> float:
        """Train one seed through all stages, write its model, and return its seconds."""
        tasks = [self.valid[task].examples.task for task in self.settings.tasks]
        classifier = build_classifier(
            self.arguments.encoder,
            tasks,
            pooling=self.settings.pooling,
            dropout=self.settings.dropout,
            seed=seed,
        ).to(self.device)
        trainings = []
        for stage in self.stages:
            loop = self._describe_loop(seed)
            data = [self._gather(task, stage, seed) for task in self.settings.tasks]
            trainings.append(train_classifier(classifier, data, loop, self._score))
            logger.info(
                "%s/%s seed %d, %s: validation %.4f at step %d of %d, %.1f s",
                *(self.recipe, self.scope, seed, stage, trainings[-1].best_score),
                *(trainings[-1].best_step, trainings[-1].steps, trainings[-1].seconds),
            )
        self._write(classifier, seed, trainings)
        return round(sum(training.seconds for training in trainings), 3)

    def _name_mixture(self, task: str, stage: str) -> Path:
        return self.arguments.results / "mixtures" / task / f"{stage}.parquet"

    def _read(self, path: Path) -> Tokenized:
        examples = read_examples(path)
        tokens = encode(self.tokenizer, examples.text, self.settings.max_tokens)
        return Tokenized(examples, tokens, path)

    def _gather(self, task: str, stage: str, seed: int) -> TaskData:
        """Join a mixture with what the teachers of this seed say about it."""
        part = self.mixtures[stage][task]
        teacher = None
        if self.settings.recipe.teachers:
            folders = [
                self._find_teacher(name, task, seed) for name in self.settings.recipe.teachers
            ]
            teacher = read_teacher_probabilities(
                self.arguments.results, folders, examples=part.examples, stem=f"{task}-{stage}"
            )
        examples = part.examples
        return TaskData(
            task=examples.task,
            ids=examples.id,
            tokens=part.tokens,
            target=examples.target,
            observed=examples.observed,
            teacher=teacher,
        )

    def _find_teacher(self, teacher: str, task: str, seed: int) -> Path:
        """Return the teacher's model of the same seed, or its only one."""
        seeds = self.settings.teacher_seeds[teacher]
        scope = self.settings.teacher_scopes[teacher][task]
        folder = self.arguments.results / "models" / teacher / scope
        return folder / f"seed{seed if seed in seeds else seeds[0]}"

    def _score(self, classifier: nn.Module) -> Mapping[str, float]:
        scores = {}
        for task, part in self.valid.items():
            logits = score_tokens(classifier, task, part.tokens, batch_tokens=_SCORING_TOKENS)
            examples = part.examples
            scores[task] = score_logits(examples.task, logits, examples.target, examples.observed)
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
            precision=choose_precision(settings.precision, self.device),
            sampling=settings.recipe.sampling,
            anneal=settings.recipe.anneal,
            seed=seed,
        )

    def _write(self, classifier: nn.Module, seed: int, trainings: list[Training]) -> None:
        """Write the model's folder, its card last."""
        folder = self.arguments.results / "models" / self.recipe / self.scope / f"seed{seed}"
        tasks = [self.valid[task].examples.task for task in self.settings.tasks]
        save_classifier(folder, classifier, self.tokenizer, tasks, self.settings.max_tokens)
        read = {
            f"{task}/{stage}": hash_file(self._name_mixture(task, stage))
            for stage in self.mixtures
            for task in self.settings.tasks
        }
        card = {
            "recipe": self.recipe,
            "scope": self.scope,
            "seed": seed,
            "tasks": list(self.settings.tasks),
            "settings": self.settings.model_dump(mode="json", exclude={"seeds"}),
            "mixtures": read,
            "precision": choose_precision(self.settings.precision, self.device),
            "encoder": hash_file(self.arguments.encoder / "model.safetensors"),
            "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
            "stages": [_describe_training(training) for training in trainings],
            "weights": hash_file(folder / "model.safetensors"),
            "tokenizer": hash_file(folder / "tokenizer.json"),
            "max_tokens": self.settings.max_tokens,
            "versions": list_versions(),
        }
        write_json(folder / "card.json", card)


def _describe_training(training: Training) -> dict:
    """Return what two equal runs share: everything but the seconds."""
    described = asdict(training)
    del described["seconds"]
    return described
