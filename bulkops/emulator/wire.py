"""An answer on its way out: as JSON, as something broken, or as a cut connection."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from aiohttp import web

from bulkops.emulator.call import Answer, Successes
from bulkops.emulator.faults.fault import FaultKind

_JSON = "application/json"
_HTML = "text/html"


class Delivery(NamedTuple):
    """An answer, a raw body in place of its JSON, and what becomes of the connection."""

    answer: Answer
    raw: bytes | None = None
    cut: FaultKind | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the client gets no status at all."""
        return self.cut in {FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER}


async def deliver(request: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
    """Send the answer, or what is left of it."""
    answer = delivery.answer
    if delivery.is_silent:
        _abort(request)
        return web.Response()
    if delivery.raw is not None:
        body = delivery.raw
    elif isinstance(answer.payload, Successes):
        body = answer.payload.json()
    else:
        body = b"" if answer.payload is None else orjson.dumps(answer.payload)
    content_type = _JSON if delivery.raw is None else _HTML
    if delivery.cut is FaultKind.CUT_BODY:
        return await _cut_body(request, answer, body)
    if delivery.cut is FaultKind.TRUNCATED:
        body = body[: len(body) // 2]
    response = web.Response(
        status=answer.status,
        body=body,
        headers=answer.headers,
        content_type=content_type if body else None,
    )
    if delivery.cut is FaultKind.CLOSE_AFTER:
        await response.prepare(request)
        await response.write_eof()
        transport = request.transport
        if transport is not None:
            transport.close()
    return response


async def _cut_body(request: web.BaseRequest, answer: Answer, body: bytes) -> web.StreamResponse:
    """Promise the whole body, send half of it, cut."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = _JSON
    response.content_length = len(body) or 1
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _abort(request, flush=True)
    return response


def _abort(request: web.BaseRequest, *, flush: bool = False) -> None:
    """Cut the connection, without waiting for anybody."""
    transport = request.transport
    if transport is None:
        return
    if flush:
        transport.close()
    else:
        transport.abort()
