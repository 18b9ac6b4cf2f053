"""
Which versions, modules and relations the vendor documents.

Sources: https://www.zoho.com/crm/developer/docs/api/v8/delink.html (and v2 to v7),
https://www.zoho.com/bigin/developer/docs/apis/delink.html,
https://www.bigin.com/developer/docs/apis/v2/delink.html
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """
    A path version: `crm/v2.1` has product "crm", label "v2.1", major 2.

    There is one of each, in `VERSIONS`, so they are compared by identity.
    """

    product: str
    label: str
    major: int

    @property
    def path(self) -> str:
        """The two path segments of every URL of this version."""
        return f"{self.product}/{self.label}"

    @property
    def needs_fields(self) -> bool:
        """Whether reads refuse to work without `fields`."""
        return self.major >= 3 if self.product == "crm" else self.major >= 2


VERSIONS = {
    (version.product, version.label): version
    for version in (
        Version("crm", "v2", 2),
        Version("crm", "v2.1", 2),
        *(Version("crm", f"v{major}", major) for major in range(3, 9)),
        Version("bigin", "v1", 1),
        Version("bigin", "v2", 2),
    )
}

#: Modules that exist in every CRM organisation, whether the seed has records of them or not.
CRM_MODULES = frozenset(
    {
        *("Leads", "Contacts", "Accounts", "Deals", "Campaigns", "Products", "Price_Books"),
        *("Appointments", "Services", "Tasks", "Events", "Calls", "Notes", "Vendors", "Quotes"),
        *("Sales_Orders", "Purchase_Orders", "Invoices", "Cases", "Solutions"),
    }
)
BIGIN_MODULES = frozenset(
    {"Contacts", "Accounts", "Products", "Deals", "Tasks", "Events", "Calls", "Notes"}
)

#: Modules whose records can be in territories.
TERRITORY_MODULES = frozenset({"Leads", "Contacts", "Accounts", "Deals"})

#: (left module, its list, right module, its list, mandatory field)
STANDARD_RELATIONS: tuple[tuple[str, str, str, str, str | None], ...] = (
    ("Products", "Leads", "Leads", "Products", None),
    ("Products", "Accounts", "Accounts", "Products", None),
    ("Products", "Contacts", "Contacts", "Products", None),
    ("Products", "Deals", "Deals", "Products", None),
    ("Products", "Price_Books", "Price_Books", "Products", "list_price"),
    ("Campaigns", "Leads", "Leads", "Campaigns", None),
    ("Campaigns", "Contacts", "Contacts", "Campaigns", None),
    ("Appointments", "Services", "Services", "Appointments", None),
    ("Deals", "Contact_Roles", "Contacts", "Deals", None),
)

_BIGIN_RELATIONS = frozenset(
    pair
    for other in ("Contacts", "Deals", "Accounts")
    for pair in (("Products", other), (other, "Products"))
)
_SINCE_V3 = frozenset({("Appointments", "Services"), ("Services", "Appointments")})

#: Names that the API gives to modules stored under another name.
_CRM_ALIASES = {"Appointments__s": "Appointments", "Services__s": "Services"}


def canonical(version: Version, name: str) -> str:
    """The name under which the world stores a module or a related list called `name`."""
    if version.product == "crm":
        return _CRM_ALIASES.get(name, name)
    if version.major >= 2:
        # Bigin v2 calls deals Pipelines and no longer knows the old name.
        return {"Pipelines": "Deals", "Deals": ""}.get(name, name)
    return name


def shown(version: Version, name: str) -> str:
    """The name that this version gives to a module or related list stored as `name`."""
    if version.product == "crm":
        return next((api for api, stored in _CRM_ALIASES.items() if stored == name), name)
    return "Pipelines" if version.major >= 2 and name == "Deals" else name


def standard_modules(version: Version) -> frozenset[str]:
    """Modules every organisation of this product has."""
    return CRM_MODULES if version.product == "crm" else BIGIN_MODULES


def offers(version: Version, module: str, related_list: str) -> bool:
    """Whether a standard relation can be called in this version (names canonical)."""
    if version.product == "bigin":
        return (module, related_list) in _BIGIN_RELATIONS
    return version.major >= 3 or (module, related_list) not in _SINCE_V3
