"""Progress bars: lively on a terminal, one line every ten seconds in a log file."""

import sys

from tqdm import tqdm

_SECONDS_ON_TERMINAL = 0.1
_SECONDS_IN_LOG = 10.0


def show_progress(total: int | None, *, what: str, unit: str, done: int = 0) -> tqdm:
    """Return a bar on standard error, to be used in a with statement; `update(n)` moves it on.

    `done` of the total were done before.
    """
    seconds = _SECONDS_ON_TERMINAL if sys.stderr.isatty() else _SECONDS_IN_LOG
    return tqdm(total=total, desc=what, unit=unit, mininterval=seconds, leave=False, initial=done)
