"""Failures on order: which requests fail, how, and whether the directory carried them out before the answer was lost.

A fault happens between the client and the directory, as at a gateway: unless it is `committed`, the directory never
sees the request, which then costs no quota. The same seed and the same requests bring the same faults.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from random import Random
from typing import NamedTuple

from .._operations import operations
from ..resources import RESOURCES

CUT = 0
"""The status of a fault that cuts the connection."""


@dataclass(frozen=True)
class Fault:
    """A failure and when it happens.

    `status` 0 cuts the connection; any other status is answered with `headers` and `body`, or with the API's error
    object when there is no body. `operations` narrows a fault to names such as "create", "students.create" or
    "token"; the token endpoint fails only when it is named. `times` is how often the fault may strike at most.
    """

    status: int = 503
    _: KW_ONLY
    probability: float = 1.0
    times: int | None = None
    operations: Collection[str] = ()
    committed: bool = False
    """Whether the request is carried out, and only its answer lost."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None

    def __post_init__(self) -> None:
        if self.status != CUT and not 200 <= self.status <= 599:  # what a final answer can have
            raise ValueError("the status of a fault is 0 (the connection is cut) or 200 to 599")
        if not 0 <= self.probability <= 1:
            raise ValueError("the probability of a fault lies between 0 and 1")
        if self.times is not None and self.times < 1:
            raise ValueError("the times of a fault are at least 1, or None for no end")
        unknown = {self.operations} if isinstance(self.operations, str) else set(self.operations) - _names()
        if unknown:
            raise ValueError(f"operations must be a collection of known names, and has {', '.join(sorted(unknown))}")

    def concerns(self, operation: str) -> bool:
        """Whether the fault can strike an operation such as "students.create"; empty is a path that does not exist."""
        if not self.operations:
            return operation != "token"
        return operation in self.operations or operation.partition(".")[2] in self.operations


def _names() -> set[str]:
    """Return what a fault can be narrowed to."""
    places = {(attribute, name) for attribute, resource in RESOURCES.items() for name in operations(resource)}
    return {"token", *(name for _, name in places), *(".".join(place) for place in places)}


class Injected(NamedTuple):
    """A fault that struck."""

    operation: str
    """Such as "students.create"; empty for a path that does not exist."""
    path: str
    fault: Fault


class Faults:
    """Decides which requests fail, and keeps a log of it."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = faults
        self._random = Random(seed)  # noqa: S311 - chance that replays
        self._left = [fault.times for fault in faults]
        self.injected: list[Injected] = []

    def strike(self, operation: str, path: str) -> Fault | None:
        """Return the fault that befalls a request, or None."""
        for index, fault in enumerate(self._faults):
            left = self._left[index]
            if left == 0 or not fault.concerns(operation) or self._random.random() >= fault.probability:
                continue
            if left is not None:
                self._left[index] = left - 1
            self.injected.append(Injected(operation, path, fault))
            return fault
        return None
