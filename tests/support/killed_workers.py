"""Tenants that workers of a Dask cluster export while one of these after the other is killed with SIGKILL.

Run as a program (a cluster starts its processes from a file), it prints what came of it as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import dask.config
import msgspec
from dask.distributed import Client, LocalCluster
from dask_clusters import LOOPBACK
from msgspec import Struct

from meitner_aio._profiles.place import config_path
from meitner_aio.distributed import export_many
from meitner_aio.sandbox import Sandbox

RESOURCES = ("students", "groups")
PAGE = 5


class Towns:
    """Directories, each served over HTTP, each with a profile."""

    def __init__(self, count: int, students: int, latency: float) -> None:
        make = {"schools": 2, "limiter": "none", "latency": latency, "students": students}
        self.all = {f"town-{number}": Sandbox(seed=number + 1, **make) for number in range(count)}

    async def serve(self, stack: AsyncExitStack) -> None:
        """Serve them until the stack is left, and write the profiles."""
        lines = []
        for name, sandbox in self.all.items():
            url = await sandbox.start()
            stack.push_async_callback(sandbox.close)
            key, secret = sandbox.credentials
            lines += [
                f"[{name}]",
                f'base_url = "{url}"',
                f'client_credentials = "{key}"',
                f'client_secret = "{secret}"',
            ]
        path = config_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)

    @property
    def requests(self) -> int:
        """Requests that arrived, over all."""
        return sum(len(one.requests) for one in self.all.values())

    def needed(self) -> int:
        """Return how many requests exports of all take when nothing is killed: one a page."""
        return sum(-(-len(one.records(resource)) // PAGE) for one in self.all.values() for resource in RESOURCES)

    def wrong(self, to: Path) -> dict[str, str]:
        """Return what is wrong with an export, by tenant: every row has to be there, once, and as the manifest says."""
        found = {name: _wrong(to / name, one) for name, one in self.all.items()}
        return {name: reason for name, reason in found.items() if reason}


def _wrong(folder: Path, sandbox: Sandbox) -> str:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())["resources"]
    except FileNotFoundError:
        return "no manifest"
    for resource in RESOURCES:
        if resource not in manifest:
            return f"{resource}: not published"
        ids = Counter(json.loads(line)["id"] for line in (folder / f"{resource}.ndjson").read_bytes().splitlines())
        expected = {one.id for one in sandbox.records(resource)}
        if ids.keys() != expected or max(ids.values()) > 1 or manifest[resource]["rows"] != len(expected):
            return f"{resource}: {sum(ids.values())} rows of {len(expected)}"
        if not manifest[resource]["complete"]:
            return f"{resource}: not complete"
    return ""


async def killed(cluster: Any, towns: Towns, every: float, after: int, most: int) -> int:
    """Kill a worker that has a task, another one each time, and return how many were.

    The first one when `after` requests have arrived, each of the others `every` so many seconds later, `most` in all.
    """
    kills = turn = 0
    while towns.requests < after:
        await asyncio.sleep(0.005)
    while kills < most:
        nannies = list(cluster.workers.values())
        for step in range(1, len(nannies) + 1):
            nanny = nannies[(turn + step) % len(nannies)]
            state = cluster.scheduler.workers.get(nanny.worker_address)
            if state is not None and state.processing and nanny.process is not None and nanny.process.pid:
                os.kill(nanny.process.pid, signal.SIGKILL)
                kills, turn = kills + 1, turn + step
                break
        try:
            await asyncio.sleep(every)
        except asyncio.CancelledError:
            break
    return kills


class Given(Struct):
    """What a program is told."""

    count: int
    students: int
    latency: float
    workers: int
    every: float = 0.0
    after: int = 1
    most: int = 1
    allowed: int = 3
    """Deaths that Dask forgives a task."""
    retries: int = 3
    again: bool = False
    """Whether to run once more afterwards, resuming, with retries, and with as many killed."""


class Came(Struct):
    """What came of it."""

    failed: dict[str, str]
    wrong: dict[str, str]
    in_order: bool
    kills: int
    requests: int
    needed: int
    seconds: float
    then: Came | None = None
    """Of the second run."""


async def main(given: Given) -> Came:
    """Export all towns, and return what came of it."""
    towns, to = Towns(given.count, given.students, given.latency), Path(tempfile.mkdtemp())
    async with AsyncExitStack() as stack:
        await towns.serve(stack)
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": given.allowed,
                "distributed.worker.multiprocessing-method": "forkserver",  # a worker is there sooner
            }
        )
        local = LocalCluster(
            n_workers=given.workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
            asynchronous=True,
        )
        cluster = await stack.enter_async_context(local)
        client = await stack.enter_async_context(Client(cluster, asynchronous=True))

        async def run(retries: int, **options: Any) -> Came:
            after = towns.requests + given.after
            killing = asyncio.create_task(killed(cluster, towns, given.every, after, given.most))
            before = towns.requests
            report = await export_many(
                list(towns.all), RESOURCES, to=to, client=client, page_size=PAGE, retries=retries, **options
            )
            killing.cancel()
            return Came(
                failed={name: report[name].why for name in report.failed},
                wrong=towns.wrong(to),
                in_order=list(report.tenants) == list(towns.all),
                kills=await killing,
                requests=towns.requests - before,
                needed=towns.needed(),
                seconds=round(report.seconds, 2),
            )

        came = await run(given.retries)
        if given.again:
            came.then = await run(3, resume=True)
    return came


if __name__ == "__main__":
    told = asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Given)))
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
