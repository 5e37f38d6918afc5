"""How an export is going, on stderr: bars on a terminal, elsewhere a line for each resource that is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ..export import Progress
from ._output import say


@contextmanager
def shown_progress() -> Generator[Callable[[Progress], None]]:
    """Yield what to tell the progress to."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from ._bars import Bars  # noqa: PLC0415 - only a terminal needs rich's bars

        with Bars() as bars:
            yield bars.show
    else:
        yield _say_end


def _say_end(progress: Progress) -> None:
    if progress.finished:
        say(f"{progress.resource}: {progress.rows:,} rows")
