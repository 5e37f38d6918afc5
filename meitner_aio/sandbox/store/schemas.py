"""The record and the bodies of writes of each resource, read from its declaration."""

from __future__ import annotations

from typing import NamedTuple

from ..._operations.operations import operations
from ..._operations.resource import model_of
from ...records import DirectoryRecord, Record
from ...resources import RESOURCES


class ResourceSchema(NamedTuple):
    """The types of one resource."""

    model: type[DirectoryRecord]
    bodies: dict[str, type[Record]]
    """The body that an operation takes, by the name of the operation."""


def resource_schemas() -> dict[str, ResourceSchema]:
    """Return the schema of every resource, by its attribute of the client."""
    found: dict[str, ResourceSchema] = {}
    for attribute, resource in RESOURCES.items():
        bodies = {name: operation.body for name, operation in operations(resource).items() if operation.body}
        found[attribute] = ResourceSchema(model_of(resource), bodies)
    return found
