"""What each run of `sync` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._pipeline.server_limiter import Quota
from ..errors import ConfigurationError, MeitnerError
from ..events import Event
from ._exit import UsageError
from ._runs import Ran, Requests
from .rendering.disk import explained

if TYPE_CHECKING:
    from ..client import Meitner
    from ..mirror import Mirror, SyncReport


class Job:
    """Follows the directory into a mirror, and compares the two where that is asked for."""

    def __init__(
        self,
        meitner: Meitner,
        mirror: Mirror,
        file: Path,
        *,
        resources: Sequence[str] | None,
        options: dict[str, Any],
        compared: dict[str, Any] | None,
    ) -> None:
        """Take the keywords of `sync`, and those of `verify` where it is wanted; `file` is that of the mirror."""
        self.file, self.mirror = file, mirror
        self.requests = Requests()
        self.listener: Callable[[Event], object] = lambda _: None
        """Hears what the client tells."""
        self.ends: Callable[[], bool] = lambda: False
        """Whether a run shall end behind its next transaction."""
        self.running = False
        self._meitner = meitner.with_options(on_event=self._heard)
        self._resources, self._options, self._compared = resources, options, compared

    def quota(self) -> Quota | None:
        """Return what is left of the quota."""
        return self._meitner.quota

    def _heard(self, event: Event) -> None:
        self.requests.tell(event)
        self.listener(event)

    async def run(self) -> Ran:
        """Bring the file to what the directory is.

        What another run may do better is in the result. `UsageError` for a file that no run can use.
        """
        at, began = datetime.now(UTC), time.monotonic()
        reports: list[SyncReport] = []
        error: Exception | None = None
        self.requests.sent.clear()
        self.running = True
        try:
            await self._run(reports)
        except ConfigurationError as wrong:
            raise UsageError(str(wrong)) from None
        except MeitnerError as failure:
            error = failure
        except OSError as failure:
            error = MeitnerError(explained(failure, str(self.file)))
        finally:
            self.running = False
        return Ran(at, time.monotonic() - began, dict(self.requests.sent), tuple(reports), error)

    async def _run(self, reports: list[SyncReport]) -> None:
        reports.append(await self.mirror.sync(self._meitner, self._resources, **self._options))
        if self._compared is not None and not self.ends():
            reports.append(await self.mirror.verify(self._meitner, self._resources, **self._compared))
