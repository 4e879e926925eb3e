"""What each cell of a run cost: seconds, tokens, parameters, estimated FLOPs and energy.

Seconds come from the run records and tokens from the cards. FLOPs are estimated and said to be:
6 per parameter outside the embeddings and token read in training. What this leaves out is the
attention between positions (at most max_tokens / (6 hidden) of it in a BERT), critics, teachers
that read along, and validation. Energy is seconds times the watts that the settings declare, and
is not estimated without them.

Source: Kaplan et al. (2020), Scaling Laws for Neural Language Models, section 2.1.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distilro.delivery.inputs import Source, tells_last_part_alone
from distilro.delivery.upstream import Model, Need, find_upstream

FLOPS_PER_PARAMETER = 6  # a multiplication and an addition forward, twice that backward
JOULES_PER_KWH = 3.6e6
STAGES = ("train", "logits", "folds", "predict")


@dataclass(frozen=True)
class Shape:
    """What of an encoder's configuration tells the parameters that no token is multiplied with."""

    embedding_parameters: int


@dataclass(frozen=True)
class Cost:
    """One cell over all its models; a number that was not recorded is NaN.

    `seconds` are by stage. `partial` says that those of a training leave out what came before a
    checkpoint.
    `upstream_seconds` are those of all that it builds on, each counted whole, though it may serve
    several students.
    """

    recipe: str
    scope: str
    tasks: tuple[str, ...]
    models: int
    parameters: float
    tokens: float
    flops: float
    seconds: Mapping[str, float]
    partial: bool
    upstream_seconds: float

    @property
    def total_seconds(self) -> float:
        """Return the seconds of all its stages that were recorded; NaN where none was."""
        return _add_recorded(self.seconds.values())

    @property
    def teaching_seconds(self) -> float:
        """Return the seconds of its answers as a teacher, the models of its folds included."""
        return _add_recorded((self.seconds["logits"], self.seconds["folds"]))

    @property
    def seconds_with_upstream(self) -> float:
        """Return the seconds of its training and of all that was recorded of what it builds on."""
        return self.seconds["train"] + _add_recorded((0.0, self.upstream_seconds))

    @property
    def training_seconds(self) -> float:
        """Return the training seconds of one model, the mean of its seeds; NaN where partial."""
        return math.nan if self.partial else self.seconds["train"] / self.models


def build_costs(
    cards: Sequence[Source], records: Sequence[Source], configs: Sequence[Source], recipes: Source
) -> list[Cost]:
    """Return the cost of every cell that has a card, in the order of the cards.

    Args:
        cards: card.json of every model.
        records: run records of any stage; those of other stages are left alone.
        configs: config.json beside the cards; without one a cell has no FLOPs.
        recipes: the section `recipes` of the settings.
    """
    groups: dict[Model, list[Source]] = {}
    for card in cards:
        groups.setdefault((card.get("recipe"), card.get("scope")), []).append(card)
    tasks = {model: tuple(group[0].get("tasks")) for model, group in groups.items()}
    shapes = {str(Path(config.where).parent): read_shape(config) for config in configs}
    times = _add_seconds(records, list(groups))
    above = {model: find_upstream(model, tasks, recipes) for model in groups}
    partial = {
        _find_model(record, list(groups))
        for record in records
        if record.get("stage") == "train" and tells_last_part_alone(record)
    }
    return [
        Cost(
            *model,
            tasks=tasks[model],
            models=len(group),
            parameters=math.fsum(card.get("parameters") for card in group) / len(group),
            tokens=math.fsum(_count_tokens(card) for card in group),
            flops=math.fsum(_estimate_flops(card, shapes) for card in group),
            seconds={stage: times.get(Need(stage, model), math.nan) for stage in STAGES},
            partial=model in partial,
            upstream_seconds=_add_recorded(times.get(need, math.nan) for need in above[model]),
        )
        for model, group in groups.items()
    ]


def read_shape(config: Source) -> Shape:
    """Return the shape of a model's config.json; a model without an encoder has no embeddings."""
    if "encoder" not in config.values:
        return Shape(0)
    encoder = config.open("encoder")
    width = encoder.values.get("hidden_size") or encoder.get("dim")  # DistilBERT says dim
    rows = encoder.get("vocab_size") + encoder.get("max_position_embeddings")
    return Shape(width * (rows + encoder.values.get("type_vocab_size", 0)))


def _add_seconds(records: Sequence[Source], models: Sequence[Model]) -> dict[Need, float]:
    """Return the seconds of each piece of work that was recorded."""
    times: dict[Need, list[float]] = {}
    for record in records:
        stage = record.get("stage")
        of = record.get("name") if stage == "student" else _find_model(record, models)
        if of is not None:
            times.setdefault(Need(stage, of), []).append(record.number("seconds"))
    return {need: _add_recorded(seconds) for need, seconds in times.items()}


def _find_model(record: Source, models: Sequence[Model]) -> Model | None:
    """Return whose record it is: names begin RECIPE-SCOPE, and a scope may hold a dash."""
    name = record.get("name")
    known = {"-".join(model): model for model in models}
    fitting = [start for start in known if name == start or name.startswith(f"{start}-")]
    return known[max(fitting, key=len)] if fitting else None


def _count_tokens(card: Source) -> float:
    if "stages" not in card.values:
        return math.nan
    return math.fsum(stage.get("tokens") for stage in card.list("stages"))


def _estimate_flops(card: Source, shapes: Mapping[str, Shape]) -> float:
    shape = shapes.get(str(Path(card.where).parent))
    if shape is None:
        return math.nan
    parameters = card.get("parameters") - shape.embedding_parameters
    return FLOPS_PER_PARAMETER * parameters * _count_tokens(card)


def _add_recorded(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) if known else math.nan
