"""What is told of runs of `sync`: to people, to programs, in metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from .._runtime.threads import threaded
from ..errors import MeitnerError, TooManyDeletions
from ..resources import RESOURCES
from . import _metrics
from ._job import Job
from ._runs import Ran, Totals
from .rendering.disk import explained
from .rendering.loudness import quiet
from .rendering.output import discard_output, flush, say, visible, write, write_json, write_table
from .rendering.runs import accepting, facts, held, run_line, table, table_note


class Told:
    """Tells of one run after the other."""

    def __init__(
        self,
        file: Path,
        metrics: Path | None,
        words: list[str],
        *,
        json: bool,
        job: Job | None = None,
        tenant: str = "",
    ) -> None:
        """Tell of runs that write to a file; `words` are the command for one such run, of a `tenant` if of many.

        Metrics go to a file, if to any.
        """
        self.job = job
        """The job that ran last."""
        self._file, self._metrics, self._words, self._json = file, metrics, words, json
        self._tenant = tenant
        self._totals = Totals()

    async def once(self, ran: Ran) -> None:
        """Tell of the only run: a table, or JSON. What failed without having changed anything is told elsewhere."""
        rows = await self.counted(ran)
        if self._json and (ran.reports or isinstance(ran.error, TooManyDeletions)):
            write_json(facts(ran, rows))
        elif ran.reports and not (quiet() and ran.complete):
            write_table(table(ran, rows), numbers=frozenset(range(1, 6)), note=table_note(ran, str(self._file)))
        if isinstance(ran.error, TooManyDeletions):
            first, *more = held(ran.error, str(self._file), accepting(self._words, ran.error))
            say(f"meitner-aio: {first}")
            for line in more:
                say(line)

    async def line(self, ran: Ran) -> None:
        """Tell of a run in one line. That nobody reads it is no reason to stop."""
        rows = await self.counted(ran)
        try:
            if self._json:
                write_json({**self._named(), **facts(ran, rows)})
            elif not (quiet() and ran.complete):
                name = f"{self._tenant}: " if self._tenant else ""
                write(f"{visible(name + run_line(ran, accepting(self._words, ran.error)))}\n")
            flush()
        except BrokenPipeError:
            discard_output()

    def _named(self) -> dict[str, str]:
        return {"tenant": self._tenant} if self._tenant else {}

    async def counted(self, ran: Ran) -> dict[str, int]:
        """Return how many rows of each resource there are now; they and the run go into the metrics."""
        rows = await threaded(_rows, self._file)
        self._totals.add(ran)
        if self._metrics is not None:
            families = self._totals.families(
                datetime.now(UTC), self._success(), rows, self.job.quota() if self.job else None
            )
            text = _metrics.text_of(families, (("mirror", str(self._file)), *self._named().items()))
            try:
                await threaded(_metrics.write, self._metrics, text)
            except (MeitnerError, OSError) as error:
                told = explained(error, str(self._metrics)) if isinstance(error, OSError) else str(error)
                say(f"meitner-aio: {told}")
        return rows

    def _success(self) -> datetime | None:
        try:
            return self.job.mirror.last_success if self.job else None
        except (MeitnerError, OSError):  # a file of which a run said already what is wrong
            return None


def _rows(file: Path) -> dict[str, int]:
    """Return how many rows of each resource a file has; nothing of one that cannot be read. Blocking."""
    from ..mirror._database import reading

    try:
        with reading(file) as database:
            if database is None:
                return {}
            found = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return {
                name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - a name of ours
                for name in RESOURCES
                if name in found
            }
    except (MeitnerError, OSError):
        return {}
