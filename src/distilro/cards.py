"""What a run leaves beside its results: cards that are hashed, and records that are not.

A card says what a model is and depends on nothing that differs between two equal runs. A record
says how it went that time (seconds, hardware, threads) and lies outside the folders that later
stages or DVC compare.
"""

import importlib.metadata
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distilro.artifacts import write_json
from distilro.devices import describe_hardware
from distilro.startup import measure_import_seconds

_LIBRARIES = (
    "numpy",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "tokenizers",
    "torch",
    "transformers",
)


def list_versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that results depend on."""
    return {name: importlib.metadata.version(name) for name in ("distilro", *_LIBRARIES)}


@contextmanager
def add_seconds(record: dict, name: str) -> Iterator[None]:
    """Time the block and add its seconds to an entry of a run's record."""
    began = time.perf_counter()
    yield
    record[name] = round(record.get(name, 0.0) + time.perf_counter() - began, 3)


@contextmanager
def record_run(folder: str | Path, stage: str, name: str, threads: int) -> Iterator[dict]:
    """Time the block and write `folder`/`stage`-`name`.json when it succeeds.

    `seconds` is the block's time and `earlier_seconds`; `import_seconds` is what the process took
    before the stage began, null where the system does not tell. The block may add entries to the
    mapping that is yielded: `earlier_seconds`, for one, of a work that it went on with.
    """
    record: dict = {"stage": stage, "name": name, "threads": threads, "earlier_seconds": 0.0}
    record["import_seconds"] = measure_import_seconds()
    began = time.perf_counter()
    yield record
    seconds = time.perf_counter() - began
    record["seconds"] = round(record["earlier_seconds"] + seconds, 3)
    hardware = describe_hardware()
    # A GPU that the run did not compute on had no part in its seconds.
    gpus = hardware["gpus"] if record.get("device") == "cuda" else []
    record["hardware"] = {**hardware, "gpus": gpus}
    record["versions"] = list_versions()
    write_json(Path(folder) / f"{stage}-{name}.json", record)
