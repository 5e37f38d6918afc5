"""How much a command says beside its result. Set once, before any command; looked up wherever something is said."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import datetime

_QUIET: ContextVar[bool] = ContextVar("_QUIET", default=False)
_LOGGING: ContextVar[bool] = ContextVar("_LOGGING", default=False)


def quiet() -> bool:
    """Whether only results and errors are wanted."""
    return _QUIET.get()


def logging() -> bool:
    """Whether what is said becomes a log, in which each line has a time."""
    return _LOGGING.get()


def now() -> str:
    """Return the time by the clock of this machine, with the name of its zone."""
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


@contextmanager
def as_log() -> Generator[None]:
    """Let each line that is said in the block begin with its time."""
    before = _LOGGING.set(True)
    try:
        yield
    finally:
        _LOGGING.reset(before)


@contextmanager
def loudness(*, quiet: bool = False, verbose: int = 0) -> Generator[None]:
    """Say less in the block, or log what the client does: from 1 calls, retries and waits, from 2 each request."""
    before = _QUIET.set(quiet)
    try:
        with ExitStack() as logs:
            if verbose:
                from .log import logged

                logs.enter_context(as_log())
                logs.enter_context(logged(requests=verbose > 1))
            yield
    finally:
        _QUIET.reset(before)
