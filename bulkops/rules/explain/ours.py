"""
Our own codes, in small letters: what bulkops found out before, or without, the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bulkops.rules.explain.explanation import (
    LATER,
    MEND_FILE,
    MEND_ROWS,
    REPORT,
    RETRY,
    Explanation,
)
from bulkops.rules.tally import OTHER_CODES

OURS: Final[Mapping[str, Explanation]] = {
    "mangled_number": Explanation(
        "a spreadsheet has made a rounded number of the id; its last digits are lost",
        "export again with the id columns as text",
    ),
    "not_an_id": Explanation("an id is not digits alone, at most 20", MEND_ROWS),
    "not_a_name": Explanation("a module or list is not named as the API names it", MEND_ROWS),
    "not_a_flag": Explanation("a cell is neither true nor false", MEND_ROWS),
    "missing_op": Explanation(
        "the row does not say what to do", "fill the column op, or give it with --op"
    ),
    "unknown_op": Explanation("op is not one of the operations", MEND_ROWS),
    "missing_value": Explanation("a cell that the operation needs is empty", MEND_ROWS),
    "points_at_itself": Explanation(
        "a territory is to be handed over to itself", "name another in transfer_to_id"
    ),
    "circular_order": Explanation(
        "territories to be deleted hand over to each other in a circle",
        "name one in transfer_to_id that stays",
    ),
    "opposite_wishes": Explanation(
        "two rows want opposite things of one relation, so that neither was sent",
        'take one of them out, or let the later win with on_conflict = "last" in [run]',
    ),
    "not_in_product": Explanation("the product does not have this operation", "take them out"),
    "unsupported_module": Explanation(
        "the operation does not exist for this module", "compare with the README's operations"
    ),
    "unsafe_relation": Explanation(
        "the same call on a list that owns its records may delete them, so it was not sent",
        "declare the list under [relations] if it only relates records",
    ),
    "too_many_fields": Explanation("the record has more cells than the header", MEND_FILE),
    "too_few_fields": Explanation("the record has fewer cells than the header", MEND_FILE),
    "field_too_long": Explanation("a cell is longer than any that is meant", MEND_FILE),
    "line_too_long": Explanation("a line is longer than any that is meant", MEND_FILE),
    "nul_byte": Explanation("there is a NUL byte in the record", MEND_FILE),
    "bad_quote": Explanation("text follows a closing quote", MEND_FILE),
    "inside_bad_quote": Explanation(
        "the record stands within a cell whose quote is bad", MEND_FILE
    ),
    "unclosed_quote": Explanation("a quote is opened and never closed", MEND_FILE),
    "after_unclosed_quote": Explanation("the record stands after a quote never closed", MEND_FILE),
    "not_json": Explanation("the line is not JSON", MEND_FILE),
    "not_an_object": Explanation("the line is JSON, but not an object", MEND_FILE),
    "too_large": Explanation("the server takes not even one row in a call", REPORT),
    "no_answer": Explanation("no answer came, at every attempt", LATER),
    "no_reply": Explanation("no answer came when the server was asked what is there", LATER),
    "unreadable": Explanation(
        "what the server shows of the record cannot be read", f"bulkops verify, then {RETRY}"
    ),
    "not_listed": Explanation(
        "the territory is not in the organisation's list, so that it was not sent",
        "look it up; if it is deleted, nothing is left to do",
    ),
    "system_assigned": Explanation(
        "a rule assigned the territory, so that no call can take it away",
        "change the rule of the territory, or the fields that it looks at",
    ),
    "job_without_effect": Explanation(
        "Zoho's job ended twice, or is not to be found, and changed nothing; it does not say why",
        "try it by hand on one record; else ask Zoho's support with the job_id of the outcome",
    ),
    OTHER_CODES: Explanation("further codes of the server", "see bulkops outcomes"),
    "": Explanation("the server gave no code", "see the message in bulkops outcomes"),
}
