"""A `Send` with scripted answers, and what a call through it comes to."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, NamedTuple

from meitner_aio import RetryPolicy
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_budget import RetryBudget
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.errors import APIConnectionError, APITimeoutError, MeitnerError, ResponseValidationError

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"
EPOCH = 1795255200
"""What `DATE` says, in seconds since 1970."""

Reply = RawResponse | Callable[[], MeitnerError]
"""An answer, or a maker of what is raised instead."""


def lost() -> MeitnerError:
    """Make an error: nobody knows whether it was processed."""
    return APIConnectionError("cut")


def unsent() -> MeitnerError:
    """Make an error: nothing left."""
    return APIConnectionError("refused", sent=False)


def timed_out() -> MeitnerError:
    """Make an error: it left, and nothing came back."""
    return APITimeoutError("no answer in time")


def timed_out_unsent() -> MeitnerError:
    """Make an error: no connection came about."""
    return APITimeoutError("no connection in time", sent=False)


def garbled() -> MeitnerError:
    """Make an error: a success that cannot be read."""
    return ResponseValidationError("not JSON")


def said(status: int, code: str | None = "Internal", **headers: str) -> RawResponse:
    """Return an answer: a failure has the API's error object, unless its code is None."""
    body = f'{{"error":{{"code":"{code}","message":"no","requestID":"req-1"}}}}' if code and status >= 300 else ""
    return RawResponse(
        status, Headers({name.replace("_", "-"): value for name, value in headers.items()}), body.encode()
    )


class Script:
    """Says one reply after the other, the last again and again; a fresh copy each time."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.sent = 0

    async def __call__(self, _: Request) -> RawResponse:
        self.sent += 1
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if not isinstance(reply, RawResponse):
            raise reply()
        return RawResponse(reply.status, reply.headers, reply.body, reply.attempts, too_many=reply.too_many)


class Outcome(NamedTuple):
    """What a call came to, how often it was sent, and the seconds it waited in between."""

    result: Any
    sent: int
    waits: list[float]


def request(operation: str = "get", method: str = "GET", path: str = "/student/x", **more: Any) -> Request:
    """Return a request for one student."""
    return Request(operation, method, "/student/{id}", path, **more)


async def call(
    *replies: Reply,
    operation: str = "get",
    method: str = "GET",
    policy: RetryPolicy | None = None,
    budget: RetryBudget | None = None,
) -> Outcome:
    """Make one call without really waiting."""
    waits: list[float] = []
    script = Script(*replies)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    retrying = Retrying(script, policy or RetryPolicy(), budget, sleep=sleep)
    try:
        return Outcome(await retrying.send(request(operation, method)), script.sent, waits)
    except MeitnerError as error:
        return Outcome(error, script.sent, waits)


def endless() -> RetryBudget:
    """Return a budget that no test uses up."""
    budget = RetryBudget()
    budget.tokens = 10**9
    return budget


@types.coroutine
def stepping(coroutine: Coroutine[Any, Any, Any], step: Callable[[], None]) -> Generator[Any, Any, Any]:
    """Await a coroutine, and call `step` just before each of its suspensions."""
    resume: Callable[[], Any] = partial(coroutine.send, None)
    while True:
        try:
            yielded = resume()
        except StopIteration as stop:
            return stop.value
        step()
        try:
            resume = partial(coroutine.send, (yield yielded))
        except BaseException as error:
            resume = partial(coroutine.throw, error)
