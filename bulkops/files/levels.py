"""
Remember between runs how many calls in flight an organisation takes.

It is a hint and no more: the file may be missing, damaged or old, nothing in it is trusted above
the ceiling of a run, and that it cannot be written stops nobody.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from platformdirs import user_state_path

from bulkops.files.config import Config
from bulkops.files.private_file import replace_privately
from bulkops.files.talk import Talk

#: More than this is no number of calls in flight.
_MOST: Final = 1000
#: Organisations remembered; the one that was told of longest ago is forgotten first.
_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class LevelFile:
    """
    A file of levels for its owner alone, one for each `key`, which holds no secret.
    """

    path: Path
    key: str

    def load(self) -> int | None:
        """Return the level kept, or `None` if there is none that can be one."""
        return self._read().get(self.key)

    def save(self, level: int) -> None:
        """Put `level` in place of the last one, whole or not at all."""
        kept = {key: each for key, each in self._read().items() if key != self.key}
        newest = dict(list(kept.items())[-(_KEPT - 1) :])
        content = orjson.dumps({**newest, self.key: level})
        try:
            replace_privately(self.path, content)
        except OSError as error:
            self._complain(f"cannot be written: {error.strerror}")

    def _read(self) -> dict[str, int]:
        try:
            found = orjson.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._complain(f"cannot be read: {error.strerror}")
            return {}
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            self._complain("is not what was written there")
            return {}
        good = {key: each for key, each in found.items() if _is_level(each)}
        if len(good) < len(found):
            self._complain("holds what is no number of calls")
        return good

    def _complain(self, why: str) -> None:
        Talk("bulkops.levels").warning("levels.ignored", path=str(self.path), why=why)


def _is_level(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST


def level_file_of(config: Config) -> LevelFile:
    """
    Return where the level of the app and organisation that `config` calls is kept.

    It is a file in the user's state folder. The limit is the app's: its client id tells it from
    others, or the token if there is nothing else.
    """
    secret = config.auth.client_id.get_secret_value() or config.auth.access_token.get_secret_value()
    parts = (config.api.product, config.api.api_url, secret)
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    return LevelFile(user_state_path("bulkops", appauthor=False) / "levels.json", key)
