"""How to resume an export that was interrupted, and SIGTERM as an interrupt."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

COMMAND_LINE: ContextVar[tuple[str, ...]] = ContextVar("COMMAND_LINE", default=())
"""What was typed after `meitner-aio`."""

_RESUME, _SINCE = "--resume", "--since"


@contextmanager
def terminable() -> Generator[None]:
    """Let SIGTERM in the block do what Ctrl-C does, so that a stopped service says how to resume, too.

    Not by the handler of SIGINT, which a shell lets programs in the background ignore.
    """
    import asyncio  # help needs none

    from .._runtime.signals import ENDS, handled

    task = asyncio.current_task()
    terminated = False

    def end() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    try:
        with handled(ENDS, end):
            yield
    except asyncio.CancelledError as cancelled:
        if terminated:
            raise KeyboardInterrupt from cancelled
        raise


class Begun:
    """Whether anything was read and is kept."""

    def __init__(self) -> None:
        self.now = False


@contextmanager
def resumable(*, private: bool, since: datetime | None = None) -> Generator[Begun]:
    """Let whatever ends the block early say how to go on, if the block says that something has `begun`.

    A `private` command line is not repeated: stderr may be a log that others read. `since` is what --since meant:
    seven days ago will be another instant by the time somebody goes on.
    """
    begun = Begun()
    try:
        yield begun
    except BaseException as error:
        if begun.now:
            error.add_note(how_to_go_on(COMMAND_LINE.get(), private=private, since=since))
        raise


def how_to_go_on(typed: Sequence[str], *, private: bool = False, since: datetime | None = None) -> str:
    """Return the line that says how to resume."""
    words = [word for word in typed if word != _RESUME]
    if since is not None:
        words = list(_settled(words, since.isoformat()))
    again = "export ..." if private else shlex.join(words)
    return f"What was read is kept. To go on: meitner-aio {again} {_RESUME}"


def _settled(words: Sequence[str], since: str) -> Generator[str]:
    """Yield the words with the instant that --since meant."""
    for before, word in zip(("", *words), words, strict=False):
        if before == _SINCE:
            yield since
        else:
            yield f"{_SINCE}={since}" if word.startswith(f"{_SINCE}=") else word


def notes(error: BaseException) -> list[str]:
    """Return what was noted on an error, and on the cancellation that an interrupt came as."""
    found = [*getattr(error, "__notes__", ())]
    return found or (notes(error.__context__) if error.__context__ is not None else [])
