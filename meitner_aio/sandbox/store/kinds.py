"""What the sandbox knows of a resource, read from its declaration: the record it keeps and the bodies of its writes."""

from __future__ import annotations

from typing import NamedTuple

from ..._operations.operations import operations
from ..._operations.resource import model_of
from ...records import Record
from ...resources import RESOURCES


class Kind(NamedTuple):
    """A kind of record."""

    model: type[Record]
    bodies: dict[str, type[Record]]
    """What an operation takes, by its name."""


def kinds() -> dict[str, Kind]:
    """Return every kind of record by the attribute of the client that holds it."""
    found: dict[str, Kind] = {}
    for attribute, resource in RESOURCES.items():
        bodies = {name: operation.body for name, operation in operations(resource).items() if operation.body}
        found[attribute] = Kind(model_of(resource), bodies)
    return found
