"""An answer on its way out: as JSON, as something broken, or as a cut connection."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from aiohttp import web

from bulkops.emulator.at_once import AtOnce, suits
from bulkops.emulator.call import Answer, Successes
from bulkops.emulator.faults.fault import FaultKind

_JSON = "application/json"
_HTML = "text/html"
_SILENT = frozenset({FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER})


class Delivery(NamedTuple):
    """An answer, a raw body in place of its JSON, and what becomes of the connection."""

    answer: Answer
    raw: bytes | None = None
    cut: FaultKind | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the client gets no status at all."""
        return self.cut is not None and self.cut in _SILENT

    @property
    def is_common(self) -> bool:
        """Whether it is what `AtOnce` can send: JSON, whole, and nothing to be said in the head."""
        answer, raw, cut = self
        return (
            raw is None
            and cut is None
            and answer.status == 200
            and answer.payload is not None
            and not answer.headers
        )

    def body(self) -> bytes:
        """The whole body, before anything is cut from it."""
        if self.raw is not None:
            return self.raw
        payload = self.answer.payload
        if isinstance(payload, Successes):
            return payload.json()
        return b"" if payload is None else orjson.dumps(payload)

    def response(self, body: bytes) -> web.Response:
        """The response with this body."""
        content_type = _JSON if self.raw is None else _HTML
        return web.Response(
            status=self.answer.status,
            body=body,
            headers=self.answer.headers,
            content_type=content_type if body else None,
        )


async def deliver(request: web.BaseRequest, delivery: Delivery) -> web.StreamResponse:
    """Send the answer, or what is left of it."""
    if delivery.is_common and suits(request):
        return AtOnce(delivery.body())
    if delivery.is_silent:
        _abort(request)
        return web.Response()
    body = delivery.body()
    if delivery.cut is FaultKind.CUT_BODY:
        return await _cut_body(request, delivery.answer, body)
    if delivery.cut is FaultKind.TRUNCATED:
        body = body[: len(body) // 2]
    response = delivery.response(body)
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
