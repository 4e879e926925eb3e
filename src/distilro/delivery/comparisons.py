"""The comparisons of a study as `results/<scenario>/comparisons.json` states them, read strictly.

One comparison sets a recipe beside its reference on one test set. What may be said of it (its
verdict, and whether it is a claim or an indication) was decided where it was computed; this
module decides nothing, and computes no number anew.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from distilro.delivery.inputs import Source
from distilro.errors import ExportError
from distilro.evaluation.verdicts import VERDICTS


@dataclass(frozen=True)
class SeedTest:
    """McNemar's test of one pair of seeds: rows that only one of the two models gets right."""

    seed: int
    reference_seed: int
    only_recipe: int
    only_reference: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """A recipe against its reference; `difference` = recipe - reference. NaN: not defined.

    `claim` says that both sides have the seeds that a claim needs; without it the verdict is an
    indication.
    """

    task: str
    test_set: str
    metric: str
    recipe: str
    scope: str
    reference: str
    reference_scope: str
    seeds: tuple[int, ...]
    reference_seeds: tuple[int, ...]
    items: int
    value: float
    reference_value: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    minimum_detectable: float
    verdict: str
    claim: bool
    seed_tests: tuple[SeedTest, ...]


@dataclass(frozen=True)
class Family:
    """All comparisons that were corrected together, and how."""

    rows: tuple[Comparison, ...]
    confidence: float
    samples: int
    seeds_needed: int
    correction: str


def read_family(source: Source) -> Family:
    """Return the family of comparisons of a file.

    Raises:
        ExportError: a key is absent, or a verdict is none of `VERDICTS`.
    """
    return Family(
        rows=tuple(_read_comparison(row) for row in source.list("family")),
        confidence=source.get("confidence"),
        samples=source.get("samples"),
        seeds_needed=source.get("seeds_needed"),
        correction=source.get("correction"),
    )


def name_models(models: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return (recipe, scope) -> name; the scope is named only where a recipe has several."""
    recipes = [recipe for recipe, _ in dict.fromkeys(models)]
    return {
        (recipe, scope): recipe if recipes.count(recipe) == 1 else f"{recipe} ({scope})"
        for recipe, scope in models
    }


def group_test_sets(rows: Sequence[Comparison]) -> dict[tuple[str, str], list[Comparison]]:
    """Return (task, test set) -> its comparisons, in the order of the rows."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for row in rows:
        groups.setdefault((row.task, row.test_set), []).append(row)
    return groups


def name_rows(rows: Sequence[Comparison]) -> dict[Comparison, str]:
    """Return each comparison of one test set -> the name of its recipe."""
    names = name_models([(row.recipe, row.scope) for row in rows])
    return {row: names[row.recipe, row.scope] for row in rows}


def find_highest(rows: Sequence[Comparison]) -> Comparison | None:
    """Return the comparison whose recipe has the highest value, the first of equals."""
    defined = [row for row in rows if math.isfinite(row.value)]
    return max(defined, key=lambda row: row.value, default=None)


def _read_comparison(row: Source) -> Comparison:
    verdict = row.get("verdict")
    if verdict not in VERDICTS:
        raise ExportError(
            f"{row.where}: verdict: expected one of {', '.join(VERDICTS)}, got {verdict!r}. "
            "Run the stage that makes it again."
        )
    words = ("task", "test_set", "metric", "recipe", "scope", "reference", "reference_scope")
    numbers = ("value", "reference_value", "difference", "low", "high", "p", "p_holm")
    return Comparison(
        **{word: row.get(word) for word in words},
        **{number: row.number(number) for number in numbers},
        minimum_detectable=row.number("minimum_detectable"),
        seeds=tuple(row.get("seeds")),
        reference_seeds=tuple(row.get("reference_seeds")),
        items=row.get("items"),
        verdict=verdict,
        claim=row.get("claim"),
        seed_tests=tuple(_read_seed_test(test) for test in row.list("mcnemar")),
    )


def _read_seed_test(test: Source) -> SeedTest:
    counts = ("seed", "reference_seed", "only_recipe", "only_reference")
    return SeedTest(**{name: test.get(name) for name in counts}, p=test.number("p"))
