"""How an export is going, or a plan that is carried out: bars on a terminal, elsewhere a line now and then (stderr)."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

from ..._operations.bulk import Outcome
from ..._pipeline.server_limiter import Quota
from ...events import Event, QuotaWait
from ...export import Progress
from ...records import DirectoryRecord
from .amounts import counted, duration, quota_left
from .loudness import logging, quiet
from .output import tell

_EVERY = 10.0
"""Seconds between two lines about the same resource."""

Show = Callable[[Progress], None]


def can_draw() -> bool:
    """Whether stderr is a terminal that bars can be drawn on, and nobody wants it quiet or a log."""
    return not (quiet() or logging()) and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def shown_progress(quota: Callable[[], Quota | None], *, drawing: bool, noun: str = "row") -> Generator[Show]:
    """Yield the function that shows progress. `quota` is what is left of it; without `drawing` there are lines only."""
    if drawing:
        from .bars import Bars

        with Bars(quota, noun=noun) as bars:
            yield bars.show
    else:
        yield Lines(quota, noun=noun).show


class Actions:
    """Shows the progress of a plan that is carried out, by resource."""

    def __init__(self, resources: Sequence[str], show: Show) -> None:
        """Take the resource of each action."""
        self._resources, self._show = resources, show
        self._totals, self._done = Counter(resources), Counter[str]()

    def tell(self, outcome: Outcome[DirectoryRecord]) -> None:
        """Count an action that has ended."""
        name = self._resources[outcome.index]
        self._done[name] += 1
        done, total = self._done[name], self._totals[name]
        self._show(Progress(name, done, total, finished=done == total))


class Waits:
    """One line for each window of the quota that is waited for: without it, a log would fall silent for an hour."""

    def __init__(self, name: str = "") -> None:
        """Begin lines with a name, where many wait."""
        self._name = name
        self._shown: set[datetime | None] = set()

    def show(self, event: Event) -> None:
        """Say it when the event is a wait, and the first for its window."""
        if isinstance(event, QuotaWait) and event.zone == "closed" and event.reset_at not in self._shown:
            self._shown.add(event.reset_at)
            tell(f"{self._name}the hourly quota is spent: going on in {duration(event.delay)}")


class Lines:
    """One line when a resource is done, and for one that takes long a line every ten seconds."""

    def __init__(
        self, quota: Callable[[], Quota | None], *, clock: Callable[[], float] = time.monotonic, noun: str = "row"
    ) -> None:
        """Show the quota beside the rows; `clock` is in seconds."""
        self._noun = noun
        self._quota = quota
        self._clock = clock
        self._shown: dict[str, float] = {}

    def show(self, progress: Progress) -> None:
        """Say how far a resource has come, when it is time to."""
        now, name = self._clock(), progress.resource
        if progress.finished:
            tell(f"{name}: {counted(progress.rows, self._noun)}")
        elif now - self._shown.setdefault(name, now) >= _EVERY:
            self._shown[name] = now
            said = (f"{name}: {progress.rows:,} of {counted(progress.total, self._noun)}", quota_left(self._quota()))
            tell(", ".join(filter(None, said)))
