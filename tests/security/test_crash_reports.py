"""Nothing foreign and nothing secret in what a crash report would show, the locals of every frame included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import StackSummary, walk_tb
from typing import Any

import pytest
from conftest import Scripted
from raw_server import STUDENT, STUDENT_ID, answer, failure, page, writes

from meitner_aio import ApiKey, Meitner, OAuth2, RetryPolicy
from meitner_aio._operations import create_recovery
from meitner_aio._pipeline.environment import secret_text
from meitner_aio._profiles.file import read
from meitner_aio._profiles.profile import Profile
from meitner_aio._pseudonyms import Pseudonyms
from meitner_aio.cached import RedisCache
from meitner_aio.errors import MeitnerError

MIB = 1024 * 1024
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
SECRETS = ("id-canary", "secret-canary", "token-canary", "20150101-4242", "name-canary", "body-canary")


def _shown(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Yield all that a crash report would show of an error and of what led to it, the locals of every frame included."""
    if id(error) in seen:
        return
    seen.add(id(error))
    yield f"{error!r} {error} {error.args}"
    for frame in StackSummary.extract(walk_tb(error.__traceback__), capture_locals=True):
        if Path(__file__).parents[1] not in Path(frame.filename).parents:
            yield f"{frame.filename}:{frame.name}: {frame.locals}"
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from _shown(other, seen)


async def _fails(call: Any) -> BaseException:
    try:
        async with asyncio.timeout(1.0):
            await call
    except BaseException as error:
        return error
    pytest.fail("nothing was raised")


_PERSON = {**STUDENT, "identityNumber": "20150101-4242", "firstName": "name-canary"}
_TROUBLE: dict[str, Any] = {
    "cut": None,
    "garbage": writes(b"body-canary\r\n\r\n"),
    "bad header": writes(b"HTTP/1.1 200 OK\r\nbody-canary\x00: x\r\n\r\n"),
    "cut within the body": writes(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"body-canary"'),
    "bad chunk": writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbody-canary"),
    "bad gzip": answer(headers={"Content-Encoding": "gzip"}, body=b"body-canary"),
    "too large": writes(b"HTTP/1.1 200 OK\r\n\r\n", *[b"body-canary" * 65536] * 50),
    "too large by its own account": f"HTTP/1.1 200 OK\r\nContent-Length: {40 * MIB}\r\n\r\nbody-canary".encode(),
    "not JSON": answer(body=b'{"id": "body-canary'),
    "another shape": answer(data={**_PERSON, "lastName": {"body-canary": 1}}),
    "a page with a bad row": page([_PERSON, {**_PERSON, "lastName": 1}]),
    "an error": failure(422, "UnprocessableEntity", "20150101-4242 is taken"),
    "an error in HTML": answer(500, headers={"Content-Type": "text/html"}, body=b"body-canary"),
    "a refusal": failure(401, "Unauthorized"),
    "silence": writes(b"", pause=5.0),
    "a slow body": writes(_HEAD + b"body-canary", pause=5.0),
}  # fmt: skip


@pytest.mark.parametrize("trouble", _TROUBLE.values(), ids=_TROUBLE)
@pytest.mark.parametrize(
    "auth", [ApiKey("id-canary", "secret-canary"), OAuth2("id-canary", "secret-canary")], ids=["key", "oauth"]
)
@pytest.mark.parametrize(
    "limits",
    [
        {"timeout": 0.1, "retry": RetryPolicy(initial=0.0, max_retries=1)},
        {"timeout": 5.0, "retry": RetryPolicy(initial=0.0, deadline=0.1)},
    ],
    ids=["timeout", "deadline"],
)
async def test_no_crash_report_shows_a_secret(
    scripted: Scripted, trouble: Any, auth: Any, limits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials, tokens and personal data are in no message, no argument, no cause, and no local of any frame."""
    monkeypatch.setattr(create_recovery, "_LOOKS", (0.0,))  # the look for a lost create fails, too
    token = answer(data={"access_token": "token-canary", "expires_in": 3600})
    replies = [token] * isinstance(auth, OAuth2) + [trouble]
    for call in (
        lambda meitner: meitner.students.get(STUDENT_ID),
        lambda meitner: meitner.students.create(
            identity_number="20150101-4242", first_name="name-canary", last_name="Ek"
        ),
        lambda meitner: meitner.students.list().all(),
    ):
        meitner, _ = await scripted(*replies, auth=auth, **limits)
        error = await _fails(call(meitner))
        assert isinstance(error, MeitnerError)
        for shown in _shown(error, set()):
            assert not [secret for secret in SECRETS if secret in shown], shown
        assert (error.__cause__, error.__context__) == (None, None)


@pytest.mark.parametrize("trouble", ["cut", "garbage", "an error", "too large", "silence", "a slow body"])
async def test_no_crash_report_of_a_token_request_shows_a_secret(scripted: Scripted, trouble: str) -> None:
    """Neither when the token endpoint is what fails."""
    meitner, _ = await scripted(_TROUBLE[trouble], auth=OAuth2("id-canary", "secret-canary"), timeout=0.1)
    error = await _fails(meitner.students.get(STUDENT_ID))
    assert isinstance(error, MeitnerError)
    for shown in _shown(error, set()):
        assert not [secret for secret in SECRETS if secret in shown], shown


@pytest.mark.parametrize("trouble", ["silence", "a slow body"])
async def test_a_call_that_is_given_up_shows_no_secret_either(scripted: Scripted, trouble: str) -> None:
    """The caller's own timeout raises through our frames, and would through those of aiohttp."""
    meitner, _ = await scripted(_TROUBLE[trouble], auth=ApiKey("id-canary", "secret-canary"), timeout=30.0)
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.1):
            await meitner.students.create(identity_number="20150101-4242", first_name="name-canary", last_name="Ek")
    for shown in _shown(caught.value, set()):
        assert not [secret for secret in SECRETS if secret in shown], shown


@pytest.mark.parametrize(
    "build",
    [
        lambda: ApiKey("id-canary", "secret-canary\n"),
        lambda: OAuth2("id-canary", "secret-canary\n"),
        lambda: Meitner("id-canary", "secret-canary\n"),
        lambda: Meitner("id-canary", "secret-canary", max_concurrency=0),
        lambda: Meitner("id-canary", "secret-canary", headers={"X-Key": "token-canary\n"}),
        lambda: Meitner(
            "id-canary", "secret-canary", base_url="http://127.0.0.1:1", proxy="http://me:token-canary@192.0.2.1:1"
        ),
        Meitner,
        lambda: Profile(client_id="id-canary", client_secret="secret-canary\n").auth({}),
        lambda: Profile(client_id="id-canary").auth({"MEITNER_CLIENT_SECRET_FILE": "secret-canary"}),
        lambda: secret_text(b"secret-canary\xff", "the file"),
        lambda: read(b'[a]\nclient_secret = "secret-canary', Profile, Path("config.toml")),
        lambda: Pseudonyms(b"secret-canary"),
        lambda: RedisCache("redis://me:secret-canary/token-canary@localhost:6379"),
    ],
    ids=[
        "key",
        "oauth",
        "a line end",
        "an option",
        "a header",
        "a proxy",
        "the environment",
        "a profile",
        "a secret for the name of its file",
        "a secret that is no text",
        "a broken file of profiles",
        "a key of pseudonyms",
        "a cache",
    ],
)
def test_a_client_that_is_not_built_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, build: Callable[[], object]
) -> None:
    """A secret with the line end of its file, or a wrong option beside a good one, is what a new service dies of."""
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "id-canary")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "secret-canary and more")
    with pytest.raises((ValueError, MeitnerError)) as refused:
        build()
    shown = "\n".join(_shown(refused.value, set()))
    assert [secret for secret in SECRETS if secret in shown] == []
