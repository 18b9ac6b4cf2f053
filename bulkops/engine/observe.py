"""
See how the items of a call stand on the server, before or after it.

Asks as the operation's spec says, at the higher price where the server does not answer the
cheap question. Reads alone: nothing here changes anything, and nothing is settled by it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from bulkops.engine.reader import Reader, Refusal
from bulkops.model import Api, Item, Json, Request, Route
from bulkops.rules.reads import Before, Capture, Probe
from bulkops.rules.spec import Spec

W = TypeVar("W", Probe, Capture)
T = TypeVar("T")


class Observer:
    """
    Asks about items of calls. One serves a whole run; it remembers what the server does not say.
    """

    def __init__(self, reader: Reader, api: Api) -> None:
        self._reader = reader
        self._api = api
        self._singly: set[tuple[str, str]] = set()

    async def present(
        self, spec: Spec, route: Route, items: Sequence[Item]
    ) -> frozenset[tuple[str, str]] | Refusal:
        """
        Return the `(item id, member)` pairs of `items` that are there, or why it is not told.

        Raises what `Reader.read` raises.
        """
        probe = spec.observation
        pairs: set[tuple[str, str]] = set()
        for ask in self._ways(spec, route, probe, probe.singly):
            requests = ask.requests(self._api, route, items)
            found = await self._all(requests, items, ask.present, absent_codes=ask.absent_codes)
            if isinstance(found, Refusal):
                return found
            if found is not None:
                for each in found:
                    pairs |= each
                return frozenset(pairs)
        return Refusal("unreadable", "what the server shows cannot be read", 0)

    async def before(
        self, spec: Spec, route: Route, items: Sequence[Item]
    ) -> Mapping[str, Before] | Refusal:
        """
        Return how each of `items` stands, by its id, or why it is not told.

        The spec must have a `capture`. Raises what `Reader.read` raises.
        """
        assert spec.capture is not None
        capture: Capture = spec.capture
        for ask in self._ways(spec, route, capture, capture.singly):
            found = await self._all(ask.requests(self._api, route, items), items, ask.held)
            if isinstance(found, Refusal):
                return found
            if found is not None:
                held = {key: value for each in found for key, value in each.items()}
                return {item.id: Before(held.get(item.id)) for item in items}
        return Refusal("unreadable", "what the server shows cannot be read", 0)

    def _ways(self, spec: Spec, route: Route, together: W, singly: W | None) -> Iterator[W]:
        """Yield the ways to ask, the cheap one first unless it was in vain before."""
        key = (spec.name, route.module)
        if singly is None or key not in self._singly:
            yield together
        if singly is not None:
            # Whoever asks for the next way got nothing from the one before.
            self._singly.add(key)
            yield singly

    async def _all(
        self,
        requests: Iterable[Request],
        items: Sequence[Item],
        parse: Callable[[Json], T | None],
        *,
        absent_codes: frozenset[str] = frozenset(),
    ) -> list[T] | Refusal | None:
        """Return what every answer shows, `None` if one cannot tell."""
        asked = {item.id for item in items}
        found: list[T] = []
        for request in requests:
            body = await self._reader.read(request)
            if isinstance(body, Refusal):
                if body.code in absent_codes:
                    continue
                return body
            shown = parse(body) if _is_about(body, asked) else None
            if shown is None:
                return None
            found.append(shown)
        return found


def _is_about(body: Json, asked: Collection[str]) -> bool:
    """
    Tell whether a body has rows of those alone that were `asked` for.

    A list that was not narrowed down to them may end before it comes to them: that they do not
    stand in it says nothing.
    """
    lists = (each for each in body.values() if isinstance(each, list)) if body else ()
    rows = (row for each in lists for row in each)
    return all(isinstance(row, dict) and str(row.get("id", "")) in asked for row in rows)
