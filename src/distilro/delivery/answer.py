"""The answer in a few sentences, computed from the measures; no sentence holds a typed number.

The rule is simple and careful. The best recipe is the one with the highest mean. It is called
different from the linear baseline only where the two intervals do not touch, which is stricter
than a paired test; anything else is said to be not distinguishable by this page.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from distilro.delivery.measures import Measure, TestSet

_OFFICIAL = "official"


@dataclass(frozen=True)
class Answer:
    """What can be said about one test set: a headline and what it means beside the baseline."""

    test_set: TestSet
    headline: str
    verdict: str


def answer_questions(
    test_sets: Sequence[TestSet], baselines: Collection[str], floors: Collection[str] = ()
) -> list[Answer]:
    """Return an answer per task, on its Romanian test set.

    Args:
        test_sets: of any language.
        baselines: the linear recipes.
        floors: recipes that learn nothing (the majority class); they are compared with none.
    """
    return [
        Answer(test_set, _find_headline(test_set), _find_verdict(test_set, baselines, floors))
        for test_set in test_sets
        if test_set.language == "ro"
    ]


def format_interval(measure: Measure) -> str:
    """Return "0.640 [0.600, 0.680]", or what stands for a value that is not defined.

    >>> place, nan = ("r", "t", "t", "s", "ro", "official", "f1"), float("nan")
    >>> format_interval(Measure(*place, nan, nan, nan, n=0, seeds=(), values=()))
    'n/a (n=0)'
    """
    if not measure.defined:
        return f"n/a (n={measure.n})"
    return f"{measure.value:.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def format_metric(metric: str) -> str:
    """Return a metric's name for readers.

    >>> format_metric("strict_macro_f1"), format_metric("f1_joy")
    ('strict macro F1', 'F1 joy')
    """
    words = metric.split("_")
    return " ".join("F1" if word == "f1" else word for word in words)


def _find_headline(test_set: TestSet) -> str:
    ranked = _rank(test_set)
    if not ranked:
        return "No recipe has a value that is defined."
    best = ranked[0]
    return (
        f"{best.recipe} is highest: {format_metric(best.metric)} {format_interval(best)}, "
        f"n = {best.n:,}, {_count_seeds(best)}."
    )


def _find_verdict(test_set: TestSet, baselines: Collection[str], floors: Collection[str]) -> str:
    ranked = [measure for measure in _rank(test_set) if measure.recipe not in floors]
    linear = [measure for measure in ranked if measure.recipe in baselines]
    neural = [measure for measure in ranked if measure.recipe not in baselines]
    if not linear or not neural:
        return "There is no linear baseline beside a neural recipe to compare."
    line, best = linear[0], neural[0]
    ahead = [measure for measure in neural if measure.low > line.high]
    facts = f"{line.recipe} has {format_interval(line)}"
    if ahead:
        names = ", ".join(measure.recipe for measure in ahead)
        return f"{facts}; clearly above it: {names}."
    if all(measure.high < line.low for measure in neural):
        return f"{facts}; every neural recipe is clearly below it, {best.recipe} the least."
    relation = "above" if best.value > line.value else "below" if best.value < line.value else "at"
    return (
        f"{facts}; the best neural recipe, {best.recipe}, is {relation} it by "
        f"{abs(best.value - line.value):.3f}, and their intervals overlap."
    )


def _rank(test_set: TestSet) -> list[Measure]:
    measures = [m for m in test_set.select(_OFFICIAL, test_set.primary) if m.defined]
    return sorted(measures, key=lambda measure: -measure.value)


def _count_seeds(measure: Measure) -> str:
    return f"{len(measure.seeds)} seed" + ("" if len(measure.seeds) == 1 else "s")
