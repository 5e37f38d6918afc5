"""What the library warns of, as lines for people, whatever becomes of the log."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from .output import say


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"meitner-aio: {record.getMessage()}")


@contextmanager
def warnings_said(logger: str) -> Generator[None]:
    """Say what a logger warns of in the block."""
    log, said = logging.getLogger(logger), _Said(logging.WARNING)
    log.addHandler(said)
    try:
        yield
    finally:
        log.removeHandler(said)
