"""Where recipes stand beside the lines they must beat: the linear baseline, the majority class.

By the mean over seeds on the task's own Romanian test set; whether a difference is more than noise
is for the comparisons to say. A recipe's kind comes from the settings.
"""

from collections.abc import Mapping, Sequence

from distilro.delivery.measures import Measure, TestSet

LINEAR, MAJORITY = "linear", "majority"
_OFFICIAL = "official"

Model = tuple[str, str]


def find_line(test_set: TestSet, kind: str, kinds: Mapping[str, str]) -> Measure | None:
    """Return the highest measure of the recipes of a kind, or None where there is none."""
    found = [m for m in _list_defined(test_set) if kinds.get(m.recipe) == kind]
    return max(found, key=lambda measure: measure.value, default=None)


def list_unbeaten(test_sets: Sequence[TestSet], kinds: Mapping[str, str]) -> dict[Model, list[str]]:
    """Return (recipe, scope) -> the lines it is not above, such as "linear on emotion".

    The linear baseline is held against the majority class alone.
    """
    found: dict[Model, list[str]] = {}
    for test_set in test_sets:
        for kind, below in ((MAJORITY, {MAJORITY}), (LINEAR, {MAJORITY, LINEAR})):
            line = find_line(test_set, kind, kinds)
            for measure in _list_defined(test_set) if line else ():
                if kinds.get(measure.recipe) not in below and measure.value <= line.value:
                    place = f"{line.recipe} on {test_set.task}"
                    found.setdefault((measure.recipe, measure.scope), []).append(place)
    return found


def describe_standings(test_sets: Sequence[TestSet], kinds: Mapping[str, str]) -> list[str]:
    """Return a sentence for each task on which no neural recipe is above the linear baseline."""
    sentences = []
    for test_set in test_sets:
        line = find_line(test_set, LINEAR, kinds)
        neural = [
            m for m in _list_defined(test_set) if kinds.get(m.recipe) not in (LINEAR, MAJORITY)
        ]
        if line and neural and max(measure.value for measure in neural) <= line.value:
            sentences.append(
                f"On {test_set.task} no neural recipe is above {line.recipe} ({line.value:.3f})."
            )
    return sentences


def _list_defined(test_set: TestSet) -> list[Measure]:
    return [m for m in test_set.select(_OFFICIAL, test_set.primary) if m.defined]
