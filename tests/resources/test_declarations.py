"""The declarations of the resources: what a client and its cached view have follows from them."""

from __future__ import annotations

import pytest

from meitner_aio import ApiKey, Meitner
from meitner_aio._operations.members import Member, SearchableMember
from meitner_aio._operations.operations import operations
from meitner_aio._operations.reads import Reads, Searches
from meitner_aio.resources import RESOURCES, Resources

CLIENT = Meitner(auth=ApiKey("me", "hush"))


@pytest.mark.parametrize("name", RESOURCES)
def test_what_can_be_searched_is_declared_so(name):
    """Type checkers hear of a search by the declaration, which must say what the table of operations says."""
    assert isinstance(vars(Resources)[name], SearchableMember) is ("search" in operations(RESOURCES[name]))


@pytest.mark.parametrize("name", RESOURCES)
def test_a_client_has_each_and_a_view_its_reads(name):
    """The same names for both; what reads only has no write."""
    view = CLIENT.cached()
    assert type(getattr(CLIENT, name)) is RESOURCES[name]
    assert type(getattr(view, name)) is (Searches if "search" in operations(RESOURCES[name]) else Reads)
    assert not hasattr(getattr(view, name), "create")


def test_a_resource_is_bound_once():
    """Afterwards it is a plain attribute of its own client: a copy has another, with its own options."""
    copied = CLIENT.with_options(max_retries=0)
    assert CLIENT.students is CLIENT.students
    assert copied.students is not CLIENT.students
    assert copied.students is copied.students
    assert isinstance(Meitner.students, Member)
