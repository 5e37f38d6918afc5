"""The source: for each resource one of dlt's, which tells what changed since the checkpoint in its own state.

A load merges by id in one transaction of the destination a table. Whatever ends a load, rows and checkpoint stay
together: dlt keeps the state with the package that has the rows. A resource is read in full where there is no
checkpoint, or none that can be followed; what was not told then is deleted, by a row that comes last, after the proof.
That is no hint: dlt may finish a package with the hints of the load before it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .._pseudonyms import Pseudonyms
from ..changes import Change, Changes, Upserted
from ..changes._asked import asked
from ..client import Meitner
from ..errors import ConfigurationError, IncompleteListing, ResyncRequired
from ..export.formats.arrow import DELETED_AT, ArrowTable
from ..portal import Portal
from ..records import DirectoryRecord
from ._client import Reading
from ._rows import AT_ONCE, EVERYTHING, Latest, ResourceRows

if TYPE_CHECKING:
    from dlt.common.schema.typing import TDeleteInsertStrategyDict
    from dlt.extract import DltResource, DltSource

_NAME = "meitner"
_CHECKPOINT, _FORM = "checkpoint", "form"
"""What a resource keeps in dlt's state: how far it is, and what rows were like then."""
_Follow = Callable[[Meitner, str | None, str], Changes]
"""What follows a resource from a checkpoint on, or from nothing."""
_STAGED = "(SELECT id FROM {staging_table})"
_MERGED: TDeleteInsertStrategyDict = {
    "disposition": "merge",
    "strategy": "delete-insert",
    "destination_scope": f"id IN {_STAGED} OR '{EVERYTHING}' IN {_STAGED}",
}
"""Rows replace those with their ids, or all that are there where they are everything.

After a kill dlt may stage rows that it has staged: this strategy inserts each once, `upsert` and `cdc` insert both.
"""
_log = logging.getLogger("meitner_aio.dlt")


def directory(
    meitner: Meitner | Portal | None = None,
    resources: Iterable[str] | None = None,
    *,
    lookback: float | timedelta = 600.0,
    grades_every: float | timedelta | None = None,
    pseudonymise: str | os.PathLike[str] | None = None,
) -> DltSource:
    """Return a source of dlt: the directory the first time, and from then on what changed in it.

    ```python
    pipeline = dlt.pipeline("meitner", destination="postgres", dataset_name="meitner")
    pipeline.run(directory())
    ```

    Tables and columns are those of the SQLite export, with types: dates, timestamps in UTC, booleans; a list is JSON
    text. Rows are merged by `id`, and what is deleted in the directory is deleted. `resources` are names, all with
    records by default; `lookback` and `grades_every` are those of `meitner.changes`. `pseudonymise` names the file of a
    key, as for an export (`docs/privacy.md`).

    Credentials come from `sources.meitner` in dlt's configuration (`client_credentials` or `client_id`,
    `client_secret`, `base_url`, `token_url`), else from the environment, as for `Meitner()`. A `Portal` is used as it
    is. A client stays open on an event loop of its own until the interpreter ends: it may not have been used before,
    and serves nothing but loads from then on.

    A load fails with `IncompleteListing` where a listing could not be shown to be complete; nothing is loaded then, and
    the next one begins where this one began. Raises `TypeError` and `ValueError` for what means nothing, and
    `ConfigurationError` where dlt is not installed.
    """
    try:
        import dlt
    except ImportError:
        raise ConfigurationError('a source of dlt needs dlt: pip install "meitner-aio[dlt]"') from None
    names = asked(None, resources, lookback, grades_every, 0).resources
    under = None if pseudonymise is None else Pseudonyms.of_file(pseudonymise)
    reading = Reading(meitner)

    def follow(client: Meitner, since: str | None, resource: str) -> Changes:
        return client.changes(since, [resource], lookback=lookback, grades_every=grades_every)

    def tables() -> Iterator[DltResource]:
        for name in names:
            yield _resource(_Load(name, ResourceRows(name, under), reading, follow))

    return dlt.source(
        tables,
        name=_NAME,
        section=_NAME,
        max_table_nesting=0,
        schema_contract={"tables": "evolve", "columns": "evolve", "data_type": "freeze"},
    )()


def _resource(load: _Load) -> DltResource:
    import dlt

    def items() -> Iterator[ArrowTable]:  # dlt does not take a method
        yield from load.items()

    columns: Any = {DELETED_AT: {"hard_delete": True, "data_type": "timestamp"}}
    return dlt.resource(items, name=load.resource, primary_key="id", columns=columns, write_disposition=_MERGED)


class _Load:
    """One resource of a source."""

    def __init__(self, resource: str, rows: ResourceRows, reading: Reading, follow: _Follow) -> None:
        self.resource = resource
        self._rows = rows
        self._reading = reading
        self._follow = follow

    def items(self) -> Generator[ArrowTable, None, None]:
        """Yield what dlt is to merge, and keep the checkpoint when all of it was taken."""
        import dlt

        state = dlt.current.resource_state()
        together = dlt.current.source().selected_resources
        since = state.get(_CHECKPOINT) if state.get(_FORM) == self._rows.form else None
        with self._reading.portal(dlt.current.resource_name(), together) as portal:
            checkpoint = None if since is None else (yield from self._followed(portal, since))
            if checkpoint is None:
                checkpoint = yield from self._whole(portal)
        state[_CHECKPOINT], state[_FORM] = checkpoint, self._rows.form

    def _followed(self, portal: Portal, since: str) -> Generator[ArrowTable, None, str | None]:
        """Tell what changed since a checkpoint; return the next one, None where that can no longer be known."""
        latest = Latest(self._rows)
        changes = self._follow(portal.meitner, since, self.resource)
        try:
            for batch in portal.iterate(_batches(changes)):
                for change in batch:
                    latest.add(change)
        except ResyncRequired as error:
            _log.warning("%s are read anew: %s", self.resource, error)
            return None
        checkpoint = self._proven(changes)
        yield from latest.tables()
        return checkpoint

    def _whole(self, portal: Portal) -> Generator[ArrowTable, None, str]:
        """Tell everything, then that it was everything."""
        changes = self._follow(portal.meitner, None, self.resource)
        for batch in portal.iterate(_batches(changes)):
            yield self._rows.of_records(_records(batch))
        checkpoint = self._proven(changes)
        yield self._rows.everything()
        return checkpoint

    def _proven(self, changes: Changes) -> str:
        """Return the checkpoint after changes; `IncompleteListing` where they were not shown to be all."""
        for name, report in changes.reports.items():
            if not report.complete:
                found = f"{report.rows} rows of {report.total}, {report.level}"
                raise IncompleteListing(f"{name}: {found}: {'; '.join(report.problems)}")
        return changes.checkpoint


async def _batches(changes: Changes) -> AsyncGenerator[list[Change], None]:
    """Yield changes many at a time: to switch threads costs more than a row."""
    batch: list[Change] = []
    async with aclosing(changes):
        async for change in changes:
            batch.append(change)
            if len(batch) == AT_ONCE:
                yield batch
                batch = []
    yield batch


def _records(batch: Iterable[Change]) -> list[DirectoryRecord]:
    return [change.record for change in batch if isinstance(change, Upserted)]
