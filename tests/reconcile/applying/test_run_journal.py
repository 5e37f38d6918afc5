"""The journal of a run: what it believes, what it refuses, and that nothing is sent before it is on the disk."""

from __future__ import annotations

import asyncio
import errno
import stat

import pytest
from fault_server import run
from plans import Planner, pupils
from poor_mounts import on_windows, without_locks

from meitner_aio import AmbiguousWriteError, ConfigurationError, Meitner, MeitnerError, RetryPolicy
from meitner_aio._pipeline import identity, journals
from meitner_aio._pipeline.identity import reader_of
from meitner_aio.reconcile import Desired
from meitner_aio.reconcile.applying._journal import Intent, Journal, last_row_counts
from meitner_aio.reconcile.applying._report import Result
from meitner_aio.reconcile.planning._actions import ActionKind
from meitner_aio.sandbox import Sandbox

MADE = "reconcile-" + "0" * 32


@pytest.fixture(autouse=True)
def _quick_digests(monkeypatch):
    monkeypatch.setattr(identity, "_ROUNDS", 1)


@pytest.fixture
def sandbox():
    """Give a small directory."""
    return Sandbox(students=3, schools=1, seed=4)


@pytest.fixture
async def meitner(sandbox):
    """Give a client of it."""
    async with Meitner.sandbox(sandbox) as client:
        yield client


@pytest.fixture
async def reader(meitner):
    """Give who reads it."""
    return await reader_of(meitner)


@pytest.fixture
def path(tmp_path):
    """Give a place for a journal."""
    return tmp_path / "registry.journal"


async def _proposal(meitner, count=3):
    planner = await Planner.of(meitner, Desired(students=pupils(count)))
    planner.create_all("students")
    return planner.proposal()


def _intended(path, reader, *names):
    journal = Journal.open(path, reader)
    journal.intend([Intent(ActionKind.CREATE, name, MADE) for name in names])
    return journal


def test_what_was_intended_and_not_settled_is_known_to_the_next_run(path, reader):
    """What was settled is known as created."""
    journal = _intended(path, reader, "a", "b", "c")
    journal.settle("a", Result.DONE)
    journal.settle("b", Result.FAILED)
    journal.close()
    journal = Journal.open(path, reader)
    assert journal.unsettled == {"c": Intent(ActionKind.CREATE, "c", MADE)}
    assert set(journal.created) == {"a"}
    journal.close()


def test_a_torn_last_line_is_cut_off_and_written_over(path, reader):
    """At whichever byte it was cut; the lines before stay, and those after are whole."""
    _intended(path, reader, "a").close()
    whole = path.read_bytes()
    _intended(path, reader, "b").close()
    last = path.read_bytes()[len(whole) :]
    for size in range(len(last)):
        path.write_bytes(whole + last[:size])
        _intended(path, reader, "c").close()
        journal = Journal.open(path, reader)
        assert set(journal.unsettled) == {"a", "c"}
        journal.close()


def test_a_torn_first_line_is_no_journal_yet(path, reader):
    """Nothing was sent before it was whole."""
    Journal.open(path, reader).close()
    head = path.read_bytes()
    for size in range(len(head)):
        path.write_bytes(head[:size])
        Journal.open(path, reader).close()
        assert path.read_bytes().count(b"\n") == 1


def test_damage_in_the_midst_is_refused(path, reader):
    """What stood there may be a create that happened."""
    _intended(path, reader, "a", "b").close()
    data = path.read_bytes()
    path.write_bytes(data.replace(b'{"type":"intents"', b'{"type":"int\0nts"') + b'{"type":"rows","counts":{}}\n')
    with pytest.raises(ConfigurationError, match="damaged in line 2"):
        Journal.open(path, reader)


@pytest.mark.parametrize("content", [b"identity_number,first_name\n", b"{}\n", b"\n", b"something without an end"])
def test_another_file_is_refused_and_left_as_it_is(path, reader, content):
    """A journal that is named by mistake as a registry's file would cost the file."""
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="no journal"):
        Journal.open(path, reader)
    assert path.read_bytes() == content


def test_another_version_is_refused(path, reader):
    """Its lines may mean something else."""
    Journal.open(path, reader).close()
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    with pytest.raises(ConfigurationError, match="another version"):
        Journal.open(path, reader)


async def test_another_directorys_journal_is_refused(path, reader, meitner):
    """Its creates are not ours, nor are its counts."""
    _intended(path, reader, "a").close()
    before = path.read_bytes()
    async with Meitner.sandbox(students=4, schools=1) as other:
        proposal = await _proposal(other)
        with pytest.raises(MeitnerError, match=r"another directory.*use another journal"):
            await proposal.apply(path)
        with pytest.raises(MeitnerError, match="use another journal"):
            last_row_counts(path, await reader_of(other))
    assert path.read_bytes() == before


async def test_two_runs_do_not_share_a_journal(path, reader, meitner, sandbox):
    """The second one is refused before it sends anything, and the first one is not disturbed."""
    journal = Journal.open(path, reader)
    proposal = await _proposal(meitner)
    sandbox.requests.clear()
    with pytest.raises(MeitnerError, match="another run uses"):
        await proposal.apply(path)
    assert not sandbox.requests
    journal.finish({})
    journal.close()
    assert (await proposal.apply(path)).ok


@pytest.mark.parametrize("system", ["a share without locks", "windows"])
def test_two_runs_do_not_share_a_journal_elsewhere_either(path, reader, monkeypatch, system):
    """A file beside it is the lock: gone at the end of the run, and there until then, though the journal is replaced."""
    if system == "windows":
        on_windows(monkeypatch)
    else:
        without_locks(monkeypatch)
    journal = _intended(path, reader, "a")
    for _ in range(2):
        with pytest.raises(MeitnerError, match="another run uses"):
            Journal.open(path, reader)
        journal.finish({"students": 1})
    journal.close()
    journal.close()
    assert list(path.parent.iterdir()) == [path]
    assert last_row_counts(path, reader) == {"students": 1}
    Journal.open(path, reader).close()


def test_a_journal_that_is_always_another_is_refused(path, reader, monkeypatch):
    """Rather than opened for ever, where a file system says so of every file."""
    monkeypatch.setattr(journals.os.path, "samestat", lambda *_: False)
    with pytest.raises(MeitnerError, match="another run uses"):
        Journal.open(path, reader)


def test_a_journal_that_was_replaced_meanwhile_is_opened_anew(path, reader, monkeypatch):
    """Whoever waited at the old file would hold one that nobody else looks at."""
    first = _intended(path, reader, "a")
    real = journals.open_private

    def late(*args, **kwargs):
        handle = real(*args, **kwargs)
        monkeypatch.setattr(journals, "open_private", real)
        first.finish({"students": 1})
        first.close()
        return handle

    monkeypatch.setattr(journals, "open_private", late)
    second = Journal.open(path, reader)
    assert second.row_counts == {"students": 1}
    with pytest.raises(MeitnerError, match="another run uses"):
        Journal.open(path, reader)
    second.close()


def test_it_is_its_owners_alone(path, reader):
    """From the first byte on, also after it was replaced."""
    journal = Journal.open(path, reader)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    journal.finish({})
    journal.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_one_that_others_may_write_is_refused(path, reader):
    """They could have us create what they like a second time."""
    Journal.open(path, reader).close()
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="others may write"):
        Journal.open(path, reader)


@pytest.mark.parametrize("call", ["write", "sync"])
async def test_a_full_disk_sends_nothing(path, meitner, sandbox, monkeypatch, call):
    """An intent that is not on the disk is none."""
    proposal = await _proposal(meitner)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    real = Journal.intend

    def intend(journal, intents):
        monkeypatch.setattr(journals.JournalFile, "add" if call == "write" else "sync", full)
        real(journal, intents)

    monkeypatch.setattr(Journal, "intend", intend)
    sandbox.requests.clear()
    with pytest.raises(OSError, match="No space left"):
        await proposal.apply(path)
    assert [one.operation for one in sandbox.requests] == ["students.search"]


async def test_a_disk_that_fills_up_later_stops_the_run(path, meitner, sandbox, monkeypatch):
    """What is under way ends; what was done is found by the next run."""
    proposal = await _proposal(meitner, 20)

    def settle(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "settle", settle)
        with pytest.raises(OSError, match="No space left"):
            await proposal.apply(path, concurrency=2)
    made = len(sandbox.requested("students.create"))
    assert 0 < made < 20
    report = await proposal.apply(path)
    assert (report.results[Result.ALREADY_DONE], report.results[Result.DONE]) == (made, 20 - made)


async def test_a_complete_run_leaves_counts_of_rows_and_nothing_else(path, meitner, reader):
    """What the next run needs."""
    await (await _proposal(meitner)).apply(path)
    assert path.read_bytes().count(b"\n") == 2
    assert last_row_counts(path, reader) == {"students": 3}
    assert last_row_counts(path.with_name("none"), reader) is None


def test_a_create_that_nobody_can_tell_of_stays_in_it(path):
    """The next run finds out whether it happened."""

    async def main():
        sandbox = Sandbox(students=3, schools=1, seed=4, limiter="none")
        begun, send = asyncio.Event(), sandbox.app.send

        async def failing(request):
            if request.operation == "create" and not begun.is_set():
                begun.set()
                sandbox.fail("lost_answer", operations=("students.create",), times=1)
                sandbox.fail("503", operations=("students.search",))
            return await send(request)

        sandbox.app.send = failing
        async with Meitner.sandbox(sandbox) as meitner:
            proposal = await _proposal(meitner)
            client = meitner.with_options(retry=RetryPolicy(max_retries=0, outage=0.0))
            report = await proposal.apply(path, meitner=client)
            assert report.results[Result.FAILED] == 1
            assert isinstance(report.failures[0].error, AmbiguousWriteError)
            sandbox.heal()
            assert path.read_bytes().count(b'{"type":"intents"') == 1
            report = await proposal.apply(path)
            assert report.results[Result.ALREADY_DONE] == 3
            assert path.read_bytes().count(b'{"type":"intents"') == 0

    run(main())
