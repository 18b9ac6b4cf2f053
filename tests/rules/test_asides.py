"""What an answer says beside its verdicts: how long to wait."""

from __future__ import annotations

import pytest

from bulkops.model import Reply
from bulkops.rules.asides import retry_after

NOW = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("2.5", 2.5),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 99999 11:00:00 GMT", None),
        ("Sun, 22 Nov 99999999999 11:00:00 GMT", None),
        ("Sun, 22 Nov 2026 12:01:30 -0000", None),
    ],
)
def test_a_wait_is_seconds_or_a_moment_of_the_servers_clock(
    said: str, seconds: float | None
) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#field.retry-after; nonsense is no wait."""
    assert retry_after(Reply(503, None, {"Retry-After": said, "Date": NOW})) == seconds


def test_a_moment_means_nothing_without_the_servers_clock() -> None:
    """Ours may be wrong by years."""
    assert retry_after(Reply(503, None, {"Retry-After": NOW})) is None


@pytest.mark.parametrize(("said", "seconds"), [(60, 60.0), ("60", 60.0), (-1, None), ([], None)])
def test_the_body_may_say_it(said: object, seconds: float | None) -> None:
    """`details.retry_after`, as the newest specification has it."""
    assert retry_after(Reply(429, {"details": {"retry_after": said}})) == seconds
