"""What must never be shown, and every place to look for it. Knows nothing of the package but where it lies.

Personal values are those of `PERSON`; what proves who asks is in `CREDENTIALS` and `TOKEN`. A test may hold them, so
the frames of tests are not searched; everything else that a log, a crash report or a file would show is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self
from unittest import mock

from rich.pretty import pretty_repr

from meitner_aio import Address, APIStatusError, MeitnerError

TESTS = Path(__file__).parents[1]

CREDENTIALS = ("id-canary-3f1", "secret-canary-8d2")
TOKEN = "token-canary-5c7"

PERSON: dict[str, Any] = {
    "identity_number": "20150101-4242",
    "first_name": "Kanariella",
    "last_name": "Fjäderqvist",
    "email_address1": "kanariella@canary.example",
    "email_address2": "fjaderqvist@canary.example",
    "phone_number1": "+46701740605",
    "phone_number2": "070-174 06 33",
    "address": Address(
        postal_address="Kanariestigen 77", postal_code="98765", postal_city="Fågelbo", municipality_code="1492"
    ),
}
WIRE: dict[str, Any] = {
    "identityNumber": PERSON["identity_number"],
    "firstName": PERSON["first_name"],
    "lastName": PERSON["last_name"],
    "emailAddress1": PERSON["email_address1"],
    "phoneNumber1": PERSON["phone_number1"],
    "address": {"postalAddress": PERSON["address"].postal_address},
}
"""Most of `PERSON` as the API spells it."""

CANARIES = (
    *CREDENTIALS,
    TOKEN,
    *(value for value in PERSON.values() if isinstance(value, str)),
    PERSON["address"].postal_address,
    PERSON["address"].postal_city,
)


def sung(text: str, canaries: Iterable[str] = CANARIES) -> list[str]:
    """Return the canaries in a text, also where it is the `repr` or the JSON of a text, or of bytes."""
    return [canary for canary in canaries if any(spelling in text for spelling in _spellings(canary))]


@cache
def _spellings(canary: str) -> frozenset[str]:
    data = canary.encode()
    return frozenset({canary, json.dumps(canary)[1:-1], ascii(canary)[1:-1], data.decode("latin-1"), repr(data)[2:-1]})


def shown(error: BaseException, seen: set[int] | None = None) -> Iterator[str]:
    """Yield all that a crash report may show of an error and of what led to it, the locals of every frame included."""
    seen = set() if seen is None else seen
    if id(error) in seen:
        return
    seen.add(id(error))
    yield f"{error!r} {error!s} {error.args!r} {getattr(error, '__notes__', ())!r}"
    if isinstance(error, MeitnerError) and not isinstance(error, APIStatusError):
        yield error.message  # our own words, before they are cut and masked; those of a server are a fact
    for frame, line in traceback.walk_tb(error.__traceback__):
        if TESTS not in Path(frame.f_code.co_filename).parents:
            where = f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
            yield from (f"{where}: {name} = {_looked_at(value)}" for name, value in list(frame.f_locals.items()))
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        if other is not None:
            yield from shown(other, seen)


def _looked_at(value: object) -> str:
    """Return a value as the tools that print locals print it: by `repr`, and as rich takes it apart."""
    try:
        return f"{value!r} {pretty_repr(value, max_length=20, max_depth=6)}"
    except Exception as broken:
        return f"<{type(broken).__name__}>"


def logged(record: logging.LogRecord) -> Iterator[str]:
    """Yield all that a log handler may show of a record."""
    yield f"{record.name}: {record.getMessage()} {record.args!r}"
    usual = vars(logging.makeLogRecord({}))
    yield repr({name: value for name, value in vars(record).items() if name not in usual})
    if record.exc_info and record.exc_info[1] is not None:
        yield from shown(record.exc_info[1])


class Watch(logging.Handler):
    """Listens to every logger at DEBUG, and keeps the lines in which a canary sings."""

    def __init__(self, canaries: Iterable[str] = CANARIES) -> None:
        super().__init__(logging.DEBUG)
        self.canaries = tuple(canaries)
        self.heard: list[str] = []
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Search a record."""
        self.lines += 1
        self.heard += [line for line in logged(record) if sung(line, self.canaries)]


@contextlib.contextmanager
def listening(watch: Watch) -> Iterator[Watch]:
    """Let a watch hear everything that is logged in the block, at DEBUG."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(watch)
    try:
        yield watch
    finally:
        root.removeHandler(watch)
        root.setLevel(level)


class Mine:
    """A block in which nothing may leak: all logs at DEBUG, asyncio's debug mode, every warning, every error given."""

    def __init__(self, canaries: Iterable[str] = CANARIES) -> None:
        self.watch = Watch(canaries)
        self.errors: list[BaseException] = []
        self.refusals: list[BaseException] = []
        self.texts: list[str] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(listening(self.watch))
        self._stack.enter_context(mock.patch("asyncio.constants.DEBUG_STACK_DEPTH", 1))  # its stacks name places only
        self._warned = self._stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0  # every callback is logged, with what asyncio shows of it
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().set_debug(False)
        self._stack.close()

    def shows(self, *things: object) -> None:
        """Search what a program may print of its own: each thing as `str`, `repr` and by rich."""
        self.texts += [f"{thing!s} {_looked_at(thing)}" for thing in things]

    async def fails(self, call: Any) -> BaseException:
        """Await what must fail, and search its error."""
        try:
            await call
        except BaseException as error:
            self.errors.append(error)
            return error
        raise AssertionError("nothing was raised")

    def refuses(self, call: Any, *args: Any, **kwargs: Any) -> BaseException:
        """Call what must be refused at once, and search its error."""
        try:
            call(*args, **kwargs)
        except Exception as error:
            self.refusals.append(error)
            return error
        raise AssertionError("nothing was raised")

    def refused(self) -> list[str]:
        """Return every line of what was refused at once in which a canary sings."""
        return [line[:200] for error in self.refusals for line in shown(error) if sung(line, self.watch.canaries)]

    def leaks(self) -> list[str]:
        """Return every line in which a canary sings."""
        lines = [*self.texts, *(f"{warning.message!r}" for warning in self._warned)]
        lines += [line for error in self.errors for line in shown(error)]
        return self.watch.heard + [line[:200] for line in lines if sung(line, self.watch.canaries)]


def files(folder: Path, leave_out: Iterable[str] = ()) -> Mapping[str, str]:
    """Return the text of every file below a folder by its path within it, except names that end so."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(tuple(leave_out)))
    return {str(path.relative_to(folder)): path.read_bytes().decode("latin-1") for path in found}
