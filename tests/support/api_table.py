"""What the Meitner Directory API (v1) says of itself: `api_table.txt`, one fact a line, and the few lines that read it.

This is the tests' own statement of the API: it shares nothing with the package, so that either can prove the other
wrong. The lines of the table:

    enum NAME VALUE...                                an enum and all of its values
    error STATUS CODE                                 an error status and the code in its error object
    groups LETTER WORD POSITIVE... | NEGATIVE...      a kind of condition, and the filter groups that express it
    operation NAME METHOD SUFFIX STATUS QUERY ERRORS  success status, query parameters, error statuses
    object NAME                                       an object that records share; its fields follow
    resource NAME ATTRIBUTE PATH OPERATION...         a resource; its fields follow
        FIELD KIND PARTS CONDITIONS

KIND is uuid, string, boolean, integer, date, date-time, enum:Name, object:Name or a list<...> of one of these, followed by
`!` when required, `?` when nullable, `=value` for a default. PARTS says where the field is: r in what is read, c in a
create, u in an update. CONDITIONS are the letters of the groups that a search takes for the field; in an object field
the letters of the object's own fields narrow them further. `-` stands for none.

A default is what the server assumes when a create leaves the field out. So reading gives the default where an answer has
no such field, but a write never sends one: in an update it would reset what nobody asked to change.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

SERVERS = {
    "production": "https://api.meitner.se/directory/v1",
    "staging": "https://api.staging.meitner.se/directory/v1",
}
API_KEY_HEADERS = {"client_credentials": "Client-ID", "client_secret": "Client-Secret"}
"""Both on every request."""
OAUTH2_GRANT, OAUTH2_TOKEN_PATH, OAUTH2_SCOPES = "client_credentials", "/oauth/token", ()
"""The path is relative to the server; the token goes into Authorization as a bearer, instead of the two headers."""
RATE_LIMIT_HEADERS = {
    "RateLimit-Limit": "requests permitted an hour",
    "RateLimit-Remaining": "requests left in the current window",
    "RateLimit-Reset": "when the window ends: UTC epoch milliseconds, as a string",
}
LIST_ENVELOPE = {"data": "list of the resource", "pagination": "object:Pagination"}
ERROR_ENVELOPE = {"error": "object:Error"}
SEARCH_BODY = {"filter": "the filter of the resource, required"}
FILTER_COMBINATORS = {"orCondition": "boolean, required: AND or OR", "nestedFilters": "list of filters of the resource"}

TABLE = Path(__file__).with_name("api_table.txt").read_text(encoding="utf-8")


class Field(NamedTuple):
    """A field of an object or a resource."""

    wire: str
    kind: str
    """As in the table, without the marks: `list<uuid>`."""
    required: bool
    nullable: bool
    default: str | None
    parts: str
    conditions: str

    @property
    def element(self) -> str:
        """The kind of a single value: of the elements, for a list."""
        return self.kind.removeprefix("list<").removesuffix(">")


class Operation(NamedTuple):
    """What one operation sends and may be answered with."""

    name: str
    method: str
    suffix: str
    status: int
    query: tuple[str, ...]
    errors: tuple[int, ...]


class Resource(NamedTuple):
    """A resource: its operations by name, its fields in order (`external` twice: read, and written)."""

    name: str
    attribute: str
    path: str
    operations: tuple[str, ...]
    fields: list[Field]

    def part(self, letter: str) -> dict[str, Field]:
        """Return what is read (r), created (c) or updated (u), by wire name."""
        return {field.wire: field for field in self.fields if letter in field.parts}


class Api(NamedTuple):
    """The whole table, by name."""

    enums: dict[str, tuple[str, ...]]
    errors: dict[int, str]
    groups: dict[str, tuple[str, ...]]
    """Filter groups by the letter of their kind of condition, each next to its negation."""
    operations: dict[str, Operation]
    objects: dict[str, list[Field]]
    resources: dict[str, Resource]


def parse(text: str = TABLE) -> Api:
    """Read a table."""
    api = Api({}, {}, {}, {}, {}, {})
    fields: list[Field] = []
    for line in filter(None, text.splitlines()):
        match line.split():
            case [wire, kind, parts, conditions] if line.startswith(" "):
                fields.append(_field(wire, kind, _given(parts), _given(conditions)))
            case ["enum", name, *values]:
                api.enums[name] = tuple(values)
            case ["error", status, code]:
                api.errors[int(status)] = code
            case ["groups", letter, _, *names]:
                api.groups[letter] = tuple(name for name in names if name != "|")
            case ["operation", name, method, suffix, status, query, errors]:
                statuses = tuple(map(int, errors.split(",")))
                api.operations[name] = Operation(name, method, _given(suffix), int(status), _listed(query), statuses)
            case ["object", name]:
                fields = api.objects[name] = []
            case ["resource", name, attribute, path, *operations]:
                fields = []
                api.resources[name] = Resource(name, attribute, path, tuple(operations), fields)
            case _:
                raise ValueError(f"not a line of the table: {line}")
    return api


def _field(wire: str, kind: str, parts: str, conditions: str) -> Field:
    bare, _, default = kind.partition("=")
    mark = bare[-1]
    return Field(wire, bare.rstrip("!?"), mark == "!", mark == "?", default or None, parts, conditions)


def _given(word: str) -> str:
    return "" if word == "-" else word


def _listed(words: str) -> tuple[str, ...]:
    return tuple(filter(None, _given(words).split(",")))
