"""The resources of a run: every request is one of many, which waits for the quota as long as it takes, and counts."""

from __future__ import annotations

from typing import TypeAlias, cast

from msgspec.structs import replace

from ..._operations.composed import Deletable
from ..._operations.resource import Bound, binding_of
from ..._wire.messages import RawResponse, Request
from ...errors import MeitnerError
from ...records import DirectoryRecord
from ...resources import RESOURCES

AnyResource: TypeAlias = Deletable[DirectoryRecord]
"""One of many. Units and schools cannot be deleted, and are not."""


class Requests:
    """Stands in the way of every request of a run."""

    def __init__(self, client: Bound) -> None:
        """Send what the client would send."""
        wire = binding_of(client)
        self._send = wire.send
        self._wire = wire._replace(send=self._counted)
        self.count = 0

    def resource(self, attribute: str) -> AnyResource:
        """Return a resource whose requests are those of the run."""
        return cast("AnyResource", self._wire.to(RESOURCES[attribute]))

    async def _counted(self, request: Request) -> RawResponse:
        try:
            response = await self._send(replace(request, bulk=True))
        except MeitnerError as error:
            self.count += 1 if error.attempts is None else error.attempts
            raise
        self.count += response.attempts
        return response
