"""A headless Chromium, driven over the W3C WebDriver protocol: JSON over HTTP, which needs no library of its own."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from typing import Any, Self

import aiohttp
from lacking import lacking

_PATIENCE = 40.0
"""Seconds until a browser that hangs fails the test; a script that finds nothing is given up after 30."""

_WITH_US = '"$@" & read -r _; kill -TERM $!; wait $!'
"""A shell that ends the driver, and so the browser, when nobody holds our end of the pipe any more."""

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
    "--window-size=1280,900", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
)  # fmt: skip
_FOUND = "element-6066-11e4-a52e-4f735466cecf"
"""The name of an element's id (W3C WebDriver, 12.1)."""

_SEEN = (
    "[...document.querySelectorAll(rest[0])]"
    ".find((one) => one.getClientRects().length && one.textContent.includes(rest[1]))"
)


def require_browser() -> None:
    """Skip the test on a machine without Chromium, and say what is missing; fail where all tests have to run."""
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        lacking("chromium and its driver are not installed: apt-get install chromium chromium-driver")


class Browser:
    """One browser with one window and a profile of its own."""

    def __init__(self, *more: str) -> None:
        """`more` are flags of Chromium."""
        self._more = more
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._session = ""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", _WITH_US, "sh", "chromedriver", "--port=0",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE))
        try:
            self._url = f"http://127.0.0.1:{await self._port()}/session"
            flags = [*_FLAGS, *self._more, f"--user-data-dir={self._folder.name}"]
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": flags, "binary": shutil.which("chromium")},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            made = await self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/{made['sessionId']}"
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _port(self) -> str:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if b"started successfully on port" in line:
                return line.rpartition(b"port ")[2].strip(b" .\n").decode()
        raise RuntimeError("the driver of the browser did not start")

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._session:
                await self._ask("DELETE", "")
        finally:
            await self._http.close()
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
            self._folder.cleanup()

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = {"json": {} if body is None else body} if method == "POST" else {}
        async with self._http.request(method, f"{self._url}{self._session}{path}", **data) as answer:
            value = (await answer.json())["value"]
            if answer.status != 200:
                raise RuntimeError(f"{value['error']}: {value['message'].partition(chr(10))[0]}")
            return value

    async def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        await self._ask("POST", "/url", {"url": url})

    async def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page, and return what it returns."""
        return await self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    async def find(self, selector: str, text: str = "") -> str:
        """Return the first element of a CSS selector that is seen and has a text, as soon as there is one."""
        return (await self.hear(_SEEN, selector, text))[_FOUND]

    async def hear(self, wanted: str, *rest: object) -> Any:
        """Return what an expression of JavaScript is, as soon as it is something."""
        script = f"const rest = [...arguments], done = rest.pop(); const look = () => {{ const found = {wanted}; found ? done(found) : setTimeout(look, 20) }}; look()"
        return await self._ask("POST", "/execute/async", {"script": script, "args": rest})

    async def click(self, selector: str, text: str = "") -> None:
        """Click on an element, as a person does: it must be seen, and not be covered."""
        element = await self.find(selector, text)
        await self.run("arguments[0].scrollIntoView({block: 'center'})", {_FOUND: element})
        await self._ask("POST", f"/element/{element}/click")

    async def requested(self) -> list[str]:
        """Return the addresses that the browser asked for since this was last asked."""
        entries = [json.loads(one["message"])["message"] for one in await self._log("performance")]
        return [one["params"]["request"]["url"] for one in entries if one["method"] == "Network.requestWillBeSent"]

    async def complaints(self) -> list[str]:
        """Return what the console has said since this was last asked: errors of scripts, and of the security policy."""
        return [one["message"] for one in await self._log("browser")]

    async def _log(self, kind: str) -> list[dict[str, Any]]:
        return await self._ask("POST", "/se/log", {"type": kind})
