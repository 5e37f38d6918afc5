"""A real Redis server for tests, on a free port of loopback, which keeps nothing on disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import Self

import pytest

_BINARY = shutil.which("redis-server")
_PATIENCE = 10.0


def require_redis() -> None:
    """Skip the test on a machine without Redis, and say what is missing; fail where all tests have to run."""
    if _BINARY is None:
        missing = "redis-server is not installed: apt-get install redis-server"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)


class RedisServer:
    """One server process of our own."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        for _ in range(5):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            if self.start():
                return self
        raise RuntimeError("no port was free")

    def start(self) -> bool:
        """Run the server on its port; False when somebody else took it meanwhile."""
        assert _BINARY is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *self._options]
        self._process = subprocess.Popen(  # noqa: S603 - a server of our own
            [_BINARY, *options], cwd=self._folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends and self._process.poll() is None:
            if self._answers():
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
            connection.sendall(b"INFO server\r\n")
            said = connection.recv(4096)
            return f"process_id:{self._process.pid}".encode() in said  # type: ignore[union-attr]
        return False

    def stop(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it answer nothing, and keep its connections, as a host that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()
