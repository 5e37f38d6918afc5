"""Ctrl-C and SIGTERM, heard by loops that take no handlers, and by waits that are not interrupted."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from meitner_aio._runtime.pipes import broken_pipes
from meitner_aio._runtime.signals import ENDS, handled
from meitner_aio._runtime.threads import join, wait_for

NUMBERS = (*ENDS, signal.SIGINT)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Check that every handler of before is back."""
    before = [signal.getsignal(number) for number in NUMBERS]
    yield
    assert [signal.getsignal(number) for number in NUMBERS] == before


def _loop_without_handlers() -> asyncio.AbstractEventLoop:
    class Loop(asyncio.SelectorEventLoop):
        def add_signal_handler(self, *_: object) -> None:
            raise NotImplementedError

    return Loop()


@pytest.fixture(params=[asyncio.SelectorEventLoop, _loop_without_handlers], ids=["handlers", "as on Windows"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """Return what runs a coroutine, on a loop that takes handlers and on one that does not."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_a_call_on_the_loop(runner: asyncio.Runner, number: signal.Signals) -> None:
    """Each time it comes; the loop wakes up for it."""

    async def heard() -> list[asyncio.AbstractEventLoop]:
        calls: list[asyncio.AbstractEventLoop] = []
        came = asyncio.Event()

        def call() -> None:
            calls.append(asyncio.get_running_loop())
            came.set()

        with handled(NUMBERS, call):
            for _ in range(2):
                came.clear()
                os.kill(os.getpid(), number)
                await came.wait()
        return calls

    if number == signal.SIGINT and signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests were started in the background")
    assert runner.run(heard()) == [runner.get_loop()] * 2


def test_the_handlers_of_before_are_back(runner: asyncio.Runner) -> None:
    """That of `asyncio.run`, which ends the program in order at a Ctrl-C, and one of a caller's own."""

    async def in_the_block(number: signal.Signals) -> None:
        before = signal.getsignal(number)
        with handled([number], lambda: None):
            assert signal.getsignal(number) != before
        assert signal.getsignal(number) == before

    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        runner.run(in_the_block(signal.SIGINT))
    usual = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        runner.run(in_the_block(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, usual)


def test_a_thread_that_hears_no_signals_goes_on(runner: asyncio.Runner) -> None:
    """Only the main thread can take handlers, on every system."""
    called: list[bool] = []

    async def nothing() -> None:
        with handled(NUMBERS, lambda: None):
            called.append(True)

    thread = threading.Thread(target=lambda: runner.run(nothing()))
    thread.start()
    thread.join()
    assert called == [True]


class _Waited(threading.Event):
    """An event that is set at the third look, and lists how long each look was to last."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return timeout is None or len(self.waits) == 3


def test_a_wait_on_windows_is_made_of_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two of them, Ctrl-C is heard; elsewhere one wait is interrupted by it."""
    event = _Waited()
    wait_for(event)
    assert event.waits == [None]
    monkeypatch.setattr(sys, "platform", "win32")
    event = _Waited()
    wait_for(event)
    assert event.waits == [0.1] * 3


def test_a_join_on_windows_is_made_of_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a wait; a thread that has ended is not waited for."""
    joins: list[float | None] = []

    class Thread(threading.Thread):
        def is_alive(self) -> bool:
            return len(joins) < 2

        def join(self, timeout: float | None = None) -> None:
            joins.append(timeout)

    monkeypatch.setattr(sys, "platform", "win32")
    join(Thread())
    assert joins == [0.1] * 2


def test_a_closed_pipe_is_one_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which says EINVAL; elsewhere that is another error, and stays one."""

    def write() -> None:
        with broken_pipes():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    with pytest.raises(OSError, match="Invalid argument"):
        write()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(BrokenPipeError):
        write()
