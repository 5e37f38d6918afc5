"""NDJSON with some of the fields: what is kept is kept as it was, and nothing else is there."""

import json
from operator import attrgetter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_back import encode_lines, records

from meitner_aio import Attendance, Group, Student
from meitner_aio.export.formats.ndjson import picker
from meitner_aio.records import fields


@pytest.mark.parametrize("model", [Student, Group, Attendance], ids=attrgetter("__name__"))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_is_picked_is_what_was_there(model, data):
    """The bytes of each value, in the order of the names; what a row never had is not there as null."""
    rows = data.draw(st.lists(records(model), max_size=2))
    names = data.draw(st.lists(st.sampled_from([field.wire for field in fields(model)]), min_size=1, unique=True))
    lines = encode_lines(rows)
    picked = picker(names)(lines).splitlines()
    for before, after in zip(map(json.loads, lines.splitlines()), picked, strict=True):
        assert list(json.loads(after).items()) == [(name, before[name]) for name in names if name in before]
    spelled = [msgspec.json.decode(line, type=dict[str, msgspec.Raw]) for line in lines.splitlines()]
    assert picked == [msgspec.json.encode({name: row[name] for name in names if name in row}) for row in spelled]


def test_values_are_not_written_anew():
    """Numbers, escapes and names of fields stay as a server spelled them, and a missing field is none."""
    line = b'{"n":1.50,"id":"\\u00e5","in":{"b": 1e2,"a":[ ]},"other":"x"}\n'
    assert picker(["id", "in", "n", "absent"])(line) == b'{"id":"\\u00e5","in":{"b": 1e2,"a":[ ]},"n":1.50}\n'
    assert picker(["absent"])(line + b"{}\n") == b"{}\n{}\n"
    assert picker(["class", "a b"])(b'{"a b":2,"class":1}\n') == b'{"class":1,"a b":2}\n'
