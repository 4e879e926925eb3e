"""What a cell learns from: its mixtures, tokenised, with what its teachers say about them.

All is read once and serves every seed and stage of the cell. Nothing is trained here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from distilro.artifacts import hash_file
from distilro.corpora.examples import Examples, read_examples
from distilro.distillation.teachers import identify_teacher, read_teacher_probabilities
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_cache import encode_once
from distilro.training.epochs import TaskData


@dataclass(frozen=True)
class TeacherFolders:
    """Where a cell's teachers lie: of which scope each answers for a task, and with which seeds."""

    models: Path  # results/<scenario>/models
    scopes: Mapping[str, Mapping[str, str]]  # teacher -> task -> scope
    seeds: Mapping[str, Sequence[int]]  # teacher -> its seeds

    def find(self, task: str, seed: int) -> list[Path]:
        """Return each teacher's model of the same seed, or the only one it has."""
        return [
            self.models / teacher / scopes[task] / f"seed{self._choose_seed(teacher, seed)}"
            for teacher, scopes in self.scopes.items()
        ]

    def _choose_seed(self, teacher: str, seed: int) -> int:
        seeds = self.seeds[teacher]
        return seed if seed in seeds else seeds[0]


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
        tokens = encode_once(self.kept, self.tokenizer, examples.text, self.max_tokens)
        return Tokenized(examples, tokens, hash_file(path))


class CellData:
    """The mixtures of a cell's stages, by task, and its teachers' answers."""

    def __init__(
        self,
        reader: Reader,
        results: Path,
        *,
        tasks: Sequence[str],
        stages: Sequence[str],
        teachers: TeacherFolders,
    ) -> None:
        self.results, self.tasks, self.teachers = results, tasks, teachers
        self.mixtures = {
            (task, stage): reader.read(results / "mixtures" / task / f"{stage}.parquet")
            for stage in dict.fromkeys(stages)
            for task in tasks
        }

    def gather(self, stage: str, seed: int) -> list[TaskData]:
        """Return every task's mixture of a stage with what this seed's teachers say about it."""
        return [self._join(task, stage, seed) for task in self.tasks]

    def list_hashes(self) -> dict[str, str]:
        """Return <task>/<stage> -> the hash of its file."""
        return {f"{t}/{s}": part.file_hash for (t, s), part in self.mixtures.items()}

    def list_teacher_weights(self, seed: int) -> dict[str, str]:
        """Return each of a seed's teachers, by its folder's name and task, with its weights."""
        return {
            f"{task}/{folder.relative_to(self.teachers.models)}": identify_teacher(folder).weights
            for task in self.tasks
            for folder in self.teachers.find(task, seed)
        }

    def _join(self, task: str, stage: str, seed: int) -> TaskData:
        part = self.mixtures[task, stage]
        folders = self.teachers.find(task, seed)
        teacher = None
        if folders:
            teacher = read_teacher_probabilities(
                self.results, folders, examples=part.examples, stem=f"{task}-{stage}"
            )
        return TaskData.join(part.examples, part.tokens, teacher)
