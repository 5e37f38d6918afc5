"""The pages beside the API: who may see them and press their buttons, what they show, and that the API is as before."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from importlib import util
from typing import Any

import aiohttp
import aiohttp.web
import pytest
from conftest import NO_QUOTA
from sandbox_calls import KEY, NOBODY, Clock, call

from meitner_aio import APIConnectionError, Meitner
from meitner_aio._wire.messages import Headers
from meitner_aio.sandbox import Fault, Sandbox
from meitner_aio.sandbox.faults import fault_names, label
from meitner_aio.sandbox.http import pages
from meitner_aio.sandbox.http.guarding import refused

PAGES = ("/", "/requests", "/requests.json", "/faults.json", "/-/explorer.json", "/-/pages.css", "/-/swagger-ui.js")
BUTTONS = (("POST", "/faults.json"), ("DELETE", "/faults.json"), ("DELETE", "/requests.json"))
JSON = {"Content-Type": "application/json"}
AN_ORDER = b'{"fault": "503", "times": 1}'


@pytest.fixture
async def session():
    """Give a session that remembers nothing."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def _refused(host: str = "127.0.0.1:8080", peer: str = "127.0.0.1", *, changes: bool = False, **headers: str) -> int:
    told = {"Host": host, **JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    why = refused(Headers(told), peer, 8080, changes=changes)
    return 0 if why is None else why.status


# Who may


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 0),
        ("localhost:8080", 0),
        ("LocalHost:8080", 0),
        ("[::1]:8080", 0),
        ("127.0.0.2:8080", 0),
        ("", 421),
        ("127.0.0.1", 421),
        ("127.0.0.1:8081", 421),
        ("127.0.0.1:08080", 421),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example:8080", 421),
        ("localhost.evil.example:8080", 421),
        ("localhost.:8080", 421),
        ("sandbox:8080", 421),
        ("0.0.0.0:8080", 421),
        ("192.168.1.5:8080", 421),
        ("2130706433:8080", 421),
        ("127.1:8080", 421),
        ("::1:8080", 421),
        ("[::1:8080", 421),
        ("[::1]evil.example:8080", 421),
        ("127.0.0.1:8080, evil.example", 421),
        ("user@127.0.0.1:8080", 421),
        ("[::ffff:127.0.0.1]:8080", 0),
    ],
)
def test_a_page_has_the_names_of_this_machine_only(host: str, status: int) -> None:
    """Of any other, a site may have made the name lead here."""
    assert _refused(host) == _refused(host, changes=True) == status


def test_a_port_that_is_not_named_is_80() -> None:
    """As a browser leaves it out."""
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert refused(Headers({"Host": host}), "::1", 80, changes=False) is None


@pytest.mark.parametrize("peer", ["192.168.1.5", "172.17.0.1", "fe80::1", "::ffff:10.0.0.1", "", "localhost"])
def test_a_page_is_for_this_machine(peer: str) -> None:
    """Whatever name it asks for."""
    assert _refused(peer=peer) == 403
    assert [_refused(peer=one) for one in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")] == [0] * 4


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via"])
def test_a_proxy_does_not_open_the_pages(header: str) -> None:
    """It comes from this machine, and brings somebody else's request."""
    assert _refused(**{header: "127.0.0.1"}) == 403


@pytest.mark.parametrize(
    ("site", "mode", "read", "changed"),
    [
        ("none", "navigate", 0, 0),
        ("same-origin", "cors", 0, 0),
        ("same-site", "cors", 403, 403),
        ("cross-site", "no-cors", 403, 403),
        ("cross-site", "cors", 403, 403),
        ("cross-site", "navigate", 0, 403),
        ("same-site", "navigate", 0, 403),
        ("something", "cors", 403, 403),
    ],
)
def test_another_site_may_lead_here_and_no_more(site: str, mode: str, read: int, changed: int) -> None:
    """Another port of this machine is another site, too."""
    fetched = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode}
    assert (_refused(**fetched), _refused(changes=True, **fetched)) == (read, changed)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8080", 0),
        ("null", 403),
        ("http://evil.example", 403),
        ("http://127.0.0.1:3000", 403),
        ("https://127.0.0.1:8080", 403),
        ("http://localhost:8080", 403),
        ("http://127.0.0.1:8080.evil.example", 403),
        ("", 403),
    ],
)
def test_a_button_is_pressed_in_our_page(origin: str, status: int) -> None:
    """A browser that knows no Sec-Fetch-Site says where a request comes from."""
    assert _refused(changes=True, Origin=origin) == status


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_presses_no_button(media: str) -> None:
    """What a form can send is no JSON; a script of another site may not send that without being asked first."""
    assert _refused(changes=True, Content_Type=media) == 415


# Over HTTP


async def test_every_page_is_sealed(session: aiohttp.ClientSession) -> None:
    """No script but ours, no frame, no sniffing, nothing kept; the same of refusals."""
    async with Sandbox(students=3) as sandbox:
        for path in PAGES:
            for host, status in ((None, 200), ("evil.example", 421)):
                headers = {} if host is None else {"Host": host}
                async with session.get(sandbox.origin + path, headers=headers) as answer:
                    policy = answer.headers["Content-Security-Policy"]
                    assert answer.status == status, path
                    assert "default-src 'none'" in policy
                    assert "frame-ancestors 'none'" in policy
                    assert "unsafe" not in policy
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                    assert answer.headers["Cache-Control"] == "no-store"
                    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_the_pages_hold_no_script_and_name_no_other_host() -> None:
    """Scripts and styles are files, and every address is one of this server."""
    for name in ("explorer.html", "requests.html", "start.html", "requests.js", "explorer.js", "pages.css"):
        text = pages._static(name).decode()
        assert "http" not in text, name
        assert "//" not in text.replace("// ", ""), name
        if name.endswith("html"):
            assert "<style" not in text
            assert " style=" not in text
            assert " on" not in text.replace(" one ", " ").replace(" once ", " ").replace(" on<", "<").replace(
                " on ", " "
            )
            assert all(" src=" in tag for tag in text.split("<script")[1:])
        assert "innerHTML" not in text


@pytest.mark.parametrize("host", ["evil.example", "sandbox:8080"])
async def test_under_a_foreign_name_the_api_answers_and_the_pages_do_not(
    host: str, session: aiohttp.ClientSession
) -> None:
    """Containers call each other by names of services; the document of the API is part of that."""
    async with Sandbox(students=3) as sandbox:
        async with session.get(f"{sandbox.url}/student", headers={**KEY, "Host": host}) as answer:
            assert answer.status == 200
        async with session.get(f"{sandbox.origin}/openapi.json", headers={"Host": host}) as answer:
            assert (answer.status, (await answer.json())["openapi"]) == (200, "3.1.0")
        for path in PAGES:
            async with session.get(sandbox.origin + path, headers={"Host": host}) as answer:
                text = await answer.text()
                assert (answer.status, text.count("\n")) == (421, 1)
                assert "127.0.0.1" in text
                assert host not in text
        for method, path in BUTTONS:
            async with session.request(
                method, sandbox.origin + path, headers={"Host": host, **JSON}, data=AN_ORDER
            ) as answer:
                assert answer.status == 421
        assert sandbox._faults.armed == []
        assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json", "Origin": "http://evil.example"},
        {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "application/json", "Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    ],
)
async def test_no_other_site_lets_requests_fail(headers: dict[str, str], session: aiohttp.ClientSession) -> None:
    """Neither by a form nor by a script; what was waiting stays, and so does the list."""
    async with Sandbox(students=3, faults=["500"]) as sandbox:
        await call(sandbox, "GET", "/unit")
        for method, path in BUTTONS:
            async with session.request(method, sandbox.origin + path, headers=headers, data=AN_ORDER) as answer:
                assert answer.status in (403, 415)
        assert [label(one) for one, _ in sandbox._faults.armed] == ["500"]
        assert len(sandbox.requests) == 1


async def test_a_script_of_another_site_is_not_let_in(session: aiohttp.ClientSession) -> None:
    """The question that a browser asks first is answered by the API, which allows nobody anything."""
    async with Sandbox(students=3) as sandbox:
        asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        for path in ("/faults.json", "/requests.json", "/directory/v1/student"):
            async with session.options(sandbox.origin + path, headers=asked) as answer:
                assert answer.status in (401, 404, 405)
                assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def _raw(sandbox: Sandbox, target: str, *lines: str) -> bytes:
    """Send a request as it stands, and return the answer's first line and body."""
    port = int(sandbox.origin.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *lines, "", ""]
    writer.write("\r\n".join(head).encode())
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "target",
    [
        "/-/../pages.py",
        "/-/..%2f..%2fpages.py",
        "/-/%2e%2e/pages.css",
        "/-//etc/passwd",
        "/-/pages.css/..",
        "/-/pages.css%00",
        "/-/swagger-ui-bundle.js.map",
        "/-/__init__.py",
        "/%2e/requests",
        "//requests",
        "/requests/",
        "/requests.json/x",
        "/" + "a" * 6000,
        "/requests%0d%0aX-Evil: 1",
        "*",
        "http://evil.example/x",
    ],
)
async def test_no_other_file_is_had(target: str) -> None:
    """Pages are exact names in a table; every other path is the API's, which knows none of these."""
    async with Sandbox(students=1) as sandbox:
        answer = await _raw(sandbox, target)
        assert answer.split(b" ", 2)[1] in (b"404", b"400"), answer[:200]
        assert b"X-Evil" not in answer.partition(b"\r\n\r\n")[0]
        assert (await _raw(sandbox, "/requests.json")).startswith(b"HTTP/1.1 200 ")


async def test_a_name_that_is_said_twice_is_refused() -> None:
    """Or else what checks it and what uses it could read another one."""
    async with Sandbox(students=1) as sandbox:
        answer = await _raw(sandbox, "/requests.json", "Host: evil.example")
        assert answer.split(b" ", 2)[1] in (b"400", b"421")


async def test_an_address_in_the_request_line_changes_nothing() -> None:
    """Proxies are sent such; its host is not the one that is checked, so it has no pages."""
    async with Sandbox(students=1) as sandbox:
        for origin in (sandbox.origin, "http://evil.example"):
            assert (await _raw(sandbox, f"{origin}/requests.json")).split(b" ", 2)[1] == b"404"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"fault": "nothing"}', b'{"fault": "503", "times": 0}', b'{"fault": "503", "times": 1.5}',
     b'{"fault": "503", "probability": 2}', b'{"fault": "503", "probability": NaN}', b'{"fault": "503", "x": 1}',
     b'{"fault": 503}', b"\xff", b"[" * 5000, b'{"fault": "503", "times": 1' + b" " * 20_000 + b"}"],
)  # fmt: skip
async def test_a_fault_that_cannot_be(body: bytes, session: aiohttp.ClientSession) -> None:
    """It is refused in a line that says why, and nothing waits."""
    async with Sandbox(students=1) as sandbox:
        async with session.post(f"{sandbox.origin}/faults.json", data=body, headers=JSON) as answer:
            assert answer.status in (400, 413)
        assert sandbox._faults.armed == []


# What they show


async def _listed(session: aiohttp.ClientSession, sandbox: Sandbox) -> dict[str, Any]:
    async with session.get(f"{sandbox.origin}/requests.json") as answer:
        assert answer.status == 200
        return await answer.json()


async def test_requests_as_they_were(session: aiohttp.ClientSession) -> None:
    """Newest first: when, what, what came of it, how long it took, what struck, what is left; over HTTP and in process."""
    async with Sandbox(students=3, clock=Clock(), quota=100, limiter="window") as sandbox:
        sandbox.fail("503", times=1)
        await call(sandbox, "GET", "/student", query="limit=2&offset=0")
        async with session.get(f"{sandbox.url}/student/{NOBODY}", headers=KEY) as answer:
            assert answer.status == 404
        newest, oldest = (await _listed(session, sandbox))["requests"]
        assert oldest | {"milliseconds": 0} == {
            "number": 1, "time": "2026-02-02T02:40:00.000+00:00", "method": "GET", "path": "/student",
            "query": "limit=2&offset=0", "operation": "students.list", "status": 503, "milliseconds": 0, "fault": "503",
            "remaining": 100, "problem": "a fault of the sandbox",
        }  # fmt: skip
        assert (newest["number"], newest["path"], newest["status"], newest["fault"], newest["remaining"]) == (
            2, f"/student/{NOBODY}", 404, "", 99,
        )  # fmt: skip
        assert newest["milliseconds"] >= 0


async def test_nothing_personal_and_no_secret_is_listed(session: aiohttp.ClientSession) -> None:
    """No header, no body, no value of a query but numbers of pages, no number or address in a path."""
    number, secret = "20150101-1234", "k9-secret"
    async with Sandbox(students=3) as sandbox:
        body = {"identityNumber": number, "firstName": "Elsa", "lastName": "Ek", "gender": "Elsa-ish"}
        key = {"Client-ID": "k9-id", "Client-Secret": secret, "Cookie": secret}
        await call(sandbox, "POST", "/student", body, headers=key)
        await call(sandbox, "GET", f"/student/{number}")
        for odd in ("/student/elsa.ek@skola.example", "/student/elsa.ek%40skola.example", "/pupils/201501011234"):
            await call(sandbox, "GET", odd)
        await call(sandbox, "GET", "/student", query=f"limit=Elsa&offset=2&name=Elsa&{number}=1&limit=20150101123")
        form = b"grant_type=client_credentials&client_id=k9-id&client_secret=k9-secret"
        await call(sandbox, "POST", "/oauth/token", form, content_type="application/x-www-form-urlencoded")
        text = json.dumps(await _listed(session, sandbox))
        for told in ("Elsa", "elsa", "1234", 'Ek"', secret, "k9-id", "skola"):
            assert told not in text, told
        assert "offset=2" in text
        assert "name=***" in text
        assert text.count('"number"') == 7


async def test_what_is_listed_is_only_ever_text(session: aiohttp.ClientSession) -> None:
    """A path and a method come as they are, as JSON that no browser takes for a page; the page writes text alone."""
    async with Sandbox(students=3) as sandbox:
        await call(sandbox, "GET", "/<script>alert(1)</script>")
        async with session.get(f"{sandbox.origin}/requests.json") as answer:
            assert answer.content_type == "application/json"
            assert "<script>" in await answer.text()


async def test_the_list_is_short_however_many_come(session: aiohttp.ClientSession) -> None:
    """500 of the last 10,000; each of bounded length; numbers go on, also after it was cleared."""
    async with Sandbox(students=1, limiter="none") as sandbox:
        for _ in range(600):
            await call(sandbox, "G" * 5000, "/" + "x/" * 3000, query="&".join(f"n{number}=1" for number in "ab" * 40))
        listed = await _listed(session, sandbox)
        assert [one["number"] for one in listed["requests"]] == list(range(600, 100, -1))
        assert max(len(json.dumps(one)) for one in listed["requests"]) < 1000
        async with session.delete(f"{sandbox.origin}/requests.json", headers=JSON) as answer:
            assert answer.status == 204
        assert len(sandbox.requests) == 0
        await call(sandbox, "GET", "/unit")
        assert [one["number"] for one in (await _listed(session, sandbox))["requests"]] == [601]


async def test_a_request_that_goes_on_is_listed_as_such(session: aiohttp.ClientSession) -> None:
    """Until its answer is cut off, which has no status."""
    async with Sandbox(students=1) as sandbox:
        sandbox.fail("timeout", times=1)
        asked = asyncio.ensure_future(call(sandbox, "GET", "/unit"))
        while not sandbox.requests:
            await asyncio.sleep(0)
        (waiting,) = (await _listed(session, sandbox))["requests"]
        assert (waiting["status"], waiting["milliseconds"], waiting["fault"]) == (0, None, "timeout")
        sandbox.app.release()
        with pytest.raises(APIConnectionError):
            await asked
        assert (await _listed(session, sandbox))["requests"][0]["milliseconds"] is not None


async def test_buttons_let_requests_fail(session: aiohttp.ClientSession) -> None:
    """A client retries over what was switched on; it is listed, and switched off again."""
    async with Sandbox(students=3) as sandbox:
        url = f"{sandbox.origin}/faults.json"
        async with session.get(url) as answer:
            assert (await answer.json())["names"] == fault_names()
        for order in ({"fault": "503", "times": 1}, {"fault": "slow", "probability": 0.0}):
            async with session.post(url, json=order) as answer:
                assert (answer.status, await answer.read()) == (204, b"")
        assert (await _listed(session, sandbox))["faults"] == [
            {"fault": "503", "times": 1, "probability": 1.0, "operations": []},
            {"fault": "slow", "times": None, "probability": 0.0, "operations": []},
        ]
        async with Meitner(*sandbox.credentials, base_url=sandbox.url, quota=NO_QUOTA) as meitner:
            assert await meitner.units.list().count()
        listed = await _listed(session, sandbox)
        assert [(one["status"], one["fault"]) for one in listed["requests"]] == [(200, ""), (503, "503")]
        async with session.delete(url, headers=JSON) as answer:
            assert answer.status == 204
        assert (await _listed(session, sandbox))["faults"] == sandbox._faults.armed == []


@pytest.mark.parametrize("name", [*fault_names(), "502"])
def test_a_fault_is_called_by_its_name(name: str) -> None:
    """However it was narrowed; one without a name by what it does."""
    sandbox = Sandbox(students=0, schools=0)
    sandbox.fail(name, times=2, probability=0.5, operations=["list"])
    ((one, left),) = sandbox._faults.armed
    assert (label(one), left) == (name, 2)
    assert [label(Fault(None, delay=9)), label(Fault(0, delay=1)), label(Fault(503, body=b"x"))] == [
        "slow",
        "reset",
        "503",
    ]


# The API is as before


async def test_pages_cost_nothing_and_are_in_no_list(session: aiohttp.ClientSession) -> None:
    """No quota, no fault, no latency, no request that a test counts."""
    async with Sandbox(students=3, quota=2, limiter="window", latency=0.0, faults=["503"]) as sandbox:
        for _ in range(3):
            for path in (*PAGES, "/openapi.json"):
                async with session.get(sandbox.origin + path) as answer:
                    assert answer.status == 200
                    assert "RateLimit-Remaining" not in answer.headers
        assert (len(sandbox.requests), sandbox.faults_injected) == (0, [])
        sandbox.heal()
        async with session.get(f"{sandbox.url}/unit", headers=KEY) as answer:
            assert answer.headers["RateLimit-Remaining"] == "1"


async def test_without_the_extra_a_page_says_so(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the extra, and leads to what there is."""
    there = util.find_spec
    monkeypatch.setattr(pages, "find_spec", lambda name: None if name == "swagger_ui_bundle" else there(name))
    async with Sandbox(students=3) as sandbox:
        async with session.get(sandbox.origin) as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert 'pip install "meitner-aio[explorer]"' in text
            assert 'href="/openapi.json"' in text
            assert 'href="/requests"' in text
        async with session.get(f"{sandbox.origin}/-/swagger-ui.js") as answer:
            assert (answer.status, answer.content_type) == (404, "text/plain")


async def test_the_explorer_has_the_credentials_of_the_sandbox(session: aiohttp.ClientSession) -> None:
    """In JSON, which no other site can include as a script."""
    async with (
        Sandbox(students=3, credentials=("an-id", "a-secret")) as sandbox,
        session.get(f"{sandbox.origin}/-/explorer.json") as answer,
    ):
        made = await answer.json()
        assert answer.content_type == "application/json"
        assert (made["client_credentials"], made["client_secret"]) == ("an-id", "a-secret")
        assert made["document"]["openapi"] == "3.0.3"


async def test_who_asks_is_told_by_the_connection(
    monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession
) -> None:
    """Somebody elsewhere reaches the API, where a sandbox is on all addresses, and no page, whatever the Host."""
    monkeypatch.setattr(aiohttp.web.BaseRequest, "remote", property(lambda _: "192.0.2.7"))
    async with Sandbox(students=3) as sandbox:
        for path, status in (("/directory/v1/unit", 200), ("/requests", 403)):
            async with session.get(f"{sandbox.origin}{path}", headers=KEY) as answer:
                assert answer.status == status


async def test_many_who_look_are_gone_when_it_closes(session: aiohttp.ClientSession) -> None:
    """A page holds nothing open: connections that read slowly, or not at all, end with the sandbox and leave no task."""
    before = asyncio.all_tasks()
    sandbox = Sandbox(students=3)
    await sandbox.start()
    port = int(sandbox.origin.rpartition(":")[2])
    writers = []
    for _ in range(100):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /-/swagger-ui.js HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        writers.append(writer)
    assert (await _listed(session, sandbox))["requests"] == []
    async with asyncio.timeout(20):
        await sandbox.close()
    for writer in writers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    assert asyncio.all_tasks() == before
    gc.collect()
