"""The outbox of a client without a server: its writes go nowhere, which is said once."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import APIConnectionError, ConnectionReason
from ._outbox import Outbox


class DroppingOutbox(Outbox):
    """The outbox of `Meitner(offline=True)`: `dropped` counts what would have been written.

    A coroutine of your own runs up to its first write. Any other error is in `failures`, as online.
    """

    def __init__(self, *, concurrency: int, maxsize: int, warn: Callable[[], None]) -> None:
        """Call `warn` for every write that is dropped."""
        super().__init__(concurrency=concurrency, maxsize=maxsize)
        self._warn = warn
        self.dropped = 0
        """Writes that went nowhere."""

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self.dropped} dropped>"

    def _failed(self, index: int, error: BaseException) -> None:
        if isinstance(error, APIConnectionError) and error.reason is ConnectionReason.OFFLINE:
            self.dropped += 1
            self._warn()
        else:
            super()._failed(index, error)
