"""
The codes of the API, in capitals, after the error tables of the pages that the operations name.

https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bulkops.rules.explain.explanation import (
    LATER,
    MEND_ROWS,
    PERMIT,
    REPORT,
    SWITCH_ON,
    Explanation,
)

#: What a message adds to its code: the first words that it holds decide, in any capitals.
BY_MESSAGE: Final[Mapping[str, tuple[tuple[str, Explanation], ...]]] = {
    "INVALID_DATA": (
        (
            "the related id given seems to be invalid",
            Explanation(
                "the record in record_id does not exist, or the token may not see it",
                "look it up in the organisation: it may be of another module, deleted, or merged",
            ),
        ),
        (
            "record does not exist",
            Explanation(
                "the record in record_id does not exist any more",
                "nothing is left to do for a deleted record; take the rows out",
            ),
        ),
        (
            "given seems to be invalid",
            Explanation(
                "an id or a name does not exist in the organisation",
                f"look up related_id, territory_id and related_list, and {MEND_ROWS}",
            ),
        ),
        (
            "transfer_to_id",
            Explanation(
                "the territory in transfer_to_id cannot take over what the deleted one holds",
                "name one that exists and stands higher in the hierarchy",
            ),
        ),
        (
            "territoryid",
            Explanation(
                "the territory does not exist (any more)",
                "look it up in the list of territories; if it is deleted, nothing is left to do",
            ),
        ),
    ),
    "NOT_ALLOWED": (
        (
            "system assigned",
            Explanation(
                "a rule assigned the territory, so that no call can take it away",
                "change the rule of the territory, or the fields that it looks at",
            ),
        ),
    ),
    "MANDATORY_NOT_FOUND": (
        (
            "required field",
            Explanation(
                "the relation needs a field that the row does not have (such as list_price)",
                f"add the column, with --field if it has another name, and {MEND_ROWS}",
            ),
        ),
    ),
}

API: Final[Mapping[str, Explanation]] = {
    "INVALID_DATA": Explanation(
        "the server does not accept an id or a value of the row",
        f"see the message for which one, and {MEND_ROWS}",
    ),
    "MANDATORY_NOT_FOUND": Explanation(
        "something that the call needs is missing", f"see the message for what, and {MEND_ROWS}"
    ),
    "LIMIT_EXCEEDED": Explanation(
        "the record has as many of these as it can have (territories: 10, of a deal 1)",
        "take others off the record first, then bulkops retry",
    ),
    "DUPLICATE_DATA": Explanation(
        "it was so already, and the server calls that an error", "nothing is left to do"
    ),
    "DUPLICATE_LINKING_DATA": Explanation(
        "the two records are linked already", "nothing is left to do"
    ),
    "ALREADY_USED": Explanation("an id stands twice in one call", REPORT),
    "ALREADY_SCHEDULED": Explanation("another job of the record is still running", LATER),
    "RECORD_LOCKED": Explanation(
        "somebody, or an approval, has locked the record, and it stayed so for all attempts",
        "have it unlocked, then bulkops retry",
    ),
    "NOT_ALLOWED": Explanation(
        "the server does not allow this for this record or territory",
        "see the message; a territory that a rule assigned can only be taken away by a rule",
    ),
    "CANNOT_BE_UPDATED": Explanation(
        "the record or the relation cannot be changed by the API",
        "change it in Zoho's own pages, or leave it",
    ),
    "DEPENDENT_FIELD_MISSING": Explanation(
        "the territory has children, which need another parent",
        f"fill transfer_to_id, and {MEND_ROWS}",
    ),
    "INVALID_REQUEST": Explanation("the server cannot carry out this call as it stands", REPORT),
    "INVALID_MODULE": Explanation(
        "the organisation has no module of that API name, or not this relation of it",
        "compare with Setup, Developer Hub, APIs, API names",
    ),
    "NOT_SUPPORTED": Explanation(
        "the API does not offer this for the module", "take these rows out"
    ),
    "INVALID_URL_PATTERN": Explanation(
        "the server does not know this kind of call in this version of the API",
        "compare product and version in [api] with the operation's page",
    ),
    "INVALID_REQUEST_METHOD": Explanation(
        "the server does not take this kind of call in this version of the API",
        "compare product and version in [api] with the operation's page",
    ),
    "INVALID_HOST": Explanation(
        "the organisation lives in another data centre", "set data_center in [api]"
    ),
    "UNABLE_TO_PARSE_DATA_TYPE": Explanation(
        "the server cannot read a value of the row", f"see its fields, and {MEND_ROWS}"
    ),
    "REQUIRED_PARAM_MISSING": Explanation("the call lacks something that the server wants", REPORT),
    "AUTHORIZATION_FAILED": Explanation(
        "the user behind the token may not change these records", PERMIT
    ),
    "NO_PERMISSION": Explanation(
        "the user behind the token lacks a permission for this module or record", PERMIT
    ),
    "PERMISSION_DENIED": Explanation("the user behind the token may not do this", PERMIT),
    "OAUTH_SCOPE_MISMATCH": Explanation(
        "the token was not given the scope for this",
        "make a refresh token with the scopes of the README, then run --resume-stopped",
    ),
    "FEATURE_NOT_ENABLED": Explanation(
        "the organisation does not use this feature (for this module)", SWITCH_ON
    ),
    "TERRITORY_NOT_ENABLED": Explanation(
        "territories are not enabled for this module; for leads Zoho's support does that",
        SWITCH_ON,
    ),
    **dict.fromkeys(
        ("INVALID_TOKEN", "INVALID_OAUTHTOKEN", "AUTHENTICATION_FAILURE"),
        Explanation(
            "the server refuses the access token",
            "check the client, its refresh token and the data centre, then bulkops retry",
        ),
    ),
    **dict.fromkeys(
        ("INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"),
        Explanation("the server had a fault of its own, at every attempt", LATER),
    ),
    "TOO_MANY_REQUESTS": Explanation("the server refused further calls for now", LATER),
}
