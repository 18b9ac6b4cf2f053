"""
Access tokens, against a token server on a real socket; time is passed in.

Sources: https://zoho.com/accounts/protocol/oauth/multi-dc.html and, for the odd bodies, what
users of the API report (HTTP 200 with an error, a missing `expires_in`, "Access Denied").
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from bulkops.errors import AuthError, BulkopsError, ExitCode, PausedError, UsageError
from bulkops.files.config import Config
from bulkops.files.products import API_HOSTS
from bulkops.files.token_cache import Token, default_token_cache
from bulkops.wire.auth import TokenSource, authorization

Answer = tuple[int, str]
CREDENTIALS = {
    "client_id": "1000.CLIENT",
    "client_secret": "hush-secret",
    "refresh_token": "1000.hush.refresh",
}
THROTTLED = json.dumps(
    {
        "error_description": "You have made too many requests continuously. "
        "Please try again after some time.",
        "error": "Access Denied",
        "status": "failure",
    }
)


def granted(number: int = 1, **keys: Any) -> Answer:
    """Return a good answer; a key given as `None` is left out."""
    body = {"access_token": f"1000.token.{number}", "token_type": "Bearer", "expires_in": 3600}
    return 200, json.dumps({k: v for k, v in {**body, **keys}.items() if v is not None})


@dataclass
class Accounts:
    """A token server that answers as told, then with ever new tokens, and keeps what it got."""

    answers: list[Answer] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    #: Set: answers are held back until it is.
    gate: asyncio.Event | None = None
    headers: dict[str, str] = field(default_factory=dict)
    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        self.queries.append(request.query_string)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        status, text = self.answers.pop(0) if self.answers else granted(len(self.forms))
        return web.Response(status=status, text=text, headers=self.headers)


@dataclass
class Desk:
    """Everything a test needs: the server, a clock to turn, what was slept and remembered."""

    accounts: Accounts
    session: aiohttp.ClientSession
    folder: Path
    now: float = 1_700_000_000.0
    slept: list[float] = field(default_factory=list)
    remembered: list[str] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.folder / "deep" / "tokens.json"

    def source(self, *, base_url: str = "", accounts_url: str = "", **auth: str) -> TokenSource:
        credentials = {**CREDENTIALS, "token_cache": str(self.cache), **auth}
        api = {"base_url": base_url, "accounts_url": accounts_url or self.accounts.url}
        return TokenSource(
            config=Config.model_validate({"api": api, "auth": credentials}),
            session=self.session,
            remember_secret=self.remembered.append,
            clock=lambda: self.now,
            sleep=self.sleep,
            jitter=lambda: 1.0,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def calls(self) -> int:
        return len(self.accounts.forms)


@asynccontextmanager
async def serving(accounts: Accounts) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/oauth/v2/token", accounts.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        accounts.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    accounts = Accounts()
    async with serving(accounts), aiohttp.ClientSession() as session:
        yield Desk(accounts=accounts, session=session, folder=tmp_path)


async def refused(call: Callable[[], Any], kind: type[BulkopsError]) -> str:
    """Return the words of a refusal, which never hold a secret."""
    with pytest.raises(kind) as caught:
        await call()
    told = str(caught.value)
    assert "hush" not in told
    assert "1000.token" not in told
    return told


class TestGrant:
    """The refresh token grant as the API documents it."""

    async def test_posts_a_form_and_reads_the_token(self, desk: Desk) -> None:
        """Credentials travel in the body alone; the header says `Zoho-oauthtoken`."""
        desk.accounts.answers = [granted(api_domain="https://www.zohoapis.eu")]
        token = await desk.source().token()
        assert desk.accounts.forms[0] == {"grant_type": "refresh_token", **CREDENTIALS}
        assert desk.accounts.queries == [""]
        expected = Token(
            value="1000.token.1",
            api_domain="https://www.zohoapis.eu",
            issued_at=desk.now,
            expires_at=desk.now + 3600,
        )
        assert expected == token
        assert authorization(token) == "Zoho-oauthtoken 1000.token.1"

    async def test_no_text_of_a_token_shows_it(self, desk: Desk) -> None:
        """Neither `repr` nor `str` do, and every secret is told to the log's redactor."""
        token = await desk.source().token()
        assert "1000.token" not in f"{token!r} {token}"
        assert {*CREDENTIALS.values(), token.value} == set(desk.remembered)

    @pytest.mark.parametrize(
        ("expires_in", "life"),
        [(None, 3600), ("1800", 1800), (3_600_000, 3600), ("soon", 3600), (0, 3600), (60, 60)],
    )
    async def test_expires_in_is_optional_and_never_over_an_hour(
        self, desk: Desk, expires_in: object, life: float
    ) -> None:
        """It may be missing, text, in milliseconds (old servers) or nonsense."""
        desk.accounts.answers = [granted(expires_in=expires_in)]
        token = await desk.source().token()
        assert life == token.expires_at - token.issued_at

    async def test_fifty_callers_are_one_call(self, desk: Desk) -> None:
        """Whoever comes while a token is on its way waits for that one."""
        desk.accounts.gate = asyncio.Event()
        source = desk.source()
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(source.token()) for _ in range(50)]
            await asyncio.sleep(0.02)
            desk.accounts.gate.set()
        assert {"1000.token.1"} == {caller.result().value for caller in callers}
        assert desk.calls == 1

    async def test_fifty_callers_share_a_refusal(self, desk: Desk) -> None:
        """A refusal is not asked for again by all who waited."""
        desk.accounts.answers = [(200, THROTTLED)]
        source = desk.source()
        told = await asyncio.gather(
            *(refused(source.token, PausedError) for _ in range(50)),
        )
        assert len(set(told)) == 1
        assert desk.calls == 1

    async def test_a_cancelled_caller_leaves_the_others_served(self, desk: Desk) -> None:
        """The next in line takes over."""
        desk.accounts.gate = asyncio.Event()
        source = desk.source()
        first, second = asyncio.create_task(source.token()), asyncio.create_task(source.token())
        await asyncio.sleep(0.02)
        first.cancel()
        desk.accounts.gate.set()
        assert (await second).value.startswith("1000.token.")
        assert first.cancelled()


class TestExpiry:
    """A token is renewed before it ends."""

    async def test_is_renewed_five_minutes_before_its_end(self, desk: Desk) -> None:
        """Up to then one token serves all."""
        source = desk.source()
        await source.token()
        desk.now += 3299
        assert (await source.token()).value == "1000.token.1"
        desk.now += 1
        assert (await source.token()).value == "1000.token.2"
        assert desk.calls == 2

    async def test_a_short_life_does_not_mean_a_call_for_each_caller(self, desk: Desk) -> None:
        """A token of one minute is used for three quarters of it."""
        desk.accounts.answers = [granted(1, expires_in=60), granted(2, expires_in=60)]
        source = desk.source()
        await source.token()
        desk.now += 44
        assert (await source.token()).value == "1000.token.1"
        desk.now += 1
        assert (await source.token()).value == "1000.token.2"

    async def test_an_outage_does_not_end_a_living_token(self, desk: Desk) -> None:
        """In its last five minutes the old token goes on if no new one can be had, not longer."""
        source = desk.source()
        await source.token()
        desk.now += 3400
        desk.accounts.answers = [(503, "")] * 10
        assert (await source.token()).value == "1000.token.1"
        assert (await source.token()).value == "1000.token.1"
        assert desk.calls == 6
        desk.now += 200
        await refused(source.token, PausedError)

    async def test_nobody_waits_for_a_renewal_while_the_old_one_lives(self, desk: Desk) -> None:
        """The one who renews is enough."""
        source = desk.source()
        await source.token()
        desk.now += 3400
        desk.accounts.gate = asyncio.Event()
        renewing = asyncio.create_task(source.token())
        await asyncio.sleep(0.02)
        assert (await source.token()).value == "1000.token.1"
        desk.accounts.gate.set()
        assert (await renewing).value == "1000.token.2"


class TestRejected:
    """After a 401."""

    async def test_fifty_rejections_of_one_token_are_one_call(self, desk: Desk) -> None:
        """All get the same new token, at once or late."""
        source = desk.source()
        old = await source.token()
        desk.now += 61
        desk.accounts.gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(source.refreshed(old.value)) for _ in range(50)]
            asking = group.create_task(source.token())
            await asyncio.sleep(0.02)
            desk.accounts.gate.set()
        assert {"1000.token.2"} == {caller.result().value for caller in [*callers, asking]}
        assert (await source.refreshed(old.value)).value == "1000.token.2"
        assert desk.calls == 2

    async def test_a_late_rejection_does_not_clear_a_newer_one(self, desk: Desk) -> None:
        """While the second token is replaced, nobody is given it for being refused the first."""
        source = desk.source()
        first = await source.token()
        desk.now += 61
        second = await source.refreshed(first.value)
        desk.now += 61
        desk.accounts.gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(source.refreshed(second.value))]
            await asyncio.sleep(0.02)
            callers += [group.create_task(source.refreshed(first.value))]
            await asyncio.sleep(0)
            callers += [group.create_task(source.token())]
            await asyncio.sleep(0)
            desk.accounts.gate.set()
        assert [caller.result().value for caller in callers] == ["1000.token.3"] * 3
        assert desk.calls == 3

    async def test_a_new_token_refused_is_an_error(self, desk: Desk) -> None:
        """Within a minute another one would be refused as well; after it, one is tried."""
        source = desk.source()
        old = await source.token()
        desk.now += 59
        told = await refused(lambda: source.refreshed(old.value), AuthError)
        assert "refused (401) 59 s after its issue" in told
        assert "api.data_center" in told
        await refused(source.token, AuthError)
        assert desk.calls == 1
        desk.now += 1
        assert (await source.refreshed(old.value)).value == "1000.token.2"

    async def test_a_clock_set_back_does_not_make_a_token_new(self, desk: Desk) -> None:
        """An issue in the future says nothing about its age."""
        source = desk.source()
        old = await source.token()
        desk.now -= 7200
        assert (await source.refreshed(old.value)).value == "1000.token.2"

    async def test_another_process_may_have_renewed_it(self, desk: Desk) -> None:
        """What stands in the cache is taken before a token is minted."""
        mine, theirs = desk.source(), desk.source()
        old = await mine.token()
        desk.now += 61
        assert (await theirs.refreshed(old.value)).value == "1000.token.2"
        assert (await mine.refreshed(old.value)).value == "1000.token.2"
        assert desk.calls == 2

    async def test_who_is_refused_one_takes_what_another_process_got(self, desk: Desk) -> None:
        """Ten processes start at once, and are given ten; the eleventh asks in vain."""
        source, another = desk.source(), desk.source()
        desk.accounts.answers = [(400, THROTTLED), granted(7)]
        desk.accounts.gate = asyncio.Event()
        refused = asyncio.create_task(source.token())
        await desk.accounts.asked.wait()
        asked, desk.accounts.gate = desk.accounts.gate, None
        desk.accounts.answers.reverse()
        assert (await another.token()).value == "1000.token.7"
        asked.set()
        assert (await refused).value == "1000.token.7"

    async def test_a_ready_access_token_cannot_be_renewed(self, desk: Desk) -> None:
        """It is used as it is, without a call, until it is refused."""
        source = desk.source(
            client_id="", client_secret="", refresh_token="", access_token="1000.ready"
        )
        token = await source.token()
        assert (token.value, token.api_domain) == ("1000.ready", None)
        assert desk.remembered == ["1000.ready"]
        told = await refused(lambda: source.refreshed("1000.ready"), AuthError)
        assert "BULKOPS_AUTH__REFRESH_TOKEN" in told
        assert (desk.calls, desk.cache.exists()) == (0, False)


class TestRefusals:
    """Every documented odd body."""

    @pytest.mark.parametrize(
        ("status", "error", "mend"),
        [
            (200, "invalid_code", "the refresh token is revoked, mistyped, or of another client"),
            (400, "invalid_code", "make a new one and check api.data_center"),
            (200, "invalid_client", "no such client at this data centre; check auth.client_id"),
            (200, "invalid_client_secret", "check auth.client_secret"),
            (200, "some_other_error", "check [auth], api.data_center and api.accounts_url"),
        ],
    )
    async def test_an_error_with_any_status_is_a_refusal(
        self, desk: Desk, status: int, error: str, mend: str
    ) -> None:
        """HTTP 200 says nothing; the words say what to mend. It is not asked twice."""
        desk.accounts.answers = [(status, json.dumps({"error": error}))]
        source = desk.source()
        told = await refused(source.token, AuthError)
        assert told.startswith(f"{desk.accounts.url} refuses the credentials: {error}: ")
        assert mend in told
        assert AuthError.exit_code == ExitCode.AUTH
        desk.now += 10**6
        assert told == await refused(source.token, AuthError)
        assert (desk.calls, desk.slept, desk.cache.exists()) == (1, [], False)

    @pytest.mark.parametrize(
        "answer",
        [
            (200, THROTTLED),
            (400, THROTTLED),
            (400, json.dumps({"error": "Access Denied"})),
            (429, "slow down"),
        ],
    )
    async def test_too_many_tokens_is_a_pause_of_ten_minutes(
        self, desk: Desk, answer: Answer
    ) -> None:
        """The server is left alone until then."""
        desk.accounts.answers = [answer]
        source = desk.source()
        told = await refused(source.token, PausedError)
        assert "10 minutes" in told
        assert PausedError.exit_code == ExitCode.PAUSED
        desk.now += 599
        assert told == await refused(source.token, PausedError)
        assert desk.calls == 1
        desk.now += 1
        token = await source.token()
        assert token.value == "1000.token.2"
        desk.now -= 300  # a clock set back does not bring the pause back
        assert (await source.refreshed(token.value)).value == "1000.token.3"

    @pytest.mark.parametrize(
        ("answer", "last"),
        [
            ((500, ""), "HTTP 500"),
            ((503, "<html>down</html>"), "HTTP 503"),
            ((200, "<html>maintenance</html>"), "an answer that is not JSON"),
            ((200, "[]"), "an answer that is not JSON"),
        ],
    )
    async def test_an_outage_is_tried_five_times(
        self, desk: Desk, answer: Answer, last: str
    ) -> None:
        """With growing waits; then the run is paused, and a minute later asks again."""
        desk.accounts.answers = [answer] * 5
        source = desk.source()
        told = await refused(source.token, PausedError)
        assert f"gave no token in 5 attempts, at last: {last}; run again later" in told
        assert desk.slept == [2.0, 4.0, 8.0, 16.0]
        assert told == await refused(source.token, PausedError)
        assert desk.calls == 5
        desk.now += 60
        assert (await source.token()).value == "1000.token.6"

    async def test_a_short_outage_is_not_noticed(self, desk: Desk) -> None:
        """The fifth attempt is as good as the first."""
        desk.accounts.answers = [(502, "")] * 4
        assert (await desk.source().token()).value == "1000.token.5"

    async def test_nobody_listening_is_an_outage(self, desk: Desk) -> None:
        """A refused connection is tried again like a 503."""
        nowhere = f"http://127.0.0.1:{unused_port()}"
        told = await refused(desk.source(accounts_url=nowhere).token, PausedError)
        assert "Cannot connect to host" in told
        assert len(desk.slept) == 4

    @pytest.mark.parametrize(
        "answer",
        [
            (200, "{}"),
            (404, "<html>"),
            (200, json.dumps({"access_token": ""})),
            (200, json.dumps({"access_token": "a\r\nX-Evil: 1"})),
            (200, json.dumps({"error": "\x1b[2J" + "hush" * 99})),
        ],
    )
    async def test_an_answer_without_a_token_is_no_token(self, desk: Desk, answer: Answer) -> None:
        """Nor is one that could not stand in a header; a server's words are not passed on."""
        desk.accounts.answers = [answer]
        told = await refused(desk.source().token, AuthError)
        assert f"HTTP {answer[0]} without a token" in told

    async def test_redirects_are_not_followed(self, desk: Desk) -> None:
        """Credentials go to the configured server and no further."""
        async with serving(elsewhere := Accounts()):
            desk.accounts.headers = {"Location": f"{elsewhere.url}/oauth/v2/token"}
            desk.accounts.answers = [(307, "")]
            told = await refused(desk.source().token, AuthError)
        assert "HTTP 307 without a token" in told
        assert (desk.calls, elsewhere.forms) == (1, [])

    @pytest.mark.parametrize(
        ("auth", "names"),
        [
            (dict.fromkeys(CREDENTIALS, ""), "CLIENT_ID, BULKOPS_AUTH__CLIENT_SECRET, BULKOPS_"),
            ({"client_secret": ""}, "set BULKOPS_AUTH__CLIENT_SECRET (or"),
            ({"refresh_token": "", "access_token": "1000.x"}, "BULKOPS_AUTH__REFRESH_TOKEN"),
        ],
    )
    async def test_incomplete_credentials_are_a_usage_error(
        self, desk: Desk, auth: dict[str, str], names: str
    ) -> None:
        """Before any call, the missing variables are named."""
        with pytest.raises(UsageError, match=r"^no credentials to call with: ") as it:
            desk.source(**auth)
        assert names in str(it.value)


class TestApiDomain:
    """Where the token may be sent."""

    @pytest.mark.parametrize("host", sorted(API_HOSTS))
    async def test_every_api_host_of_zoho_is_known(self, desk: Desk, host: str) -> None:
        """In all data centres, sandboxes and developer organisations too."""
        desk.accounts.answers = [granted(api_domain=f"https://{host}/")]
        assert (await desk.source().token()).api_domain == f"https://{host}"

    @pytest.mark.parametrize(
        ("domain", "host"),
        [
            ("https://www.zohoapis.com.evil.test", "www.zohoapis.com.evil.test"),
            ("https://evil.test", "evil.test"),
            ("http://www.zohoapis.com", "www.zohoapis.com"),
            ("https://www.zohoapis.com:8443", "www.zohoapis.com"),
            ("https://www.zohoapis.com@evil.test", "evil.test"),
            ("https://www.zohoapis.com/crm", "www.zohoapis.com"),
            ("https://[", "None"),
            (7, "None"),
        ],
    )
    async def test_any_other_host_is_refused(self, desk: Desk, domain: object, host: str) -> None:
        """The host is named and the token is neither kept nor used."""
        desk.accounts.answers = [granted(api_domain=domain)]
        told = await refused(desk.source().token, AuthError)
        assert f"sends calls to {host}; expected https and an API host of Zoho" in told
        assert not desk.cache.exists()

    async def test_base_url_decides(self, desk: Desk) -> None:
        """Its own host is known, and a rehearsal is never sent to the real API."""
        rehearsal = "http://127.0.0.1:8085"
        for domain in (rehearsal, "https://www.zohoapis.com", None):
            desk.accounts.answers = [granted(api_domain=domain)]
            desk.cache.unlink(missing_ok=True)
            assert (await desk.source(base_url=rehearsal).token()).api_domain is None

    async def test_a_kept_token_does_not_lead_a_rehearsal_away(self, desk: Desk) -> None:
        """Kept by a run of the real API, read by one with a base_url."""
        desk.accounts.answers = [granted(api_domain="https://www.zohoapis.com")]
        await desk.source().token()
        kept = await desk.source(base_url="http://127.0.0.1:8085").token()
        assert (kept.value, kept.api_domain, desk.calls) == ("1000.token.1", None, 1)


class TestCache:
    """Tokens outlive a process, for their owner alone."""

    async def test_a_restart_needs_no_token(self, desk: Desk) -> None:
        """Ten tokens in ten minutes are soon used up by restarts; the file is 0600."""
        first = await desk.source().token()
        again = await desk.source().token()
        assert first == again
        assert (desk.calls, desk.cache.stat().st_mode & 0o777) == (1, 0o600)
        assert desk.cache.parent.stat().st_mode & 0o777 == 0o700
        assert [desk.cache] == list(desk.cache.parent.iterdir())

    async def test_a_kept_token_is_a_secret_too(self, desk: Desk) -> None:
        """The log's redactor is told before anyone uses it."""
        await desk.source().token()
        desk.remembered.clear()
        await desk.source().token()
        assert "1000.token.1" in desk.remembered

    async def test_a_kept_address_is_checked_again(self, desk: Desk) -> None:
        """The file is no better a source than the server; such a token is left alone."""
        await desk.source().token()
        text = desk.cache.read_text()
        desk.cache.write_text(text.replace('"api_domain":null', '"api_domain":"https://evil.test"'))
        assert "evil" in desk.cache.read_text()
        token = await desk.source().token()
        assert (token.value, token.api_domain) == ("1000.token.2", None)

    async def test_secrets_of_the_client_are_not_kept(self, desk: Desk) -> None:
        """Only access tokens, which end within the hour."""
        await desk.source().token()
        assert not any(secret in desk.cache.read_text() for secret in CREDENTIALS.values())

    @pytest.mark.parametrize("key", sorted(CREDENTIALS))
    async def test_each_client_has_its_own(self, desk: Desk, key: str) -> None:
        """Another client, secret or user: the secret alone does not change whose token it is."""
        await desk.source().token()
        other = await desk.source(**{key: "other"}).token()
        expected = "1000.token.1" if key == "client_secret" else "1000.token.2"
        assert expected == other.value
        assert (await desk.source().token()).value == "1000.token.1"

    async def test_an_old_one_is_renewed_and_dropped(self, desk: Desk) -> None:
        """What has expired does not pile up."""
        await desk.source().token()
        desk.now += 4000
        await desk.source(client_id="other").token()
        assert list(json.loads(desk.cache.read_text()).values()) == [
            {
                "value": "1000.token.2",
                "api_domain": None,
                "issued_at": desk.now,
                "expires_at": desk.now + 3600,
            }
        ]

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
    async def test_a_file_others_can_read_is_refused(self, desk: Desk, mode: int) -> None:
        """Before any call, with the words that mend it."""
        await desk.source().token()
        desk.cache.chmod(mode)
        told = await refused(desk.source().token, AuthError)
        assert f"chmod 600 {desk.cache}" in told
        assert desk.calls == 1

    @pytest.mark.parametrize(
        "content", ["", "{", "[1]", '{"KEY": 3}', '{"KEY": {"value": 3}}', '{"KEY": {}}']
    )
    async def test_a_damaged_file_is_an_empty_one(self, desk: Desk, content: str) -> None:
        """It holds nothing that cannot be had again."""
        await desk.source().token()
        (key,) = json.loads(desk.cache.read_text())
        desk.cache.write_text(content.replace("KEY", key))
        assert (await desk.source().token()).value == "1000.token.2"
        assert (await desk.source().token()).value == "1000.token.2"

    async def test_a_place_that_cannot_be_written_is_named(self, desk: Desk) -> None:
        """A token that is lost at every restart would soon be refused: better said at once."""
        blocked = desk.folder / "file"
        blocked.write_text("")
        told = await refused(
            desk.source(token_cache=str(blocked / "x" / "t.json")).token, AuthError
        )
        assert "Not a directory" in told
        (desk.folder / "dangling").symlink_to(desk.folder / "nowhere")
        below = str(desk.folder / "dangling" / "t.json")
        told = await refused(desk.source(token_cache=below).token, AuthError)
        assert "set auth.token_cache to a file in a folder of your own" in told

    def test_lies_in_the_users_cache_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unless the configuration says otherwise."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert tmp_path / "bulkops" / "tokens.json" == default_token_cache()
