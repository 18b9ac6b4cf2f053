"""
The ledger of an organisation's API credits: a file on disk that all runs of this user share.

It holds the books of the rolling day (`books.py`), and changes under a lock, whole or not at all,
so that several processes never give a credit out twice, and one that is killed leaves no damage:
what it had reserved stays used.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from platformdirs import user_state_path

from bulkops.errors import CheckpointError
from bulkops.files.config import Config
from bulkops.files.rundir import sync_folder
from bulkops.rules.books import Books, Budget

SCHEMA_VERSION: Final = 1


class Ledger:
    """
    The books of one organisation in a file for its owner alone, changed under a lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(self) -> Iterator[Books]:
        """
        Yield the books, locked, and keep what is done to them: whole, or not at all.

        Waits for other processes, which hold the lock for a moment. Raises `CheckpointError` if
        the ledger cannot be read or written: without it no call may leave.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._cannot(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            books = self._load()
            yield books
            self._save(books)
        except OSError as error:
            raise self._cannot(error) from error
        finally:
            os.close(lock)

    def read(self) -> Books:
        """Return the books as they are, to look at; an absent ledger is an empty one."""
        try:
            return self._load()
        except OSError as error:
            raise self._cannot(error) from error

    def _load(self) -> Books:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return Books()
        try:
            return _books(orjson.loads(content))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{self.path}: the ledger of API credits cannot be read ({error!r}). What was "
                "used today is not known; if the organisation has credits to spare, delete the "
                "file and run the same command again."
            ) from None

    def _save(self, books: Books) -> None:
        content = {
            "v": SCHEMA_VERSION,
            "buckets": sorted(books.buckets.items()),
            "others": books.others,
            "others_at": books.others_at,
            "reserved": books.reserved,
            "answered": books.answered,
            "holders": books.holders,
        }
        temporary = self.path.with_suffix(".part")
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(orjson.dumps(content))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.path)
        # After a power cut the books may know of more use than there was, never of less.
        sync_folder(self.path.parent)

    def _cannot(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"{self.path}: the ledger of API credits cannot be kept ({error}); nothing more is "
            "sent. Set limits.ledger to a folder of your own, then run the same command again."
        )


def _books(content: Any) -> Books:
    if content["v"] != SCHEMA_VERSION:
        raise ValueError(f"found schema {content['v']!r}, expected {SCHEMA_VERSION}")
    return Books(
        buckets={int(minute): int(count) for minute, count in content["buckets"]},
        others=int(content["others"]),
        others_at=float(content["others_at"]),
        reserved=int(content["reserved"]),
        answered=int(content["answered"]),
        holders={name: (int(held), float(at)) for name, (held, at) in content["holders"].items()},
    )


def ledger_of(config: Config) -> Ledger:
    """
    Return the ledger of the organisation that `config` calls.

    Organisations are told apart by product, address and `limits.organisation`, or the client
    where none is named.
    """
    limits, api = config.limits, config.api
    folder = Path(limits.ledger).expanduser() if limits.ledger else _default_folder()
    who = limits.organisation or config.auth.client_id.get_secret_value()
    key = hashlib.sha256(f"{api.product}\n{api.api_url}\n{who}".encode()).hexdigest()
    return Ledger(folder / f"{api.product}-{key[:16]}.json")


def budget_of(config: Config) -> Budget:
    """Return how many credits a day has, and how many of them are for others."""
    limits = config.limits
    return Budget(limits.credits, limits.leave(limits.credits))


def _default_folder() -> Path:
    return user_state_path("bulkops", appauthor=False) / "credits"
