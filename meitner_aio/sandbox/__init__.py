"""A directory for tests and trials, honest in all that the API promises, with synthetic data and faults on order.

One store behind two doors: in process (`Sandbox.send`, no socket) and over HTTP (`async with Sandbox() as sandbox`).
"""

from __future__ import annotations

from ._sandbox import Sandbox
from .faults import Fault, fault
from .http.seen import Seen

__all__ = ["Fault", "Sandbox", "Seen", "fault"]
