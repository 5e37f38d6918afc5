"""The sandbox: whatever is asked of it, it answers as the API does, and never breaks."""

from __future__ import annotations

import json

from fuzzing import instrumented, run

with instrumented(__name__):
    import msgspec

    from meitner_aio._operations.operations import operations
    from meitner_aio._wire.messages import RawResponse, Request, error_object
    from meitner_aio.resources import RESOURCES
    from meitner_aio.sandbox import Sandbox

ROUTES = sorted(
    {(one.method, one.route(kind)) for kind in RESOURCES.values() for one in operations(kind).values()}
    | {("POST", "/oauth/token"), ("PUT", "/student"), ("GET", "/nothing"), ("GET", "/student/{id}/x")}
    | {("GET", "/openapi.json")}
)
STATUSES = {200, 201, 204, 400, 401, 404, 405, 409, 422, 429}
KEY = {"Client-ID": "a", "Client-Secret": "b"}
_TYPES = ("application/json", "application/x-www-form-urlencoded", "text/html", "")
_SANDBOX = Sandbox(students=12, schools=1, limiter="none")
_IDS = {f"/{kind.path.strip('/')}": _SANDBOX.records(name)[:1] for name, kind in RESOURCES.items()}


def harness(data: bytes) -> None:
    """Ask: a byte chooses the operation, one the media type and the id; a line is the query, the rest the body."""
    choice, odd = (data[0], data[1]) if len(data) > 1 else (0, 0)
    query, _, body = data[2:].partition(b"\n")
    method, route = ROUTES[choice % len(ROUTES)]
    known = _IDS.get(route.partition("/{id}")[0])
    id = known[0].id if known and odd & 4 else query.decode("latin-1")[:40]
    request = Request(
        "request", method, route, route.replace("{id}", id), query.decode("latin-1"), body, _TYPES[odd & 3], KEY
    )
    answer = _answered(request)
    assert answer.status in STATUSES, answer.status
    if route == "/oauth/token" or answer.status == 204:
        return
    if answer.headers["Content-Type"] == "text/plain":
        assert (answer.status, answer.body) == (404, b"404 page not found")
        return
    assert answer.headers["Content-Type"] == "application/json"
    if answer.status >= 400:
        error = error_object(answer)
        assert error is not None
        assert error.code.known
    else:
        msgspec.json.decode(answer.body)


def _answered(request: Request) -> RawResponse:
    """Return the sandbox's answer: without latency it never waits, and needs no loop."""
    try:
        _SANDBOX.send(request).send(None)
    except StopIteration as stop:
        answer: RawResponse = stop.value
        return answer
    raise AssertionError("the sandbox waits")


def asking(method: str, route: str, body: object, *, odd: int = 4, query: str = "limit=2&offset=0") -> bytes:
    """Return the bytes that make the harness ask this."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return bytes([ROUTES.index((method, route)), odd]) + f"{query}\n".encode() + data


def searching(**level: object) -> bytes:
    """Return the bytes of a search for students."""
    return asking("POST", "/student/_search", {"filter": {"orCondition": False, **level}})


_PERSON = {"identityNumber": "20150101-0001", "firstName": "Bo", "lastName": "Ek"}
CORPUS = [
    b"",
    *(bytes([place, 4]) + b"limit=1\n{}" for place in range(len(ROUTES))),
    searching(equals={"lastName": "Ek", "meta": {"createdAt": "2026-01-01T00:00:00Z"}}),
    searching(like={"lastName": "%" * 300 + "_\\%"}, notLike={"firstName": "\\"}),
    searching(contains={"gender": ["Female"], "id": ["x", 7]}, null={"emailAddress1": True}),
    searching(nestedFilters=[{"orCondition": True, "greaterThan": {"dateOfBirth": "0001-01-01"}}] * 3),
    searching(smallerThan={"meta": {"updatedAt": "9999-12-31T23:59:59.999999999-23:59"}}),
    asking("POST", "/student/_search", b'{"filter":' + b'{"orCondition":true,"nestedFilters":[' * 900),
    asking("POST", "/student/_search", b"[" * 60_000),
    asking("POST", "/student/_search", b'{"filter":{"orCondition":false,"equals":{"lastName":"\xff"}}}'),
    asking("POST", "/student", _PERSON),
    asking("POST", "/student", {**_PERSON, "address": {"municipalityCode": "1"}, "dateOfBirth": "2015-02-30"}),
    asking("PATCH", "/student/{id}", {**_PERSON, "emailAddress1": None}),
    asking("GET", "/student", b"", query="limit=9999999999999999999&offset=%00&limit=1"),
    asking("GET", "/student/{id}", b"", odd=0, query="../../\r\n"),
    asking("POST", "/oauth/token", b"grant_type=client_credentials&client_id=a&client_secret=b", odd=1),
    asking("POST", "/oauth/token", b"grant_type=%ff&=&&==\x00", odd=1),
]

if __name__ == "__main__":
    run(harness, CORPUS)
