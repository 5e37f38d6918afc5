"""Uses of many tenants that type checkers must refuse, each on its own line. Never run."""
# pyright: strict

from __future__ import annotations

from meitner_aio import Meitner
from meitner_aio.tenants import export_many, sync_many


async def many(meitner: Meitner) -> None:
    """No two of them are of a kind."""
    await export_many({"solna": meitner})  # wrong: where to?
    await export_many({"solna": b"a client"}, to="out")  # wrong: bytes are no client, and no name of a profile
    await export_many([meitner], to="out")  # wrong: tenants have names
    await export_many({"solna": meitner}, to="out", format="xml")  # wrong: there is no such format
    await export_many({"solna": meitner}, to="out", progress=print, pages=7)  # wrong: there is no such option
    await sync_many({"solna": meitner}, to="out", accept_deletions=3)  # wrong: of one mirror, not of all
    synced = await sync_many({"solna": meitner}, to="out")
    synced["solna"].report.resources.clear()  # wrong: there may be none
