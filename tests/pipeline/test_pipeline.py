"""The order of the stages."""

from __future__ import annotations

from scripted_send import Script, request, said

from meitner_aio._pipeline.pipeline import Stage, pipeline
from meitner_aio._wire.messages import RawResponse, Request, Send


async def test_the_first_stage_is_the_outermost() -> None:
    """Requests pass the stages from the first to the last, answers from the last to the first; None is no stage."""
    told: list[str] = []

    def stage(name: str) -> Stage:
        def around(send: Send) -> Send:
            async def sent(request: Request) -> RawResponse:
                told.append(f"{name} asks")
                answer = await send(request)
                told.append(f"{name} answers")
                return answer

            return sent

        return around

    await pipeline((stage("retry"), None, stage("sign")), Script(said(200)))(request())
    assert told == ["retry asks", "sign asks", "sign answers", "retry answers"]


async def test_without_stages_the_transport_is_left() -> None:
    """An empty pipeline adds nothing."""
    transport = Script(said(200))
    assert pipeline((), transport) is transport
