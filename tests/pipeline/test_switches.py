"""Switches and arguments of a client: what turns retries of connection errors off, plain http on, and what is refused."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from conftest import CREDENTIALS, Scripted
from raw_server import STUDENT_ID, failure

from meitner_aio import (
    AmbiguousWriteError,
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    InternalServerError,
    Meitner,
    MeitnerError,
    OAuth2,
    QuotaPolicy,
    Rate,
    RetryPolicy,
)
from meitner_aio._profiles.profile import Profile

ONCE = RetryPolicy(initial=0.0, connection_errors=False)
PATIENT = RetryPolicy(initial=0.0, outage=3600.0, connection_errors=False)


async def _stalled(_: Any) -> None:
    raise ConnectionResetError  # the server hangs up without a word


@pytest.mark.parametrize("policy", [ONCE, PATIENT])
@pytest.mark.parametrize("reply", [None, _stalled])
async def test_without_retries_of_connection_errors_a_request_is_made_once(
    scripted: Scripted, policy: RetryPolicy, reply: Any
) -> None:
    """A read, an update, a page of a listing, also of one that would wait through an outage; a 500 is still retried."""
    meitner, server = await scripted(reply, retry=policy)
    calls = (
        lambda: meitner.students.get(STUDENT_ID),
        lambda: meitner.students.delete(STUDENT_ID),
        lambda: meitner.students.list().all(),
        lambda: meitner.students.search(last_name="Ek").all(),
    )
    for made, call in enumerate(calls, 1):
        with pytest.raises(APIConnectionError) as caught:
            await call()
        assert (len(server.seen), caught.value.attempts) == (made, 1)
    failing, counted = await scripted(failure(500), retry=ONCE)
    with pytest.raises(InternalServerError):
        await failing.students.get(STUDENT_ID)
    assert len(counted.seen) == 3


async def test_a_page_that_takes_too_long_is_not_asked_for_in_smaller_ones(scripted: Scripted) -> None:
    """A timeout is a connection error, too: one request, where the usual policy asks for less and less."""

    async def silent(_: Any) -> None:
        await asyncio.Event().wait()

    meitner, server = await scripted(silent, retry=ONCE, timeout=0.2)
    with pytest.raises(APITimeoutError):
        await meitner.students.list().all()
    assert len(server.seen) == 1


async def test_a_create_that_was_lost_is_looked_up_and_not_sent_again(scripted: Scripted) -> None:
    """Without an answer it may have happened: a lookup that cannot tell leaves it open, and one create was sent."""
    meitner, server = await scripted(None, retry=ONCE)
    with pytest.raises(AmbiguousWriteError):
        await meitner.request("POST", "/student", json={})
    assert [seen.method for seen in server.seen] == ["POST"]


async def test_a_copy_may_have_the_switch(scripted: Scripted) -> None:
    """By `with_options`, for a call; the client stays as it was."""
    meitner, server = await scripted(None)
    with pytest.raises(APIConnectionError):
        await meitner.with_options(retry=ONCE).students.get(STUDENT_ID)
    assert len(server.seen) == 1
    with pytest.raises(APIConnectionError):
        await meitner.students.get(STUDENT_ID)
    assert len(server.seen) == 1 + 3


INSECURE = "http://directory:8080/directory/v1"


def test_plain_http_to_a_named_host_needs_the_switch() -> None:
    """Refused without, with a word of the switch; allowed with it, and told of once, with the line of the caller."""
    with pytest.raises(ConfigurationError, match="insecure=True"):
        Meitner(*CREDENTIALS, base_url=INSECURE)
    with pytest.warns(UserWarning, match="directory:8080 in the clear") as told:
        meitner = Meitner(*CREDENTIALS, base_url=INSECURE, insecure=True)
    assert [Path(one.filename) for one in told] == [Path(__file__)]
    assert repr(meitner) == f"<Meitner {INSECURE}>"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        meitner.with_options(max_retries=0)
        Meitner(*CREDENTIALS, insecure=True)
        Meitner(*CREDENTIALS, base_url="http://127.0.0.1:9", insecure=True)


@pytest.mark.parametrize("url", ["http://api.meitner.se/directory/v1", "http://meitner.se", "http://API.MEITNER.SE"])
def test_no_switch_sends_credentials_to_the_api_in_the_clear(url: str) -> None:
    """The API's own servers are https."""
    with pytest.raises(ConfigurationError, match="https"):
        Meitner(*CREDENTIALS, base_url=url, insecure=True)


def test_the_switch_holds_for_the_token_endpoint() -> None:
    """One below the same address, or at another host."""
    auth = OAuth2("a", "b", "http://tokens:8080/oauth/token")
    with pytest.raises(ConfigurationError, match="token_url must be https"):
        Meitner(auth=auth)
    with pytest.warns(UserWarning, match="to directory:8080 and tokens:8080 in the clear"):
        Meitner(auth=auth, base_url=INSECURE, insecure=True)
    with pytest.warns(UserWarning, match="to tokens:8080 in the clear"):
        Meitner(auth=auth, insecure=True)


@pytest.mark.parametrize("name", ["MEITNER_INSECURE", "MEITNER_ALLOW_INSECURE"])
def test_no_environment_turns_it_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in code only."""
    monkeypatch.setenv(name, "true")
    with pytest.raises(ConfigurationError, match="https"):
        Meitner(*CREDENTIALS, base_url=INSECURE)


def test_no_profile_turns_it_on() -> None:
    """A setting of that name is an unknown one."""
    assert "insecure" not in Profile.__struct_fields__


async def test_no_proxy_sees_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that is named, nor one of the environment that is trusted."""
    with pytest.raises(ConfigurationError, match="in the clear"):
        Meitner(*CREDENTIALS, base_url=INSECURE, insecure=True, proxy="http://proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    with pytest.warns(UserWarning, match="in the clear"):
        meitner = Meitner(*CREDENTIALS, base_url=INSECURE, insecure=True, trust_env=True)
    assert await meitner._core.transport._proxies.of(INSECURE) is None  # type: ignore[attr-defined]
    await meitner.close()


WRONG: list[tuple[str, Any]] = [
    ("auth", "a-secret"),
    ("server", "prodution"),
    ("server", ["staging"]),
    ("server", None),
    ("base_url", 5),
    ("base_url", b"https://a.example"),
    ("base_url", ""),
    ("timeout", "60"),
    ("timeout", -1),
    ("timeout", True),
    ("timeout", aiohttp.ClientTimeout(total=-1)),
    ("timeout", aiohttp.ClientTimeout(sock_read="1")),  # type: ignore[arg-type]
    ("max_retries", "2"),
    ("max_retries", -1),
    ("max_retries", 2.0),
    ("retry", 3),
    ("rate", 10),
    ("quota", 1500),
    ("max_concurrency", "8"),
    ("max_concurrency", 0),
    ("session", "session"),
    ("headers", "X-A: 1"),
    ("headers", [("X-A", "1")]),
    ("headers", {"X-A": 1}),
    ("proxy", 3128),
    ("proxy", "localhost:3128"),
    ("proxy", "socks5://localhost"),
    ("proxy", "http://user:hunter2@local host"),
    ("proxy", "http://[::1"),
    ("proxy", "http://localhost:99999"),
    ("proxy", ""),
    ("ssl", False),
    ("trust_env", "yes"),
    ("trace_configs", [object()]),
    ("logger", "meitner"),
    ("on_event", "print"),
    ("user_agent", 5),
    ("insecure", 1),
    ("insecure", "yes"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_argument_is_refused_at_construction_by_its_name(name: str, value: Any) -> None:
    """Before any request, by an error of ours that shows no secret."""
    given = {} if name == "auth" else {"client_credentials": "an-id", "client_secret": "a-secret"}
    with pytest.raises((TypeError, ValueError, ConfigurationError), match=rf"{name}\S* must|header.* must") as caught:
        Meitner(**given, **{name: value})
    assert "hunter2" not in str(caught.value)
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize("value", [5, "", b"x", ["a"]])
@pytest.mark.parametrize("name", ["client_credentials", "client_secret"])
def test_a_wrong_credential_is_never_completed_from_the_environment(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one too: it would be another's id with this secret."""
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "env-id")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "env-secret")
    with pytest.raises(ConfigurationError, match=name):
        Meitner(**{"client_credentials": "an-id", "client_secret": "a-secret", name: value})


POLICIES = [
    lambda: RetryPolicy(max_retries="2"),  # type: ignore[arg-type]
    lambda: RetryPolicy(initial="1"),  # type: ignore[arg-type]
    lambda: RetryPolicy(maximum=-1.0),
    lambda: RetryPolicy(exponent=None),  # type: ignore[arg-type]
    lambda: RetryPolicy(exponent=float("nan")),
    lambda: RetryPolicy(statuses="500"),  # type: ignore[arg-type]
    lambda: RetryPolicy(statuses=500),  # type: ignore[arg-type]
    lambda: RetryPolicy(statuses=["500"]),  # type: ignore[list-item]
    lambda: RetryPolicy(statuses=[5]),
    lambda: RetryPolicy(deadline="60"),  # type: ignore[arg-type]
    lambda: RetryPolicy(deadline=0),
    lambda: RetryPolicy(outage=-1.0),
    lambda: RetryPolicy(connection_errors=0),  # type: ignore[arg-type]
    lambda: Rate("10"),  # type: ignore[arg-type]
    lambda: Rate(1.0, burst=None),  # type: ignore[arg-type]
    lambda: QuotaPolicy(reserve="1"),  # type: ignore[arg-type]
    lambda: QuotaPolicy(max_wait=-1.0),
    lambda: QuotaPolicy(per_hour=None),  # type: ignore[arg-type]
    lambda: QuotaPolicy(on_exhausted="stop"),  # type: ignore[arg-type]
    lambda: OAuth2("a", "b", 5),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("build", POLICIES)
def test_a_wrong_policy_is_refused_in_our_words(build: Any) -> None:
    """Not by a comparison that fails inside."""
    with pytest.raises((TypeError, ValueError, MeitnerError), match=" must "):
        build()
