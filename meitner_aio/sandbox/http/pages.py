"""The pages beside the API: the explorer at `/`, the last requests at `/requests`, and the JSON behind them.

They are no part of the API: they cost no quota, are in no list, and no fault strikes them. Only `/openapi.json` is for
everyone who can reach the sandbox; who may see the rest, `guarding` says. A page asks for news each second, rather than
holding a stream open: that costs little, and nothing is left to end when the sandbox closes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ..._wire.messages import Headers, RawResponse, Request
from ..faults import FaultFields, Faults, as_fault, fault_names
from ..store.directory import Directory
from .app import OPENAPI, App
from .explorer_document import explorer_document
from .guarding import HEADERS, refused
from .openapi import document
from .shown import ShownRequest, shown, shown_fault

ROOT = "/"
REQUESTS = "/requests"

_KEPT = 500
"""Requests that the page shows at most."""

_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_FILES = {
    "/-/pages.css": ("pages.css", "text/css"),
    "/-/requests.js": ("requests.js", "text/javascript"),
    "/-/explorer.js": ("explorer.js", "text/javascript"),
    "/-/icon.svg": ("icon.svg", "image/svg+xml"),
    REQUESTS: ("requests.html", _HTML),
}
_SWAGGER = {
    "/-/swagger-ui.css": ("swagger-ui.css", "text/css"),
    "/-/swagger-ui.js": ("swagger-ui-bundle.js", "text/javascript"),
}


class FaultOrder(Struct, forbid_unknown_fields=True):
    """The body of `POST /faults.json`."""

    fault: str
    times: int | None = None
    probability: float = 1.0


class Peer(NamedTuple):
    """Where a request came from, and the port of this server that it came to."""

    address: str
    port: int


class Pages:
    """Answers what is asked of the pages of one sandbox."""

    def __init__(self, app: App, directory: Directory, faults: Faults, credentials: tuple[str, str]) -> None:
        self._app = app
        self._directory = directory
        self._faults = faults
        self._credentials = credentials
        self._known: dict[int, ShownRequest] = {}
        """What was shown last of requests that are over, by their numbers: it does not change any more."""
        self._made: dict[tuple[str, str], Callable[[Request], RawResponse]] = {
            ("GET", "/requests.json"): self._requests,
            ("DELETE", "/requests.json"): self._clear,
            ("GET", "/faults.json"): self._names,
            ("POST", "/faults.json"): self._fail,
            ("DELETE", "/faults.json"): self._heal,
            ("GET", "/-/explorer.json"): self._explorer,
            ("GET", OPENAPI): self._openapi,
            ("GET", ROOT): self._index,
        }

    def has(self, method: str, path: str) -> bool:
        """Whether a request is for a page; everything else is for the API."""
        return (method, path) in self._made or (method == "GET" and (path in _FILES or path in _SWAGGER))

    def answer(self, request: Request, peer: Peer) -> RawResponse:
        """Answer a request for a page, which `has` said it is."""
        path, changes = request.path, request.method != "GET"
        why = refused(request.headers, peer.address, peer.port, changes=changes)
        if why is not None and path != OPENAPI:
            return _answer(why.status, f"{why.reason}\n".encode(), _TEXT)
        if path in _FILES:
            name, media = _FILES[path]
            return _answer(200, _static(name), media)
        if path in _SWAGGER:
            return _swagger(*_SWAGGER[path])
        with self._app.lock:
            return self._made[request.method, path](request)

    def _openapi(self, _request: Request) -> RawResponse:
        return _json(document(data_export=True))

    def _index(self, _request: Request) -> RawResponse:
        return _answer(200, _static("explorer.html" if _has_swagger() else "start.html"), _HTML)

    def _explorer(self, _request: Request) -> RawResponse:
        """Answer with what the explorer needs: never as a script, which another site could include."""
        client, secret = self._credentials
        described = explorer_document(self._directory.rows)
        return _json({"document": described, "client_credentials": client, "client_secret": secret})

    def _requests(self, _request: Request) -> RawResponse:
        armed = [shown_fault(one, left) for one, left in self._faults.armed]
        known, last = self._known, islice(reversed(self._app.received), _KEPT)
        rows = [known.get(number) or shown(one, number) for number, one in zip(count(self._app.count, -1), last)]
        self._known = {row["number"]: row for row in rows if row["milliseconds"] is not None}
        return _json({"requests": rows, "faults": armed})

    def _clear(self, _request: Request) -> RawResponse:
        self._app.received.clear()
        return _answer(204, b"")

    def _names(self, _request: Request) -> RawResponse:
        return _json({"names": fault_names()})

    def _fail(self, request: Request) -> RawResponse:
        try:
            order = msgspec.json.decode(request.body or b"", type=FaultOrder)
            narrowed: FaultFields = {"times": order.times, "probability": order.probability}
            self._faults.add(as_fault(order.fault, **narrowed))
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError) as error:
            return _answer(400, f"{error}\n".encode(), _TEXT)
        return _answer(204, b"")

    def _heal(self, _request: Request) -> RawResponse:
        self._faults.clear()
        return _answer(204, b"")


def _has_swagger() -> bool:
    return find_spec("swagger_ui_bundle") is not None


def _swagger(name: str, media: str) -> RawResponse:
    """Answer with a file of Swagger UI, which the extra `explorer` brings."""
    if not _has_swagger():
        return _answer(404, b'install "meitner-aio[explorer]"\n', _TEXT)
    folder: Path = import_module("swagger_ui_bundle").swagger_ui_path
    return _answer(200, (folder / name).read_bytes(), media)


@cache
def _static(name: str) -> bytes:
    return files("meitner_aio.sandbox.http").joinpath("static", name).read_bytes()


def _json(value: object) -> RawResponse:
    return _answer(200, msgspec.json.encode(value), "application/json")


def _answer(status: int, body: bytes, media: str = _TEXT) -> RawResponse:
    return RawResponse(status, Headers({**HEADERS, "Content-Type": media}), body)
