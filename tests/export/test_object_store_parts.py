"""Parts of exports into object stores that need none: addresses, old runs, profiles, what a missing library says."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from numbered_directory import NumberedDirectory

from meitner_aio import ConfigurationError, DestinationError, DestinationReason
from meitner_aio.export import export
from meitner_aio.export.destinations import _runs
from meitner_aio.export.destinations._address import Address, address_of, spool_of
from meitner_aio.export.destinations._aws_profile import profile_keys
from meitner_aio.export.destinations._object_store import Object
from meitner_aio.export.destinations._refusals import Kind, meaning

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://bucket", Address("s3", "bucket", "")),
        ("s3://bucket/", Address("s3", "bucket", "")),
        ("gs://my.bucket_1/a/b=c/", Address("gs", "my.bucket_1", "a/b=c")),
        ("az://box/kommun", Address("az", "box", "kommun")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    """A scheme, a bucket and a prefix; a slash at its end changes nothing."""
    assert address_of(text) == address
    assert str(address) == text.rstrip("/")


@pytest.mark.parametrize("to", ["out/", "C:/out", "./s3://bucket", Path("out"), sys.stdout.buffer])
def test_folders_and_streams_are_no_addresses(to: Any) -> None:
    """They go where they went before."""
    assert address_of(to) is None


def test_the_usual_spool_follows_the_state_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_STATE_HOME where it is absolute, as its specification says; a folder that is named beats it."""
    address = Address("s3", "bucket", "x")
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, base in ((str(tmp_path / "state"), tmp_path / "state"), ("relative", tmp_path / ".local" / "state")):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert spool_of(address, None) == base / "meitner-aio" / "exports" / address.folder
    assert spool_of(address, "named") == Path("named") / address.folder
    assert address.folder != Address("s3", "bucket", "y").folder


def _run(name: str, hours: float, *, whole: bool = True) -> tuple[str, list[Object]]:
    at = NOON + timedelta(hours=hours)
    files = [Object(f"{name}/students.ndjson", at - timedelta(minutes=1))]
    return name, [*files, Object(f"{name}/manifest.json", at)] if whole else files


OURS = _run("run=d", 0)


@pytest.mark.parametrize(
    ("others", "keep", "gone"),
    [
        ([_run("run=a", -3), _run("run=b", -2), _run("run=c", -1)], 2, ["run=a", "run=b"]),
        ([_run("run=a", -3), _run("run=b", -2)], 1, ["run=a", "run=b"]),
        ([_run("run=a", -3)], 5, []),
        ([_run("run=a", -1), _run("run=z", -2)], 2, ["run=z"]),  # their ids say when they were begun
        ([_run("run=a", -1, whole=False), _run("run=b", -40, whole=False)], 1, []),  # on their way, perhaps
        ([_run("run=a", -49, whole=False)], 5, ["run=a"]),  # nobody can go on with it
        ([_run("run=a", 0), _run("run=b", 1)], 1, []),  # about to be published, perhaps
        ([("run=a", [])], 1, []),
    ],
)
def test_which_runs_are_outdated(others: list[Any], keep: int, gone: list[str]) -> None:
    """Whole ones beyond those to keep, by when they were whole; none that others may be about to publish."""
    assert _runs.outdated(dict([*others, OURS]), "run=d", keep) == gone


def test_nothing_is_outdated_beside_a_run_that_is_not_there() -> None:
    """A listing that lags behind decides nothing."""
    assert _runs.outdated(dict([_run("run=a", -3)]), "run=d", 1) == []


def test_runs_have_names_of_their_own() -> None:
    """In the order in which they began, and no two alike."""
    names = {_runs.new_run() for _ in range(100)}
    assert len(names) == 100
    assert all(_runs.is_run(_runs.folder_of(name)) for name in names)
    assert not _runs.is_run("run=mine")


# Profiles.


@pytest.fixture
def aws(tmp_path: Path) -> dict[str, str]:
    """Return an environment that names files of the AWS command line."""
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = a%b\n"
        "[kommun]\naws_access_key_id=AKIAKOMMUN\naws_secret_access_key=c\naws_session_token=d\n[other]\nx=\n"
    )
    (tmp_path / "config").write_text("[profile kommun]\nregion = eu-north-1\n[profile signs-in]\nsso_session = x\n")
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }


def test_the_keys_of_a_profile(aws: dict[str, str]) -> None:
    """The one named, else the default; the environment's own keys beat both, and its region that of the profile."""
    default = {"access_key_id": "AKIADEFAULT", "secret_access_key": "a%b"}
    kommun = {"access_key_id": "AKIAKOMMUN", "secret_access_key": "c", "session_token": "d"}
    assert profile_keys(aws) == default
    assert profile_keys({**aws, "AWS_PROFILE": "kommun"}) == {**kommun, "region": "eu-north-1"}
    assert profile_keys({**aws, "AWS_PROFILE": "kommun", "AWS_REGION": "eu-west-1"}) == kommun
    assert profile_keys({**aws, "AWS_PROFILE": "kommun", "AWS_ACCESS_KEY_ID": "AKIA"}) == {}
    assert profile_keys({**aws, "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}) == {}


@pytest.mark.parametrize("name", ["signs-in", "missing", "other"])
def test_a_profile_without_keys_says_how_to_get_some(aws: dict[str, str], name: str) -> None:
    """One that signs in or takes a role is for the AWS command line, which hands keys on."""
    with pytest.raises(DestinationError, match=f"export-credentials --profile {name} --format env") as failed:
        profile_keys({**aws, "AWS_PROFILE": name})
    assert failed.value.reason is DestinationReason.CREDENTIALS


def test_files_that_are_none(tmp_path: Path) -> None:
    """No file, and one that is something else: no keys, and no error of the parser, which quotes lines."""
    (tmp_path / "bad").write_bytes(b"\xff not an ini file: secret")
    for name in ("bad", "missing"):
        path = str(tmp_path / name)
        assert profile_keys({"AWS_SHARED_CREDENTIALS_FILE": path, "AWS_CONFIG_FILE": path}) == {}


# What is said.


async def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named, and nothing asked for."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "meitner_aio.export.destinations._object_store", raising=False)
    directory = NumberedDirectory()
    with pytest.raises(ConfigurationError, match=r"pip install \"meitner-aio\[object\]\""):
        await export(directory, ["students"], to="s3://bucket/x")  # type: ignore[arg-type]
    assert directory.requests == []


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (Kind.FAILED, "503 <Code>SlowDown</Code>", DestinationReason.UNAVAILABLE),
        (Kind.FAILED, '{"error": {"code": 503}}', DestinationReason.UNAVAILABLE),
        (Kind.FAILED, "connection reset", DestinationReason.UNAVAILABLE),
        (Kind.FAILED, "<Code>NoSuchBucket</Code>", DestinationReason.NO_BUCKET),
        (Kind.FAILED, "PUT http://169.254.169.254/latest/api/token", DestinationReason.CREDENTIALS),
        (Kind.FAILED, "<Code>MalformedXML</Code>", DestinationReason.REFUSED),
        (Kind.MISSING, "<Code>ContainerNotFound</Code>", DestinationReason.NO_BUCKET),
        (Kind.MISSING, "", DestinationReason.UNAVAILABLE),
        (Kind.FORBIDDEN, "<Code>AccessDenied</Code>", DestinationReason.FORBIDDEN),
        (Kind.FORBIDDEN, "<Code>ExpiredToken</Code>", DestinationReason.CREDENTIALS),
        (Kind.UNAUTHENTICATED, "", DestinationReason.CREDENTIALS),
        (Kind.CONFLICT, "", DestinationReason.OVERTAKEN),
        (Kind.OTHER, "key=secret", DestinationReason.REFUSED),
    ],
)
@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_what_a_refusal_means(scheme: str, kind: Kind, text: str, reason: DestinationReason) -> None:
    """By the kind of the library's error and the store's code; the rest of its text is never repeated."""
    address = Address(scheme, "bucket", "x")
    error = meaning(address, kind, text, "write")
    assert (error.reason, str(address) in str(error), "secret" in str(error)) == (reason, True, False)
