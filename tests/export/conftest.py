"""What the tests of exports share."""

import asyncio

import pytest


@pytest.fixture
def no_threads(monkeypatch):
    """Let blocking calls block: virtual time does not wait for threads."""

    async def called(call, *given, **named):
        return call(*given, **named)

    monkeypatch.setattr(asyncio, "to_thread", called)
