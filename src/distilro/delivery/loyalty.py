"""The loyalty table: how far each student answers as its teacher does, over seeds.

Values and intervals are means over the file's seeds; the measures are defined where they are
computed (`distilro.evaluation`), and this module only lays them out.
"""

import math
from collections.abc import Collection, Mapping, Sequence

from distilro.delivery.inputs import Source
from distilro.delivery.tables import Cell, Table, count_nouns, write_words

MEASURES = ("label", "probability", "regression")
_MODEL = ("student", "student_scope", "teacher", "teacher_scope", "task", "test_set")


def build_loyalty(source: Source, by_folds: Collection[str] = ()) -> Table:
    """Return a row per student, teacher and test set: the three loyalties with intervals.

    Args:
        source: `results/<scenario>/loyalty.json`.
        by_folds: students that were taught by models of folds, which are not what is asked here.
    """
    groups: dict[tuple[str, ...], list[Source]] = {}
    for row in source.list("rows"):
        groups.setdefault(tuple(row.get(name) for name in _MODEL), []).append(row)
    head = [
        *write_words("student", "teacher", "task"),
        Cell("label", note="share of equal labels"),
        Cell("probability", note="1 − root of the divergence"),
        Cell("regression", note="correlation"),
        Cell("rows"),
    ]
    return Table(
        "Loyalty of students to their teachers",
        head,
        [_write_row(model, rows, by_folds) for model, rows in groups.items()],
    )


def describe_loyalty(source: Source) -> str:
    """Return, task by task, which student and teacher agree most often, and which least."""
    labels: dict[str, dict[str, list[float]]] = {}
    for row in source.list("rows"):
        value = row.open("label").number("value")
        if math.isfinite(value):
            pair = f"{row.get('student')} and {row.get('teacher')}"
            labels.setdefault(row.get("task"), {}).setdefault(pair, []).append(value)
    if not labels:
        return "No loyalty is defined."
    return " ".join(_describe_task(task, pairs) for task, pairs in labels.items())


def _describe_task(task: str, pairs: Mapping[str, Sequence[float]]) -> str:
    means = {pair: math.fsum(values) / len(values) for pair, values in pairs.items()}
    lowest, highest = (choose(means, key=means.__getitem__) for choose in (min, max))
    said = f"On {task}, {highest} give the same label to {means[highest]:.0%} of the texts"
    if means[lowest] == means[highest]:
        return f"{said}."
    return f"{said}, {lowest} to {means[lowest]:.0%}."


def _write_row(
    model: tuple[str, ...], rows: Sequence[Source], by_folds: Collection[str]
) -> list[Cell]:
    student, student_scope, teacher, teacher_scope, task, test_set = model
    notes = [teacher_scope] if teacher_scope != task else []
    notes += ["its folds taught"] if student in by_folds else []
    return [
        Cell(student, note=student_scope if student_scope != task else ""),
        Cell(teacher, note="\n".join(notes)),
        Cell(task, note=test_set),
        *(_write_measure([row.open(name) for row in rows]) for name in MEASURES),
        Cell(
            f"n={min(row.get('n') for row in rows):,}",
            note=count_nouns(len({row.get("seed") for row in rows}), "seed"),
            kind="number",
        ),
    ]


def _write_measure(parts: Sequence[Source]) -> Cell:
    value, low, high = (_average(parts, name) for name in ("value", "low", "high"))
    if not math.isfinite(value):
        return Cell("n/a", kind="missing")
    return Cell(f"{value:.3f}", note=f"[{low:.3f}, {high:.3f}]", kind="number")


def _average(parts: Sequence[Source], name: str) -> float:
    return math.fsum(part.number(name) for part in parts) / len(parts)
