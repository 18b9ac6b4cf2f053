"""Who may ask, for what, and what a browser may do with the answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from yarl import URL

from bulkops.engine.serve.guard import Guard, without_token
from tests.engine.serve.house import served

#: An address of all machines, which can be asked from this one all the same.
ELSEWHERE = "0.0.0.0"
PATHS = ("/", "/api/runs", "/metrics", "/assets/live.js", "/runs/none", "/none", "/events")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("example.org", False)),
    ],
)
def test_only_this_machines_own_addresses_need_no_token(host: str, expected: bool) -> None:
    """A name but `localhost` may lead anywhere."""
    assert expected == (Guard.of(host).token == "")


def test_every_start_has_another_token() -> None:
    """Of more bits than anybody can try."""
    tokens = {Guard.of(ELSEWHERE).token for _ in range(10)}
    assert 10 == len(tokens)
    assert all(len(each) >= 40 for each in tokens)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_nothing_but_reading_is_allowed(tmp_path: Path, method: str) -> None:
    """Wherever it is asked for: there is nothing to write."""
    async with served(tmp_path) as server:
        for path in ("/", "/api/runs", "/none"):
            got = await server.get(path, method=method)
            assert (405, {"GET", "HEAD"}) == (got.status, {*got.headers["Allow"].split(",")})


async def test_head_is_get_without_a_body(tmp_path: Path) -> None:
    """For streams too, which would never end."""
    async with served(tmp_path) as server:
        for path in ("/", "/api/runs", "/events", "/api/events", "/metrics"):
            assert 200 == (await server.get(path, method="HEAD")).status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(
            ("localhost", 200),
            ("LOCALHOST:9999", 200),
            ("127.0.0.1:8086", 200),
            ("[::1]:8086", 200),
        ),
        *(
            ("evil.example", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example:80", 421),
        ),
        *(
            ("", 421),
            ("localhost:80@evil.example", 421),
            ("[::1].evil.example", 421),
            ("[::2]", 421),
        ),
    ],
)
async def test_a_name_that_was_made_to_lead_here_is_turned_away(
    tmp_path: Path, host: str, expected: int
) -> None:
    """A page of somebody else may look its own name up as 127.0.0.1; it may not read ours."""
    async with served(tmp_path) as server:
        for path in ("/", "/api/runs"):
            assert expected == (await server.get(path, headers={"Host": host})).status


@pytest.mark.parametrize("host", ["127.0.0.1", ELSEWHERE])
async def test_every_answer_is_sealed(tmp_path: Path, host: str) -> None:
    """No guessing of types, no address passed on, no frame, no reading by others."""
    async with served(tmp_path, host=host) as server:
        for path in (*PATHS, f"/?token={server.address.token}"):
            if path == "/events" and host != ELSEWHERE:
                continue
            headers = (await server.get(path)).headers
            assert "nosniff" == headers["X-Content-Type-Options"]
            assert "no-referrer" == headers["Referrer-Policy"]
            assert "same-origin" == headers["Cross-Origin-Resource-Policy"]
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert "aiohttp" not in headers["Server"]
            assert not [name for name in headers if name.lower().startswith("access-control")]


async def test_elsewhere_nothing_is_answered_without_the_token(tmp_path: Path) -> None:
    """Not even whether there is something; the words say what to do."""
    async with served(tmp_path, host=ELSEWHERE) as server:
        token = server.address.token
        for path in PATHS:
            for given in ("", "?token=", "?token=wrong", f"?token={token[:-1]}", "?token=%ff"):
                got = await server.get(path + given)
                assert 401 == got.status
                assert "Set-Cookie" not in got.headers
        assert "bulkops serve printed" in await (await server.get("/")).text()
        assert {"v", "error"} == set(await (await server.get("/api/runs")).json())


async def test_the_token_leaves_the_address_and_becomes_a_cookie(tmp_path: Path) -> None:
    """What else the address says stays; the cookie is out of reach for scripts and other sites."""
    async with served(tmp_path, host=ELSEWHERE) as server:
        token = server.address.token
        got = await server.get(f"/?page=2&token={token}")
        assert (303, "/?page=2") == (got.status, got.headers["Location"])
        cookie = got.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        # The session keeps cookies as a browser does.
        assert 200 == (await server.get("/?page=2")).status
        assert 200 == (await server.get("/api/runs")).status
        server.session.cookie_jar.clear()
        wrong = {"Cookie": f"{cookie.split('=')[0]}=wrong"}
        assert 401 == (await server.get("/", headers=wrong)).status


async def test_who_follows_a_link_of_another_site_gets_there_too(tmp_path: Path) -> None:
    """A browser keeps a strict cookie back until our own page leads on."""
    async with served(tmp_path, host=ELSEWHERE) as server:
        got = await server.get(
            f"/?page=2&x=%22%3E&token={server.address.token}",
            headers={"Sec-Fetch-Site": "cross-site"},
        )
        text = await got.text()
        assert 200 == got.status
        assert "Set-Cookie" in got.headers
        assert server.address.token not in text
        (target,) = re.findall(r'content="0;url=([^"]*)"', text)
        assert target.startswith("/?page=2&amp;x=")


@pytest.mark.parametrize("path", ["//evil.example/", "///evil.example", "//evil.example/%2F"])
async def test_the_way_to_the_page_leads_to_no_other_host(tmp_path: Path, path: str) -> None:
    """Two slashes at the begin would name one; and where no page is, there is no way to it."""
    assert re.match(r"/[^/\\]", without_token(path, {"token": "secret"}))
    async with served(tmp_path, host=ELSEWHERE) as server:
        target = URL(f"{server.root}{path}?token={server.address.token}", encoded=True)
        async with server.session.get(target, allow_redirects=False) as got:
            assert 404 == got.status


async def test_programs_show_the_token_in_a_header(tmp_path: Path) -> None:
    """For data alone: pages are for browsers, which have the cookie."""
    async with served(tmp_path, host=ELSEWHERE) as server:
        bearer = {"Authorization": f"Bearer {server.address.token}"}
        for path in ("/api/runs", "/metrics"):
            assert 200 == (await server.get(path, headers=bearer)).status
        assert 401 == (await server.get("/", headers=bearer)).status
        for wrong in ("Bearer wrong", "Bearer", "Bearer ", f"Basic {server.address.token}"):
            got = await server.get("/metrics", headers={"Authorization": wrong})
            assert (401, "Bearer") == (got.status, got.headers["WWW-Authenticate"])


async def test_the_address_has_the_token_where_one_is_needed(tmp_path: Path) -> None:
    """And a name that others can use, where all addresses are meant."""
    async with served(tmp_path, host=ELSEWHERE) as server:
        told = server.address.to_json()
        assert f"?token={server.address.token}" in told["url"]
        assert ELSEWHERE not in told["url"]
        assert server.address.token == told["token"]
    async with served(tmp_path) as server:
        port = server.address.port
        expected = {"v": 1, "url": f"http://127.0.0.1:{port}/", "host": "127.0.0.1", "port": port}
        assert expected == server.address.to_json()
