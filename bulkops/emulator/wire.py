"""What sends an answer: as JSON, as something broken, or as a cut connection."""

from __future__ import annotations

from aiohttp import web

from bulkops.emulator.at_once import SENT, send_at_once, suits
from bulkops.emulator.call import Answer, Cut

_JSON = "application/json"
_HTML = "text/html"


async def deliver(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Send the answer, or what is left of it."""
    if _is_common(answer) and suits(request):
        send_at_once(request, answer.body())
        return SENT
    cut = answer.cut
    if cut is Cut.SILENT:
        _abort(request)
        return web.Response()
    body = answer.body()
    if cut is Cut.IN_BODY:
        return await _cut_body(request, answer, body)
    if cut is Cut.TRUNCATED:
        body = body[: len(body) // 2]
    response = _response(answer, body)
    if cut is Cut.AFTER:
        await response.prepare(request)
        await response.write_eof()
        transport = request.transport
        if transport is not None:
            transport.close()
    return response


def _is_common(answer: Answer) -> bool:
    """Whether it is JSON with status 200, whole, and nothing to be said in the head."""
    return (
        answer.status == 200
        and answer.raw is None
        and answer.cut is None
        and answer.payload is not None
        and not answer.headers
    )


def _response(answer: Answer, body: bytes) -> web.Response:
    """The response with this body."""
    content_type = _JSON if answer.raw is None else _HTML
    return web.Response(
        status=answer.status,
        body=body,
        headers=answer.headers,
        content_type=content_type if body else None,
    )


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
