"""Clusters of Dask in this process, and everything that one of them can be made to tell."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
from dask.distributed import Client, LocalCluster
from distributed.protocol import core

from meitner_aio.sandbox import Sandbox

LOOPBACK = "127.0.0.1:0"
"""Where pages for people are: without it, on every address of the machine, also when there is to be no dashboard."""


@asynccontextmanager
async def local(workers: int = 2, threads: int = 4, **options: Any) -> AsyncGenerator[tuple[Any, Any]]:
    """Run a cluster whose workers share this process and its environment, until the block ends."""
    async with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=False,
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
            asynchronous=True,
            silence_logs=False,
            **options,
        ) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        yield cluster, client


@asynccontextmanager
async def towns(monkeypatch: pytest.MonkeyPatch, *names: str, **options: Any) -> AsyncGenerator[dict[str, Sandbox]]:
    """Serve a directory for each name, which variables of the environment with that prefix lead to."""
    made = {"schools": 2, "students": 12, "limiter": "none", **options}
    found: dict[str, Sandbox] = {}
    async with AsyncExitStack() as stack:
        for number, name in enumerate(names, 1):
            found[name] = await stack.enter_async_context(Sandbox(seed=number, **made))
            key, secret = found[name].credentials
            for variable, value in (
                ("BASE_URL", found[name].url),
                ("CLIENT_CREDENTIALS", key),
                ("CLIENT_SECRET", secret),
            ):
                monkeypatch.setenv(f"{name.upper()}_{variable}", value)
        yield found


@contextmanager
def wiretapped() -> Iterator[list[bytes]]:
    """Give all that is made ready to be sent between scheduler, workers and clients while the block runs."""
    heard: list[bytes] = []
    dumps = core.dumps

    def tapped(*given: Any, **named: Any) -> Any:
        frames = dumps(*given, **named)
        heard.extend(bytes(frame) for frame in frames)
        return frames

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("distributed.protocol.dumps", tapped)
        patched.setattr("distributed.protocol.core.dumps", tapped)
        patched.setattr("distributed.comm.utils.protocol.dumps", tapped)
        yield heard


async def everything(cluster: Any, client: Any) -> str:
    """Return all that a scheduler and its workers keep and tell, as one text."""
    scheduler = cluster.scheduler
    told: list[object] = [
        await scheduler.get_cluster_state(exclude=()),
        [(key, repr(task.run_spec), task.annotations, task.metadata) for key, task in scheduler.tasks.items()],
        [pickle.dumps(task.run_spec) for task in scheduler.tasks.values()],
        [(task.exception_text, task.traceback_text) for task in scheduler.tasks.values()],
        list(scheduler.transition_log),
        scheduler.get_events(),
        await scheduler.get_story(list(scheduler.tasks)),
        await client.get_scheduler_logs(),
        await client.get_worker_logs(),
        [list(worker.state.log) for worker in cluster.workers.values()],
        [repr(task.run_spec) for worker in cluster.workers.values() for task in worker.state.tasks.values()],
    ]
    return "\n".join(map(repr, told))
