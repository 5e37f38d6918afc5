"""A registry written from records: what `reconcile` is tried on."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meitner_aio.reconcile import Desired, Reference
from meitner_aio.reconcile.registry._written import write_registry
from meitner_aio.records import DirectoryRecord
from meitner_aio.sandbox import Sandbox

PEOPLE_WITH_A_NUMBER_IN_COMMON = 2000
"""Students of a sandbox in which an employee and a guardian have the same identity number."""


def _resolver(sandbox: Sandbox) -> Callable[[Reference], str]:
    """Return what finds the only record that a reference may mean."""
    known: dict[tuple[str, str, object], str] = {}
    for resource in ("students", "employees", "guardians", "schools", "units"):
        for record in sandbox.records(resource):
            known[resource, "source_id", record.external.source_id] = record.id
            known[resource, "identity_number", getattr(record, "identity_number", None)] = record.id

    def resolve(reference: Reference) -> str:
        keys = [(home, reference.by, reference.value) for home in reference.resources]
        (found,) = (known[key] for key in keys if key in known)
        return found

    return resolve


def _said(record: DirectoryRecord, name: str) -> Any:
    value = getattr(record, name)
    if name == "external":
        return value.source_id
    return sorted(value) if isinstance(value, list) else value


@pytest.mark.parametrize("students", [40, PEOPLE_WITH_A_NUMBER_IN_COMMON])
def test_what_a_sandbox_holds_is_a_registry_without_problems(tmp_path: Path, students: int) -> None:
    """Every record is a row that says what the record does, and nothing had to be put right."""
    sandbox = Sandbox(students=students, owned=True)
    counts = write_registry(tmp_path / "registry", sandbox.records)
    desired, resolve = Desired.load(tmp_path / "registry"), _resolver(sandbox)
    assert desired.problems == ()
    assert {note.kind.value for note in desired.notes} == {"check_digit"}
    assert {name: desired.count(name) for name in desired.resources} == counts
    assert len(counts) == 8
    for name in desired.resources:
        for row, record in zip(desired.rows(name), sandbox.records(name), strict=True):
            body = row.body(resolve)
            assert {key: _said(record, key) for key in row.fields} == {key: _said(body, key) for key in row.fields}
            assert "external" in row.fields


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """It holds the personal data of whatever directory it was written from."""
    write_registry(tmp_path / "registry", Sandbox(students=3, owned=True).records)
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "registry").stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "registry").iterdir()} == {0o600}


def test_a_registry_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    """It may be the real one."""
    (tmp_path / "students.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        write_registry(tmp_path, Sandbox(students=3, owned=True).records)
    assert (tmp_path / "students.csv").read_text(encoding="utf-8") == "mine"


def test_a_record_that_nothing_tells_from_others_cannot_be_referred_to(tmp_path: Path) -> None:
    """Two schools of one title and without ids: a row about either would be about both."""
    sandbox = Sandbox(students=3, owned=True)
    with pytest.raises(ValueError, match="school_id refers to 1 records that are not given"):
        write_registry(tmp_path, lambda name: [] if name == "schools" else sandbox.records(name))
