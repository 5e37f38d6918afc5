"""A world that is brought to its registry while answers get lost, writes come late, others edit, and runs are cancelled."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from msgspec import structs
from reconcile_runs import WRITES, check_sent, options, sent
from reconcile_tables import NATURAL, PEOPLE, PLACEMENTS, made_twice
from reconcile_worlds import World, plain, put, sandbox_of

from meitner_aio import Meitner, MeitnerError
from meitner_aio._wire.messages import RawResponse, Request
from meitner_aio.errors import APIConnectionError, ConnectionReason
from meitner_aio.reconcile import Desired, Proposal, plan
from meitner_aio.sandbox import Sandbox
from meitner_aio.testing import VirtualClock

_GUARD_AGE = 60.0
"""Seconds after which a guard counts for nothing."""
_LATEST = 50.0
"""Seconds after which a write whose answer was lost has been committed."""


class Trouble:
    """What happens between a client and a sandbox: a share of the requests or their answers is lost, some are late.

    A write that is late is committed up to 50 seconds after its connection broke. Reads are noted, and so are edits by
    others, to tell whether a write goes over one that its guard could see.
    """

    def __init__(self, sandbox: Sandbox, seed: int, share: float) -> None:
        """Stand between a sandbox and its clients from now on."""
        self.sandbox, self.chance, self.share = sandbox, Random(seed), share
        self.edit: Callable[[], object] | None = None
        """Called before some requests."""
        self.versions: Counter[str] = Counter()
        """How often others edited a record."""
        self.read: dict[str, tuple[int, float]] = {}
        """By id, the version that was read last, and when."""
        self.planned: dict[str, int] = {}
        """By id, the version that the plan was made from."""
        self.faults: list[str] = []
        self.wrong: list[str] = []
        """What was sent against the rules; an error raised here would only be one more failure to the client."""
        self.dying: asyncio.Task[None] | None = None
        """What is to be cancelled at its `left`th create, which is committed later."""
        self.left = 0
        self._writes: dict[str, bytes] = {}
        self._late: set[asyncio.Task[RawResponse]] = set()
        self._send = sandbox.app.send
        sandbox.app.send = self.send  # type: ignore[method-assign]

    async def send(self, request: Request) -> RawResponse:
        """Answer, or not."""
        await asyncio.sleep(0.01)
        if self.edit is not None and self.chance.random() < 0.1:
            self.edit()
        if request.operation in WRITES:
            self._check(request)
            await self._die(request)
        if self.chance.random() < self.share:
            await self._lose(request)
        answer = await self._send(request)
        if request.operation in ("list", "search", "get") and answer.status == 200:
            data = json.loads(answer.body)
            for row in data.get("data", [data]):
                self.read[row["id"]] = self.versions[row["id"]], _now()
                self._writes.pop(row["id"], None)
        return answer

    async def _lose(self, request: Request) -> None:
        fate = self.chance.choice(("request", "answer", "late")) if request.operation in WRITES else "request"
        self.faults.append(fate)
        if fate == "answer":
            await self._send(request)
        elif fate == "late":
            task = asyncio.ensure_future(self._commit(request, self.chance.uniform(0.1, _LATEST)))
            self._late.add(task)
        raise APIConnectionError("the connection was cut", reason=ConnectionReason.DISCONNECTED)

    async def _die(self, request: Request) -> None:
        self.left -= request.operation == "create"
        if self.dying is None or self.left:
            return
        self._late.add(asyncio.ensure_future(self._commit(request, self.chance.uniform(0.1, _LATEST))))
        self.dying.cancel()
        self.dying = None
        await asyncio.sleep(3600)

    async def _commit(self, request: Request, delay: float) -> RawResponse:
        await asyncio.sleep(delay)
        return await self._send(request)

    def _check(self, request: Request) -> None:
        """Note a write whose record was not read after the plan, less than a minute ago, and as it was planned."""
        body = request.body or request.operation.encode()
        if request.operation == "create":
            return
        id = request.path.split("/")[2]
        if self._writes.get(id) in (body, b"restore"):
            return  # sent again, or what follows a restore
        self._writes[id] = body
        version, at = self.read.get(id, (0, -_GUARD_AGE))
        if _now() - at > _GUARD_AGE:
            self.wrong.append("there was no guard, or one that was too old")
        if version != self.planned.get(id, 0):
            self.wrong.append("an edit that the guard saw was written over")

    def plan_made(self) -> None:
        """Take what was read so far for what the plan was made from; from here on every write needs a guard."""
        self.planned = {id: version for id, (version, _) in self.read.items()}
        self.read = {}
        self._writes = {}

    async def over(self) -> None:
        """Wait until nothing is late any more, and lose nothing from here on."""
        self.share, self.edit = 0.0, None
        await self.settled()

    async def settled(self) -> None:
        """Wait until nothing is late any more."""
        await asyncio.gather(*self._late)
        self._late.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()


class Editors:
    """Other people, who change records of a directory, and create some that a plan is about to."""

    def __init__(self, trouble: Trouble, seed: int) -> None:
        """Edit what this trouble is about."""
        self.trouble, self.sandbox, self.chance = trouble, trouble.sandbox, Random(f"editors {seed}")
        self.number = 0

    def edit(self) -> None:
        """Change one record in a way that nothing else does."""
        there = [(name, row) for name in (*PEOPLE, *PLACEMENTS, "groups") for row in self.sandbox.records(name)]
        if not there:
            return
        resource, row = self.chance.choice(there)
        self.number += 1
        if resource in PEOPLE:
            row = structs.replace(row, last_name=f"Annan{self.number}")
        elif resource == "groups":
            row = structs.replace(row, title=f"Annan {self.number}")
        else:
            row = structs.replace(row, start_date=date(2010, 1, 1) + timedelta(self.number))
        self.sandbox._directory._tables[resource].put(row)
        self.trouble.versions[row.id] += 1

    def create(self, proposal: Proposal, world: World) -> None:
        """Enter by hand one of the people whom a plan is about to create, and one of the placements."""
        creates = [one for one in proposal.actions if one.kind == "create"]
        for action in [one for one in creates if one.resource in PEOPLE][:1]:
            row = world.registry[action.resource][action.line - 1]
            names = {"first_name": "Hand", "last_name": "Skriven"}
            put(self.sandbox, action.resource, self.by_hand() | names | {"identity_number": row["identity_number"]})
        for action in [one for one in creates if one.resource in PLACEMENTS]:
            wanted = {name: change.after for name, change in action.changes.items() if name != "external"}
            if all(isinstance(wanted[name], str) for name in NATURAL[action.resource]):  # of people who are there
                put(self.sandbox, action.resource, self.by_hand() | wanted)
                return

    def by_hand(self) -> dict[str, Any]:
        """Return what every record has that was entered by hand."""
        self.number += 1
        return {"id": f"{self.number:08x}-1111-4000-8000-000000000000", "source": None, "source_id": None}


class Troubled:
    """A world that is brought to its registry in trouble, run after run."""

    def __init__(self, world: World, clock: VirtualClock, folder: Path, seed: int, share: float = 0.3) -> None:
        self.world, self.folder = world, folder
        self.sandbox = sandbox_of(world.directory, clock=clock.time)
        self.sandbox.fail("429", probability=0.05, headers={"Retry-After": "1"})
        self.before = plain(self.sandbox)
        self.trouble = Trouble(self.sandbox, seed, share)
        self.editors = Editors(self.trouble, seed)
        self.desired = Desired(**world.registry)
        self.meitner = Meitner.sandbox(self.sandbox)
        self.plans: list[Proposal] = []

    async def plan(self) -> Proposal:
        """Plan, again and again until the reads go through."""
        while True:
            try:
                proposal = await plan(self.meitner, self.desired, **options(self.world.rules))
            except MeitnerError:
                await asyncio.sleep(60)
                continue
            self.trouble.plan_made()
            self.plans.append(proposal)
            return proposal

    async def apply(self, proposal: Proposal) -> None:
        """Carry out a plan; what cannot be done now is for the next run."""
        try:
            await proposal.apply(self.folder / "journal")
        except MeitnerError:
            await asyncio.sleep(60)

    async def until_quiet(self, runs: int = 12) -> None:
        """Run until there is nothing to do, the last times without trouble."""
        for number in range(runs):
            if number == runs - 3:
                await self.over()
            proposal = await self.plan()
            if not proposal.actions:
                break
            await self.apply(proposal)
        await self.over()
        await self.apply(await self.plan())
        assert (await self.plan()).actions == ()

    async def over(self) -> None:
        """End all trouble."""
        await self.trouble.over()
        self.sandbox.heal()

    def check(self) -> None:
        """Assert that nothing is there twice that was not before, and that everything sent was planned."""
        assert self.trouble.wrong == []
        assert made_twice(self.before, plain(self.sandbox)) == []
        check_sent(sent(self.sandbox), (action for proposal in self.plans for action in proposal.actions), once=False)
