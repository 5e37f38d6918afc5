"""The OpenAPI document that a server gives of itself, if it does."""

from __future__ import annotations

from ._asking import Asker
from ._findings import Undetermined
from ._pages import Row, as_object

PATH = "/openapi.json"


async def openapi(asker: Asker) -> Row:
    """Return the document; raises `Undetermined` where there is none that can be read."""
    answer = await asker.get(PATH)
    if answer.status == 404:
        raise Undetermined("the server gives no openapi.json")
    if not answer.good:
        why = f"the server answered {answer.status}" if answer.status else str(answer.error or asker.done)
        raise Undetermined(f"openapi.json: {why}")
    document = as_object(answer.data)
    if not str(document.get("openapi", "")).startswith("3.") or not isinstance(document.get("paths"), dict):
        raise Undetermined("openapi.json is no OpenAPI 3 document")
    return document
