"""A process that is killed or paused before any one of its writes, without a change to its code.

Python announces what it is about to do to files as audit events. A hook hears those that would
change something below a folder, and kills the process there, or pauses it so that a test can send
it whatever signal it likes. Tensors are written by safetensors' own code, which announces nothing:
its `save_file` is wrapped, and a kill there leaves half a file. A process leaves nothing behind but
its writes, so that these are all the moments at which a kill can make a difference.

Here are forks of the running process, cheap enough to crash at every single write; for fresh
interpreters see `processes`. This module imports the standard library alone.
"""

import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

# Which of an event's values is the path that changes; a renamed file is what it will be called.
_PATHS = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.chmod": 0}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# What happens, to which path, and what does to that path what a kill in the middle of it would.
Hear = Callable[[str, str, Callable[[], object]], None]


def watch_writes(folder: str | Path, hear: Hear) -> None:
    """Call `hear` before, and in the middle of, every write below `folder` by this process."""
    root = os.path.abspath(folder)

    def audit(event: str, values: tuple) -> None:
        if event not in _PATHS or (event == "open" and not values[2] & _WRITING):
            return
        path = values[_PATHS[event]]
        if isinstance(path, int) or not _lies_below(os.fsdecode(path), root):
            return
        hear(event, os.fsdecode(path), lambda: None)
        if event == "open":  # what was opened is empty until something is written
            hear("opened", os.fsdecode(path), lambda: os.open(path, values[2] & ~os.O_EXCL))

    def audit_tensors(path: str) -> None:
        if _lies_below(path, root):
            hear("write tensors", path, lambda: os.truncate(path, os.path.getsize(path) // 2))

    sys.addaudithook(audit)
    _wrap_save_file(audit_tensors)


def kill_at(folder: str | Path, number: int) -> None:
    """Let this process be killed at its write number 1, 2, ... below `folder`."""
    numbers = itertools.count(1)

    def hear(event: str, path: str, leave_half: Callable[[], object]) -> None:
        if next(numbers) == number:
            leave_half()
            os.kill(os.getpid(), signal.SIGKILL)

    watch_writes(folder, hear)


def pause_at(folder: str | Path, ending: str, time: int) -> None:
    """Let this process pause before it renames a file to `...ending` for the `time`-th time."""
    times = itertools.count(1)

    def hear(event: str, path: str, leave_half: Callable[[], object]) -> None:
        if event == "os.rename" and path.endswith(ending) and next(times) == time:
            os.kill(os.getpid(), signal.SIGSTOP)

    watch_writes(folder, hear)


def crash_everywhere(
    folder: Path,
    body: Callable[[Path], object],
    prepare: Callable[[Path], object] = lambda folder: None,
) -> Iterator[Path]:
    """Yield a folder for every write of `body`, in which a process was killed before that write.

    Each time `prepare` fills a fresh folder, and a fork of this process does `body` to it. It ends
    with the first fork that is not killed.
    """
    for number in itertools.count(1):
        own = folder / f"killed-at-{number}"
        own.mkdir(parents=True)
        prepare(own)

        def run(own: Path = own, number: int = number) -> None:
            kill_at(own, number)
            body(own)

        code = run_in_fork(run)
        if code != -signal.SIGKILL:
            assert code == 0, f"the process ended with {code} where it should have been killed"
            return
        yield own


def run_in_fork(body: Callable[[], object]) -> int:
    """Run `body` in a fork of this process; return its exit code, -n where signal n ended it."""
    return wait_for(start_fork(body))


def start_fork(body: Callable[[], object]) -> int:
    """Start `body` in a fork of this process, on one thread, and return the fork's number."""
    child = os.fork()
    if child == 0:
        _run_and_exit(body)
    return child


def wait_for(child: int) -> int:
    """Wait for a fork to end and return its exit code, -n where signal n ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_and_exit(body: Callable[[], object]) -> NoReturn:
    # subtle: a fork must never come back into pytest, whatever happens in it.
    try:
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        body()
        os._exit(0)
    finally:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)


def _lies_below(path: str, root: str) -> bool:
    return os.path.abspath(path).startswith(root + os.sep)


def _wrap_save_file(hear: Callable[[str], None]) -> None:
    """Put a wrapper in the place of safetensors' `save_file`, wherever that is already known."""
    import safetensors.numpy
    import safetensors.torch

    for original in (safetensors.numpy.save_file, safetensors.torch.save_file):

        def save_file(tensors, filename, metadata=None, original=original):
            original(tensors, filename, metadata=metadata)
            hear(os.fsdecode(filename))

        for module in list(sys.modules.values()):
            if getattr(module, "save_file", None) is original:
                module.save_file = save_file
