"""Many profiles in a process that is ended by a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from test_cli_process import DEADLINE, _start

from meitner_aio.sandbox import Sandbox


async def test_a_stopped_export_says_how_to_go_on(tmp_path):
    """The command that was typed with --resume, and the code of an interrupt; what was read of each is kept."""
    sandboxes = [Sandbox(students=50, schools=2, seed=seed, latency=0.3) for seed in (1, 2)]
    async with contextlib.AsyncExitStack() as stack:
        for one in sandboxes:
            await stack.enter_async_context(one)
        settings = tmp_path / "meitner-aio" / "config.toml"
        settings.parent.mkdir()
        settings.write_text(
            "".join(
                f'[kommun-{seed}]\nbase_url = "{one.url}"\nclient_credentials = "any"\nclient_secret = "any"\n'
                for seed, one in enumerate(sandboxes)
            )
        )
        settings.chmod(0o600)
        to = tmp_path / "out"
        words = (
            "export",
            "students",
            "--profile",
            "kommun-*",
            "--to",
            str(to),
            "--page-size",
            "1",
            "--concurrency",
            "1",
        )
        with _start(*words, environment={"XDG_CONFIG_HOME": str(tmp_path)}) as process:
            async with asyncio.timeout(DEADLINE):
                while not all(len(one.requests) > 2 for one in sandboxes):
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            _, err = await asyncio.to_thread(process.communicate, timeout=DEADLINE)
        assert process.returncode == 130
        assert f"--profile 'kommun-*' --to {to} --page-size 1 --concurrency 1 --resume" in err.decode()
        assert all((to / f"kommun-{seed}" / "students.journal").exists() for seed in range(2))
