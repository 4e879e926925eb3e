"""What the weights of a cell's models depend on, and the checkpoints that are kept by it.

A training goes on from a checkpoint only where all that its weights depend on is the same.
"""

import math
from collections.abc import Mapping

from distilro.artifacts import hash_file, hash_json, read_json
from distilro.cards import list_versions
from distilro.distillation.cell_data import CellData
from distilro.distillation.cell_settings import CellPlaces, CellSettings, Machine
from distilro.distillation.starts import find_start
from distilro.training.checkpoints import Checkpoints


def identify_cell(
    settings: CellSettings,
    places: CellPlaces,
    machine: Machine,
    data: CellData,
    validation: Mapping[str, str],
) -> dict[str, object]:
    """Return all that the weights depend on, but for seed, fold, stage, teachers and start.

    `validation` is task -> hash of the file whose rows choose the best epoch.
    """
    encoder = places.encoder
    return {
        "settings": settings.model_dump(mode="json", exclude={"seeds"}),
        "precision": machine.precision,
        "packed": machine.packed,
        "encoder": hash_file(encoder / "model.safetensors"),
        "encoder_tokenizer": hash_file(encoder / "tokenizer.json"),
        "mixtures": data.list_hashes(),
        "validation": dict(validation),
        "versions": list_versions(),
    }


def name_training(seed: int, fold: int | None, stage: int) -> str:
    """Return the name of one of a cell's trainings: a stage of one of its models.

    >>> name_training(0, None, 0), name_training(0, 2, 1)
    ('seed0-stage0', 'seed0-fold2-stage1')
    """
    model = f"seed{seed}" if fold is None else f"seed{seed}-fold{fold}"
    return f"{model}-stage{stage}"


class CellCheckpoints:
    """The checkpoints of all trainings of a cell: of every seed, fold and stage."""

    def __init__(
        self,
        settings: CellSettings,
        places: CellPlaces,
        data: CellData,
        identity: Mapping[str, object],
    ) -> None:
        self.settings, self.places, self.data, self.identity = settings, places, data, identity
        self._opened: list[Checkpoints] = []

    def open(self, seed: int, fold: int | None, stage: int) -> Checkpoints:
        """Return where one training goes on from and what it keeps."""
        places = self.places
        identity = {
            **self.identity,
            "teachers": self.data.list_teacher_weights(seed),
            "start": self._identify_start(seed),
            "seed": seed,
            "fold": fold,
            "stage": stage,
        }
        folder = places.results / "checkpoints" / places.recipe / places.scope
        checkpoints = Checkpoints(
            folder / name_training(seed, fold, stage),
            hash_json(identity),
            seconds=places.checkpoint_seconds,
        )
        self._opened.append(checkpoints)
        return checkpoints

    @property
    def earlier_seconds(self) -> float:
        """Return the seconds of all trainings up to the checkpoints that they went on from."""
        return math.fsum(checkpoints.earlier_seconds for checkpoints in self._opened)

    @property
    def resumed(self) -> dict[str, int]:
        """Return the trainings that went on from a checkpoint: name -> its step."""
        return {
            checkpoints.folder.name: checkpoints.resumed_at
            for checkpoints in self._opened
            if checkpoints.resumed_at
        }

    def clear(self) -> None:
        """Remove what was kept for another time: what all trainings were for is written."""
        for checkpoints in self._opened:
            checkpoints.clear()

    def _identify_start(self, seed: int) -> str | None:
        start = self.settings.start
        if start is None:
            return None
        return read_json(find_start(start, self.places.results, seed) / "card.json")["weights"]
