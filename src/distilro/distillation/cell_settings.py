"""What the training of one cell depends on besides files; the workflow hands it over as JSON."""

from dataclasses import dataclass
from pathlib import Path

from distilro.distillation.folds import FoldSettings
from distilro.settings import Recipe, ScheduleSettings, Section
from distilro.training.workers import Workers


class StartSettings(Section):
    """The model that a cell's training starts from: a cell of another recipe."""

    recipe: str
    scope: str
    seeds: tuple[int, ...]


class CellSettings(Section):
    """One cell; fields as in params.yaml where they have the same name."""

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
    validation: dict[str, str]  # task -> the dataset whose validation rows choose the best epoch
    teacher_scopes: dict[str, dict[str, str]]  # teacher -> task -> scope
    teacher_seeds: dict[str, tuple[int, ...]]
    start: StartSettings | None = None
    folds: FoldSettings | None = None


@dataclass(frozen=True)
class CellPlaces:
    """Which cell it is and where its files lie."""

    recipe: str
    scope: str
    encoder: Path
    prepared: Path  # data/prepared
    results: Path  # results/<scenario>
    checkpoint_seconds: float = 30.0

    def find_model(self, seed: int, suffix: str = "") -> Path:
        """Return the folder of a seed's model."""
        return self.results / "models" / self.recipe / self.scope / f"seed{seed}{suffix}"


@dataclass(frozen=True)
class Machine:
    """What a cell computes on."""

    device: str
    precision: str
    packed: bool
    workers: Workers
