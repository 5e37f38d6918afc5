"""What a doctor finds: each verdict as a table, and whole examinations of sandboxes that are well and unwell."""

import asyncio
import json
import ssl
from datetime import UTC, datetime
from email.utils import formatdate

import aiohttp
import pytest

from meitner_aio import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    Quota,
    RateLimitError,
    ResponseValidationError,
)
from meitner_aio._protocol import Headers, Request
from meitner_aio._transport import _translated
from meitner_aio.cli._checks import Seen, verdicts
from meitner_aio.sandbox import Fault, Sandbox

NOW = 1_790_000_000.5
URL = "https://api.example/directory/v1"
DATED = Headers({"Date": formatdate(1_790_000_000, usegmt=True)})
FULL = Quota(5000, 4900, datetime.fromtimestamp(NOW, UTC))
WELL = {"url": URL, "headers": DATED, "answered_at": NOW, "page_limit": 1000, "seconds": [0.1], "quota": FULL}
SECRET = "canary-secret"


def _verdicts(**changes):
    return {check.name: check for check in verdicts(Seen(**WELL | changes))}


def test_a_directory_that_is_well_passes_every_check():
    """Each by name, in the order in which a person would look."""
    found = _verdicts()
    assert list(found) == ["server", "TLS", "accepted", "clock", "quota", "page", "latency"]
    assert {check.state for check in found.values()} == {"ok"}
    assert not any(check.hint for check in found.values())


@pytest.mark.parametrize(
    ("changes", "name", "state", "words"),
    [
        ({"url": "http://127.0.0.1/v1"}, "TLS", "ok", "nothing leaves this machine"),
        ({"url": "the sandbox in this process"}, "TLS", "ok", "no network"),
        ({"answered_at": NOW + 5}, "clock", "ok", "agrees"),
        ({"answered_at": NOW - 5}, "clock", "ok", "agrees"),
        ({"answered_at": NOW + 6}, "clock", "warn", "6 seconds ahead of"),
        ({"answered_at": NOW - 3600}, "clock", "warn", "3,600 seconds behind"),
        ({"headers": {}}, "clock", "warn", "no Date"),
        ({"quota": None}, "quota", "warn", "tell of none"),
        ({"quota": Quota(5000, 499, FULL.reset_at)}, "quota", "warn", "499 of 5,000 requests left"),
        ({"quota": Quota(5000, 500, FULL.reset_at)}, "quota", "ok", "500 of 5,000 requests left"),
        ({"page_limit": 100}, "page", "ok", "100 rows at most"),
        ({"page_limit": 1000}, "page", "ok", "1,000 rows or more"),
        ({"page_limit": 5000}, "page", "ok", "1,000 rows or more"),
        ({"seconds": [9.0, 0.2, 0.1, 0.3]}, "latency", "ok", "250.0 ms in the median of 4 small answers"),
        ({"seconds": [3.0]}, "latency", "warn", "3,000.0 ms in the median of 1 small answer"),
    ],
)
def test_each_check_says_what_it_found(changes, name, state, words):
    """And a warning, what to do."""
    check = _verdicts(**changes)[name]
    assert (check.state, words in check.found) == (state, True), check


@pytest.mark.parametrize(
    ("error", "names", "failed"),
    [
        (AuthenticationError("no", status_code=401), ["server", "TLS", "accepted", "clock", "quota"], "accepted"),
        (PermissionDeniedError("no", status_code=403), ["server", "TLS", "accepted", "clock", "quota"], "accepted"),
        (RateLimitError("no", status_code=429), ["server", "TLS", "accepted", "clock", "quota"], "quota"),
        (InternalServerError("no", status_code=503), ["server", "TLS", "accepted", "clock", "quota"], "server"),
        (NotFoundError("no", status_code=404), ["server", "TLS", "accepted", "clock", "quota"], "server"),
    ],
)
def test_a_refusal_fails_where_it_belongs(error, names, failed):
    """One check fails, with a hint; what the answer still tells is told."""
    found = {check.name: check for check in verdicts(Seen(url=URL, error=error, headers=DATED, answered_at=NOW))}
    assert list(found) == names
    assert [name for name, check in found.items() if check.state == "fail"] == [failed]
    assert found[failed].hint


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (APIConnectionError("no connection to the server (ClientConnectorError)"), ["server"]),
        (APITimeoutError("no answer in time"), ["server"]),
        (ResponseValidationError("not a page"), ["server"]),
        (APIConnectionError("the server could not prove who it is (X)"), ["server", "TLS"]),
    ],
)
def test_without_an_answer_only_the_way_is_judged(error, names):
    """Nothing is guessed about the rest."""
    found = verdicts(Seen(url=URL, error=error))
    assert [check.name for check in found] == names
    assert {check.state for check in found} == {"fail"}
    assert all(check.hint for check in found)


def test_a_certificate_that_the_transport_refuses_fails_the_check_of_tls():
    """Whatever sentence the transport finds for it."""
    refused = aiohttp.ClientConnectorCertificateError(None, ssl.CertificateError("who is this?"))
    error = _translated(Request("request", "GET", "/school", "/school"), refused, sent=False)
    assert [check.name for check in verdicts(Seen(url=URL, error=error))] == ["server", "TLS"]


def test_the_sandbox_is_well(cli):
    """No credentials, no network, exit code 0."""
    code, out, err = cli("doctor", "--sandbox")
    assert (code, err) == (0, "")
    states = [line.split()[:2] for line in out.splitlines()[1:]]
    assert [name for name, _ in states] == [
        *("versions", "settings", "credentials", "server", "TLS", "accepted", "clock", "quota", "page", "latency")
    ]
    assert {state for _, state in states} == {"ok"}


def test_no_credentials_is_exit_code_4_and_says_where_to_put_them(cli):
    """The variables, the file, and the sandbox that needs none."""
    code, out, _ = cli("doctor")
    assert code == 4
    assert all(word in out for word in ("MEITNER_CLIENT_CREDENTIALS", "config.toml", "--sandbox"))


def _examined(cli, monkeypatch, url, secret=SECRET):
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "an-id")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", secret)
    code, out, err = cli("doctor", "--json", "--base-url", url)
    assert err == ""
    assert secret not in out
    report = json.loads(out)
    return code, report["healthy"], {check["name"]: (check["state"], check["found"]) for check in report["checks"]}


async def test_a_server_over_http_is_examined_in_five_requests(cli, monkeypatch):
    """None of which reads data about a person."""
    async with Sandbox(students=5, page_cap=200) as sandbox:
        code, healthy, found = await asyncio.to_thread(_examined, cli, monkeypatch, sandbox.url)
        seen = list(sandbox.requests)
    assert (code, healthy) == (0, True)
    assert found["page"] == ("ok", "200 rows at most: a larger --page-size changes nothing")
    assert found["credentials"] == ("ok", "an API key from the environment")
    assert {request.path for request in seen} == {"/school"}
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("options", "code", "failed"),
    [
        ({"credentials": ("an-id", "another-secret")}, 4, "accepted"),
        ({"faults": [Fault(403)]}, 4, "accepted"),
        ({"faults": [Fault(503)]}, 5, "server"),
        ({"faults": [Fault(429)]}, 5, "quota"),
        ({"faults": [Fault(200, body=b"<html>")]}, 1, "server"),
        ({"faults": [Fault(200, body=b"\\xff")]}, 1, "server"),
    ],
)
async def test_what_is_wrong_decides_the_exit_code(cli, monkeypatch, options, code, failed):
    """One request is enough to know; nothing is tried twice."""
    async with Sandbox(students=5, **options) as sandbox:
        ended, healthy, found = await asyncio.to_thread(_examined, cli, monkeypatch, sandbox.url)
        assert len(sandbox.requests) == 1
    assert (ended, healthy) == (code, False)
    assert [name for name, (state, _) in found.items() if state == "fail"] == [failed]


async def test_a_server_that_is_not_there(cli, monkeypatch):
    """Exit code 5, and the address that was tried."""
    async with Sandbox(students=1) as sandbox:
        url = sandbox.url
    code, _, found = await asyncio.to_thread(_examined, cli, monkeypatch, url)
    assert code == 5
    assert found["server"][0] == "fail"
    assert url in found["server"][1]


def test_a_broken_file_of_settings_is_found(cli, tmp_path):
    """Exit code 2, and the checks that could still be made."""
    path = tmp_path / "home" / "meitner-aio" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[broken")
    code, out, _ = cli("doctor", "--json")
    states = {check["name"]: check["state"] for check in json.loads(out)["checks"]}
    assert (code, states) == (2, {"versions": "ok", "settings": "fail"})


def test_hints_stand_below_the_table(cli):
    """Each with the name of its check."""
    lines = cli("doctor")[1].splitlines()
    assert lines[-1].startswith("credentials: set MEITNER_CLIENT_CREDENTIALS")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('client_id = "an-id"', "OAuth2 from the profile"),
        ('client_credentials = "an-id"', "an API key from the profile"),
    ],
)
async def test_credentials_of_a_profile_are_told_by_kind_and_never_shown(cli, tmp_path, settings, words):
    """And which profile of which file they are from."""
    path = tmp_path / "home" / "meitner-aio" / "config.toml"
    path.parent.mkdir(parents=True)
    async with Sandbox(students=1, credentials=("an-id", SECRET)) as sandbox:
        path.write_text(f'[school]\n{settings}\nclient_secret = "{SECRET}"\nbase_url = "{sandbox.url}"\n')
        path.chmod(0o600)
        code, out, err = await asyncio.to_thread(cli, "doctor", "--profile", "school", "--json")
    found = {check["name"]: check["found"] for check in json.loads(out)["checks"]}
    assert (code, err, SECRET in out) == (0, "", False)
    assert found["credentials"] == words
    assert found["settings"] == f"profile school of {path}"
