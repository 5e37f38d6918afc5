"""The options of `Sandbox`, for functions that pass them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

from .faults import Fault
from .http.dialect import Form, Resolution, Unknown, Zones
from .http.paging import OverCap
from .http.quota import HeaderCount, LimiterKind, Reset
from .store.tables import Order


class Choices(TypedDict, total=False):
    """The keywords of `Sandbox`."""

    students: int
    schools: int
    seed: int
    lessons: int
    owned: bool
    order: Order
    limiter: LimiterKind
    quota: int
    window: float
    burst: int | None
    reset: Reset
    headers: HeaderCount
    page_cap: int
    over_cap: OverCap
    resolution: Resolution
    unknown: Unknown
    normalize: Form | None
    nil_lists: bool
    nil_objects: bool
    zones: Zones
    latency: float
    faults: Sequence[Fault | str]
    credentials: tuple[str, str] | None
    token_lifetime: float
    clock: Callable[[], float]
