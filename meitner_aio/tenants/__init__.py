"""Many directories at once: an export or a mirror for each of them, in one event loop, and one report of all.

`await export_many({"solna": make_solna, "sundbyberg": make_sundbyberg}, to="out/")` writes `out/solna/` and
`out/sundbyberg/`. A tenant is a directory with a client, a quota and a folder of its own; one that fails stops none.
"""

from ._export import ExportOptions, export_many
from ._report import TenantReport, TenantsReport
from ._sync import MIRROR, SyncOptions, sync_many
from ._visits import Tenant

__all__ = [
    "MIRROR",
    "ExportOptions",
    "SyncOptions",
    "Tenant",
    "TenantReport",
    "TenantsReport",
    "export_many",
    "sync_many",
]
