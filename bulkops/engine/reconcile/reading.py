"""
Ask the organisation what it holds, and believe only what adds up.

Whatever a read does not tell for certain is unread: an answer that is an error, a page that is
missing, a count that disagrees, a record that the answer leaves out. Nothing is guessed from it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bulkops.engine.reader import Reader, Refusal
from bulkops.engine.reconcile.questions import Asked
from bulkops.errors import BulkopsError
from bulkops.files.checkpoint import Checkpoint
from bulkops.model import Api
from bulkops.rules.pages import Cursor
from bulkops.rules.reads import Listing, Question

#: So many refusals of all calls of a kind, one after the other, and no more of it are asked.
_ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Unread:
    """
    A record of which it is not known what it holds, and why, in words.
    """

    module: str
    related_list: str
    holder: str
    why: str
    forbidden: bool = False


class Reading:
    """
    Asks questions and writes down the answers. One serves one process; the log goes on.

    `told` is called with how many questions are answered so far, for whoever watches.
    """

    def __init__(
        self,
        reader: Reader,
        api: Api,
        log: Checkpoint,
        *,
        first: int,
        many: bool = True,
        told: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._reader = reader
        self._api = api
        self._log = log
        self._number = first
        self._many = many
        self._told = told
        self._in_a_row: Counter[tuple[str, str, str]] = Counter()
        self._understood: set[tuple[str, str]] = set()
        self._singly: set[tuple[str, str]] = set()
        self.answered = 0
        self.unread: list[Unread] = []

    async def read(self, questions: Iterator[Asked], *, at_once: int) -> None:
        """
        Ask all of `questions`, `at_once` of them at a time.

        Raises what `Reader.read` raises; what was read whole until then is in the log.
        """

        async def work() -> None:
            for asked in questions:
                await self._ask(asked)
                self.answered += len(asked.question.holders)
                self._told(self.answered)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(work())
        except* BulkopsError as errors:
            raise _first(errors) from None

    async def _ask(self, asked: Asked) -> None:
        """Ask one question, record by record where the server does not answer it for several."""
        kind = (asked.spec.name, asked.question.module)
        listing, question = asked.listing, asked.question
        singly = listing.singly
        if singly is None:
            await self._settle(asked, listing, question)
            return
        if self._many and kind not in self._singly:
            why = await self._try(asked, listing, question)
            if why is None:
                self._understood.add(kind)
                return
            if isinstance(why, Refusal) and (why.altogether or why.passing):
                self._give_up(asked, question.holders, why)
                return
            if kind not in self._understood:
                self._singly.add(kind)
        for holder in question.holders:
            await self._settle(asked, singly, replace(question, holders=(holder,)))

    async def _settle(self, asked: Asked, listing: Listing, question: Question) -> None:
        why = await self._try(asked, listing, question)
        if why is not None:
            self._give_up(asked, question.holders, why)

    async def _try(
        self, asked: Asked, listing: Listing, question: Question
    ) -> Refusal | str | None:
        """Read all pages, unless so many calls of the kind were refused that it is no use."""
        group = (asked.spec.name, question.module, question.related_list)
        if self._in_a_row[group] >= _ENOUGH:
            words = "not asked, since the server refuses every call of this kind"
            return Refusal("", words, 0, altogether=True)
        why = await self._pages(asked, listing, question)
        altogether = isinstance(why, Refusal) and why.altogether
        self._in_a_row[group] = self._in_a_row[group] + 1 if altogether else 0
        return why

    async def _pages(
        self, asked: Asked, listing: Listing, question: Question
    ) -> Refusal | str | None:
        """Read all pages and write them down; return why they are not to be believed, if so."""
        number, self._number = self._number, self._number + 1
        cursor: Cursor | None = Cursor()
        found: Counter[str] = Counter()
        seen: set[tuple[str, str]] = set()
        holders: set[str] = set()
        while cursor is not None:
            body = await self._reader.read(listing.request(self._api, question, cursor))
            if isinstance(body, Refusal):
                return body
            shown = listing.parse(body, question, cursor)
            if isinstance(shown, str):
                return shown
            for each in shown.held:
                if (each.holder, each.id) in seen:
                    return f"{each.id} stands on two pages: the list changed while it was read"
                seen.add((each.holder, each.id))
                found[each.holder] += 1
            holders |= shown.holders
            held = [[each.holder, each.id, each.values, each.ours] for each in shown.held]
            if held:
                self._log.append(type="page", reading=number, held=held)
            cursor = shown.after
        for holder in question.holders:
            if holder in holders:
                self._log.append(
                    type="whole",
                    reading=number,
                    spec=asked.spec.name,
                    module=question.module,
                    list=question.related_list,
                    holder=holder,
                    part=asked.part,
                    count=found[holder],
                )
        missing = [holder for holder in question.holders if holder not in holders]
        self._give_up(asked, missing, "the server does not show this record")
        return None

    def _give_up(self, asked: Asked, holders: Sequence[str], why: Refusal | str) -> None:
        words = why if isinstance(why, str) else f"{why.code}: {why.message}".removeprefix(": ")
        forbidden = isinstance(why, Refusal) and why.altogether
        question = asked.question
        self.unread.extend(
            Unread(question.module, question.related_list, holder, words, forbidden)
            for holder in holders
        )


def _first(errors: BaseExceptionGroup[BulkopsError]) -> BulkopsError:
    """Return the first of the errors, which stand in groups within groups."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
