"""A desired state, brought into the directory."""

from __future__ import annotations

from ._declared import KeyName
from ._desired import Desired, Rows
from ._problems import Note, NoteKind, Problem
from ._rows import HeldRow, Key, Reference, Row
from ._table import Doubt

__all__ = ["Desired", "Doubt", "HeldRow", "Key", "KeyName", "Note", "NoteKind", "Problem", "Reference", "Row", "Rows"]
