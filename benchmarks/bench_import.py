"""What does it cost to start? Fresh interpreters that import, and do nothing else; all is compiled to byte code before.

Peers: the four libraries that this client is made with; its import, which leaves aiohttp for later; its import and a
client, which needs all of them; the official client's import, lazy as well, and one with a resource; and nothing: the
interpreter's own start, which is part of every number.

    python benchmarks/bench_import.py
"""

from __future__ import annotations

import sys
from functools import partial

from _harness import SIZE, Cost, child, compile_first, counted, interleave, report

ROUNDS = 15

PEERS = {
    "the four libraries": "import aiohttp, msgspec, aiolimiter, tenacity",
    "import of a client": "from meitner_aio import Meitner",
    "meitner_aio and a client": "import meitner_aio; meitner_aio.Meitner(client_credentials='a', client_secret='b')",
    "import meitner": "import meitner",
    "meitner (official) and a client": "import meitner; meitner.Meitner(server_url='http://127.0.0.1:9').students",
    "nothing": "pass",
}


def _started(code: str) -> Cost:
    command = [sys.executable, "-c", code]
    return counted(command)[0] if SIZE == "counted" else child(command)[0]


if __name__ == "__main__":
    compile_first(["-c", code] for code in PEERS.values())
    costs = interleave({name: partial(_started, code) for name, code in PEERS.items()}, ROUNDS)
    report("import", "Starting an interpreter", costs, unit="ms a start", scale=1e3)
