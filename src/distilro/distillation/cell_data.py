"""What a cell learns from: its mixtures, tokenised, with what its teachers say about them.

All is read once and serves every seed and stage of the cell. Nothing is trained here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from distilro.artifacts import hash_file
from distilro.corpora.examples import Examples, read_examples
from distilro.distillation.cell_settings import CellSettings
from distilro.distillation.teachers import identify_teacher, read_teacher_probabilities
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_cache import encode_once
from distilro.recipes import choose_seed, name_stage, name_stages
from distilro.training.epochs import TaskData

HeldOut = Mapping[tuple[str, str], np.ndarray]  # (task, mixture) -> rows not to be read, bool [N]


@dataclass(frozen=True)
class TeacherFolders:
    """Where a cell's teachers lie, and how they speak together; see `ensembles`."""

    models: Path  # results/<scenario>/models
    scopes: Mapping[str, Mapping[str, str]]  # teacher -> task -> scope
    seeds: Mapping[str, Sequence[int]]  # teacher -> its seeds
    how: str = "mean_probability"
    temperature: float = 1.0
    every_seed: bool = False
    out_of_fold: bool = False

    @classmethod
    def of_recipe(cls, settings: CellSettings, models: Path) -> "TeacherFolders":
        """Return the teachers that a cell's recipe asks for."""
        recipe = settings.recipe
        return cls(
            models,
            settings.teacher_scopes,
            settings.teacher_seeds,
            how=recipe.ensemble,
            temperature=recipe.temperature,
            every_seed=recipe.teacher_seeds == "all",
            out_of_fold=recipe.teacher_logits == "out_of_fold",
        )

    def find(self, task: str, seed: int) -> list[Path]:
        """Return each teacher's model: of the same seed, or its only one; or those of all seeds."""
        suffix = "-folds" if self.out_of_fold else ""
        return [
            self.models / teacher / scopes[task] / f"seed{chosen}{suffix}"
            for teacher, scopes in self.scopes.items()
            for chosen in self._choose_seeds(teacher, seed)
        ]

    def _choose_seeds(self, teacher: str, seed: int) -> Sequence[int]:
        seeds = self.seeds[teacher]
        if self.every_seed:
            return seeds
        return (choose_seed(seed, seeds),)


@dataclass(frozen=True)
class Tokenized:
    """Examples with their tokens, and the hash of the file they came from."""

    examples: Examples
    tokens: RaggedTokens
    file_hash: str


class Reader:
    """Reads Parquet files of examples with their tokens; see `modeling.token_cache`."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, max_tokens: int, kept: Path) -> None:
        self.tokenizer, self.max_tokens, self.kept = tokenizer, max_tokens, kept

    def read(self, path: Path) -> Tokenized:
        """Return a file's examples, tokenised now or taken from the tokens that were kept."""
        examples = read_examples(path)
        return Tokenized(examples, self.encode(examples.text), hash_file(path))

    def encode(self, texts: Sequence[str]) -> RaggedTokens:
        """Return texts tokenised, now or before."""
        return encode_once(self.kept, self.tokenizer, texts, self.max_tokens)


class CellData:
    """The mixtures of a cell's stages, by task, and its teachers' answers.

    `mixtures` holds them by (task, name), with those that an adversary reads without labels.
    """

    def __init__(self, reader: Reader, settings: CellSettings, results: Path) -> None:
        self.reader, self.results = reader, results
        self.tasks, self.recipe = settings.tasks, settings.recipe
        self.teachers = TeacherFolders.of_recipe(settings, results / "models")
        self.stages = {task: name_stages(self.recipe, task) for task in self.tasks}
        self.mixtures = {
            (task, name): self.read_mixture(task, name)
            for task in self.tasks
            for name in dict.fromkeys([*self.stages[task], *self._list_shown()])
        }

    def read_mixture(self, task: str, name: str) -> Tokenized:
        """Return a task's mixture of that name."""
        return self.reader.read(self.results / "mixtures" / task / f"{name}.parquet")

    def gather_targets(self, hold_out: HeldOut | None = None) -> RaggedTokens | None:
        """Return the texts of every task that an adversary is shown without their labels."""
        if self.recipe.adversary is None:
            return None
        (name,) = self._list_shown()
        parts = [self.mixtures[task, name].tokens for task in self.tasks]
        if hold_out is not None:
            kept = [np.flatnonzero(~hold_out[task, name]) for task in self.tasks]
            parts = [part.select(rows) for part, rows in zip(parts, kept, strict=True)]
        return RaggedTokens.join(parts)

    def gather(self, stage: int, seed: int, hold_out: HeldOut | None = None) -> list[TaskData]:
        """Return every task's mixture of a stage with what this seed's teachers say about it.

        Stages count from 0.
        """
        names = [self.stages[task][stage] for task in self.tasks]
        mixtures = list(zip(self.tasks, names, strict=True))
        data = [self._join(task, name, seed) for task, name in mixtures]
        if hold_out is None:
            return data
        kept = [np.flatnonzero(~hold_out[mixture]) for mixture in mixtures]
        return [part.select(rows) for part, rows in zip(data, kept, strict=True)]

    def list_hashes(self) -> dict[str, str]:
        """Return <task>/<mixture> -> the hash of its file."""
        return {f"{task}/{name}": part.file_hash for (task, name), part in self.mixtures.items()}

    def list_teacher_weights(self, seed: int) -> dict[str, str]:
        """Return each of a seed's teachers, by its folder's name and task, with its weights."""
        return {
            f"{task}/{folder.relative_to(self.teachers.models)}": identify_teacher(folder).weights
            for task in self.tasks
            for folder in self.teachers.find(task, seed)
        }

    def _list_shown(self) -> list[str]:
        """Return the name of what an adversary reads: a model has read it, if not its labels."""
        adversary = self.recipe.adversary
        return [] if adversary is None else [name_stage(adversary.target)]

    def _join(self, task: str, name: str, seed: int) -> TaskData:
        part = self.mixtures[task, name]
        data = TaskData.join(part.examples, part.tokens, self._ask(task, name, seed))
        if self.recipe.votes is not None:
            data = replace(data, votes=part.examples.votes)
        if self.recipe.adversary is not None:
            data = replace(data, source=np.array([lang == "en" for lang in part.examples.lang]))
        return data

    def _ask(self, task: str, name: str, seed: int) -> np.ndarray | None:
        """Return what a seed's teachers say together about a mixture, [N, L]; None without any."""
        folders = self.teachers.find(task, seed)
        if not folders:
            return None
        return read_teacher_probabilities(
            self.results,
            folders,
            examples=self.mixtures[task, name].examples,
            # The logits of folds are kept for all mixtures of a task together.
            stem=task if self.teachers.out_of_fold else f"{task}-{name}",
            how=self.teachers.how,
            temperature=self.teachers.temperature,
        )
