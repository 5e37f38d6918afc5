"""Exports that are killed and resumed, each in a process of its own: run as a program, it prints a JSON line for each.

The processes are forked from one that has loaded everything and made the directory, so that a trial takes as long as
its export. No thread and no event loop runs in the process that forks.
"""

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from meitner_aio import Meitner
from meitner_aio._runtime import durable
from meitner_aio.export import _spool, export
from meitner_aio.sandbox.http.app import App

RESOURCES = ("schools", "students", "student_placements")
CONCURRENCY = 2
PAGES = 5
REFETCHED_AT_MOST = PAGES + 2 * CONCURRENCY
"""Pages of a resource: those since the checkpoint, those in flight, and those that nobody had taken yet."""

MEITNER = Meitner.sandbox(students=80, schools=2, seed=3)


def _log_to(path):
    """Let every page that is asked for be written down, in a file that outlives this process."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    send = App.send

    async def logged(app, request):
        os.write(log, f"{request.path} {request.query}\n".encode())
        await asyncio.sleep(0.0005)
        return await send(app, request)

    App.send = logged


async def _export(folder, kind, resume):
    how = {"page_size": 3, "concurrency": CONCURRENCY, "format": kind, "resume": resume}
    report = await export(MEITNER, RESOURCES, to=folder, **how)
    assert report.complete, report


def _forked(folder, log, kind, *, resume=False, killed_at=None):
    """Start an export in another process; with `killed_at`, it is killed before its so-manieth step on the disk."""
    child = os.fork()
    if child:
        return child
    try:
        _log_to(log)
        if killed_at is not None:
            _kill_at(killed_at)
        asyncio.run(_export(folder, kind, resume))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _kill_at(step):
    steps = iter(range(step + 1))

    def counting(call):
        def counted(*given, **named):
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **named)

        return counted

    for name in ("fsync", "replace", "unlink", "link", "open"):
        setattr(os, name, counting(getattr(os, name)))
    durable.RawFile.write = counting(durable.RawFile.write)


def _waited(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _asked(log):
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def _data(folder, kind):
    return {name: (folder / f"{name}.{kind}").read_bytes() for name in RESOURCES}


def _trial(root, kind, expected, *, delay=None, step=None):
    """Kill an export after a delay in seconds or before a step, resume it, and return what came of it."""
    folder = root / f"trial-{kind}-{delay}-{step}"
    folder.mkdir()
    logs = folder / "first.log", folder / "second.log"
    child = _forked(folder, logs[0], kind, killed_at=step)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    ended = _waited(child)
    over = _over(folder)
    before = {name: (folder / f"{name}.{kind}").exists() for name in RESOURCES}
    torn = [name for name in RESOURCES if before[name] and (folder / f"{name}.{kind}").read_bytes() != expected[name]]
    resumed = _waited(_forked(folder, logs[1], kind, resume=True))
    manifest = json.loads((folder / "manifest.json").read_bytes())["resources"]
    data = _data(folder, kind)
    digests = {name: hashlib.sha256(data[name]).hexdigest() == manifest[name]["sha256"] for name in RESOURCES}
    return {
        "killed": ended == -signal.SIGKILL,
        "resumed": resumed,
        "torn": torn,
        "equal": data == expected,
        "digests": all(digests.values()),
        "refetched": _refetched(*map(_asked, logs), over),
        "left": sorted(path.name for path in folder.iterdir() if path.suffix in (".part", ".journal")),
        "pages": sum(_asked(logs[0]).values()),
    }


def _over(folder):
    """Return the resources whose export was over when the process ended."""
    try:
        known = json.loads((folder / "manifest.json").read_bytes())["resources"]
    except FileNotFoundError:
        return set()
    return {
        name for name in known if not (folder / f"{name}.journal").exists() and not (folder / f"{name}.part").exists()
    }


def _refetched(first, second, over):
    paths = {"/school": "schools", "/student": "students", "/student-placement": "student_placements"}
    again = Counter()
    for page in first:
        name = paths[page.split()[0]]
        if name not in over:
            again[name] += second[page]
    return max(again.values(), default=0)


def _say(trial):
    sys.stdout.write(json.dumps(trial) + "\n")
    sys.stdout.flush()


def main(root, kind, kills, stride):
    """Run `kills` trials that end at random times, and one that ends before every `stride`th step on the disk."""
    _spool.PAGES = PAGES
    root = Path(root)
    whole = root / f"whole-{kind}"
    whole.mkdir()
    began = time.monotonic()
    assert _waited(_forked(whole, whole / "log", kind)) == 0
    took = time.monotonic() - began
    expected = _data(whole, kind)
    choose = random.Random(1)
    for _ in range(int(kills)):
        _say(_trial(root, kind, expected, delay=choose.uniform(0.01, 1.0) * took))
    step, stride = 0, int(stride)
    while True:
        done = _trial(root, kind, expected, step=step)
        _say(done)
        if not done["killed"]:
            break
        step += stride


if __name__ == "__main__":
    main(*sys.argv[1:])
