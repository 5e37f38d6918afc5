"""What is added to the report of a failed test: the requests that its sandbox received, and what they suggest. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..sandbox import Fault, ReceivedRequest, Sandbox

_LATEST = 20
"""Requests that are shown."""


def story(sandbox: Sandbox) -> str:
    """Return the last requests with their answers, and hints, one a line."""
    return "\n".join([*_requests(sandbox), *(f"hint: {hint}" for hint in hints(sandbox))])


def _requests(sandbox: Sandbox) -> Iterator[str]:
    seen = list(sandbox.requests)
    if len(seen) > _LATEST:
        yield f"({len(seen) - _LATEST} earlier requests)"
    for request in seen[-_LATEST:]:
        query = "&".join(f"{name}={value}" for name, value in request.query.items())
        line = f"{request.method} {request.path}{'?' if query else ''}{query} -> {request.status or 'no answer'}"
        yield f"{line} {request.problem}" if request.problem else line
    for operation, _, fault in sandbox.faults_injected[-_LATEST:]:
        yield f"fault: {_named(fault)} struck {operation or 'an unknown path'}"


def hints(sandbox: Sandbox) -> Iterator[str]:
    """Yield what the requests of a failed test suggest."""
    seen = list(sandbox.requests)
    if not seen:
        yield (
            "no request reached the sandbox; a Meitner() that the code under test builds finds it through the fixture "
            "meitner_environment, others through base_url=meitner_sandbox.url"
        )
    for fault in sandbox.faults_idle:
        yield f"{_named(fault)} never struck: nothing asked for {_wanted(fault)}"
    injected = {(one.path, one.fault.status) for one in sandbox.faults_injected}
    honest = [one for one in seen if (one.path, one.status) not in injected]
    yield from _of_statuses(honest)


def _of_statuses(seen: Sequence[ReceivedRequest]) -> Iterator[str]:
    statuses = {one.status for one in seen}
    if 401 in statuses:
        yield "401 is what requests without good credentials get; the sandbox takes any pair unless it was given one"
    if 404 in statuses and any(one.status == 404 and not one.operation for one in seen):
        yield "a path that the API does not have was asked for; base_url ends in /directory/v1, as meitner_sandbox.url"
    if 429 in statuses:
        yield "the sandbox's quota is spent; @pytest.mark.meitner(quota=...) sets it, and meitner_clock passes hours"


def _named(fault: Fault) -> str:
    status = {None: "a delay", 0: "a cut connection"}.get(fault.status, str(fault.status))
    return f"{status}, after the directory was done," if fault.committed else status


def _wanted(fault: Fault) -> str:
    return " or ".join(sorted(fault.operations)) or "anything"
