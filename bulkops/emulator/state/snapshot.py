"""Write a world as JSON data, in the form `seed` reads: reading it back gives the same world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bulkops.emulator.state.clients import Client
from bulkops.emulator.state.jobs import Job
from bulkops.emulator.state.organisation import Organisation
from bulkops.emulator.state.relations import Side
from bulkops.emulator.state.seed import RIGHTS_SETS, ROLE_SIDES
from bulkops.emulator.state.world import World


def write_world(world: World) -> dict[str, Any]:
    """The world as JSON data, in the form `world_from` reads."""
    if len(world.organisations) == 1:
        return write_organisation(world.organisation)
    return {
        "organisations": {
            name: write_organisation(each) for name, each in world.organisations.items()
        }
    }


def write_organisation(held: Organisation, *, running: bool = False) -> dict[str, Any]:
    """One organisation as JSON data; `running`: with live tokens and used credits."""
    relations: dict[str, Any] = {}
    for left in _left_sides(held):
        for parent in left.parents():
            links = left.related(parent)
            plain = all(fields is None for fields in links.values())
            relations[f"{left.module}/{parent}/{left.name}"] = list(links) if plain else links
    roles = held.sides["Deals", "Contact_Roles"]
    return {
        "name": held.name,
        "id": held.id,
        "edition": held.edition,
        "users": held.users,
        "clients": [_client(each, running=running) for each in held.clients.values()],
        "records": {
            module: list(table) if not any(table.values()) else table
            for module, table in held.records.items()
        },
        "custom_relations": [list(each) for each in held.custom],
        "relations": relations,
        "roles": held.roles,
        "contact_roles": {
            deal: {
                contact: (fields or {})["Contact_Role"]["id"]
                for contact, fields in roles.related(deal).items()
            }
            for deal in roles.parents()
        },
        "removed_roles": sorted(held.removed_roles),
        "territories": [
            {"id": each.id, "name": each.name, "parent_id": each.parent_id}
            for each in held.territories
        ],
        "record_territories": dict(held.record_territories.modules()),
        "jobs": [write_job(job) for job in held.jobs.all_pending()],
        "rights": {
            **{name: sorted(getattr(held.rights, name)) for name in RIGHTS_SETS},
            "territory_management": held.rights.territory_management,
            "territories_for_leads": held.rights.territories_for_leads,
        },
        "last_job": held.last_job,
        **({"credits": held.credits.spent()} if running else {}),
    }


def _client(client: Client, *, running: bool) -> dict[str, Any]:
    tokens = {"issued_at": list(client.issued_at), "tokens": client.live} if running else {}
    return {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "refresh_token": client.refresh_token,
        "access_token": client.access_token,
        "scopes": list(client.scopes),
        "grant_codes": list(client.grant_codes),
        **tokens,
    }


def _left_sides(held: Organisation) -> Iterator[Side]:
    """One side of every relation that is not contact roles, one that has its table."""
    written = set(ROLE_SIDES)
    for key, side in held.sides.items():
        if key not in written and side.is_kept:
            written |= {key, (side.other, side.other_name)}
            yield side


def write_job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "module": job.module,
        "record_id": job.record_id,
        "kind": job.kind,
        "territories": list(job.territories),
        "due": job.due,
        "looks": job.looks,
        "fails": job.fails,
        "stuck": job.stuck,
    }
