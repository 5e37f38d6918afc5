"""The command that removes what has served its time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ...errors import ConfigurationError
from ...export import Purged, purge
from ...export._log import LOG
from ...export.destinations._address import scheme_of
from .._exit import UsageError
from .._options import Json
from ..rendering.amounts import counted, size
from ..rendering.loudness import quiet
from ..rendering.output import say, tell, write_json, write_table
from ..rendering.typed import span


def purge_command(
    folder: Annotated[str, Parameter(help="The folder with the exports.", name="FOLDER")],
    /,
    *,
    older_than: Annotated[str, Parameter(help="Delete what is older than this: 30d, 12h, 8w.", metavar="TIME")],
    dry_run: Annotated[
        bool, Parameter(help="Show what would be deleted, and delete nothing.", show_default=False)
    ] = False,
    json: Json = False,
) -> None:
    """Delete old exports.

    Deletes exports, what interrupted exports left, and runs that are older.
    Files are overwritten first; you are told when data may survive on the disk.
    Files of other programs stay. exports.log stays, and records the deletion.
    There is no question: try --dry-run first.

    Example: meitner-aio purge out --older-than 30d --dry-run
    """
    try:
        age = span(older_than)
    except ValueError as wrong:
        raise UsageError(f"--older-than {wrong}") from None
    place = Path(folder)
    if scheme_of(folder) is None and not place.is_dir():
        raise UsageError(f"{folder} is not a folder")
    try:
        done = purge(folder, age, dry_run=dry_run)
    except (ConfigurationError, ValueError) as wrong:
        raise UsageError(str(wrong)) from None
    below = [] if done.removed else _exports_below(place)
    if below:
        raise UsageError(
            f"{folder} holds no export, but {counted(len(below), 'folder')} of exports, such as {below[0]}: "
            "purge each by itself"
        )
    if json:
        write_json(_facts(done))
    else:
        _tell(done, folder, older_than)


def _exports_below(place: Path) -> list[Path]:
    """Return the folders of exports in one that is none itself: a purge of it removes nothing, night after night."""
    return [] if (place / LOG).exists() else sorted(log.parent for log in place.glob(f"*/{LOG}"))


def _facts(done: Purged) -> dict[str, Any]:
    return {name: getattr(done, name) for name in ("removed", "bytes", "dry_run", "assured", "why")}


def _tell(done: Purged, folder: str, older_than: str) -> None:
    if not done.removed:
        tell(f"meitner-aio: no export in {folder} is older than {older_than}")
        return
    if done.dry_run or not quiet():
        _show(done)
    if done.why:
        say(f"meitner-aio: deleted data may be recoverable from the disk: {done.why}; only an encrypted disk helps")
    twice = [one.file for one in done.removed if not one.overwritten and not done.dry_run]
    if twice:
        say(f"meitner-aio: not overwritten, because another file name leads to the same data: {', '.join(twice)}")


def _show(done: Purged) -> None:
    rows = [["file", "size"], *([one.file, size(one.bytes)] for one in done.removed)]
    state = "would be deleted" if done.dry_run else "deleted"
    write_table(rows, numbers=frozenset({1}), note=f"{counted(len(done.removed), 'file')}, {size(done.bytes)}: {state}")
