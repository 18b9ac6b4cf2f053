"""
The configuration: read, and shown without its secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bulkops.files import config as files
from bulkops.files.config import Config
from bulkops.files.sections import SECRET_KEYS
from bulkops.library.planning import Named, path_of

_MASKED = "********"
_OPEN_HOOKS = frozenset({"webhook_header"})


@dataclass(frozen=True, slots=True)
class Setting:
    """
    A key of the configuration such as `limits.concurrency`, its value, and where that comes from.
    """

    key: str
    value: Any
    origin: str

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form."""
        return {"key": self.key, "value": self.value, "origin": self.origin}


def load_config(path: Named | None = None) -> Config:
    """
    Read the configuration from `path`, or where it is usually found, and from the environment.

    The places are `BULKOPS_CONFIG`, `./config.toml` and the user's config folder; none is fine.
    Raises `UsageError` that names file, key, what was found and what was expected.
    """
    return files.load_config(path_of(path))


def settings_of(config: Config) -> Iterator[Setting]:
    """Yield every key, as JSON values; what is secret, or may hold a secret, is masked."""
    for section in type(config).model_fields:
        table = getattr(config, section)
        values = dict(table) if isinstance(table, dict) else table.model_dump(mode="json")
        for key, value in values.items():
            shown = _shown(section, key, value)
            yield Setting(f"{section}.{key}", shown, config.origin(section, key))


def _shown(section: str, key: str, value: Any) -> Any:
    """Return a value as it may be shown: addresses and commands of hooks may hold secrets too."""
    hidden = key in SECRET_KEYS or (section == "hooks" and key not in _OPEN_HOOKS)
    return _MASKED if hidden and value and not isinstance(value, int | float) else value
