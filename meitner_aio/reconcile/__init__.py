"""A desired state, brought into the directory."""

from __future__ import annotations

from .applying._report import Failure, ReconcileReport, Result
from .planning._actions import Action, ActionKind, Change, Held, HoldReason
from .planning._brakes import Brakes
from .planning._planner import plan
from .planning._proposal import Proposal
from .planning._retire import retire
from .registry._declared import KeyName
from .registry._desired import Desired, Rows
from .registry._problems import Note, NoteKind, Problem
from .registry._rows import HeldRow, Key, Reference, Row
from .registry._table import Doubt

__all__ = [
    "Action",
    "ActionKind",
    "Brakes",
    "Change",
    "Desired",
    "Doubt",
    "Failure",
    "Held",
    "HeldRow",
    "HoldReason",
    "Key",
    "KeyName",
    "Note",
    "NoteKind",
    "Problem",
    "Proposal",
    "ReconcileReport",
    "Reference",
    "Result",
    "Row",
    "Rows",
    "plan",
    "retire",
]
