"""An export to an object store: made in a local folder, uploaded as a run of its own, then named by the manifest.

The manifest is replaced by compare-and-swap: only while it is the one that was there when the export began. So of two
runs at once the second to end fails, and a reader who follows the manifest finds the files of one run, whole.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

from ..._pipeline.identity import check
from ..._runtime.cleanup import finished
from ..._runtime.private_files import read_private
from ..._runtime.threads import threaded
from ...errors import DestinationError, DestinationReason, MeitnerError
from .._files import Folder
from .._held import check_same_key, part_of_whole
from .._manifest import Manifest
from .._names import MANIFEST, NOTES
from .._report import ResourceReport
from ..formats.written import Stopped
from ._object_store import ObjectStore
from ._runs import RunManifest, folder_of, is_run, manifest_of, new_run, outdated
from ._spooled import empty, give_up, newest

if TYPE_CHECKING:
    from types import TracebackType

    from ..._pipeline.identity import Reader
    from ..formats.written import Target

_log = logging.getLogger("meitner_aio.export")


class _Sent(Struct, frozen=True):
    """A file that was uploaded."""

    bytes: int
    sha256: str


class _Notes(Struct):
    """What resuming an upload needs."""

    replaced: dict[str, str] | None
    """The version of the manifest that was there when the export began; None when there was none."""
    sent: dict[str, _Sent]
    resources: tuple[str, ...] = ()
    """Those of the export, which were checked against what it replaces when it began."""


class StoreRun:
    """A destination in an object store, and one run of it."""

    def __init__(self, store: ObjectStore, spool: Path, *, resume: bool, keep_runs: int | None, replace: bool) -> None:
        """Prepare a run; nothing is touched yet."""
        self.address = str(store.address)
        self.log = spool
        self._store = store
        self._spool = Folder(spool)
        self._resume = resume
        self._keep = keep_runs
        self._replace = replace
        self._stop = threading.Event()

    async def __aenter__(self) -> Self:
        """Hold the spool, and read what the store holds."""
        try:
            await threaded(self._spool.__enter__)
            await self._look()
        except BaseException:
            self._spool.__exit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.__exit__(kind, error, trace)

    async def _look(self) -> None:
        found = await self._store.read(MANIFEST)
        self._replaced = None if found is None else found.version
        self._manifest = None if found is None else manifest_of(found.data, self.address)
        kept = await threaded(_left, self.log) if self._resume else None
        self._resumed = kept is not None
        self.folder, self._notes = kept or (Folder(self.log / folder_of(new_run())), _Notes(self._replaced, {}))
        self._name = self.folder.path.name
        if not self._is_published and self._notes.replaced != self._replaced:
            await self._given_up()
            raise self._overtaken()

    @property
    def _is_published(self) -> bool:
        return self._manifest is not None and folder_of(self._manifest.run) == self._name

    def _overtaken(self) -> DestinationError:
        return DestinationError(
            f"another run was published to {self.address} since this export began, and the two do not mix: what this "
            "one read is given up, run it again",
            reason=DestinationReason.OVERTAKEN,
        )

    async def check(self, reader: Reader | None, key: str | None, targets: Sequence[Target]) -> None:
        """Raise `MeitnerError` where the run would mix with the published one, or a part would replace a whole."""
        known = self._manifest
        allowed, self._notes.resources = self._notes.resources, tuple(sorted(target.name for target in targets))
        if known is None or not known.resources:
            return
        what = f"what {self.address} holds"
        await threaded(check, reader, known.directory, what, "export to another prefix")
        check_same_key(what, known.key, key, "export to another prefix")
        if self._replace or (self._resumed and allowed == self._notes.resources):
            return
        missing = sorted(set(known.resources).difference(target.name for target in targets))
        wholes = sorted(
            one.name
            for one in targets
            if one.narrowed and one.name in known.resources and not known.resources[one.name].partial
        )
        if missing or wholes:
            lacks = f"lacks {', '.join(missing)}" if missing else f"is a part of {', '.join(wholes)}"
            raise part_of_whole(
                f"{what} would be replaced by a run that {lacks}: export to another prefix, or pass replace=True "
                "(--replace)"
            )

    async def begin(self) -> None:
        """Note what the run will replace. What other runs left on this machine is given up, here and in the store."""
        named = None if self._manifest is None else folder_of(self._manifest.run)
        others = await threaded(give_up, self.log, self.folder)
        await self._removed([one for one in others if one != named], "of runs that were given up")
        await threaded(self._save)

    def _save(self) -> None:
        self.folder.put(NOTES, msgspec.json.encode(self._notes))

    async def publish(self, manifest: Manifest, names: Collection[str]) -> tuple[ResourceReport, ...]:
        """Upload the files, then let the manifest name them. A cancellation waits until no upload is left open."""
        reports = {name: manifest.resources[name] for name in names}
        known = {name: msgspec.structs.replace(one, file=f"{self._name}/{one.file}") for name, one in reports.items()}
        told = RunManifest(
            version=manifest.version,
            generator=manifest.generator,
            resources=known,
            directory=manifest.directory,
            pseudonymised=manifest.pseudonymised,
            key=manifest.key,
            run=self._name.removeprefix(folder_of("")),
        )
        await finished(self._published(told, reports), self._stop.set)
        return tuple(known.values())

    async def _published(self, told: RunManifest, reports: dict[str, ResourceReport]) -> None:
        if self._is_published:
            return
        for one in {report.file: report for report in reports.values()}.values():
            await self._uploaded(one)
        if self._stop.is_set():
            raise Stopped
        data = told.encoded()
        await self._store.put(f"{self._name}/{MANIFEST}", data)
        await self._swapped(data)
        if self._keep is not None and not self._stop.is_set():
            await self._prune(self._keep)

    async def _uploaded(self, one: ResourceReport) -> None:
        path, sent = f"{self._name}/{one.file}", _Sent(one.bytes, one.sha256)
        if self._notes.sent.get(one.file) == sent and await self._store.has(path, one.bytes):
            return
        await self._store.upload(path, self.folder.path / one.file, self._stop)
        self._notes.sent[one.file] = sent
        await threaded(self._save)

    async def _swapped(self, data: bytes) -> None:
        """Replace the manifest, or raise. An answer that was lost is asked for: the manifest says whose it is."""
        problem: DestinationError | None = None
        try:
            if await self._store.swap(MANIFEST, data, self._replaced):
                return
        except DestinationError as error:
            problem = error
        found = await self._store.read(MANIFEST)
        if found is not None and folder_of(manifest_of(found.data, self.address).run) == self._name:
            return
        if problem is None or (None if found is None else found.version) != self._replaced:
            await self._given_up()
            raise self._overtaken()
        raise problem

    async def _given_up(self) -> None:
        """Remove what nobody will read: the run is older than the published one, and cannot be published any more."""
        await self._removed([self._name], "of this run")
        await threaded(empty, self.folder)

    async def _prune(self, keep: int) -> None:
        try:
            folders = [one for one in await self._store.folders() if is_run(one)]
            runs = {one: await self._store.objects(one) for one in folders}
            found = await self._store.read(MANIFEST)
        except MeitnerError as error:
            _log.warning("runs before this one stay in %s: %s", self.address, error)
            return
        named = "" if found is None else folder_of(manifest_of(found.data, self.address).run)
        old = [one for one in outdated(runs, self._name, keep) if one != named]
        await self._removed(old, "of runs before this one")

    async def _removed(self, folders: Sequence[str], what: str) -> None:
        """Remove folders of the store; where it refuses, the export is none the worse for it."""
        try:
            for folder in folders:
                paths = [one.path for one in await self._store.objects(folder)]
                # Last its manifest: until then it is a run, which the next export can remove.
                await self._store.remove([path for path in paths if path != f"{folder}/{MANIFEST}"])
                await self._store.remove([path for path in paths if path == f"{folder}/{MANIFEST}"])
        except DestinationError as error:
            _log.warning("objects %s stay in %s: %s", what, self.address, error)

    async def end(self) -> None:
        """Empty the folder of the run: its files are in the store."""
        await threaded(empty, self.folder)


def _left(spool: Path) -> tuple[Folder, _Notes] | None:
    """Return the run that an interrupted export left, and its notes."""
    folder = newest(spool)
    if folder is None:
        return None
    try:
        return folder, msgspec.json.decode(read_private(folder.path / NOTES), type=_Notes)
    except ValueError:  # msgspec's errors are ValueErrors; notes of another version, perhaps
        return None
