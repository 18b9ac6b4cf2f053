"""
A headless Chromium on a pipe: opens a file, says what it asked for and what went wrong.

The DevTools protocol over two pipes, messages ended by a zero byte.
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)


class Page:
    """A page of the browser, and every event that it told."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader, self._writer = reader, writer
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def attach(self) -> None:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events on the way are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        octets = bytearray()
        while (octet := self._reader.read(1)) != b"\0":
            assert octet, "chromium has ended"
            octets += octet
        return dict(json.loads(octets))

    def open(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        # The page before may still be asking a server that has ended; what it says is not ours.
        for each in ("about:blank", address):
            self.events.clear()
            self.ask("Page.navigate", url=each)
            self.wait_for_load()
        # A turn of the page's own loop: what its scripts had to say is said.
        self.value("new Promise(done => requestAnimationFrame(() => done(1)))")

    def wait_for_load(self) -> None:
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._read())

    def value(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        found = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def look(self, *, width: int, dark: bool, mobile: bool = False) -> None:
        """Be as wide as that, in that colour scheme."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def complaints(self) -> list[str]:
        """Return what the console, the log and failed scripts said."""
        said = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [json.dumps(each["params"]) for each in self.events if each.get("method") in said]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for."""
        return [
            each["params"]["request"]["url"]
            for each in self.events
            if each.get("method") == "Network.requestWillBeSent"
        ]


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own in `folder`, and end it."""
    assert CHROMIUM
    to_read, write = os.pipe()
    read, to_write = os.pipe()
    command = " ".join(
        [f'exec "$0" {" ".join(_FLAGS)}', '--user-data-dir="$1"', f"3<&{to_read} 4>&{to_write}"]
    )
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (
        (folder / "chromium.log").open("wb") as errors,
        subprocess.Popen(
            ["/bin/bash", "-c", command, CHROMIUM, str(folder / "profile")],
            pass_fds=(to_read, to_write),
            stdout=errors,
            stderr=errors,
            env=environment,
        ) as process,
    ):
        os.close(to_read)
        os.close(to_write)
        with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb") as writer:
            page = Page(reader, writer)
            try:
                page.attach()
                yield page
                page._session = None
                page.ask("Browser.close")
            finally:
                process.terminate()
