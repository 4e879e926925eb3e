"""Freed memory stays with the process where it is asked to."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from distilro.modeling.allocation import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def take_step():
    states = [torch.ones(10 << 20) for _ in range(4)]  # 40 MiB each, then freed together
def count_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    take_step()  # the heap finds its size
before = count_faults()
for _ in range(5):
    take_step()
sys.stdout.write(str(count_faults() - before))
"""


def count_faults(how):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_memory_that_was_freed_is_used_again_without_asking_the_kernel():
    """40 MiB are 10,240 pages of 4 KiB; five steps of four such blocks ask for 204,800."""
    given_back = count_faults("given back")
    assert given_back > 200_000
    assert count_faults("kept") < given_back / 3
