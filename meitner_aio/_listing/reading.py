"""How a listing is read: the caller's options, and the limits of the client. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

from .._wire.page_size import LARGEST
from .._wire.validation import check_whole
from ..errors import ConfigurationError
from .source import PageRequest


class ReadingOptions(TypedDict, total=False):
    """The fields of a `Reading`. One that is left out or None keeps its value."""

    limit: int | None
    offset: int | None
    concurrency: int | None
    strict: bool | None
    exact: bool | None
    on_invalid: str | None
    largest: int | None
    widest: int | None


class Reading(NamedTuple):
    """The options of a read."""

    limit: int | None = None
    """Rows a page; None for as many as the server gives."""
    offset: int = 0
    concurrency: int = 8
    strict: bool = False
    exact: bool = False
    on_invalid: str = "raise"
    largest: int = LARGEST
    """Rows a page at most, if `limit` leaves it to the server."""
    widest: int | None = None
    """How many requests the client may have in flight; None if it has no limit."""

    @property
    def skip_invalid(self) -> bool:
        """Whether rows that break the contract are left out."""
        return self.on_invalid == "skip"

    @property
    def ask(self) -> PageRequest:
        """What to ask for first."""
        limit = self.largest if self.limit is None else self.limit
        start = PageRequest(limit, self.offset, bulk=True, first=True, open=self.limit is None)
        return start._replace(skip_invalid=self.skip_invalid)

    def changed(self, options: ReadingOptions) -> Reading:
        """Return these options with those that were given.

        Raises `TypeError` or `ValueError` for invalid options, `ConfigurationError` for more requests than the client
        allows.
        """
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        reading = Reading(**self._asdict() | given)
        reading._check()
        return reading

    def _check(self) -> None:
        for name, least in (("limit", 1), ("offset", 0), ("concurrency", 1)):
            value: object = getattr(self, name)
            if value is not None:
                check_whole(name, value, least)
        if self.on_invalid not in ("raise", "skip"):
            raise ValueError('on_invalid must be "raise" or "skip"')
        if self.exact and self.offset:
            raise ValueError("an exact listing starts at offset 0")
        if self.widest is not None and self.concurrency > self.widest:
            raise ConfigurationError(
                f"concurrency={self.concurrency} is more than the {self.widest} requests that this client may have in "
                "flight: build it with a larger max_concurrency (your own session has a limit, too)"
            )
