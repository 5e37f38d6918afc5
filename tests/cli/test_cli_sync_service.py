"""The service that `sync --every` is: what it outlives and what ends it, on virtual time, with a mirror that does as told."""

from __future__ import annotations

import asyncio
import errno
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from virtual_time import run as run_virtually

from meitner_aio import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    Meitner,
    TooManyDeletions,
)
from meitner_aio.cli import _told
from meitner_aio.cli._job import Job
from meitner_aio.cli._told import Told
from meitner_aio.cli.commands import sync as _sync
from meitner_aio.mirror import Count, SyncReport

AT = datetime(2026, 11, 29, 5, 15, 3, tzinfo=UTC)
MANY = TooManyDeletions("many", deletions={"students": 137, "groups": 1}, rows={"students": 412, "groups": 20})


class _Scripted:
    """A mirror whose runs come out as told, each after a second; then the service is stopped."""

    last_success = AT

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)
        self.times: list[int] = []
        self.stop: Callable[[], object] = lambda: None

    async def sync(self, meitner: Meitner, *_: object, **__: object) -> SyncReport:
        loop = asyncio.get_running_loop()
        self.times.append(round(loop.time()))
        await meitner.schools.list().count()
        await asyncio.sleep(1)
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.stop()
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, SyncReport)
        return outcome

    verify = sync


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Return what serves a scripted mirror on virtual time, every 15 minutes to the second, and its exit code."""

    async def at_once(call: Callable[..., Any], *given: Any) -> Any:
        return call(*given)

    monkeypatch.setattr(_told, "threaded", at_once)
    monkeypatch.setattr(_sync, "_CHANCE", type("Even", (), {"uniform": lambda *_: 0.0})())

    def serve(mirror: _Scripted, *, json: bool = False, metrics: Path | None = None, verify: bool = False) -> int:
        async def main() -> int:
            async with Meitner.sandbox(students=1) as meitner:
                file, compared = tmp_path / "directory.sqlite", {} if verify else None
                job = Job(meitner, mirror, file, resources=None, options={}, compared=compared)  # type: ignore[arg-type]
                told = Told(file, metrics, ["sync", "--to", str(file)], json=json, job=job)
                return await _sync._served(job, told, 900.0)

        class Known(_sync.Stop):
            def __init__(self, *given: Any) -> None:
                super().__init__(*given)
                mirror.stop = self.request

        monkeypatch.setattr(_sync, "Stop", Known)
        return run_virtually(main())

    return serve


FINE = SyncReport({"students": Count(inserted=1)}, 1, complete=True)


def test_a_service_outlives_what_fails(
    served: Callable[..., int], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One line a run; the next is at its time, whatever became of the one before; stopped, it ends with 0."""
    mirror = _Scripted(
        FINE,
        APIConnectionError("no connection"),
        AuthenticationError("no", status_code=401),
        MANY,
        OSError(errno.ENOSPC, "No space left on device", "/x/directory.sqlite"),
        FINE,
    )
    code = served(mirror)
    out, err = capfd.readouterr()
    lines = [line.partition("  ")[2] for line in out.splitlines()]
    assert code == 0
    assert mirror.times == [0, 900, 1800, 2700, 3600, 4500]
    assert [line.split()[0] for line in lines] == ["1", "failed", "failed", "held", "failed", "1"]
    assert all(" in 1 request, " in line for line in lines)
    assert "no room for /x/directory.sqlite" in lines[4]
    assert lines[3].endswith(f"meitner-aio sync --to {tmp_path}/directory.sqlite --accept-deletions 138")
    assert err.count("\n") == 1  # the last run was under way


def test_a_service_ends_for_a_file_that_no_run_can_use(served: Callable[..., int]) -> None:
    """It does not get better by trying again: somebody has to change it."""
    mirror = _Scripted(FINE, ConfigurationError("others may write to /x: run chmod go-w /x"), FINE)
    with pytest.raises(_sync.UsageError, match="others may write"):
        served(mirror)
    assert mirror.times == [0, 900]


def test_a_service_for_programs_writes_a_json_line_a_run(
    served: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """Failures too, with their type: no program has to read English."""
    served(_Scripted(FINE, APIConnectionError("no connection"), MANY), json=True)
    fine, failed, held = map(json.loads, capfd.readouterr().out.splitlines())
    assert (fine["complete"], fine["inserted"], "error" in fine) == (True, 1, False)
    assert (failed["complete"], failed["error"]["type"], "held" in failed) == (False, "APIConnectionError", False)
    assert held["held"]["deletions"] == {"students": 137, "groups": 1}


def test_a_service_counts_on_in_its_metrics(served: Callable[..., int], tmp_path: Path) -> None:
    """From run to run."""
    metrics = tmp_path / "meitner.prom"
    served(_Scripted(FINE, APIConnectionError("no connection"), FINE), metrics=metrics)
    lines = [line.replace(f'mirror="{tmp_path}/directory.sqlite"', "") for line in metrics.read_text().splitlines()]
    assert 'meitner_sync_rows_total{,resource="students",kind="inserted"} 2' in lines
    assert "meitner_sync_failures_total{} 1" in lines


def test_a_stop_comes_between_following_and_comparing(served: Callable[..., int]) -> None:
    """Each is a transaction of its own: what was followed is kept, and the comparison can wait."""
    mirror = _Scripted(FINE, FINE, FINE)
    assert served(mirror, verify=True) == 0
    assert mirror.times == [0, 1, 900]


def test_a_service_whose_lines_nobody_reads_goes_on(
    served: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is restarted must not end the copy."""

    class Broken(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    silenced: list[object] = []
    monkeypatch.setattr("sys.stdout", Broken())
    monkeypatch.setattr(_told, "discard_output", lambda: silenced.append(None))
    mirror = _Scripted(FINE, FINE)
    assert served(mirror) == 0
    assert len(mirror.times) == len(silenced) == 2
