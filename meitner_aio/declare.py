"""Endpoints of one's own: the language in which the resources of this package are declared.

```python
class Member(Record):
    id: str
    first_name: Personal[str]


class Members(Resource[Member]):
    path = "/space/{space}/members"
    model = Member

    list = List()
    get = Get()
    invite = Action("POST", "/{id}/invite", answer=Member)


members = meitner.resource(Members, space="5f0c...")
```

There is no second implementation: what is declared here has what every resource has.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from ._operations.action import Action
from ._operations.operations import Get, List, Search
from ._operations.resource import Resource
from ._operations.writes import Create, Delete, Update
from ._wire.envelopes import Paging
from .query import ResourceQuery
from .records import DirectoryRecord, Id, Meta, OpenEnum, OrAbsent, Personal, Record, Timestamp

__all__ = [
    "UNSET",
    "Action",
    "Create",
    "Delete",
    "DirectoryRecord",
    "Get",
    "Id",
    "List",
    "Meta",
    "OpenEnum",
    "OrAbsent",
    "Paging",
    "Personal",
    "Record",
    "Resource",
    "ResourceQuery",
    "Search",
    "Timestamp",
    "UnsetType",
    "Update",
]
