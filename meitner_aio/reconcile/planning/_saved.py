"""A plan as a file: ids, names of fields and keyed hashes; no key, no value of a record. Blocking.

Whoever approves it and whoever carries it out may be different processes, with the same credential and registry.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..._runtime.durable import put_private
from ..._runtime.private_files import read_private
from ..._wire.validation import is_id
from ...errors import ConfigurationError
from ..applying._phases import phases
from ._actions import Action, ActionKind, Change, Held
from ._source_ids import is_made

if TYPE_CHECKING:
    from ._plan import Plan

_FORMAT = "meitner_aio proposal"
_VERSION = 1

_encode = msgspec.json.encode


class _Head(Struct, frozen=True):
    format: str
    version: int


class _File(Struct, frozen=True):
    format: str
    version: int
    sha256: str
    """Of the plan as it stands here."""
    plan: msgspec.Raw


def write_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write a plan (0600); raises what `put_private` raises."""
    stripped = replace(
        plan,
        actions=tuple(map(_stripped, plan.actions)),
        held=tuple(Held(_stripped(held.action), held.reason, held.message) for held in plan.held),
    )
    data = _encode(stripped)
    put_private(path, _encode(_File(_FORMAT, _VERSION, hashlib.sha256(data).hexdigest(), msgspec.Raw(data))))


def read_plan(path: str | os.PathLike[str], kind: type[Plan]) -> Plan:
    """Read a plan; `ConfigurationError` for a file that others may have written, or that holds no plan."""
    data = read_private(path)
    try:
        head = msgspec.json.decode(data, type=_Head)
    except ValueError:  # msgspec's errors are ValueErrors
        head = None
    if head is None or head.format != _FORMAT:
        raise ConfigurationError(f"{path} is no saved proposal")
    if head.version != _VERSION:
        raise ConfigurationError(f"{path} was saved by another version of meitner_aio: plan again")
    try:
        plan = _decoded(msgspec.json.decode(data, type=_File), kind)
    except ValueError:  # what is wrong may quote the file
        raise ConfigurationError(f"{path} was changed or damaged since it was saved: plan again") from None
    return plan


def _decoded(file: _File, kind: type[Plan]) -> Plan:
    if hashlib.sha256(file.plan).hexdigest() != file.sha256:
        raise ValueError("another sum")
    plan = msgspec.json.decode(file.plan, type=kind)
    _check(plan)
    return plan


def _stripped(action: Action) -> Action:
    changes = dict.fromkeys(action.changes, Change())
    return replace(action, key=None, changes=changes, source_id=action.source_id if is_made(action.source_id) else None)


def _check(plan: Plan) -> None:
    """Raise `ValueError` for a plan that means nothing."""
    phases(plan.actions)
    created = {f"@{action.name}" for action in plan.actions if action.kind is ActionKind.CREATE}
    for action in plan.actions:
        if (action.id is None) is not (action.kind is ActionKind.CREATE) or not (action.id is None or is_id(action.id)):
            raise ValueError("an action without its record")
        if not action.kind.is_removal and action.line < 1:
            raise ValueError("an action without its row")
    if any(not is_id(target) and target not in created for target in plan.ids.values()):
        raise ValueError("a reference to nothing")
