"""Signals: heard once and noted, not heard a second time, and nobody else's afterwards."""

import os
import signal

import pytest

from distilro.training.interruption import watch_for_interruption
from tests.faults.crash import run_in_fork


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_process_goes_on(number):
    with watch_for_interruption() as interruption:
        assert interruption.signal is None
        os.kill(os.getpid(), number)
        assert interruption.signal == number


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_whoever_asks_twice_is_not_kept_waiting(first, second):
    def body():
        with watch_for_interruption():
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), second)

    assert run_in_fork(body) == -second


def test_the_handlers_that_were_there_are_put_back_whatever_happens():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(ValueError, match="in the middle"), watch_for_interruption():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("in the middle")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
