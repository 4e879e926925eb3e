"""How long this process took to start: the interpreter and the imports of its stage.

A program can time only what comes after its own first line, so the operating system is asked when
the process began. Only Linux is; elsewhere the answer is None.
"""

import os
import time
from functools import cache
from pathlib import Path

_STAT = Path("/proc/self/stat")


@cache
def measure_import_seconds() -> float | None:
    """Return the seconds from the start of the process to the first call; later calls repeat it.

    The command line makes the first call when the modules of its stage are imported, so that what
    a job then waits for (a free GPU) or imports later does not count. The kernel counts in ticks,
    most often of a hundredth of a second.
    """
    if not _STAT.is_file() or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    began_ticks = read_start_ticks(_STAT.read_text(encoding="utf-8", errors="replace"))
    began_seconds = began_ticks / os.sysconf("SC_CLK_TCK")
    return round(max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began_seconds), 2)


def read_start_ticks(stat: str) -> int:
    """Return when a process began, in clock ticks since boot, from its /proc/<pid>/stat.

    Source: proc_pid_stat(5), field 22.

    >>> read_start_ticks("7 (a) b) S " + "0 " * 18 + "1234 0 0")
    1234
    """
    # subtle: the second field is the program's name, which may hold spaces and brackets.
    return int(stat.rpartition(")")[2].split()[19])
