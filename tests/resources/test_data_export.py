"""The Data Export API: three listings of rows without ids, with everything that listings of the client have."""

from __future__ import annotations

import json

import pytest
from conftest import CREDENTIALS
from raw_server import RawServer, Seen, answer

import meitner_aio
from meitner_aio import Attendance, Meitner, Portal, to_dict
from meitner_aio._operations.operations import operations
from meitner_aio._operations.resource import model_of
from meitner_aio._wire.validation import encode
from meitner_aio.dlt import directory
from meitner_aio.errors import APIConnectionError, PermissionDeniedError, ResponseValidationError
from meitner_aio.mirror import Mirror
from meitner_aio.reconcile import Desired
from meitner_aio.records import Record, fields
from meitner_aio.resources import DATA_EXPORT, LISTED, RESOURCES
from meitner_aio.sandbox import Sandbox

NAMES = ("attendances", "criterion_results", "upper_secondary_grades")
SCHOOL = {"id": "0a1b2c3d-0000-4000-8000-000000000001", "displayName": "Ekskolan"}
CHILD = {
    "id": "0a1b2c3d-0000-4000-8000-000000000002",
    "identityNumber": "20110405-2382",
    "firstName": "Canary",
    "lastName": "Kanari",
    "dateOfBirth": "2011-04-05",
    "gender": "Female",
    "schoolType": "GR",
    "schoolYear": "8",
}
COURSE = {"title": "Kemi", "code": "KE"}
ROWS = {
    "attendances": {
        "school": SCHOOL,
        "student": CHILD,
        "subject": COURSE,
        "course": COURSE,
        "report": {
            "status": "Attendance",
            "date": "2026-02-03",
            "week": "6",
            "lessonDurationMinutes": 60,
            "absenceDurationMinutes": 20,
        },
    },
    "criterion_results": {
        "school": SCHOOL,
        "student": CHILD,
        "course": COURSE,
        "subject": COURSE,
        "archiveYear": "2025_2026",
        "archiveTerm": "VT",
        "state": "Fulfilled",
    },
    "upper_secondary_grades": {
        "school": SCHOOL,
        "student": CHILD | {"class": "Klass 8B"},
        "subject": COURSE,
        "course": COURSE,
        "grade": "B",
        "gradeDate": "2026-06-01",
        "schoolYear": "2",
        "languageCode": "FRA",
        "startDate": "2025-08-18",
        "endDate": "2026-06-01",
        "section": "General",
        "programDisplayName": "Program A",
        "programTemplateTitle": "Program A",
        "orientationTitle": "Inriktning A",
        "orientationCode": "INR1",
    },
}
"""A row of each, in the shape of the one example that the vendor's documentation gives."""


def page(row: object) -> bytes:
    """Return the answer that holds one row."""
    return answer(200, {"data": [row], "pagination": {"offset": 0, "limit": 1000, "total": 1}})


async def only(name: str, row: object) -> Record:
    """Read a row, as a server sends it, by the name of its resource."""
    async with RawServer(lambda _: page(row)) as server, Meitner(*CREDENTIALS, base_url=server.url) as meitner:
        (found,) = await getattr(meitner.data_export, name).list().all()
        return found


def test_there_are_three_and_they_can_be_listed_and_nothing_else():
    """What the API lacks does not exist; the directory keeps its eleven resources and 61 operations."""
    assert tuple(DATA_EXPORT) == NAMES
    assert all(tuple(operations(kind)) == ("list",) for kind in DATA_EXPORT.values())
    assert {**RESOURCES, **DATA_EXPORT} == LISTED
    assert sum(len(operations(kind)) for kind in RESOURCES.values()) == 61
    client = Meitner(*CREDENTIALS)
    assert not hasattr(client.data_export.attendances, "get")
    assert not hasattr(client, "attendances")
    assert {kind.__name__ for kind in (*DATA_EXPORT.values(), *map(model_of, DATA_EXPORT.values()))} <= set(
        meitner_aio.__all__
    )


def test_every_field_is_optional():
    """At any depth: the documentation says of none that it is always there."""
    records = [model_of(kind) for kind in DATA_EXPORT.values()]
    while records:
        for field in fields(records.pop()):
            assert not field.required
            assert field.nullable
            if isinstance(field.type, type) and issubclass(field.type, Record):
                records.append(field.type)


@pytest.mark.parametrize("name", NAMES)
async def test_rows_are_read_as_the_example_has_them(name: str):
    """No field of it is lost: encoded again, the row is the same."""
    row = await only(name, ROWS[name])
    assert json.loads(encode(row)) == ROWS[name]
    assert all(value is not None for value in to_dict(row).values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "row", [{}, None, {"school": None, "student": {}}, {"id": 7, "new": [1], "student": {"x": {}, "gender": "New"}}]
)
async def test_what_is_missing_is_none_and_what_is_unknown_is_harmless(name: str, row: dict[str, object] | None):
    """Absent, null, new, and a choice that nobody knows yet."""
    given = dict.fromkeys(ROWS[name]) if row is None else row
    found = await only(name, given)
    assert isinstance(found, model_of(DATA_EXPORT[name]))
    assert found.school is None


@pytest.mark.parametrize("name", NAMES)
async def test_a_repr_shows_no_child(name: str):
    """Neither who it is nor whether it was away."""
    shown = repr(await only(name, ROWS[name]))
    for value in ("Canary", "Kanari", "20110405", "2011, 4, 5", "'Attendance'", "=20,"):
        assert value not in shown
    assert "Ekskolan" in shown


def since(sandbox: Sandbox) -> int:
    """Return how many requests came since the last time."""
    asked = len(sandbox.requests)
    sandbox.requests.clear()
    return asked


async def test_requests_are_counted():
    """1,500 rows are two pages; a proof reads them twice; a count and a first row are one request each."""
    sandbox = Sandbox(students=330, schools=5)
    async with Meitner.sandbox(sandbox) as meitner:
        listing = meitner.data_export.attendances.list()
        rows = await listing.all()
        assert (len(rows) > 1000, since(sandbox)) == (True, 2)
        assert (listing.report.level, listing.report.complete, listing.report.duplicates) == ("consistent", False, 0)
        exact = listing.paged(exact=True)
        assert await exact.all() == rows == sandbox.records("attendances")
        assert (exact.report.level, exact.report.complete, since(sandbox)) == ("stable", True, 4)
        assert (await listing.count(), since(sandbox)) == (len(rows), 1)
        assert (await listing.first(), since(sandbox)) == (rows[0], 1)


async def test_the_quota_the_gate_and_retries_are_those_of_the_client():
    """Both APIs draw from one bucket, and a failure is tried again."""
    sandbox = Sandbox(students=5, quota=100, faults=["503"])
    sandbox.heal()
    sandbox.fail("503", times=1, operations=["attendances.list"])
    async with Meitner.sandbox(sandbox) as meitner:
        assert await meitner.data_export.attendances.list().all()
        await meitner.schools.list().all()
        assert meitner.quota is not None
        assert meitner.quota.remaining == 98
        limited = meitner.with_options(max_concurrency=1)
        assert limited.data_export.attendances.list(concurrency=1)
    assert [one.operation for one in sandbox.requests] == ["attendances.list"] * 2 + ["schools.list"]


async def test_a_refused_right_is_the_usual_error():
    """Credentials for the directory may lack the right to it."""
    sandbox = Sandbox(students=1)
    sandbox.fail("403", operations=["criterion_results.list"])
    async with Meitner.sandbox(sandbox) as meitner:
        with pytest.raises(PermissionDeniedError):
            await meitner.data_export.criterion_results.list().all()


async def test_requests_go_below_the_origin_of_the_base_url_and_nowhere_else():
    """Also where a directory is behind a path."""
    seen: list[str] = []

    def reply(request: Seen) -> bytes:
        seen.append(request.target)
        return page({})

    async with RawServer(reply) as server, Meitner(*CREDENTIALS, base_url=server.url) as meitner:
        await meitner.data_export.upper_secondary_grades.list().all()
    assert seen == ["/data-export/v1/upper-secondary-grade?limit=1000&offset=0"]


async def test_a_cached_view_asks_once():
    """Whichever object the listing was taken from."""
    sandbox = Sandbox(students=5)
    async with Meitner.sandbox(sandbox) as meitner:
        view = meitner.cached(ttl=60)
        first, second = [await view.data_export.attendances.list().all() for _ in range(2)]
        assert first == second == sandbox.records("attendances")
        assert len(sandbox.requests) == 1


def test_a_portal_reads_it_without_asyncio():
    """As it reads everything else."""
    sandbox = Sandbox(students=3)
    with Portal(Meitner.sandbox(sandbox)) as portal:
        rows = list(portal.iterate(portal.meitner.data_export.attendances.list()))
    assert rows == sandbox.records("attendances")
    assert isinstance(rows[0], Attendance)


@pytest.mark.parametrize("name", [*NAMES, "upper-secondary-grades"])
async def test_what_needs_ids_refuses_it_and_says_why(name: str, tmp_path):
    """Changes, mirrors, loads and registries: before anything is asked."""
    sandbox = Sandbox(students=1)
    why = "whose rows have no ids"
    async with Meitner.sandbox(sandbox) as meitner:
        with pytest.raises(ValueError, match=why):
            meitner.changes(resources=[name])
        with pytest.raises(ValueError, match=why):
            directory(meitner, [name])
        async with Mirror(tmp_path / "m.sqlite") as mirror:
            with pytest.raises(ValueError, match=why):
                await mirror.sync(meitner, [name])
        with pytest.raises(ValueError, match=why):
            Desired(**{name: []})
        (tmp_path / "registry").mkdir(mode=0o700)
        (tmp_path / "registry" / f"{name}.csv").write_text("a,b\n1,2\n", encoding="utf-8")
        with pytest.raises(ValueError, match=why):
            Desired.load(tmp_path / "registry")
    assert not sandbox.requests


async def test_a_mirror_has_it_never(tmp_path):
    """And says so: the rows of a mirror have ids."""
    async with Meitner.sandbox(students=1) as meitner, Mirror(tmp_path / "m.sqlite") as mirror:
        await mirror.sync(meitner, ["schools"])
    async with Meitner(offline=tmp_path / "m.sqlite") as offline:
        with pytest.raises(APIConnectionError, match="keeps no attendances"):
            await offline.data_export.attendances.list().all()


async def test_a_row_of_another_shape_can_be_left_out():
    """One field of another type than the example's ends a read, unless such rows are skipped and named."""
    rows = [{"report": {"week": "6"}}, {"report": {"week": {"number": 6}}}, {"report": None}]
    body = answer(200, {"data": rows, "pagination": {"offset": 0, "limit": 1000, "total": 3}})
    async with (
        RawServer(lambda _: body) as server,
        Meitner(*CREDENTIALS, base_url=server.url, max_retries=0) as meitner,
    ):
        listing = meitner.data_export.attendances.list()
        with pytest.raises(ResponseValidationError):
            await listing.all()
        skipping = listing.paged(on_invalid="skip", exact=True)
        assert len(await skipping.all()) == 2
        assert (skipping.report.complete, len(skipping.report.invalid)) == (False, 1)


async def test_a_snapshot_has_it_where_it_was_exported(tmp_path):
    """And says so where it was not."""
    from meitner_aio.export import export

    sandbox = Sandbox(students=30)
    async with Meitner.sandbox(sandbox) as meitner:
        await export(meitner, ["attendances", "schools"], to=tmp_path / "out")
    async with Meitner(offline=tmp_path / "out") as offline:
        assert await offline.data_export.attendances.list().all() == sandbox.records("attendances")
        assert len(await offline.schools.list().all()) == 4
        with pytest.raises(APIConnectionError, match="holds no criterion_results; export them, too"):
            await offline.data_export.criterion_results.list().all()
