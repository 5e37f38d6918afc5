"""What runs of `sync` came to, one by one and in sum. Says nothing of any record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from .._pipeline.server_limiter import Quota
from ..errors import TooManyDeletions
from ..events import Event, RequestSent
from ..resources import RESOURCES
from ._metrics import Family, Labels

if TYPE_CHECKING:
    from ..mirror import SyncReport

KINDS = ("inserted", "updated", "deleted", "unchanged")
_BY_PATH = {resource.path.strip("/"): name for name, resource in RESOURCES.items()}


class Ran(NamedTuple):
    """One run."""

    at: datetime
    """When it began."""
    seconds: float
    requests: Mapping[str, int]
    """By resource, those that were sent again included."""
    reports: tuple[SyncReport, ...] = ()
    """That of following, and that of comparing where it was asked for: those that were committed."""
    error: Exception | None = None

    @property
    def complete(self) -> bool:
        """Whether the file is now shown to be what the directory was."""
        return self.error is None and all(report.complete for report in self.reports)

    @property
    def sent(self) -> int:
        """Requests in all."""
        return sum(self.requests.values())

    @property
    def names(self) -> list[str]:
        """The resources that were followed, in their order."""
        return list(dict.fromkeys(name for report in self.reports for name in report.resources))

    @property
    def read_anew(self) -> list[str]:
        """Those that were read in full."""
        return [name for name in self.names if any(name in report.read_anew for report in self.reports)]

    @property
    def mismatches(self) -> dict[str, int]:
        """By how many rows the directory had more, or below 0 fewer, where a comparison found a difference."""
        found = (getattr(report, "mismatches", {}) for report in self.reports)
        return {name: rows for one in found for name, rows in one.items()}

    def count(self, kind: str, name: str | None = None) -> int:
        """Return the rows of one of KINDS, of one resource or of all."""
        names = self.names if name is None else [name]
        return sum(
            getattr(report.resources[one], kind) for report in self.reports for one in names if one in report.resources
        )


class Requests:
    """Counts the requests of a run by resource, from what a client tells."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.latest = ""
        """The resource that was asked for last."""

    def tell(self, event: Event) -> None:
        """Count an event that is a request."""
        if isinstance(event, RequestSent):
            path = event.route.strip("/").partition("/")[0]
            self.latest = _BY_PATH.get(path, path)
            self.sent[self.latest] += 1


class Totals:
    """All runs since the start of the process, as metrics."""

    def __init__(self) -> None:
        self._rows: Counter[Labels] = Counter()
        self._requests = 0
        self._failures = 0
        self._held: dict[str, int] = {}
        self._last: Ran | None = None

    def add(self, ran: Ran) -> None:
        """Count a run."""
        for name in ran.names:
            self._held.setdefault(name, 0)
            for kind in KINDS:
                self._rows[("resource", name), ("kind", kind)] += ran.count(kind, name)
        self._requests += ran.sent
        self._failures += not ran.complete
        held: Mapping[str, int] = ran.error.deletions if isinstance(ran.error, TooManyDeletions) else {}
        self._held = {name: held.get(name, 0) for name in {**self._held, **held}}
        self._last = ran

    def families(
        self, now: datetime, success: datetime | None, rows: Mapping[str, int], quota: Quota | None
    ) -> Iterable[Family]:
        """Return the metrics, with what is in the file: when the last run began that succeeded, and how many rows."""
        last = self._last
        stamp = None if success is None else success.timestamp()
        yield _gauge(
            "meitner_sync_last_run_timestamp_seconds", "When the last run began.", last and last.at.timestamp()
        )
        yield _gauge("meitner_sync_duration_seconds", "How long the last run took.", last and last.seconds)
        yield _gauge("meitner_sync_last_success_timestamp_seconds", "When the last run began that succeeded.", stamp)
        age = None if stamp is None else max(0.0, now.timestamp() - stamp)
        yield _gauge("meitner_sync_age_seconds", "How old the copy was when this was written.", age)
        yield _counter("meitner_sync_requests_total", "Requests sent, those sent again included.", {(): self._requests})
        yield _counter(
            "meitner_sync_failures_total", "Runs that did not bring the copy up to date.", {(): self._failures}
        )
        yield _counter(
            "meitner_sync_rows_total", "Rows that runs inserted, updated, deleted or found unchanged.", self._rows
        )
        yield _by_resource(
            "meitner_sync_held_deletions", "Deletions that wait for somebody to accept them.", self._held
        )
        # Not meitner_sync_rows, which OpenMetrics takes for the name of the counter of rows.
        yield _by_resource("meitner_mirror_rows", "Rows in the copy.", rows)
        yield _gauge(
            "meitner_quota_remaining", "Requests left of the quota.", None if quota is None else quota.remaining
        )
        yield _gauge(
            "meitner_quota_limit", "Requests that the quota allows an hour.", None if quota is None else quota.limit
        )


def _gauge(name: str, text: str, value: float | None) -> Family:
    return Family(name, "gauge", text, {} if value is None else {(): value})


def _by_resource(name: str, text: str, values: Mapping[str, int]) -> Family:
    return Family(name, "gauge", text, {(("resource", resource),): rows for resource, rows in values.items()})


def _counter(name: str, text: str, values: Mapping[Labels, int]) -> Family:
    return Family(name, "counter", text, values)
