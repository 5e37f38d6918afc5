"""Uses of a cluster that type checkers must accept, and the types that they must see. Never run."""
# pyright: strict

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

from dask.distributed import Client

from meitner_aio.distributed import FromEnvironment, FromProfile, Source, export_many
from meitner_aio.export import Report
from meitner_aio.tenants import TenantReport, TenantsReport


async def many(client: Client, path: Path) -> None:
    """Names, profiles, variables; every kind of option; what a tenant has is known."""
    tenants: dict[str, Source] = {"solna": FromProfile("kommun-solna"), "lund": FromEnvironment("LUND")}
    report = assert_type(await export_many(tenants, ["students"], to=path, client=client), TenantsReport[Report])
    assert_type(report["solna"], TenantReport[Report])
    await export_many(["solna", "lund"], to="s3://bucket/a", client=client, retries=5, format="csv", resume=True)
    await export_many({"lund": FromEnvironment()}, to=path, client=client, since=datetime.now(UTC), fields=("id",))
