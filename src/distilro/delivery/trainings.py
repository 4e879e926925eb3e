"""The training part of the page: curves of every neural recipe, and a table of the models.

A training of several stages is drawn as one curve, the epochs of each stage after those of the
stage before. Models without a history (the linear baseline) stand in the table only.
"""

import math
from collections.abc import Sequence

from distilro.delivery.curves import Curve, draw_curves
from distilro.delivery.inputs import Source
from distilro.delivery.svg import render
from distilro.delivery.tables import Cell, Table, write_count

_HEAD = (
    Cell("recipe"),
    Cell("scope"),
    Cell("seed"),
    Cell("parameters"),
    Cell("tokens read"),
    Cell("padding", note="share of a batch"),
    Cell("steps"),
    Cell("step kept", note="best on validation"),
)
_NONE = Cell("–", kind="missing")


def draw_trainings(cards: Sequence[Source]) -> list[str]:
    """Return a picture per recipe and scope that has a history, as SVG markup."""
    groups: dict[tuple[str, str], list[Source]] = {}
    for card in cards:
        if _list_stages(card):
            groups.setdefault((card.get("recipe"), card.get("scope")), []).append(card)
    pictures = []
    for (recipe, scope), group in groups.items():
        tasks = list(dict.fromkeys(task for card in group for task in card.get("tasks")))
        curves = [_read_curve(card) for card in group]
        pictures.append(render(draw_curves(f"{recipe}: {scope}", curves, tasks)))
    return pictures


def build_models(cards: Sequence[Source]) -> Table:
    """Return the table of trained models, one row per card and the sums over its stages."""
    return Table("Trained models", _HEAD, [_write_model(card) for card in cards])


def _read_curve(card: Source) -> Curve:
    points, kept, before = [], [], 0.0
    for stage in _list_stages(card):
        for point in stage.list("history"):
            epoch = before + float(point.get("epoch"))
            scores = point.open("valid").values
            valid = {task: _read_number(score) for task, score in scores.items()}
            points.append((epoch, _read_number(point.get("loss")), valid))
            if point.get("step") == stage.get("best_step"):
                kept.append(epoch)
        before = points[-1][0] if points else 0.0
    return Curve(card.get("seed"), points, kept)


def _write_model(card: Source) -> list[Cell]:
    stages = _list_stages(card)
    return [
        Cell(card.get("recipe")),
        Cell(card.get("scope")),
        write_count(card.get("seed")),
        write_count(card.get("parameters")),
        write_count(sum(stage.get("tokens") for stage in stages)) if stages else _NONE,
        Cell(f"{stages[-1].get('padding_share'):.1%}", kind="number") if stages else _NONE,
        write_count(sum(stage.get("steps") for stage in stages)) if stages else _NONE,
        write_count(stages[-1].get("best_step")) if stages else _NONE,
    ]


def _list_stages(card: Source) -> list[Source]:
    return card.list("stages") if "stages" in card.values else []


def _read_number(value: float | None) -> float:
    return math.nan if value is None else float(value)
