"""Plans that are made and carried out before a sandbox that is watched; and what such a run has to hold.

Time is virtual, and begins at noon, so that a day does not end meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

from fault_server import SocketLoop
from reconcile_oracle import Expected, Rules, expected
from reconcile_tables import PLACEMENTS, REQUIRED, Directory
from reconcile_worlds import World, comparable, plain, sandbox_of

from meitner_aio import Meitner
from meitner_aio._pipeline import identity
from meitner_aio.reconcile import Action, Brakes, Desired, Proposal, plan
from meitner_aio.records import wire_name
from meitner_aio.sandbox import Sandbox
from meitner_aio.testing import VirtualClock

T = TypeVar("T")

What = tuple[str, str, str]
"""Kind, resource and id of something to be done; the id of a create is `new <resource> <line>`."""

WRITES = ("create", "update", "archive", "restore", "delete")


def on_clock(main: Callable[[VirtualClock, Path], Coroutine[Any, Any, T]]) -> T:
    """Run something from noon on, with a folder of its own; stamps of who reads what are quick to make.

    What would run in a thread runs at once: the clock would jump to the next timer meanwhile.
    """
    clock = VirtualClock(datetime.now(UTC).replace(hour=12))

    async def inline() -> T:
        loop = asyncio.get_running_loop()
        loop.run_in_executor = partial(SocketLoop.run_in_executor, loop)  # type: ignore[arg-type,method-assign]
        return await main(clock, Path(folder))

    with TemporaryDirectory() as folder, patch.object(identity, "_ROUNDS", 1):
        return clock.run(inline(), debug=False)


def options(rules: Rules) -> dict[str, Any]:
    """Return the keywords of `plan`."""
    return {
        "source": rules.source if rules.is_source_said else None,
        "claim": rules.claim,
        "delete": rules.delete,
        "grace": timedelta(rules.grace),
        "retention": None if rules.retention is None else timedelta(rules.retention),
        "brakes": Brakes(remove=rules.remove, update=rules.update, minimum=rules.minimum),
        "accept_removals": rules.accept_removals,
    }


def what(action: Action) -> What:
    """Return what an action is to the oracle."""
    return action.kind.value, action.resource, action.id or f"new {action.resource} {action.line}"


# -- what was planned


def check_plan(proposal: Proposal, oracle: Expected) -> None:
    """Assert that a plan does what it has to, to the fields that differ, and holds what it has to."""
    planned, wanted = Counter(map(what, proposal.actions)), Counter(write.what for write in oracle.writes)
    assert (planned - wanted, wanted - planned) == ({}, {})
    changes = {what(action): set(action.changes) for action in proposal.actions}
    for write in oracle.writes:
        if write.kind in ("update", "end"):
            assert changes[write.what] == {_field(name) for name in write.values}
    held = {what(held.action): held.reason.value for held in proposal.held}
    assert held.keys() == oracle.held.keys()
    assert all(reason in oracle.held[key] for key, reason in held.items())
    told = {(problem.resource, problem.line) for problem in proposal.problems}
    assert told == oracle.left_out


def _field(name: str) -> str:
    return "external" if name in ("source_id", "source") else name


# -- what was sent


class Sent(NamedTuple):
    """A write that arrived."""

    operation: str
    resource: str
    id: str
    """The record's; the source id of a create."""
    body: dict[str, Any]


def sent(sandbox: Sandbox) -> list[Sent]:
    """Return the writes on a sandbox's log, refused ones and those without an answer too."""
    found = []
    for request in sandbox.requests:
        resource, _, operation = request.operation.partition(".")
        if operation in WRITES:
            body = request.json or {}
            source_id = (body.get("external") or {}).get("sourceID")
            found.append(
                Sent(operation, resource, source_id if operation == "create" else request.path.split("/")[2], body)
            )
    return found


def allowed(actions: Iterable[Action]) -> Counter[tuple[str, str, str | None]]:
    """Return the operations that carry some actions out."""
    found: Counter[tuple[str, str, str | None]] = Counter()
    for action in actions:
        match action.kind.value:
            case "create":
                found["create", action.resource, action.source_id] += 1
            case "restore":
                found["restore", action.resource, action.id] += 1
                found["update", action.resource, action.id] += bool(action.changes)
            case "archive" | "delete" as kind:
                found[kind, action.resource, action.id] += 1
            case _:
                found["update", action.resource, action.id] += 1
    return found


def check_sent(writes: list[Sent], actions: Iterable[Action], *, once: bool = True) -> None:
    """Assert that writes carry out some actions and nothing else; each of them once, or as often as it takes."""
    actions = list(actions)
    made, may = Counter((one.operation, one.resource, one.id) for one in writes), allowed(actions)
    assert made.keys() <= may.keys()
    assert not once or made == may
    fields: dict[tuple[str, str | None], set[str]] = {}
    for action in actions:
        key = action.resource, action.source_id if action.kind == "create" else action.id
        names = {*action.changes, *REQUIRED[action.resource], *(["external"] if action.source_id else [])}
        fields.setdefault(key, set()).update(map(wire_name, names))
    for one in writes:
        assert set(one.body) <= fields[one.resource, one.id]


def check_strangers(before: Directory, after: Directory, oracle: Expected) -> None:
    """Assert that nothing is changed or gone of which no write was planned, but for lists that lose who is deleted."""
    planned = {write.id for write in oracle.writes}
    gone = {write.id for write in oracle.writes if write.kind == "delete"}
    for resource, records in before.items():
        now = {record["id"]: record for record in after[resource]}
        for record in records:
            if record["id"] in planned or any(record.get(key) in gone for key in PLACEMENTS.values()):
                continue
            kept = {
                name: [one for one in value if one not in gone] if isinstance(value, list) else value
                for name, value in record.items()
            }
            found = now.get(record["id"], {})
            assert {name: value for name, value in found.items() if name in kept} == kept


async def carried_out(world: World, clock: VirtualClock, folder: Path, *, again: bool = True) -> None:
    """Plan and carry out, and assert everything that the oracle knows about it; `again` asks for an empty second plan."""
    oracle = expected(world.directory, world.registry, world.rules, world.today)
    sandbox = sandbox_of(world.directory, clock=clock.time)
    before = plain(sandbox)
    async with Meitner.sandbox(sandbox) as meitner:
        desired = Desired(**world.registry)
        proposal = await plan(meitner, desired, **options(world.rules))
        assert sent(sandbox) == []
        check_plan(proposal, oracle)
        sandbox.requests.clear()
        report = await proposal.apply(folder / "journal")
        assert report.ok, (report.results, [failure.error for failure in report.failures])
        check_sent(sent(sandbox), proposal.actions)
        check_strangers(before, plain(sandbox), oracle)
        assert comparable(plain(sandbox)) == comparable(oracle.final)
        if again:
            rules = world.rules._replace(accept_removals=None)
            assert (await plan(meitner, desired, **options(rules))).actions == ()
