"""Which rows and fields an export is about: conditions, times, limits, fields, and a stream instead of files."""

import asyncio
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
import virtual_time
from numbered_directory import NumberedDirectory, refusing

from meitner_aio import Gender, Meitner, MetaQuery, NotFoundError, at_least, like
from meitner_aio.export import Progress, export, plan
from meitner_aio.export._files import Folder
from meitner_aio.export._manifest import Manifest

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.fixture
async def meitner():
    """Give a client of a small sandbox in this process."""
    async with Meitner.sandbox(students=60, schools=3, seed=4) as meitner:
        yield meitner


def _lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def test_where_takes_what_search_takes(meitner, tmp_path):
    """The rows of the search, all of them, proven as any listing is."""
    where = {"gender": Gender.FEMALE, "last_name": ~like("A%")}
    report = await export(meitner, ["students"], to=tmp_path, where=where, page_size=7)
    expected = [student.id for student in await meitner.students.search(**where).all()]
    assert [row["id"] for row in _lines(tmp_path / "students.ndjson")] == expected
    assert 0 < len(expected) < 60
    assert (report.complete, report.resources[0].where) == (True, ("gender", "last_name"))


async def test_the_manifest_names_conditions_without_their_values(meitner, tmp_path):
    """A condition may be somebody's name; a hash of it could be guessed."""
    await export(meitner, ["students"], to=tmp_path, where={"last_name": "Andersson"}, since=NOW - timedelta(days=900))
    text = (tmp_path / "manifest.json").read_text()
    one = json.loads(text)["resources"]["students"]
    assert "Andersson" not in text
    assert (one["where"], one["since"]) == (
        ["last_name"],
        (NOW - timedelta(days=900)).isoformat().replace("+00:00", "Z"),
    )


async def test_since_is_created_or_updated(meitner, tmp_path):
    """A record that was never updated has no time of update: its creation counts."""
    students = await meitner.students.list().all()
    touched = await meitner.students.modify(students[3], first_name="Ny")
    fields = {"first_name": "Bo", "last_name": "Ek", "identity_number": "20140101-0001"}
    made = await meitner.students.create(**fields)
    since = min(touched.meta.updated_at, made.meta.created_at)
    await export(meitner, ["students"], to=tmp_path, since=since)
    assert {row["id"] for row in _lines(tmp_path / "students.ndjson")} == {touched.id, made.id}
    await export(meitner, ["students"], to=tmp_path, since=since, where={"last_name": "Ek"})
    assert {row["id"] for row in _lines(tmp_path / "students.ndjson")} == {made.id}


async def test_since_for_audit_events_is_when_it_happened(meitner, tmp_path):
    """An event has a time of its own."""
    guardian = await meitner.guardians.list().first()
    await meitner.guardians.delete(guardian.id)
    *_, event = await meitner.audit_events.list().all()
    await export(meitner, ["audit_events"], to=tmp_path, since=event.timestamp)
    assert [row["resourceID"] for row in _lines(tmp_path / "audit_events.ndjson")] == [guardian.id]
    await export(meitner, ["audit_events"], to=tmp_path, since=event.timestamp + timedelta(seconds=1))
    assert _lines(tmp_path / "audit_events.ndjson") == []


async def test_fields_keep_what_is_named_and_the_id(meitner, tmp_path):
    """Either spelling, in the order of the record; the values are untouched."""
    report = await export(meitner, ["students"], to=tmp_path, fields=["lastName", "meta", "first_name"])
    rows = _lines(tmp_path / "students.ndjson")
    await export(meitner, ["students"], to=tmp_path / "all")
    names = ["id", "meta", "firstName", "lastName"]
    assert [list(row) for row in rows] == [names] * 60
    assert rows == [{name: row[name] for name in names} for row in _lines(tmp_path / "all" / "students.ndjson")]
    assert report.resources[0].fields == ("id", "meta", "first_name", "last_name")
    data = (tmp_path / "students.ndjson").read_bytes()
    assert report.resources[0].sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("limit", "requests"), [(1, [(1, 0)]), (25, [(10, 0), (10, 10), (10, 20)]), (30, None)])
async def test_a_limit_is_never_exceeded_nor_paid_for_twice(tmp_path, limit, requests):
    """As many rows, and no request beyond them; the report says that there are more."""
    directory = NumberedDirectory({"students": 95})
    report = await export(directory, ["students"], to=tmp_path, limit=limit, concurrency=8)
    (one,) = report.resources
    assert len(_lines(tmp_path / "students.ndjson")) == one.rows == limit
    assert [asked[1:] for asked in directory.requests] == (requests or [(10, 0), (10, 10), (10, 20)])
    assert (one.level, one.limited, one.complete, one.total, report.complete) == ("limited", True, False, 95, True)


@pytest.mark.parametrize("limit", [95, 96, 1000])
async def test_a_limit_that_nothing_meets_changes_nothing(tmp_path, limit):
    """The read comes to its end, and is proven."""
    report = await export(NumberedDirectory({"students": 95}), ["students"], to=tmp_path, limit=limit)
    assert (report.rows, report.resources[0].complete, report.resources[0].limited) == (95, True, False)


async def test_progress_counts_up_to_the_limit(tmp_path):
    """A bar is full when the rows are there."""
    steps = []
    await export(NumberedDirectory({"students": 95}), ["students"], to=tmp_path, limit=15, progress=steps.append)
    assert [(step.rows, step.total, step.finished) for step in steps] == [
        (10, 15, False),
        (15, 15, False),
        (15, 15, True),
    ]


@pytest.mark.parametrize(
    ("resources", "how", "problem"),
    [
        (
            ["students"],
            {"where": {"firstname": "Bo"}},
            r"students cannot be searched by 'firstname'; did you mean 'first_name'",
        ),
        (["students", "groups"], {"where": {"last_name": "Ek"}}, "groups cannot be searched by 'last_name'"),
        (["grade_elementaries"], {"where": {"school_year": "9"}}, "grade_elementaries cannot be searched"),
        (["grade_upper_secondaries"], {"since": NOW}, "grade_upper_secondaries cannot be searched"),
        (["students"], {"fields": ["frist_name"]}, "students has no field 'frist_name'; did you mean 'first_name'"),
        (["students", "groups"], {"fields": ["gender"]}, "groups has no field 'gender'"),
        (["students"], {"since": datetime(2026, 1, 1)}, "no time zone"),
        (["students"], {"limit": 0}, "limit must be an int of at least 1"),
        (["students"], {"page_size": -1}, "page_size must be an int of at least 1"),
        (["students"], {"concurrency": 0}, "concurrency must be an int"),
        (["students"], {"excel": True, "format": "ndjson"}, "excel is for format='csv'"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_any_io(tmp_path, resources, how, problem):
    """By name, with the closest one that exists; no request, no folder."""
    directory = NumberedDirectory()
    with pytest.raises(ValueError, match=problem):
        await export(directory, resources, to=tmp_path / "out", **how)
    assert (directory.requests, (tmp_path / "out").exists()) == ([], False)


@pytest.mark.parametrize(
    "how",
    [{"where": {"gender": like("F%")}}, {"where": {"last_name": 7}}, {"fields": "first_name"}, {"page_size": True}],
)
async def test_a_wrong_type_is_refused_before_any_io(tmp_path, how):
    """As a search does."""
    directory = NumberedDirectory()
    with pytest.raises(TypeError):
        await export(directory, ["students"], to=tmp_path / "out", **how)
    assert (directory.requests, (tmp_path / "out").exists()) == ([], False)


async def test_a_stream_gets_the_lines_and_nothing_else(meitner):
    """For pipes: one resource after the other, each line with its name, the checksums of what was written, no file."""
    stream = io.BytesIO()
    steps = []
    report = await export(meitner, ["schools", "students"], to=stream, progress=steps.append)
    lines = stream.getvalue().splitlines()
    assert [(row["resource"], row["record"]["id"]) for row in map(json.loads, lines)] == [
        *[("schools", school.id) async for school in meitner.schools.list()],
        *[("students", student.id) async for student in meitner.students.list()],
    ]
    assert {tuple(json.loads(line)) for line in lines} == {("resource", "record")}
    data = b"".join(line + b"\n" for line in lines[:3])
    (schools, students) = report.resources
    assert (schools.file, schools.rows, schools.bytes) == ("-", 3, len(data))
    assert schools.sha256 == hashlib.sha256(data).hexdigest()
    assert (students.rows, students.complete, report.complete) == (60, True, True)
    assert steps[-1] == Progress("students", 60, 60, finished=True, requests=1)


async def test_one_resource_of_a_stream_is_untagged_and_the_same_lines_are_in_a_tag(meitner):
    """A program that reads one needs no change; one that splits finds every byte of the record."""
    one, several = io.BytesIO(), io.BytesIO()
    await export(meitner, ["students"], to=one, fields=["last_name", "meta"])
    await export(meitner, ["students", "employees"], to=several, fields=["last_name", "meta"])
    tagged = several.getvalue().splitlines(keepends=True)[:60]
    assert one.getvalue().splitlines(keepends=True) == [
        line.removeprefix(b'{"resource":"students","record":').removesuffix(b"}\n") + b"\n" for line in tagged
    ]
    assert json.loads(one.getvalue().splitlines()[0]).keys() == {"id", "lastName", "meta"}


async def test_what_cannot_be_searched_is_read_in_full_when_all_is_asked_for(meitner, tmp_path):
    """`since` narrows the others; the files of grades are wholes, and their reports and the next export know it."""
    later = datetime.now(UTC) + timedelta(days=400)
    report = await export(meitner, to=tmp_path, since=later, format="csv")
    grades = [one for one in report.resources if one.resource.startswith("grade_")]
    others = [one for one in report.resources if one not in grades]
    assert [(one.resource, one.since, one.partial) for one in grades] == [
        ("grade_elementaries", None, False),
        ("grade_upper_secondaries", None, False),
    ]
    assert {(one.since, one.partial, one.rows) for one in others if one.resource != "audit_events"} == {
        (later, True, 0)
    }
    whole = [len(await getattr(meitner, one.resource).list().all()) for one in grades]
    assert [one.rows for one in grades] == whole
    assert max(whole) > 0
    planned = await plan(meitner, since=later)
    assert [one.rows for one in planned.resources if one.resource.startswith("grade_")] == whole
    with pytest.raises(ValueError, match="grade_elementaries cannot be searched"):
        await export(meitner, since=later, where={"meta": MetaQuery(created_at=at_least(later))}, to=tmp_path / "other")


async def test_such_an_export_is_resumed_as_it_was_begun(tmp_path):
    """The journal of a resource that is read in full knows no `since`; the others compare theirs."""
    directory = NumberedDirectory({"grade_elementaries": 25, "students": 25})
    since = datetime.now(UTC) - timedelta(days=3)
    directory.before = refusing("grade_elementaries", 20)
    with pytest.raises(NotFoundError):
        await export(directory, to=tmp_path, since=since, concurrency=1)
    directory.before = lambda *_: None
    report = await export(directory, to=tmp_path, since=since, resume=True)
    assert {one.resource: one.rows for one in report.resources}["grade_elementaries"] == 25


async def test_a_stream_takes_a_selection(meitner):
    """As files do."""
    stream = io.BytesIO()
    await export(meitner, ["students"], to=stream, fields=["gender"], where={"gender": Gender.MALE}, limit=5)
    assert [json.loads(line)["gender"] for line in stream.getvalue().splitlines()] == ["Male"] * 5
    assert set(json.loads(stream.getvalue().splitlines()[0])) == {"id", "gender"}


@pytest.mark.parametrize(
    ("to", "how", "kind"),
    [
        (io.BytesIO(), {"format": "csv"}, ValueError),
        (io.BytesIO(), {"resume": True}, ValueError),
        (io.StringIO(), {}, TypeError),
        (7, {}, TypeError),
    ],
)
async def test_what_is_no_place_for_rows_is_refused(to, how, kind):
    """Before any request."""
    directory = NumberedDirectory()
    with pytest.raises(kind):
        await export(directory, ["students"], to=to, **how)
    assert not directory.requests


async def test_csv_is_made_of_the_same_rows(meitner, tmp_path):
    """Another format is another spelling: the report is of the file as it is."""
    report = await export(meitner, ["students"], to=tmp_path, excel=True)
    data = (tmp_path / "students.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert report.resources[0].sha256 == hashlib.sha256(data).hexdigest()
    assert report.resources[0].bytes == len(data)
    assert Manifest.of(Folder(tmp_path)).resources["students"].dialect == "excel"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exports.log", "manifest.json", "students.csv"]


@pytest.mark.usefixtures("no_threads")
def test_resources_are_read_side_by_side(tmp_path):
    """Neither is answered before the other has asked; then their pages leave in turn, no more at a time than allowed."""
    flying, most = 0, 0

    class Slow(NumberedDirectory):
        """Waits with its first answers until both resources have asked; a later one takes a second."""

        def __init__(self, names):
            super().__init__(dict.fromkeys(names, 400))
            self.asked = {name: asyncio.Event() for name in names}

        def _send_for(self, name):
            send = super()._send_for(name)

            async def slowly(request):
                nonlocal flying, most
                flying += 1
                most = max(most, flying)
                self.asked[name].set()
                try:
                    async with asyncio.timeout(60):
                        for asked in self.asked.values():
                            await asked.wait()
                    await asyncio.sleep(1)
                    return await send(request)
                finally:
                    flying -= 1

            return slowly

    directory = Slow(["students", "employees"])
    report = virtual_time.run(export(directory, ["students", "employees"], to=tmp_path, concurrency=3))
    order = [name for name, *_ in directory.requests]
    assert (report.rows, most) == (800, 3)
    for start in range(0, 80, 10):
        assert {"students", "employees"} <= set(order[start : start + 10])


@pytest.mark.usefixtures("no_threads")
async def test_no_more_than_four_resources_are_read_at_a_time(tmp_path):
    """Memory is bounded however many resources there are."""
    names = ("students", "guardians", "employees", "schools", "grade_elementaries")
    directory = NumberedDirectory(dict.fromkeys(names, 60))
    reading, most = set(), 0

    def before(name, _):
        nonlocal most
        reading.add(name)
        most = max(most, len(reading))

    def progress(step):
        if step.rows == step.total:
            reading.discard(step.resource)

    directory.before = before
    report = await export(directory, names, to=tmp_path, progress=progress)
    assert (most, report.rows) == (4, 300)


async def test_a_plan_and_its_export_agree(meitner, tmp_path):
    """What was said beforehand is what it took."""
    where = {"meta": MetaQuery(created_at=at_least(datetime(2000, 1, 1, tzinfo=UTC)))}
    planned = await plan(meitner, ["students", "guardians"], page_size=7, where=where, limit=40)
    report = await export(meitner, ["students", "guardians"], to=tmp_path, page_size=7, where=where, limit=40)
    assert [(one.resource, one.rows, one.requests) for one in planned.resources] == [
        (one.resource, one.rows, one.requests) for one in report.resources
    ]
