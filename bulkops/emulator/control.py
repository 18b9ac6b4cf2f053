"""
The routes under `/_emulator/`: seed, look at the truth, read the books, turn knobs.

They are no part of the vendor's API; they are not limited, not counted and need no token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from bulkops.emulator.faults import Fault
from bulkops.emulator.intake import read_body
from bulkops.emulator.ledger import Counters, Ledger
from bulkops.emulator.service import Service
from bulkops.emulator.state.jobs import Job
from bulkops.emulator.state.seed import world_from
from bulkops.emulator.state.snapshot import write_job, write_world

PREFIX = "/_emulator/"
_LEDGER_CHUNK = 500

Control = Callable[[Service, web.BaseRequest], Awaitable[web.StreamResponse]]


async def serve_control(service: Service, request: web.BaseRequest) -> web.StreamResponse:
    """Answer one control call; a refused one gets a 400 or 404 with an `error` text."""
    control = _ROUTES.get((request.method, request.path.removeprefix(PREFIX)))
    if control is None:
        error = f"{request.method} {request.path}: unknown"
        return _json({"error": error, "known": known_routes()}, 404)
    try:
        return await control(service, request)
    except (ValueError, KeyError, TypeError, OSError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, 400)


def known_routes() -> list[str]:
    """Every control route, as `GET /_emulator/world`."""
    return sorted(f"{method} {PREFIX}{name}" for method, name in _ROUTES)


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json")


async def _body(request: web.BaseRequest) -> Any:
    return orjson.loads(await read_body(request))


async def _get_world(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    service.counters.job_effects += service.world.run_due_jobs(service.clock.now())
    return _json(write_world(service.world))


async def _seed(service: Service, request: web.BaseRequest) -> web.StreamResponse:
    service.world.replace_with(world_from(await _body(request)))
    return _json({"organisations": list(service.world.organisations)})


async def _get_ledger(service: Service, request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    await response.prepare(request)
    held: list[bytes] = []
    for line in service.ledger.lines(since=int(request.query.get("since", "0"))):
        held.append(line)
        if len(held) == _LEDGER_CHUNK:
            await response.write(b"".join(held))
            held.clear()
    await response.write(b"".join(held))
    await response.write_eof()
    return response


async def _get_counters(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    return _json(counters_json(service))


def counters_json(service: Service) -> dict[str, Any]:
    """The counters, with what is computed only when asked for."""
    now = service.clock.now()
    service.counters.job_effects += service.world.run_due_jobs(now)
    return {
        **service.counters.as_json(),
        "repeated": service.ledger.repeated(),
        "in_flight": service.in_flight.now,
        "organisations": {
            name: {
                "credits_used": each.credits.used_at(now),
                "jobs_pending": len(each.jobs),
                "jobs_ended": len(each.jobs.ended),
            }
            for name, each in service.world.organisations.items()
        },
    }


async def _reset(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    service.ledger = Ledger()
    service.counters = Counters()
    service.in_flight.peak = service.in_flight.now
    return _json({})


async def _get_behaviour(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    return _json(service.behaviour)


async def _set_behaviour(service: Service, request: web.BaseRequest) -> web.StreamResponse:
    service.behaviour = service.behaviour.changed(await _body(request))
    return _json(service.behaviour)


async def _add_faults(service: Service, request: web.BaseRequest) -> web.StreamResponse:
    data = await _body(request)
    added = [Fault.from_mapping(each) for each in (data if isinstance(data, list) else [data])]
    for fault in added:
        service.faults.add(fault)
    return _json({"faults": len(service.faults)})


async def _clear_faults(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    service.faults.clear()
    return _json({"faults": 0})


async def _advance(service: Service, request: web.BaseRequest) -> web.StreamResponse:
    now = service.clock.advance(float((await _body(request))["seconds"]))
    service.counters.job_effects += service.world.run_due_jobs(now)
    return _json({"now": now})


async def _get_jobs(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    def shown(job: Job) -> dict[str, Any]:
        return {**write_job(job), "state": job.state}

    return _json(
        {
            name: {
                "pending": [shown(job) for job in each.jobs.all_pending()],
                "ended": [shown(job) for job in each.jobs.ended],
            }
            for name, each in service.world.organisations.items()
        }
    )


async def _save(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    service.save()
    return _json({"saved": str(service.save_path)})


async def _revoke(service: Service, _: web.BaseRequest) -> web.StreamResponse:
    revoked = sum(len(client.revoke_issued()) for _, client in service.world.clients())
    return _json({"revoked": revoked})


_ROUTES: Mapping[tuple[str, str], Control] = {
    ("GET", "world"): _get_world,
    ("POST", "seed"): _seed,
    ("GET", "ledger"): _get_ledger,
    ("GET", "counters"): _get_counters,
    ("POST", "reset"): _reset,
    ("GET", "behaviour"): _get_behaviour,
    ("POST", "behaviour"): _set_behaviour,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "clock/advance"): _advance,
    ("GET", "jobs"): _get_jobs,
    ("POST", "tokens/revoke"): _revoke,
    ("POST", "save"): _save,
}
