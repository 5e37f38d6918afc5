"""What the library and the disk say no with, as a command line says it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..errors import ConfigurationError, MeitnerError
from ._exit import UsageError
from .rendering.disk import explained


@contextmanager
def disk_explained(to: str) -> Generator[None]:
    """Explain an error of the disk in a sentence. Closed pipes and our own errors pass unchanged."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.errno is None:
            raise
        raise MeitnerError(explained(error, to)) from None


@contextmanager
def refused() -> Generator[None]:
    """Turn the library's early TypeError and ValueError into `UsageError`: nothing was sent."""
    try:
        yield
    except (ValueError, ConfigurationError) as wrong:
        raise UsageError(str(wrong)) from None
