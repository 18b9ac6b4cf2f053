"""
What the vendor sells and where it answers: products, versions, data centres, editions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

Product = Literal["crm", "bigin"]
VERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "crm": ("v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"),
    "bigin": ("v1", "v2"),
}
DataCenter = Literal["us", "eu", "in", "au", "jp", "cn", "ca", "sa", "uk"]
#: Host of the accounts server and domain of the API, by data centre.
#: https://zoho.com/accounts/protocol/oauth/multi-dc.html
DATA_CENTERS: Final[Mapping[str, tuple[str, str]]] = {
    "us": ("accounts.zoho.com", "zohoapis.com"),
    "eu": ("accounts.zoho.eu", "zohoapis.eu"),
    "in": ("accounts.zoho.in", "zohoapis.in"),
    "au": ("accounts.zoho.com.au", "zohoapis.com.au"),
    "jp": ("accounts.zoho.jp", "zohoapis.jp"),
    "cn": ("accounts.zoho.com.cn", "zohoapis.com.cn"),
    "ca": ("accounts.zohocloud.ca", "zohoapis.ca"),
    "sa": ("accounts.zoho.sa", "zohoapis.sa"),
    "uk": ("accounts.zoho.uk", "zohoapis.uk"),
}
#: The only hosts, but for that of `api.base_url`, that ever receive a token.
API_HOSTS: Final = frozenset(
    f"{kind}.{domain}"
    for _, domain in DATA_CENTERS.values()
    for kind in ("www", "sandbox", "developer")
)


@dataclass(frozen=True, slots=True)
class Edition:
    """
    What an edition allows: calls in flight, and credits a day without those its users add.

    https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html and
    https://www.zoho.com/bigin/developer/docs/apis/api-limits.html (calls in flight of Bigin are
    not published: 5 is assumed).
    """

    products: frozenset[str]
    concurrency: int
    credits: int


_CRM, _BIGIN = frozenset({"crm"}), frozenset({"bigin"})
EDITIONS: Final[Mapping[str, Edition]] = {
    "free": Edition(_CRM | _BIGIN, concurrency=5, credits=5_000),
    "standard": Edition(_CRM, concurrency=10, credits=50_000),
    "professional": Edition(_CRM, concurrency=15, credits=50_000),
    "enterprise": Edition(_CRM, concurrency=20, credits=50_000),
    "ultimate": Edition(_CRM, concurrency=25, credits=50_000),
    "express": Edition(_BIGIN, concurrency=5, credits=50_000),
    "premier": Edition(_BIGIN, concurrency=5, credits=50_000),
}


def may_receive_token(address: str, configured: str) -> bool:
    """
    Say whether a token may be sent to `address`, which a server named.

    That is an API host of Zoho on its usual port, or the host of the address that is `configured`
    ("" for none); and only with https, but for this machine.
    """
    match = re.fullmatch(r"(https?)://[\w.\[\]-]+(:\d{1,5})?/?", address, re.ASCII)
    host = host_of(address)
    if match is None or host is None or (match[1] != "https" and not is_loopback(host)):
        return False
    return host == host_of(configured) or (host in API_HOSTS and not match[2])


def host_of(address: str) -> str | None:
    """Return the host of an address in lower case; `None` if there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def is_loopback(host: str | None) -> bool:
    """Say whether `host` is this machine by name or address; names are not looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
