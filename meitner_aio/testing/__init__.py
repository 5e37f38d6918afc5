"""A pytest plugin for those who use the client: a directory, a client of it, faults by name and a clock of their own.

```python
@pytest.mark.meitner(students=20, faults=["503"])
async def test_the_roll_says_that_the_directory_is_down(meitner): ...
```

The fixtures are plain functions, so that they serve tests of every kind: asynchronous ones in either mode of
pytest-asyncio, anyio's on asyncio, and tests without a loop. pytest finds the plugin of an installed package by itself;
`-p no:meitner_aio.testing` leaves it out. Until a fixture is used, neither the sandbox nor aiohttp is imported.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ..client import Meitner
from ._clock import VirtualClock

if TYPE_CHECKING:
    from ._served import ServedSandbox

__all__ = ["VirtualClock", "meitner", "meitner_clock", "meitner_environment", "meitner_sandbox"]

_MARKER = """\
meitner(students=200, schools=4, seed=1, limiter="none", faults=(), client={}, ...): \
the directory of the fixtures meitner_sandbox and meitner takes the keywords of Sandbox, \
the client those of Meitner.with_options in `client`. There is no limit until a quota or a limiter is named.\
"""

_LIMITS = {"quota", "window", "burst", "reset", "headers"}
"""Keywords of Sandbox that make no sense without a limit."""

_PATIENCE = 0.1
"""Seconds beyond the latency of the sandbox that the client of a test waits, unless it is on a virtual clock."""

_SANDBOX = pytest.StashKey["ServedSandbox"]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of the requests that the sandbox of a failed test saw."""
    report = yield
    sandbox = item.stash.get(_SANDBOX, None)
    if sandbox is not None and report.failed and call.when == "call":
        from ._story import story

        report.sections.append(("meitner sandbox", story(sandbox)))
    return report


@pytest.fixture
def meitner_clock() -> VirtualClock:
    """Give a clock of which the test disposes: `with meitner_clock:` puts the running event loop on it.

    The sandbox of the same test is on this clock too: its quota, tokens and stamps move with it.
    """
    return VirtualClock()


@pytest.fixture
def meitner_sandbox(request: pytest.FixtureRequest) -> Iterator[ServedSandbox]:
    """Give a directory with fresh data, the same every time: `records`, `requests`, `requested`, `fail`, `heal`, `url`.

    It has no quota unless the test asks for one: with `quota=`, or `limiter=` for another kind than the usual bucket.
    Serving begins when `url` is first asked for, on loopback and in a thread of its own.
    """
    from ._served import ServedSandbox

    choices = _choices(request)
    choices.pop("client", None)
    if not choices.keys() & _LIMITS:
        choices.setdefault("limiter", "none")
    if "meitner_clock" in request.fixturenames:
        clock: VirtualClock = request.getfixturevalue("meitner_clock")
        choices.setdefault("clock", clock.time)
    sandbox = ServedSandbox(**choices)
    request.node.stash[_SANDBOX] = sandbox
    try:
        yield sandbox
    finally:
        sandbox.stop()


@pytest.fixture
def meitner(request: pytest.FixtureRequest, meitner_sandbox: ServedSandbox) -> Meitner:
    """Give a client of `meitner_sandbox` in the process, without a socket.

    So that tests do not wait, it tries again at once, and an answer is late after a tenth of a second. With
    `meitner_clock` in the test, it is as patient as any client. `client` in the marker says otherwise.
    """
    from .._pipeline.retry_policy import RetryPolicy

    choices = _choices(request)
    options: dict[str, Any] = dict(choices.get("client", {}))
    if "meitner_clock" not in request.fixturenames:
        options.setdefault("timeout", choices.get("latency", 0.0) + _PATIENCE)
        if "retry" not in options:
            often = {"max_retries": options.pop("max_retries")} if "max_retries" in options else {}
            options["retry"] = RetryPolicy(initial=0.0, **often)
    client = Meitner.sandbox(meitner_sandbox, max_concurrency=options.get("max_concurrency", 8))
    return client.with_options(**options) if options else client


@pytest.fixture
def meitner_environment(meitner_sandbox: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the environment point to `meitner_sandbox`, so that `Meitner()` is a client of it; give the base URL."""
    for name in ("CLIENT_ID", "CLIENT_SECRET_FILE", "TOKEN_URL"):
        monkeypatch.delenv(f"MEITNER_{name}", raising=False)
    client, secret = meitner_sandbox.credentials
    variables = {"BASE_URL": meitner_sandbox.url, "CLIENT_CREDENTIALS": client, "CLIENT_SECRET": secret}
    for name, value in variables.items():
        monkeypatch.setenv(f"MEITNER_{name}", value)
    return meitner_sandbox.url


def _choices(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the keywords of the markers of a test: its own beat those of its class, and those the module's."""
    choices: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("meitner"))):
        if marker.args:
            raise pytest.UsageError("the marker meitner takes keywords only: @pytest.mark.meitner(students=20)")
        choices |= marker.kwargs
    return choices
