"""Decodes a successful answer: one record, or a page of them. Pure.

What breaks the contract of the API becomes a `ResponseValidationError` that names the place and the row, and never a
value: values are personal data. A null where the contract has a list is accepted: it is looked for only after strict
decoding failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Struct

from .. import errors
from ..records import Field, Id, Kind, Pagination, Record, fields
from .envelopes import USUAL_PAGING, Decoder, Opened, Opener, Paging, opener
from .headers import media_type
from .messages import FOREIGN, Envelope, RawResponse, Request
from .validation import is_id

T = TypeVar("T")
R = TypeVar("R", bound=Record)


PART = "X-Meitner-Aio-Part"
"""The header by which a snapshot says that it holds only a part of what it is asked for."""
LACKED = "X-Meitner-Aio-Lacked"
"""The header by which a snapshot or a mirror says that it has no such record: the directory may have one by now."""


class RecordDecoder(Generic[R]):
    """Decodes one record, from an answer or a row of a page."""

    def __init__(self, model: type[R]) -> None:
        """Decode a `model`."""
        self._model = model
        self._strict = msgspec.json.Decoder(model)

    def decode(self, body: bytes | msgspec.Raw, /) -> R:
        """Return the record; if it does not fit its model, with empty lists for null ones."""
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
"""Most rows that a listing may claim: arithmetic on larger numbers (times, shares) may overflow."""

_LARGEST_MENDED = 256 * 1024
"""Most bytes of a record in which nulls are looked for: a hostile one must not cost more than its decoding did."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object; `ValueError` for a name that comes twice, of which this decoder would drop one value."""
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a name comes twice")
    return data


def _fill(data: object, record: type[Record]) -> None:
    """Replace the nulls of an object by what they stand for.

    A null list is an empty one. An object that has required fields and holds nothing but nulls is null itself, such as
    a `meta` without any value.
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
    """Return why a body need not be decoded at all; empty if it must be."""
    media = media_type(response.headers)
    if media and "json" not in media:
        return f"{media} instead of JSON"
    return "" if response.body else "an empty body"


class DecodedPage(NamedTuple, Generic[T]):
    """A decoded page. `invalid` names rows that were skipped, `server_time` is the answer's Date in seconds.

    The answer came at most `waited` seconds after the request.

    If the source chose the size of the page, `asked` is the number of rows asked for, `requests` how many requests it
    took, and `larger` whether the next page may be larger.
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
    """Whether the answer is a cache's, not the server's."""
    wrong: tuple[str, ...] = ()
    """For each of the `invalid` rows, the path of what is wrong with it."""
    part: bool = False
    """Whether the source holds only a part of a directory, so that no read of it is complete."""

    @property
    def asked_at(self) -> float | None:
        """The server's time at the request, or before it, in seconds: the answer is not older."""
        return None if self.server_time is None else self.server_time - self.waited

    @property
    def size(self) -> int:
        """Rows of the answer, with those that were skipped."""
        return len(self.rows) + len(self.invalid)


class PageReader(Generic[R]):
    """Reads the pages of a listing of one kind of record."""

    def __init__(self, model: type[R], paging: Paging = USUAL_PAGING) -> None:
        """Read rows of `model`, in the envelopes that `paging` tells of."""
        self._open = _usual(model) if paging == USUAL_PAGING else opener(paging, model)
        self._open_raw = _usual_raw if paging == USUAL_PAGING else opener(paging, msgspec.Raw)
        self._row = RecordDecoder(model)

    def reader(
        self, offset: int, *, skip_invalid: bool, limit: int = 0
    ) -> Callable[[Request, RawResponse], DecodedPage[R]]:
        """Return a reader for the page at an offset; `limit` rows were asked for, which some envelopes do not tell.

        A page that says another offset is refused: its rows belong elsewhere. An invalid row is named by its id, and
        with `skip_invalid` left out of the page.
        """

        def reading(request: Request, response: RawResponse) -> DecodedPage[R]:
            fetched: DecodedPage[R] | None = None
            problem, row = _unread(response), None
            if not problem:
                try:
                    rows, pagination = self._open(response.body, limit, offset)
                    fetched = DecodedPage(rows or [], pagination, (), response.limits.date)
                except FOREIGN as error:
                    asked = limit, offset
                    fetched, problem, row = self._row_by_row(response, _problem(error), asked, every=skip_invalid)
            if fetched is None:
                raise invalid(request, response, problem, row)
            if max(fetched.pagination.total, fetched.pagination.limit) > _MOST:
                raise invalid(request, response, "more rows than can be counted")
            if fetched.pagination.offset != offset:
                raise invalid(request, response, f"the page at another offset than {offset}")
            return fetched._replace(part=True) if PART in response.headers else fetched

        return reading

    def _row_by_row(
        self, response: RawResponse, problem: str, asked: tuple[int, int], *, every: bool
    ) -> tuple[DecodedPage[R] | None, str, str | None]:
        """Return a page without its invalid rows, or None and the problem: with the page, or with its first such row.

        Unless `every` row is wanted, the first invalid one is enough: a hostile page may hold millions.
        """
        try:
            raw, pagination = self._open_raw(response.body, *asked)
        except FOREIGN:
            return None, problem, None
        rows: list[R] = []
        broken: list[str] = []
        wrong: list[str] = []
        for place, row in enumerate(raw or ()):
            try:
                rows.append(self._row.decode(row))
            except FOREIGN as error:
                broken.append(_row_id(row) or f"number {place} of the page at {pagination.offset}")
                wrong.append(_place(error))
                if not every:
                    return None, f"{_problem(error, f'.data[{place}]')} (row {broken[0]})", broken[0]
        fetched = DecodedPage(rows, pagination, tuple(broken), response.limits.date, wrong=tuple(wrong))
        return fetched, "", None


def _problem(error: Exception, place: str = "") -> str:
    """Return msgspec's message for a body, or for a place in it, without values.

    Only messages about enums quote a value, and our enums are open.
    """
    if not isinstance(error, msgspec.ValidationError):
        return "a body that is not JSON"
    wrong, _, path = str(error).split(", got value")[0].partition(" - at `$")
    where = f" - at `${place}{path or '`'}" if place or path else ""
    return f"JSON of another shape: {wrong}{where}"


def _place(error: Exception) -> str:
    """Return the path of what is wrong with a row, in the API's names; empty if it is no record at all.

    For a missing field, msgspec gives the path of the object that lacks it.
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
    """A row of any resource: its id only."""

    id: Id


_raw_page = msgspec.json.Decoder(_RawPage)


def _usual(model: type[R]) -> Opener:
    """Return what opens the pages of the API, whose envelope tells everything."""
    decoder: msgspec.json.Decoder[Envelope[R]] = msgspec.json.Decoder(Envelope[model])  # type: ignore[valid-type]

    def opened(body: bytes, _limit: int, _offset: int) -> Opened:
        envelope = decoder.decode(body)
        return envelope.data, envelope.pagination

    return opened


def _usual_raw(body: bytes, _limit: int, _offset: int) -> Opened:
    page = _raw_page.decode(body)
    return page.data, page.pagination


def _row_id(row: msgspec.Raw) -> str | None:
    """Return the id of an invalid row, if it has a valid one."""
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
