"""A real PostgreSQL for tests: a cluster of its own, reached over a socket in its folder, which no network sees."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import psycopg2
import pytest
from lacking import lacking

_PATIENCE = 30.0

_WITH_US = '"$@" >/dev/null 2>&1 & read -r _; kill -INT $!; wait $!'
"""A shell that runs a server, and ends it when nobody holds our end of the pipe any more, however the tests end."""


def _folder_of_programs() -> Path | None:
    """Return where PostgreSQL's programs are: on the path, or where Debian keeps those of its newest version."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)


_PROGRAMS = _folder_of_programs()


def require_postgres() -> None:
    """Skip the test on a machine without PostgreSQL, and say what is missing; fail where all tests have to run."""
    if _PROGRAMS is None:
        lacking("PostgreSQL is not installed: apt-get install postgresql")


def _somebody() -> dict[str, Any]:
    """Return whom to run the server as: root may not."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.fail("root may not run PostgreSQL, and there is nobody else")


class PostgresServer:
    """One server process of our own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where its database is, as SQLAlchemy and dlt spell it; anybody may log in."""
        return self._url("postgres")

    def copied(self, name: str, template: str = "postgres") -> str:
        """Copy the database, to which nobody may be connected, and return where the copy is; of `template1`, an empty one."""
        with closing(psycopg2.connect(host=self._folder.name, user="tests", dbname="template1")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE {template}')
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://tests:none@localhost/{database}?host={self._folder.name}"

    def __enter__(self) -> Self:
        assert _PROGRAMS is not None
        folder, who = Path(self._folder.name), _somebody()
        if who:
            os.chown(folder, who["user"], who["group"])
        how = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **who}
        initdb = [_PROGRAMS / "initdb", "-D", "data", "-A", "trust", "-U", "tests", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **how)
        server = [_PROGRAMS / "postgres", "-D", "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        self._shell = subprocess.Popen(["/bin/sh", "-c", _WITH_US, "sh", *server], stdin=subprocess.PIPE, **how)
        self._wait()
        return self

    def _wait(self) -> None:
        ends = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg2.connect(host=self._folder.name, user="tests", dbname="postgres").close()
            except psycopg2.OperationalError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.02)
            else:
                return

    def __exit__(self, *_: object) -> None:
        if self._shell is not None:
            self._shell.communicate()
        self._folder.cleanup()
