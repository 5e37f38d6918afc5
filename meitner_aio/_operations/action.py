"""An action: one request of an endpoint that is none of the usual operations, declared by its method and path."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Self, TypeVar, cast, get_args, get_origin, overload

import msgspec

from .._runtime.coroutines import Coroutine
from .._wire.decoding import RecordDecoder, invalid, read
from .._wire.envelopes import Decoder, Inside, is_path
from .._wire.messages import RawResponse, Request
from .._wire.page_bounds import A_RECORD
from .._wire.paths import check_path, id_segment
from .._wire.raw_request import query_string
from .._wire.validation import built, checked, encode
from ..records import Record
from .answers import nothing, sent
from .resource import Operation, Resource, binding_of
from .signatures import signature

A = TypeVar("A")
B = TypeVar("B")
C = ParamSpec("C")
P = ParamSpec("P")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_BODILESS = frozenset({"GET", "DELETE"})
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
"""Methods that may be repeated by themselves (RFC 9110, 9.2.2)."""


class Action(Operation, Generic[C, A]):
    """One request: `invite = Action("POST", "/{id}/invite", answer=Member)` is called as `members.invite(id)`.

    The path is below that of the resource. It names the `{id}` of one record, or with `one=False` has none. `body` is
    a record, or a callable that returns one: its parameters become those of the call. `query` is a record whose fields
    become the query string. `answer` is what the call returns: a record, a list of records, text, bytes, or None for
    nothing; `inside="data"` is the path of a record or a list in an envelope. An action other than GET, PUT and DELETE
    is not sent again when it may have been received (`AmbiguousWriteError`), unless `safe=True` says that it may be
    repeated, or `reads=True` that it changes nothing, like a GET: then a cached view keeps its answer.
    """

    needs_model = False

    @overload
    def __init__(
        self: Action[[str], None], method: Method, path: str, *, safe: bool = ..., reads: bool = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Action[[str], B],
        method: Method,
        path: str,
        *,
        answer: type[B],
        inside: str = ...,
        safe: bool = ...,
        reads: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Action[Concatenate[str, P], None],
        method: Method,
        path: str,
        *,
        body: Callable[P, Record] = ...,
        query: Callable[P, Record] = ...,
        safe: bool = ...,
        reads: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Action[Concatenate[str, P], B],
        method: Method,
        path: str,
        *,
        body: Callable[P, Record] = ...,
        query: Callable[P, Record] = ...,
        answer: type[B],
        inside: str = ...,
        safe: bool = ...,
        reads: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Action[[], None], method: Method, path: str, *, one: Literal[False], safe: bool = ..., reads: bool = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Action[[], B],
        method: Method,
        path: str,
        *,
        one: Literal[False],
        answer: type[B],
        inside: str = ...,
        safe: bool = ...,
        reads: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Action[P, None],
        method: Method,
        path: str,
        *,
        one: Literal[False],
        body: Callable[P, Record] = ...,
        query: Callable[P, Record] = ...,
        safe: bool = ...,
        reads: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Action[P, B],
        method: Method,
        path: str,
        *,
        one: Literal[False],
        body: Callable[P, Record] = ...,
        query: Callable[P, Record] = ...,
        answer: type[B],
        inside: str = ...,
        safe: bool = ...,
        reads: bool = ...,
    ) -> None: ...
    def __init__(
        self,
        method: str,
        path: str,
        *,
        one: bool = True,
        body: Callable[..., Record] | None = None,
        query: Callable[..., Record] | None = None,
        answer: object = None,
        inside: str = "",
        safe: bool = False,
        reads: bool = False,
    ) -> None:
        """Say what is sent and what is answered; what cannot work is refused when the class of the resource is made."""
        self.method, self.suffix, self.one = method, path, one
        self.answer, self.inside = answer, inside
        self.safe, self.reads = safe, reads or method == "GET"
        self.sends, self.asks = body, query
        given = body or query
        self.body = given if isinstance(given, type) else None
        self.verb = "get" if self.reads else _verb(method, safe=safe, answered=answer is not None)

    def check(self, resource: type[Resource[Any]], where: str, /) -> None:
        """Raise `TypeError` for what cannot work."""
        if self.method not in get_args(Method):
            raise TypeError(f"{where}: the method must be one of {', '.join(get_args(Method))}")
        check_path(self.suffix, f"the path of {where}")
        super().check(resource, where)
        if ("{id}" in self.suffix) is not self.one:
            wrong = "name the {id} in its path, or say one=False" if self.one else "its path has {id}, but one=False"
            raise TypeError(f"{where}: {wrong}")
        if self.sends is not None and self.method in _BODILESS:
            raise TypeError(f"{where}: a {self.method} has no body; parameters of the URL are its query=")
        if self.reads and self.method in ("PUT", "PATCH", "DELETE"):
            raise TypeError(f"{where}: a {self.method} writes, so it cannot say reads=True")
        if self.sends is not None and self.asks is not None:
            raise TypeError(f"{where} has either a body or a query: the keywords of its call are those of one record")
        for fields in (self.sends, self.asks):
            if fields is not None and isinstance(fields, type) and not issubclass(fields, Record):
                raise TypeError(f"{where} takes a Record or a callable that returns one, not {fields.__name__}")
            if fields is not None and not callable(fields):
                raise TypeError(f"{where} takes a Record or a callable that returns one")
        _reader(self.answer, self.inside, where)

    def signature(self) -> inspect.Signature:
        """Return the signature to show: the fields of a record, or the parameters of a callable."""
        fields = self.sends or self.asks
        if fields is None or isinstance(fields, type):
            return signature(cast("type[Record]", fields or Record), takes_id=self.one)
        shown = signature(Record, takes_id=self.one)
        given = inspect.signature(fields).parameters.values()
        return shown.replace(parameters=[*shown.parameters.values(), *given])

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[Any], owner: object) -> Callable[C, Coroutine[None, None, A]]: ...
    def __get__(self, resource: Resource[Any] | None, owner: object) -> Self | Callable[C, Coroutine[None, None, A]]:
        """Bind to a resource."""
        if resource is None:
            return self
        calling = self._on_one(resource) if self.one else self._on_all(resource)
        return cast("Callable[C, Coroutine[None, None, A]]", self._bound(resource, calling))

    def _on_one(self, resource: Resource[Any]) -> Callable[..., Coroutine[None, None, Any]]:
        place, pattern, ask = self.place(resource), type(resource).id_pattern, self._asking(resource)

        def call(id: str, /, *given: object, **named: object) -> Coroutine[None, None, Any]:
            return ask(place.at(id_segment(id, pattern)[1]), given, named)

        return call

    def _on_all(self, resource: Resource[Any]) -> Callable[..., Coroutine[None, None, Any]]:
        path, ask = self.place(resource).path, self._asking(resource)

        def call(*given: object, **named: object) -> Coroutine[None, None, Any]:
            return ask(path, given, named)

        return call

    def _asking(self, resource: Resource[Any]) -> Callable[..., Coroutine[None, None, Any]]:
        """Return what sends the request to a path, with the arguments of the call."""
        send, (route, _, api) = binding_of(resource).send, self.place(resource)
        reader, largest = _reader(self.answer, self.inside, self.name)

        def ask(path: str, given: tuple[object, ...], named: dict[str, object]) -> Coroutine[None, None, Any]:
            record = _record(self.sends or self.asks, given, named)
            request = Request(
                *(self.verb, self.method, route, path),
                query="" if self.asks is None else query_string(record),
                body=None if self.sends is None else encode(record),
                largest=largest,
                reader=reader,
                api=api,
            )
            return sent(send, request)

        return ask


def _verb(method: str, *, safe: bool, answered: bool) -> str:
    """Return what the retries know an action that writes as: a deletion, or what may or may not be repeated."""
    if method == "DELETE" and not answered:
        return "delete"
    return "repeatable" if safe or method in _IDEMPOTENT else "action"


def _record(fields: Callable[..., Record] | None, given: tuple[object, ...], named: dict[str, object]) -> Record:
    """Return the checked record of a call, whose arguments are not kept: they may be personal."""
    if fields is None or (isinstance(fields, type) and not given):
        return checked(built(cast("type[Record]", fields or Record), named))
    try:
        record: object = fields(*given, **named)
    finally:
        named.clear()
    if not isinstance(record, Record):
        raise TypeError(f"the body must be a Record, not {type(record).__name__}")
    return checked(record)


Reader = Callable[[Request, RawResponse], Any]


def _reader(answer: Any, inside: str, where: str) -> tuple[Reader, int | None]:
    """Return what reads an answer, and the bytes that it has at most; `TypeError` for an answer that none reads."""
    decoder = _decoder(answer)
    if inside:
        if not is_path(inside) or decoder is None:
            raise TypeError(f"{where}: inside= is where in an answer its record or its list is, such as data.company")
        decoder = Inside(inside, decoder)
    if decoder is not None:
        return partial(_read, decoder=decoder), None if get_origin(answer) is list else A_RECORD
    if answer is None:
        return nothing, A_RECORD
    if answer is bytes:
        return _bytes, None
    if answer is str:
        return _text, None
    raise TypeError(f"{where}: an answer is a Record, a list of a Record, str, bytes or None, not {answer!r:.60}")


def _decoder(answer: Any) -> Decoder[Any] | None:
    """Return what decodes a record, or a list of one; None for any other answer."""
    if isinstance(answer, type) and get_origin(answer) is None and issubclass(answer, Record):
        return RecordDecoder(answer)
    row = get_args(answer)[0] if get_origin(answer) is list else None
    if isinstance(row, type) and issubclass(row, Record):
        return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
    return None


def _read(request: Request, response: RawResponse, decoder: Decoder[Any]) -> Any:
    return read(request, response, decoder)


def _bytes(_request: Request, response: RawResponse) -> bytes:
    return response.body


def _text(request: Request, response: RawResponse) -> str:
    with suppress(UnicodeDecodeError):
        return response.body.decode()
    raise invalid(request, response, "text that is not UTF-8")
