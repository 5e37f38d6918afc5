"""Exports under pseudonyms: nothing of anybody in any file, joins that survive, and keys that never mix."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet
import pytest
from numbered_directory import NumberedDirectory

from meitner_aio import ConfigurationError, Meitner, MeitnerError, NotFoundError, Student
from meitner_aio._listing.source import Deletions, PageRequest
from meitner_aio._pseudonyms import RULES, Pseudonyms, Rule
from meitner_aio._wire.messages import Headers, RawResponse
from meitner_aio.export import FORMATS, Progress, export
from meitner_aio.export._pseudonymised import Pseudonymised
from meitner_aio.export._selection import Selection, chosen
from meitner_aio.query import equals
from meitner_aio.records import Record, fields
from meitner_aio.resources import RESOURCES

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Give the file of a key."""
    return _key(tmp_path / "keys", 0)


def _key(folder: Path, first: int) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{first}.key"
    path.write_bytes(bytes(range(first, first + 32)))
    path.chmod(0o600)
    return path


# Canaries.


def canary(model: type[Record], path: str) -> dict[str, Any]:
    """Return a row, as the API spells it, in which every text is a canary and every id, date and number its own."""
    found: dict[str, Any] = {}
    for field in fields(model):
        where = f"{path}.{field.name}"
        value = _value(field, where)
        found[field.wire] = [value] if field.many else value
    return found


def _value(field: Any, where: str) -> object:
    kind = field.kind.partition(":")[0]
    mark = f"{zlib.crc32(where.encode()):08x}"
    if kind == "object":
        return canary(field.type, where)
    if kind == "uuid":
        return f"{mark}-0000-4000-9000-{mark}{mark[:4]}"
    if kind == "date":
        return "2013-05-17"
    if kind == "date-time":
        return "2026-01-02T03:04:05Z"
    if field.name == "identity_number":
        return "20130517-2389"
    return {"boolean": True, "integer": 7}.get(kind, f"Kanarié {where}")


class Canaries(NumberedDirectory):
    """A directory with one row a resource, every field of which sings."""

    def _send_for(self, name: str) -> Any:
        row = canary(RESOURCES[name].model, name)  # type: ignore[attr-defined]

        async def send(request: Any) -> RawResponse:
            page = {"data": [row], "pagination": {"offset": 0, "limit": 50, "total": 1}}
            headers = {"Content-Type": "application/json", "Date": "Sat, 21 Nov 2026 10:00:00 GMT"}
            return RawResponse(200, Headers(headers), json.dumps(page).encode())

        return send


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


STAY = {"schools": ("title", "unitCode", "csnSchoolCode", "municipalityCode")}
"""What is about no person, and known to everybody."""


def _everything(folder: Path) -> str:
    """Return all that lies in a folder, as bytes and, what is compressed, as rows."""
    found = [repr(path.name) + path.read_bytes().decode("utf-8", "replace") for path in folder.iterdir()]
    found += [str(pyarrow.parquet.read_table(path).to_pylist()) for path in folder.glob("*.parquet")]
    return "\n".join(found)


def _singing(text: str) -> list[str]:
    """Return what of the canaries is in a text and may not be."""
    heard = []
    for name, kind in RESOURCES.items():
        model: Any = kind.model  # type: ignore[attr-defined]
        row = canary(model, name)
        known = {one for one in _texts(row) if one.startswith("Kanarié")} - {row[field] for field in STAY.get(name, ())}
        numbers = {one for one in _texts(row) if not one.startswith("Kanarié")} - {"2013-05-17", "2026-01-02T03:04:05Z"}
        spelled = {one: (one, json.dumps(one)[1:-1]) for one in known | numbers | {"20130517", "130517-2389"}}
        heard += [one for one, ways in spelled.items() if any(way in text for way in ways)]
    return heard


@pytest.mark.parametrize("form", FORMATS)
async def test_no_field_of_any_record_is_in_any_file(form: Any, tmp_path: Path, key: Path) -> None:
    """Eleven resources, every field a canary: under pseudonyms none sings, and as they are they all do."""
    await export(Canaries(), to=tmp_path / "clear", format=form)
    assert len(set(_singing(_everything(tmp_path / "clear")))) > 100
    await export(Canaries(), to=tmp_path / "out", format=form, pseudonymise=key)
    assert _singing(_everything(tmp_path / "out")) == []


@pytest.mark.parametrize("form", FORMATS)
async def test_columns_that_are_dropped_are_not_there(form: Any, tmp_path: Path, key: Path) -> None:
    """No empty `first_name` that somebody fills again; a birth date is the first of January."""
    await export(Canaries(), ["students"], to=tmp_path / "out", format=form, pseudonymise=key)
    (row,) = _rows(tmp_path / "out", form, "students")
    born = row.pop("date_of_birth" if form != "ndjson" else "dateOfBirth")
    assert str(born) == str(date(2013, 1, 1))
    assert {"first_name", "firstName", "address", "address_postal_code", "email_address1"}.isdisjoint(row)


def _rows(folder: Path, form: str, resource: str) -> list[dict[str, Any]]:
    if form == "ndjson":
        return [json.loads(line) for line in (folder / f"{resource}.ndjson").read_bytes().splitlines()]
    if form == "csv":
        with (folder / f"{resource}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    if form == "parquet":
        return list(pyarrow.parquet.ParquetFile(folder / f"{resource}.parquet").read().to_pylist())
    with closing(sqlite3.connect(folder / "directory.sqlite")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM {resource}")]


async def test_what_an_interrupted_export_leaves_bears_pseudonyms_too(tmp_path: Path, key: Path) -> None:
    """No row is on the disk as it was, not for a moment: a spool that nobody resumes is no leak."""
    out = tmp_path / "out"
    await _interrupted(out, key)
    rows = (out / "students.part").read_bytes()
    assert rows.count(b"\n") == 10
    assert "Åsa".encode() not in rows
    assert b"20100101" not in rows
    assert b"00000000-0000-4000" not in rows
    await export(NumberedDirectory(), ["students"], to=out, page_size=10, resume=True, pseudonymise=key)
    whole = tmp_path / "whole"
    await export(NumberedDirectory(), ["students"], to=whole, page_size=10, pseudonymise=key)
    assert (out / "students.ndjson").read_bytes() == (whole / "students.ndjson").read_bytes()


async def test_no_condition_can_be_tried_out_without_the_key(tmp_path: Path, key: Path) -> None:
    """Whoever has the notes of an interrupted export would else find who it was about: identity numbers are few."""
    other = _key(tmp_path / "keys", 1)
    where = {"identity_number": equals("20100101-2384")}
    notes: list[str] = []
    for number, one in enumerate([None, key, key, other]):
        names = None if one is None else Pseudonyms.of_file(one)
        selection = Selection.of(where, pseudonyms=names)
        async with Meitner.sandbox(students=number + 1) as meitner:
            ((_, _, _, _, fingerprint, *_),) = chosen(meitner, ["students"], selection, where)
        notes.append(fingerprint)
    assert notes[1] == notes[2]
    assert len(set(notes)) == 3


async def _interrupted(out: Path, key: Path | None) -> None:
    def stop(news: Progress) -> None:
        if news.rows >= 10:
            raise NotFoundError("stop")

    with pytest.raises(NotFoundError, match="stop"):
        await export(
            NumberedDirectory(),
            ["students"],
            to=out,
            page_size=10,
            concurrency=1,
            progress=stop,
            pseudonymise=key,
        )


async def test_a_stream_and_the_first_page_of_a_plan_bear_them_too(tmp_path: Path, key: Path) -> None:
    """Ways that rows take past a folder, and past the reading of a listing."""
    stream = io.BytesIO()
    await export(Canaries(), to=stream, pseudonymise=key)
    assert _singing(stream.getvalue().decode()) == []
    await export(Canaries(), to=tmp_path / "out", pseudonymise=key, max_wait=1e9)
    assert _singing(_everything(tmp_path / "out")) == []


async def test_rows_that_are_left_out_are_named_by_their_pseudonyms(tmp_path: Path, key: Path) -> None:
    """The manifest names rows that break the contract, by ids: not by those of the directory."""
    await export(Spoiled(), ["students"], to=tmp_path / "out", on_invalid="skip", pseudonymise=key)
    text = (tmp_path / "out" / "manifest.json").read_text()
    names = Pseudonyms.of_file(key)
    assert "00000000-0000-4000-8000-000000000003" not in text
    assert names.id("00000000-0000-4000-8000-000000000003") in text


class Spoiled(NumberedDirectory):
    """A directory with a row whose identity number is a number."""

    def _send_for(self, name: str) -> Any:
        send = super()._send_for(name)

        async def spoiled(request: Any) -> RawResponse:
            answer = await send(request)
            return msgspec.structs.replace(answer, body=answer.body.replace(b'"20100101-0003"', b"7"))

        return spoiled


class _Deleted:
    """A source that knows which rows were deleted."""

    model = Student
    searchable = updates_matter = True

    async def deleted(self, _: datetime) -> Deletions:
        return Deletions(frozenset({"00000000-0000-4000-8000-000000000003"}), 1)

    async def created(self, *_: object) -> Any:
        raise AssertionError

    fetch = fetch_raw = created


async def test_a_deletion_is_of_the_pseudonym_that_was_read(key: Path) -> None:
    """Else a row that was deleted during the read would stay in the file."""
    names = Pseudonyms.of_file(key)
    source: Any = Pseudonymised(_Deleted(), names)  # type: ignore[arg-type]
    found = await source.deleted(datetime.now(UTC))
    assert found == Deletions(frozenset({names.id("00000000-0000-4000-8000-000000000003")}), 1)
    assert (source.searchable, source.updates_matter, PageRequest(1, 0).limit) == (True, True, 1)


# Joins.

REFERENCES = [
    (name, field.wire)
    for name, kind in RESOURCES.items()
    for field in fields(kind.model)  # type: ignore[attr-defined]
    if field.kind == "uuid" and field.name != "id"
]


def _graph(folder: Path) -> dict[tuple[str, str], list[list[tuple[str, int]]]]:
    """Return, for each reference of each row, which rows of which resources it leads to."""
    rows = {name: _rows(folder, "ndjson", name) for name in RESOURCES}
    places: dict[str, list[tuple[str, int]]] = {}
    for name, some in rows.items():
        for place, row in enumerate(some):
            places.setdefault(row["id"], []).append((name, place))
    found = {}
    for name, wire in REFERENCES:
        values = [row[wire] if isinstance(row[wire], list) else [row[wire]] for row in rows[name]]
        found[name, wire] = [[place for one in some if one for place in places.get(one, [])] for some in values]
    return found


async def test_joins_survive_across_resources(tmp_path: Path, key: Path) -> None:
    """Every reference leads to the same row as before: students of placements, members of groups, teachers of grades."""
    async with Meitner.sandbox(students=80) as meitner:
        await export(meitner, to=tmp_path / "clear")
        report = await export(meitner, to=tmp_path / "out", pseudonymise=key)
    assert (report.complete, report.level) == (True, "certified")
    clear = _graph(tmp_path / "clear")
    assert _graph(tmp_path / "out") == clear
    assert {name for name, led in clear.items() if any(led)} >= {
        ("student_placements", "studentID"),
        ("guardians", "studentIDs"),
        ("groups", "memberIDs"),
        ("grade_elementaries", "teacher1EmployeeID"),
        ("schools", "unitID"),
    }


async def test_numbers_join_too(tmp_path: Path, key: Path) -> None:
    """One person is one number, in whichever resource, and however many people there are."""
    async with Meitner.sandbox(students=80) as meitner:
        await export(meitner, ["students", "guardians"], to=tmp_path / "clear")
        await export(meitner, ["students", "guardians"], to=tmp_path / "out", pseudonymise=key)
    names = Pseudonyms.of_file(key)
    for resource in ("students", "guardians"):
        before = [row["identityNumber"] for row in _rows(tmp_path / "clear", "ndjson", resource)]
        after = [row["identityNumber"] for row in _rows(tmp_path / "out", "ndjson", resource)]
        assert after == [names.number(number) for number in before]


async def test_pseudonyms_are_the_keys(tmp_path: Path, key: Path) -> None:
    """The same in another run under the same key; under another key there is none in common."""
    async with Meitner.sandbox(students=30) as meitner:
        for name, which in (("a", key), ("b", key), ("c", _key(tmp_path / "keys", 1))):
            await export(meitner, to=tmp_path / name, pseudonymise=which)
    a, b, c = (
        {text for name in RESOURCES for row in _rows(tmp_path / out, "ndjson", name) for text in _named(row)}
        for out in "abc"
    )
    assert a == b
    assert len(a) > 100
    assert a.isdisjoint(c)


def _named(row: dict[str, Any]) -> list[str]:
    return [
        text for text in _texts(row) if re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    ]


# What does not mix.


async def test_the_manifest_says_under_which_key(tmp_path: Path, key: Path) -> None:
    """Who gets the folder knows what it is; the log says it as well."""
    await export(NumberedDirectory(), ["students"], to=tmp_path / "out", pseudonymise=key)
    names = Pseudonyms.of_file(key)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert (manifest["pseudonymised"], manifest["key"]) == (True, names.fingerprint)
    students = manifest["resources"]["students"]
    assert (students["complete"], students["partial"]) == (True, False)
    assert set(students["fields"]) == {field for field, rule in RULES["Student"].items() if rule is not Rule.DROP}
    (line,) = map(json.loads, (tmp_path / "out" / "exports.log").read_bytes().splitlines())
    assert (line["pseudonymised"], line["key"]) == (True, names.fingerprint)
    assert "first_name" not in line["resources"][0]["fields"]


@pytest.mark.parametrize(("first", "then"), [(None, 0), (0, None), (0, 1)])
@pytest.mark.parametrize("form", ["ndjson", "sqlite"])
async def test_two_keys_are_never_in_one_folder(first: Any, then: Any, form: Any, tmp_path: Path) -> None:
    """Nor are pseudonyms beside rows as they are: refused before a request, whichever resource it is."""
    one, other = (None if which is None else _key(tmp_path / "keys", which) for which in (first, then))
    directory = NumberedDirectory()
    await export(directory, ["students"], to=tmp_path / "out", format=form, pseudonymise=one)
    before, asked = _everything(tmp_path / "out"), len(directory.requests)
    with pytest.raises(MeitnerError, match="the two do not mix, export to another folder"):
        await export(directory, ["schools"], to=tmp_path / "out", format=form, pseudonymise=other)
    assert (_everything(tmp_path / "out"), len(directory.requests)) == (before, asked)


@pytest.mark.parametrize(("first", "then"), [(None, 0), (0, None), (0, 1)])
@pytest.mark.parametrize(("resource", "resume"), [("students", True), ("schools", False)])
async def test_two_keys_never_resume_each_other(
    first: Any, then: Any, resource: str, resume: Any, tmp_path: Path
) -> None:
    """What was read under one goes on under it, and lies beside nothing of another."""
    one, other = (None if which is None else _key(tmp_path / "keys", which) for which in (first, then))
    out = tmp_path / "out"
    await _interrupted(out, one)
    with pytest.raises(MeitnerError, match="the interrupted export of students is"):
        await export(NumberedDirectory(), [resource], to=out, page_size=10, resume=resume, pseudonymise=other)
    assert (out / "students.part").exists()


async def test_a_database_whose_manifest_is_gone_is_still_of_its_key(tmp_path: Path, key: Path) -> None:
    """The file itself says so."""
    async with Meitner.sandbox(students=5) as meitner:
        await export(meitner, ["students"], to=tmp_path / "out", format="sqlite", pseudonymise=key)
        (tmp_path / "out" / "manifest.json").unlink()
        with pytest.raises(MeitnerError, match="under pseudonyms of the key"):
            await export(meitner, ["schools"], to=tmp_path / "out", format="sqlite")


async def test_what_is_dropped_cannot_be_asked_for(tmp_path: Path, key: Path) -> None:
    """By `fields`, the rest can; what is asked for and not given would be missed too late."""
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="students has no last_name under pseudonyms"):
        await export(NumberedDirectory(), ["students"], to=out, fields=["id", "last_name"], pseudonymise=key)
    await export(NumberedDirectory(), ["students"], to=out, fields=["gender"], pseudonymise=key)
    assert set(_rows(out, "ndjson", "students")[0]) == {"id", "gender"}


async def test_a_whole_is_not_replaced_by_a_part(tmp_path: Path, key: Path) -> None:
    """Fields that are dropped make no part of it: a whole under pseudonyms is one."""
    out = tmp_path / "out"
    await export(NumberedDirectory(), ["students"], to=out, pseudonymise=key)
    with pytest.raises(MeitnerError, match="holds all students"):
        await export(NumberedDirectory(), ["students"], to=out, limit=3, pseudonymise=key)


async def test_pseudonyms_are_no_directory(tmp_path: Path, key: Path) -> None:
    """Offline, its ids would be taken for the directory's."""
    async with Meitner.sandbox(students=5) as meitner:
        await export(meitner, to=tmp_path / "out", pseudonymise=key)
    with pytest.raises(ConfigurationError, match="is under pseudonyms, and no directory"):
        Meitner(offline=tmp_path / "out")


# From the shell.


def test_the_command_takes_a_key(cli: Cli, tmp_path: Path, key: Path) -> None:
    """And says how to make one that is not there: exit code 2, nothing sent and nothing made."""
    arguments = ("export", "students", "--sandbox", "--students", "5", "--to", str(tmp_path / "out"), "--pseudonymise")
    code, _, err = cli(*arguments, str(tmp_path / "new.key"))
    assert (code, (tmp_path / "out").exists(), (tmp_path / "new.key").exists()) == (2, False, False)
    assert "head -c 32 /dev/urandom" in err
    assert cli(*arguments, str(key))[0] == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["pseudonymised"]


async def test_a_moving_since_finds_the_rows_of_its_key(tmp_path: Path, key: Path) -> None:
    """A part under the same key updates the table of its whole: ids are the same tomorrow."""
    async with Meitner.sandbox(students=20) as meitner:
        await export(meitner, ["students"], to=tmp_path / "out", format="sqlite", pseudonymise=key)
        since = datetime.now(UTC) - timedelta(days=4000)
        report = await export(
            meitner, ["students"], to=tmp_path / "out", format="sqlite", pseudonymise=key, since=since
        )
    assert [one.rows for one in report.resources] == [20]
