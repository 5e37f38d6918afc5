"""Uses of many tenants that type checkers must accept, and the types that they must see. Never run."""
# pyright: strict

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from meitner_aio import Event, Meitner
from meitner_aio.export import Progress, Report
from meitner_aio.mirror import SyncReport
from meitner_aio.tenants import Tenant, TenantReport, TenantsReport, export_many, sync_many


async def made() -> Meitner:
    """Make a client; a factory may be awaited."""
    return Meitner()


def told(name: str, news: Progress) -> None:
    """Hear of a tenant."""
    assert_type((name, news), tuple[str, Progress])


def heard(name: str, event: Event) -> None:
    """Hear of a tenant."""
    assert_type((name, event), tuple[str, Event])


async def many(meitner: Meitner, path: Path) -> None:
    """Clients, factories, every kind of option; what a tenant has is known."""
    tenants: dict[str, Tenant] = {"solna": meitner, "lund": Meitner, "åre": made, "umeå": "a-profile"}
    report = assert_type(await export_many(tenants, ["students"], to=path), TenantsReport[Report])
    assert_type(report["solna"], TenantReport[Report])
    assert_type(report["solna"].report, Report | None)
    assert_type(report["solna"].error, Exception | None)
    assert_type(report.failed, tuple[str, ...])
    await export_many({"lund": made}, to="s3://bucket/a", format="csv", resume=True, progress=told, on_event=heard)
    synced = assert_type(await sync_many(tenants, to="copies", max_deletions=0.1), TenantsReport[SyncReport])
    assert_type([one.ok for one in synced.tenants.values()], list[bool])
