"""A mirror offline answers what an exported folder of the same directory answers, to the byte."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meitner_aio import (
    APIConnectionError,
    ConfigurationError,
    Meitner,
    MeitnerError,
    NotFoundError,
    like,
    one_of,
)
from meitner_aio._operations.operations import operations
from meitner_aio._wire.messages import Request
from meitner_aio.export import export
from meitner_aio.export.formats.columns import Rows
from meitner_aio.mirror import Mirror
from meitner_aio.mirror._names import KEPT
from meitner_aio.offline import Mirrored, Snapshot
from meitner_aio.offline._records import Reader
from meitner_aio.offline._where import where
from meitner_aio.query import GROUPS
from meitner_aio.records import Field, Kind, fields
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox
from meitner_aio.sandbox.http.dialect import Dialect
from meitner_aio.sandbox.store.filters import applies

ZONES = [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-11))]
HEADERS = {"Client-ID": "a", "Client-Secret": "b"}
SEARCHED = [name for name in KEPT if "search" in operations(RESOURCES[name])]


class Pair:
    """The same directory as a folder and as a mirror."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder / "snapshot", folder / "directory.sqlite"
        self.records: dict[str, list[Any]] = {}
        self.transports: list[Snapshot | Mirrored] = []

    async def make(self) -> None:
        async with Meitner.sandbox(students=120, schools=2, seed=5) as meitner:
            await export(meitner, KEPT, to=self.folder)
            with Mirror(self.file) as mirror:
                await mirror.sync(meitner)
            self.records = {name: await getattr(meitner, name).list().all() for name in KEPT}
        self.transports = [Snapshot(self.folder), Mirrored(self.file)]

    async def close(self) -> None:
        """Close both."""
        for transport in self.transports:
            await transport.close()

    async def ask(self, method: str, path: str, body: bytes | None = None, query: str = "") -> list[tuple[int, Any]]:
        """Return what both answer."""
        answers = []
        for transport in self.transports:
            request = Request(
                "request", method, path, path, query, headers=HEADERS, body=body, content_type="application/json"
            )
            response = await transport.send(request)
            found = json.loads(response.body) if response.body else None
            if response.status >= 400:
                found["error"].pop("requestID")
            answers.append((response.status, found))
        return answers


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Give both."""
    made = Pair(tmp_path_factory.mktemp("pair"))
    asyncio.run(made.make())
    yield made
    asyncio.run(made.close())


@pytest.mark.parametrize("name", KEPT)
async def test_lists_and_gets_are_the_same(name: str, pair: Pair) -> None:
    """Every page, in the same order, each record, and what is not there."""
    path = RESOURCES[name].path
    for query in (
        "",
        "limit=7",
        "limit=7&offset=3",
        "offset=100000",
        "limit=0",
        "limit=5000",
        "x=1",
        "limit=1&limit=2",
    ):
        folder, mirror = await pair.ask("GET", path, query=query)
        assert folder == mirror
    for id_ in (pair.records[name][0].id, pair.records[name][-1].id, "00000000-0000-4000-8000-000000000000", "x"):
        folder, mirror = await pair.ask("GET", f"{path}/{id_}")
        assert folder == mirror


async def test_a_client_reads_a_mirror(pair: Pair) -> None:
    """Listings are certified, searches find, records are those of the directory, and their age is told."""
    async with Meitner(offline=pair.file) as offline:
        for name in KEPT:
            listing = getattr(offline, name).list(limit=30).paged(exact=True, strict=True)
            assert await listing.all() == pair.records[name]
            assert listing.report.level == "certified"
        student = pair.records["students"][3]
        assert await offline.students.get(student.id) == student
        assert student in await offline.students.search(last_name=student.last_name).all()
        assert await offline.students.search(last_name=like("%")).count() == len(pair.records["students"])
        guardian = next(g for g in pair.records["guardians"] if g.student_ids)
        assert guardian in await offline.guardians.search(student_ids=one_of(guardian.student_ids[0])).all()
        assert isinstance(offline.offline_since, datetime)
        with Mirror(pair.file) as mirror:
            assert offline.offline_since == mirror.last_success
        with pytest.raises(NotFoundError):
            await offline.students.get("00000000-0000-4000-8000-000000000000")
        with pytest.raises(MeitnerError, match="a mirror is read-only"):
            await offline.students.delete(student.id)
        with pytest.raises(APIConnectionError, match="keeps no audit_events"):
            await offline.audit_events.list().first()
        with pytest.raises(ConfigurationError, match="does not change"):
            offline.changes()
    with pytest.raises(MeitnerError, match="closed"):
        await offline.students.list().count()


async def test_the_age_of_a_folder_is_that_of_its_oldest_file(pair: Pair) -> None:
    """And online there is none."""
    manifest = json.loads((pair.folder / "manifest.json").read_bytes())
    times = [datetime.fromisoformat(report["exported_at"]) for report in manifest["resources"].values()]
    async with Meitner(offline=pair.folder) as offline, Meitner.sandbox(students=1) as online:
        assert offline.offline_since == min(times)
        assert online.offline_since is None


# Filters.


def known_values(pair: Pair, name: str, path: tuple[str, ...]) -> list[Any]:
    """Return values that records have in a field, in JSON."""
    found = []
    for record in pair.records[name][:40]:
        value = record
        for step in path:
            value = None if value is None else getattr(value, step)
        found += value if isinstance(value, list) else [value]
    return msgspec.to_builtins([value for value in found if value is not None][:30])


def values_of(pair: Pair, name: str, field: Field, path: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Return values for conditions on a field: those of records, in JSON, and some that no record has."""
    known = known_values(pair, name, path)
    kind = field.kind
    others: dict[str, st.SearchStrategy[Any]] = {
        "uuid": st.uuids().map(str),
        "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
        "enum": st.sampled_from([member.value for member in field.type] if kind == "enum" else [""]),
        "boolean": st.booleans(),
        "integer": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 50),
        "date": st.dates().map(date.isoformat),
        "date-time": st.datetimes(timezones=st.sampled_from(ZONES)).map(datetime.isoformat),
    }
    return st.sampled_from(known) | others[kind] if known else others[kind]


def conditions_on(name: str) -> list[tuple[str, Field, tuple[str, ...], tuple[str, ...]]]:
    """Return every group on every field of a resource that takes it: with its path, in Python and on the wire."""
    model: Any = RESOURCES[name]
    found = []
    for field in fields(model.model):
        inner = fields(field.type) if field.kind is Kind.OBJECT else ()
        here = [(each, (field.name, each.name), (field.wire, each.wire)) for each in inner]
        for each, path, wire in here or [(field, (field.name,), (field.wire,))]:
            found += [(group, each, path, wire) for group in GROUPS if applies(group, each)]
    return found


@st.composite
def filters(draw: st.DrawFn, pair: Pair, name: str, depth: int = 0) -> dict[str, Any]:
    """Return a filter of a resource, in JSON: any group on any field that takes it, nested in any way."""
    level: dict[str, Any] = {"orCondition": draw(st.booleans())}
    known = conditions_on(name)
    for number in draw(st.lists(st.integers(0, len(known) - 1), max_size=4)):
        group, field, path, wire = known[number]
        into = level.setdefault(group, {})
        for step in wire[:-1]:
            into = into.setdefault(step, {})
        into[wire[-1]] = draw(condition_value(pair, name, group, field, path))
    if depth < 3 and draw(st.booleans()):
        level["nestedFilters"] = [draw(filters(pair, name, depth + 1)) for _ in range(draw(st.integers(0, 2)))]
    return level


def condition_value(pair: Pair, name: str, group: str, field: Field, path: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Return values for a group on a field."""
    if group in ("null", "notNull"):
        return st.booleans()
    one = values_of(pair, name, field, path)
    if group in ("contains", "notContains"):
        return st.lists(one, max_size=4)
    return one.filter(lambda text: not str(text).endswith("\\")) if group in ("like", "notLike") else one


def some(examples: int) -> Callable[[Any], Any]:
    """Return what gives a test so many examples, as it draws them."""
    usual = settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    return lambda test: usual(given(data=st.data())(test))


def check_searches(name: str, pair: Pair, data: st.DataObject) -> None:
    """Ask both for the rows of a filter."""
    filter = data.draw(filters(pair, name))
    query = data.draw(st.sampled_from(["", "limit=3", "limit=2&offset=1"]))
    body = msgspec.json.encode({"filter": filter})
    folder, mirror = asyncio.run(pair.ask("POST", f"{RESOURCES[name].path}/_search", body, query))
    assert folder == mirror
    assert mirror[0] == 200


@pytest.mark.parametrize("name", SEARCHED)
@some(20)
def test_searches_find_the_same(name: str, pair: Pair, data: st.DataObject) -> None:
    """Any filter finds the same rows in the same order, with the same total, from any place on."""
    check_searches(name, pair, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHED)
@some(60)
def test_many_searches_find_the_same(name: str, pair: Pair, data: st.DataObject) -> None:
    """The same for many more filters."""
    check_searches(name, pair, data)


@pytest.mark.parametrize("name", SEARCHED)
async def test_each_group_means_the_same_on_each_field(name: str, pair: Pair) -> None:
    """Of values that records have: bounds are where the bound is, in or out."""
    for group, field, path, wire in conditions_on(name):
        known = known_values(pair, name, path)
        picked = known[:: max(1, len(known) // 3)][:3]
        single = [True, False] if group in ("null", "notNull") else picked
        for value in [picked] if group in ("contains", "notContains") else single:
            body = msgspec.json.encode({"filter": built(group, wire, value)})
            folder, mirror = await pair.ask("POST", f"{RESOURCES[name].path}/_search", body)
            assert folder == mirror, (group, field.name)
            assert mirror[0] == 200


def built(group: str, wire: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a filter of one condition."""
    for step in reversed(wire):
        value = {step: value}
    return {"orCondition": False, group: value}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"filter": {}}', b'{"filter": {"orCondition": true, "equals": {"nothing": 1}}}']
)
async def test_searches_without_sense_are_refused_alike(body: bytes, pair: Pair) -> None:
    """With the same status and the same words."""
    folder, mirror = await pair.ask("POST", "/student/_search", body)
    assert folder == mirror
    assert mirror[0] == 400


@pytest.mark.parametrize(
    ("level", "exact"),
    [
        ({"equals": {"id": "5F0C8A52-6b1e-4c58-9d0e-2f7c3a1b9e64"}}, True),
        ({"contains": {"lastName": ["Ek", "Alm"]}, "notNull": {"emailAddress1": True}}, True),
        ({"greaterOrEqual": {"meta": {"createdAt": "2026-01-01T00:00:00Z"}, "dateOfBirth": "2015-01-01"}}, True),
        ({"like": {"lastName": "E%"}}, False),
        ({"equals": {"firstName": "Bo"}, "like": {"lastName": "E%"}}, False),
    ],
)
def test_what_sql_can_say_it_says(level: dict[str, Any], exact: bool) -> None:
    """Ids, equality, lists, ranges and nulls are left to the database; of the rest it narrows down what it can."""
    model: Any = RESOURCES["students"]
    found = where(model.model, {"orCondition": False, **level}, Dialect())
    assert found.exact is exact
    assert (found.sql == "true") is (level == {"like": {"lastName": "E%"}})


async def test_a_listing_over_two_states_is_not_certified(tmp_path: Path) -> None:
    """Its pages may not fit together: it says so. One that begins afterwards is whole."""
    path, sandbox = tmp_path / "directory.sqlite", Sandbox(students=60)
    async with Meitner.sandbox(sandbox) as meitner:
        with Mirror(path) as mirror:
            await mirror.sync(meitner)
            async with Meitner(offline=path) as offline:
                listing = offline.students.list(limit=10, concurrency=1)
                pages = listing.pages()
                await anext(pages)
                student = (await meitner.students.list().all())[0]
                await meitner.students.modify(student, last_name="Ny")
                await mirror.sync(meitner)
                async for _ in pages:
                    pass
                assert (listing.report.complete, listing.report.level) == (False, "unverified")
                again = offline.students.list(limit=10)
                assert {row.last_name for row in await again.all()} >= {"Ny"}
                assert again.report.complete


async def test_what_holds_no_mirror_is_refused(tmp_path: Path, pair: Pair) -> None:
    """An export, another program's database, an empty file, and no database: each with what it is."""
    import sqlite3

    async with Meitner.sandbox(students=1) as meitner:
        await export(meitner, ["schools"], to=tmp_path / "exported", format="sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE t (x)")
    other.close()
    (tmp_path / "empty.sqlite").touch(mode=0o600)
    (tmp_path / "text.sqlite").write_text("no database, but long enough to be read as the header of one" * 10)
    for name, problem in (
        ("exported/directory.sqlite", "is an export"),
        ("other.sqlite", "another program's database"),
        ("empty.sqlite", "holds no mirror yet"),
        ("text.sqlite", "not an SQLite database"),
        ("absent.sqlite", "cannot be read"),
    ):
        with pytest.raises(MeitnerError, match=problem):
            Meitner(offline=tmp_path / name)


# Records from columns.


def records_of(model: Any) -> st.SearchStrategy[Any]:
    """Return records of a kind as a server may send them: fields absent, null or blank, lists empty, any text."""
    return st.fixed_dictionaries(
        {field.wire: value_of(field) for field in fields(model) if field.required},
        optional={field.wire: value_of(field) for field in fields(model) if not field.required},
    ).map(lambda data: msgspec.convert(data, model))


def value_of(field: Field) -> st.SearchStrategy[Any]:
    """Return values of a field, in JSON."""
    kind = field.kind
    simple: dict[str, Any] = {
        "uuid": st.uuids().map(str),
        "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        "enum": st.text("ABab1", min_size=1, max_size=4),
        "boolean": st.booleans(),
        "integer": st.integers(-(2**63), 2**63 - 1),
        "date": st.dates().map(date.isoformat),
        "date-time": st.datetimes(timezones=st.sampled_from(ZONES)).map(datetime.isoformat),
    }
    if kind == "object":
        one = st.fixed_dictionaries(
            {inner.wire: value_of(inner) for inner in fields(field.type) if inner.required},
            optional={inner.wire: value_of(inner) for inner in fields(field.type) if not inner.required},
        )
    else:
        one = simple[kind]
    if field.many:
        return st.lists(one, max_size=3)
    return st.none() | one if field.nullable else one


@pytest.mark.parametrize("name", RESOURCES)
def test_readers_and_exports_have_the_same_columns(name: str) -> None:
    """In the same order: the two rules are one."""
    model: Any = RESOURCES[name]
    assert Reader(model.model).columns == tuple(column.name for column in Rows(model.model).columns)


def check_records(name: str, data: st.DataObject) -> None:
    """Put some records into a table, and read them."""
    from meitner_aio.mirror._state import _TABLES
    from meitner_aio.mirror._table import Table

    model: Any = RESOURCES[name]
    rows = data.draw(st.lists(records_of(model.model), max_size=3, unique_by=lambda row: row.id))
    database = sqlite3.connect(":memory:", isolation_level=None)
    for declared in _TABLES:
        database.execute(f"CREATE TABLE {declared}")
    table, reader = Table(database, name), Reader(model.model)
    table.create()
    assert [kind for _, kind in table.put(rows)] == ["insert"] * len(rows)
    assert [kind for _, kind in table.put(rows)] == [None] * len(rows)
    columns = ", ".join(f'"{column}"' for column in reader.columns)
    blank = f"(SELECT fields FROM meitner_aio_blank AS b WHERE b.id = t.id AND b.resource = '{name}')"
    found = database.execute(f'SELECT {blank}, {columns} FROM "{name}" AS t ORDER BY rowid').fetchall()
    database.close()
    assert [reader.record(rest, blank) for blank, *rest in found] == rows


@pytest.mark.parametrize("name", RESOURCES)
@some(12)
def test_records_come_back_as_they_were(name: str, data: st.DataObject) -> None:
    """Any record that a server may send is the same record after its way through a table."""
    check_records(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", RESOURCES)
@some(40)
def test_many_records_come_back_as_they_were(name: str, data: st.DataObject) -> None:
    """The same for many more records."""
    check_records(name, data)


async def test_a_writer_that_was_killed_is_undone_before_reading(tmp_path):
    """A hot journal, which a connection for reading cannot roll back, keeps nobody from reading the last whole state."""
    path, killed = tmp_path / "directory.sqlite", tmp_path / "killed.sqlite"
    async with Meitner.sandbox(students=20) as meitner:
        with Mirror(path) as mirror:
            await mirror.sync(meitner)
        expected = [student async for student in meitner.students.list()]
    _copy_in_mid_run(path, killed)
    with closing(sqlite3.connect(f"{killed.as_uri()}?mode=ro", uri=True)) as naive, pytest.raises(sqlite3.Error):
        naive.execute("SELECT count(*) FROM students")
    async with Meitner(offline=killed) as offline:
        assert [student async for student in offline.students.list()] == expected


def _copy_in_mid_run(path: Path, killed: Path) -> None:
    """Copy a file and its journal as a kill in the middle of a transaction would leave them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM students")
        database.execute("DELETE FROM guardians")
        database.execute("CREATE TABLE filler AS SELECT randomblob(50000) FROM schools")
        for suffix in ("", "-journal"):
            copy = Path(f"{killed}{suffix}")
            copy.touch(0o600)
            copy.write_bytes(Path(f"{path}{suffix}").read_bytes())
        database.execute("ROLLBACK")
