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

from lacking import lacking

_BINARY = shutil.which("redis-server")
_PATIENCE = 10.0

_WITH_US = '"$@" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $!'
"""A shell that runs a server, says its id, and kills it when nobody holds our end of the pipe any more: however the
tests end, killed ones too, no server outlives them."""


def require_redis() -> None:
    """Skip the test on a machine without Redis, and say what is missing; fail where all tests have to run."""
    if _BINARY is None:
        lacking("redis-server is not installed: apt-get install redis-server")


class RedisServer:
    """One server process of our own."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self.port = self._id = 0
        self._shell: subprocess.Popen[bytes] | None = None

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
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _WITH_US, "sh", _BINARY, *options],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._shell.stdout is not None
        self._id = int(self._shell.stdout.readline())
        ends = time.monotonic() + _PATIENCE
        while not self._answers():
            if time.monotonic() > ends:
                self.stop()
                return False
            time.sleep(0.01)
        return True

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
            connection.sendall(b"INFO server\r\n")
            said = connection.recv(4096)
            return f"process_id:{self._id}\r".encode() in said
        return False

    def stop(self) -> None:
        """End it at once, as a crash does."""
        if self._shell is not None:
            self._shell.communicate()
            self._shell = None

    def pause(self) -> None:
        """Let it answer nothing, and keep its connections, as a host that hangs."""
        os.kill(self._id, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        os.kill(self._id, signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()
