"""Learns which source a registry's ids are of: the API derives it from the credential, and tells it in records only."""

from __future__ import annotations

from ...errors import ConfigurationError
from ...records import DirectoryRecord
from ..registry._desired import Desired
from ..registry._rows import Key
from ._keys import NaturalKey, natural_key_of, raw_source_id_of, source_of, spelled
from ._references import References, named
from ._source_ids import is_made


class Learning:
    """Collects the sources of records that rows of a registry name by ids of theirs."""

    def __init__(self, desired: Desired, references: References) -> None:
        """Have learnt nothing yet."""
        self._desired = desired
        self._references = references
        self._keys: dict[str, frozenset[NaturalKey]] = {}
        self._sources: set[str] = set()

    def hear(self, resource: str, record: DirectoryRecord) -> None:
        """Learn from a record: its source id is of the registry, or was made for a row that has its key.

        What records of the resource refer to has to be known by then. Blocking.
        """
        source, own = source_of(record), raw_source_id_of(record)
        if source is None or own is None or source in self._sources:
            return
        is_known = any(self._desired.has(resource, Key("source_id", (form,))) for form in {own, spelled(own)})
        if is_known or (is_made(own) and natural_key_of(resource)(record) in self._keyed(resource)):
            self._sources.add(source)

    def _keyed(self, resource: str) -> frozenset[NaturalKey]:
        """Return the natural keys of the rows without a source id."""
        if resource not in self._keys:
            known = (named(row) for row in self._desired.rows(resource))
            keys = (key for one in known if one.source_id is None for key in self._references.natural_keys(one.natural))
            self._keys = {resource: frozenset(keys)}
        return self._keys[resource]

    @property
    def source(self) -> str | None:
        """The source, if there is one; `ConfigurationError` for several."""
        return only(self._sources, "the records that the registry names")


def only(sources: set[str], what: str) -> str | None:
    """Return the one source of some records, None for none; `ConfigurationError` for several."""
    if len(sources) > 1:
        told = ", ".join(map(repr, sorted(sources)))
        raise ConfigurationError(f"{what} are of several sources: {told}; say whose they are, with source=")
    return next(iter(sources), None)
