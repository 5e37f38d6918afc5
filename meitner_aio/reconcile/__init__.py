"""A desired state, brought into the directory."""

from __future__ import annotations

from .registry._declared import KeyName
from .registry._desired import Desired, Rows
from .registry._problems import Note, NoteKind, Problem
from .registry._rows import HeldRow, Key, Reference, Row
from .registry._table import Doubt

__all__ = ["Desired", "Doubt", "HeldRow", "Key", "KeyName", "Note", "NoteKind", "Problem", "Reference", "Row", "Rows"]
