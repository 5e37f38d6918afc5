"""What a load leaves behind on the machine that ran it, and whose credentials it takes."""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warehouses
from canaries import CREDENTIALS, PERSON, sung
from dlt.pipeline.exceptions import PipelineStepFailed
from warehouses import Warehouse, altered

from meitner_aio import ConfigurationError, Meitner
from meitner_aio._pipeline.authentication import BearerAuth
from meitner_aio._pseudonyms import Pseudonyms
from meitner_aio.dlt import _client, directory
from meitner_aio.portal import Portal
from meitner_aio.sandbox import Sandbox

alone, duckdb, sandbox, portal = warehouses.alone, warehouses.duckdb, warehouses.sandbox, warehouses.portal
NAMES = ["students", "grade_elementaries"]


@pytest.fixture
def canary(sandbox: Sandbox, portal: Portal) -> Portal:
    """Give a directory with a student who must not be seen."""
    portal.run(portal.meitner.students.create(**PERSON))
    return portal


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every file below a folder, as it is and unpacked."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        yield str(path.relative_to(folder)), data.decode("latin-1")
        if data[:2] == b"\x1f\x8b":
            yield f"{path.relative_to(folder)} (unpacked)", gzip.decompress(data).decode("latin-1")
        if data[:4] == b"PAR1":
            import pyarrow.parquet

            yield f"{path.relative_to(folder)} (read)", repr(pyarrow.parquet.read_table(path).to_pylist())


def leaks(folder: Path) -> list[str]:
    """Return the files in which a canary sings."""
    return [name for name, text in texts(folder) if sung(text)]


def test_what_a_load_keeps_on_the_machine(duckdb: Warehouse, canary: Portal, monkeypatch: Any) -> None:
    """Rows are in the packages of what was loaded, and nowhere else: not in the state, the trace or a schema."""
    duckdb.load(directory(canary, NAMES))
    assert leaks(duckdb.folder)
    assert all("/loaded/" in name for name in leaks(duckdb.folder))
    assert duckdb.pipeline.last_trace is not None


def test_nothing_is_kept_of_rows_when_told_so(duckdb: Warehouse, canary: Portal, monkeypatch: Any) -> None:
    """With dlt's two options no row stays behind, on the machine or in the staging tables."""
    monkeypatch.setenv("LOAD__DELETE_COMPLETED_JOBS", "true")
    monkeypatch.setenv("LOAD__TRUNCATE_STAGING_DATASET", "true")
    for _ in range(2):
        duckdb.load(directory(canary, NAMES))
        assert leaks(duckdb.folder) == []
        assert duckdb.ask("SELECT count(*) FROM directory_staging.students") == [(0,)]
    assert duckdb.records("students")


def test_a_record_that_does_not_fit_is_not_quoted(duckdb: Warehouse, sandbox: Sandbox) -> None:
    """Neither in the error nor in what dlt keeps of the failed load."""

    def odd(_: str, body: dict[str, Any]) -> None:
        for row in body.get("data", ()):
            row |= {"firstName": PERSON["first_name"], "dateOfBirth": "0000-canary", "meta": {"createdAt": "canary"}}

    with Portal(Meitner.sandbox(altered(sandbox, odd))) as faulty, pytest.raises(PipelineStepFailed) as failed:
        duckdb.load(directory(faulty, ["students"]))
    assert "canary" not in str(failed.value)
    assert [name for name, text in texts(duckdb.folder) if "0000-canary" in text or sung(text)] == []


# -- pseudonyms


def test_rows_under_pseudonyms(duckdb: Warehouse, canary: Portal, sandbox: Sandbox, tmp_path: Path) -> None:
    """As in an export: no name reaches dlt; changes and deletions find their rows; another key is another table."""
    keys = [tmp_path / name for name in ("key", "other")]
    for number, key in enumerate(keys):
        key.write_bytes(bytes(range(number, number + 64)))
        key.chmod(0o600)
    guardians = sandbox.records("guardians")
    names = Pseudonyms.of_file(keys[0])

    def ids(pseudonyms: Pseudonyms) -> set[str]:
        return {pseudonyms.id(record.id) for record in sandbox.records("guardians")}

    duckdb.load(directory(canary, ["students", "guardians"], pseudonymise=keys[0]))
    assert leaks(duckdb.folder) == []
    assert "first_name" not in duckdb.rows("guardians")[0]
    assert {row["id"] for row in duckdb.rows("guardians")} == ids(names)
    canary.run(canary.meitner.guardians.delete(guardians[0].id))
    duckdb.load(directory(canary, ["students", "guardians"], pseudonymise=keys[0]))
    assert {row["id"] for row in duckdb.rows("guardians")} == ids(names)
    duckdb.load(directory(canary, ["guardians"], pseudonymise=keys[1]))
    assert {row["id"] for row in duckdb.rows("guardians")} == ids(Pseudonyms.of_file(keys[1]))


# -- credentials


def test_credentials_of_the_environment(monkeypatch: Any) -> None:
    """Where dlt's configuration says nothing, a client is what `Meitner()` is."""
    with pytest.raises(ConfigurationError, match="no credentials"):
        _client.configured()
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", CREDENTIALS[0])
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", CREDENTIALS[1])
    monkeypatch.setenv("SOURCES__MEITNER__BASE_URL", "https://directory.example/v1")
    assert repr(_client.configured()) == "<Meitner https://directory.example/v1>"


def test_credentials_of_dlt(monkeypatch: Any) -> None:
    """An API key, or OAuth2; the server is told beside them, or the API's own."""
    monkeypatch.setenv("SOURCES__MEITNER__CLIENT_SECRET", CREDENTIALS[1])
    with pytest.raises(ConfigurationError, match=r"needs client_secret, and beside it"):
        _client.configured()
    monkeypatch.setenv("SOURCES__MEITNER__CLIENT_CREDENTIALS", CREDENTIALS[0])
    key = _client.configured()
    assert [secret.reveal() for secret in key._core.auth.secrets()] == list(CREDENTIALS)
    assert repr(key) == "<Meitner https://api.meitner.se/directory/v1>"
    monkeypatch.delenv("SOURCES__MEITNER__CLIENT_CREDENTIALS")
    monkeypatch.setenv("SOURCES__MEITNER__CLIENT_ID", CREDENTIALS[0])
    monkeypatch.setenv("SOURCES__MEITNER__BASE_URL", "https://directory.example/v1")
    assert isinstance(_client.configured()._core.auth, BearerAuth)
    monkeypatch.setenv("MEITNER_BASE_URL", "https://elsewhere.example")
    assert "directory.example" in repr(_client.configured())
    monkeypatch.delenv("SOURCES__MEITNER__BASE_URL")
    with pytest.raises(ConfigurationError, match="MEITNER_BASE_URL"):
        _client.configured()


async def test_a_load_over_http_with_credentials_of_dlt(duckdb: Warehouse, monkeypatch: Any) -> None:
    """No credential is in anything that dlt keeps, and the client is closed with the last resource."""
    server = Sandbox(students=20, schools=2, credentials=CREDENTIALS)
    async with server:
        monkeypatch.setenv("SOURCES__MEITNER__CLIENT_CREDENTIALS", CREDENTIALS[0])
        monkeypatch.setenv("SOURCES__MEITNER__CLIENT_SECRET", CREDENTIALS[1])
        monkeypatch.setenv("SOURCES__MEITNER__BASE_URL", str(server.url))
        made: list[Meitner] = []
        configured = _client.configured

        def noted() -> Meitner:
            made.append(configured())
            return made[-1]

        monkeypatch.setattr(_client, "configured", noted)
        await asyncio.to_thread(duckdb.load, directory(resources=["students", "schools"]))
        await asyncio.to_thread(duckdb.load, directory(resources=["students", "schools"]))
    assert [repr(client).endswith("(closed)>") for client in made] == [True, True]
    duckdb.check(server, ["students", "schools"])
    assert [name for name, text in texts(duckdb.folder) if sung(text, CREDENTIALS)] == []


def test_a_client_of_the_configuration_is_closed_after_a_failure(
    duckdb: Warehouse, sandbox: Sandbox, monkeypatch: Any
) -> None:
    """Whichever resource fails first."""
    made = Meitner.sandbox(sandbox)
    monkeypatch.setattr(_client, "configured", lambda: made)
    sandbox.fail("403", operations=["schools.list"])
    with pytest.raises(PipelineStepFailed):
        duckdb.load(directory(resources=["students", "schools"]))
    assert repr(made).endswith("(closed)>")


def test_without_dlt(monkeypatch: Any) -> None:
    """The package says what to install; its other parts do without."""
    monkeypatch.setitem(sys.modules, "dlt", None)
    with pytest.raises(ConfigurationError, match=r"meitner-aio\[dlt\]"):
        directory()
