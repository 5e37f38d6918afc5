"""Exports to a table of SQLite in processes that are killed as they move the rows: a program for `forked.forks`.

`(PATH, MOMENT)`: MOMENT counts the statements of the move, before which the process is killed; or after the last.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from forked import serve

from meitner_aio.export.formats import sqlite as _sqlite


def export(path: str, moment: int) -> None:
    """Export in this process."""
    from test_writers_sqlite import crowd, put

    statements = _sqlite.SqliteWriter._statements

    def dying(writer: Any, database: Any) -> Iterator[str]:
        for number, statement in enumerate(chain(statements(writer, database), ["SELECT 1"])):
            if number == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            yield statement

    _sqlite._CACHE = 8  # so that most of the new rows are in the file before the end
    _sqlite.SqliteWriter._statements = dying  # type: ignore[method-assign]
    put(Path(path), crowd("new"))


if __name__ == "__main__":
    import test_writers_sqlite  # noqa: F401 - loaded once for all processes

    serve(export)
