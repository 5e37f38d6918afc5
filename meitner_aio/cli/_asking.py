"""Questions to whoever sits at the terminal. What is asked `hidden` appears nowhere."""

from __future__ import annotations

import getpass
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress

from ._exit import UsageError
from .rendering.output import visible


def can_ask() -> bool:
    """Whether somebody may sit there; stdin is None in a process without one."""
    return sys.stdin is not None and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def agreed(question: str) -> bool:
    """Ask whether to go on. What was typed before the question was drawn is no answer to it."""
    _forget_typed()
    return asked(f"{question} [y/N] ").lower() in ("y", "yes")


def _forget_typed() -> None:
    if sys.platform == "win32":
        return
    import termios

    with suppress(OSError, termios.error):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def asked(prompt: str) -> str:
    """Return what is typed, without blanks around it; "" for nothing."""
    with _interruptible():
        sys.stderr.write(visible(prompt, sys.stderr))
        sys.stderr.flush()
        return sys.stdin.readline().strip()


def hidden(prompt: str) -> str:
    """Return what is typed while the terminal shows nothing of it, without blanks around it; "" for nothing."""
    with _interruptible():
        try:
            return getpass.getpass(visible(prompt, sys.stderr), sys.stderr).strip()
        except EOFError:
            return ""


def needed(answer: str, what: str) -> str:
    """Return an answer; `UsageError` where it is none."""
    if not answer:
        raise UsageError(f"no {what} was given: nothing was saved")
    return answer


@contextmanager
def _interruptible() -> Generator[None]:
    """Let Ctrl-C and SIGTERM end the question: the terminal is restored before the process ends.

    asyncio's handler would wait for its loop, which waits for the answer; that of SIGTERM would leave no echo.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
