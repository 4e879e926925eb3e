"""What every test may ask for."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Give the folder of the real corpora's files; skip where there is none."""
    folder = os.environ.get("DISTILRO_MIRROR")
    if not folder:
        pytest.skip("DISTILRO_MIRROR is not set: the real corpora are not at hand")
    return Path(folder)
