"""Everything the emulator knows: organisations, and whose access token is whose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bulkops.emulator.state.clients import Client
from bulkops.emulator.state.organisation import Organisation

DEFAULT_CLIENT_ID = "emulator-client"
DEFAULT_CLIENT_SECRET = "emulator-secret"  # noqa: S105 - a fixed public value, not a secret
DEFAULT_REFRESH_TOKEN = "emulator-refresh"  # noqa: S105
DEFAULT_GRANT_CODE = "emulator-grant"
DEFAULT_ACCESS_TOKEN = "emulator-access"  # noqa: S105


def default_client() -> Client:
    """The app of an organisation whose seed names none."""
    return Client(
        client_id=DEFAULT_CLIENT_ID,
        client_secret=DEFAULT_CLIENT_SECRET,
        refresh_token=DEFAULT_REFRESH_TOKEN,
        access_token=DEFAULT_ACCESS_TOKEN,
        grant_codes=(DEFAULT_GRANT_CODE,),
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """An app and one of its access tokens; made once for all calls with that token."""

    organisation: Organisation
    client: Client
    token: str


@dataclass(slots=True)
class World:
    """The state of one emulator. A new world has one empty organisation with the default app."""

    organisations: dict[str, Organisation] = field(default_factory=dict)
    _callers: dict[str, Caller] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.organisations:
            self.organisations["default"] = Organisation()
        for organisation in self.organisations.values():
            if not organisation.clients:
                client = default_client()
                organisation.clients[client.client_id] = client
        self._index()

    def _index(self) -> None:
        callers: dict[str, Caller] = {}
        seen: set[str] = set()
        for organisation, client in self.clients():
            if client.client_id in seen:
                raise ValueError(f"client id {client.client_id!r} belongs to two organisations")
            seen.add(client.client_id)
            for token in (client.access_token, *client.live):
                if token and token in callers:
                    raise ValueError("an access token belongs to two clients")
                if token:
                    callers[token] = Caller(organisation, client, token)
        self._callers = callers

    @property
    def organisation(self) -> Organisation:
        """The first organisation: the only one, in most tests."""
        return next(iter(self.organisations.values()))

    def clients(self) -> Iterator[tuple[Organisation, Client]]:
        """Every app with its organisation."""
        for organisation in self.organisations.values():
            for client in organisation.clients.values():
                yield organisation, client

    def find_client(self, client_id: str) -> tuple[Organisation, Client] | None:
        """The app of this client id, with its organisation."""
        for organisation, client in self.clients():
            if client.client_id == client_id:
                return organisation, client
        return None

    def caller(self, token: str) -> Caller | None:
        """Whose token this is, whether or not it is still good."""
        return self._callers.get(token)

    def issued(
        self, token: str, organisation: Organisation, client: Client, ended: list[str]
    ) -> None:
        """Know a new token, and forget the ones it ended."""
        for old in ended:
            self._callers.pop(old, None)
        self._callers[token] = Caller(organisation, client, token)

    def replace_with(self, other: World) -> None:
        """Take over the state of another world; tokens issued so far stop working."""
        self.organisations = other.organisations
        self._index()

    def run_due_jobs(self, now: float) -> int:
        """End the jobs of every organisation whose time has come."""
        changed = 0
        for each in self.organisations.values():
            if each.jobs.is_any_due(now):
                changed += each.run_due_jobs(now)
        return changed
