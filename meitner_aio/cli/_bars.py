"""Progress bars: the only module that draws over what it drew before."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich import progress as rich
from rich.console import Console
from rich.table import Column
from rich.text import Text

from ..export import Progress


class _Rows(rich.ProgressColumn):
    """Rows read, and rows there are."""

    def render(self, task: rich.Task) -> Text:
        """Draw the column."""
        total = int(task.total or 0)
        return Text(f"{int(task.completed):>{len(f'{total:,}')},} of {total:,}", justify="right")


class _Rate(rich.ProgressColumn):
    """Rows a second, of late."""

    def render(self, task: rich.Task) -> Text:
        """Draw the column."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "", justify="right", style="dim")


class Bars:
    """One bar on stderr for each resource begun. They disappear when the block ends: a summary takes their place."""

    def __init__(self) -> None:
        kept = Column(no_wrap=True)
        name = rich.TextColumn("{task.description}", table_column=kept)
        columns = (name, rich.BarColumn(), _Rows(table_column=kept), _Rate(table_column=kept))
        self._bars = rich.Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, rich.TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, progress: Progress) -> None:
        """Move the bar of a resource."""
        if progress.resource not in self._tasks:
            self._tasks[progress.resource] = self._bars.add_task(progress.resource, total=progress.total)
        self._bars.update(self._tasks[progress.resource], completed=progress.rows, total=progress.total)
