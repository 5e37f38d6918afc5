"""Nothing secret and nothing personal in what a program shows by accident, whatever happens to it.

A canary in every credential and every personal field; everything is done to the client that can be done; then every
place is searched where a program, its logs, its crash reports and its files speak. All logs at DEBUG, asyncio's too.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from canaries import CREDENTIALS, PERSON, TOKEN, WIRE, Mine, Watch, files, listening, shown, sung
from conftest import AT_ONCE, Scripted
from raw_server import STUDENT, STUDENT_ID, answer, failure, page, writes

import meitner_aio
from meitner_aio import (
    Address,
    AddressQuery,
    ApiKey,
    AuthenticationError,
    ConflictError,
    Meitner,
    MeitnerError,
    MultipleFound,
    OAuth2,
    RetryPolicy,
    StudentQuery,
    like,
    one_of,
)
from meitner_aio.export import export
from meitner_aio.sandbox import Fault, Sandbox

NOBODY = "00000000-0000-4000-8000-000000000000"
Run = Callable[[Mine, Meitner, Any], Any]


# The watch itself: what it must hear, it hears.


def _leak_by_message() -> None:
    logging.getLogger("x").debug("name %s", PERSON["first_name"])


def _leak_by_argument() -> None:
    logging.getLogger("x").info("%.3s", CREDENTIALS[1])


def _leak_by_extra() -> None:
    logging.getLogger("x").info("fine", extra={"body": json.dumps(WIRE)})


def _leak_by_cause() -> None:
    try:
        {}[CREDENTIALS[0]]
    except KeyError as cause:
        raise MeitnerError("fine") from cause


def _leak_by_context() -> None:
    try:
        {}[TOKEN.encode()]
    except KeyError:
        raise MeitnerError("fine") from None


def _leak_by_note() -> None:
    error = MeitnerError("fine")
    error.add_note(PERSON["phone_number1"])
    raise error


def _leak_by_group() -> None:
    raise ExceptionGroup("fine", [ValueError(PERSON["address"].postal_city)])


def _leak_by_local() -> None:
    json.loads(f'{{"{PERSON["last_name"]}": ')


def _leak_by_warning() -> None:
    warnings.warn(f"unclosed {PERSON['email_address1']}", stacklevel=1)


def _leak_by_repr() -> object:
    return {"row": WIRE}


@pytest.mark.leaks
@pytest.mark.parametrize("leak", [value for name, value in list(globals().items()) if name.startswith("_leak_by_")])
async def test_the_watch_hears_every_canary(leak: Callable[[], object]) -> None:
    """The control: each way in which a canary can get out is noticed."""
    with Mine() as mine:
        with contextlib.suppress(AssertionError):
            mine.refuses(leak)
        mine.shows(leak() if leak is _leak_by_repr else None)
    assert mine.leaks() + mine.refused()


def test_a_canary_is_heard_in_every_spelling() -> None:
    """As text, as JSON escapes it, as the bytes of a body, and as the `repr` of those."""
    name = PERSON["last_name"]
    for text in (name, json.dumps(name), repr(name.encode()), name.encode().decode("latin-1"), ascii(name)):
        assert sung(text) == [name]


# Whole lives of a client, over HTTP.


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for lost creates at once."""
    monkeypatch.setattr("meitner_aio._operations.create_recovery._LOOKS", (0.0, 0.0))
    monkeypatch.setattr("meitner_aio._operations.create_recovery._LATEST", 0.0)


@pytest.fixture
async def directory() -> AsyncIterator[Callable[..., Any]]:
    """Give `await directory(faults, **options)`: a client of a served sandbox where the person of the canaries lives."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*faults: Fault, **options: Any) -> tuple[Meitner, Any]:
            sandbox = Sandbox(students=12, schools=1, faults=faults, credentials=CREDENTIALS)
            await stack.enter_async_context(sandbox)
            options.setdefault("retry", AT_ONCE)
            if "auth" not in options:
                options["auth"] = ApiKey(*CREDENTIALS)
            meitner = await stack.enter_async_context(Meitner(base_url=sandbox.url, **options))
            async with Meitner(*CREDENTIALS, base_url=sandbox.url, max_retries=9) as other:
                return meitner, await other.students.create(**PERSON)

        yield start


async def _reads(mine: Mine, meitner: Meitner, person: Any) -> None:
    students = meitner.students
    listing = students.list(limit=5)
    rows = [row async for row in listing]
    first = await students.search(last_name=PERSON["last_name"])
    mine.shows(rows, listing, listing.report, first, first.data, first.data[0].address, meitner, students, person)
    asked: list[dict[str, Any]] = [{name: value} for name, value in PERSON.items() if isinstance(value, str)]
    asked += [{name: like(f"%{value}%")} for name, value in PERSON.items() if isinstance(value, str)]
    asked += [
        {"address": AddressQuery(postal_city=PERSON["address"].postal_city)},
        {"any_of": [StudentQuery(first_name=one_of(PERSON["first_name"], "Bo"))], "gender": None},
    ]
    for query in asked[:-1]:
        found = students.search(**query)
        assert [row.id for row in await found.all()] == [person.id]
        mine.shows(found, found.report, StudentQuery(**query), like(PERSON["first_name"]))
    mine.refuses(students.search, **asked[-1])
    mine.shows(await students.find(identity_number=PERSON["identity_number"]), await students.get_many([person.id]))
    assert isinstance(await mine.fails(students.find(first_name=like("%"))), MultipleFound)
    await mine.fails(students.get(NOBODY))
    mine.refuses(students.get, PERSON["identity_number"])
    mine.refuses(students.search, first_nam=PERSON["first_name"])
    mine.refuses(students.search, last_name=~like(PERSON["last_name"]), date_of_birth=PERSON["identity_number"])
    mine.refuses(students.search, meta=PERSON["identity_number"])


async def _writes(mine: Mine, meitner: Meitner, person: Any) -> None:
    students = meitner.students
    assert isinstance(await mine.fails(students.create(**PERSON)), ConflictError)
    for wrong in ({"identity_number": "20150101-4242x"}, {"address": Address(municipality_code="Kanariestigen 77")}):
        await mine.fails(students.create(**{**PERSON, **wrong}))
        await mine.fails(students.update(person.id, **{**PERSON, **wrong}))
    await mine.fails(students.update(NOBODY, **PERSON))
    changed = await students.modify(person, first_name=PERSON["last_name"], guard=True)
    await mine.fails(students.modify(person, first_name=PERSON["first_name"], guard=True))
    keyed = await students.upsert("identity_number", **PERSON)
    mine.shows(changed, keyed, await students.upsert("identity_number", **PERSON))
    for name, text in [(name, value) for name, value in PERSON.items() if isinstance(value, str)]:
        for bad in (b"Kanariella", 46701740605, [text], {"Kanariella": 1}, "Kanariella\ud800", None):
            if bad is not None or name in ("identity_number", "first_name", "last_name"):
                mine.refuses(students.create, **{**PERSON, name: bad})
    mine.refuses(students.create, **PERSON, addres=PERSON["address"])
    mine.refuses(students.create, **{**PERSON, "address": PERSON["address"].postal_address})
    mine.refuses(students.create, **{**PERSON, "gender": PERSON["first_name"]})
    mine.refuses(students.update, PERSON["identity_number"], **PERSON)
    mine.refuses(students.modify, person, first_nme=PERSON["first_name"])
    mine.refuses(students.modify, person, first_name=7)
    await mine.fails(students.upsert("identity_number", **{**PERSON, "identity_number": "20150101-4242x"}))
    await mine.fails(
        students.upsert(
            "identity_number",
            **{**PERSON, "first_name": PERSON["last_name"], "address": Address(municipality_code="9")},
        )
    )
    await students.delete(person.id)
    await mine.fails(students.delete(person.id))


async def _bulk(mine: Mine, meitner: Meitner, person: Any) -> None:
    students = meitner.students
    items = [PERSON, {**PERSON, "last_name": 7}, {**PERSON, "identity_number": "20150101-9999"}, {"name": TOKEN}]
    mine.shows([outcome async for outcome in students.create_many(items)])
    pairs = [(person.id, PERSON), (NOBODY, PERSON), ("20150101-4242", PERSON)]
    outcomes = [outcome async for outcome in students.update_many(pairs)]
    mine.shows(outcomes)
    outcomes += [outcome async for outcome in students.delete_many([person.id, NOBODY, "20150101-4242"])]
    mine.errors += [outcome.error for outcome in outcomes if outcome.error is not None]
    assert len(mine.errors) == 4


async def _outbox(mine: Mine, meitner: Meitner, person: Any) -> None:
    async with meitner.outbox(concurrency=2) as outbox:
        for identity in ("20150101-4242", "20150101-9998", "4242"):
            outbox.put(meitner.students.create(**{**PERSON, "identity_number": identity, "email_address1": None}))
        outbox.put(meitner.students.update(person.id, **PERSON))
        mine.shows(outbox, outbox._waiting)
    mine.shows(outbox, outbox.failures)
    mine.errors += [failed.error for failed in outbox.failures]
    assert len(mine.errors) == 2


async def _events(mine: Mine, meitner: Meitner, person: Any) -> None:
    assert (await meitner.students.get(person.id)).id == person.id
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(meitner.students.update(person.id, **PERSON))
    await mine.fails(meitner.students.create(**PERSON))


LIVES: dict[str, Run] = {"reads": _reads, "writes": _writes, "bulk": _bulk, "outbox": _outbox, "events": _events}


def _broken_metric(event: object) -> None:
    raise RuntimeError(f"the metrics are down: {event!r}")


@pytest.mark.parametrize("auth", [ApiKey(*CREDENTIALS), OAuth2(*CREDENTIALS)], ids=["key", "oauth"])
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
async def test_nothing_leaks_in_the_life_of_a_client(directory: Callable[..., Any], life: Run, auth: Any) -> None:
    """Good calls and bad ones, refused here or there; a callback for metrics that breaks and is logged."""
    meitner, person = await directory(auth=auth, on_event=_broken_metric)
    with Mine() as mine:
        await life(mine, meitner, person)
        mine.shows(meitner, vars(meitner), auth, meitner.quota)
    assert mine.watch.lines > 50
    assert mine.leaks() == []


@pytest.mark.parametrize("life", [_reads, _writes])
async def test_a_refusal_holds_nothing_of_what_was_handed_in(directory: Callable[..., Any], life: Run) -> None:
    """What is refused before any I/O shows no value: in no message, and in no frame of ours."""
    meitner, person = await directory()
    with Mine() as mine:
        await life(mine, meitner, person)
    assert len(mine.refusals) >= 5
    assert mine.refused() == []


ECHO = f"{PERSON['identity_number']}, {PERSON['email_address1']} and {PERSON['phone_number1']} are taken"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
_BODY = json.dumps({**STUDENT, **WIRE}).encode()
FAILURES: dict[str, Any] = {
    "cut": None,
    "garbage": writes(_BODY + b"\r\n\r\n"),
    "a bad status line": writes(b"HTTP/1.1 " + _BODY + b"\r\n\r\n"),
    "a bad header": writes(b"HTTP/1.1 200 OK\r\n" + _BODY + b"\x00: x\r\n\r\n"),
    "a header too long": writes(b"HTTP/1.1 200 OK\r\nX: " + _BODY * 90 + b"\r\n\r\n"),
    "cut within the body": writes(_HEAD + _BODY),
    "a bad chunk": writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _BODY),
    "a body after the answer": writes(answer(data={**STUDENT, **WIRE}) + _BODY, then_close=False),
    "bad gzip": answer(headers={"Content-Encoding": "gzip"}, body=_BODY),
    "half of it": answer(body=_BODY[:-9]),
    "another shape": answer(data={**STUDENT, **WIRE, "lastName": {PERSON["last_name"]: 1}}),
    "another enum": answer(data={**STUDENT, **WIRE, "gender": [PERSON["first_name"]]}),
    "a bad date": answer(data={**STUDENT, **WIRE, "dateOfBirth": PERSON["identity_number"]}),
    "a page with a bad row": page([{**STUDENT, **WIRE}, {**STUDENT, **WIRE, "lastName": 1}]),
    "a row whose id is personal": page([{**STUDENT, **WIRE, "id": PERSON["identity_number"], "lastName": 1}]),
    "an echo": failure(422, "UnprocessableEntity", ECHO),
    "an echo as the request's id": failure(500, "Internal", "no", X_Request_ID=ECHO),
    "an echo as the code": failure(409, ECHO, ECHO),
    "HTML": answer(500, headers={"Content-Type": f"text/html; {CREDENTIALS[1]}"}, body=_BODY),
    "cookies": answer(403, headers={"Set-Cookie": f"a={TOKEN}"}, body=_BODY),
    "a redirect": answer(302, headers={"Location": f"/x?{CREDENTIALS[1]}"}, body=_BODY),
    "401": failure(401, "Unauthorized", ECHO),
    "429": failure(429, "RateLimited", ECHO, Retry_After=PERSON["phone_number1"]),
    "silence": writes(b"", pause=9.0),
    "a slow body": writes(_HEAD + _BODY, pause=9.0),
}  # fmt: skip


@pytest.mark.parametrize("auth", [ApiKey(*CREDENTIALS), OAuth2(*CREDENTIALS)], ids=["key", "oauth"])
@pytest.mark.parametrize("trouble", FAILURES.values(), ids=FAILURES)
async def test_nothing_leaks_when_an_answer_is_bad(scripted: Scripted, trouble: Any, auth: Any) -> None:
    """Every operation meets every kind of failure; also the caller's own timeout, and a task that nobody awaits."""
    token = answer(data={"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
    replies = [token] * isinstance(auth, OAuth2) + [trouble]
    policy = RetryPolicy(initial=0.0, max_retries=1)
    meitner, server = await scripted(*replies, auth=auth, timeout=0.1, retry=policy)
    students = meitner.students
    with Mine() as mine:
        with contextlib.suppress(MeitnerError):  # an answer with too much after it is good once
            mine.shows(await students.get(STUDENT_ID))
        for call in (
            students.get(STUDENT_ID),
            students.create(**PERSON),
            students.update(STUDENT_ID, **PERSON),
            students.search(first_name=PERSON["first_name"]).all(),
            students.upsert("identity_number", **PERSON),
            _outcomes(students.create_many([PERSON])),
            asyncio.wait_for(students.create(**PERSON), 0.01),
        ):
            with contextlib.suppress(AssertionError):
                await mine.fails(call)
        forgotten = asyncio.create_task(students.create(**PERSON))
        await asyncio.wait([forgotten])
        del forgotten
        gc.collect(0)  # now asyncio logs that its exception was never retrieved
    assert len(mine.errors) >= 4 or trouble is FAILURES["a body after the answer"]
    assert mine.leaks() == []
    assert server.seen


async def _outcomes(outcomes: Any) -> None:
    async for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


TOKENS: dict[str, Any] = {
    **{name: FAILURES[name] for name in ("cut", "garbage", "half of it", "an echo", "silence", "a redirect", "429")},
    "refused": answer(400, {"error": "invalid_client", "error_description": f"{CREDENTIALS} {ECHO}"}),
    "no token": answer(data={"access_token": f"{TOKEN} {TOKEN}", "token_type": "Bearer"}),
    "another kind": answer(data={"access_token": TOKEN, "token_type": TOKEN}),
    "a lifetime of text": answer(data={"access_token": TOKEN, "expires_in": TOKEN}),
    "a token of bytes": answer(data={"access_token": f"{TOKEN}\r\nX: {TOKEN}"}),
}


@pytest.mark.parametrize("trouble", TOKENS.values(), ids=TOKENS)
async def test_nothing_leaks_when_no_token_comes(scripted: Scripted, trouble: Any) -> None:
    """The token endpoint is where the secret goes, and where the token comes from."""
    meitner, _ = await scripted(trouble, auth=OAuth2(*CREDENTIALS), timeout=0.05, retry=AT_ONCE)
    with Mine() as mine:
        calls = [asyncio.create_task(meitner.students.create(**PERSON)) for _ in range(3)]
        for call in calls:
            await mine.fails(call)
        mine.shows(meitner, meitner._core.auth, calls)
    assert mine.leaks() == []


async def test_nothing_leaks_while_tokens_are_replaced(scripted: Scripted) -> None:
    """Renewal, a refusal with a fresh token, and a client that is closed while it waits for one."""
    token = answer(data={"access_token": TOKEN, "expires_in": 3600})
    other = answer(data={"access_token": f"{TOKEN}2", "expires_in": 3600})
    meitner, _ = await scripted(token, failure(401), other, answer(), token, failure(401), auth=OAuth2(*CREDENTIALS))
    hanging, _ = await scripted(writes(b"", pause=9.0), auth=OAuth2(*CREDENTIALS))
    with Mine() as mine:
        mine.shows(await meitner.students.get(STUDENT_ID), meitner._core.auth, vars(meitner._core.auth))
        await mine.fails(meitner.students.get(STUDENT_ID))
        waiting = asyncio.create_task(hanging.students.create(**PERSON))
        for _ in range(9):
            await asyncio.sleep(0)
        mine.shows(asyncio.all_tasks())
        await hanging.close()
        await mine.fails(waiting)
    assert isinstance(mine.errors[0], (AuthenticationError, MeitnerError))
    assert mine.leaks() == []


FAULTS = {
    "refusals": [Fault(503, probability=0.5), Fault(409, probability=0.3), Fault(429, times=2)],
    "lost answers": [Fault(0, committed=True, times=1, operations=["create"]), Fault(0, probability=0.3)],
    "lost for good": [Fault(502, committed=True, operations=["create", "update", "delete"])],
    "no look-up": [Fault(0, committed=True, operations=["create"]), Fault(500, operations=["search"])],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
async def test_nothing_leaks_while_a_directory_fails(directory: Callable[..., Any], faults: list[Fault]) -> None:
    """Retries, recovered creates, ambiguous ones, and listings that end early."""
    meitner, person = await directory(*[Fault(503, times=1)])
    broken = Sandbox(students=30, schools=1, faults=faults, credentials=CREDENTIALS)
    with Mine() as mine:
        async with broken, Meitner(auth=ApiKey(*CREDENTIALS), base_url=broken.url, retry=AT_ONCE) as unlucky:
            for _ in range(3):
                for call in (
                    unlucky.students.create(**PERSON),
                    unlucky.students.upsert("identity_number", **PERSON),
                    unlucky.students.list(limit=5).all(),
                    unlucky.students.search(last_name=PERSON["last_name"]).all(),
                    unlucky.students.delete(NOBODY),
                ):
                    with contextlib.suppress(AssertionError):
                        await mine.fails(call)
    assert mine.errors
    assert mine.leaks() == []
    assert (await meitner.students.get(person.id)).id == person.id


# Files.


async def test_nothing_leaks_from_an_export_but_into_its_files(directory: Callable[..., Any], tmp_path: Path) -> None:
    """Manifest, names, progress, report, and what an export that failed leaves: no person, no credential."""
    steps: list[object] = []
    meitner, _ = await directory()
    with Mine() as mine:
        report = await export(
            meitner, ["students", "schools"], to=tmp_path / "good", progress=steps.append, page_size=5
        )
        mine.shows(report, steps)
        broken, _ = await directory(Fault(403, operations=["units.list"]))
        await mine.fails(export(broken, ["students", "units"], to=tmp_path / "bad", page_size=5))
        (tmp_path / "bad" / "manifest.json").write_text(json.dumps(WIRE))
        await mine.fails(export(meitner, ["students"], to=tmp_path / "bad"))
    assert any(sung(text) for text in files(tmp_path / "good").values())  # the export itself
    (tmp_path / "bad" / "manifest.json").unlink()
    texts = files(tmp_path, leave_out=[".ndjson", ".part"])
    assert [name for name in texts if name.endswith("manifest.json")]
    assert [name for name, text in texts.items() if sung(name + text)] == []
    assert mine.leaks() == []


# The terminal.

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""),
    "PYTHONPATH": str(Path(meitner_aio.__file__).parents[1]),
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONDEVMODE": "1",
    "MEITNER_LOG": "debug",
    "MEITNER_DEBUG": "true",
    "COLUMNS": "200",
}
IN_A_ROW = """
import json, sys
from meitner_aio.cli import run
codes = [run(command) for command in json.loads(sys.argv[1])]
print(json.dumps(codes), file=sys.stderr)
"""
COMMANDS: dict[str, tuple[str, ...]] = {
    "list": ("list", "students"),
    "count": ("count",),
    "export": ("export", "students", "--to", "out"),
    "get of nobody": ("get", "students", NOBODY),
    "get by something personal": ("get", "students", "{id}"),
    "no such command": ("list", "pupils"),
}


@pytest.mark.parametrize("pair", [CREDENTIALS, (CREDENTIALS[0], f"{CREDENTIALS[1]}-wrong")], ids=["good", "wrong"])
async def test_nothing_leaks_on_the_terminal(tmp_path: Path, pair: tuple[str, str]) -> None:
    """Every command, with debug switches on: records go to stdout and nothing of them, or of a credential, to stderr."""
    sandbox = Sandbox(students=5, schools=1, credentials=CREDENTIALS)
    environment = {**ENVIRONMENT, "MEITNER_CLIENT_CREDENTIALS": pair[0], "MEITNER_CLIENT_SECRET": pair[1]}

    def run(commands: list[list[str]]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", IN_A_ROW, json.dumps(commands)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip

    async with sandbox, Meitner(auth=ApiKey(*CREDENTIALS), base_url=sandbox.url) as meitner:
        person = await meitner.students.create(**PERSON)
        environment["MEITNER_BASE_URL"] = sandbox.url
        commands = [[word.format(id=person.id) for word in command] for command in COMMANDS.values()]
        ended = await asyncio.to_thread(run, commands)
    *said, codes = ended.stderr.splitlines()
    assert [line for line in said if sung(line)] == []
    assert said
    assert sung(ended.stdout, CREDENTIALS) == []
    assert sung(ended.stdout) or pair != CREDENTIALS  # records
    assert json.loads(codes) == ([0, 0, 0, 1, 0, 2] if pair == CREDENTIALS else [4, 4, 4, 4, 4, 2])
    assert [name for name, text in files(tmp_path, leave_out=[".ndjson", ".part"]).items() if sung(name + text)] == []


# What is left lying about.


async def test_a_client_that_nobody_closed_says_nothing_of_its_secrets(scripted: Scripted) -> None:
    """aiohttp warns of the session, asyncio of the transport, and neither knows more than an address."""
    _, server = await scripted(answer(data={**STUDENT, **WIRE}))
    with Mine() as mine:
        meitner = Meitner(auth=ApiKey(*CREDENTIALS), base_url=server.url)
        await meitner.students.get(STUDENT_ID)
        pool = meitner._core.transport
        del meitner
        gc.collect()
        await pool.close()
    assert mine.leaks() == []


async def test_stacks_of_waiting_calls_hold_no_secret(scripted: Scripted) -> None:
    """A monitor that prints every task with the locals of its frames shows masks where credentials and people are."""
    meitner, server = await scripted(writes(b"", pause=9.0), auth=ApiKey(*CREDENTIALS))
    call = asyncio.create_task(meitner.students.create(**PERSON))
    while not server.seen:
        await asyncio.sleep(0)
    ours = Path(meitner_aio.__file__).parent
    awaited: Any = call.get_coro()
    frames = []
    while awaited is not None:
        frames.append(getattr(awaited, "cr_frame", None))
        awaited = getattr(awaited, "cr_await", None)
    shown_locals = [
        f"{frame.f_code.co_qualname}: {frame.f_locals!r}"
        for frame in frames
        if frame is not None and ours in Path(frame.f_code.co_filename).parents
    ]
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert len(shown_locals) >= 5
    assert [line for line in shown_locals if sung(line)] == []


@pytest.mark.leaks
def test_a_watch_hears_its_block_only() -> None:
    """It hears what is logged in its block, and nothing after."""
    watch = Watch()
    with listening(watch):
        logging.getLogger("meitner_aio").debug("one %s", TOKEN)
    logging.getLogger("meitner_aio").warning("two %s", TOKEN)
    assert watch.lines == 1
    assert watch.heard
    assert list(shown(ValueError("x")))
