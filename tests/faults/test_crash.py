"""The tests' own tool: that it crashes where it says, and finds a write that is not atomic."""

import os
import signal

import numpy as np
from safetensors.numpy import save_file

from distilro.artifacts import write_text
from tests.faults.crash import crash_everywhere, run_in_fork


def read_all(tmp_path, body):
    """Return what every kill left of the file `note`, None where there is none."""
    left = [folder / "note" for folder in crash_everywhere(tmp_path, body)]
    return [note.read_bytes() if note.exists() else None for note in left]


def test_a_plain_write_is_found_torn(tmp_path):
    left = read_all(tmp_path, lambda folder: (folder / "note").write_bytes(b"whole"))
    assert left == [None, b""]


def test_a_write_that_goes_on_for_long_is_found_torn(tmp_path):
    def body(folder):
        with open(folder / "note", "wb", buffering=0) as file:
            file.write(b"first half,")
            os.chmod(folder / "note", 0o644)
            file.write(b"second half")

    assert read_all(tmp_path, body) == [None, b"", b"first half,"]


def test_an_atomic_write_is_never_found_torn(tmp_path):
    left = read_all(tmp_path, lambda folder: write_text(folder / "note", "whole"))
    assert set(left) == {None, b"whole"}
    # The temporary file made, opened, its mode set, renamed; and its old name cleaned up.
    assert len(left) == 2 + 2 + 1 + 1 + 1


def test_tensors_are_found_torn_in_the_middle(tmp_path):
    left = read_all(tmp_path, lambda folder: save_file({"x": np.zeros(100)}, folder / "note"))
    assert [len(content) for content in left] == [436]


def test_a_fork_s_end_is_told_as_it_was():
    assert run_in_fork(lambda: None) == 0
    assert run_in_fork(lambda: os._exit(7)) == 7
    assert run_in_fork(lambda: os.kill(os.getpid(), signal.SIGTERM)) == -signal.SIGTERM
    assert run_in_fork(lambda: {}["absent"]) == 1
