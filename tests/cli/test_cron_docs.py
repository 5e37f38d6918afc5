"""The recipe about cron keeps its word: the script of the page, with each exit code that meitner-aio has."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pages import block

import meitner_aio
from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

needed = ("bash", "flock", "timeout")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, needed)), reason="a Linux has bash, flock and timeout")

SCRIPT, CRONTAB = block("recipes.md", "meitner-cron"), block("recipes.md", "crontab")
MEITNER = f'#!/bin/sh\nexec {sys.executable} -m meitner_aio "$@"\n'
CURL = '#!/bin/sh\nprintf "%s\\n" "$@" >> "$HOME/curl.arguments"\ncat >> "$HOME/curl.stdin"\n'
TODAY = "#!/bin/sh\necho 2026-11-29\n"
HOOK = "https://hooks.example.org/secret-canary"


@dataclass
class Job:
    """The script in a folder of its own, with the commands that it calls."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    async def run(self, name: str, *command: str, **more: str) -> tuple[int, str]:
        """Return the exit code, and what cron would mail."""
        place = {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(meitner_aio.__file__).parents[1]),
            "MEITNER_WAITS": "0",
        }
        done = await asyncio.to_thread(
            subprocess.run,
            [str(self.home / "bin" / "meitner-cron"), name, *command],
            env=place | self.environment | more,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    @property
    def state(self) -> Path:
        """Where locks and logs are."""
        return self.home / ".local" / "state" / "meitner-cron"

    def log(self, name: str) -> str:
        """Return the log of a job."""
        return (self.state / f"{name}.log").read_text(encoding="utf-8")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Give the script of the page, with the program, a day, and a `curl` that only notes what it is called with."""
    (tmp_path / "bin").mkdir(mode=0o700)
    for name, text in {"meitner-cron": SCRIPT, "meitner-aio": MEITNER, "curl": CURL, "date": TODAY}.items():
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o700)
    return Job(tmp_path)


@pytest.fixture
async def served(job: Job) -> AsyncIterator[Sandbox]:
    """Give a directory that the job finds."""
    async with Sandbox(students=60, schools=2) as sandbox:
        names = ("MEITNER_CLIENT_CREDENTIALS", "MEITNER_CLIENT_SECRET", "MEITNER_BASE_URL")
        job.environment |= dict(zip(names, (*sandbox.credentials, str(sandbox.url)), strict=True))
        yield sandbox


async def test_a_copy_that_is_made_that_is_away_and_that_is_held(job: Job, served: Sandbox) -> None:
    """Each code that `sync` has of its own. Nobody is in the log or in a mail."""
    command = ("meitner-aio", "sync", "students", "--to", str(job.home / "copy.sqlite"))
    people = [text for row in served.records("students") for text in (row.id, row.identity_number)]
    assert await job.run("sync", *command) == (0, "")
    served.fail("503", headers={"Retry-After": "0"})
    code, away = await job.run("sync", *command, MEITNER_WAITS="")
    assert (code, away.partition(":")[0]) == (5, "warning")
    served.heal()
    async with Meitner(*served.credentials, base_url=str(served.url)) as meitner:
        for student in served.records("students")[:30]:
            await meitner.students.delete(student.id)
    code, held = await job.run("sync", *command)
    assert code == 3
    assert "deletions wait" in held
    log = job.log("sync")
    assert "--accept-deletions 30" in log
    assert [one for one in people if one in log + away + held] == []


async def test_an_export_that_goes_wrong_in_each_way(job: Job, served: Sandbox) -> None:
    """Complete, an answer that is none, a wrong option, credentials that are refused: each is told in its own words."""
    command = ("meitner-aio", "export", "schools", "--to", str(job.home / "out"), "--resume")
    assert await job.run("export", *command) == (0, "")
    assert (job.home / "out" / "schools.ndjson").exists()
    served.fail("garbage")
    code, mail = await job.run("export", *command)
    assert (code, mail.split(":")[0]) == (1, "critical")
    assert "see the end of the log (exit code 1;" in mail
    served.heal()
    code, mail = await job.run("export", *command, "--format", "excel")
    assert (code, "nothing was sent" in mail) == (2, True)
    served.fail("401")
    code, mail = await job.run("export", *command, ALERT_WEBHOOK=HOOK)
    assert (code, "credentials" in mail) == (4, True)
    arguments = (job.home / "curl.arguments").read_text(encoding="utf-8")
    assert '{"text": "critical: export: the credentials' in arguments
    assert "secret-canary" not in arguments
    assert (job.home / "curl.stdin").read_text(encoding="utf-8") == f'url = "{HOOK}"\n'


async def test_what_hangs_is_ended(job: Job) -> None:
    """By SIGTERM, which an export takes for an interrupt; a person learns of it."""
    code, mail = await job.run(
        "job", "bash", "-c", "trap 'echo ended; exit 130' TERM; sleep 60 & wait", MEITNER_LIMIT="3s"
    )
    assert (code, "took longer than 3s" in mail) == (124, True)
    assert "ended" in job.log("job")


async def test_trouble_is_told_once_a_day_and_its_end_once(job: Job) -> None:
    """Code 5 is tried again as often as there are waits; another code is told as well, and so is that it works again."""
    ended, code = job.home / "code", ("bash", "-c", 'echo ran; exit "$(cat "$HOME/code")"')

    async def mails(exits: int) -> str:
        ended.write_text(str(exits), encoding="utf-8")
        found, mail = await job.run("job", *code, MEITNER_WAITS="0 0")
        assert found == exits
        return mail.partition(":")[0]

    told = [await mails(exits) for exits in (0, 5, 5, 4, 4, 130, 4)]
    assert told == ["", "warning", "", "critical", "", "", ""]
    (job.home / "bin" / "date").write_text(TODAY.replace("29", "30"), encoding="utf-8")
    assert [await mails(exits) for exits in (4, 4, 0, 0)] == ["critical", "", "good", ""]
    assert job.log("job").count("ran\n") == 11 + 2 * 2
    assert job.log("job").count("again in 0 s") == 4


async def test_a_try_that_succeeds_is_no_trouble(job: Job) -> None:
    """The first was away, the second was not: nobody is told."""
    first_fails = ("bash", "-c", '[ -e "$HOME/tried" ] || { touch "$HOME/tried"; exit 5; }')
    assert await job.run("job", *first_fails) == (0, "")
    assert "again in 0 s" in job.log("job")


@pytest.mark.parametrize(
    ("command", "code", "severity"),
    [("exit 130", 130, ""), ("kill -KILL $$", 137, "critical"), ("exit 77", 77, "critical"), ("exit 3", 3, "warning")],
)
async def test_other_codes(job: Job, command: str, code: int, severity: str) -> None:
    """An interrupt is nobody's trouble; what is killed, or has a code that nobody knows, is. Only 5 is tried again."""
    ended, mail = await job.run("job", "bash", "-c", f"echo ran; {command}")
    assert (ended, mail.partition(":")[0]) == (code, severity)
    assert job.log("job").count("ran\n") == 1


async def test_a_run_is_left_out_while_another_is_under_way(job: Job) -> None:
    """Without a mail: every quarter of an hour that is usual. The lock is one of the job's name."""
    job.state.mkdir(parents=True)
    with (job.state / "sync.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert await job.run("sync", "touch", str(job.home / "ran")) == (0, "")
        assert not (job.home / "ran").exists()
        assert "left out" in job.log("sync")
        assert await job.run("export", "touch", str(job.home / "ran")) == (0, "")
    assert (job.home / "ran").exists()
    assert await job.run("sync", "rm", str(job.home / "ran")) == (0, "")


async def test_logs_are_the_owners_alone(job: Job) -> None:
    """They name resources, counts and, where rows were left out, ids."""
    assert await job.run("job", "bash", "-c", "exit 1") != (0, "")
    files = [job.state, *job.state.iterdir()]
    assert {path.name for path in files[1:]} == {"job.log", "job.lock", "job.told"}
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_the_crontab_is_one() -> None:
    """Variables first, then lines of five times and a command, all of it by the script; no secret among them."""
    lines = [line for line in CRONTAB.splitlines() if line]
    variables, jobs = [line for line in lines if line[0].isalpha()], [line for line in lines if not line[0].isalpha()]
    assert [line.partition("=")[0] for line in variables] == ["MAILTO", "PATH", "MEITNER_PROFILE"]
    assert len(jobs) == 2
    for line in jobs:
        *times, command = line.split(maxsplit=5)
        assert all(set(part) <= set("0123456789*/-,") for part in times)
        assert "meitner-cron " in command
        assert "%" not in command  # cron takes it for the end of a line
