"""
What an answer of the server means: the one table of codes, for items and for whole calls.

Zoho answers in status objects: `{"code", "details", "message", "status"}`. As a member of the
answer's array it speaks of one item; as the whole body ("flat") it refuses the whole call. The
HTTP status alone decides nothing: a 2xx body may hold errors, a 4xx body may be wrapped.

A spec may overrule a verdict for its own operation (see `Spec.judge`); what only one operation
can know ("relation not found" is fine for an unlink, and not for a link) stands in its file.

Sources: https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html and the page of each
operation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from bulkops.model import Json

#: An index that a request can have; a longer one names nothing.
_INDEX = re.compile(r"\[([0-9]{1,9})\]")


class Verdict(Enum):
    """
    What to do about one status object.
    """

    #: The server did it, or will do it (then the item carries a `job_id`).
    DONE = auto()
    #: It was so already; after a try that met silence, that try did it.
    ALREADY = auto()
    #: Refused for good.
    FAIL = auto()
    #: Refused for good; but if an earlier try met silence, this says that it was that try.
    ECHO = auto()
    #: A passing fault: send again, at most `attempts` times.
    RETRY = auto()
    #: A remote job of this record is running: wait for it. Not a failure, not an attempt.
    WAIT = auto()
    #: The record is locked: send again much later.
    LOCKED = auto()
    #: Means one thing if the id exists in the organisation and another if not: look it up.
    LOOKUP = auto()
    #: Too many calls in flight, or no credits left: everybody slows down. Not an attempt.
    THROTTLED = auto()
    #: The access token is no longer good: get another and send again.
    REFRESH = auto()
    #: More items in the call than the server takes: send in smaller calls.
    SPLIT = auto()
    #: Refused as a whole because of a member that is not named: halve until it stands alone.
    BISECT = auto()
    #: Wrong for every call of this group (module, relation, scope): send no more of them.
    ABORT = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One status object, with the HTTP status it came with and whether it was the whole body.
    """

    http_status: int
    flat: bool
    ok: bool
    code: str
    message: str
    details: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Json, *, http_status: int, flat: bool) -> Answer | None:
        """
        Read a status object; `None` if `value` is not one.

        Ids and codes are taken as text whatever JSON type they came in. The pre-v2 shape
        `{"code": 429, "error": "TOO_MANY_REQUESTS", "error_info": ...}` is read too.
        """
        if not isinstance(value, dict) or not ("code" in value or "error" in value):
            return None
        old = value.get("error")
        code = _text(old if isinstance(old, str) else value.get("code"))
        details = value.get("details")
        return cls(
            http_status=http_status,
            flat=flat,
            ok=value.get("status") == "success"
            or (value.get("status") is None and code in {"SUCCESS", "SCHEDULED"}),
            code=code,
            message=_text(value.get("message", value.get("error_info"))).strip(),
            details=details if isinstance(details, dict) else {},
        )

    @property
    def path(self) -> str:
        """`details.json_path` without the leading space that some samples have; or ''."""
        path = self.details.get("json_path")
        return path.strip() if isinstance(path, str) else ""

    @property
    def indices(self) -> tuple[int, ...]:
        """The array indices in `json_path`: the item's first, then the member's within it."""
        return tuple(int(index) for index in _INDEX.findall(self.path))

    @property
    def id(self) -> str:
        """`details.id` as text, or ''."""
        return _text(self.details.get("id"))

    @property
    def job_id(self) -> str:
        """`details.job_id` as text, or ''."""
        return _text(self.details.get("job_id"))

    @property
    def pending(self) -> bool:
        """Whether a remote job will do the work: iff it has a `job_id` or says `SCHEDULED`."""
        return self.ok and (bool(self.job_id) or self.code == "SCHEDULED")

    def says(self, words: str) -> bool:
        """Whether the message holds `words`, in any capitals (the samples differ in them)."""
        return words.casefold() in self.message.casefold()


def _text(value: Json) -> str:
    """Return a text or whole number as text, and anything else as no text."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


#: Codes that refuse the token, which another one mends.
TOKEN_CODES = frozenset({"INVALID_TOKEN", "INVALID_OAUTHTOKEN", "AUTHENTICATION_FAILURE"})
#: Codes that refuse the user or the scope of the token, which a person has to mend.
RIGHT_CODES = frozenset(
    {"AUTHORIZATION_FAILED", "NO_PERMISSION", "OAUTH_SCOPE_MISMATCH", "PERMISSION_DENIED"}
)
_FAULT = frozenset({"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"})

#: Codes of an item. Any other code of an item that is not `ok` is permanent, told verbatim.
_ITEM = {
    "ALREADY_SCHEDULED": Verdict.WAIT,
    "RECORD_LOCKED": Verdict.LOCKED,
    "TOO_MANY_REQUESTS": Verdict.THROTTLED,
    **dict.fromkeys(_FAULT, Verdict.RETRY),
}

#: Codes of a whole call. `INVALID_DATA` is read by what it points at, see `_flat_invalid_data`.
_FLAT = {
    "TOO_MANY_REQUESTS": Verdict.THROTTLED,
    "ALREADY_SCHEDULED": Verdict.WAIT,
    "RECORD_LOCKED": Verdict.LOCKED,
    "LIMIT_EXCEEDED": Verdict.SPLIT,
    "UNABLE_TO_PARSE_DATA_TYPE": Verdict.BISECT,
    "MANDATORY_NOT_FOUND": Verdict.BISECT,
    **dict.fromkeys(_FAULT, Verdict.RETRY),
    **dict.fromkeys(
        (
            *RIGHT_CODES,
            "FEATURE_NOT_ENABLED",
            "INVALID_HOST",
            "INVALID_MODULE",
            "INVALID_REQUEST_METHOD",
            "INVALID_URL_PATTERN",
            "NOT_SUPPORTED",
            "TERRITORY_NOT_ENABLED",
        ),
        Verdict.ABORT,
    ),
}


def judge_item(answer: Answer) -> Verdict:
    """Return what one item's answer means for any operation."""
    if answer.ok:
        return Verdict.DONE
    return _ITEM.get(answer.code, Verdict.FAIL)


def judge_flat(answer: Answer) -> Verdict:
    """Return what a flat refusal means for the whole call. Pure; the order below matters."""
    if answer.http_status == 429:
        return Verdict.THROTTLED
    if answer.code in TOKEN_CODES or (answer.http_status == 401 and answer.code not in _FLAT):
        return Verdict.REFRESH
    if answer.http_status >= 500:
        return Verdict.RETRY
    if answer.code == "INVALID_DATA":
        return _flat_invalid_data(answer)
    if answer.http_status == 403:
        return Verdict.ABORT
    return _FLAT.get(answer.code, Verdict.FAIL)


def _flat_invalid_data(answer: Answer) -> Verdict:
    """
    Read a flat `INVALID_DATA` by the part of the URL or body that it names.

    Index 0 is the module, 1 the parent record, 2 the relation; a 404 is a parent that is gone.
    Without any of these the culprit is one of the members.
    """
    match answer.details.get("resource_path_index"):
        case 0 | 2 | "0" | "2":
            return Verdict.ABORT
        case 1 | "1":
            return Verdict.FAIL
        case _:
            return Verdict.FAIL if answer.http_status == 404 else Verdict.BISECT


def judge_unreadable(http_status: int) -> Verdict:
    """Return what an answer without a status object means (HTML of a gateway, cut JSON)."""
    match http_status:
        case 429:
            return Verdict.THROTTLED
        case 401:
            return Verdict.REFRESH
        case 413 | 414:
            return Verdict.SPLIT
        case _:
            return Verdict.RETRY
