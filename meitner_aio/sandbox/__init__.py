"""A directory for tests and trials: it keeps the API's promises, on synthetic data, and fails on demand.

It answers in process (`Sandbox.send`, no socket) and over HTTP (`async with Sandbox() as sandbox`).
"""

from __future__ import annotations

from ._sandbox import Sandbox
from .faults import Fault, fault
from .http.received import ReceivedRequest

__all__ = ["Fault", "ReceivedRequest", "Sandbox", "fault"]
