"""Carries out a saved plan in a process of its own, over HTTP. Run as a script: `killed_applies.py URL FOLDER`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from meitner_aio import Meitner
from meitner_aio.reconcile import Desired
from meitner_aio.reconcile.applying import _run
from meitner_aio.reconcile.planning._proposal import Proposal

CREDENTIALS = ("an-id", "a-secret")


async def main(url: str, folder: Path) -> None:
    """Apply, and print how many actions were done, and how many already."""
    _run._LATEST = 1.0  # this directory is never late, and a test does not wait a minute
    desired = Desired.load(folder / "registry")
    async with Meitner(*CREDENTIALS, base_url=url) as meitner:
        report = await Proposal.load(folder / "plan.json", meitner, desired).apply(folder / "registry.journal")
    sys.stdout.write(json.dumps({"ok": report.ok, **report.results}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
