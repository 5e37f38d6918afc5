"""Progress bars: the only module that draws over what it drew before."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich import progress as rich
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column
from rich.text import Text

from ..._pipeline.server_limiter import Quota
from ...export import Progress
from .amounts import duration, quota_left

_A_SECOND = 8
"""How often the bars are drawn anew."""

_SHORTEST, _LONGEST = 6, 40
"""Characters of a bar."""

_WORDS = 70
"""Characters that what stands beside the bars may take."""


class _Rows(rich.ProgressColumn):
    """Rows read, and rows there are."""

    def render(self, task: rich.Task) -> Text:
        """Draw the column."""
        if task.total is None:
            return Text(f"{int(task.completed):,}", justify="right")
        total = int(task.total)
        return Text(f"{int(task.completed):>{len(f'{total:,}')},} of {total:,}", justify="right")


class _Rate(rich.ProgressColumn):
    """Rows a second, of late; of all the time once all is read."""

    def __init__(self, noun: str, table_column: Column) -> None:
        super().__init__(table_column)
        self._noun = noun

    def render(self, task: rich.Task) -> Text:
        """Draw the column."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self._noun}s/s" if speed else "", justify="right", style="dim")


class _Left(rich.ProgressColumn):
    """The time that the rest takes at that rate."""

    def render(self, task: rich.Task) -> Text:
        """Draw the column."""
        if task.fields["done"]:
            return Text("done", style="green")
        left = task.time_remaining
        return Text("" if left is None else f"{duration(left)} left", style="dim")


class Bars:
    """One bar on stderr for each resource begun, the quota below. They go when the block ends."""

    def __init__(
        self,
        quota: Callable[[], Quota | None],
        console: Console | None = None,
        *,
        noun: str = "row",
        below: Callable[[], str] | None = None,
        leaving: bool = False,
    ) -> None:
        """Draw on `console`, by default stderr; `quota` says what is left of it, `noun` what is counted.

        `below` says what stands below the bars, if not the quota. With `leaving`, a bar goes when it is full.
        """
        kept = Column(no_wrap=True)
        name = rich.TextColumn("{task.description}", markup=False, table_column=kept)
        console = console or Console(stderr=True)
        bar = rich.BarColumn(bar_width=min(max(console.width - _WORDS, _SHORTEST), _LONGEST))
        columns = (name, bar, _Rows(table_column=kept), _Rate(noun, table_column=kept), _Left(table_column=kept))
        self._below = below or (lambda: quota_left(quota()))
        self._leaving = leaving
        self._bars = rich.Progress(*columns, console=console)
        self._live = Live(get_renderable=self._drawn, console=console, transient=True, refresh_per_second=_A_SECOND)
        self._tasks: dict[str, rich.TaskID] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _drawn(self) -> Group:
        left = self._below()
        return Group(self._bars.get_renderable(), *([Text(left, style="dim")] if left else []))

    def show(self, progress: Progress) -> None:
        """Move the bar of a resource."""
        name = progress.resource
        # Of a tenant, the total is not known before there is a first answer.
        total = (progress.total or None) if self._leaving else progress.total
        if name not in self._tasks:
            # What an interrupted export had read already is no measure of how fast this one reads.
            self._tasks[name] = self._bars.add_task(name, total=total, completed=progress.rows, done=False)
        if self._leaving and progress.finished:
            self._bars.remove_task(self._tasks.pop(name))
            return
        self._bars.update(self._tasks[name], completed=progress.rows, total=total, done=progress.finished)
