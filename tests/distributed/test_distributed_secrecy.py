"""What a cluster is told: nothing secret, nothing personal. Whoever may use a scheduler may read all of it."""

from __future__ import annotations

import asyncio
import base64
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from canaries import CANARIES, CREDENTIALS, PERSON, sung
from dask_clusters import everything, local, towns, wiretapped

from meitner_aio import APIConnectionError, MeitnerError, RateLimitError, ResponseValidationError, errors
from meitner_aio.distributed import FromEnvironment, export_many
from meitner_aio.distributed._harmless import harmless_error
from meitner_aio.errors import ConnectionReason
from meitner_aio.sandbox import Fault

ROW = "5f0c6f0e-8d1e-4a4b-9d3e-2f1a6b7c8d9e"
BODY = f'{{"error": {{"code": "x", "message": "{PERSON["first_name"]} {PERSON["identity_number"]} {ROW}"}}}}'.encode()
WRONG = f'{{"data": [{{"id": "{ROW}", "firstName": 7, "lastName": "{PERSON["last_name"]}"}}], "pagination": {{"offset": 0, "limit": 50, "total": 1}}}}'.encode()


async def test_a_cluster_holds_no_secret_and_nobody(tmp_path, monkeypatch):
    """Neither while tasks run nor afterwards; what is sent is looked at, too. The same look finds what is there."""
    found: list[str] = []
    names = ("solna", "lund", "kiruna", "malmö")
    async with towns(monkeypatch, *names[:3], students=8, latency=0.01) as directories:
        monkeypatch.setenv("LUND_CLIENT_CREDENTIALS", CREDENTIALS[0])
        monkeypatch.setenv("LUND_CLIENT_SECRET", CREDENTIALS[1])
        directories["lund"].fail(Fault(400, body=BODY))
        directories["kiruna"].fail(Fault(200, body=WRONG))
        student = directories["solna"].records("students")[0]
        secrets = [*CANARIES, ROW, student.id, student.identity_number, directories["solna"].credentials[1]]
        with wiretapped() as heard:
            async with local(protocol="tcp") as (cluster, client):
                sources = {name: FromEnvironment(name.upper().replace("Ö", "O")) for name in names}
                running = asyncio.create_task(export_many(sources, ["students"], to=tmp_path, client=client, retries=0))
                while not running.done():
                    found.append(await everything(cluster, client))
                report = await running
                found.append(await everything(cluster, client))
                seen = "\n".join([*found, *map(repr, heard)])
                assert sung(seen, secrets) == []
                assert "meitner-export-lund" in seen
                assert "SOLNA" in seen
                leaking = client.submit(len, CREDENTIALS[1], key="naive")
                await leaking
                assert sung(await everything(cluster, client), secrets) == [CREDENTIALS[1]]
        assert sung("\n".join(map(repr, heard)), secrets) == [CREDENTIALS[1]]
    assert {name: type(one.error).__name__ for name, one in report.tenants.items()} == {
        "solna": "NoneType",
        "lund": "BadRequestError",
        "kiruna": "ResponseValidationError",
        "malmö": "ConfigurationError",
    }
    assert sung(repr(report) + repr([vars(one.error) for one in report.tenants.values() if one.error]), secrets) == []


async def test_rows_that_were_left_out_are_counted_and_not_named(tmp_path, monkeypatch):
    """The manifest, which stays where the rows are, has their ids."""
    monkeypatch.setenv("SOLNA_CLIENT_CREDENTIALS", "an-id")
    async with towns(monkeypatch, "solna", students=3) as directories, local(1) as (_, client):
        directories["solna"].fail(Fault(200, body=WRONG))
        how: dict[str, Any] = {"to": tmp_path, "client": client, "on_invalid": "skip"}
        report = await export_many({"solna": FromEnvironment("SOLNA")}, ["students"], **how)
    (left,) = report["solna"].report.resources[0].invalid
    assert left.id == "***"
    assert ROW in (tmp_path / "solna" / "manifest.json").read_text()
    assert ROW not in (tmp_path / "solna" / "attempt.json").read_text()


def _everywhere(kind: type[MeitnerError]) -> MeitnerError:
    """Return an error that has something personal wherever an error can have it."""
    error = kind(f"{PERSON['first_name']} {PERSON['identity_number']} {ROW}", request_id="r-1", route="/student")
    for name in list(vars(error)):
        if name in ("headers", "deletions", "rows"):
            setattr(error, name, {"x": PERSON["last_name"]})
        elif name in ("body", "data", "code", "row"):
            setattr(error, name, BODY)
    error.add_note(PERSON["last_name"])
    error.__cause__ = KeyError(PERSON["last_name"])
    return error


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MeitnerError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_errors_travel_without_what_servers_said(kind):
    """The same kind, request and route; masked, and nothing else of any of it."""
    error = _everywhere(kind)
    if kind is ResponseValidationError:
        error.row = ROW  # type: ignore[attr-defined]
    sent = pickle.dumps(harmless_error(error))
    hidden = [PERSON["identity_number"], PERSON["last_name"], ROW]
    assert sung(repr(sent), hidden) == []
    arrived = pickle.loads(sent)
    assert type(arrived) is kind
    assert (arrived.request_id, arrived.route) == ("r-1", "/student")
    assert vars(arrived).keys() >= vars(kind()).keys()


def test_facts_that_say_nothing_of_anybody_travel():
    """What programs decide by: status, reason, instants."""
    reset = datetime(2026, 11, 29, tzinfo=UTC)
    limited = harmless_error(RateLimitError("slow", status_code=429, reset_at=reset, retry_after=4.0))
    assert (limited.status_code, limited.reset_at, limited.retry_after) == (429, reset, 4.0)
    lost = harmless_error(APIConnectionError("no", reason=ConnectionReason.DNS, sent=False))
    assert (lost.reason, lost.sent) == (ConnectionReason.DNS, False)
    assert repr(harmless_error(FileNotFoundError(2, "quoted", PERSON["last_name"]))) == repr(
        FileNotFoundError(2, "No such file or directory")
    )
    foreign = harmless_error(KeyError(PERSON["last_name"]))
    assert str(foreign) == "the worker failed with KeyError"
    assert base64.b64encode(PERSON["last_name"].encode()) not in pickle.dumps(foreign)
