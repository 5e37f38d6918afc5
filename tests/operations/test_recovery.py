"""Creates whose answers are lost: one record each, whatever the server did. On virtual time, against the sandbox."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
import virtual_time
from msgspec import structs
from raw_server import STUDENT_ID
from sandbox_calls import KEY, NOON

from meitner_aio import Address, AmbiguousWriteError, ConflictError, ExternalRequest
from meitner_aio._operations.comparison import differences
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_policy import RetryPolicy
from meitner_aio._wire.messages import Headers, RawResponse, Request, error_from
from meitner_aio.errors import (
    APIConnectionError,
    APITimeoutError,
    InternalServerError,
    MeitnerError,
    UnprocessableEntityError,
)
from meitner_aio.resources import RESOURCES
from meitner_aio.resources.groups import Group, GroupCreate
from meitner_aio.resources.students import Student, StudentFields
from meitner_aio.sandbox import Sandbox

CREATES = 500
SHARE = 0.3
"""Of the answers to creates, those that are lost after the server committed."""

KINDS: tuple[int | type[APIConnectionError], ...] = (500, 502, 504, APIConnectionError, APITimeoutError)
NUMBER = "20150101-9876"
PERSON = {"identity_number": NUMBER, "first_name": "Sigbritt", "last_name": "Ekorrsten"}


class Loss(NamedTuple):
    """How the answer to a create is lost, and when the server commits: never (None), at once, or so much later."""

    kind: int | type[APIConnectionError]
    commits_after: float | None = 0.0


Plan = Callable[[int], Loss | None]
"""What befalls the n-th create that is sent, counted from 0."""


class Unreliable:
    """A sandbox on the loop's clock, behind a way on which answers get lost."""

    def __init__(self, plan: Plan = lambda _: None) -> None:
        loop = asyncio.get_running_loop()
        self.sandbox = Sandbox(students=5, schools=2, limiter="none", clock=lambda: NOON + loop.time())
        self.plan = plan
        self.creates: list[bytes] = []
        self.searches = 0
        self.search_answer: Callable[[int], RawResponse | None] = lambda _: None
        self.late: list[asyncio.Task[RawResponse]] = []

    async def directly(self, request: Request) -> RawResponse:
        """Carry a request both ways."""
        return await self.sandbox.send(structs.replace(request, headers=KEY))

    async def __call__(self, request: Request) -> RawResponse:
        """Carry a request, and perhaps not its answer."""
        await asyncio.sleep(0.05)
        if request.operation == "search":
            self.searches += 1
            answer = self.search_answer(self.searches)
            return answer or await self.directly(request)
        if request.operation != "create":
            return await self.directly(request)
        loss = self.plan(len(self.creates))
        self.creates.append(request.body or b"")
        if loss is None:
            return await self.directly(request)
        if loss.commits_after == 0.0:
            await self.directly(request)
        elif loss.commits_after is not None:
            self.late.append(asyncio.create_task(self._later(request, loss.commits_after)))
        if isinstance(loss.kind, int):
            return refusal(loss.kind)
        raise loss.kind("lost")

    async def _later(self, request: Request, seconds: float) -> RawResponse:
        await asyncio.sleep(seconds)
        return await self.directly(request)

    async def unguarded(self, request: Request) -> RawResponse:
        """Carry a request for a client that knows of no ambiguity."""
        answer = await self(request)
        if answer.status >= 300:
            raise error_from(request, answer)
        return answer

    async def directly_made(self, name: str, **body: Any) -> Any:
        """Create a record on the way on which nothing is lost."""
        resource: Any = RESOURCES[name](Retrying(self.directly, RetryPolicy()).send)
        return await resource.create(**body)

    def resource(self, name: str, policy: RetryPolicy | None = None) -> Any:
        """Return a resource that is reached this way, with the retries of a client."""
        return RESOURCES[name](Retrying(self, policy or RetryPolicy()).send)

    async def settled(self) -> None:
        """Wait until whatever was sent has happened."""
        await asyncio.gather(*self.late)


def refusal(status: int, code: str | None = None) -> RawResponse:
    """Return an answer without a success; a gateway's, unless it has a code."""
    if code is None:
        return RawResponse(status, Headers(), b"<html>")
    return RawResponse(status, Headers(), b'{"error":{"code":"%s","message":"no","requestID":"r"}}' % code.encode())


def mixed(seed: int) -> Plan:
    """Lose 30 % of the answers after the commit, 10 % before a late one; 10 % of the first creates never arrive."""
    chance = random.Random(seed)

    def plan(number: int) -> Loss | None:
        draw, kind = chance.random(), chance.choice(KINDS)
        if draw < SHARE:
            return Loss(kind)
        if draw < SHARE + 0.1:
            return Loss(kind, chance.uniform(0.2, 30.0))
        return Loss(kind, None) if draw < SHARE + 0.2 and number < CREATES else None

    return plan


def only(*losses: Loss | None) -> Plan:
    """Lose as told, in this order; afterwards nothing."""
    return lambda number: losses[number] if number < len(losses) else None


def bodies(name: str, sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """Yield what different records of a resource are created from, each with a key of its own."""
    school = sandbox.records("schools")[0].id
    people = {kind: sandbox.records(kind)[0].id for kind in ("students", "employees")}
    for number in range(CREATES):
        source = {"external": ExternalRequest(source_id=f"source {number}")}
        person = {"identity_number": f"20150101-{number:04}", "first_name": "Bo", "last_name": f"Ek {number}"}
        yield {
            "students": person,
            "guardians": person,
            "employees": person,
            "groups": {"school_id": school, "title": f"group {number}", "category": "Other"},
            "units": {"title": "the same", **source},
            "schools": {"title": "the same", "school_type": "GR", **source},
            "student_placements": {
                "student_id": people["students"], "school_id": school, "school_type": "GR",
                "start_date": date(2020, 8, 18), **source,
            },
            "employee_placements": {
                "employee_id": people["employees"], "school_id": school, "start_date": date(2020, 8, 18), **source,
            },
        }[name]  # fmt: skip


def key_in(record: Any) -> Any:
    """Return what makes a record one of those that `bodies` describes."""
    return (
        getattr(record, "identity_number", None)
        or (getattr(record, "external", None) and record.external.source_id)
        or record.title
    )


async def created(way: Unreliable, name: str, create: Callable[..., Any]) -> tuple[list[Any], Counter[Any]]:
    """Create everything at once; return the results and how often each key is in the directory afterwards."""
    before = {record.id for record in way.sandbox.records(name)}
    calls = [create(**body) for body in bodies(name, way.sandbox)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    await way.settled()
    made = [record for record in way.sandbox.records(name) if record.id not in before]
    return results, Counter(map(key_in, made))


RECOVERABLE = (
    "students",
    "guardians",
    "employees",
    "groups",
    "units",
    "schools",
    "student_placements",
    "employee_placements",
)


@pytest.mark.parametrize("name", RECOVERABLE)
def test_every_create_happens_once_though_answers_are_lost(name: str) -> None:
    """500 creates, half of them with lost answers, lost creates or late commits: no duplicate, none missing."""

    async def main() -> None:
        way = Unreliable(mixed(seed=7))
        results, made = await created(way, name, way.resource(name).create)
        assert len(way.creates) > CREATES  # some were sent again
        assert len(made) == CREATES
        assert set(made.values()) == {1}
        kept = {record.id: record for record in way.sandbox.records(name)}
        assert all(isinstance(result, AmbiguousWriteError) or result == kept[result.id] for result in results)
        assert sum(isinstance(result, AmbiguousWriteError) for result in results) < CREATES / 20

    virtual_time.run(main())


@pytest.mark.parametrize("name", RECOVERABLE)
def test_a_naive_client_fails_the_same_run(name: str) -> None:
    """Control: a client that repeats failed creates makes duplicates, or reports creates as refused that happened."""

    async def main() -> None:
        way = Unreliable(mixed(seed=7))
        resource: Any = RESOURCES[name](way.unguarded)

        async def naive(**body: Any) -> Any:
            for attempt in range(3):
                try:
                    return await resource.create(**body)
                except (APIConnectionError, InternalServerError):
                    if attempt == 2:
                        raise
            raise AssertionError("unreachable")

        results, made = await created(way, name, naive)
        if name in ("students", "guardians", "employees", "groups"):
            assert sum(isinstance(result, ConflictError) for result in results) > CREATES / 10
        else:
            assert max(made.values()) > 1

    virtual_time.run(main())


def create(name: str, plan: Plan, **body: Any) -> tuple[Any, Unreliable]:
    """Create one record from a body, by default the first of `bodies`; return what came of it, and the way."""

    async def main() -> tuple[Any, Unreliable]:
        way = Unreliable(plan)
        try:
            result = await way.resource(name).create(**(body or next(bodies(name, way.sandbox))))
        except MeitnerError as error:
            result = error
        await way.settled()
        return result, way

    return virtual_time.run(main())


@pytest.mark.parametrize("kind", [*KINDS, 503])
@pytest.mark.parametrize("name", RECOVERABLE)
def test_a_create_that_never_arrived_is_sent_once_more(name: str, kind: Any) -> None:
    """A create lost before the commit is sent a second time, and not a third."""
    result, way = create(name, only(Loss(kind, None)))
    assert len(way.creates) == 2
    assert [record for record in way.sandbox.records(name) if record.id == result.id] == [result]


@pytest.mark.parametrize("delay", [0.0, 0.3, 4.0, 17.4, 17.7, 30.0, 55.0])
@pytest.mark.parametrize("name", ["students", "groups", "schools"])
def test_a_late_commit_is_found_or_refuses_the_second_create(name: str, delay: float) -> None:
    """With a commit up to a minute late there is one record, and it is returned."""
    result, way = create(name, only(Loss(502, delay)))
    mine = [record for record in way.sandbox.records(name) if key_in(record) == key_in(result)]
    assert mine == [result]


def test_without_a_unique_key_nothing_is_sent_again_within_a_minute() -> None:
    """The minute is counted from the loss, not from the call, which may have waited for the rate limit."""

    async def main() -> None:
        way = Unreliable(only(Loss(500, 50.0)))

        async def slow(request: Request) -> RawResponse:
            if request.operation == "create" and not way.creates:
                await asyncio.sleep(600)  # for the quota, say
            return await way(request)

        units: Any = RESOURCES["units"](Retrying(slow, RetryPolicy()).send)
        made = await units.create(title="a", external=ExternalRequest(source_id="a"))
        assert len(way.creates) == 1
        assert made in way.sandbox.records("units")

    virtual_time.run(main())


NAMELESS = {"title": "Norra skolan", "school_type": "GR"}
"""A school without an id in another system: nothing tells it from others."""


def test_without_a_key_exactly_the_lost_creates_say_that_they_are_ambiguous() -> None:
    """Without a key, each create is sent once, and only lost ones raise `AmbiguousWriteError`."""

    async def main() -> None:
        way = Unreliable(mixed(seed=3))
        before, schools = len(way.sandbox.records("schools")), way.resource("schools")
        results = await asyncio.gather(*(schools.create(**NAMELESS) for _ in range(CREATES)), return_exceptions=True)
        lost = [result for result in results if isinstance(result, Exception)]
        plan = mixed(seed=3)
        assert len(lost) == sum(plan(number) is not None for number in range(CREATES))
        assert {type(error) for error in lost} == {AmbiguousWriteError}
        assert len(way.creates) == CREATES
        await way.settled()
        assert len(way.sandbox.records("schools")) - before >= CREATES - len(lost)

    virtual_time.run(main())


def test_an_ambiguous_create_without_a_key_says_what_to_look_up() -> None:
    """The message names the required fields, without their values."""

    async def main() -> None:
        way = Unreliable(only(Loss(502)))
        with pytest.raises(
            AmbiguousWriteError, match="look it up before creating it again, by title and school_type"
        ) as caught:
            await way.resource("schools").create(**NAMELESS)
        assert not any(str(value) in str(caught.value) for value in NAMELESS.values())
        assert (caught.value.method, caught.value.route, caught.value.attempts) == ("POST", "/school", 1)
        assert way.searches == 0

    virtual_time.run(main())


# Placements: the two ends are no key that the server keeps unique, and several may share it over time.

PLACED = {"student_placements": "student_id", "employee_placements": "employee_id"}


def placement(name: str, sandbox: Sandbox, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return what a placement is created from; the number chooses who, where, and since when."""
    who = PLACED[name]
    people, schools = sandbox.records(f"{who.removesuffix('_id')}s"), sandbox.records("schools")
    kind = {"school_type": "GR"} if who == "student_id" else {}
    start = date(2021, 1, 1) + timedelta(days=number)
    where = {who: people[number % len(people)].id, "school_id": schools[number // 5 % 2].id}
    return {**where, **kind, "start_date": start, **more}


def made_of(way: Unreliable, name: str, body: dict[str, Any]) -> list[Any]:
    """Return the placements that say what a body says."""
    return [row for row in way.sandbox.records(name) if all(getattr(row, field) == body[field] for field in body)]


@pytest.mark.parametrize("name", PLACED)
def test_every_placement_is_created_once_though_answers_are_lost(name: str) -> None:
    """By its two ends and what else it says, beside others of the same person at the same school."""

    async def main() -> None:
        way = Unreliable(mixed(seed=7))
        bodies = [placement(name, way.sandbox, number) for number in range(60)]
        create = way.resource(name).create
        results = await asyncio.gather(*(create(**body) for body in bodies), return_exceptions=True)
        await way.settled()
        assert len(way.creates) > len(bodies)
        for body, result in zip(bodies, results, strict=True):
            made = made_of(way, name, body)
            assert len(made) <= 1 if isinstance(result, AmbiguousWriteError) else made == [result]
        assert sum(isinstance(result, AmbiguousWriteError) for result in results) <= 3

    virtual_time.run(main())


@pytest.mark.parametrize("name", PLACED)
@pytest.mark.parametrize("delay", [0.0, 4.0, 17.7, 30.0, 55.0])
def test_a_placement_that_is_committed_late_is_found(name: str, delay: float) -> None:
    """Placements have no unique key, so nothing is sent again within a minute."""

    async def main() -> None:
        way = Unreliable(only(Loss(502, delay)))
        body = placement(name, way.sandbox)
        made = await way.resource(name).create(**body)
        assert len(way.creates) == 1
        assert made_of(way, name, body) == [made]

    virtual_time.run(main())


@pytest.mark.parametrize("name", PLACED)
def test_an_ended_placement_is_not_taken_for_the_lost_one(name: str) -> None:
    """An old placement of the same student at the same school is not the lost one."""

    async def main() -> None:
        way = Unreliable(only(Loss(502, None)))
        old = placement(name, way.sandbox, start_date=date(2015, 8, 17), end_date=date(2018, 6, 10))
        old["id"] = (await way.directly_made(name, **old)).id
        await asyncio.sleep(1000)
        made = await way.resource(name).create(**placement(name, way.sandbox))
        assert made.id != old["id"]
        assert len(way.creates) == 2
        assert made_of(way, name, old)

    virtual_time.run(main())


@pytest.mark.parametrize("name", PLACED)
def test_an_equal_placement_of_long_ago_is_not_taken_for_the_lost_one(name: str) -> None:
    """An equal placement that is older than the create is not the lost one: there will be two."""

    async def main() -> None:
        way = Unreliable(only(Loss(502, None)))
        body = placement(name, way.sandbox)
        old = await way.directly_made(name, **body)
        await asyncio.sleep(1000)
        made = await way.resource(name).create(**body)
        assert made.id != old.id

    virtual_time.run(main())


def test_a_placement_that_may_be_the_lost_one_and_differs_settles_nothing() -> None:
    """A recent placement with the same dates and other fields leaves it ambiguous."""

    async def main() -> None:
        way = Unreliable(only(Loss(502, None)))
        body = placement("student_placements", way.sandbox)
        other = await way.directly_made("student_placements", **body, has_childcare=True)
        with pytest.raises(AmbiguousWriteError, match=f"record {other.id} may be the one, but differs") as caught:
            await way.resource("student_placements").create(**body, has_childcare=False)
        assert "by student_id and school_id" in str(caught.value)
        assert len(way.creates) == 1

    virtual_time.run(main())


def test_a_grade_cannot_be_searched_and_is_never_sent_twice() -> None:
    """Grades have no search, so that a lost create is always ambiguous."""

    async def main() -> None:
        way = Unreliable(only(Loss(502)))
        given = way.sandbox.records("grade_elementaries")[0]
        names = ("student_id", "school_id", "subject_code", "academic_year", "term", "school_year", "final_grade")
        body = {name: getattr(given, name) for name in (*names, "is_ended")}
        with pytest.raises(AmbiguousWriteError, match="look it up"):
            await way.resource("grade_elementaries").create(**body, external=ExternalRequest(source_id="g"))
        assert len(way.creates) == 1

    virtual_time.run(main())


@pytest.mark.parametrize("name", ["students", "units"])
@pytest.mark.parametrize("changed", [False, True])
def test_an_older_record_with_the_key_is_a_conflict_that_names_it(name: str, changed: bool) -> None:
    """A record that existed long before is not the result of this create, even if equal."""

    async def main() -> None:
        way = Unreliable(only(None, Loss(502, None), Loss(502, None)))
        body = next(bodies(name, way.sandbox))
        older = await way.resource(name).create(**body)
        await asyncio.sleep(1000)
        if changed:
            body["last_name" if name == "students" else "title"] = "Alm"
        with pytest.raises(ConflictError, match=older.id) as caught:
            await way.resource(name).create(**body)
        assert (caught.value.status_code, caught.value.route) == (409, RESOURCES[name].path)
        assert len(way.creates) == 2

    virtual_time.run(main())


def test_a_key_that_is_not_unique_conflicts_only_when_the_create_did_not_happen_after_all() -> None:
    """An older unit has the same id in another system, which the server allows; the late one is still found."""

    async def main() -> None:
        way = Unreliable(only(None, Loss(502, 25.0)))
        units, source = way.resource("units"), ExternalRequest(source_id="u")
        await units.create(title="older", external=source)
        await asyncio.sleep(1000)
        made = await units.create(title="newer", external=source)
        assert made.title == "newer"

    virtual_time.run(main())


def test_a_refusal_after_a_loss_is_looked_up() -> None:
    """If the first create commits just before the second, the 409 leads to its record, which is returned."""
    result, way = create("students", only(Loss(504, 17.72)), **PERSON)
    assert isinstance(result, Student)
    assert len(way.creates) > 1
    assert 409 in [seen.status for seen in way.sandbox.requests]


def test_a_refusal_after_a_loss_that_has_another_reason_is_raised() -> None:
    """If the e-mail address is taken, neither create can have happened: the refusal is raised."""

    async def main() -> None:
        way = Unreliable(only(Loss(500, None)))
        taken = await way.directly_made("students", **PERSON, email_address1="a@b.se")
        with pytest.raises(ConflictError) as caught:
            await way.resource("students").create(
                **PERSON | {"identity_number": "20150101-1111"}, email_address1="a@b.se"
            )
        assert taken.id not in str(caught.value)

    virtual_time.run(main())


@pytest.mark.parametrize("status", [401, 403, 400, 404, 429])
def test_any_other_refusal_after_a_loss_leaves_the_first_create_open(status: int) -> None:
    """Another error of the second attempt leaves the first one ambiguous."""

    async def main() -> None:
        way = Unreliable(only(Loss(502, None)))

        async def refusing(request: Request) -> RawResponse:
            again = request.operation == "create" and way.creates
            return refusal(status) if again else await way(request)

        students: Any = RESOURCES["students"](Retrying(refusing, RetryPolicy()).send)
        with pytest.raises(AmbiguousWriteError, match="by identity_number"):
            await students.create(**PERSON)
        # Who may not write at all, or not now, need not ask again and again.
        assert way.searches == 8

    virtual_time.run(main())


def test_the_first_refusal_is_raised_as_it_is_and_nothing_is_looked_up() -> None:
    """Without a lost answer, 409 and 422 are raised and nothing is looked up."""

    async def main() -> None:
        way = Unreliable()
        await way.directly_made("students", **PERSON)
        with pytest.raises(ConflictError):
            await way.resource("students").create(**PERSON)
        with pytest.raises(UnprocessableEntityError):
            await way.resource("students").create(**PERSON | {"identity_number": "soon"})
        assert way.searches == 0

    virtual_time.run(main())


@pytest.mark.parametrize("status", [503, 429, 403, 409])
@pytest.mark.parametrize("name", ["students", "schools"])
def test_a_look_up_that_fails_ends_in_ambiguity(name: str, status: int) -> None:
    """If the lookup fails, nothing is sent again, and the message says why."""

    async def main() -> None:
        way = Unreliable(only(Loss(502)))
        way.search_answer = lambda _: refusal(status)
        with pytest.raises(AmbiguousWriteError, match="the lookup failed"):
            await way.resource(name).create(**next(bodies(name, way.sandbox)))
        assert len(way.creates) == 1

    virtual_time.run(main())


@pytest.mark.parametrize(("max_retries", "creates"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_a_policy_bounds_how_often_a_create_is_sent(max_retries: int, creates: int) -> None:
    """The retry policy limits the sends, even if each lookup found nothing."""

    async def main() -> None:
        way = Unreliable(lambda _: Loss(502, None))
        students = way.resource("students", RetryPolicy(max_retries=max_retries))
        with pytest.raises(AmbiguousWriteError, match="nothing was found"):
            await students.create(**PERSON)
        assert (len(way.creates), way.searches) == (creates, 4 * creates)

    virtual_time.run(main())


def test_no_look_begins_after_the_deadline() -> None:
    """The deadline of the call also holds for its lookups."""

    async def main() -> None:
        way = Unreliable(lambda _: Loss(502, None))
        students = way.resource("students", RetryPolicy(deadline=4.0))
        with pytest.raises(AmbiguousWriteError, match="deadline"):
            await students.create(**PERSON)
        assert (len(way.creates), way.searches) == (1, 2)
        assert asyncio.get_running_loop().time() < 4.0

    virtual_time.run(main())


@pytest.mark.parametrize("kept", [None, msgspec.convert({}, Address)])
def test_an_address_without_a_line_is_no_address(kept: Address | None) -> None:
    """A null address matches an address without values."""
    wanted = StudentFields(**PERSON, address=Address(postal_code=None))
    record = Student(id=STUDENT_ID, **PERSON, address=kept)
    assert "address" not in differences(wanted, record)
    assert "address" in differences(StudentFields(**PERSON, address=Address(postal_code="1")), record)


def test_a_look_up_that_fails_at_first_is_repeated() -> None:
    """A lookup that fails for a few seconds is repeated."""

    async def main() -> None:
        way = Unreliable(only(Loss(502)))
        way.search_answer = lambda number: refusal(503) if number < 8 else None
        made = await way.resource("students").create(**PERSON)
        assert len(way.creates) == 1
        assert made in way.sandbox.records("students")

    virtual_time.run(main())


def test_too_many_records_with_one_key_settle_nothing() -> None:
    """If more records have the key than a lookup reads, the create stays ambiguous."""

    async def main() -> None:
        way = Unreliable(lambda number: Loss(502) if number == 52 else None)
        units, source = way.resource("units"), ExternalRequest(source_id="u")
        for number in range(52):
            await units.create(title=f"{number}", external=source)
        with pytest.raises(AmbiguousWriteError, match="too many"):
            await units.create(title="mine", external=source)
        assert len(way.creates) == 53

    virtual_time.run(main())


def test_a_create_lost_every_time_ends_in_ambiguity() -> None:
    """It is sent three times with a unique key, twice without, each time after a lookup."""
    for name, sends in (("students", 3), ("units", 2)):
        result, way = create(name, lambda _: Loss(500, None))
        assert isinstance(result, AmbiguousWriteError)
        assert (len(way.creates), result.attempts) == (sends, sends)


def test_a_cancelled_recovery_leaves_nothing_running() -> None:
    """Cancelled at any moment of a lookup or a wait, it leaves no task and sends nothing more."""

    async def main(moment: float) -> None:
        way = Unreliable(only(Loss(502, None)))
        task = asyncio.create_task(way.resource("units").create(title="a", external=ExternalRequest(source_id="a")))
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        before = len(way.creates), way.searches
        await asyncio.sleep(100)
        assert (len(way.creates), way.searches) == before
        assert asyncio.all_tasks() == {asyncio.current_task()}

    for tenth in range(0, 600, 7):
        virtual_time.run(main(tenth / 10))


@pytest.mark.parametrize(
    ("name", "body", "by"),
    [
        ("students", PERSON, "identity_number"),
        ("units", {"title": "Ekorrsten", "external": ExternalRequest(source_id="hr-1")}, "source_id"),
    ],
)
@pytest.mark.parametrize("end", ["timeout", "wait_for", "cancel"])
def test_who_gives_up_a_look_up_is_told_that_it_may_have_happened(name: str, body: Any, by: str, end: str) -> None:
    """A cancellation during a lookup carries a note with the request and what to look up, without values."""

    async def main(moment: float) -> None:
        way = Unreliable(only(Loss(502)))
        way.search_answer = lambda _: RawResponse(200, Headers(), NOTHING)
        creating = asyncio.create_task(_ended(way.resource(name).create(**body), end, moment))
        if end == "cancel":
            await asyncio.sleep(moment)
            creating.cancel()
        with pytest.raises((TimeoutError, asyncio.CancelledError)) as caught:
            await creating
        told = _notes(caught.value)
        assert f"POST {RESOURCES[name].path}" in told
        assert "may or may not have happened" in told
        assert f"look it up before creating it again, by {by}" in told
        assert not any(str(value) in told for value in ("Ekorrsten", "hr-1", NUMBER))

    for moment in (0.06, 0.3, 0.56, 1.0, 5.0, 12.0, 17.7):
        virtual_time.run(main(moment))


NOTHING = b'{"data":[],"pagination":{"offset":0,"limit":50,"total":0}}'


async def _ended(create: Any, end: str, seconds: float) -> None:
    """Await a call with a patience of so many seconds, in one of the ways in which people write that."""
    if end == "timeout":
        async with asyncio.timeout(seconds):
            await create
    elif end == "wait_for":
        await asyncio.wait_for(create, seconds)
    else:
        await create


def _notes(error: BaseException | None) -> str:
    """Return what a traceback of an error would show of notes, its causes included."""
    if error is None:
        return ""
    notes = "; ".join(getattr(error, "__notes__", ()))
    return f"{notes} {_notes(error.__cause__ or error.__context__)}"


def test_a_create_that_is_cancelled_before_any_loss_has_nothing_to_add() -> None:
    """Without a loss, a cancellation carries no note of the recovery."""

    async def main() -> None:
        way = Unreliable()
        creating = asyncio.create_task(way.resource("students").create(**PERSON))
        await asyncio.sleep(0.01)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await creating
        assert _notes(caught.value).strip() == ""

    virtual_time.run(main())


def test_no_error_of_a_recovery_shows_anything_personal() -> None:
    """Messages, reprs, causes and the locals of frames hold no personal data."""

    async def main() -> None:
        for search, status in ((503, 502), (None, 502), (None, 500)):
            way = Unreliable(lambda _, status=status: Loss(status, None))  # type: ignore[misc]
            if search is None:
                await way.directly_made("students", **PERSON | {"first_name": "Sigfrid"})
                await asyncio.sleep(1000)
            else:
                way.search_answer = lambda _: refusal(503)
            try:
                await way.resource("students").create(**dict(PERSON))
            except MeitnerError as error:
                # Past this test's own frames, which hold what it made up.
                shown = traceback.TracebackException(
                    type(error), error, error.__traceback__.tb_next, capture_locals=True
                )  # type: ignore[union-attr]
                text = "".join(shown.format()) + repr(error) + str(error)
                assert "Recovery" in text
                assert not any(secret in text for secret in PERSON.values())

    virtual_time.run(main())


ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"


def test_what_a_server_tidies_is_no_difference_to_recovery() -> None:
    """Blanks, case and completed lists do not keep a record from being recognised."""

    async def main() -> None:
        way = Unreliable(only(Loss(502)))
        fs = await way.directly_made("schools", title="FS", school_type="FS")
        made = await way.resource("groups").create(school_id=fs.id.upper(), title="Myran", types=["Class"])
        assert sorted(made.types) == ["Childcare", "Class"]
        assert len(way.creates) == 1

    virtual_time.run(main())


def test_the_case_of_ids_and_the_order_of_lists_are_no_differences() -> None:
    """An upsert does not write again when only these differ."""
    other = ID.replace("5", "6")
    group = Group(id=ID, school_id=ID, title="A", member_ids=[ID, other])
    same = GroupCreate(school_id=ID.upper(), title="A", member_ids=(other.upper(), ID))
    assert differences(same, group) == {}
    assert differences(GroupCreate(school_id=ID, title="a", member_ids=[ID]), group) == {
        "title": "a",
        "member_ids": [ID],
    }
