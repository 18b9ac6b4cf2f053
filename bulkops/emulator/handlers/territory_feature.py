"""Whether territory management is there at all: the check before every territory call."""

from __future__ import annotations

from bulkops.emulator.call import Call
from bulkops.emulator.envelope import refuse


def check_feature(call: Call, module: str | None = None) -> None:
    """FEATURE_NOT_ENABLED (or its older sibling for Leads) if territories are off."""
    rights = call.organisation.rights
    if rights.territory_management != "on":
        raise refuse(
            400,
            "FEATURE_NOT_ENABLED",
            "Territory Management is disabled"
            if rights.territory_management == "disabled"
            else "Territory Management is not enabled",
        )
    if module == "Leads" and not rights.territories_for_leads:
        code = call.behaviour.leads_refusal
        status = 403 if code == "TERRITORY_NOT_ENABLED" else 400
        raise refuse(status, code, "the territory feature is not enabled for Leads Module")
