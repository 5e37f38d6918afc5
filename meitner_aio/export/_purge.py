"""Deleting what is older than allowed: exports, what interrupted ones left, old runs. Blocking.

Only files of this package go: those that the manifest names, or `exports.log` with the SHA-256 that they still have,
journals by their first line, and in a folder of ours what has the names of its parts and runs. Links are not followed,
files of others and `exports.log` stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from msgspec import Struct

from .._runtime.private_files import check_folder
from ..errors import ConfigurationError, MeitnerError
from ..resources import LISTED
from ._files import Folder
from ._journal import is_journal
from ._log import LOG, Gone, Log, PurgeLine, published
from ._manifest import Manifest
from ._names import BESIDE, FILES, JOURNALS, MANIFEST, OURS, PARTS, SHARED
from ._shred import doubt, shred
from .destinations._address import scheme_of

_RUN = re.compile(r"run=[0-9A-Za-z._:+-]+")


class Removed(Struct, frozen=True):
    """A file that was removed, or would be."""

    file: str
    """Below the folder."""
    bytes: int
    overwritten: bool
    """Whether its content was overwritten first: not where it had a second name."""


class Purged(Struct, frozen=True):
    """What a purge did."""

    removed: tuple[Removed, ...]
    dry_run: bool
    assured: bool
    """Whether overwriting reaches the disk, as far as can be seen from here."""
    why: str
    """Why it may not."""

    @property
    def bytes(self) -> int:
        """Of all that was removed."""
        return sum(one.bytes for one in self.removed)


def purge(folder: str | os.PathLike[str], older_than: timedelta, *, dry_run: bool = False) -> Purged:
    """Remove what exports wrote to a folder longer ago than `older_than`; with `dry_run`, only report it.

    The age of an export is what the manifest says, of the rest the file's own. Each file is overwritten, then removed;
    `assured` and `why` say whether overwriting reaches the disk. The manifest forgets what is gone, and
    `exports.log` has a line about it.

    Raises `ValueError` for a negative age and for an object store, `ConfigurationError` for a folder to which others
    may write, `MeitnerError` while an export holds the folder, and `OSError`: for one that is not there, and what a
    disk refuses.
    """
    if older_than < timedelta(0):
        raise ValueError(f"older_than must be at least 0, not {older_than}")
    if isinstance(folder, str) and scheme_of(folder) is not None:
        raise ValueError(
            "a purge is of a folder of this machine: of an object store, keep_runs (--keep-runs) removes older runs, "
            "and a lifecycle rule of the store what is older than a number of days"
        )
    place = check_folder(folder)
    with Folder(place) as held:
        purging = _Purge(held, _ago(older_than))
        why = doubt(place)
        if dry_run or not purging.ours:
            return Purged(tuple(purging.found()) if purging.ours else (), dry_run, not why, why)
        with Log(place) as log:
            removed = purging.run(log, older_than, assured=not why)
        return Purged(removed, dry_run, not why, why)


def _ago(time: timedelta) -> datetime:
    try:
        return datetime.now(UTC) - time
    except OverflowError:  # before the first year of the calendar
        return datetime.min.replace(tzinfo=UTC)


class _Purge:
    """One purge of a folder that is held."""

    def __init__(self, folder: Folder, before: datetime) -> None:
        self._folder, self._place, self._before = folder, folder.path, before
        self._manifest = Manifest.of(folder)
        journals = any(is_journal(self._place / f"{name}.journal", name) for name in LISTED)
        self.ours = bool(self._manifest.resources) or journals or (self._place / LOG).exists()
        """Whether an export was ever here: else nothing is known by its name alone."""

    def found(self) -> Iterator[Removed]:
        """Yield what is old enough."""
        runs = self._run_folders()
        for path in chain(dict.fromkeys([*self._exports(), *self._outlived(), *self._left()]), self._runs(runs)):
            yield Removed(str(path.relative_to(self._place)), path.lstat().st_size, overwritten=False)

    def run(self, log: Log, older_than: timedelta, *, assured: bool) -> tuple[Removed, ...]:
        """Remove what is old enough; whatever ends this early, what is gone is in the log and not in the manifest."""
        removed: list[Removed] = []
        error: BaseException | None = None
        try:
            for one in self.found():
                overwritten = shred(self._place / one.file)
                removed.append(Removed(one.file, one.bytes, overwritten=overwritten))
        except BaseException as broken:
            error = broken
            raise
        finally:
            self._tidy()
            log.add(_line(log, removed, older_than, error, assured=assured))
        return tuple(removed)

    def _tidy(self) -> None:
        """Drop removed files from the manifest, and empty folders of runs."""
        known = self._manifest.resources
        kept = {name: one for name, one in known.items() if os.path.lexists(self._place / one.file)}
        if len(kept) < len(known):
            self._manifest.resources = kept
            if kept:
                self._manifest.save(self._folder)
            else:
                self._folder.remove(MANIFEST)
        for run in self._run_folders():
            with suppress(OSError):  # the folder is not empty
                run.rmdir()
        self._folder.sync()

    def _exports(self) -> Iterator[Path]:
        """Yield files that the manifest names; a database is as old as its newest table."""
        times: dict[str, datetime] = {}
        for one in self._manifest.resources.values():
            times[one.file] = max(one.exported_at, times.get(one.file, one.exported_at))
        for name, time in sorted(times.items()):
            if name in FILES and time < self._before:
                yield from self._regular(name, *(BESIDE if name == SHARED else ()))

    def _outlived(self) -> Iterator[Path]:
        """Yield files that exports published before those in another format which the manifest names."""
        known = {one.file for one in self._manifest.resources.values()}
        for name, (time, sha256) in sorted(published(self._place).items()):
            if name in FILES and name not in known and time < self._before:
                for path in self._regular(name):
                    with path.open("rb") as file:
                        ours = hashlib.file_digest(file, "sha256").hexdigest() == sha256
                    if ours:
                        yield from self._regular(name, *(BESIDE if name == SHARED else ()))

    def _left(self) -> Iterator[Path]:
        """Yield journals and parts; what an export can go on with is as old as the younger of the two."""
        for name in LISTED:
            pair = list(self._regular(f"{name}.journal", f"{name}.part"))
            if pair and pair[0].suffix == ".journal" and not is_journal(pair[0], name):
                pair = pair[1:]
            if all(map(self._is_old, pair)):
                yield from pair
        yield from filter(self._is_old, self._regular(*sorted(PARTS - {f"{name}.part" for name in LISTED})))

    def _runs(self, runs: Iterable[Path]) -> Iterator[Path]:
        """Yield the files of runs of which every file of ours is old; each is held meanwhile, as by an export."""
        for run in runs:
            with ExitStack() as held:
                try:
                    held.enter_context(Folder(run))
                except ConfigurationError:
                    raise
                except MeitnerError:  # an export is writing to it, and may wait for the quota longer than a file is old
                    continue
                journals = [f"{name}.journal" for name in LISTED if is_journal(run / f"{name}.journal", name)]
                names = [*journals, *(name for name in OURS if name not in JOURNALS)]
                files = list(self._regular(*(f"{run.name}/{name}" for name in names)))
                if all(map(self._is_old, files)):
                    yield from files

    def _run_folders(self) -> list[Path]:
        found = sorted(path for path in self._place.iterdir() if _RUN.fullmatch(path.name))
        return [check_folder(path) for path in found if stat.S_ISDIR(path.lstat().st_mode)]

    def _regular(self, *names: str) -> Iterator[Path]:
        for name in names:
            path = self._place / name
            with suppress(FileNotFoundError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path

    def _is_old(self, path: Path) -> bool:
        return path.lstat().st_mtime < self._before.timestamp()


def _line(
    log: Log, removed: list[Removed], older_than: timedelta, error: BaseException | None, *, assured: bool
) -> PurgeLine:
    interrupted = isinstance(error, KeyboardInterrupt)
    return PurgeLine(
        began=log.began,
        ended=datetime.now(UTC),
        outcome=("interrupted" if interrupted else "failed") if error else "complete",
        error=None if error is None else type(error).__name__,
        by=log.by,
        older_than=older_than.total_seconds(),
        assured=assured and all(one.overwritten for one in removed),
        removed=tuple(Gone(one.file, one.bytes) for one in removed),
    )
