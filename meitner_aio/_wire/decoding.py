"""How a successful answer is read: one record, or a page of them. Pure.

Whatever breaks the contract of the API becomes a `ResponseValidationError` that names the place and the row, and never
a value: values are personal data. Nulls that a server sends where the contract has lists are no breach: they are looked
for where the strict reading failed, and cost nothing where it did not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct

from .. import errors
from ..records import Field, Id, Kind, Pagination, Record, fields
from .headers import media_type
from .messages import FOREIGN, Envelope, RawResponse, Request
from .validation import is_id

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R", bound=Record)


PART = "X-Meitner-Aio-Part"
"""The header by which a snapshot says that it holds a part of what it is asked for."""


class Decoder(Protocol[T_co]):
    """What makes something of a body; msgspec's own decoders do."""

    def decode(self, body: bytes, /) -> T_co:
        """Decode a body, or raise one of `FOREIGN`."""
        ...


class RecordDecoder(Generic[R]):
    """Decodes one record, from an answer or a row of a page."""

    def __init__(self, model: type[R]) -> None:
        """Decode a `model`."""
        self._model = model
        self._strict = msgspec.json.Decoder(model)

    def decode(self, body: bytes | msgspec.Raw, /) -> R:
        """Return the record: as its model says or else with empty lists for null ones."""
        try:
            return self._strict.decode(body)
        except msgspec.ValidationError:
            text = bytes(body)
            if len(text) > _LARGEST_MENDED or b"null" not in text:
                raise
            try:
                data = json.loads(text, object_pairs_hook=_unique)
            except ValueError:
                data = None
            if data is None:
                raise
        _fill(data, self._model)
        return self._strict.decode(msgspec.json.encode(data))


_MOST = 2**63 - 1
"""Rows that a listing may promise: what is made of a larger number (times, shares) does not fit a float."""

_LARGEST_MENDED = 256 * 1024
"""Bytes of a record in which nulls are looked for: a hostile one shall not cost more than its reading did."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object none of whose names comes twice: the strict reading saw them all, this one only the last."""
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a name comes twice")
    return data


def _fill(data: object, record: type[Record]) -> None:
    """Put into an object what its nulls stand for.

    A nil list is an empty one. An object that lacks what it cannot be without, because it holds nothing but nulls, is
    no object: no `meta` was ever made by nobody at no time.
    """
    given = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    for field in fields(record):
        value: Any = given.get(field.wire, field)
        if value is None and field.many and not field.nullable:
            given[field.wire] = []
        elif field.kind is Kind.OBJECT and isinstance(value, dict):
            if _is_nothing(field, cast("dict[str, Any]", value)):
                given[field.wire] = None
            else:
                _fill(cast("dict[str, Any]", value), field.type)


def _is_nothing(field: Field, value: dict[str, Any]) -> bool:
    needs_more = any(inner.required for inner in fields(field.type))
    return needs_more and all(inner is None for inner in value.values())


def read(request: Request, response: RawResponse, decoder: Decoder[T]) -> T:
    """Return the decoded body of a successful answer.

    Raises `ResponseValidationError`, naming the place but no value, for what is not JSON of the expected shape.
    """
    problem = _unread(response)
    if not problem:
        try:
            return decoder.decode(response.body)
        except FOREIGN as error:
            problem = _problem(error)
    raise invalid(request, response, problem)


def _unread(response: RawResponse) -> str:
    """Return why a body need not be read at all, if it need not."""
    media = media_type(response.headers)
    if media and "json" not in media:
        return f"{media} instead of JSON"
    return "" if response.body else "an empty body"


class DecodedPage(NamedTuple, Generic[T]):
    """A page as it was read. `invalid` names rows that were skipped, `server_time` is the answer's Date in seconds.

    The answer came at most `waited` seconds after it was asked for.

    Where it was left to the source how much to ask for, `asked` rows were, it took so many `requests` until the server
    gave them, and the next page may be `larger`.
    """

    rows: list[T]
    pagination: Pagination
    invalid: tuple[str, ...] = ()
    server_time: float | None = None
    asked: int = 0
    requests: int = 1
    larger: bool = False
    waited: float = 0.0
    kept: bool = False
    """Whether a cache answered, and not the server."""
    wrong: tuple[str, ...] = ()
    """For each of the `invalid` rows, the path of what is wrong with it."""
    part: bool = False
    """Whether the directory itself is but a part of one, so that no read of it is complete."""

    @property
    def asked_at(self) -> float | None:
        """The server's time when this was asked for, or before, in seconds: what the answer counts is not older."""
        return None if self.server_time is None else self.server_time - self.waited

    @property
    def size(self) -> int:
        """Rows that the answer held, those that were skipped too."""
        return len(self.rows) + len(self.invalid)


class PageReader(Generic[R]):
    """Reads the pages of a listing of one kind of record."""

    def __init__(self, model: type[R]) -> None:
        """Read rows of `model`."""
        self._page = msgspec.json.Decoder(Envelope[model])  # type: ignore[valid-type]
        self._row = RecordDecoder(model)

    def reader(self, offset: int, *, skip_invalid: bool) -> Callable[[Request, RawResponse], DecodedPage[R]]:
        """Return a reader for the page at an offset.

        A page that says another offset is refused: its rows belong elsewhere. An invalid row is named by its id, and
        with `skip_invalid` left out of the page.
        """

        def reading(request: Request, response: RawResponse) -> DecodedPage[R]:
            fetched: DecodedPage[R] | None = None
            problem, row = _unread(response), None
            if not problem:
                try:
                    envelope = self._page.decode(response.body)
                    fetched = DecodedPage(envelope.data, envelope.pagination, (), response.limits.date)
                except FOREIGN as error:
                    fetched, problem, row = self._row_by_row(response, _problem(error), every=skip_invalid)
            if fetched is None:
                raise invalid(request, response, problem, row)
            if max(fetched.pagination.total, fetched.pagination.limit) > _MOST:
                raise invalid(request, response, "more rows than can be counted")
            if fetched.pagination.offset != offset:
                raise invalid(request, response, f"the page at another offset than {offset}")
            return fetched._replace(part=True) if PART in response.headers else fetched

        return reading

    def _row_by_row(
        self, response: RawResponse, problem: str, *, every: bool
    ) -> tuple[DecodedPage[R] | None, str, str | None]:
        """Return a page without its invalid rows, or None and the problem: with the page, or with its first such row.

        Unless `every` row is wanted, the first invalid one is enough: a hostile page may hold millions.
        """
        try:
            raw = _raw_page.decode(response.body)
        except FOREIGN:
            return None, problem, None
        rows: list[R] = []
        broken: list[str] = []
        wrong: list[str] = []
        for place, row in enumerate(raw.data or ()):
            try:
                rows.append(self._row.decode(row))
            except FOREIGN as error:
                broken.append(_row_id(row) or f"number {place} of the page at {raw.pagination.offset}")
                wrong.append(_place(error))
                if not every:
                    return None, f"{_problem(error, f'.data[{place}]')} (row {broken[0]})", broken[0]
        fetched = DecodedPage(rows, raw.pagination, tuple(broken), response.limits.date, wrong=tuple(wrong))
        return fetched, "", None


def _problem(error: Exception, place: str = "") -> str:
    """Return what msgspec says of a body, or of what is at a place in it, without quoting values.

    Only enum errors carry one, and ours are open.
    """
    if not isinstance(error, msgspec.ValidationError):
        return "a body that is not JSON"
    wrong, _, path = str(error).split(", got value")[0].partition(" - at `$")
    where = f" - at `${place}{path or '`'}" if place or path else ""
    return f"JSON of another shape: {wrong}{where}"


def _place(error: Exception) -> str:
    """Return the path of what is wrong with a row, by the names of the API; empty when it is no record at all.

    msgspec says of a field that is not there where it should have been.
    """
    if not isinstance(error, msgspec.ValidationError):
        return ""
    wrong, _, path = str(error).split(", got value")[0].partition(" - at `$")
    _, _, missing = wrong.partition("missing required field `")
    return ".".join(filter(None, (path.strip("`."), missing.strip("`"))))


class _RawPage(Struct):
    data: list[msgspec.Raw] | None
    pagination: Pagination


class Identified(Struct):
    """A row of any resource, as far as its id."""

    id: Id


_raw_page = msgspec.json.Decoder(_RawPage)


def _row_id(row: msgspec.Raw) -> str | None:
    """Return the id of a row that is otherwise invalid, when it has one that is an id and nothing else."""
    try:
        found = msgspec.json.decode(row, type=Identified).id
    except FOREIGN:
        return None
    return found if is_id(found) else None


def invalid(
    request: Request, response: RawResponse, problem: str, row: str | None = None
) -> errors.ResponseValidationError:
    """Return the error of a successful answer that breaks the contract, by one of its rows or as a whole."""
    error = errors.ResponseValidationError(
        f"{request.method} {request.route} was answered {response.status} with {problem}",
        request_id=response.headers.get("X-Request-ID"),
        method=request.method,
        route=request.route,
        attempts=response.attempts,
    )
    error.row = row
    return error
