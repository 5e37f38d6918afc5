"""Sends the requests of a probe: reads only, and never more than allowed, whatever the server does.

What leaves is counted for the worst: a request whose connection broke may have left twice, and one that was answered
401 may have cost a token and been sent again. A question that could exceed the bound is not asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from .._runtime.amounts import duration
from .._wire.messages import FOREIGN, RawResponse
from ..errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    MeitnerError,
    QuotaExhausted,
    RateLimitError,
)
from ..events import Event, QuotaWait, RequestSent

if TYPE_CHECKING:
    from ..client import Meitner

MOST = 40
"""Requests of a whole probe, those for tokens included."""

_ONCE_MORE = {"GET": 2, "POST": 1}
"""How often one may be on the wire: aiohttp repeats a GET whose kept connection was closed."""

_TOKENS = 4
"""Token requests that one call may cause: before the rate limiter, behind it, after a 401, and early for the next."""

_PATIENCE = 90.0
"""Seconds after which nothing more is asked, however many requests are left."""

_IN_A_ROW = 2
"""Answers that fail or stay away, after which nothing more is asked."""


class Heard:
    """Counts the requests and waits of the client that a probe uses, as its `on_event`.

    Give it to the client's constructor: token requests report to that hook alone.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.waits = 0

    def record(self, event: Event) -> None:
        """Count an event."""
        self.sent += isinstance(event, RequestSent)
        self.waits += isinstance(event, QuotaWait)


class Answer(Struct, frozen=True, kw_only=True):
    """What a question came to; a status of 0 is no answer at all."""

    status: int = 0
    headers: Mapping[str, str] = {}
    data: Any = None
    """The JSON of the body, as it is on the wire; None where there is none."""
    error: MeitnerError | None = None
    arrived: float = 0.0
    """Seconds, by the clock of the asker."""
    took: float | None = None
    """Seconds of the answer alone; None when the request waited for the quota or for a token."""

    @property
    def good(self) -> bool:
        """Whether this is a success."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the server refused the request: 400 or 422."""
        return self.status in (400, 422)

    def __repr__(self) -> str:
        return f"Answer({self.status})"  # the data is personal

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("status", self.status)]


class Asker:
    """Asks a server, at most `most` requests in all. After some failures, and after `patience` seconds, it is done.

    `done` says why nothing more is asked. Answers come without retries, as they are; only reads can be asked.
    """

    def __init__(
        self,
        meitner: Meitner,
        heard: Heard,
        *,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask through a client that was made with `on_event=heard.record`; `clock` is monotonic, in seconds."""
        self._meitner = meitner.with_options(max_retries=0, on_event=heard.record)
        self._heard = heard
        self._most = most
        self._clock = clock
        self._ends = clock() + _PATIENCE
        self._failures = 0
        self.asked = 0
        self.charged = 0
        """What was on the wire at most, token requests not included."""
        self.paced = 0
        """Requests that waited for the quota."""
        self.done = ""
        self.answers: list[Answer] = []
        """Every answer in order, without its data."""

    @property
    def requests(self) -> int:
        """How many requests were made, those for tokens included."""
        return self.asked + self._tokens

    def since(self, answer: Answer) -> float:
        """Return how many seconds ago an answer arrived."""
        return self._clock() - answer.arrived

    @property
    def _tokens(self) -> int:
        return max(0, self._heard.sent - self.asked)

    async def get(self, path: str, **params: int) -> Answer:
        """Return the answer to a GET."""
        return await self._ask("GET", path, params, None)

    async def search(self, path: str, conditions: Mapping[str, object], **params: int) -> Answer:
        """Return the answer to a search by groups of conditions, all of which must hold, as the API spells them."""
        return await self._ask("POST", f"{path}/_search", params, {"filter": {"orCondition": False, **conditions}})

    async def _ask(self, method: str, path: str, params: Mapping[str, int], json: object) -> Answer:
        if not self._affordable(method):
            return Answer()
        waits, tokens, began = self._heard.waits, self._tokens, self._clock()
        self.asked += 1
        response, error = None, None
        try:
            response = await self._meitner.request(method, path, params=params, json=json)
        except MeitnerError as failure:
            error = failure
        arrived = self._clock()
        fetched = self._tokens - tokens
        paced = self._heard.waits > waits
        self.paced += paced
        answer = _answer(response, error, arrived, None if paced or fetched else arrived - began)
        self._charge(_ONCE_MORE[method] if response is None else response.attempts, answer, fetched)
        self.answers.append(msgspec.structs.replace(answer, data=None))
        self._judge(answer)
        return answer

    def _affordable(self, method: str) -> bool:
        if not self.done and self._clock() >= self._ends:
            self.done = f"it was stopped after {duration(_PATIENCE)}"
        # Without a token so far there is none to renew; the first call of all has the whole bound before it.
        worst = _ONCE_MORE[method] * (2 if self._tokens else 1) + (_TOKENS if self._tokens else 0)
        if not self.done and self.charged + self._tokens + worst > self._most:
            self.done = f"{self._most} requests were made, the most that are allowed"
        return not self.done

    def _charge(self, once: int, answer: Answer, fetched: int) -> None:
        """Count what may have been on the wire.

        A call that fetched a token, or failed although there is one, may have been sent again after a 401.
        """
        again = fetched if self.asked > 1 else fetched - 1  # the first token of all is fetched before anything is sent
        failed = self._tokens > 0 and (answer.status in (0, 401) or answer.status >= 500)
        self.charged += once + (max(_ONCE_MORE.values()) if again > 0 or failed else 0)

    def _judge(self, answer: Answer) -> None:
        error = answer.error
        trouble = answer.status >= 500 or isinstance(error, APIConnectionError)
        self._failures = self._failures + 1 if trouble else 0
        if isinstance(error, AuthenticationError):
            self.done = "the credentials were refused"
        elif isinstance(error, RateLimitError | QuotaExhausted):
            self.done = "the quota is spent"
        elif self._failures >= _IN_A_ROW:
            self.done = f"{_IN_A_ROW} requests in a row failed"


def _answer(response: RawResponse | None, error: MeitnerError | None, arrived: float, took: float | None) -> Answer:
    if response is not None:
        return Answer(
            status=response.status, headers=response.headers, data=_json(response.body), arrived=arrived, took=took
        )
    if isinstance(error, APIStatusError):
        return Answer(status=error.status_code, headers=error.headers, error=error, arrived=arrived, took=took)
    return Answer(error=error, arrived=arrived, took=took)


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except FOREIGN:
        return None
