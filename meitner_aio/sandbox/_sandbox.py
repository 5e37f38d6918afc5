"""A directory to try things on: made here, served over HTTP, and open to inspection by tests."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from .._operations.resource import Resource
from .._wire.messages import RawResponse, Request
from .._wire.validation import check_seconds, check_whole, suggestion
from ..records import DirectoryRecord, Record
from ..resources import LISTED, RESOURCES
from .faults import Fault, FaultFields, Faults, Injected, as_fault, operation_names
from .http.app import PREFIX, App
from .http.auth import Credentials
from .http.dialect import Dialect, Form, Resolution, Unknown, Zones
from .http.paging import OverCap, Paging
from .http.quota import HOUR, HeaderCount, LimiterKind, Reset, new_limiter
from .http.received import ReceivedRequest
from .http.served import Answer
from .store.choices import check_choice
from .store.directory import Directory
from .store.tables import Order
from .store.writes import SOURCE
from .synthetic import generate
from .synthetic.exported import EXPORTED_FROM, exported
from .synthetic.owned import owned as all_owned

if TYPE_CHECKING:
    from .http.server import Server

T = TypeVar("T", bound=Record)


class Sandbox:
    """An honest directory: all operations, filters, rules, quota and errors of the API, on synthetic data.

    ```python
    async with Sandbox(students=2000) as sandbox:
        ...  # sandbox.url serves any client of the API
    ```

    The same directory answers in process through `send`. Every default is what the API does, as far as its vendor has
    published it.

    **Data.** The same `seed` makes the same data for a whole day (UTC). Another day has other data: placements must be
    active, and children of school age, on that day. Audit events name records that were deleted. `owned` gives every
    record a source id, under the source of what is created here; otherwise some have one, of another system. `order` is
    how rows are listed: "created", "-created", or "updated", where an update moves its row to the end. The Data Export
    API beside it is derived from what the directory began with: `lessons` reports of attendance a pupil, and so on.

    **Quota.** `limiter="bucket"` holds `quota` tokens, full at the start, into which `quota` flow in `window` seconds;
    `burst` makes it hold fewer (or more). "window" counts `quota` requests in windows of so many seconds, each opened
    by its first request; "none" counts nothing and says nothing. `reset` is what RateLimit-Reset means under a bucket:
    when it is "full", when the "next" token comes, an "hour" (a window) from now, or the "top" of the hour. `headers`
    count the request that is answered ("now"), only those before it ("late"), or are not sent ("none").

    **Pages.** `page_cap` rows at most; a larger limit is brought down to it ("clamp") or answered with 400 ("refuse").

    **Values.** `resolution` is that of the instants that the server sets. `unknown` fields of a body, those of a filter
    included, are ignored ("ignore") or refused with 422 or 400 ("refuse"). Text is trimmed, and kept in the Unicode
    form that `normalize` names, if any. `nil_lists` sends empty lists as null, `nil_objects` null objects as objects of
    nulls. `zones="drop"` ignores the offset of an instant in a search.

    **The rest.** `latency` is seconds before each answer. `credentials` are the only id and secret that are accepted;
    without them any pair is. Tokens last `token_lifetime` seconds. `clock` returns seconds since 1970; everything but
    `latency` goes by it. `faults` may be given by name, see `fault`.

    Raises `TypeError` or `ValueError` for an option that is not valid.
    """

    def __init__(
        self,
        *,
        students: int = 200,
        schools: int = 4,
        seed: int = 1,
        lessons: int = 5,
        owned: bool = False,
        order: Order = "created",
        limiter: LimiterKind = "bucket",
        quota: int = 1500,
        window: float = HOUR,
        burst: int | None = None,
        reset: Reset = "full",
        headers: HeaderCount = "now",
        page_cap: int = 1000,
        over_cap: OverCap = "clamp",
        resolution: Resolution = "second",
        unknown: Unknown = "ignore",
        normalize: Form | None = None,
        nil_lists: bool = False,
        nil_objects: bool = False,
        zones: Zones = "convert",
        latency: float = 0.0,
        faults: Sequence[Fault | str] = (),
        credentials: tuple[str, str] | None = None,
        token_lifetime: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        _check_amounts(seed, students=students, schools=schools, lessons=lessons)
        _check_times(latency, token_lifetime)
        _check_faults(faults)
        check_choice("order", order, Order)
        self._pair = _pair(credentials)
        self._faults = Faults(map(as_fault, faults), seed)
        dialect = Dialect(
            resolution=resolution,
            unknown=unknown,
            zones=zones,
            normalize=normalize,
            nil_lists=nil_lists,
            nil_objects=nil_objects,
        )
        counter = new_limiter(limiter, quota, window, clock, burst=burst, reset=reset, counted=headers)
        paging = Paging(page_cap, over_cap)
        now = datetime.fromtimestamp(clock(), UTC)
        born = _records(now, resolution, students=students, schools=schools, seed=seed)
        records = all_owned(born, SOURCE) if owned else born
        self._directory = Directory(records, order=order, seed=seed, clock=clock, dialect=dialect)
        self._app = App(
            self._directory,
            Credentials(self._pair, token_lifetime, clock),
            counter,
            self._faults,
            paging=paging,
            dialect=dialect,
            latency=latency,
            clock=clock,
            exported=_derived(born, lessons=lessons, seed=seed, now=now),
        )
        self._size = students, schools, seed
        self._server: Server | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The base URL of the API, while it is served."""
        if self._url is None:
            raise RuntimeError("the sandbox is not served: use `async with`, or start()")
        return self._url

    @property
    def origin(self) -> str:
        """Where the pages are, while it is served: the explorer at `/`, the last requests at `/requests`."""
        return self.url.removesuffix(PREFIX)

    @property
    def name(self) -> str:
        """A name for people: its size and its seed."""
        students, schools, seed = self._size
        return f"the sandbox of {students} students and {schools} schools, seed {seed}"

    @property
    def credentials(self) -> tuple[str, str]:
        """A client id and a secret that are accepted."""
        return self._pair or ("sandbox", "sandbox")

    @property
    def requests(self) -> deque[ReceivedRequest]:
        """The last 10,000 requests, in process and over HTTP; each equals `(method, path, status)`, and has more."""
        return self._app.received

    def requested(self, operation: str) -> list[ReceivedRequest]:
        """Return those of `requests` that asked for an operation, such as "students.create", "create" or "token"."""
        if operation not in operation_names():
            raise ValueError(f"there is no operation {operation!r}{suggestion(operation, operation_names())}")
        return [one for one in self.requests if operation in (one.operation, one.operation.partition(".")[2])]

    @property
    def faults_injected(self) -> list[Injected]:
        """Every fault that struck, in order."""
        return self._faults.injected

    @property
    def faults_idle(self) -> list[Fault]:
        """The faults that may strike and never did."""
        return self._faults.idle

    def fail(self, fault: Fault | str, **narrowed: Unpack[FaultFields]) -> None:
        """Let requests fail from now on, as with the constructor's `faults`: `fail("503", times=1)`."""
        with self._app.lock:
            self._faults.add(as_fault(fault, **narrowed))

    def heal(self) -> None:
        """Let no request fail any more."""
        with self._app.lock:
            self._faults.clear()

    @property
    def app(self) -> App:
        """The transport of clients in this process, which may close without closing the sandbox."""
        return self._app

    def records(self, attribute: str) -> list[Any]:
        """Return the records of a resource as they are now, in the order in which they are listed."""
        if attribute not in LISTED:
            raise ValueError(f"there is no resource {attribute!r}{suggestion(attribute, LISTED)}")
        with self._app.lock:
            in_directory = attribute in RESOURCES
            return list(self._directory.rows(attribute) if in_directory else self._app.data_export(attribute))

    def serve(
        self,
        kind: type[Resource[T]],
        /,
        rows: Iterable[T] = (),
        *,
        actions: Mapping[str, Answer] | None = None,
        **parameters: str,
    ) -> None:
        """Serve a resource that you declared (`meitner_aio.declare`), too, at the `parameters` of its path.

        It begins with these rows, in their order, and shares credentials, quota, page cap and faults with the rest.
        `actions` says what actions do, by their names: each gets the record of its id (None without one) and the record
        that was sent, and returns the answer. An action that answers with the record of its id, or with nothing, needs
        none. Raises `TypeError` for parameters that the path does not have, rows of another record, and an action whose
        answer is not said.
        """
        self._app.serve(kind, rows, parameters, actions or {})

    async def send(self, request: Request) -> RawResponse:
        """Answer a request in process: the transport of a client that needs no network."""
        return await self._app.send(request)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve over HTTP until `close`, and return `url`; port 0 takes a free one."""
        if self._server is not None:
            raise RuntimeError(f"the sandbox is served already, at {self._url}: close() it first")
        from .http.pages import Pages
        from .http.server import Server

        server = Server(self._app.send, Pages(self._app, self._directory, self._faults, self.credentials))
        self._url = f"{await server.start(host, port)}{PREFIX}"
        self._server = server
        return self._url

    async def close(self) -> None:
        """Stop serving; what the directory holds stays. May be called again."""
        server, self._server, self._url = self._server, None, None
        if server is not None:
            self._app.release()
            await server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Sandbox {self._url or 'in process'}>"


def _records(
    now: datetime, resolution: Resolution, *, students: int, schools: int, seed: int
) -> dict[str, list[DirectoryRecord]]:
    """Return what a directory begins with: as of the last midnight, in stamps of the resolution."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    step = 1000 if resolution == "second" else 1
    return generate(students=students, schools=schools, seed=seed, now=today, step=step)


def _derived(
    records: Mapping[str, list[DirectoryRecord]], *, lessons: int, seed: int, now: datetime
) -> Callable[[], dict[str, list[Any]]]:
    """Return what makes the rows of the Data Export API; only the records that they need are kept for it."""
    needed = {name: records[name] for name in EXPORTED_FROM}
    return partial(exported, needed, lessons=lessons, seed=seed, today=now.date())


def _check_times(latency: object, token_lifetime: object) -> None:
    check_seconds("latency", latency, 0)
    check_seconds("token_lifetime", token_lifetime, 1)


def _check_amounts(seed: object, **amounts: object) -> None:
    check_whole("seed", seed)
    for name, amount in amounts.items():
        check_whole(name, amount, 0)


def _check_faults(faults: Sequence[object]) -> None:
    if isinstance(faults, str) or not all(isinstance(fault, (Fault, str)) for fault in faults):
        raise ValueError("faults must be a sequence of Fault, or of their names")


def _pair(credentials: object) -> tuple[str, str] | None:
    match credentials:
        case None:
            return None
        case (str(client), str(secret)) if client and secret:
            return client, secret
        case _:
            raise ValueError("credentials must be a client id and a secret, neither of them empty")
