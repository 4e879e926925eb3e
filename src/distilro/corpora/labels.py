"""From a dataset's own labels to the task's: sets where the tasks differ, and what stays unknown.

Unobserved is not absent. A source label names the canonical labels it stands for and those it says
nothing about; labels that a dataset's annotators were never asked for are unobserved in every row.
An unknown label is an error, never dropped and never guessed. L labels in the task's order.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from distilro.corpora.examples import Task
from distilro.corpora.registry import LabelMeaning, LabelMeanings
from distilro.errors import DataError, SettingsError


@dataclass(frozen=True)
class LabelMap:
    """The meanings of one dataset's labels in one task, checked against each other."""

    task: Task
    meanings: LabelMeanings
    never_observed: tuple[str, ...]
    where: str

    def __post_init__(self) -> None:
        """Refuse labels that the task does not have, and contradictions."""
        for label, meaning in self.meanings.items():
            _check_known(
                [*meaning.labels, *meaning.unobserved], self.task, f"{self.where}: {label}"
            )
            both = set(meaning.labels) & {*meaning.unobserved, *self.never_observed}
            if both:
                raise SettingsError(
                    f"{self.where}: {label}: {sorted(both)} cannot be present and unobserved."
                )
            if self.task.kind == "multi_class" and not meaning.labels:
                raise SettingsError(f"{self.where}: {label}: expected at least one label.")
        _check_known(self.never_observed, self.task, f"{self.where}: never_observed")
        unobserved = any(meaning.unobserved for meaning in self.meanings.values())
        if self.task.kind == "multi_class" and (self.never_observed or unobserved):
            raise SettingsError(
                f"{self.where}: task {self.task.name} is multi-class, where nothing is "
                "unobserved; say it with a set of labels."
            )

    def encode(self, labels: Sequence[str], where: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what a row's source labels say: target float32 [L] and observed bool [L].

        A canonical label that one source label asserts and another leaves open is present.

        Args:
            labels: the row's source labels; exactly one in a multi-class task.
            where: file and line, for the error.

        Raises:
            DataError: a label is unknown, stands twice, or the number of labels is wrong.
        """
        if self.task.kind == "multi_class" and len(labels) != 1:
            raise DataError(f"{where}: expected one label, got {list(labels)}.")
        if not labels or len(set(labels)) != len(labels):
            raise DataError(f"{where}: expected distinct labels, got {list(labels)}.")
        meanings = [self._find(label, where) for label in labels]
        present = {label for meaning in meanings for label in meaning.labels}
        unknown = {label for meaning in meanings for label in meaning.unobserved}
        unknown = (unknown | set(self.never_observed)) - present
        target = np.array([label in present for label in self.task.labels], np.float32)
        observed = np.array([label not in unknown for label in self.task.labels], bool)
        return target, observed

    def encode_votes(self, votes: Mapping[str, float] | None, where: str) -> np.ndarray:
        """Return shares of annotators float32 [L] from source label -> share; NaN where unsaid."""
        shares = np.full(len(self.task.labels), np.nan, np.float32)
        for label, share in (votes or {}).items():
            canonical = self._find(label, where).labels
            if len(canonical) != 1:
                raise DataError(f"{where}: votes for {label} need one label, got {canonical}.")
            shares[self.task.labels.index(canonical[0])] = share
        return shares

    def _find(self, label: str, where: str) -> LabelMeaning:
        if label not in self.meanings:
            near = suggest(label, self.meanings)
            raise DataError(
                f"{where}: unknown label {label!r}; the nearest known one is {near!r}. Nothing "
                f"was kept. Correct the row, or add the label to {self.where}."
            )
        return self.meanings[label]


def suggest(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Return the known word that is nearest to `word`, case aside.

    >>> suggest("Joyy", ["anger", "joy"])
    'joy'
    """
    folded = {candidate.casefold(): candidate for candidate in known}
    return folded[difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0)[0]]


def _check_known(labels: Sequence[str], task: Task, where: str) -> None:
    for label in labels:
        if label not in task.labels:
            raise SettingsError(
                f"{where}: task {task.name} has no label {label!r}; nearest: "
                f"{suggest(label, task.labels)!r}."
            )
