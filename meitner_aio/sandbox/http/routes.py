"""Which operation a method and a path mean: the table of all resources' operations, read from their declarations."""

from __future__ import annotations

from typing import NamedTuple

from ..._operations.operations import Search, operations
from ..._wire.validation import checked_id
from ...resources import RESOURCES
from .answers import Refusal, malformed

_SEARCH = Search.suffix.removeprefix("/")


class Place(NamedTuple):
    """An operation of a resource, and the record it concerns."""

    attribute: str
    operation: str
    status: int
    """That of a success."""
    route: str
    """The path, with its id named."""
    id: str = ""


class Routes:
    """Every path of the API with its methods."""

    def __init__(self) -> None:
        self._methods: dict[str, dict[str, Place]] = {}
        for attribute, resource in RESOURCES.items():
            for name, operation in operations(resource).items():
                route = operation.route(resource)
                methods = self._methods.setdefault(route, {})
                methods[operation.method] = Place(attribute, name, operation.status, route)

    def find(self, method: str, path: str) -> Place:
        """Return what is asked; 404 for an unknown path, 405 for another method, 400 for an id that is no UUID."""
        route, id = self._route(path)
        methods = self._methods.get(route)
        if methods is None:
            raise Refusal(404, "there is nothing at this path")
        if method not in methods:
            raise Refusal(405, f"{route} does not take {method}", {"Allow": ", ".join(methods)})
        if not id:
            return methods[method]
        try:
            return methods[method]._replace(id=checked_id(id))
        except ValueError as error:
            malformed(str(error))

    def _route(self, path: str) -> tuple[str, str]:
        """Return a path with `{id}` in place of its id, and the id: any part there that is not "search"."""
        parts = path.split("/")
        if len(parts) < 3 or parts[2] == _SEARCH:  # "", name, id
            return path, ""
        id, parts[2] = parts[2], "{id}"
        return "/".join(parts) if id else "", id
