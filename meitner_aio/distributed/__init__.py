"""Many directories over the machines of a Dask cluster: a task for each, and one report of all.

`await export_many(["solna", "nacka"], to="/mnt/exports", client=client)` exports what `meitner_aio.tenants.export_many`
would, on the workers of a `dask.distributed.Client`. Workers read the credentials from their own profiles or
environment: no secret is sent to the cluster, and no row. One process is enough nearly always: `docs/distributed.md`
says when.
"""

from ._export import export_many
from ._sources import FromEnvironment, FromProfile, Source

__all__ = ["FromEnvironment", "FromProfile", "Source", "export_many"]
