"""Stopping in good order: a signal is heard between two steps, never inside one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HEARD = (signal.SIGTERM, signal.SIGINT)  # what a scheduler sends, and Ctrl-C


class Interruption:
    """Whether somebody asked this process to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; the same process hears the next one at once, as if this were not here."""
        del frame
        self.signal = number
        for heard in _HEARD:
            signal.signal(heard, signal.SIG_DFL)


@contextmanager
def watch_for_interruption() -> Iterator[Interruption]:
    """Yield an Interruption that notes SIGTERM and Ctrl-C instead of letting them end the process.

    Only the main thread may call it; the handlers that were there before are put back at the end.
    """
    interruption = Interruption()
    before = {number: signal.signal(number, interruption.hear) for number in _HEARD}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
