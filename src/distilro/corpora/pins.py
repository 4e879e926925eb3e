"""Checking files against the bytes that the registry promises.

Where the registry knows no sums of a file (`unverified`), the first fetch writes them into
`<dataset>.lock.json` beside the dataset's registry file, and every later fetch must give the same.
"""

from dataclasses import dataclass
from pathlib import Path

from distilro.artifacts import hash_file, read_json, write_json
from distilro.corpora.registry import Pinned
from distilro.errors import IntegrityError


@dataclass(frozen=True)
class Pin:
    """The size and the SHA-256 that a file must have."""

    bytes: int
    sha256: str

    @classmethod
    def of_file(cls, path: Path) -> "Pin":
        """Return the pin that a file on the disk would satisfy."""
        return cls(path.stat().st_size, hash_file(path))


class Pins:
    """The pins of one dataset: the registry's, and its lock's for unverified files."""

    def __init__(self, registry: Path, dataset: str) -> None:
        self.lock = registry / f"{dataset}.lock.json"
        self._locked: dict[str, Pin] = {}
        if self.lock.exists():
            entries = read_json(self.lock)
            self._locked = {
                name: Pin(entry["bytes"], entry["sha256"]) for name, entry in entries.items()
            }

    def find(self, file: Pinned) -> Pin | None:
        """Return what the file must be, None where nobody has seen it yet."""
        if file.sha256 is not None and file.bytes is not None:
            return Pin(file.bytes, file.sha256)
        return self._locked.get(file.name)

    def holds(self, file: Pinned, path: Path) -> bool:
        """Return whether `path` is there and is what it must be."""
        pin = self.find(file)
        return pin is not None and path.is_file() and explain_mismatch(path, pin) is None

    def accept(self, file: Pinned, path: Path) -> Pin:
        """Return the pin of a file just written, after checking or, the first time, recording it.

        Raises:
            IntegrityError: the bytes are not the ones that were promised.
        """
        pin = self.find(file)
        if pin is None:
            pin = Pin.of_file(path)
            self._locked[file.name] = pin
            write_json(self.lock, {name: vars(known) for name, known in self._locked.items()})
        problem = explain_mismatch(path, pin)
        if problem:
            raise IntegrityError(problem)
        return pin


def explain_mismatch(path: Path, pin: Pin) -> str | None:
    """Return how a file differs from its pin, None where it does not."""
    size = path.stat().st_size
    if size != pin.bytes:
        return f"expected {pin.bytes} bytes, got {size}"
    digest = hash_file(path)
    if digest != pin.sha256:
        return f"expected sha256 {pin.sha256}, got {digest}"
    return None
