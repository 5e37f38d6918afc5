"""The page about endpoints of one's own keeps its word: its example runs."""

from __future__ import annotations

import inspect

from pages import examples, run

EXAMPLES = examples("declare.md")


async def test_the_first_example_prints_every_member_and_no_name(capsys):
    """120 rows of the sandbox, whose personal field is masked."""
    await run(EXAMPLES[0], {"__name__": "docs"})
    said = capsys.readouterr().out
    assert said.count("first_name=***") == 120
    assert "Kim" not in said


async def test_the_client_of_another_server_can_be_built():
    """With its key in a header of its own, and a lookup by keys."""
    names = {"__name__": "docs"}
    await run(EXAMPLES[2], names)
    assert await names["Key"]("a-key").headers() == {"X-Api-Key": "a-key"}
    assert list(inspect.signature(names["companies"].lookup).parameters) == ["keys"]


async def test_one_request_is_answered(meitner, capsys):
    """By an endpoint that is not declared for it; `meitner` is an open client."""
    await run(EXAMPLES[1], {"meitner": meitner})
    assert capsys.readouterr().out.startswith("200 ")


def test_every_example_is_one_of_these():
    """One that is added here has its own test."""
    assert len(EXAMPLES) == 3
