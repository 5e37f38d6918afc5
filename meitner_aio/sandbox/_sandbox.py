"""A directory to try things on: builds it, serves it over HTTP, and lets tests look behind the counter."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, get_args

from .._protocol import RawResponse, Request
from ..resources import RESOURCES
from ._credentials import Credentials
from ._directory import Directory
from ._door import PREFIX, Door
from ._seen import Seen
from ._synthetic import generate
from ._tables import Order
from ._window import HOUR, Window
from .faults import Fault, Faults, Injected, as_fault, operation_names

if TYPE_CHECKING:
    from ._http import Server


class Sandbox:
    """An honest directory: all operations, filters, rules, quota and errors of the API, on synthetic data.

    ```python
    async with Sandbox(students=2000) as sandbox:
        ...  # sandbox.url serves any client of the API
    ```

    The same directory answers in process through `send`. The same `seed` makes the same data, to the millisecond, all
    through a day (UTC): placements have to be active, and children of an age, today. `order` is how rows are listed:
    "created", "-created", or "updated", where an update moves its row to the end. `quota` is requests in a `window` of
    so many seconds, `page_cap` the most rows of a page, `latency` seconds before each answer. `credentials` are the
    only id and secret that are good; without them any pair is. Tokens last `token_lifetime` seconds. `clock` tells the
    seconds since 1970 to everything that knows time but `latency`. `faults` may be given by name, see `fault`. Raises
    `ValueError` for what makes no directory.
    """

    def __init__(  # noqa: PLR0913 - every choice a user can make
        self,
        *,
        students: int = 200,
        schools: int = 4,
        seed: int = 1,
        quota: int = 5000,
        window: float = HOUR,
        page_cap: int = 1000,
        latency: float = 0.0,
        faults: Sequence[Fault | str] = (),
        credentials: tuple[str, str] | None = None,
        token_lifetime: float = 3600.0,
        order: Order = "created",
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name, value, least in (("students", students, 0), ("schools", schools, 0), ("seed", seed, None)):
            _check_count(name, value, least)
        for name, value in (("quota", quota), ("page_cap", page_cap)):
            _check_count(name, value, 1)
        _check_seconds("latency", latency, 0)
        for name, seconds in (("token_lifetime", token_lifetime), ("window", window)):
            _check_seconds(name, seconds, 1)
        _check_choices(faults, order)
        self._pair = _pair(credentials)
        self._faults = Faults(map(as_fault, faults), seed)
        today = datetime.fromtimestamp(clock(), UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        records = generate(students=students, schools=schools, seed=seed, now=today)
        self._directory = Directory(records, order=order, seed=seed, clock=clock)
        self._door = Door(
            self._directory,
            Credentials(self._pair, token_lifetime, clock),
            Window(quota, clock, window),
            self._faults,
            page_cap=page_cap,
            latency=latency,
            clock=clock,
        )
        self._server: Server | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The base URL of the API, while it is served."""
        if self._url is None:
            raise RuntimeError("the sandbox is not served: use `async with`, or start()")
        return self._url

    @property
    def credentials(self) -> tuple[str, str]:
        """A client id and a secret that are good here."""
        return self._pair or ("sandbox", "sandbox")

    @property
    def requests(self) -> deque[Seen]:
        """The last requests that came in by either door; each equals `(method, path, status)`, and knows more."""
        return self._door.seen

    def requested(self, operation: str) -> list[Seen]:
        """Return those of `requests` that asked for an operation, such as "students.create", "create" or "token"."""
        if operation not in operation_names():
            raise ValueError(f"there is no operation {operation!r}")
        return [seen for seen in self.requests if operation in (seen.operation, seen.operation.partition(".")[2])]

    @property
    def faults_injected(self) -> list[Injected]:
        """Every fault that struck, in order."""
        return self._faults.injected

    @property
    def faults_idle(self) -> list[Fault]:
        """The faults that may strike and never did."""
        return self._faults.idle

    def fail(self, fault: Fault | str, **narrowed: Any) -> None:  # noqa: ANN401 - the keywords of Fault
        """Let requests fail from now on, as with the constructor's `faults`: `fail("503", times=1)`."""
        with self._door.lock:
            self._faults.add(as_fault(fault, **narrowed))

    def heal(self) -> None:
        """Let no request fail any more."""
        with self._door.lock:
            self._faults.clear()

    @property
    def door(self) -> Door:
        """The transport of clients in this process, which may close without closing the sandbox."""
        return self._door

    def records(self, attribute: str) -> list[Any]:
        """Return the records of a resource as they are now, in the order in which they are listed."""
        if attribute not in RESOURCES:
            raise ValueError(f"there is no resource {attribute!r}")
        with self._door.lock:
            return list(self._directory.rows(attribute))

    async def send(self, request: Request) -> RawResponse:
        """Answer a request in process: the transport of a client that needs no network."""
        return await self._door.send(request)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve over HTTP until `close`, and return `url`; port 0 takes a free one."""
        if self._server is not None:
            raise RuntimeError("the sandbox is served already")
        from ._http import Server  # noqa: PLC0415 - in process, the sandbox needs no aiohttp

        server = Server(self._door.send)
        self._url = f"{await server.start(host, port)}{PREFIX}"
        self._server = server
        return self._url

    async def close(self) -> None:
        """Stop serving; what the directory holds stays. May be called again."""
        server, self._server, self._url = self._server, None, None
        if server is not None:
            self._door.release()
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


def _check_count(name: str, value: object, least: int | None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise ValueError(f"{name} must be an int" + ("" if least is None else f" of at least {least}"))


def _check_seconds(name: str, value: object, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
        raise ValueError(f"{name} must be seconds, at least {least}")


def _check_choices(faults: Sequence[object], order: object) -> None:
    if isinstance(faults, str) or not all(isinstance(fault, (Fault, str)) for fault in faults):
        raise ValueError("faults must be a sequence of Fault, or of their names")
    if order not in get_args(Order):
        raise ValueError(f"order must be one of {', '.join(get_args(Order))}")


def _pair(credentials: object) -> tuple[str, str] | None:
    match credentials:
        case None:
            return None
        case (str(client), str(secret)) if client and secret:
            return client, secret
        case _:
            raise ValueError("credentials must be a client id and a secret, neither of them empty")
