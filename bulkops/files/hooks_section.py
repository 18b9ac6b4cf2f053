"""
`[hooks]`: whom to tell when a run has ended.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from bulkops.files.products import is_loopback
from bulkops.files.sections import Number, Section

#: The key that is a secret; addresses are not shown either, as many hold one.
SECRET: Final = "webhook_secret"  # noqa: S105  (its name, not its value)


class Hooks(Section):
    """
    `[hooks]`: commands, as lists of words and without a shell, and addresses to call.

    `on_finish` is run when every line is settled (exit codes 0 and 3), `on_stop` when a run ended
    in any other way.
    """

    on_finish: tuple[str, ...] = ()
    on_stop: tuple[str, ...] = ()
    command_timeout_s: Number = Field(default=60.0, gt=0, le=3600)
    webhook: str = ""
    webhook_header: str = "Authorization"
    webhook_secret: SecretStr = SecretStr("")
    health_check: str = ""
    timeout_s: Number = Field(default=10.0, gt=0, le=600)

    @field_validator("on_finish", "on_stop")
    @classmethod
    def _a_program(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if words and (not words[0].strip() or any("\0" in word for word in words)):
            raise ValueError('expected a program and its words, such as ["mail", "-s", "done"]')
        return words

    @field_validator("webhook", "health_check")
    @classmethod
    def _safe_url(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.username is not None or parts.fragment:
            raise ValueError('expected an address such as "https://example.com/hook"')
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError("expected https: (http: is for this machine alone, as 127.0.0.1)")
        return url

    @field_validator("webhook_header")
    @classmethod
    def _a_header(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", name):
            raise ValueError('expected the name of a header, such as "Authorization"')
        return name

    @field_validator(SECRET)
    @classmethod
    def _one_line(cls, secret: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[ -~]*", secret.get_secret_value()):
            raise ValueError("expected one line of plain characters")
        return secret
