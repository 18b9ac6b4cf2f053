"""
Match the items of an answer to the items of its request: pure, and never a guess.

That items come back in the order sent is documented for records alone, so position is the last
resort and is believed only if the answer has as many items as the request and none of those
that name themselves stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkops.model import Item
from bulkops.rules.verdicts import Answer

#: The place of an answer that names something which was not asked about.
_STRANGER = -1


def match_items(
    envelope: str, items: Sequence[Item], answers: Sequence[Answer | None]
) -> list[Answer | None]:
    """
    Return for each item its answer, or `None` if it has none that is certain.

    An item that is claimed twice by answers that disagree gets `None`.
    """
    by_id = {item.id: index for index, item in enumerate(items)}
    places = [_place(envelope, answer, by_id, len(items)) for answer in answers]
    in_order = len(answers) == len(items) and all(
        place in {None, position} for position, place in enumerate(places)
    )
    claims: dict[int, Answer] = {}
    disputed: set[int] = set()
    for position, (answer, place) in enumerate(zip(answers, places, strict=True)):
        index = position if place is None and in_order else place
        if answer is None or index is None or index == _STRANGER:
            continue
        rival = claims.setdefault(index, answer)
        if (rival.ok, rival.code) != (answer.ok, answer.code):
            disputed.add(index)
    return [claims.get(index) if index not in disputed else None for index in range(len(items))]


def _place(envelope: str, answer: Answer | None, by_id: dict[str, int], count: int) -> int | None:
    """
    Return the index that an answer claims by id or path.

    `None` if it claims none, `_STRANGER` if it names what was not in the request or what nobody
    can read.
    """
    if answer is None:
        return None
    if answer.id in by_id:
        return by_id[answer.id]
    if answer.path.startswith(f"$.{envelope}[") and answer.indices:
        return answer.indices[0] if answer.indices[0] < count else _STRANGER
    # An id that cannot be read, such as a rounded number, still is somebody's in particular.
    return None if answer.details.get("id") in (None, "") else _STRANGER
