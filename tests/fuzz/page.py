"""Pages and records: bytes of a success become rows, or a `ResponseValidationError` that keeps them to itself."""

from __future__ import annotations

import json

from fuzzing import instrumented, run

with instrumented(__name__):
    import msgspec

    from meitner_aio import ResponseValidationError, to_dict
    from meitner_aio._wire.decoding import PageReader, RecordDecoder, read
    from meitner_aio._wire.messages import Headers, RawResponse, Request
    from meitner_aio._wire.validation import is_id
    from meitner_aio.resources import RESOURCES

MODELS = [resource.model for resource in RESOURCES.values()]
_READERS = [(model, RecordDecoder(model), PageReader(model)) for model in MODELS]
_REQUEST = Request("list", "GET", "/x", "/x")
_ROW = {"id": "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", "identityNumber": "2015-x", "firstName": "Bo", "lastName": "Ek"}


def page(*rows: object, **pagination: object) -> bytes:
    """Return the bytes of a page."""
    return json.dumps(
        {"data": rows, "pagination": {"offset": 0, "limit": 9, "total": len(rows), **pagination}}
    ).encode()


def harness(data: bytes) -> None:
    """Read bytes as a page and as a record; the first one chooses the kind of record, and whether to skip bad rows."""
    choice, body = (data[0] if data else 0), data[1:]
    model, decoder, pages = _READERS[(choice >> 1) % len(_READERS)]
    response = RawResponse(200, Headers({"Content-Type": "application/json"}), body)
    try:
        fetched = pages.reader(0, skip_invalid=bool(choice & 1))(_REQUEST, response)
    except ResponseValidationError as error:
        _check(error)
    else:
        assert fetched.pagination.offset == 0
        assert all(is_id(name) or name.startswith("number ") for name in fetched.invalid)
        for row in fetched.rows:
            assert type(row) is model
            assert isinstance(row.id, str)
            assert repr(row)
            assert to_dict(row)
            assert msgspec.json.decode(msgspec.json.encode(row), type=model) == row
    try:
        read(_REQUEST, response, decoder)
    except ResponseValidationError as error:
        _check(error)


def _check(error: ResponseValidationError) -> None:
    assert error.__context__ is error.__cause__ is None
    assert len(str(error)) <= 400
    assert str(error).isprintable()


CORPUS = [
    b"",
    *(bytes([kind]) + page(_ROW) for kind in range(2 * len(MODELS))),
    b"\x0c" + page({**_ROW, "meta": {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": None}, "gender": "?"}),
    b"\x0d" + page(_ROW, {**_ROW, "lastName": 7}, {"id": 3}, None, total=-1, limit=2**63 - 1),
    b"\x0c" + json.dumps(_ROW).encode(),
    *(
        bytes([kind]) + page({**_ROW, "types": None, "studentIDs": None, "roles": None, "meta": {"createdAt": None}})
        for kind in range(2 * len(MODELS))
    ),
    b'\x0c{"data":null,"pagination":{"offset":0,"limit":9,"total":0}}',
    b"\x0c" + b'{"data":[' * 500,
    b"\x0c" + b"[" * 60_000,
    b'\x0c{"data":[],"pagination":{"offset":1e400,"limit":NaN,"total":-0}}',
    b'\x0c{"data":[],"data":[],"pagination":{"offset":0,"limit":1,"total":1}}\x00',
    b'\x0c\xef\xbb\xbf{"data":[]}',
    b'\x0c{"data":["\xff\xfe\xed\xa0\x80"]}',
]

if __name__ == "__main__":
    run(harness, CORPUS)
