"""What every test may ask for."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from distilro.cli import main

# An example may take longer on a busy machine: that is no fault.
hypothesis.settings.register_profile("distilro", deadline=None)
hypothesis.settings.load_profile("distilro")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Give the folder of the real corpora's files; skip where there is none."""
    folder = os.environ.get("DISTILRO_MIRROR")
    if not folder:
        pytest.skip("DISTILRO_MIRROR is not set: the real corpora are not at hand")
    return Path(folder)


@pytest.fixture(scope="session")
def prepare_corpus(mirror, tmp_path_factory) -> Callable[[str], Path]:
    """Give a function that fetches and prepares a dataset, once a session, and says where."""
    folder = tmp_path_factory.mktemp("corpora")
    registry = str(Path(__file__).resolve().parent.parent / "data" / "registry")

    @functools.cache
    def prepare(dataset: str) -> Path:
        manifest, out = folder / "raw" / dataset / "manifest.json", folder / "prepared" / dataset
        source = ["--dataset", dataset, "--registry", registry]
        assert main(["fetch", *source, "--out", str(manifest)]) == 0
        assert main(["prepare", *source, "--manifest", str(manifest), "--out", str(out)]) == 0
        return out

    return prepare


def pytest_addoption(parser):
    parser.addoption(
        "--every-leaf",
        action="store_true",
        help="tests/workflow: change every setting in turn instead of a sample (minutes)",
    )
