"""Uses of a mirror that type checkers must refuse, each on its own line. Never run."""
# pyright: strict

from __future__ import annotations

from meitner_aio import Meitner
from meitner_aio.mirror import Mirror


async def kept(meitner: Meitner, mirror: Mirror) -> None:
    """No two of them are of a kind."""
    Mirror()  # wrong: which file?
    await mirror.sync("directory")  # wrong: a directory is read through a client
    await mirror.sync(meitner, full="yes")  # wrong: True or False
    await mirror.sync(meitner, accept_deletions="many")  # wrong: how many?
    await mirror.verify(meitner, full=True)  # wrong: that is what sync does
    await mirror.feed()  # wrong: it is not awaited
    with mirror.read() as state:
        state.records(7)  # wrong: which resource?
    mirror.last_success = None  # wrong: a run sets it
