"""Checkpoints: all that a training needs to go on as if it had never been stopped.

A folder holds the tensors of one moment as safetensors, under a name of their own, and one JSON
file that names them with their SHA-256. The tensors are written first and the JSON file last, each
atomically, and older tensors are removed only then: whenever the process dies, the JSON file names
a whole checkpoint. When to write is a matter of the clock; what is written is not.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from distilro.artifacts import hash_file, read_json, write_atomically, write_json
from distilro.errors import IntegrityError

VERSION = 2

_INDEX = "checkpoint.json"
_REST = 30  # times as long as a checkpoint takes: at most 3 % of a training is spent on them

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
    """A training between two steps: `step` steps are done.

    `tensors` are on the CPU when they were read; `values` are JSON values.
    """

    step: int
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one training, in a folder of their own; the newest one is kept.

    They are opened when the training begins: each tells how many seconds it took until then, in
    all its parts.

    Args:
        folder: where they lie; made when the first one is written.
        fingerprint: hash of all that the training depends on; a checkpoint of another one is
            never used.
        seconds: least time between two checkpoints; 0 writes one after every step. Where writing
            one takes long, they come at least 30 times as far apart.
    """

    def __init__(self, folder: str | Path, fingerprint: str, *, seconds: float) -> None:
        self.folder = Path(folder)
        self.fingerprint = fingerprint
        self.seconds = seconds
        self.resumed_at = 0  # the step of the checkpoint that was loaded; 0: none was
        self.earlier_seconds = 0.0  # of the training up to that checkpoint
        self._began = self._last = time.monotonic()
        self._cost = 0.0  # seconds that the last one took

    def load(self) -> Moment | None:
        """Return the newest checkpoint of this training, or None where there is none.

        Raises:
            IntegrityError: its bytes are not those that were written.
        """
        index = self.folder / _INDEX
        if not index.exists():
            return None
        described = read_json(index)
        if (described.get("version"), described.get("fingerprint")) != (VERSION, self.fingerprint):
            logger.info("%s is of another training or version: beginning from the start.", index)
            return None
        path = self.folder / described["file"]
        digest = hash_file(path) if path.exists() else "none: the file is missing"
        if digest != described["sha256"]:
            raise IntegrityError(
                f"{path}: the checkpoint changed since it was written: expected SHA-256 "
                f"{described['sha256']}, got {digest}. Nothing was trained; delete the folder "
                f"{self.folder} to begin this training again."
            )
        self.resumed_at, self.earlier_seconds = described["step"], described["seconds"]
        return Moment(described["step"], load_file(path), described["values"])

    def is_due(self) -> bool:
        """Return whether enough time has passed since the last checkpoint."""
        rest = max(self.seconds, _REST * self._cost) if self.seconds else 0.0
        return time.monotonic() - self._last >= rest

    def save(self, moment: Moment) -> None:
        """Write a checkpoint and remove the one before."""
        began = time.monotonic()
        path = self._choose_path(moment.step)
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in moment.tensors.items()
        }
        with write_atomically(path) as temporary:
            save_file(tensors, temporary)
            digest = hash_file(temporary)
        described = {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "step": moment.step,
            "file": path.name,
            "sha256": digest,
            "seconds": round(self.earlier_seconds + time.monotonic() - self._began, 3),
            "values": dict(moment.values),
        }
        write_json(self.folder / _INDEX, described)
        for older in sorted(self.folder.glob("*.safetensors")):
            if older.name != path.name:
                older.unlink()
        self._last = time.monotonic()
        self._cost = self._last - began

    def _choose_path(self, step: int) -> Path:
        """Return where a step's tensors go: never onto those that the index names."""
        # subtle: the last step is written twice, with the optimiser's state and then as a result.
        index = self.folder / _INDEX
        named = read_json(index).get("file") if index.exists() else None
        path = self.folder / f"step-{step:08d}.safetensors"
        return path if path.name != named else path.with_stem(f"{path.stem}-again")

    def clear(self) -> None:
        """Remove every file of the folder and the folder itself."""
        if self.folder.exists():
            # The index goes first, so that it never names what is gone.
            for file in [self.folder / _INDEX, *sorted(self.folder.iterdir())]:
                file.unlink(missing_ok=True)
            self.folder.rmdir()
