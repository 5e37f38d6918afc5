"""The folder of an export: what another user may have planted in it receives no row, is not believed, and not waited for."""

import hashlib
import json
import os
import shutil
import stat
import sys
import threading
import zlib
from contextlib import contextmanager

import pytest
from numbered_directory import NumberedDirectory

from meitner_aio import ConfigurationError, Meitner
from meitner_aio.export import export
from meitner_aio.export._journal import is_kept

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither owners nor permissions like these"),
    pytest.mark.usefixtures("company"),
]

SOMEBODY = 4711
as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can make files of another user's: run as root"
)


@pytest.fixture
def directory():
    """Return a directory of ninety-five students."""
    return NumberedDirectory({"students": 95})


@pytest.fixture
def folder(tmp_path):
    """Return a folder of one's own."""
    (tmp_path / "out").mkdir(mode=0o700)
    return tmp_path / "out"


def _plant(path, data=b"", mode=0o666):
    """Leave a file that is another user's."""
    path.write_bytes(data)
    path.chmod(mode)
    os.chown(path, SOMEBODY, SOMEBODY)


def _give_away(*paths):
    for path in paths:
        os.chown(path, SOMEBODY, SOMEBODY)


def _mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


async def _refused(directory, folder, match, **how):
    """Export, which is refused before anything is asked for."""
    asked = len(directory.requests)
    with pytest.raises(ConfigurationError, match=match):
        await export(directory, ["students"], to=folder, **how)
    assert len(directory.requests) == asked


async def _interrupted(directory, folder):
    """Leave rows of an export that ended early, and the notes about them."""

    def failing(_, offset):
        if offset == 60:
            raise OSError(5, "the network went away")

    directory.before = failing
    with pytest.raises(OSError, match="went away"):
        await export(directory, ["students"], to=folder, concurrency=1)
    directory.before = lambda *_: None
    assert {path.name for path in folder.iterdir()} == {"students.part", "students.journal", "exports.log"}


# The database.


@pytest.mark.parametrize("mode", [0o666, 0o620])
async def test_a_database_that_others_may_write_receives_no_row(directory, folder, mode):
    """An empty one is nobody's, and whoever made it so may read what comes."""
    database = folder / "directory.sqlite"
    database.touch()
    database.chmod(mode)
    await _refused(directory, folder, "others may write to .*directory.sqlite", format="sqlite")
    assert (database.stat().st_size, _mode(database)) == (0, mode)


@as_root
@pytest.mark.parametrize("beside", ["", "-journal", "-wal", "-shm"])
async def test_a_database_of_another_user_receives_no_row(directory, folder, beside):
    """Nor is what SQLite would believe beside a database of one's own."""
    if beside:
        await export(directory, ["students"], to=folder, format="sqlite")
    _plant(folder / f"directory.sqlite{beside}", mode=0o600)
    await _refused(directory, folder, f"directory.sqlite{beside} belongs to another user", format="sqlite")


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("beside", ["", "-journal", "-wal"])
async def test_no_database_is_written_to_behind_a_link(directory, folder, beside, there):
    """Whether or not it leads to anything."""
    elsewhere = folder.parent / "elsewhere"
    if there:
        elsewhere.touch(mode=0o600)
    (folder / f"directory.sqlite{beside}").symlink_to(elsewhere)
    await _refused(directory, folder, "is a link", format="sqlite")
    assert elsewhere.exists() == there
    assert not there or elsewhere.read_bytes() == b""


async def test_a_file_of_ones_own_that_all_may_read_is_closed(directory, folder):
    """The database of before, and the rows of an export that goes on: no longer than until the next export."""
    await export(directory, ["students"], to=folder, format="sqlite")
    (folder / "directory.sqlite").chmod(0o644)
    await export(directory, ["students"], to=folder, format="sqlite")
    assert _mode(folder / "directory.sqlite") == 0o600
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    await _interrupted(directory, folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    modes = set()
    directory.before = lambda *_: modes.update(map(_mode, folder.iterdir()))
    await export(directory, ["students"], to=folder, resume=True)
    assert modes == {0o600}
    assert {_mode(path) for path in folder.iterdir()} == {0o600}


# The rows and the notes of an export that goes on.


@as_root
async def test_rows_and_notes_of_another_user_are_not_gone_on_with(directory, folder):
    """Each of the two alone is enough to refuse."""
    await _interrupted(directory, folder)
    part, journal = folder / "students.part", folder / "students.journal"
    for planted in (journal, part):
        _give_away(planted)
        await _refused(directory, folder, f"{planted.name} belongs to another user", resume=True)
        os.chown(planted, os.geteuid(), -1)
    assert (await export(directory, ["students"], to=folder, resume=True)).complete


@as_root
async def test_a_forged_line_is_never_published(directory, folder):
    """Notes that say all was read and proven, and the rows that they are about: all of another's making."""
    forger = folder.parent / "forger"
    forger.mkdir(mode=0o700)
    await _interrupted(directory, forger)
    rows = b'{"id":"00000000-0000-4000-8000-000000000000","forged":true}\n'
    head, *_ = (forger / "students.journal").read_bytes().splitlines()
    facts = {"type": "read", "facts": _facts(rows)}
    _plant(folder / "students.part", rows)
    _plant(folder / "students.journal", head + b"\n" + json.dumps(facts).encode() + b"\n")
    await _refused(directory, folder, "belongs to another user", resume=True)
    assert not (folder / "students.ndjson").exists()


def _facts(rows):
    summary = {"rows": 1, "total": 1, "requests": 1, "complete": True, "level": "certified", "seconds": 0.0, "gone": []}
    return summary | {"end": len(rows), "crc": zlib.crc32(rows), "sha256": hashlib.sha256(rows).hexdigest()}


@as_root
async def test_a_part_that_was_there_receives_no_row(directory, folder):
    """Who begins afresh writes to a file that was not there: whoever holds the one of before sees nothing."""
    for name in ("students.part", "students.ndjson.part", "manifest.json.part"):
        _plant(folder / name)
    with (folder / "students.part").open("rb") as held:
        await export(directory, ["students"], to=folder)
        assert held.read() == b""
    assert {path.name for path in folder.iterdir()} == {"students.ndjson", "manifest.json", "exports.log"}
    assert {(path.stat().st_uid, _mode(path)) for path in folder.iterdir()} == {(os.geteuid(), 0o600)}


@as_root
@pytest.mark.parametrize("how", [{}, {"resume": True}, {"format": "sqlite"}])
async def test_a_manifest_of_another_user_is_not_believed(directory, folder, how):
    """It says which directory the folder is of, and what a part may replace."""
    await export(directory, ["students"], to=folder)
    _give_away(folder / "manifest.json")
    await _refused(directory, folder, "manifest.json belongs to another user", **how)


# A pipe in the place of a file.


@contextmanager
def _not_waited_for(pipe):
    """Fail when the block waits for the other end of a pipe: after three seconds somebody comes, and it is over."""
    came = threading.Event()

    def come():
        came.set()
        while not over.wait(0.05):
            os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    over, timer = threading.Event(), threading.Timer(3.0, come)
    timer.start()
    try:
        yield
    finally:
        over.set()
        timer.cancel()
        timer.join()
    assert not came.is_set()


REFUSED = [
    ("manifest.json", {}),
    ("students.journal", {}),
    ("students.journal", {"resume": True}),
    ("directory.sqlite", {"format": "sqlite"}),
    ("directory.sqlite-journal", {"format": "sqlite"}),
    ("directory.sqlite-wal", {"format": "sqlite"}),
]
REPLACED = [
    ("students.part", {}),
    ("students.part", {"resume": True}),
    ("students.ndjson", {}),
    ("students.ndjson.part", {}),
    ("students.journal.part", {}),
    ("manifest.json.part", {}),
    ("students.csv", {"format": "csv"}),
    ("students.csv.part", {"format": "csv"}),
    ("students.parquet.part", {"format": "parquet"}),
    ("directory.sqlite.students.part", {"format": "sqlite"}),
]


@pytest.mark.parametrize(("name", "how"), REFUSED + REPLACED)
async def test_a_pipe_is_never_waited_for(directory, folder, name, how):
    """What would be read or gone on with is refused, the rest replaced: at once."""
    os.mkfifo(folder / name, 0o600)
    with _not_waited_for(folder / name):
        if (name, how) in REFUSED:
            await _refused(directory, folder, "not a regular file", **how)
        else:
            assert (await export(directory, ["students"], to=folder, **how)).complete
            assert all(path.is_file() for path in folder.iterdir())


async def test_rows_that_became_a_pipe_are_not_gone_on_with(directory, folder):
    """Although the notes about them are one's own."""
    await _interrupted(directory, folder)
    (folder / "students.part").unlink()
    os.mkfifo(folder / "students.part", 0o600)
    with _not_waited_for(folder / "students.part"):
        await _refused(directory, folder, "not a regular file", resume=True)


# The folder.


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
async def test_a_folder_that_others_may_write_to_is_refused(directory, folder, mode):
    """Before anything is asked for; to go on in it is, too."""
    folder.chmod(mode)
    await _refused(directory, folder, "others may write to .*: run chmod go-w")
    with pytest.raises(ConfigurationError, match="others may write"):
        is_kept(folder, ["students"])
    assert list(folder.iterdir()) == []


async def test_nothing_is_made_where_others_may_write(directory, folder):
    """What is made there could be swapped; a folder for everybody (sticky) keeps each what is his."""
    folder.chmod(0o777)
    await _refused(directory, folder / "a" / "b", "others may write")
    assert list(folder.iterdir()) == []
    folder.chmod(0o1777)
    assert (await export(directory, ["students"], to=folder / "a" / "b")).complete


@as_root
async def test_a_folder_of_another_user_is_refused(directory, folder):
    """However closed it is: its owner opens it when he likes."""
    _give_away(folder)
    await _refused(directory, folder, "belongs to another user")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277])
async def test_every_folder_that_is_made_is_for_the_owner_alone(directory, tmp_path, mask):
    """The ones above it, too, whatever the umask."""
    before = os.umask(mask)
    try:
        await export(directory, ["students"], to=tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [_mode(path) for path in made] == [0o700, 0o700, 0o700]
    assert {_mode(path) for path in made[-1].iterdir()} == {0o600}


# What is read of it later.


def _opened_up(folder):
    folder.chmod(0o777)


def _linked(folder):
    (folder / "manifest.json").rename(folder / "elsewhere")
    (folder / "manifest.json").symlink_to(folder / "elsewhere")


def _piped(folder):
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json", 0o600)


@pytest.mark.parametrize("spoil", [_opened_up, _linked, _piped])
async def test_a_snapshot_that_others_may_have_made_is_refused(folder, spoil):
    """It would stand in for the directory."""
    async with Meitner.sandbox(students=3, schools=1) as meitner:
        await export(meitner, ["students"], to=folder)
    spoil(folder)
    with (
        _not_waited_for(folder / "manifest.json"),
        pytest.raises(ConfigurationError, match=r"others may|not a regular"),
    ):
        Meitner(offline=folder)


@pytest.mark.parametrize("pipe", [False, True])
async def test_rows_of_a_snapshot_that_others_may_have_made_are_refused(folder, pipe):
    """Although the manifest is one's own, and says what they are."""
    async with Meitner.sandbox(students=3, schools=1) as meitner:
        await export(meitner, ["students"], to=folder)
    rows = folder / "students.ndjson"
    async with Meitner(offline=folder) as offline:
        if pipe:
            rows.unlink()
            os.mkfifo(rows, 0o600)
        else:
            rows.chmod(0o606)
        with _not_waited_for(rows), pytest.raises(ConfigurationError, match=r"others may write|not a regular file"):
            await offline.students.list().count()
