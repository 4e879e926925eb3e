"""The study's questions, and what the comparisons say to each, in sentences made from their rows.

Which recipe helps to answer which question is data: the field `question` of its settings. Nothing
here knows the name of a recipe, and no sentence holds a typed number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilro.delivery.comparisons import (
    Comparison,
    Family,
    find_highest,
    group_test_sets,
    name_rows,
)
from distilro.delivery.inputs import Source
from distilro.delivery.tables import count_nouns, write_names, write_signed
from distilro.evaluation.verdicts import HIGHER, LOWER, UNDECIDED

QUESTIONS = {
    "english": "Does English data help?",
    "tasks": "Do the tasks help one another?",
    "distillation": "Does distillation help?",
    "size": "What does a smaller student lose?",
}
OTHER = "other"
OTHER_TITLE = "What else was compared?"
_SMALLER = 0.99  # share of the reference's parameters below which a recipe counts as smaller

Model = tuple[str, str]  # (recipe, scope)


@dataclass(frozen=True)
class Question:
    """One question of the study and the comparisons that speak to it."""

    name: str
    title: str
    rows: tuple[Comparison, ...]


def group_questions(family: Family, recipes: Source) -> list[Question]:
    """Return the questions that have a comparison, in the study's order; the others come last."""
    groups: dict[str, list[Comparison]] = {}
    for row in family.rows:
        declared = recipes.open(row.recipe).values if row.recipe in recipes.values else {}
        groups.setdefault(declared.get("question") or OTHER, []).append(row)
    ordered = [name for name in (*QUESTIONS, OTHER) if name in groups]
    return [
        Question(name, QUESTIONS.get(name, OTHER_TITLE), tuple(groups[name])) for name in ordered
    ]


def answer_question(rows: Sequence[Comparison]) -> str:
    """Return how many of the comparisons are higher, lower and not distinguishable."""
    if not rows:
        return "Nothing was compared."
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in (HIGHER, LOWER)}
    rest = len(rows) - sum(counts.values())
    return (
        f"Of {count_nouns(len(rows), 'comparison')} of a recipe with its reference on a task, "
        f"{counts[HIGHER]} came out higher, {counts[LOWER]} lower, and {rest} {UNDECIDED}."
    )


def describe_standing(rows: Sequence[Comparison], seeds_needed: int) -> str:
    """Return whether the verdicts are claims, or indications that need more seeds."""
    open_ = sum(not row.claim for row in rows)
    need = f"a claim needs {count_nouns(seeds_needed, 'seed')} on each neural side"
    if not rows:
        return ""
    if not open_:
        seeds = count_nouns(seeds_needed, "seed")
        return f"These are claims: each neural side, where there is one, has {seeds} or more."
    which = "All of these are indications" if open_ == len(rows) else f"{open_} are indications"
    return f"{which}, not claims: {need}."


def describe_test_sets(rows: Sequence[Comparison]) -> list[tuple[str, str]]:
    """Return (task, sentence) for every test set of the comparisons."""
    groups = group_test_sets(rows)
    tasks = [task for task, _ in groups]
    return [
        (task if tasks.count(task) == 1 else f"{task} ({test_set})", _describe_test_set(group))
        for (task, test_set), group in groups.items()
    ]


def describe_sizes(rows: Sequence[Comparison], parameters: Mapping[Model, float]) -> list[str]:
    """Return a sentence for each recipe that is smaller than its reference; others have none."""
    shares: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        own = parameters.get((row.recipe, row.scope), math.nan)
        reference = parameters.get((row.reference, row.reference_scope), math.nan)
        if own < _SMALLER * reference:
            shares.setdefault((row.recipe, row.reference), []).append(own / reference)
    return [
        f"{recipe} has {math.fsum(found) / len(found):.0%} of the parameters of {reference}."
        for (recipe, reference), found in shares.items()
    ]


def _describe_test_set(rows: Sequence[Comparison]) -> str:
    names = name_rows(rows)
    same = sum(row.verdict == UNDECIDED for row in rows)
    sentences = [
        f"Higher than the reference: {_list_named(rows, names, HIGHER)}.",
        f"Lower: {_list_named(rows, names, LOWER)}.",
        f"Not distinguishable: {same} of {len(rows)}.",
    ]
    best = find_highest(rows)
    if best is not None:
        sentences.append(
            f"The highest value is that of {names[best]}, {best.value:.3f} ({_place(best)})."
        )
    return " ".join(sentences)


def _list_named(rows: Sequence[Comparison], names: Mapping[Comparison, str], verdict: str) -> str:
    found = sorted(
        (row for row in rows if row.verdict == verdict), key=lambda row: -abs(row.difference)
    )
    return write_names([f"{names[row]} ({_place(row)})" for row in found]) if found else "none"


def _place(row: Comparison) -> str:
    return f"{write_signed(row.difference)} beside {row.reference}"
