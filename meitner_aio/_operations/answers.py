"""What operations make of an answer. Pure but for `sent`, which waits for it."""

from __future__ import annotations

from typing import Any

from .._wire.decoding import invalid
from .._wire.headers import media_type
from .._wire.messages import RawResponse, Request, Send, value_of


async def sent(send: Send, request: Request) -> Any:
    """Send a request and return what its reader makes of the answer."""
    return value_of(request, await send(request))


def nothing(request: Request, response: RawResponse) -> None:
    """Refuse the page of a gateway or a login portal: the API answers 204 without a body."""
    media = media_type(response.headers)
    if response.body and "json" not in media:
        raise invalid(request, response, f"{media or 'something'} where no body was expected")
