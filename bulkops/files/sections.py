"""
The tables of the configuration: what each key means and what it may hold.

Every section is a frozen model; a key nobody knows is an error. Nothing here reads a file or the
environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bulkops.files.products import (
    DATA_CENTERS,
    VERSIONS,
    DataCenter,
    Product,
    is_loopback,
)

#: The keys whose values are shown to nobody.
SECRET_KEYS: Final = ("client_id", "client_secret", "refresh_token", "access_token")


def _not_a_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004  (pydantic reports no TypeError)
    return value


Whole = Annotated[int, BeforeValidator(_not_a_flag)]
Number = Annotated[float, BeforeValidator(_not_a_flag), Field(allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Api(Section):
    """`[api]`: which product is called, and where."""

    product: Product = "crm"
    version: str = "v8"
    data_center: DataCenter = "us"
    base_url: str = ""
    accounts_url: str = ""
    ca_file: str = ""

    @model_validator(mode="before")
    @classmethod
    def _newest_of_bigin(cls, data: Any) -> Any:
        """Give Bigin its own newest version where none is named."""
        if isinstance(data, Mapping) and data.get("product") == "bigin":
            return {"version": VERSIONS["bigin"][-1], **data}
        return data

    @field_validator("version")
    @classmethod
    def _known_version(cls, version: str, info: ValidationInfo) -> str:
        known = VERSIONS.get(info.data.get("product", ""), (version,))
        if version not in known:
            raise ValueError(f"expected a version of {info.data['product']}: {', '.join(known)}")
        return version

    @field_validator("base_url", "accounts_url")
    @classmethod
    def _safe_url(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        surplus = (
            parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment
        )
        if not parts.hostname or parts.port == 0 or surplus:  # `port` refuses what is no port
            raise ValueError('expected an address such as "https://www.zohoapis.com"')
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
            raise ValueError("expected https: (http: is for this machine alone, as 127.0.0.1)")
        return url.rstrip("/")

    @property
    def api_url(self) -> str:
        """Where calls go, without a trailing slash: `base_url`, or by data centre."""
        return self.base_url or f"https://www.{DATA_CENTERS[self.data_center][1]}"

    @property
    def accounts_host(self) -> str:
        """
        Where tokens come from, as an address without a trailing slash.

        `accounts_url`, or `base_url` if that is this machine (the emulator serves both, and a
        rehearsal must not send real credentials away), or by data centre.
        """
        if not self.accounts_url and is_loopback(urlsplit(self.base_url).hostname):
            return self.base_url
        return self.accounts_url or f"https://{DATA_CENTERS[self.data_center][0]}"


class Auth(Section):
    """`[auth]`: the three parts of a refresh token grant, or an access token alone."""

    client_id: SecretStr = SecretStr("")
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    access_token: SecretStr = SecretStr("")
    token_cache: str = ""
    logins: str = ""

    @field_validator(*SECRET_KEYS)
    @classmethod
    def _one_word(cls, secret: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[!-~]*", secret.get_secret_value()):
            raise ValueError("expected one word of plain characters, without spaces or line ends")
        return secret


class Stop(Section):
    """`[stop]`: when so many lines fail that going on helps nobody."""

    failed_ratio: Number = Field(default=0.05, ge=0, le=1)
    failed_after: Whole = Field(default=500, ge=0)
    failed_in_a_row: Whole = Field(default=500, ge=0)


class Run(Section):
    """`[run]`: where runs live and when they may send."""

    directory: Path = Path("runs")
    on_conflict: Literal["refuse", "last"] = "refuse"
    window: str = ""
    durability: Literal["fsync", "flush"] = "fsync"
    capture: Literal["none", "fields"] = "none"
    metrics_file: str = ""
    telemetry: bool = False

    @field_validator("window")
    @classmethod
    def _two_times(cls, window: str) -> str:
        begin, _, end = window.partition("-")
        time_of_day = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
        given = time_of_day.fullmatch(begin) and time_of_day.fullmatch(end) and begin != end
        if window and not given:
            raise ValueError('expected two different times such as "22:00-06:00", or ""')
        return window


class Follow(Section):
    """`[follow]`: how remote jobs are followed to their end."""

    first_interval_s: Number = Field(default=5.0, gt=0, le=3600)
    max_interval_s: Number = Field(default=60.0, gt=0, le=3600)
    timeout_s: Number = Field(default=3600.0, gt=0)
    bulk_read: Literal["auto", "never"] = "auto"

    @model_validator(mode="after")
    def _intervals_grow(self) -> Self:
        if self.first_interval_s > self.max_interval_s:
            raise ValueError(
                f"first_interval_s = {self.first_interval_s:g} is longer than "
                f"max_interval_s = {self.max_interval_s:g}"
            )
        return self


class Plan(Section):
    """`[plan]`: what planning may take of this machine."""

    memory: str = "512MB"
    temp_directory: str = ""

    @field_validator("memory")
    @classmethod
    def _with_unit(cls, memory: str) -> str:
        if not re.fullmatch(r"[1-9]\d{0,5} ?[KMGT]i?B", memory, re.ASCII):
            raise ValueError('expected a size with its unit such as "512MB" or "4GB"')
        return memory
