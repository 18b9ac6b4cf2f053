"""
What is answered at which address. Every answer is made elsewhere; here it gets its place.

| address | what |
|---|---|
| `/`, `/events` | the list of runs, a `page` of it; and each change of that |
| `/runs/NAME`, `/runs/NAME/events` | a run; and each change of it |
| `/runs/NAME/report`, `…/failed.csv`, `…/outcomes.csv` | its report, and what that leads to |
| `/api/runs`, `/api/events` | the list as JSON (`limit`, `after`); events named `runs` |
| `/api/runs/NAME`, `/api/runs/NAME/events` | a run as JSON; events named `run` |
| `/api/runs/NAME/outcomes` | its outcomes: `status`, `limit`, `after`, `format` |
| `/metrics` | for Prometheus |
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import duckdb
import orjson
from aiohttp import web

from bulkops.engine.serve import reports
from bulkops.engine.serve.desk import Desk
from bulkops.engine.serve.guard import Guard, Handler, seal
from bulkops.engine.serve.listing import Listing
from bulkops.engine.serve.looks import Look
from bulkops.engine.serve.measures import metrics_of
from bulkops.engine.serve.outcomes import Asked, page_of, whole
from bulkops.engine.serve.pages import ASSETS, Pages, asset
from bulkops.engine.serve.streams import Event, stream
from bulkops.errors import BulkopsError, UsageError
from bulkops.files.metrics import CONTENT_TYPE
from bulkops.files.rundir import RunDirectory

_MOST_RUNS: Final = 1000
_MOST_PAGES: Final = 1_000_000
#: Headers of a refusal that whoever asked should see.
_KEPT: Final = ("Allow", "WWW-Authenticate")

OfRun = Callable[[web.Request, RunDirectory], Awaitable[web.StreamResponse]]


def application(desk: Desk, guard: Guard) -> web.Application:
    """Return the server of the pages of a desk, behind a guard."""
    site = _Site(desk, Pages(str(desk.folder.path)))
    app = web.Application(middlewares=[_guarded(guard, site)])
    app.on_response_prepare.append(seal)
    app.add_routes(
        [
            web.get("/", site.list_page),
            web.get("/events", site.list_events),
            web.get("/runs/{name}", site.of_run(site.run_page)),
            web.get("/runs/{name}/events", site.of_run(site.run_events)),
            web.get("/runs/{name}/report", site.of_run(site.report)),
            web.get(
                f"/runs/{{name}}/{{file:{'|'.join(reports.DOWNLOADS)}}}", site.of_run(site.download)
            ),
            web.get("/api/runs", site.list_json),
            web.get("/api/events", site.list_json_events),
            web.get("/api/runs/{name}", site.of_run(site.run_json)),
            web.get("/api/runs/{name}/events", site.of_run(site.run_json_events)),
            web.get("/api/runs/{name}/outcomes", site.of_run(site.outcomes)),
            web.get("/metrics", site.metrics),
            web.get("/favicon.ico", site.icon),
            web.get(f"/assets/{{name:{'|'.join(ASSETS)}}}", site.asset),
        ]
    )
    return app


def _guarded(guard: Guard, site: _Site) -> Any:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask the guard first, and say what went wrong in words: a page, or JSON for programs."""
        try:
            guard.check(request)
            if request.match_info.http_exception is None and (welcome := guard.welcome(request)):
                return welcome
            return await handler(request)
        except web.HTTPException as error:
            kept = {name: each for name, each in error.headers.items() if name in _KEPT}
            return site.refusal(request, error.status, error.text or error.reason, kept)
        except UsageError as error:
            return site.refusal(request, web.HTTPBadRequest.status_code, str(error))
        except (BulkopsError, OSError, duckdb.Error) as error:
            return site.refusal(request, web.HTTPInternalServerError.status_code, str(error))

    return guarded


class _Site:
    """
    The answers of a desk: its values as pages, as JSON, and as events.
    """

    def __init__(self, desk: Desk, pages: Pages) -> None:
        self._desk = desk
        self._pages = pages

    def of_run(self, answer: OfRun) -> Handler:
        """Return what answers for the run that the address names, if there is one."""

        async def find(request: web.Request) -> web.StreamResponse:
            name = request.match_info["name"]
            run = await self._desk.in_thread(lambda: self._desk.folder.find(name))
            if run is None:
                raise web.HTTPNotFound(text="There is no run of that name here.")
            return await answer(request, run)

        return find

    def refusal(
        self, request: web.Request, status: int, words: str, headers: dict[str, str] | None = None
    ) -> web.Response:
        """Return the answer to what cannot be answered."""
        if request.path.startswith("/api/"):
            return _json({"v": 1, "error": words}, status=status, headers=headers)
        title = "Not found" if status == web.HTTPNotFound.status_code else "Not possible"
        page = self._pages.error_page(title, words)
        return web.Response(text=page, content_type="text/html", status=status, headers=headers)

    async def list_page(self, request: web.Request) -> web.StreamResponse:
        """Answer with the page of the list."""
        page = _page_of(request)
        text = self._pages.list_page(await self._desk.runs.latest(), page, whole=True)
        return web.Response(text=text, content_type="text/html")

    async def list_events(self, request: web.Request) -> web.StreamResponse:
        """Answer with a page of the list, each time it changes."""
        page = _page_of(request)
        return await self._stream_list(
            request, lambda each: Event("page", self._pages.list_page(each, page, whole=False))
        )

    async def list_json(self, request: web.Request) -> web.StreamResponse:
        """Answer with the list as JSON."""
        limit, after = _part_of(request)
        return _json((await self._desk.runs.latest()).to_json(limit=limit, after=after))

    async def list_json_events(self, request: web.Request) -> web.StreamResponse:
        """Answer with the list as JSON, each time it changes."""
        limit, after = _part_of(request)
        return await self._stream_list(
            request, lambda each: Event("runs", _line(each.to_json(limit=limit, after=after)))
        )

    async def _stream_list(
        self, request: web.Request, event_of: Callable[[Listing], Event]
    ) -> web.StreamResponse:
        desk = self._desk
        return await stream(request, desk.runs, event_of, ended=desk.ended, alive_s=desk.alive_s)

    async def run_page(self, _: web.Request, run: RunDirectory) -> web.StreamResponse:
        """Answer with the live page of a run."""
        look = await self._desk.of_run(run).latest()
        return web.Response(text=self._pages.run_page(look, whole=True), content_type="text/html")

    async def run_events(self, request: web.Request, run: RunDirectory) -> web.StreamResponse:
        """Answer with the page of a run, each time it changes, until it is finished."""
        return await self._stream_run(
            request,
            run,
            lambda each: Event("page", self._pages.run_page(each, whole=False), each.is_over),
        )

    async def run_json(self, _: web.Request, run: RunDirectory) -> web.StreamResponse:
        """Answer with where a run stands, as JSON."""
        return _json((await self._desk.of_run(run).latest()).to_json())

    async def run_json_events(self, request: web.Request, run: RunDirectory) -> web.StreamResponse:
        """Answer with where a run stands as JSON, each time it changes, until it is finished."""
        return await self._stream_run(
            request, run, lambda each: Event("run", _line(each.to_json()), each.is_over)
        )

    async def _stream_run(
        self, request: web.Request, run: RunDirectory, event_of: Callable[[Look], Event]
    ) -> web.StreamResponse:
        desk = self._desk
        feed = desk.of_run(run)
        return await stream(request, feed, event_of, ended=desk.ended, alive_s=desk.alive_s)

    async def report(self, _: web.Request, run: RunDirectory) -> web.StreamResponse:
        """Answer with the report of a run."""
        content = await self._desk.in_turn(lambda: self._desk.reports.read(run))
        if content is None:
            raise web.HTTPNotFound(
                text="There is no report yet: a run writes it when its process ends. "
                "`bulkops report` makes one of what there is so far."
            )
        headers = {"Content-Security-Policy": reports.POLICY}
        return web.Response(
            body=content, content_type="text/html", charset="utf-8", headers=headers
        )

    async def download(self, request: web.Request, run: RunDirectory) -> web.StreamResponse:
        """Answer with a file that a report leads to."""
        name = request.match_info["file"]
        file = run.path / name
        if file.is_symlink() or not file.is_file():
            raise web.HTTPNotFound(text=f"There is no {name} yet: a run writes it at its end.")
        return web.FileResponse(
            file,
            headers={
                "Content-Type": "text/csv; charset=utf-8",
                "Content-Disposition": f'attachment; filename="{name}"',
            },
        )

    async def outcomes(self, request: web.Request, run: RunDirectory) -> web.StreamResponse:
        """Answer with what became of the rows, a page of it."""
        asked = Asked.of(request.query)
        page = await self._desk.in_turn(lambda: page_of(run, asked, folder=self._desk.aside))
        if not asked.lines:
            return web.Response(body=page.to_json(), content_type="application/json")
        headers = {}
        if page.next is not None:
            target = request.rel_url.update_query(after=str(page.next))
            headers["Link"] = f'<{target}>; rel="next"'
        return web.Response(
            body=b"".join(page.to_lines()), content_type="application/x-ndjson", headers=headers
        )

    async def metrics(self, _: web.Request) -> web.StreamResponse:
        """Answer with the metrics of the folder."""
        text = metrics_of(await self._desk.runs.latest(), now=time.time())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def icon(self, _: web.Request) -> web.StreamResponse:
        """Answer with our icon, where browsers look for one that a page does not name."""
        return _asset("icon.svg")

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """Answer with a file of ours."""
        return _asset(request.match_info["name"])


def _asset(name: str) -> web.Response:
    return web.Response(body=asset(name), content_type=ASSETS[name], charset="utf-8")


def _page_of(request: web.Request) -> int:
    return whole(request.query, "page", usual=1, least=1, most=_MOST_PAGES)


def _part_of(request: web.Request) -> tuple[int, int]:
    limit = whole(request.query, "limit", usual=_MOST_RUNS, least=1, most=_MOST_RUNS)
    return limit, whole(request.query, "after", usual=0, least=0, most=_MOST_PAGES)


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _line(value: Any) -> str:
    return orjson.dumps(value).decode()
