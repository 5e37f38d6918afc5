"""What the client does, as lines on stderr: its events, which hold no secret and no personal data."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from ..._pipeline.logging import LOG
from ...events import RetryScheduled
from .output import say


class _Events(logging.Handler):
    def __init__(self, *, requests: bool) -> None:
        super().__init__()
        self._requests = requests

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "meitner", None)
        if event is None:
            return
        if self._requests or record.levelno >= logging.INFO or isinstance(event, RetryScheduled):
            say(record.getMessage())


@contextmanager
def logged(*, requests: bool) -> Generator[None]:
    """Say what each client in the block does: calls, retries and waits, with `requests` each attempt, too."""
    handler, level = _Events(requests=requests), LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOG.setLevel(level)
        LOG.removeHandler(handler)
