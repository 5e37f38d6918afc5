"""Reconciles that are killed and started again until there is nothing to do: run as a program, a JSON line for each.

`killed_reconciles.py ROOT WORLD KILLS [SAVED]`: one of two worlds before a sandbox in a process of its own; KILLS moments,
evenly spread over the steps of a run, at which its process dies: before and after each request, and at each step on the
disk. With SAVED the plan is made once, written to a file, and carried out from there each time.

Every process is forked from one that has loaded everything. No thread and no event loop runs in that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from selectors import BaseSelector, SelectorKey
from typing import Any, NoReturn

from fault_server import SocketLoop
from reconcile_oracle import expected
from reconcile_runs import options, sent
from reconcile_tables import made_twice
from reconcile_worlds import World, comparable, plain, sandbox_of, world
from virtual_time import Clock, VirtualLoop

from meitner_aio import Meitner, MeitnerError
from meitner_aio._pipeline.transport import HttpTransport
from meitner_aio.reconcile import Desired, Proposal, Result, plan
from meitner_aio.records import wire_name

_PEOPLE = {"students": 7, "employees": 3, "guardians": 2}
WORLDS = {"clean": (473, False), "mixed": (594, True)}
"""Seeds of worlds in which much happens: many placements are created, and every kind of action; and their dirt."""
_SETTLED = 1.0
"""Real seconds in which the sandbox must have answered."""
RUNS = 8
"""After so many there has to be nothing left to do."""


class _PatientClock(Clock):
    """Passes only when the sandbox, in another process, has had time to answer."""

    def _ready(self, selector: BaseSelector, timeout: float | None) -> list[tuple[SelectorKey, int]]:
        return selector.select(0) or (selector.select(_SETTLED) if timeout != 0 else [])


class _Loop(SocketLoop):
    def __init__(self) -> None:
        VirtualLoop.__init__(self, _PatientClock)


def _forked(main: Callable[[], object]) -> int:
    """Run something in a process of its own; it exits with 0, or with 1 after an error, which is printed."""
    child = os.fork()
    if child:
        return child
    try:
        main()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- the sandbox


class _Served:
    """A sandbox in a process of its own, which tells what came of it when it is asked to end."""

    def __init__(self, one: World) -> None:
        ours, theirs = os.pipe(), os.pipe()

        def serve() -> None:
            os.close(ours[1])
            os.close(theirs[0])
            asyncio.run(_serve(one, os.fdopen(ours[0]), os.fdopen(theirs[1], "w")))

        self._child = _forked(serve)
        os.close(ours[0])
        os.close(theirs[1])
        self._order, self._said = os.fdopen(ours[1], "w"), os.fdopen(theirs[0])
        self.url = self._said.readline().strip()

    def end(self) -> dict[str, Any]:
        """End it."""
        self._order.close()
        told: dict[str, Any] = json.loads(self._said.readline())
        self._said.close()
        if _ended(self._child):
            raise RuntimeError("the sandbox failed")
        return told


async def _serve(one: World, orders: Any, said: Any) -> None:
    sandbox, over = sandbox_of(one.directory), asyncio.Event()
    async with sandbox:
        print(sandbox.url, file=said, flush=True)
        asyncio.get_running_loop().add_reader(orders.fileno(), over.set)
        await over.wait()
        asyncio.get_running_loop().remove_reader(orders.fileno())
    there = plain(sandbox)
    told = {
        "state": comparable(there),
        "twice": made_twice(one.directory, there),
        "sent": [[*one] for one in sent(sandbox)],
    }
    print(json.dumps(told), file=said, flush=True)


# -- runs that are killed


def _die_at(step: int | None, count: Callable[[int], object]) -> None:
    """Kill this process at a step; None counts them only."""
    made = 0

    def one_more() -> None:
        nonlocal made
        if made == step:
            os.kill(os.getpid(), signal.SIGKILL)
        made += 1
        count(made)

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            one_more()
            return call(*given, **named)

        return counted

    send = HttpTransport.send

    async def watched(transport: HttpTransport, request: Any) -> Any:
        one_more()
        answer = await send(transport, request)
        one_more()
        return answer

    HttpTransport.send = watched  # type: ignore[method-assign]
    for name in ("fsync", "replace", "unlink", "link", "open", "write"):
        setattr(os, name, counting(getattr(os, name)))


async def _run(url: str, one: World, folder: Path, *, saved: bool) -> None:
    """Plan and carry out until there is nothing to do."""
    desired = Desired(**one.registry)
    async with Meitner("an-id", "a-secret", base_url=url) as meitner:
        if saved and not (folder / "plan.json").exists():
            (await plan(meitner, desired, **options(one.rules))).save(folder / "new.json")
            (folder / "new.json").rename(folder / "plan.json")
        if saved:
            proposal = Proposal.load(folder / "plan.json", meitner, desired)
        else:
            proposal = await plan(meitner, desired, **options(one.rules))
        report = await proposal.apply(folder / "journal")
        if saved and report.results[Result.CHANGED]:
            (folder / "plan.json").unlink()  # a restore of which half was done, for one: it says to plan again
        if not report.ok:
            raise MeitnerError(f"{[(failure.action, failure.result) for failure in report.failures]}")


def _worker(url: str, one: World, folder: Path, step: int | None, *, saved: bool) -> NoReturn:
    def count(made: int) -> None:
        if step is None and not (folder / "whole").exists():
            (folder / "steps").write_text(str(made))

    _die_at(step, count)
    main: Coroutine[Any, Any, None] = _run(url, one, folder, saved=saved)
    with asyncio.Runner(loop_factory=_Loop, debug=False) as runner:
        runner.run(main)
    os._exit(0)


def _trial(root: Path, one: World, step: int | None, chance: Random, *, saved: bool) -> dict[str, Any]:
    """Kill a run at a step, perhaps the next ones too, go on until one ends, and return what came of it."""
    folder = root / f"trial-{chance.random()}"
    folder.mkdir()
    served, kills, runs = _Served(one), 0, 0
    while runs < RUNS:
        runs += 1
        at = step if runs == 1 else chance.choice((None, None, chance.randrange(60))) if step is not None else None
        ended = _ended(_forked(lambda at=at: _worker(served.url, one, folder, at, saved=saved)))  # type: ignore[misc]
        (folder / "whole").touch()  # the steps of the first run are counted, which does everything
        kills += ended == -signal.SIGKILL
        if ended == 0:
            break
    told = served.end()
    oracle = expected(one.directory, one.registry, one.rules, one.today)
    return {
        "step": step,
        "ended": ended == 0,
        "runs": runs,
        "kills": kills,
        "steps": int((folder / "steps").read_text()) if step is None else 0,
        "kinds": sorted({f"{write.kind} {write.resource}" for write in oracle.writes}),
        "equal": told["state"] == comparable(oracle.final),
        "twice": told["twice"],
        "unplanned": _unplanned(one, [write.what for write in oracle.writes], told["sent"]),
    }


def _unplanned(one: World, planned: list[tuple[str, str, str]], arrived: list[list[Any]]) -> list[list[Any]]:
    """Return the writes that carry out nothing of the plan: creates are known by what tells such records from others."""
    may = set()
    for kind, resource, id in planned:
        operations = {"create": (), "restore": ("restore", "update"), "archive": ("archive",), "delete": ("delete",)}
        may |= {(operation, resource, id) for operation in operations.get(kind, ("update",))}
        if kind == "create":
            row = one.registry[resource][int(id.split()[2]) - 1]
            may.add(("create", resource, _key(resource, row, row.get("source_id"))))
    return [
        [operation, resource, id]
        for operation, resource, id, body in arrived
        if (operation, resource, _sent_key(resource, id, body) if operation == "create" else id) not in may
        and not (operation == "create" and (operation, resource, _key(resource, {}, id)) in may)
    ]


def _key(resource: str, row: dict[str, Any], source_id: str | None) -> str:
    """Return what tells a create from others: its source id, or of people and groups what they are known by."""
    return source_id or f"{row.get('identity_number')} {row.get('title')} {row.get('start_date')}"


def _sent_key(resource: str, source_id: str, body: dict[str, Any]) -> str:
    if not source_id.startswith("reconcile-"):
        return source_id
    names = {name: body.get(wire_name(name)) for name in ("identity_number", "title", "start_date")}
    return _key(resource, names, None)


def _say(trial: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(trial) + "\n")
    sys.stdout.flush()


def main(root: str, name: str, kills: str, saved: str = "") -> None:
    """Count the steps of a run, and kill others at moments spread over them."""
    number, dirt = WORLDS[name]
    one, chance = world(number, people=_PEOPLE, dirt=dirt), Random(number)
    whole = _trial(Path(root), one, None, chance, saved=bool(saved))
    _say(whole)
    for kill in range(int(kills)):
        _say(_trial(Path(root), one, kill * whole["steps"] // int(kills), chance, saved=bool(saved)))


if __name__ == "__main__":
    main(*sys.argv[1:])
