"""What became of each tenant, and of all. Nothing personal and nothing secret, in a `repr` either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from ..errors import MeitnerError


class Result(Protocol):
    """What the work for a tenant returns: the `Report` of an export, the `SyncReport` of a mirror."""

    @property
    def complete(self) -> bool:
        """Whether nothing lacks that was asked for."""
        ...


R_co = TypeVar("R_co", bound=Result, covariant=True)


class TenantReport(Struct, Generic[R_co], frozen=True):
    """What became of one tenant: a `report`, or the `error` that ended its run."""

    name: str
    report: R_co | None
    error: Exception | None
    requests: int
    """Requests sent, those that were sent again included."""
    seconds: float
    """From its turn to its end."""

    @property
    def ok(self) -> bool:
        """Whether it came to its end, and is complete."""
        return self.report is not None and self.report.complete

    @property
    def why(self) -> str:
        """Why it failed, in a line that holds no secret; empty when it did not."""
        error = self.error
        if error is None:
            return ""
        # What others raise may quote anything: only our own errors are known to be masked.
        known = str(error) if isinstance(error, MeitnerError) else getattr(error, "strerror", None)
        return f"{type(error).__name__}: {known}" if known else type(error).__name__

    def __repr__(self) -> str:
        return f"TenantReport({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        failed = [] if self.error is None else [("error", self.why)]
        facts = [("name", self.name), ("ok", self.ok), ("requests", self.requests), ("seconds", round(self.seconds, 3))]
        return [*facts, *failed]


class TenantsReport(Struct, Generic[R_co], frozen=True):
    """What became of all tenants, by name, in the order in which they were given."""

    tenants: Mapping[str, TenantReport[R_co]]
    seconds: float
    """Of all together."""

    @property
    def ok(self) -> bool:
        """Whether every tenant came to its end, and is complete."""
        return all(one.ok for one in self.tenants.values())

    @property
    def failed(self) -> tuple[str, ...]:
        """The tenants that an error ended."""
        return tuple(name for name, one in self.tenants.items() if one.error is not None)

    @property
    def incomplete(self) -> tuple[str, ...]:
        """The tenants that came to their end, and were not shown to be complete."""
        return tuple(name for name, one in self.tenants.items() if one.error is None and not one.ok)

    @property
    def requests(self) -> int:
        """Requests sent, over all tenants."""
        return sum(one.requests for one in self.tenants.values())

    def __getitem__(self, name: str) -> TenantReport[R_co]:
        return self.tenants[name]
