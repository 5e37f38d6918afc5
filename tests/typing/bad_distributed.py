"""Uses of a cluster that type checkers must refuse, each on its own line. Never run."""
# pyright: strict

from __future__ import annotations

from dask.distributed import Client

from meitner_aio import Meitner
from meitner_aio.distributed import FromEnvironment, FromProfile, export_many


async def many(client: Client, meitner: Meitner) -> None:
    """No two of them are of a kind."""
    await export_many(["solna"], client=client)  # wrong: where to?
    await export_many(["solna"], to="out")  # wrong: over which cluster?
    await export_many(["solna"], to="out", client="tls://scheduler:8786")  # wrong: an address is no client
    await export_many({"solna": meitner}, to="out", client=client)  # wrong: a client of the API cannot travel
    await export_many({"solna": "a secret"}, to="out", client=client)  # wrong: nor can a secret
    await export_many(["solna"], to="out", client=client, where={"last_name": "Ek"})  # wrong: nor can conditions
    await export_many(["solna"], to="out", client=client, progress=print)  # wrong: nor can what hears of progress
    FromEnvironment(FromProfile("solna"))  # wrong: a prefix is a text
