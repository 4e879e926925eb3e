"""Simulated studies: predictions of models whose true difference is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distilro.corpora.examples import Task
from distilro.evaluation.predictions import Predictions

MODEL = {"language": "ro", "variant": "official", "model_hash": "0" * 64}


def make_predictions(
    right: Sequence[bool],
    *,
    gold: Sequence[int] | None = None,
    task: str = "sentiment",
    recipe: str = "new",
    scope: str = "all",
    seed: int = 0,
) -> Predictions:
    """Return predictions of two classes, right where `right` says so; gold labels alternate."""
    gold = np.arange(len(right)) % 2 if gold is None else np.asarray(gold)
    eye = np.eye(2, dtype=np.float32)
    return Predictions(
        task=Task(task, "multi_class", ("negative", "positive")),
        recipe=recipe,
        scope=scope,
        seed=seed,
        test_set=f"{task}_test",
        id=[f"{row:04d}" for row in range(len(right))],
        probabilities=eye[np.where(right, gold, 1 - gold)],
        gold=eye[gold],
        observed=np.ones((len(right), 2), bool),
        **MODEL,
    )


@dataclass(frozen=True)
class Study:
    """A new recipe, better by `effect` in truth, against an old one that is right in 70 %.

    Half of the items are of either class and both are as hard, so that macro F1 is accuracy. A
    seed shifts a model by its `spread` (a standard deviation); an item is harder for both recipes
    or for one of them, by up to `item_spread` each.
    """

    items: int = 200
    seeds: int = 5
    spread: float = 0.0
    effect: float = 0.0
    item_spread: float = 0.0
    old_seeds: int | None = None
    old_spread: float | None = None

    def simulate(self, generator: np.random.Generator, task: str) -> Iterator[Predictions]:
        """Yield the predictions of every model, on new items and with new seeds."""
        gold = generator.integers(2, size=self.items)
        common = self._draw_items(generator)
        old_spread = self.spread if self.old_spread is None else self.old_spread
        sides = {
            "new": (0.7 + self.effect, self.seeds, self.spread),
            "old": (0.7, self.old_seeds or self.seeds, old_spread),
        }
        for recipe, (mean, seeds, spread) in sides.items():
            chances = mean + common + self._draw_items(generator)
            for seed in range(seeds):
                right = generator.random(self.items) < chances + generator.normal(0, spread)
                yield make_predictions(right, gold=gold, task=task, recipe=recipe, seed=seed)

    def _draw_items(self, generator: np.random.Generator) -> np.ndarray:
        return generator.uniform(-self.item_spread, self.item_spread, self.items)
