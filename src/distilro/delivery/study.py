"""What a page is about: the files of one scenario's run, read, and what follows from them at once.

It computes no number; it says which test set is a task's own and which recipe is of which kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from distilro.delivery.inputs import Corpus, Records, Source
from distilro.delivery.layers import Flow
from distilro.delivery.measures import TestSet
from distilro.delivery.standings import LINEAR, MAJORITY

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Evidence:
    """The files that weigh the numbers of the matrix; None where a file was not made."""

    comparisons: Source | None = None
    influence: Source | None = None
    gaps: Source | None = None
    calibration: Source | None = None
    loyalty: Source | None = None


EVIDENCE = tuple(part.name for part in fields(Evidence))  # each in a file of its name


@dataclass(frozen=True)
class Study:
    """The files of one scenario's run; `run_records` and `configs` may be empty."""

    scenario: str
    settings: Source
    test_sets: Sequence[TestSet]
    corpora: Sequence[Corpus]
    audit: Source
    mixtures: Mapping[str, Source]
    cards: Sequence[Source]
    records: Records
    flow: Flow
    evidence: Evidence
    run_records: Sequence[Source] = ()
    configs: Sequence[Source] = ()

    @property
    def titles(self) -> dict[str, str]:
        """Return dataset name -> title."""
        return {corpus.dataset.name: corpus.dataset.title for corpus in self.corpora}

    @property
    def recipes(self) -> Source:
        """Return the section `recipes` of the settings."""
        return self.settings.open("recipes")

    @property
    def kinds(self) -> dict[str, str]:
        """Return recipe -> its kind."""
        return {name: self.recipes.open(name).get("kind") for name in self.recipes.values}

    @property
    def baselines(self) -> set[str]:
        """Return the names of the linear recipes."""
        return {name for name, kind in self.kinds.items() if kind == LINEAR}

    @property
    def floors(self) -> set[str]:
        """Return the names of the recipes that answer with the majority class."""
        return {name for name, kind in self.kinds.items() if kind == MAJORITY}

    @property
    def own_test_sets(self) -> list[TestSet]:
        """Return each task's own Romanian test set, as `data.tasks` of the settings names it."""
        return [s for s in self.test_sets if s.language == "ro" and not self._is_elsewhere(s)]

    @property
    def other_test_sets(self) -> list[TestSet]:
        """Return the Romanian test sets of a task that come from elsewhere than its own data."""
        return [s for s in self.test_sets if s.language == "ro" and self._is_elsewhere(s)]

    @property
    def matrix_test_sets(self) -> list[TestSet]:
        """Return the test sets of the matrix: every one but those from elsewhere."""
        return [s for s in self.test_sets if s.language != "ro" or not self._is_elsewhere(s)]

    @property
    def demonstration(self) -> bool:
        """Whether its numbers show that the parts work, and nothing else."""
        sample = any(corpus.dataset.demonstration for corpus in self.corpora)
        return sample or self.scenario == EMBEDDED

    def _is_elsewhere(self, test_set: TestSet) -> bool:
        tasks = self.settings.open("data").open("tasks")
        return test_set.name != tasks.open(test_set.task).get("ro")
