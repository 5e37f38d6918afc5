"""What may travel over a cluster: its scheduler, and all who use it, see what comes back. Counts, and masked lines.

Of an error that is the line with identity numbers, addresses and ids of records replaced, and facts that are numbers or
names of ours: no body, no header, no value that a server sent.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import cast

from msgspec.structs import replace

from ..errors import MeitnerError
from ..export import Report
from ..tenants import TenantReport

_ID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_FACTS = frozenset(
    {
        "request_id",
        "method",
        "route",
        "attempts",
        "status_code",
        "reset_at",
        "retry_after",
        "reason",
        "sent",
        "stale",
        "missing_credentials",
        "retry_budget_exhausted",
        "too_large",
    }
)
"""Attributes of errors that hold no value of a directory."""


def harmless_report(report: Report) -> Report:
    """Return a report without the ids of rows that were left out, which the manifest has."""
    rows = (tuple(replace(row, id="***") for row in one.invalid) for one in report.resources)
    return replace(
        report, resources=tuple(replace(one, invalid=left) for one, left in zip(report.resources, rows, strict=True))
    )


def harmless(tenant: TenantReport[Report]) -> TenantReport[Report]:
    """Return what became of a tenant, fit to travel."""
    report = None if tenant.report is None else harmless_report(tenant.report)
    error = None if tenant.error is None else harmless_error(tenant.error)
    return replace(tenant, report=report, error=error)


def harmless_error(error: Exception) -> Exception:
    """Return an error of the same kind; of what is neither ours nor a disk's, only the kind and the place are told."""
    if isinstance(error, MeitnerError):
        return _ours(error)
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, os.strerror(error.errno))
    where = "".join(f", {note}" for note in cast("list[str]", getattr(error, "__notes__", ())))
    return MeitnerError(f"the worker failed with {type(error).__name__}{where}")


def _ours(error: MeitnerError) -> MeitnerError:
    kind = type(error)
    request = error.request_id
    line = _ID.sub(lambda found: found[0] if found[0] == request else "***", str(error))
    blank, known = vars(kind()), vars(error)
    made = kind.__new__(kind, line)
    vars(made).update(blank, message=line)
    vars(made).update((name, known[name]) for name in _FACTS & known.keys() if _is_plain(known[name]))
    return made


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | Enum) or type(value).__module__ == "datetime"
