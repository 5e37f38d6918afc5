"""How a successful answer is read: one record, or a page of them. Pure.

Whatever breaks the contract of the API becomes a `ResponseValidationError` that names the place and the row, and never
a value: values are personal data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from . import errors
from ._headers import media_type, server_time
from ._protocol import FOREIGN, Envelope, RawResponse, Request
from ._values import is_id
from .records import Id, Pagination, Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)


def read(request: Request, response: RawResponse, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the decoded body of a successful answer.

    Raises `ResponseValidationError`, naming the place but no value, for what is not JSON of the expected shape.
    """
    media = media_type(response.headers)
    if media and "json" not in media:
        problem = f"{media} instead of JSON"
    elif not response.body:
        problem = "an empty body"
    else:
        try:
            return decoder.decode(response.body)
        except FOREIGN as error:
            problem = _problem(error)
    raise invalid(request, response, problem)


class Fetched(NamedTuple, Generic[T]):
    """A page as it was read. `invalid` names rows that were skipped, `server_time` is the answer's Date in seconds."""

    rows: list[T]
    pagination: Pagination
    invalid: tuple[str, ...] = ()
    server_time: float | None = None


class PageReader(Generic[R]):
    """Reads the pages of a listing of one kind of record."""

    def __init__(self, model: type[R]) -> None:
        """Read rows of `model`."""
        self._page = msgspec.json.Decoder(Envelope[model])  # type: ignore[valid-type]
        self._row = msgspec.json.Decoder(model)

    def reader(self, offset: int, *, skip_invalid: bool) -> Callable[[Request, RawResponse], Fetched[R]]:
        """Return a reader for the page at an offset.

        A page that says another offset is refused: its rows belong elsewhere. An invalid row is named by its id, and
        with `skip_invalid` left out of the page.
        """

        def reading(request: Request, response: RawResponse) -> Fetched[R]:
            problem = ""
            broken: tuple[str, ...] = ()
            fetched: Fetched[R] | None
            try:
                envelope = read(request, response, self._page)
                fetched = Fetched(envelope.data, envelope.pagination, (), server_time(response.headers))
            except errors.ResponseValidationError as error:
                problem = error.message
                fetched = self._row_by_row(response, every=skip_invalid)
                broken = fetched.invalid if fetched is not None else ()
            if fetched is None or (problem and not (broken and skip_invalid)):
                named = f"{problem} (row {broken[0]})" if broken else problem
                raise invalid(request, response, named, described=True)
            if fetched.pagination.offset != offset:
                raise invalid(request, response, f"the page at another offset than {offset}")
            return fetched

        return reading

    def _row_by_row(self, response: RawResponse, *, every: bool) -> Fetched[R] | None:
        """Return a page without its invalid rows, or None when it is no page at all.

        Unless `every` row is wanted, the first invalid one is enough: a hostile page may hold millions.
        """
        try:
            raw = _raw_page.decode(response.body)
        except FOREIGN:
            return None
        rows: list[R] = []
        broken: list[str] = []
        for place, row in enumerate(raw.data):
            try:
                rows.append(self._row.decode(row))
            except FOREIGN:
                broken.append(_row_id(row) or f"number {place} of the page at {raw.pagination.offset}")
                if not every:
                    break
        return Fetched(rows, raw.pagination, tuple(broken), server_time(response.headers))


def _problem(error: Exception) -> str:
    """Return what msgspec says without quoting values: only enum errors carry one, and ours are open."""
    if isinstance(error, msgspec.ValidationError):
        return f"JSON of another shape: {str(error).split(', got value')[0]}"
    return "a body that is not JSON"


class _RawPage(Struct):
    data: list[msgspec.Raw]
    pagination: Pagination


class _Identified(Struct):
    id: Id


_raw_page = msgspec.json.Decoder(_RawPage)


def _row_id(row: msgspec.Raw) -> str | None:
    """Return the id of a row that is otherwise invalid, when it has one that is an id and nothing else."""
    try:
        found = msgspec.json.decode(row, type=_Identified).id
    except FOREIGN:
        return None
    return found if is_id(found) else None


def invalid(
    request: Request, response: RawResponse, problem: str, *, described: bool = False
) -> errors.ResponseValidationError:
    """Return the error of a successful answer that breaks the contract."""
    return errors.ResponseValidationError(
        problem if described else f"{request.method} {request.route} was answered {response.status} with {problem}",
        request_id=response.headers.get("X-Request-ID"),
        method=request.method,
        route=request.route,
        attempts=response.attempts,
    )
