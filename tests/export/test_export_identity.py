"""A folder is of one directory: what another server or other credentials wrote is refused, and no message says whose."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from numbered_directory import NumberedDirectory

from meitner_aio import ApiKey, Meitner, MeitnerError, NotFoundError, OAuth2
from meitner_aio._pipeline.identity import Reader, address, reader_of
from meitner_aio.export import Progress, export
from meitner_aio.sandbox import Sandbox

ONE = ("an-id-of-one-town", "a-secret-of-one-town")
OTHER = ("an-id-of-another-town", "a-secret-of-another-town")


@pytest.fixture
async def served() -> AsyncIterator[Sandbox]:
    """Give a server at which every pair of credentials is good."""
    async with Sandbox(students=60, limiter="none") as sandbox:
        yield sandbox


def client(sandbox: Sandbox, pair: tuple[str, str] = ONE, **how: Any) -> Meitner:
    """Return a client of the server."""
    return Meitner(*pair, base_url=sandbox.url, **how)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def _interrupted(meitner: Meitner, folder: Path, **how: Any) -> None:
    def stop(step: Progress) -> None:
        if step.rows >= 30:
            raise NotFoundError("stop")

    with pytest.raises(NotFoundError, match="stop"):
        await export(meitner, ["students"], to=folder, page_size=10, concurrency=1, progress=stop, **how)


async def test_other_credentials_do_not_resume(served: Sandbox, tmp_path: Path) -> None:
    """One file of two organisations' pupils never comes about: refused before a request, and nothing is lost."""
    async with client(served) as mine, client(served, OTHER) as theirs:
        await _interrupted(mine, tmp_path)
        asked = len(served.requests)
        with pytest.raises(
            MeitnerError, match=r"interrupted export of students was read from .* with other credentials"
        ):
            await export(theirs, ["students"], to=tmp_path, page_size=10, resume=True)
        assert len(served.requests) == asked
        report = await export(mine, ["students"], to=tmp_path, page_size=10, resume=True)
    assert (report.rows, report.complete) == (60, True)


async def test_another_server_does_not_resume(served: Sandbox, tmp_path: Path) -> None:
    """Staging is not production, and the sandbox of this process is neither."""
    async with client(served) as mine, Sandbox(students=60) as elsewhere:
        await _interrupted(mine, tmp_path)
        for other in (client(elsewhere), Meitner.sandbox(elsewhere)):
            async with other:
                with pytest.raises(MeitnerError, match=r"is of another directory: it was read from 127\.0\.0\.1"):
                    await export(other, ["students"], to=tmp_path, page_size=10, resume=True)
        assert not elsewhere.requests


@pytest.mark.parametrize("kind", ["ndjson", "sqlite"])
async def test_a_folder_takes_no_second_directory(served: Sandbox, tmp_path: Path, kind: Any) -> None:
    """Groups of one organisation do not land beside students of another, with `max_wait` and `replace` neither."""
    async with client(served) as mine, client(served, OTHER) as theirs:
        await export(mine, ["students"], to=tmp_path, format=kind)
        before = _files(tmp_path)
        asked = len(served.requests)
        for how in ({}, {"replace": True}, {"max_wait": 60.0}, {"resume": True}):
            with pytest.raises(MeitnerError, match="export to another folder"):
                await export(theirs, ["groups"], to=tmp_path, format=kind, **how)
        assert len(served.requests) == asked
    assert _files(tmp_path) == before


async def test_a_database_says_itself_whose_it_is(served: Sandbox, tmp_path: Path) -> None:
    """Without its manifest, too: a database is moved, a manifest is deleted."""
    async with client(served) as mine, client(served, OTHER) as theirs:
        await export(mine, ["students"], to=tmp_path, format="sqlite")
        (tmp_path / "manifest.json").unlink()
        with pytest.raises(MeitnerError, match=r"directory.sqlite was read from .* with other credentials"):
            await export(theirs, ["students"], to=tmp_path, format="sqlite")
        report = await export(mine, ["students"], to=tmp_path, format="sqlite")
    assert report.complete


async def test_files_that_do_not_say_whose_they_are_take_no_others(served: Sandbox, tmp_path: Path) -> None:
    """Nobody knows that they are of the same directory."""
    await export(NumberedDirectory(), ["students"], to=tmp_path)
    async with client(served) as mine:
        with pytest.raises(MeitnerError, match="does not say which directory it is of"):
            await export(mine, ["groups"], to=tmp_path)
    assert not served.requests


async def test_a_rotated_secret_is_the_same_reader(served: Sandbox, tmp_path: Path) -> None:
    """The id is what the server knows a client by, as an API key and over OAuth2."""
    for ways in (
        (ApiKey(ONE[0], "old"), ApiKey(ONE[0], "new")),
        (OAuth2(ONE[0], "old"), OAuth2(ONE[0], "new", "/token")),
    ):
        before, after = [await reader_of(Meitner(auth=auth, base_url=served.url)) for auth in ways]
        assert before is not None
        assert after is not None
        assert after.wrote(before.stamp())
    async with client(served) as mine, client(served, (ONE[0], "rotated")) as rotated:
        await _interrupted(mine, tmp_path)
        assert (await export(rotated, ["students"], to=tmp_path, page_size=10, resume=True)).rows == 60


class _Own:
    """Credentials of the caller's own."""

    def __init__(self, headers: dict[str, str], client_id: str | None = None) -> None:
        self.client_id = client_id
        self._headers = headers

    async def headers(self) -> dict[str, str]:
        return self._headers


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (_Own({"Authorization": "Bearer a"}), _Own({"Authorization": "Bearer a"}), True),
        (_Own({"Authorization": "Bearer a"}), _Own({"Authorization": "Bearer b"}), False),
        (_Own({"Authorization": "Bearer a"}, "me"), _Own({"Authorization": "Bearer b"}, "me"), True),
        (_Own({"Authorization": "Bearer a"}, "me"), _Own({"Authorization": "Bearer a"}, "you"), False),
        (_Own({"client-id": "me", "X-Proof": "1"}), ApiKey("me", "secret"), True),
    ],
)
async def test_an_auth_object_is_known_by_its_id_or_by_what_it_shows(one: Any, other: Any, same: bool) -> None:
    """Whose token changes says `client_id`."""
    readers = [await reader_of(Meitner(auth=auth, base_url="https://api.example/v1")) for auth in (one, other)]
    assert readers[0] is not None
    assert readers[1] is not None
    assert readers[1].wrote(readers[0].stamp()) == same


async def test_a_sandbox_is_known_by_its_size_and_seed(tmp_path: Path) -> None:
    """The same in the next process, so that what `--sandbox` began can be resumed; another one is another directory."""
    await _interrupted(Meitner.sandbox(students=60, seed=2), tmp_path)
    for other in ({"students": 60, "seed": 3}, {"students": 61, "seed": 2}):
        with pytest.raises(MeitnerError, match="this is the sandbox of"):
            await export(Meitner.sandbox(**other), ["students"], to=tmp_path, page_size=10, resume=True)
    report = await export(Meitner.sandbox(students=60, seed=2), ["students"], to=tmp_path, page_size=10, resume=True)
    assert report.rows == 60


async def test_the_manifest_names_the_server_and_nothing_names_the_reader(served: Sandbox, tmp_path: Path) -> None:
    """Neither id nor secret is in any file of the folder, while it is written or afterwards."""
    async with client(served) as mine:
        await _interrupted(mine, tmp_path)
        during = b"".join(_files(tmp_path).values())
        await export(mine, ["students"], to=tmp_path, page_size=10, resume=True)
        await export(mine, ["groups"], to=tmp_path, format="sqlite")
    after = b"".join(_files(tmp_path).values())
    for secret in ONE:
        assert secret.encode() not in during + after
        assert secret.encode().hex().encode() not in during + after
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["directory"]["server"] == served.url.removeprefix("http://")
    with closing(sqlite3.connect(tmp_path / "directory.sqlite")) as database:
        assert database.execute("SELECT * FROM meitner_aio").fetchall() == [tuple(manifest["directory"].values())]


async def test_equal_credentials_give_other_digests_in_another_folder(served: Sandbox, tmp_path: Path) -> None:
    """Who has two folders does not learn that they are of one client; within a folder all files say the same."""
    stamps = []
    async with client(served) as mine:
        for name in ("one", "two", "one"):
            await export(mine, ["schools"], to=tmp_path / name)
            stamps.append(json.loads((tmp_path / name / "manifest.json").read_bytes())["directory"])
    assert stamps[0]["digest"] != stamps[1]["digest"]
    assert stamps[0]["salt"] != stamps[1]["salt"]
    assert stamps[0] == stamps[2]


def test_a_digest_is_of_server_and_reader() -> None:
    """Either alone is not enough, and the reader shows itself to nobody."""
    reader = Reader("api.example/v1", {"Client-ID": "me"})
    stamp = reader.stamp()
    assert Reader("api.example/v1", {"CLIENT-ID": "me"}).wrote(stamp)
    assert not Reader("api.example/v2", {"Client-ID": "me"}).wrote(stamp)
    assert not Reader("api.example/v1", {"Client-ID": "you"}).wrote(stamp)
    assert repr(reader) == "<Reader of api.example/v1>"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://API.Meitner.se/directory/v1/", "api.meitner.se/directory/v1"),
        ("https://api.meitner.se:443/directory/v1", "api.meitner.se/directory/v1"),
        ("http://localhost:8080/directory/v1", "localhost:8080/directory/v1"),
        ("the sandbox of 3 students", "the sandbox of 3 students"),
    ],
)
def test_a_server_is_the_same_however_its_url_is_spelled(url: str, words: str) -> None:
    """Case, the usual port and a last slash make no other server."""
    assert address(url) == words


def test_a_snapshot_of_a_snapshot_is_of_that_folder(tmp_path: Path) -> None:
    """An offline client reads a folder: what it exports does not mix with the server's."""

    async def main() -> None:
        async with Meitner.sandbox(students=5) as meitner:
            await export(meitner, ["students", "schools"], to=tmp_path / "one")
        async with Meitner(offline=tmp_path / "one") as offline:
            await export(offline, ["students"], to=tmp_path / "two")
            with pytest.raises(MeitnerError, match="another directory"):
                await export(offline, ["students"], to=tmp_path / "one")

    asyncio.run(main())
