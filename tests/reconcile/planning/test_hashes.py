"""Hashes are the same where a comparison sees no difference, and for nobody without the credential."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import structs

from meitner_aio._operations.comparison import is_changed
from meitner_aio._pipeline.identity import Reader
from meitner_aio.reconcile.planning._hashes import Hashes
from meitner_aio.records import Address, External, Meta
from meitner_aio.resources.groups import Group
from meitner_aio.resources.students import Student

ONE, TWO = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", "6f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"
GROUP = Group(id=ONE, school_id=TWO, title="7A", member_ids=[ONE, TWO])
STUDENT = Student(id=ONE, identity_number="20150101-2387", first_name="\u00c9va", last_name="Ek")


@pytest.fixture(scope="module")
def hashes():
    """Give the hashes of a proposal."""
    return Hashes(Reader("https://example.com", {"Client-ID": "a"}), "5a")


@pytest.mark.parametrize(
    ("one", "changes"),
    [
        (GROUP, {"member_ids": [TWO, ONE]}),
        (GROUP, {"member_ids": [ONE.upper(), TWO]}),
        (GROUP, {"meta": Meta(created_at=datetime(2026, 1, 1, tzinfo=UTC))}),
        (GROUP, {"external": External(source_id=None, source=None)}),
        (STUDENT, {"address": Address(postal_code=None)}),
        (STUDENT, {"first_name": "E\u0301va"}),
        (GROUP, {"school_id": TWO.upper()}),
    ],
)
def test_what_does_not_differ_has_one_hash(hashes, one, changes):
    """The order of lists, the case of ids, the form of letters, objects of nulls, and stamps mean nothing."""
    assert hashes.of_record(structs.replace(one, **changes)) == hashes.of_record(one)


@pytest.mark.parametrize(
    ("one", "changes"),
    [
        (GROUP, {"member_ids": [ONE]}),
        (GROUP, {"title": "7B"}),
        (GROUP, {"external": External(source_id="x", source="y")}),
        (STUDENT, {"address": Address(postal_code="12345")}),
        (STUDENT, {"first_name": "Eva"}),
        (STUDENT, {"phone_number1": ""}),
    ],
)
def test_what_differs_has_another(hashes, one, changes):
    """So that a record that somebody changed is seen."""
    other = structs.replace(one, **changes)
    assert is_changed(one, other)
    assert hashes.of_record(other) != hashes.of_record(one)


def test_hashes_are_of_one_credential_and_one_proposal(hashes):
    """Neither another client's nor another salt's tell that two are the same."""
    others = [
        Hashes(Reader("https://example.com", {"Client-ID": "b"}), "5a"),
        Hashes(Reader("https://example.org", {"Client-ID": "a"}), "5a"),
        Hashes(Reader("https://example.com", {"Client-ID": "a"})),
    ]
    assert len({one.of_record(STUDENT) for one in (hashes, *others)}) == 4
    assert hashes.of_id("students", ONE.upper()) == hashes.of_id("students", ONE)
    assert hashes.of_id("students", ONE) != hashes.of_id("guardians", ONE)
