"""Given records of one resource, served by the sandbox's own app: read only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from .._wire.messages import Request, Send
from .._wire.validation import plausible
from ..errors import APIConnectionError, ConnectionReason
from ..records import Meta
from ..resources import DATA_EXPORT
from .faults import Faults
from .http.answers import Refusal
from .http.app import App, asked_path
from .http.auth import Credentials
from .http.dialect import Dialect
from .http.paging import Paging
from .http.quota import HOUR, Unlimited
from .http.routes import Routes
from .store.directory import Directory

_READS = frozenset({"list", "search", "get"})
_NOWHERE = 404
_SETTLED = 600.0
"""Seconds that this directory's clock is past its last change, at least. Listings treat rows of the last minutes as
unsettled; these never change."""

_PLAIN = Dialect(unknown="refuse")
"""An ignored condition would find everything, so unknown ones are refused."""

_routes = Routes()
_EXPORTED = {f"/{kind.api}{kind.path}": name for name, kind in DATA_EXPORT.items()}


class Frozen:
    """The records of a resource, in the order given. All credentials are accepted, and there is no quota."""

    def __init__(self, attribute: str, records: Sequence[Any]) -> None:
        """Hold `records` of the resource that the client, or its `data_export`, keeps as `attribute`."""
        rows = {attribute: records}
        metas: list[Meta] = [meta for record in records if (meta := getattr(record, "meta", None)) is not None]
        changes = (at for meta in metas for at in (meta.created_at, meta.updated_at) if at is not None)
        latest = max(filter(plausible, changes), default=None)
        settled = 0.0 if latest is None else latest.timestamp() + _SETTLED

        def clock() -> float:
            return max(time.time(), settled)

        app = App(
            Directory(rows, order="created", seed=0, clock=clock, dialect=_PLAIN),
            Credentials(None, HOUR, clock),
            Unlimited(),
            Faults((), 0),
            paging=Paging(),
            dialect=_PLAIN,
            latency=0.0,
            clock=clock,
            exported=lambda: rows if attribute in DATA_EXPORT else {},
        )
        self.send: Send = app.send
        """Answers a request, as the sandbox does."""


def reads(request: Request) -> str | None:
    """Return the resource that a request reads; None for a write, and an empty text for what does not exist.

    Raises `APIConnectionError` for a path that the directory does not have: of a declared resource, or of another API.
    """
    path = asked_path(request)
    if request.method == "GET" and path in _EXPORTED:
        return _EXPORTED[path]
    try:
        place = _routes.find(request.method, path)
    except Refusal as refusal:
        if refusal.status != _NOWHERE:
            return ""
    else:
        return place.attribute if place.operation in _READS else None
    raise APIConnectionError(
        f"offline: {request.route} is no resource of the directory, and a snapshot holds nothing else",
        reason=ConnectionReason.OFFLINE,
        sent=False,
        attempts=0,
        method=request.method,
        route=request.route,
    )
