"""The command that removes what has served its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from ...errors import ConfigurationError
from ...export import Purged, purge
from .._exit import UsageError
from .._options import Json
from ..rendering.amounts import counted, size
from ..rendering.output import say, write_json, write_table
from ..rendering.typed import span


def purge_command(
    folder: Annotated[str, Parameter(help="The folder of exports.")],
    *,
    older_than: Annotated[str, Parameter(help="How old what goes is: 30d, 12h, 8w.", metavar="TIME")],
    dry_run: Annotated[bool, Parameter(help="Say what would go, and remove nothing.", show_default=False)] = False,
    json: Json = False,
) -> None:
    """Remove exports, parts, journals and runs that are older.

    Each file is overwritten first, and it is said where that cannot count.
    Files of other programs stay, and so does exports.log, which gets a line.
    It asks nothing: see beforehand with --dry-run.
    """
    try:
        age = span(older_than)
    except ValueError as wrong:
        raise UsageError(f"--older-than {wrong}") from None
    try:
        done = purge(folder, age, dry_run=dry_run)
    except (ConfigurationError, ValueError) as wrong:
        raise UsageError(str(wrong)) from None
    except (FileNotFoundError, NotADirectoryError) as wrong:
        if str(wrong.filename or folder) != folder:
            raise
        raise UsageError(f"{folder} is no folder") from None
    if json:
        write_json(_facts(done))
    else:
        _tell(done, folder, age)


def _facts(done: Purged) -> dict[str, Any]:
    return {name: getattr(done, name) for name in ("removed", "bytes", "dry_run", "assured", "why")}


def _tell(done: Purged, folder: str, age: timedelta) -> None:
    if not done.removed:
        say(f"meitner-aio: nothing in {folder} is an export older than {age}")
        return
    rows = [["file", "size"], *([one.file, size(one.bytes)] for one in done.removed)]
    gone = "would go" if done.dry_run else "are gone"
    write_table(rows, numbers=frozenset({1}), note=f"{counted(len(done.removed), 'file')}, {size(done.bytes)}: {gone}")
    if done.why:
        say(f"meitner-aio: overwriting is not assured in {folder}: {done.why}; an encrypted disk is what helps")
    twice = [one.file for one in done.removed if not one.overwritten and not done.dry_run]
    if twice:
        say(f"meitner-aio: not overwritten, because they have another name elsewhere: {', '.join(twice)}")
