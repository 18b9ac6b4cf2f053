"""Logs: readable by people and collectors, and silent about secrets."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bulkops.cli.log import REDACTED, Redactor, configure, escape_controls

SECRET = "1000.a1b2c3.d4e5f6"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the context of structlog as it was found."""
    with structlog.contextvars.bound_contextvars():
        yield


def logged(
    stream: io.StringIO, *, as_json: bool, level: str = "debug", redactor: Redactor | None = None
) -> structlog.typing.FilteringBoundLogger:
    redactor = redactor or Redactor()
    redactor.register_secret(SECRET)
    configure(stream=stream, json=as_json, level=level, redactor=redactor)
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def test_json_is_an_object_a_line_with_bound_ids_and_utc() -> None:
    """Collectors get event, level, time and what is bound."""
    stream = io.StringIO()
    logger = logged(stream, as_json=True)
    with structlog.contextvars.bound_contextvars(run_id="r1", batch=17):
        logger.info("batch.settled", lines=3)
    logger.warning("run.halted")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first.pop("timestamp"))
    assert first == {
        "event": "batch.settled",
        "level": "info",
        "run_id": "r1",
        "batch": 17,
        "lines": 3,
    }
    assert {"event", "level", "timestamp"} == second.keys()


def test_level_is_the_least_that_is_shown() -> None:
    """Below it nothing is written."""
    stream = io.StringIO()
    logged(stream, as_json=True, level="warning").info("batch.settled")
    assert stream.getvalue() == ""


def test_a_terminal_has_colour_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """https://no-color.org: any value but an empty one; a pipe never has colour."""
    seen = {}
    for name, stream, value in [
        ("terminal", Terminal(), ""),
        ("terminal, NO_COLOR", Terminal(), "1"),
        ("pipe", io.StringIO(), ""),
    ]:
        monkeypatch.setenv("NO_COLOR", value)
        logged(stream, as_json=False).info("run.finished", status="done")
        seen[name] = "\x1b[" in stream.getvalue()
        assert "run.finished" in stream.getvalue()
    assert seen == {"terminal": True, "terminal, NO_COLOR": False, "pipe": False}


@pytest.mark.parametrize("as_json", [True, False])
def test_registered_secrets_are_nowhere(as_json: bool) -> None:
    """Not in the event, values, keys, nested values, objects, bytes, bound ids or tracebacks."""

    class Call:
        def __repr__(self) -> str:
            return f"Call({SECRET})"

    def refuse() -> None:
        raise ValueError(f"refused {SECRET}")

    stream = io.StringIO()
    logger = logged(stream, as_json=as_json)
    structlog.contextvars.bind_contextvars(bound=SECRET)
    logger.info(f"sent {SECRET}", a=f"x{SECRET}y", b=[{"c": SECRET}, (SECRET,)], d={SECRET: 1})
    logger.info("sent", call=Call(), body=SECRET.encode(), several={SECRET})
    try:
        refuse()
    except ValueError:
        logger.exception("run.failed")
    text = stream.getvalue()
    assert SECRET not in text
    assert text.count(REDACTED) >= 9
    assert "ValueError: refused [redacted]" in text


def test_values_with_telling_names_are_removed() -> None:
    """Registered or not; counts may be named so, for a number is no secret."""
    event = Redactor()(
        None,
        "info",
        {
            "event": "call.sent",
            "headers": {"Authorization": "Zoho-oauthtoken x", "Accept": "json"},
            "access_token": "x",
            "client_secret": ["x"],
            "tokens": 3,
            "token": None,
        },
    )
    assert event == {
        "event": "call.sent",
        "headers": {"Authorization": REDACTED, "Accept": "json"},
        "access_token": REDACTED,
        "client_secret": REDACTED,
        "tokens": 3,
        "token": None,
    }


def test_secrets_are_registered_while_running() -> None:
    """A token minted later is kept out from then on; one within another leaves no rest."""
    stream, redactor = io.StringIO(), Redactor()
    logger = logged(stream, as_json=True, redactor=redactor)
    redactor.register_secret("abc")
    redactor.register_secret("abcdef")
    redactor.register_secret("")
    logger.info("sent abcdef and abc")
    assert json.loads(stream.getvalue())["event"] == "sent [redacted] and [redacted]"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_server_cannot_write_to_the_terminal(as_json: bool) -> None:
    """Escape sequences, line breaks and turned text of a message are shown, not acted out."""
    stream = io.StringIO()
    hostile = "a\x1b[2J\r\nrun.finished\x9b\u202e\u2028z"
    logged(stream, as_json=as_json).info("item.refused", message=hostile, m={"k\n": [hostile]})
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", text)
    shown = r"a\x1b[2J\r\nrun.finished\x9b\u202e\u2028z"
    assert (shown.replace("\\", "\\\\") if as_json else shown) in text


def test_a_traceback_keeps_its_lines() -> None:
    """But what the error says cannot end the colours of a terminal."""
    stream = io.StringIO()
    logger = logged(stream, as_json=False)
    try:
        raise ValueError("bad\x1b[2J")  # noqa: TRY301
    except ValueError:
        logger.exception("run.failed")
    assert stream.getvalue().splitlines()[-1] == r"ValueError: bad\x1b[2J"
    assert "\x1b" not in stream.getvalue()


@given(st.text())
def test_what_is_written_is_always_one_printable_line(text: str) -> None:
    """Whatever the text, escaped it has one line and can be encoded."""
    escaped = str(escape_controls(None, "info", {"event": text})["event"])
    assert len(escaped.splitlines()) <= 1
    assert escaped.encode("utf-8").decode("utf-8") == escaped


def test_a_log_that_nobody_reads_ends_nothing() -> None:
    """`2>&1 | head`: the reader leaves, the run goes on."""

    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    logger = logged(Closed(), as_json=True)
    logger.info("batch.settled")
