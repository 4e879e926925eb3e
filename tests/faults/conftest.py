"""What the tests of faults share."""

import os

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Compute on one thread, as the forks and processes do whose weights are compared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_syncing(monkeypatch):
    """Leave it to the kernel when to write to the disk: a kill, unlike a power cut, loses none."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
