"""A declared resource, served by the sandbox: what a server would do that knows its table, and nothing more.

Rows live in memory, in their order. A list is narrowed by parameters that are fields of a row; a create makes a record
of its fields and an id. What an action does is not declared: unless the caller says it, one that answers with the
record of its id, or with nothing, changes nothing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote

import msgspec

from ..._operations.action import Action
from ..._operations.operations import Get, List, Search
from ..._operations.resource import Operation, Resource, model_of, operations
from ..._operations.writes import Create, Delete, Update
from ..._wire.envelopes import Paging as Envelope
from ..._wire.messages import Headers, RawResponse, Request
from ..._wire.paths import joined, place_of
from ...records import Record, fields
from ..store.filters import compile_filter
from .answers import Refusal, conflict, malformed, success, unprocessable
from .dialect import Dialect
from .paging import Paging
from .reading import read_fields, read_object

Answer = Callable[[Any, Any], object]
"""What an action does: gets the record of its id (None without one) and that of its body, and returns the answer."""


class ServedPlace(NamedTuple):
    """An operation of a served resource that a request asks for."""

    name: str
    """Its name for faults, such as `Members.list`."""
    route: str
    answer: Callable[[Request], RawResponse]


class Served:
    """The rows of one declared resource, at one set of parameters, and what its operations do to them."""

    def __init__(
        self,
        kind: type[Resource[Any]],
        rows: Iterable[Record],
        parameters: Mapping[str, str],
        actions: Mapping[str, Answer],
        *,
        paging: Paging,
        dialect: Dialect,
        name: str = "",
    ) -> None:
        """Raise `TypeError` for rows of another record, and for an action whose answer nobody knows.

        `name` is what faults and requests call it; that of the class where it has none.
        """
        self.kind = kind
        self.name = name or kind.__name__
        self._model: type[Record] = model_of(kind)
        self.rows = list(rows)
        self._paging = paging
        self._dialect = dialect
        self._actions = actions
        self.place = place_of(kind.path, kind.api, parameters, kind.__name__)
        self._table = operations(kind)
        self._check()
        # A path that names an action goes before one that takes any id.
        by_length = sorted(self._table.items(), key=lambda item: "{id}" in item[1].suffix.rpartition("/")[2])
        base = f"/{kind.api}{self.place.path}" if kind.api else self.place.path
        self._routes = [(name, one, _pattern(joined(base, one.suffix))) for name, one in by_length]

    def _check(self) -> None:
        for row in self.rows:
            if not isinstance(row, self._model):
                raise TypeError(f"{self.kind.__name__} has rows of {self._model.__name__}, not {type(row).__name__}")
        known = {name for name, one in self._table.items() if isinstance(one, Action)}
        if unknown := sorted(self._actions.keys() - known):
            raise TypeError(f"{self.kind.__name__} has no action {', '.join(unknown)}")
        for name in sorted(known - self._actions.keys()):
            action = cast("Action[..., Any]", self._table[name])
            if action.answer is not None and not (action.one and action.answer is self._model):
                raise TypeError(f"say what {self.kind.__name__}.{name} answers: actions={{{name!r}: ...}}")

    def find(self, method: str, path: str, query: str) -> ServedPlace | None:
        """Return what is asked; None for another path or method. Of several lists, it is one that has the query."""
        found = [
            (name, one, match)
            for name, one, pattern in self._routes
            if one.method == method and (match := pattern.fullmatch(path))
        ]
        if not found:
            return None
        asked = {_member(name)[0] for name, _ in parse_qsl(query)} - {self.kind.paging.limit, self.kind.paging.offset}
        name, one, match = next((each for each in found if asked <= _parameters(each[1])), found[0])
        id = unquote(match.groupdict().get("id", ""))
        return ServedPlace(f"{self.name}.{name}", self.place.below(one.suffix).route, partial(self._answer, one, id))

    def _answer(self, one: Operation, id: str, request: Request) -> RawResponse:
        match one:
            case List() | Search():
                return success(200, self._page(cast("Operation", one), request))
            case Create():
                return success(201, self._create(one, request))
            case Update():
                return success(200, self._update(one, id, request))
            case Delete():
                self.rows.remove(self._row(id))
                return success(204, None)
            case Action():
                return self._act(cast("Action[..., Any]", one), id, request)
            case Get():
                return success(200, self._row(id))
            case _:
                raise Refusal(405, "the sandbox does not serve this operation")

    def _row(self, id: str) -> Record:
        for row in self.rows:
            if str(getattr(row, "id", "")) == id:
                return row
        raise Refusal(404, f"there is no {self._model.__name__} with this id")

    def _page(self, one: Operation, request: Request) -> dict[str, object]:
        envelope = self.kind.paging
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        window = {name: asked.pop(getattr(envelope, name), "") for name in ("limit", "offset")}
        rows = self._searched(request) if isinstance(one, Search) else self._narrowed(one, asked)
        query = "&".join(f"{name}={value}" for name, value in window.items() if value)
        page = self._paging.page(cast("list[Any]", rows), query)
        return _enveloped(envelope, page.data, msgspec.to_builtins(page.pagination))

    def _narrowed(self, one: Operation, asked: Mapping[str, str]) -> list[Record]:
        known = {field.wire: field.name for field in fields(one.body)} if one.body else {}
        told = [(*_member(name), text) for name, text in asked.items()]
        if unknown := {wire for wire, _, _ in told} - known.keys():
            malformed(f"the query has {len(unknown)} unknown parameters")
        shown = {field.name for field in fields(self._model)}
        wanted = [(known[wire], key, text) for wire, key, text in told if known[wire] in shown]
        return [row for row in self.rows if all(_value(row, name, key) == text for name, key, text in wanted)]

    def _searched(self, request: Request) -> list[Record]:
        try:
            test, _ = compile_filter(self._model, _decoded(request).get("filter"), self._dialect)
        except ValueError as error:
            malformed(str(error))
        return [row for row in self.rows if test(cast("Any", row))]

    def _create(self, one: Create[...], request: Request) -> Record:
        given = self._given(one.body, request)
        if one.key and one.unique:
            key = [given.get(name) for name in one.key]
            if any([getattr(row, name) for name in one.key] == key for row in self.rows):
                conflict(f"another record has the same {' and '.join(one.key)}")
        row = self._made(given)
        self.rows.append(row)
        return row

    def _made(self, given: Mapping[str, object]) -> Record:
        """Return a record of the fields that it has, and an id."""
        declared = {field.name: field for field in fields(self._model)}
        values = {name: value for name, value in given.items() if name in declared}
        if "id" in declared and "id" not in values:
            values["id"] = self._id()
        try:
            wire = {declared[name].wire: value for name, value in values.items()}
            return msgspec.convert(wire, self._model, from_attributes=True)
        except msgspec.ValidationError as error:
            raise Refusal(422, f"a {self._model.__name__} cannot be made of this: {error}") from None

    def _id(self) -> str:
        number = len(self.rows) + 1
        taken = {str(getattr(row, "id", "")) for row in self.rows}
        while str(number) in taken:
            number += 1
        pattern = self.kind.id_pattern
        if not pattern:
            return str(uuid.uuid4())
        last = next((str(getattr(row, "id", "")) for row in reversed(self.rows)), "")
        stem = last.rstrip("0123456789")
        while f"{stem}{number}" in taken:
            number += 1
        for id in (f"{stem}{number}", str(number), str(uuid.uuid4())):
            if re.fullmatch(pattern, id) and id not in taken:
                return id
        raise Refusal(500, f"no new id is known that matches {pattern}: serve a row whose id ends in digits")

    def _update(self, one: Update[...], id: str, request: Request) -> Record:
        row, given = self._row(id), self._given(one.body, request)
        names = {field.name for field in fields(type(row))}
        changed = msgspec.structs.replace(row, **{name: value for name, value in given.items() if name in names})
        self.rows[self.rows.index(row)] = changed
        return changed

    def _act(self, one: Action[..., Any], id: str, request: Request) -> RawResponse:
        row = self._row(id) if one.one else None
        body = self._body(one, request)
        does = self._actions.get(one.name)
        result: object = row if does is None and one.answer is not None else does and does(row, body)
        if isinstance(result, bytes):
            return RawResponse(200, Headers({"Content-Type": "application/octet-stream"}), result)
        if isinstance(result, str):
            return RawResponse(200, Headers({"Content-Type": "text/plain; charset=utf-8"}), result.encode())
        shown = _placed({one.inside: result}) if one.inside and result is not None else result
        return success(204 if shown is None else 200, shown)

    def _body(self, one: Action[..., Any], request: Request) -> Record | None:
        """Return what an action was sent, as the record that it declares; that of a callable as a mapping."""
        if one.sends is None:
            return None
        if not isinstance(one.sends, type):
            return cast("Record", _decoded(request))
        try:
            return cast("Record", msgspec.json.decode(request.body or b"", type=cast("Any", one.sends)))
        except msgspec.MsgspecError as error:
            unprocessable(str(error))

    def _given(self, body: type[Record] | None, request: Request) -> dict[str, object]:
        try:
            return read_fields(body or Record, _decoded(request), self._dialect)
        except ValueError as error:
            unprocessable(str(error))


def _parameters(one: Operation) -> set[str]:
    return {field.wire for field in fields(one.body)} if one.body else set()


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{id\}", "(?P<id>[^/]+)"))


def _decoded(request: Request) -> dict[str, object]:
    try:
        return read_object(msgspec.json.decode(request.body or b""), "")
    except (msgspec.MsgspecError, ValueError):
        malformed("the body is not a JSON object")


def _member(name: str) -> tuple[str, str]:
    """Return the name of a parameter and, of `keys[email]`, the key of its member."""
    wire, _, key = name.partition("[")
    return wire, key.removesuffix("]")


def _value(row: Record, name: str, key: str) -> object:
    """Return the value of a field, or of a member of it, as a query writes it."""
    value = getattr(row, name)
    return _written(cast("Mapping[str, object]", value).get(key) if key and isinstance(value, Mapping) else value)


def _written(value: object) -> object:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode().strip('"')


def _enveloped(envelope: Envelope, rows: object, facts: Mapping[str, object]) -> dict[str, object]:
    """Return a page as the paging has it."""
    return _placed({envelope.items: rows} | {path: facts[name] for name, path in envelope.facts.items()})


def _placed(parts: Mapping[str, object]) -> dict[str, object]:
    """Return an answer with every part at its place, a path of names."""
    answer: dict[str, Any] = {}
    for path, value in parts.items():
        *above, last = path.split(".")
        inner = answer
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return answer
