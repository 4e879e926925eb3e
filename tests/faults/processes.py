"""The command line in a process of its own, stopped at a chosen write by a chosen signal."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent

# Python imports a module of this name before anything else, from wherever PYTHONPATH has it first.
_SITECUSTOMIZE = """
import os
from tests.faults.crash import pause_at
pause_at(os.environ["PAUSE_FOLDER"], os.environ["PAUSE_ENDING"], int(os.environ["PAUSE_TIME"]))
"""


class Ended(NamedTuple):
    """How a process ended: its exit code, -n where signal n ended it, and its standard error."""

    code: int
    log: str


def run_command(argv: Sequence[str], *, program: Sequence[str] = ("-m", "distilro.cli")) -> Ended:
    """Run `python PROGRAM ARGV` on one thread to its end."""
    done = subprocess.run(
        [sys.executable, *program, *argv],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stderr)


def stop_command(
    argv: Sequence[str], scratch: Path, *, below: Path, at: tuple[str, int], by: signal.Signals
) -> Ended:
    """Run the command until it pauses, send it a signal, let it go on and wait for its end.

    Args:
        argv: of `distilro`.
        scratch: a folder for what makes it pause.
        below: the folder whose writes are counted.
        at: it pauses before it renames a file to `...at[0]` for the at[1]-th time.
        by: the signal.
    """
    scratch.mkdir(exist_ok=True)
    (scratch / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="utf-8")
    paths = [str(scratch), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        "PAUSE_FOLDER": str(below),
        "PAUSE_ENDING": at[0],
        "PAUSE_TIME": str(at[1]),
    }
    log = scratch / "stderr.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "distilro.cli", *argv], env=environment, stderr=stderr
        )
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            process.send_signal(by)
            process.send_signal(signal.SIGCONT)
            _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(process.returncode, log.read_text(encoding="utf-8"))
