"""What `doctor` finds: each check as a table, whole runs of sandboxes that are well and unwell, and probes."""

import asyncio
import json
import ssl
import time
import zlib
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from itertools import count

import aiohttp
import openapi
import pytest
from api_table import parse
from msgspec.structs import replace
from odd_server import Bucket, Clock, OddServer, Window
from raw_server import failure

from meitner_aio import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConnectionReason,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    Quota,
    QuotaExhausted,
    QuotaWait,
    RateLimitError,
    ResponseValidationError,
    __version__,
)
from meitner_aio._pipeline.inflation import Inflation
from meitner_aio._pipeline.transport import _translated
from meitner_aio._wire.messages import Headers, Request
from meitner_aio.cli.commands import doctor as _doctor
from meitner_aio.cli.commands.checks import Observations, diagnose
from meitner_aio.probe import Asker, Heard
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Fault, Sandbox

NOW = 1_790_000_000.5
URL = "https://api.example/directory/v1"
DATED = Headers({"Date": formatdate(1_790_000_000, usegmt=True)})
FULL = Quota(5000, 4900, datetime.fromtimestamp(NOW, UTC))
RIGHTS = dict.fromkeys(RESOURCES)
"""No error for any resource: all may be read."""
WELL = {
    "url": URL,
    "headers": DATED,
    "answered_at": NOW,
    "rights": RIGHTS,
    "page_limit": 1000,
    "seconds": [0.1],
    "quota": FULL,
}
SECRET = "canary-secret"
REFUSED, DOWN = PermissionDeniedError("no", status_code=403), InternalServerError("no", status_code=503)
EXPIRED = AuthenticationError("expired", status_code=401)
SILENT, GARBLED, SPENT = APITimeoutError("no answer"), ResponseValidationError("what?"), QuotaExhausted("spent")


def _diagnosed(**changes):
    return {check.name: check for check in diagnose(Observations(**WELL | changes))}


def test_a_directory_that_is_well_passes_every_check():
    """Each by name, in the order in which a person would look."""
    found = _diagnosed()
    assert list(found) == ["server", "TLS", "login", "readable", "clock", "quota", "page size", "latency"]
    assert {check.state for check in found.values()} == {"ok"}
    assert not any(check.hint for check in found.values())


@pytest.mark.parametrize(
    ("changes", "name", "state", "words"),
    [
        ({"url": "http://127.0.0.1/v1"}, "TLS", "ok", "the server is on this machine"),
        ({"url": "the sandbox in this process"}, "TLS", "ok", "not used"),
        ({"answered_at": NOW + 5}, "clock", "ok", "agrees"),
        ({"answered_at": NOW - 5}, "clock", "ok", "agrees"),
        ({"answered_at": NOW + 6}, "clock", "warn", "6 seconds ahead of"),
        ({"answered_at": NOW - 3600}, "clock", "warn", "3,600 seconds behind"),
        ({"headers": {}}, "clock", "warn", "no date"),
        ({"quota": None}, "quota", "warn", "do not tell"),
        ({"quota": Quota(5000, 499, FULL.reset_at)}, "quota", "warn", "499 of 5,000 requests left"),
        ({"quota": Quota(5000, 500, FULL.reset_at)}, "quota", "ok", "500 of 5,000 requests left"),
        ({"page_limit": 100}, "page size", "ok", "100 rows per page at most"),
        ({"page_limit": 1000}, "page size", "ok", "1,000 rows per page, or more"),
        ({"page_limit": 5000}, "page size", "ok", "1,000 rows per page, or more"),
        ({"seconds": [9.0, 0.2, 0.1, 0.3]}, "latency", "ok", "250.0 ms per small answer (median of 4)"),
        ({"quota": replace(FULL, kind="assumed")}, "quota", "warn", "do not tell"),
        ({"quota": replace(FULL, kind="bucket")}, "quota", "ok", "4,900 of 5,000 requests left, all back at "),
        ({"page_limit": 0}, "page size", "ok", "1,000 rows per page are refused"),
        ({"paced": 3}, "waiting", "warn", "3 requests waited for the quota"),
        ({"rights": RIGHTS}, "readable", "ok", "all 11 resources"),
        ({"rights": RIGHTS | {"students": REFUSED}}, "refused", "fail", "students"),
        ({"rights": RIGHTS | {"students": REFUSED}}, "readable", "ok", "schools, units, groups"),
        ({"rights": dict.fromkeys(RESOURCES, REFUSED)}, "refused", "fail", "every resource"),
        ({"rights": RIGHTS | {"units": DOWN, "groups": SILENT}}, "failing", "fail", "units (503), groups (no answer)"),
        ({"rights": RIGHTS | {"units": GARBLED}}, "failing", "fail", "units (not a list of records)"),
        ({"rights": RIGHTS | {"units": SPENT}}, "failing", "fail", "units (the quota is spent)"),
        ({"rights": RIGHTS | {"units": SPENT}}, "quota", "fail", "4,900 of 5,000 requests left"),
        ({"rights": {"schools": None, "units": EXPIRED}}, "login", "fail", "refused: expired"),
        ({"rights": {"schools": None, "units": EXPIRED}}, "not checked", "warn", "groups, employees"),
        ({"seconds": [3.0]}, "latency", "warn", "3,000.0 ms per small answer (median of 1)"),
    ],
)
def test_each_check_says_what_it_found(changes, name, state, words):
    """And a warning, what to do."""
    check = _diagnosed(**changes)[name]
    assert (check.state, words in check.found) == (state, True), check


@pytest.mark.parametrize(
    ("error", "names", "failed"),
    [
        (AuthenticationError("no", status_code=401), ["server", "TLS", "login", "clock", "quota"], "login"),
        (RateLimitError("no", status_code=429), ["server", "TLS", "login", "clock", "quota"], "quota"),
        (InternalServerError("no", status_code=503), ["server", "TLS", "login", "clock", "quota"], "server"),
        (NotFoundError("no", status_code=404), ["server", "TLS", "login", "clock", "quota"], "server"),
    ],
)
def test_a_refusal_fails_where_it_belongs(error, names, failed):
    """One check fails, with a hint; the checks that the answer still allows are made."""
    found = {
        check.name: check for check in diagnose(Observations(url=URL, error=error, headers=DATED, answered_at=NOW))
    }
    assert list(found) == names
    assert [name for name, check in found.items() if check.state == "fail"] == [failed]
    assert found[failed].hint


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (APIConnectionError("no connection to the server (ClientConnectorError)"), ["server"]),
        (APITimeoutError("no answer in time"), ["server"]),
        (ResponseValidationError("not a page"), ["server"]),
        (APIConnectionError("whoever it is", reason=ConnectionReason.UNTRUSTED), ["server", "TLS"]),
    ],
)
def test_without_an_answer_only_the_way_is_judged(error, names):
    """Nothing is guessed about the rest."""
    found = diagnose(Observations(url=URL, error=error))
    assert [check.name for check in found] == names
    assert {check.state for check in found} == {"fail"}
    assert all(check.hint for check in found)


def test_a_certificate_that_the_transport_refuses_fails_the_check_of_tls():
    """Whatever sentence the transport finds for it."""
    refused = aiohttp.ClientConnectorCertificateError(None, ssl.CertificateError("who is this?"))
    error = _translated(Request("request", "GET", "/school", "/school"), "the.server", refused, sent=False)
    assert [check.name for check in diagnose(Observations(url=URL, error=error))] == ["server", "TLS"]


def test_the_sandbox_is_well(cli):
    """No credentials, no network, exit code 0."""
    code, out, err = cli("doctor", "--sandbox")
    assert (code, err) == (0, "")
    states = [line.split("  ", 1) for line in out.splitlines()[1:] if not line.startswith(" ")]
    assert [name for name, _ in states] == [
        *("versions", "settings", "credentials", "server", "TLS", "login", "readable", "clock", "quota", "page size"),
        "latency",
    ]
    assert {state.split()[0] for _, state in states} == {"ok"}


@pytest.mark.parametrize("missing", [True, False])
def test_the_versions_name_isal_where_it_is_in_use(monkeypatch, missing):
    """Without it zlib decompresses, whose version is Python's."""
    library = "zlib" if missing else "isal"
    monkeypatch.setattr(_doctor, "fastest", lambda: Inflation(library, zlib.decompressobj, zlib.error))
    monkeypatch.setattr(_doctor, "version", lambda name: f"of {name}")
    assert _doctor._versions().found.endswith("msgspec of msgspec" + ("" if missing else ", isal of isal"))


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


async def test_a_server_over_http_is_examined_in_twelve_requests(cli, monkeypatch):
    """One small list of each resource, and one page; rights are listed by resource, too."""
    async with Sandbox(students=5, page_cap=200) as sandbox:
        code, healthy, found = await asyncio.to_thread(_examined, cli, monkeypatch, sandbox.url)
        seen = list(sandbox.requests)
    assert (code, healthy) == (0, True)
    assert found["page size"] == ("ok", "200 rows per page at most: the client asks for as many")
    assert found["credentials"] == ("ok", "an API key from the environment")
    assert sorted(request.operation for request in seen) == sorted(
        [*(f"{name}.list" for name in RESOURCES), "schools.list"]
    )
    assert sorted(request.query["limit"] for request in seen) == ["1"] * 11 + ["1000"]


@pytest.mark.parametrize(
    ("options", "code", "failed"),
    [
        ({"credentials": ("an-id", "another-secret")}, 4, "login"),
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


def test_what_to_do_stands_below_what_was_found(cli):
    """In the row of its check, and on eighty columns."""
    lines = cli("doctor")[1].splitlines()
    place = lines.index("credentials  fail    not found")
    assert lines[place + 1].split()[:6] == ["To", "do:", "meitner-aio", "login", "asks", "for"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("faults", "code", "states"),
    [
        ([Fault(403)], 4, dict.fromkeys(RESOURCES, "refused")),
        ([Fault(403, operations=["schools.list"])], 4, {"schools": "refused"}),
        (
            [Fault(403, operations=["students.list", "guardians.list"])],
            4,
            {"students": "refused", "guardians": "refused"},
        ),
        ([Fault(503, operations=["groups.list"])], 5, {"groups": "failing"}),
        ([Fault(404, operations=["groups.list"])], 1, {"groups": "failing"}),
        (
            [Fault(503, operations=["groups.list"]), Fault(403, operations=["units.list"])],
            4,
            {"groups": "failing", "units": "refused"},
        ),
    ],
)
async def test_rights_are_checked_on_every_resource(cli, monkeypatch, faults, code, states):
    """One small request each; what is refused will be refused again, so that its exit code comes first."""
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "an-id")
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", SECRET)
    async with Sandbox(students=5, faults=faults) as sandbox:
        ended, out, _ = await asyncio.to_thread(cli, "doctor", "--json", "--base-url", sandbox.url)
        small = [request for request in sandbox.requests if request.query == {"limit": "1"}]
    report = json.loads(out)
    assert (ended, report["healthy"]) == (code, False)
    assert report["rights"] == dict.fromkeys(RESOURCES, "allowed") | states
    assert len(small) == len(RESOURCES)


async def test_a_page_that_is_too_large_is_no_illness(cli, monkeypatch):
    """A server may refuse a thousand rows; a doctor asks for one of each all the same."""
    async with OddServer(refuse_over=999) as server:
        code, healthy, found = await asyncio.to_thread(_examined, cli, monkeypatch, server.url)
    assert (code, healthy) == (0, True)
    assert found["page size"] == ("ok", "1,000 rows per page are refused: the client asks for fewer")


async def test_a_quota_that_paces_differs_from_a_slow_server(cli, monkeypatch):
    """Latency is that of the answers that waited for nothing."""
    heard = Heard()
    monkeypatch.setattr(_doctor, "Heard", lambda: heard)

    class Paced(OddServer):
        def respond(self, seen):
            if len(self.seen) > 4:
                heard.record(QuotaWait(*[None for _ in QuotaWait.__struct_fields__]))
            return super().respond(seen)

    async with Paced() as server:
        code, healthy, found = await asyncio.to_thread(_examined, cli, monkeypatch, server.url)
    assert (code, healthy) == (0, True)
    assert found["waiting"] == ("warn", "8 requests waited for the quota")
    assert found["latency"][1].endswith("per small answer (median of 3)")


async def test_the_clock_is_compared_when_the_answer_came(cli, monkeypatch):
    """Not after the answers that a quota kept waiting for a minute."""
    clock, ticks = Clock(time.time()), count()

    class Slow(OddServer):
        def respond(self, seen):
            self.clock.now += 60.0 * (next(ticks) == 1)
            monkeypatch.setattr(time, "time", clock)
            return super().respond(seen)

    monkeypatch.setattr(_doctor, "Asker", partial(Asker, clock=clock))
    async with Slow(clock=clock) as server:
        _, _, found = await asyncio.to_thread(_examined, cli, monkeypatch, server.url)
    assert found["clock"] == ("ok", "agrees with the clock of the server")


# Probes.


@pytest.fixture
def probed(cli, monkeypatch):
    """Return what runs `doctor --probe` against a server, its clock being the doctor's; secrets are never shown."""

    def run(server, *options):
        monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "an-id")
        monkeypatch.setenv("MEITNER_CLIENT_SECRET", SECRET)
        monkeypatch.setattr(_doctor, "sleep", server.clock.sleep)
        monkeypatch.setattr(_doctor, "Asker", partial(Asker, clock=server.clock))
        code, out, err = cli("doctor", "--probe", "--base-url", server.url, *options)
        assert SECRET not in out + err
        return code, out, err

    return run


async def test_a_probe_says_how_the_server_behaves_and_what_stays_undetermined(probed):
    """Below the checks, one line each, on eighty columns."""
    document = openapi.document(parse())
    document["components"]["schemas"]["Student"]["properties"]["nickname"] = {"type": "string"}
    document["components"]["schemas"]["SchoolType"]["enum"].append("XYZ")
    async with OddServer(document=document, limiter=Bucket(1500, "full"), clock=Clock()) as server:
        code, out, err = await asyncio.to_thread(probed, server)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "limiter              a bucket of 1,500: RateLimit-Reset moves with every answer" in lines
    assert "order, titled        groups: by title, then created_at; an update moves no row;" in lines
    assert "audit events      ?  there are none: nothing tells how long they are kept" in lines
    assert any(line.startswith("openapi.json         2 differences from what meitner-aio") for line in lines)
    assert "students: new field `nickname` (string)" in lines
    assert "enum SchoolType: new value `XYZ`" in lines
    assert lines[-1] == f"{len(server.seen)} requests sent, all of them reads"
    assert len(server.seen) <= 40


async def test_a_probe_as_json_has_all_of_it(probed):
    """Words for programs beside those for people; a value of null is undetermined."""
    async with OddServer(document=openapi.document(parse()), limiter=Window(5000), clock=Clock()) as server:
        code, out, err = await asyncio.to_thread(probed, server, "--json")
    report = json.loads(out)
    findings = {one["question"]: one for one in report["probe"]["findings"]}
    assert (code, err, report["healthy"]) == (0, "", True)
    assert findings["limiter"]["value"] == "window"
    assert findings["audit events"]["value"] is None
    assert report["probe"]["drift"] == {"compared": True, "reason": "", "differences": []}
    assert report["probe"]["requests"] == len(server.seen)


async def test_a_probe_of_a_document_that_agrees(probed):
    """One line says so."""
    async with OddServer(document=openapi.document(parse()), clock=Clock()) as server:
        _, out, _ = await asyncio.to_thread(probed, server)
    assert f"openapi.json         agrees with what meitner-aio {__version__} expects" in out.splitlines()


async def test_a_probe_without_a_document(probed):
    """One line says that, too."""
    async with OddServer(clock=Clock()) as server:
        _, out, _ = await asyncio.to_thread(probed, server)
    assert "openapi.json      ?  the server gives no openapi.json" in out.splitlines()


async def test_differences_are_no_illness_however_many(probed):
    """Exit code 0; a hundred are shown, and JSON has all."""
    document = openapi.document(parse())
    document["components"]["schemas"]["Student"]["properties"] |= {f"f{number:03d}": {} for number in range(150)}
    async with OddServer(document=document, clock=Clock()) as server:
        code, out, _ = await asyncio.to_thread(probed, server)
    assert code == 0
    assert "and 50 differences more; --json shows all" in out.splitlines()


async def test_what_a_document_says_cannot_command_a_terminal(probed):
    """Names are the server's words: no escape sequence gets through."""
    document = openapi.document(parse())
    document["components"]["schemas"]["Student"]["properties"]["a\x1b[2Jb\u202e"] = {"type": "x\x07"}
    async with OddServer(document=document, clock=Clock()) as server:
        _, out, _ = await asyncio.to_thread(probed, server)
    assert "students: new field `a?[2Jb?` (x?)" in out.splitlines()
    assert all(character.isprintable() or character == "\n" for character in out)


async def test_a_server_that_refuses_is_not_probed(probed):
    """The one request says why."""
    async with OddServer(forbidden=(), clock=Clock()) as server:
        server.respond = lambda _: failure(401, "Unauthorized")
        code, out, _ = await asyncio.to_thread(probed, server)
    assert (code, len(server.seen)) == (4, 1)
    assert "question" not in out


def test_the_sandbox_can_be_probed(cli, monkeypatch):
    """To see what it looks like."""

    async def at_once(_):
        pass

    monkeypatch.setattr(_doctor, "sleep", at_once)
    code, out, err = cli("doctor", "--probe", "--sandbox")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "zones in filters" in out


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('client_id = "an-id"', "OAuth2 from the profile"),
        ('client_credentials = "an-id"', "an API key from the profile"),
    ],
)
async def test_credentials_of_a_profile_are_named_by_kind_and_never_shown(cli, tmp_path, settings, words):
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
    assert found["settings"] == f"profile school in {path}"
