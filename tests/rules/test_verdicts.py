"""The one table of codes: what a status object means, for an item and for a whole call."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.rules.verdicts import Answer, Verdict, judge_flat, judge_item, judge_unreadable


def parsed(value: Any, *, http_status: int = 400, flat: bool = True) -> Answer:
    answer = Answer.parse(value, http_status=http_status, flat=flat)
    assert answer is not None
    return answer


def refusal(code: str, **details: Any) -> dict[str, Any]:
    return {"code": code, "details": details, "message": "", "status": "error"}


@pytest.mark.parametrize("value", [None, [], {}, "SUCCESS", 5, {"data": []}, {"status": "error"}])
def test_what_has_no_code_is_no_status_object(value: object) -> None:
    """A status object says a code, or `error` in the shape before version 2."""
    assert Answer.parse(value, http_status=200, flat=True) is None


def test_ids_codes_and_jobs_are_text_whatever_they_came_as() -> None:
    """Servers write ids as numbers at times; `True` is no id."""
    answer = parsed({"code": 429, "details": {"id": 4150868000003194001, "job_id": 7}})
    assert (answer.code, answer.id, answer.job_id) == ("429", "4150868000003194001", "7")
    assert parsed(refusal("X", id=True, job_id=1.5)).id == ""


def test_details_that_are_no_object_are_none() -> None:
    """The old shape has an empty list there."""
    answer = parsed({"code": "X", "details": []})
    assert (answer.id, answer.job_id, answer.path, answer.indices) == ("", "", "", ())


def test_the_shape_before_version_2_is_read() -> None:
    """`error` is the code and `error_info` the message."""
    answer = parsed(
        {"code": 429, "error": "TOO_MANY_REQUESTS", "error_info": " slow ", "details": []}
    )
    assert (answer.code, answer.message, answer.ok) == ("TOO_MANY_REQUESTS", "slow", False)


def test_indices_are_the_item_and_then_the_member() -> None:
    """A leading space, as some samples have it, is no part of the path."""
    answer = parsed(refusal("X", json_path=" $.data[3].Territories[12].id"))
    assert (answer.path, answer.indices) == ("$.data[3].Territories[12].id", (3, 12))


@pytest.mark.parametrize(
    ("value", "ok", "pending"),
    [
        ({"code": "SUCCESS", "status": "success"}, True, False),
        ({"code": "SUCCESS", "status": "success", "details": {"job_id": "1"}}, True, True),
        ({"code": "SUCCESS", "status": "success", "details": {"job_id": ""}}, True, False),
        ({"code": "SCHEDULED", "status": "success"}, True, True),
        ({"code": "SCHEDULED"}, True, True),
        ({"code": "SUCCESS"}, True, False),
        ({"code": "SUCCESS", "status": "error"}, False, False),
        ({"code": "INVALID_DATA"}, False, False),
        ({"code": "INVALID_DATA", "status": "error", "details": {"job_id": "1"}}, False, False),
    ],
)
def test_pending_is_a_success_with_a_job_or_so_called(
    value: dict[str, Any], ok: bool, pending: bool
) -> None:
    """`status` decides; without it the code does. A refusal is never pending."""
    answer = parsed(value, http_status=200, flat=False)
    assert (answer.ok, answer.pending) == (ok, pending)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("ALREADY_SCHEDULED", Verdict.WAIT),
        ("RECORD_LOCKED", Verdict.LOCKED),
        ("TOO_MANY_REQUESTS", Verdict.THROTTLED),
        ("INTERNAL_ERROR", Verdict.RETRY),
        ("INTERNAL_SERVER_ERROR", Verdict.RETRY),
        ("INVALID_DATA", Verdict.FAIL),
        ("MANDATORY_NOT_FOUND", Verdict.FAIL),
        ("NOT_ALLOWED", Verdict.FAIL),
        ("ALREADY_USED", Verdict.FAIL),
        ("CANNOT_BE_UPDATED", Verdict.FAIL),
        ("DEPENDENT_FIELD_MISSING", Verdict.FAIL),
        ("LIMIT_EXCEEDED", Verdict.FAIL),
        ("NO_PERMISSION", Verdict.FAIL),
        ("AUTHORIZATION_FAILED", Verdict.FAIL),
        ("A_CODE_OF_TOMORROW", Verdict.FAIL),
    ],
)
@pytest.mark.parametrize("http_status", [200, 202, 207, 400, 401, 403, 500])
def test_an_item_is_judged_by_its_code_alone(code: str, verdict: Verdict, http_status: int) -> None:
    """A wrapped 401 is about the item: the token is good. Unknown codes are permanent."""
    answer = parsed(refusal(code), http_status=http_status, flat=False)
    assert judge_item(answer) is verdict


def test_an_item_that_succeeded_is_done_whatever_came_with_it() -> None:
    """A 400 may hold successes."""
    answer = parsed({"code": "SUCCESS", "status": "success"}, http_status=400, flat=False)
    assert judge_item(answer) is Verdict.DONE


@pytest.mark.parametrize(
    ("http_status", "code", "details", "verdict"),
    [
        (429, "TOO_MANY_REQUESTS", {}, Verdict.THROTTLED),
        (400, "TOO_MANY_REQUESTS", {}, Verdict.THROTTLED),
        (429, "ANYTHING", {}, Verdict.THROTTLED),
        (401, "INVALID_TOKEN", {}, Verdict.REFRESH),
        (401, "INVALID_OAUTHTOKEN", {}, Verdict.REFRESH),
        (401, "AUTHENTICATION_FAILURE", {}, Verdict.REFRESH),
        (401, "A_CODE_OF_TOMORROW", {}, Verdict.REFRESH),
        (401, "OAUTH_SCOPE_MISMATCH", {}, Verdict.ABORT),
        (401, "PERMISSION_DENIED", {}, Verdict.ABORT),
        (401, "AUTHORIZATION_FAILED", {}, Verdict.ABORT),
        (400, "AUTHORIZATION_FAILED", {}, Verdict.ABORT),
        (403, "NO_PERMISSION", {}, Verdict.ABORT),
        (403, "TERRITORY_NOT_ENABLED", {}, Verdict.ABORT),
        (403, "A_CODE_OF_TOMORROW", {}, Verdict.ABORT),
        (500, "INTERNAL_ERROR", {}, Verdict.RETRY),
        (400, "INTERNAL_SERVER_ERROR", {}, Verdict.RETRY),
        (503, "A_CODE_OF_TOMORROW", {}, Verdict.RETRY),
        (400, "LIMIT_EXCEEDED", {"limit": "100"}, Verdict.SPLIT),
        (400, "UNABLE_TO_PARSE_DATA_TYPE", {}, Verdict.BISECT),
        (400, "MANDATORY_NOT_FOUND", {}, Verdict.BISECT),
        (400, "RECORD_LOCKED", {}, Verdict.LOCKED),
        (400, "ALREADY_SCHEDULED", {}, Verdict.WAIT),
        (400, "INVALID_DATA", {"resource_path_index": 0}, Verdict.ABORT),
        (400, "INVALID_DATA", {"resource_path_index": 1}, Verdict.FAIL),
        (400, "INVALID_DATA", {"resource_path_index": "1"}, Verdict.FAIL),
        (400, "INVALID_DATA", {"resource_path_index": 2}, Verdict.ABORT),
        (400, "INVALID_DATA", {"resource_path_index": "2"}, Verdict.ABORT),
        (400, "INVALID_DATA", {}, Verdict.BISECT),
        (404, "INVALID_DATA", {}, Verdict.FAIL),
        (400, "INVALID_MODULE", {"resource_path_index": 0}, Verdict.ABORT),
        (400, "NOT_SUPPORTED", {"resource_path_index": 0}, Verdict.ABORT),
        (400, "FEATURE_NOT_ENABLED", {}, Verdict.ABORT),
        (404, "INVALID_URL_PATTERN", {}, Verdict.ABORT),
        (400, "INVALID_HOST", {}, Verdict.ABORT),
        (400, "INVALID_REQUEST_METHOD", {}, Verdict.ABORT),
        (400, "A_CODE_OF_TOMORROW", {}, Verdict.FAIL),
    ],
)
def test_a_flat_refusal_is_judged_as_the_pages_say(
    http_status: int, code: str, details: dict[str, Any], verdict: Verdict
) -> None:
    """The classification of refusals of a whole call."""
    assert judge_flat(parsed(refusal(code, **details), http_status=http_status)) is verdict


@pytest.mark.parametrize(
    ("http_status", "verdict"),
    [
        (429, Verdict.THROTTLED),
        (401, Verdict.REFRESH),
        (413, Verdict.SPLIT),
        (414, Verdict.SPLIT),
        *((each, Verdict.RETRY) for each in (200, 204, 302, 400, 403, 404, 500, 502, 503, 504)),
    ],
)
def test_an_unreadable_answer_is_judged_by_its_status(http_status: int, verdict: Verdict) -> None:
    """There is nothing else to go by; a gateway's page is a passing fault."""
    assert judge_unreadable(http_status) is verdict


def test_messages_are_compared_in_any_capitals() -> None:
    """The samples differ in them."""
    answer = parsed({"code": "X", "message": " Relation NOT found."})
    assert answer.says("relation not found")
    assert not answer.says("relation removed")


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize("code", ["INVALID_TOKEN", "INVALID_OAUTHTOKEN", "AUTHENTICATION_FAILURE"])
def test_a_refused_token_is_one_whatever_the_http_status(status: int, code: str) -> None:
    """Were it a refusal of the rows, every row of the run would be told as failed."""
    assert judge_flat(parsed(refusal(code), http_status=status)) is Verdict.REFRESH
