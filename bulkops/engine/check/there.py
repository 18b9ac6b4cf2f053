"""
What only the organisation can tell: whether it takes the token, what it has, what is left.

Every answer is read for what it shows and never for what it does not: what a token may not see is
`unknown`, unless a run would need to see it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from math import inf
from typing import Final

from bulkops.engine.check.answers import code_of, names_in, status_of, why
from bulkops.engine.check.books import our_credits
from bulkops.engine.check.findings import Finding, State, Wants
from bulkops.engine.rig import Few, few_calls
from bulkops.errors import AuthError, ExitCode, PausedError, UsageError
from bulkops.files.config import Config
from bulkops.files.products import EDITIONS, host_of
from bulkops.files.token_cache import Token
from bulkops.model import Exchange, NoReply, Reply, Request
from bulkops.rules.verdicts import RIGHT_CODES, TOKEN_CODES

#: Modules that are asked for; a check is to cost little.
_MOST_MODULES: Final = 10
#: Calls that a check makes at most: two for each module, and what every check asks.
_MOST_CALLS: Final = 2 * _MOST_MODULES + 8
#: A clock that is off by more than this misleads windows, tokens and the ledger of credits.
_CLOCK_S: Final = 60.0


async def look_there(
    config: Config,
    wants: Wants,
    *,
    remember_secret: Callable[[str], None],
    clock: Callable[[], float] = time.time,
) -> list[Finding]:
    """Return what the organisation tells; stops at what makes the rest pointless."""
    findings: list[Finding] = []
    try:
        async with few_calls(config, most=_MOST_CALLS, remember_secret=remember_secret) as few:
            async for each in _Desk(config, few, clock).findings(wants):
                findings.append(each)  # noqa: PERF401  (what was found before an error stays)
    except AuthError as error:
        findings.append(Finding("token", State.WRONG, str(error), "bulkops login", error.exit_code))
    except UsageError as error:
        findings.append(Finding("token", State.WRONG, str(error), "", error.exit_code))
    except PausedError as error:
        findings.append(Finding("reach", State.WRONG, str(error), "", error.exit_code))
    findings.append(our_credits(config, clock()))
    return findings


class _Desk:
    """Asks an organisation one thing after the other."""

    def __init__(self, config: Config, few: Few, clock: Callable[[], float]) -> None:
        self._config = config
        self._few = few
        self._clock = clock
        self._scope = "ZohoBigin" if config.api.product == "bigin" else "ZohoCRM"
        self._remaining: int | None = None

    async def findings(self, wants: Wants) -> AsyncIterator[Finding]:
        """Yield all findings in turn."""
        token = await self._few.tokens.token()
        words = "taken as it is given; the next call shows whether it is good"
        if _ends(token):
            until = datetime.fromtimestamp(token.expires_at).strftime("%H:%M")
            words = f"granted, good until {until}"
        yield Finding("token", State.OK, words)
        yield self._data_centre(token.api_domain)
        began = self._clock()
        organisation = await self._ask("org")
        yield _reach(organisation)
        if isinstance(organisation, NoReply) or code_of(organisation) in TOKEN_CODES:
            return
        yield self._clocks(organisation, began, self._clock())
        yield self._edition(organisation)
        async for each in self._modules(wants):
            yield each
        async for each in self._lists(wants):
            yield each
        for module in wants.modules[:_MOST_MODULES]:
            yield self._rights(module, await self._ask(module, fields="id", per_page="1"))
        if wants.territories:
            yield self._territories(await self._ask("settings/territories", per_page="1"))
        if self._remaining is not None:
            left = f"the server says that {self._remaining:,} of the day's credits are left"
            yield Finding("credits", State.OK if self._remaining else State.LOOK, left)

    async def _ask(self, path: str, **query: str) -> Exchange:
        """Read something, with another token if the one that was kept has been revoked."""
        api = self._config.api
        request = Request("GET", f"/{api.product}/{api.version}/{path}", query)
        token = await self._few.wire.token()
        exchange = await self._few.wire.call(request, token)
        if status_of(exchange) == 401 and code_of(exchange) in TOKEN_CODES:
            await self._few.wire.refresh(token.value)
            exchange = await self._few.wire.call(request, await self._few.wire.token())
        if isinstance(exchange, Reply):
            text = exchange.headers.get("X-API-CREDITS-REMAINING", "")
            self._remaining = int(text) if text.isdecimal() else self._remaining
        return exchange

    def _data_centre(self, domain: str | None) -> Finding:
        api = self._config.api
        if domain is None or host_of(domain) == host_of(api.api_url):
            return Finding("data centre", State.OK, f"calls go to {domain or api.api_url}")
        return Finding(
            "data centre",
            State.LOOK,
            f"{api.accounts_host} sends calls to {domain}, and they go there; the configuration "
            f"says {api.api_url}",
            "set api.data_center to where the organisation lives, or api.base_url",
        )

    def _clocks(self, reply: Reply, began: float, ended: float) -> Finding:
        try:
            server = parsedate_to_datetime(reply.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError):
            return Finding("clock", State.UNKNOWN, "the server does not tell its time")
        off = max(began - server, server - ended, 0.0)
        if off <= _CLOCK_S:
            return Finding("clock", State.OK, "agrees with the server's")
        where = "ahead of" if began > server else "behind"
        return Finding(
            "clock",
            State.LOOK,
            f"{off:,.0f} s {where} the server's: tokens, windows and credits go by it",
            "set this machine's clock, by NTP",
        )

    def _edition(self, reply: Reply) -> Finding:
        """Return whether the limits are those of what the organisation has bought."""
        name = self._config.limits.edition
        match reply.body:
            case {"org": [{"license_details": {"paid_type": str(told)}}, *_]}:
                real = told.lower().removeprefix("bigin-")
            case _:
                return Finding(
                    "edition",
                    State.UNKNOWN,
                    f"not told ({why(reply)}); limits.edition says {name}",
                    f"scope {self._scope}.org.READ lets bulkops compare",
                )
        if real not in EDITIONS:
            return Finding(
                "edition", State.UNKNOWN, f"told is {told!r}; limits.edition says {name}"
            )
        ours, theirs = EDITIONS[name], EDITIONS[real]
        if ours.credits > theirs.credits or ours.concurrency > theirs.concurrency:
            return Finding(
                "edition",
                State.LOOK,
                f"the organisation has {real}, limits.edition says {name}: more than it may use",
                f'set limits.edition = "{real}"',
            )
        return Finding("edition", State.OK, f"the organisation has {real}; limits are of {name}")

    async def _modules(self, wants: Wants) -> AsyncIterator[Finding]:
        reply = await self._ask("settings/modules")
        names = names_in(reply, "modules")
        if names is None:
            yield self._hidden("modules", reply, "settings.modules.READ")
            return
        if not wants.modules:
            yield Finding("modules", State.OK, f"the organisation shows {len(names):,}")
        for module in wants.modules:
            yield _there("module ", module, names)

    async def _lists(self, wants: Wants) -> AsyncIterator[Finding]:
        declared = [tuple(each.split(".")) for each in self._config.relations]
        wanted = dict.fromkeys([*wants.lists, *((module, name) for module, name in declared)])
        modules = list(dict.fromkeys(module for module, _ in wanted))
        for module in modules[:_MOST_MODULES]:
            reply = await self._ask("settings/related_lists", module=module)
            names = [] if status_of(reply) == 204 else names_in(reply, "related_lists")
            if names is None:
                yield self._hidden(
                    f"related lists of {module}", reply, "settings.related_lists.READ"
                )
                continue
            for each, name in wanted:
                if each == module:
                    yield _there(f"related list {module}.", name, names)
        if len(modules) > _MOST_MODULES:
            rest = ", ".join(modules[_MOST_MODULES:])
            yield Finding("further modules", State.UNKNOWN, f"not asked for: {rest}")

    def _rights(self, module: str, reply: Exchange) -> Finding:
        subject, code = f"rights on {module}", code_of(reply)
        if status_of(reply) in {200, 204}:
            return Finding(subject, State.OK, "may be read; writing is not tried")
        if code in RIGHT_CODES:
            mend = f"make the grant with {self._scope}.modules.ALL, by a user who may edit {module}"
            return Finding(subject, State.WRONG, why(reply), mend, ExitCode.AUTH)
        return Finding(subject, State.UNKNOWN, why(reply))

    def _territories(self, reply: Exchange) -> Finding:
        if status_of(reply) in {200, 204}:
            return Finding("territories", State.OK, "may be read")
        if code_of(reply) in RIGHT_CODES:
            mend = f"make the grant with {self._scope}.settings.territories.ALL"
            return Finding("territories", State.WRONG, why(reply), mend, ExitCode.AUTH)
        if code_of(reply) == "FEATURE_NOT_ENABLED":
            mend = "switch territories on in the organisation"
            return Finding("territories", State.WRONG, why(reply), mend, ExitCode.USAGE)
        return Finding("territories", State.UNKNOWN, why(reply))

    def _hidden(self, subject: str, reply: Exchange, scope: str) -> Finding:
        return Finding(
            subject, State.UNKNOWN, why(reply), f"scope {self._scope}.{scope} lets bulkops look"
        )


def _ends(token: Token) -> bool:
    return token.expires_at < inf


def _reach(exchange: Exchange) -> Finding:
    if isinstance(exchange, NoReply):
        return Finding(
            "reach",
            State.WRONG,
            f"no answer: {exchange.reason}",
            "check network, HTTPS_PROXY and api.ca_file",
            ExitCode.PAUSED,
        )
    if code_of(exchange) in TOKEN_CODES:
        return Finding("reach", State.WRONG, why(exchange), "bulkops login", ExitCode.AUTH)
    return Finding("reach", State.OK, "the organisation answers")


def _there(what: str, name: str, names: Iterable[str]) -> Finding:
    known = set(names)
    if name in known:
        return Finding(f"{what}{name}", State.OK, "the organisation has it")
    near = get_close_matches(name, sorted(known), n=1)
    mend = f"did you mean {near[0]}?" if near else "use its API name, as the organisation has it"
    found = "the organisation does not show it"
    return Finding(f"{what}{name}", State.WRONG, found, mend, ExitCode.USAGE)
