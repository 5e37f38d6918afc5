"""A source of dlt: what is loaded is the directory, first and after every change."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import warehouses
from dlt.destinations.sql_jobs import SqlMergeFollowupJob
from dlt.pipeline.exceptions import PipelineStepFailed
from msgspec.structs import replace
from warehouses import ALL, Warehouse, altered

from meitner_aio import IncompleteListing, Meitner
from meitner_aio.changes import Changes, Deleted, Upserted
from meitner_aio.dlt import _rows, directory
from meitner_aio.export.formats import arrow
from meitner_aio.export.formats.arrow import ArrowRows
from meitner_aio.export.formats.columns import Column, Rows
from meitner_aio.portal import Portal
from meitner_aio.records import Kind
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox

alone, portal, postgres, sandbox = warehouses.alone, warehouses.portal, warehouses.postgres, warehouses.sandbox
duckdb, warehouse = warehouses.duckdb, warehouses.warehouse

PERSON = {"identity_number": "20150315-1234", "first_name": "Bo", "last_name": "Ek"}


def change(portal: Portal, sandbox: Sandbox) -> None:
    """Change a directory: rows more, rows fewer, some others, one that came and went."""
    run, meitner = portal.run, portal.meitner
    run(meitner.students.create(**PERSON))
    gone = run(meitner.students.create(identity_number="20150316-1234", first_name="Bi", last_name="Ek"))
    run(meitner.students.delete(gone.id))
    for guardian in sandbox.records("guardians")[:2]:
        run(meitner.guardians.delete(guardian.id))
    for school in sandbox.records("schools"):
        run(meitner.schools.modify(school, title=f"{school.title} ny"))
    first, second, *_ = sandbox.records("grade_elementaries")
    run(meitner.grade_elementaries.delete(first.id))
    run(meitner.grade_elementaries.modify(second, grade="A" if second.grade != "A" else "B"))


def test_a_load_after_every_change(warehouse: Warehouse, portal: Portal, sandbox: Sandbox) -> None:
    """All tables are what the directory is: a row that came and went in between leaves nothing, either."""
    warehouse.load(directory(portal))
    warehouse.check(sandbox)
    change(portal, sandbox)
    warehouse.load(directory(portal))
    warehouse.check(sandbox)
    change_back = sandbox.records("schools")[0]
    portal.run(portal.meitner.schools.modify(change_back, title="Skolan"))
    warehouse.load(directory(portal))
    warehouse.check(sandbox)


def test_tables_are_those_of_sqlite(duckdb: Warehouse, portal: Portal) -> None:
    """In names, and in the order of columns; one column more, which is always null, marks what is to be deleted."""
    duckdb.load(directory(portal))
    tables = duckdb.pipeline.default_schema.data_table_names()
    assert sorted(tables) == sorted(ALL)
    for name in ALL:
        columns = duckdb.pipeline.default_schema.get_table_columns(name)
        assert [*columns] == [*(column.name for column in Rows(RESOURCES[name].model).columns), "_deleted_at"]
        assert duckdb.ask(f"SELECT count(*) FROM {name} WHERE _deleted_at IS NOT NULL") == [(0,)]
    types = duckdb.pipeline.default_schema.get_table_columns("students")
    assert [types[name]["data_type"] for name in ("id", "date_of_birth", "meta_created_at")] == [
        "text",
        "date",
        "timestamp",
    ]


def test_a_quiet_load_asks_little_and_loads_nothing(duckdb: Warehouse, portal: Portal, sandbox: Sandbox) -> None:
    """Two requests a resource that can be searched: its own changes and deletions; grades take their pages."""
    duckdb.load(directory(portal))
    sandbox.requests.clear()
    duckdb.load(directory(portal, ["students", "guardians", "schools"]))
    assert len(sandbox.requests) == 5  # nothing tells of deleted schools
    duckdb.check(sandbox)
    duckdb.load(directory(portal, ["grade_elementaries"], grades_every=86_400))
    assert len(sandbox.requests) == 6


def test_a_column_that_is_new(warehouse: Warehouse, portal: Portal, sandbox: Sandbox, monkeypatch: Any) -> None:
    """What an earlier version loaded has no such column: it is added, and the rows are read again for its values."""
    older = ["identity_number", "first_name", "last_name"]
    with monkeypatch.context() as patched:
        patched.setattr(_rows, "ArrowRows", lambda model, _: ArrowRows(model, older))
        warehouse.load(directory(portal, ["students"]))
    assert set(warehouse.rows("students")[0]) == {"id", *older, "_deleted_at"}
    warehouse.load(directory(portal, ["students"]))
    warehouse.check(sandbox, ["students"])


def test_a_field_that_this_version_does_not_know(duckdb: Warehouse, sandbox: Sandbox) -> None:
    """A newer API changes neither tables nor rows."""

    def newer(_: str, body: dict[str, Any]) -> None:
        for row in body.get("data", ()):
            row["shoeSize"] = 38

    with Portal(Meitner.sandbox(altered(sandbox, newer))) as portal:
        duckdb.load(directory(portal, ["students"]))
        duckdb.load(directory(portal, ["students"]))
    duckdb.check(sandbox, ["students"])


def test_a_type_that_is_another_fails(duckdb: Warehouse, portal: Portal, sandbox: Sandbox, monkeypatch: Any) -> None:
    """Types are frozen: a column of another type is for somebody to decide about, and changes nothing."""
    duckdb.load(directory(portal, ["students"]))
    member = arrow._member
    monkeypatch.setattr(arrow, "_member", lambda module, column, types: member(module, _as_text(column), types))
    with pytest.raises(PipelineStepFailed, match="date_of_birth"):
        duckdb.load(directory(portal, ["students"]))
    assert not duckdb.pipeline.has_pending_data
    duckdb.check(sandbox, ["students"])


def _as_text(column: Column) -> Column:
    return column._replace(kind=Kind.TEXT) if column.name == "date_of_birth" else column


def test_a_row_that_is_told_more_than_once(sandbox: Sandbox) -> None:
    """It is merged once, as it was told last; a deletion finds it however its id is spelled."""
    rows = _rows.ResourceRows("schools", None)
    first, second = sandbox.records("schools")
    latest = _rows.Latest(rows)
    for change in (
        Upserted("schools", first),
        Upserted("schools", second),
        Deleted("schools", second.id),
        Deleted("schools", first.id.upper()),
        Upserted("schools", replace(first, title="Skolan")),
    ):
        latest.add(change)
    told, gone = (table.to_pylist() for table in latest.tables())
    assert [(row["id"], row["title"], row["_deleted_at"]) for row in told] == [(first.id, "Skolan", None)]
    assert [row["id"] for row in gone] == [second.id.lower(), second.id.upper()]
    assert all(row["_deleted_at"] for row in gone)


def test_another_directory_takes_the_place_of_the_first(
    warehouse: Warehouse, portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    """A checkpoint that cannot be followed: everything is read, and what is not there any more is deleted."""
    names = ["students", "guardians", "schools"]
    warehouse.load(directory(portal, names))
    other = Sandbox(students=8, schools=2, seed=5)
    with caplog.at_level(logging.WARNING, "meitner_aio.dlt"):
        warehouse.load(directory(Meitner.sandbox(other), names))
    assert [record.args[0] for record in caplog.records if record.name == "meitner_aio.dlt"] == [
        "schools",
        "guardians",
        "students",
    ]
    warehouse.check(other, names)
    empty = Sandbox(students=0, schools=2, seed=5)
    warehouse.load(directory(Meitner.sandbox(empty), names))
    assert warehouse.rows("students") == []
    warehouse.check(empty, names)


@pytest.mark.parametrize("meitner", ["another", "same"])
def test_a_merge_that_fails_takes_nothing_away(
    meitner: str, warehouse: Warehouse, portal: Portal, sandbox: Sandbox, monkeypatch: Any
) -> None:
    """Rows go and come in one transaction: of everything, and of what changed."""
    warehouse.load(directory(portal, ["students"]))
    before = warehouse.records("students")
    if meitner == "another":
        portal = Portal(Meitner.sandbox(students=8, seed=5))
    else:
        portal.run(portal.meitner.students.modify(sandbox.records("students")[0], first_name="Bo"))
    merged = SqlMergeFollowupJob.gen_merge_sql
    with monkeypatch.context() as patched:
        patched.setattr(SqlMergeFollowupJob, "gen_merge_sql", lambda *args: [*merged(*args), "SELECT missing"])
        with pytest.raises(PipelineStepFailed, match="missing"):
            warehouse.load(directory(portal, ["students"]))
    assert warehouse.records("students") == before


def test_a_load_that_is_given_up(duckdb: Warehouse, portal: Portal, sandbox: Sandbox) -> None:
    """Its rows go, and its checkpoint with them: the next load begins before it."""
    duckdb.load(directory(portal, ["schools", "students"]))
    change(portal, sandbox)
    duckdb.pipeline.extract(directory(portal, ["schools", "students"]))
    duckdb.pipeline.abort_packages()
    duckdb.load(directory(portal, ["schools", "students"]))
    duckdb.check(sandbox, ["schools", "students"])


def test_a_package_that_is_finished_with_an_older_schema(
    warehouse: Warehouse, portal: Portal, sandbox: Sandbox
) -> None:
    """As by dlt after a kill in between: what changed takes nothing else away, and everything takes the rest away."""
    names = ["schools", "guardians", "students"]
    warehouse.load(directory(portal, names))
    change(portal, sandbox)
    extracted(warehouse, directory(portal, names))
    warehouse.load(directory(portal, names))
    warehouse.check(sandbox, names)
    other = Sandbox(students=8, schools=2, seed=5)
    with Portal(Meitner.sandbox(other)) as another:
        extracted(warehouse, directory(another, names))
        warehouse.load(directory(another, names))
    warehouse.check(other, names)


def extracted(warehouse: Warehouse, source: Any) -> None:
    """Extract a source, and put back the schema of the load before it."""
    (schema,) = (warehouse.folder / "meitner" / "schemas").iterdir()
    before = schema.read_bytes()
    warehouse.pipeline.extract(source)
    schema.write_bytes(before)


def test_resources_have_checkpoints_of_their_own(duckdb: Warehouse, portal: Portal, sandbox: Sandbox) -> None:
    """One that is loaded later, or less often, misses nothing, and holds up nobody."""
    duckdb.load(directory(portal, ["students"]))
    change(portal, sandbox)
    duckdb.load(directory(portal, ["guardians"]))
    state = duckdb.pipeline.state["sources"]["meitner"]["resources"]
    assert state["students"]["checkpoint"] != state["guardians"]["checkpoint"]
    duckdb.check(sandbox, ["guardians"])
    sandbox.requests.clear()
    duckdb.load(directory(portal, ["students", "guardians"]))
    assert {request.operation for request in sandbox.requests} == {
        "students.search",
        "guardians.search",
        "audit_events.search",
    }
    duckdb.check(sandbox, ["students", "guardians"])


def test_a_part_of_a_source(duckdb: Warehouse, portal: Portal, sandbox: Sandbox) -> None:
    """`with_resources` chooses as for any source; a load with a limit deletes nothing that it did not read."""
    duckdb.load(directory(portal).with_resources("schools", "students"))
    assert sorted(duckdb.pipeline.default_schema.data_table_names()) == ["schools", "students"]
    duckdb.check(sandbox, ["schools", "students"])
    other = Meitner.sandbox(students=8, seed=5)
    duckdb.load(directory(other, ["students"]).add_limit(1))
    assert {record.id for record in sandbox.records("students")} < {*duckdb.records("students")}


def test_a_listing_that_lacks_rows_fails_the_load(warehouse: Warehouse, portal: Portal, sandbox: Sandbox) -> None:
    """With what the listing says of it; nothing is loaded, of other resources neither, and the next load makes up."""
    names = ["schools", "students"]
    warehouse.load(directory(portal, names))
    before = warehouse.pipeline.state["sources"]
    change(portal, sandbox)

    def lacking(path: str, body: dict[str, Any]) -> None:
        if "student" in path and "data" in body and "Event" not in path:
            body["pagination"]["total"] += 3

    other = Sandbox(students=9, schools=2, seed=7)
    with Portal(Meitner.sandbox(altered(other, lacking))) as faulty, pytest.raises(PipelineStepFailed) as failed:
        warehouse.load(directory(faulty, names))
    assert any(isinstance(error, IncompleteListing) and "students: " in str(error) for error in _causes(failed.value))
    assert warehouse.pipeline.state["sources"] == before
    assert not warehouse.pipeline.has_pending_data
    warehouse.load(directory(portal, names))
    warehouse.check(sandbox, names)


def _causes(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *_causes(error.__cause__ or error.__context__)]


def test_changes_without_a_proof_fail_the_load(duckdb: Warehouse, portal: Portal, monkeypatch: Any) -> None:
    """Also where they came to their end, and have a checkpoint: the error has what their report says."""
    duckdb.load(directory(portal, ["students"]))
    reports = Changes.reports

    def doubted(changes: Changes) -> Any:
        found = reports.__get__(changes)
        return {name: replace(report, complete=False, problems=("a doubt",)) for name, report in found.items()}

    monkeypatch.setattr(Changes, "reports", property(doubted))
    before = duckdb.pipeline.state["sources"]
    with pytest.raises(PipelineStepFailed, match=r"students: .*: a doubt"):
        duckdb.load(directory(portal, ["students"]))
    assert duckdb.pipeline.state["sources"] == before


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"resources": ["pupils"]}, ValueError),
        ({"resources": ["audit_events"]}, ValueError),
        ({"resources": []}, ValueError),
        ({"lookback": -1}, ValueError),
        ({"lookback": "long"}, TypeError),
        ({"grades_every": True}, TypeError),
        ({"meitner": "https://example.org"}, TypeError),
    ],
)
def test_what_means_nothing_is_refused_at_once(given: dict[str, Any], error: type[Exception]) -> None:
    """Before any request, and by the error that such a value has everywhere."""
    with pytest.raises(error):
        directory(**{"meitner": None} | given)
