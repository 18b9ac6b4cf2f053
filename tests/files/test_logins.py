"""Logins: for their owner alone, for one product at one accounts server, and read where due."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from bulkops.emulator import Emulator
from bulkops.errors import AuthError, PausedError, UsageError
from bulkops.files.config import Config, load_config
from bulkops.files.logins import Login, LoginFile
from bulkops.wire.grant import exchange_code
from bulkops.wire.transport import accounts_session

LOGIN = Login("1000.CLIENT", "hush-secret", "1000.hush.refresh")
ZOHO = "https://accounts.zoho.com"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoginFile:
    """Where logins are kept by default, in a config folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return LoginFile(tmp_path / "bulkops" / "logins.json", "crm", ZOHO)


def credentials(config: Config) -> tuple[str, ...]:
    auth = config.auth
    parts = (auth.client_id, auth.client_secret, auth.refresh_token, auth.access_token)
    return tuple(each.get_secret_value() for each in parts)


class TestFile:
    """The file itself."""

    def test_is_for_its_owner_alone(self, file: LoginFile) -> None:
        """Whatever the umask, and its folder as well."""
        file.save(LOGIN)
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
        assert file.load() == LOGIN
        assert [each.name for each in file.path.parent.iterdir()] == ["logins.json"]

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    def test_that_others_can_read_is_refused(self, file: LoginFile, mode: int) -> None:
        """Somebody else may have it by now."""
        file.save(LOGIN)
        file.path.chmod(mode)
        for use in (file.load, lambda: file.save(LOGIN), lambda: load_config(None, {})):
            with pytest.raises(UsageError, match=f"chmod 600 {file.path}"):
                use()

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"v":2}', '{"v":1,"logins":{"a":{}}}'])
    def test_that_is_damaged_is_an_error(self, file: LoginFile, content: str) -> None:
        """A login that was made is not forgotten in silence."""
        file.path.parent.mkdir()
        file.path.touch(0o600)
        file.path.write_text(content)
        with pytest.raises(UsageError, match="log in again"):
            file.load()

    def test_keeps_one_for_each_product_and_server(self, file: LoginFile) -> None:
        """What one server granted is never sent to another."""
        file.save(LOGIN)
        other = LoginFile(file.path, "crm", "https://accounts.zoho.eu")
        assert other.load() is None
        other.save(Login("a", "b", "c"))
        assert (LOGIN, Login("a", "b", "c")) == (file.load(), other.load())

    def test_no_text_of_a_login_shows_it(self) -> None:
        """A traceback may hold one."""
        assert "hush" not in repr(LOGIN)


class TestConfiguration:
    """When a login is used."""

    def test_takes_it_where_no_token_is_given(self, file: LoginFile) -> None:
        """And says where it came from."""
        file.save(LOGIN)
        config = load_config(None, {})
        assert credentials(config) == ("1000.CLIENT", "hush-secret", "1000.hush.refresh", "")
        assert config.origin("auth", "refresh_token") == str(file.path)

    @pytest.mark.parametrize(
        "given",
        [
            {"BULKOPS_AUTH__REFRESH_TOKEN": "own"},
            {"BULKOPS_AUTH__ACCESS_TOKEN": "own"},
            {"BULKOPS_AUTH__CLIENT_ID": "another"},
            {"BULKOPS_API__DATA_CENTER": "eu"},
            {"BULKOPS_API__BASE_URL": "http://127.0.0.1:8085"},
            {"BULKOPS_API__PRODUCT": "bigin"},
        ],
    )
    def test_leaves_it_where_it_does_not_belong(
        self, file: LoginFile, given: dict[str, str]
    ) -> None:
        """Not beside a token, nor to another client, server or product; not to a rehearsal."""
        file.save(LOGIN)
        assert "1000.hush.refresh" not in credentials(load_config(None, given))

    def test_may_name_the_file(self, file: LoginFile, tmp_path: Path) -> None:
        """`auth.logins` keeps several users, or sandboxes, apart."""
        elsewhere = LoginFile(tmp_path / "own.json", "crm", ZOHO)
        elsewhere.save(LOGIN)
        config = load_config(None, {"BULKOPS_AUTH__LOGINS": str(elsewhere.path)})
        assert credentials(config)[2] == LOGIN.refresh_token


async def exchanged(url: str, code: str = "emulator-grant") -> Login:
    async with accounts_session(url, ca_file="") as session:
        return await exchange_code(
            session, url, client_id="emulator-client", client_secret="emulator-secret", code=code
        )


class TestGrant:
    """A code becomes a refresh token."""

    async def test_once(self) -> None:
        """A second time it is refused, and what to do is said."""
        async with Emulator() as emulator:
            login = await exchanged(emulator.url)
            with pytest.raises(AuthError, match=r"invalid_code: the code is used up.*a new one"):
                await exchanged(emulator.url)
        assert login == Login("emulator-client", "emulator-secret", "emulator-refresh")

    async def test_not_while_nobody_answers(self) -> None:
        """Nothing is wrong with the code then."""
        with pytest.raises(PausedError, match="log in again later"):
            await exchanged(f"http://127.0.0.1:{unused_port()}")

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_nowhere_else(self, status: int) -> None:
        """Credentials follow no redirect."""
        reached = []

        async def answer(request: web.Request) -> web.Response:
            reached.append(request.path)
            return web.Response(status=status, headers={"Location": "/elsewhere"})

        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", answer)
        async with TestServer(app) as server:
            with pytest.raises(AuthError, match=f"HTTP {status} without a refresh token"):
                await exchanged(str(server.make_url("")).rstrip("/"))
        assert reached == ["/oauth/v2/token"]

    async def test_words_of_a_server_are_not_repeated(self) -> None:
        """An error may be anything; only a plain code of it is shown."""

        async def answer(_request: web.Request) -> web.Response:
            return web.json_response({"error": "\x1b[2Jemulator-secret" * 9})

        app = web.Application()
        app.router.add_post("/oauth/v2/token", answer)
        async with TestServer(app) as server:
            with pytest.raises(AuthError) as caught:
                await exchanged(str(server.make_url("")).rstrip("/"))
        assert not [each for each in ("\x1b", "secret") if each in str(caught.value)]
