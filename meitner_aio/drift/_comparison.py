"""The comparison itself, resource by resource and operation by operation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._operations.operations import Operation, Resource, operations
from .._operations.resource import model_of
from ..records import DirectoryRecord, Error, Kind, Pagination, fields
from ..resources import RESOURCES
from ._api import Described, Place, described
from ._conditions import Conditions
from ._fields import Expected, Fields
from ._notes import Notes, listed, shown
from ._schema import Json, Reader

_PARAMETERS = {"list": ("limit", "offset"), "search": ("limit", "offset")}


def differences(document: Json) -> list[str]:
    """Return a line for each difference between an OpenAPI document and what this version declares."""
    reader, notes = Reader(document), Notes(RESOURCES)
    found = described(document, reader, [resource.path for resource in RESOURCES.values()])
    paths = {name: _path(reader, resource, found) for name, resource in RESOURCES.items()}
    if not any(path in found for path in paths.values()):
        return ["the document describes another API: it has none of the resources"]
    comparison = _Comparison(reader, notes)
    for name, path in paths.items():
        if path not in found:
            notes.add("", f"resource {name}", "is gone")
            continue
        if path != RESOURCES[name].path:
            notes.add(name, "path", f"is {shown(path)} now, not {RESOURCES[name].path}")
        comparison.resource(name, found[path])
    comparison.finish()
    for path in sorted(found.keys() - set(paths.values())):
        notes.add("", f"new resource {shown(path)}", f"({', '.join(_name(path, place) for place in found[path])})")
    return notes.lines()


def _path(reader: Reader, resource: type[Resource[Any]], found: Mapping[str, Mapping[Place, Described]]) -> str:
    """Return the path of a resource in a document, which may have moved: then it has the same operations and fields."""
    if resource.path in found:
        return resource.path
    places = {(operation.method, operation.suffix) for operation in operations(resource).values()}
    model: type[DirectoryRecord] = model_of(resource)
    names = {field.wire for field in fields(model)}
    taken = {other.path for other in RESOURCES.values()}
    for path, described_ in found.items():
        if path in taken:
            continue
        got = described_.get(("GET", "/{id}"))
        if {*described_} == places and got and got.answer and names == {*(reader.members(got.answer) or ())}:
            return path
    return resource.path


def _usual() -> dict[Place, str]:
    """Return the names of the operations that any resource has."""
    tables = [operations(resource) for resource in RESOURCES.values()]
    return {(one.method, one.suffix): name for table in tables for name, one in table.items()}


def _name(path: str, place: Place) -> str:
    return _usual().get(place) or f"{place[0]} {shown(path + place[1])}"


class _Comparison:
    """Compares resources, one after the other."""

    def __init__(self, reader: Reader, notes: Notes) -> None:
        self._notes = notes
        self._fields = Fields(reader, notes)
        self._conditions = Conditions(reader, notes, self._fields)

    def resource(self, name: str, found: Mapping[Place, Described]) -> None:
        """Compare a resource's operations with those of a document."""
        resource = RESOURCES[name]
        known = {(one.method, one.suffix): one for one in operations(resource).values()}
        moved = _moved(known.keys() - found.keys(), found.keys() - known.keys())
        for place, operation in known.items():
            there = moved.get(place, place)
            if there not in found:
                self._notes.add(name, f"operation {operation.name}", "is gone")
                continue
            if there != place:
                self._notes.add(
                    name, f"operation {operation.name}", f"is {there[0]} {shown(resource.path + there[1])} now"
                )
            self._operation(name, operation, found[there])
        for place in found:
            if place not in known and place not in moved.values():
                self._notes.add(name, f"operation {_name(resource.path, place)}", "is new")

    def _operation(self, name: str, operation: Operation, found: Described) -> None:
        subject = f"operation {operation.name}"
        if found.deprecated:
            self._notes.add(name, subject, "is deprecated now")
        self._answer(name, operation, found)
        self._body(name, operation, found)
        self._parameters(name, operation, found)
        for failure in found.failures:
            self._fields.object("failures", {"error": Expected(Kind.OBJECT, inner=Error)}, failure, "read")

    def _parameters(self, name: str, operation: Operation, found: Described) -> None:
        known = _PARAMETERS.get(operation.name, ())
        for one in {**dict.fromkeys(known), **found.parameters}:
            member = found.parameters.get(one)
            if member is not None and one not in known:
                demand = ", required" if member.required else ""
                subject, change = f"new parameter {listed([one])}", f"({member.value.named}{demand})"
            else:
                subject, change = f"parameter {listed([one])}", "" if member is not None else "is gone"
            for part in _PARAMETERS.keys() & operations(RESOURCES[name]).keys():
                self._notes.looked_at(name, subject, part)
            if change:
                self._notes.add(name, subject, change, operation.name)

    def _answer(self, name: str, operation: Operation, found: Described) -> None:
        subject, status = f"operation {operation.name}", str(operation.status)
        if not found.statuses or (found.answer is None) is (operation.status != 204):
            what = "nothing that is described" if found.answer is None else "more than nothing"
            self._notes.add(name, subject, f"answers {what} now")
        elif found.statuses != (status,):
            self._notes.add(name, subject, f"answers {shown(' or '.join(found.statuses))} now, not {status}")
        if found.answer is None or operation.status == 204:
            return
        model: type[DirectoryRecord] = model_of(RESOURCES[name])
        if operation.name in _PARAMETERS:
            page = {
                "data": Expected(Kind.OBJECT, many=True, inner=model, owner=name),
                "pagination": Expected(Kind.OBJECT, inner=Pagination),
            }
            self._fields.object("pages", page, found.answer, "read")
        else:
            self._fields.record(name, model, found.answer, "read")

    def _body(self, name: str, operation: Operation, found: Described) -> None:
        subject, body = f"operation {operation.name}", operation.body
        if (body is None) is not (found.body is None):
            self._notes.add(name, subject, "takes a body now" if body is None else "takes no body any more")
        if body is None or found.body is None:
            return
        if operation.name == "search":
            self._conditions.search(name, body, found.body)
        else:
            self._fields.record(name, body, found.body, operation.name)

    def finish(self) -> None:
        """Note what is known at the end alone."""
        self._conditions.finish()
        self._fields.finish()


def _moved(gone: set[Place], new: set[Place]) -> dict[Place, Place]:
    """Return where operations went: to another method of the same path, or, when only one is gone, to another path."""
    moved = {
        place: candidates[0]
        for place in gone
        if len(candidates := [other for other in new if other[1] == place[1]]) == 1
        and len([other for other in gone if other[1] == place[1]]) == 1
    }
    if not moved and len(gone) == len(new) == 1 and next(iter(gone))[0] == next(iter(new))[0]:
        return dict(zip(gone, new, strict=True))
    return moved
