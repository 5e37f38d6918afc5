"""Faults to inject: which requests fail, how, and whether the directory carried them out before the answer was lost.

A fault happens between the client and the directory, as at a gateway: unless it is `committed`, the directory never
sees the request, which then costs no quota. The same seed and the same requests bring the same faults. The usual ones
have names, see `fault`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from random import Random
from typing import NamedTuple, TypedDict, Unpack

from .._operations.operations import operations
from .._wire.validation import check_whole
from ..resources import LISTED

CUT = 0
"""The status of a fault that cuts the connection."""

NEVER = math.inf
"""The delay of an answer that does not come."""


def operation_names() -> set[str]:
    """Return every name of an operation, with and without its resource."""
    places = {(attribute, name) for attribute, resource in LISTED.items() for name in operations(resource)}
    return {"token", "openapi", *(name for _, name in places), *(".".join(place) for place in places)}


@dataclass(frozen=True)
class Fault:
    """A failure and when it happens.

    `status` 0 cuts the connection; any other status is answered with `headers` and `body`, or with the API's error
    object when there is no body; None leaves the directory's own answer, for a fault that is nothing but a delay.
    `operations` narrows a fault to names such as "create", "students.create", "openapi" or "token"; the token endpoint
    fails only when it is named. `times` is how often the fault may strike at most.
    """

    status: int | None = 503
    _: KW_ONLY
    probability: float = 1.0
    times: int | None = None
    operations: Collection[str] = ()
    committed: bool = False
    """Whether the request is carried out, and only its answer lost."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    delay: float = 0.0
    """Seconds until the answer, or until the connection is cut, after the latency of the sandbox."""

    def __post_init__(self) -> None:
        if not self.delay >= 0:
            raise ValueError("the delay of a fault is seconds, at least 0")
        if self.status is None and not self.delay:
            raise ValueError("a fault without a status needs a delay")
        if self.status is not None and self.status != CUT and not 200 <= self.status <= 599:  # a final answer's
            raise ValueError("the status of a fault is 0 (the connection is cut) or 200 to 599")
        if not 0 <= self.probability <= 1:
            raise ValueError("the probability of a fault lies between 0 and 1")
        if self.times is not None:
            check_whole("times", self.times, 1)
        unknown = {self.operations} if isinstance(self.operations, str) else set(self.operations) - operation_names()
        if unknown:
            raise ValueError(f"operations must be a collection of known names, and has {', '.join(sorted(unknown))}")

    @property
    def carried_out(self) -> bool:
        """Whether the directory does what it is asked, whatever becomes of its answer."""
        return self.committed or self.status is None

    def concerns(self, operation: str) -> bool:
        """Whether the fault can strike an operation such as "students.create"; empty is a path that does not exist."""
        if not self.operations:
            return operation != "token"
        return operation in self.operations or operation.partition(".")[2] in self.operations


class FaultFields(TypedDict, total=False):
    """The keywords of `Fault`, other than its status."""

    probability: float
    times: int | None
    operations: Collection[str]
    committed: bool
    headers: Mapping[str, str]
    body: bytes | None
    delay: float


_NAMED = {
    "reset": Fault(CUT),
    "timeout": Fault(CUT, delay=NEVER),
    "lost_answer": Fault(CUT, committed=True),
    "late_answer": Fault(CUT, committed=True, delay=NEVER),
    "slow": Fault(None, delay=2.0),
    "garbage": Fault(200, body=b'{"data": [{'),
    "bad_gateway": Fault(502, headers={"Content-Type": "text/html"}, body=b"<html>bad gateway</html>"),
}


def fault(name: str, **narrowed: Unpack[FaultFields]) -> Fault:
    """Return a fault by its name, narrowed by the other fields of `Fault`: `fault("503", times=2)`.

    "reset" cuts the connection, "timeout" never answers; "lost_answer" and "late_answer" do the same after the
    directory did what it was asked. "slow" is a good answer after two seconds, "garbage" a success whose JSON breaks
    off, "bad_gateway" a proxy's HTML. A number from 400 to 599, such as "429", is that status with the API's error
    object. Raises `ValueError` for any other name.
    """
    if name in _NAMED:
        return replace(_NAMED[name], **narrowed)
    if len(name) != 3 or not name.isdecimal() or not name.isascii() or not 400 <= int(name) <= 599:
        raise ValueError(f"a fault must be a status from 400 to 599 or one of {', '.join(_NAMED)}, not {name!r}")
    return Fault(int(name), **narrowed)


def fault_names() -> list[str]:
    """Return the names that `fault` takes, of the statuses those that are met most."""
    return ["503", "429", "500", *_NAMED]


def label(one: Fault) -> str:
    """Return the name of a fault; of one that has none its status, or what it does."""
    same = (name for name, named in _NAMED.items() if _effect(named) == _effect(one))
    fallback = "slow" if one.status is None else "reset" if one.status == CUT else str(one.status)
    return next(same, fallback)


def _effect(one: Fault) -> tuple[object, ...]:
    return one.status, one.committed, one.delay, one.body, dict(one.headers)


def as_fault(wanted: Fault | str, **narrowed: Unpack[FaultFields]) -> Fault:
    """Return a fault that may have been given by its name."""
    return fault(wanted, **narrowed) if isinstance(wanted, str) else replace(wanted, **narrowed)


class Injected(NamedTuple):
    """A fault that struck."""

    operation: str
    """Such as "students.create"; empty for a path that does not exist."""
    path: str
    fault: Fault


class Faults:
    """Decides which requests fail, and keeps a log of it."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._random = Random(seed)
        self._armed: list[_Armed] = []
        self.injected: list[Injected] = []
        for one in faults:
            self.add(one)

    def add(self, one: Fault) -> None:
        """Let a fault strike from now on, behind those that were there before."""
        self._armed.append(_Armed(one, one.times))

    def clear(self) -> None:
        """Let no fault strike any more; the log stays."""
        self._armed.clear()

    @property
    def armed(self) -> list[tuple[Fault, int | None]]:
        """The faults that may still strike, and how often; None is without end."""
        return [(armed.fault, armed.left) for armed in self._armed if armed.left != 0]

    @property
    def idle(self) -> list[Fault]:
        """The faults that may strike and never did."""
        return [armed.fault for armed in self._armed if not armed.struck]

    def strike(self, operation: str, path: str) -> Fault | None:
        """Return the fault that strikes a request, or None."""
        for armed in self._armed:
            if armed.left == 0 or not armed.fault.concerns(operation):
                continue
            if self._random.random() >= armed.fault.probability:
                continue
            armed.struck = True
            if armed.left is not None:
                armed.left -= 1
            self.injected.append(Injected(operation, path, armed.fault))
            return armed.fault
        return None


@dataclass
class _Armed:
    """A fault, and how often it may still strike."""

    fault: Fault
    left: int | None
    struck: bool = False
