"""Signals as calls on an event loop, also where the loop takes none.

What is done for Windows is from the documentation of Python (`asyncio` platform support, `signal`); not run there.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress

ENDS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name))
"""What a system asks a program with to end: SIGBREAK is Ctrl-Break and the end of a session, on Windows only."""


@contextmanager
def handled(numbers: Iterable[signal.Signals], call: Callable[[], object]) -> Generator[None]:
    """Call `call` on the running loop at each of these signals in the block; only the main thread hears any.

    After it the handlers of before are back, but those that the loop itself had.
    """
    loop = asyncio.get_running_loop()
    with ExitStack() as undone:
        for number in numbers:
            _handle(loop, number, call, undone)
        yield


def _handle(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, call: Callable[[], object], undone: ExitStack
) -> None:
    before = signal.getsignal(number)
    with suppress(RuntimeError, ValueError):  # not the main thread
        try:
            looped = loop.remove_signal_handler(number)  # a loop gives back no handler of its own
            loop.add_signal_handler(number, call)
        except NotImplementedError:  # Windows; the event loop there wakes up for a signal by itself
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(call))
            undone.callback(signal.signal, number, before)
        else:
            if before is not None and not looped:  # such as the one that lets asyncio.run hear Ctrl-C
                undone.callback(signal.signal, number, before)
            undone.callback(loop.remove_signal_handler, number)
