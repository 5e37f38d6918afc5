"""The pages of the sandbox in a real browser: calls are tried, seen and let fail; nothing leaves this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from aiohttp import web
from browser import Browser, require_browser
from conftest import NO_QUOTA
from sandbox_calls import call

from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

SCRIPT = "<img src=x onerror=window.stolen=1><script>window.stolen=1</script>"


@pytest.fixture
async def browser():
    """Give a browser, and hold at the end that it asked nobody else for anything and that no script complained."""
    require_browser()
    async with Browser() as browser:
        await browser.requested()  # its own first page
        yield browser
        hosts = {
            urlsplit(url).hostname for url in await browser.requested() if not url.startswith(("chrome:", "data:"))
        }
        assert hosts == {"127.0.0.1"}
        assert await browser.complaints() == []


async def test_a_call_is_tried_seen_and_let_fail(browser: Browser) -> None:
    """From the explorer to the list of requests; a button; a client that retries; and markup that stays text."""
    async with (
        Sandbox(students=3, schools=1) as sandbox,
        Meitner(*sandbox.credentials, base_url=sandbox.url, quota=NO_QUOTA) as meitner,
    ):
        unit = await meitner.units.update(sandbox.records("units")[0].id, title=SCRIPT)

        await browser.open(sandbox.origin)
        await browser.click(".opblock-tag", "units")
        await browser.click(".opblock-summary", "One record")
        await browser.click("button.try-out__btn")
        await browser.click("button.execute")
        await browser.find(".live-responses-table .response-col_status", "200")
        await browser.find(".live-responses-table .response-col_description", "window.stolen=1")
        assert sandbox.requests[-1] == ("GET", f"/unit/{unit.id}", 200)
        assert sandbox.requests[-1].headers["User-Agent"].startswith("Mozilla/")

        await browser.open(f"{sandbox.origin}/requests")
        await browser.find("td.path", f"/unit/{unit.id}")
        await browser.click("button.fault", "503")
        await browser.find(".chip", "503")
        assert await meitner.units.get(unit.id) == unit
        await browser.find("td.status", "503")
        assert (await call(sandbox, "GET", f"/{SCRIPT}")).status == 404
        await browser.find("td.path", SCRIPT)
        rows = await browser.run("return [...document.querySelectorAll('td.status')].map(one => one.innerText)")
        assert rows[:3] == ["404", "200", "503"]
        assert await browser.run("return window.stolen ?? null") is None

        await browser.click("button", "Clear")
        await browser.find("#empty", "No request yet")
        assert not sandbox.requests
        await browser.open("about:blank")  # a page that still asks would complain of a sandbox that is gone


ATTACK = """
<iframe id=frame src="SANDBOX/requests"></iframe>
<form id=form method=post enctype="text/plain" action="SANDBOX/faults.json" target=into>
<input name='{"fault": "503", "x": "' value='"}'></form><iframe name=into></iframe>
<script src="SANDBOX/-/explorer.json"></script><script src="SANDBOX/requests.json"></script>
<script>
const order = (url, type, more) =>
  fetch(url, {method: "POST", body: '{"fault": "503"}', headers: {"Content-Type": type}, ...more})
    .then((answer) => answer.type + answer.status, () => "refused");
const read = (url) => fetch(url).then((answer) => answer.text(), () => "refused");
document.getElementById("form").submit();
Promise.all([
  order("SANDBOX/faults.json", "application/json"),
  order("SANDBOX/faults.json", "text/plain", {mode: "no-cors"}),
  read("SANDBOX/requests.json"), read("SANDBOX/-/explorer.json"), read("SANDBOX/directory/v1/unit"),
]).then((came) => (document.title = came.join(" ")));
</script>
"""


async def test_another_site_gets_nothing() -> None:
    """By a form, a script, a frame or an included file; nor as a name that was made to lead to this machine."""
    require_browser()

    async def attack(_request: web.Request) -> web.Response:
        return web.Response(text=ATTACK.replace("SANDBOX", sandbox.origin), content_type="text/html")

    site = web.Application()
    site.router.add_get("/", attack)
    runner = web.AppRunner(site)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with (
            Sandbox(students=3) as sandbox,
            Browser("--host-resolver-rules=MAP evil.example 127.0.0.1") as browser,
        ):
            for host in ("localhost", "evil.example"):
                await browser.open(f"http://{host}:{port}/")
                await browser.hear("document.title.includes('refused')")
                assert await browser.run("return document.title") == " ".join(["refused"] * 5)
                assert await browser.run("try { return frame.contentDocument } catch { return null }") is None
            assert sandbox._faults.armed == []

            rebound = sandbox.origin.replace("127.0.0.1", "evil.example")
            await browser.open(f"{rebound}/requests")
            assert "under no other name" in await browser.run("return document.body.innerText")
            await browser.open(f"{rebound}/openapi.json")
            tried = "return Promise.all([fetch('/requests.json'), fetch('/-/explorer.json'), fetch('/faults.json', {method: 'POST', body: '{\"fault\": \"503\"}', headers: {'Content-Type': 'application/json'}})]).then((all) => all.map((one) => one.status))"
            assert await browser.run(tried) == [421, 421, 421]
            assert sandbox._faults.armed == []
    finally:
        await runner.cleanup()
