"""
Read how records stand: their pending jobs and their territories, as cheaply as the server lets us.

Remembers what it does not answer, so that it is asked in vain once only.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkops.engine.reader import Reader, Refusal
from bulkops.engine.recorder import Recorder
from bulkops.files.talk import Talk
from bulkops.model import Api
from bulkops.rules.operations.territories import (
    read_many_territories,
    read_territories,
    territories_of,
)
from bulkops.rules.territory_jobs import feature_info, pending_jobs


class Records:
    """
    The records of an organisation, as a follower of jobs looks at them.

    `read_many` says whether a list of records may be tried for their territories. Every method
    raises what `Reader.read` raises.
    """

    def __init__(self, api: Api, reader: Reader, recorder: Recorder, *, read_many: bool) -> None:
        self._api = api
        self._reader = reader
        self._recorder = recorder
        self._read_many = read_many
        self._singly: set[str] = set()
        self._unlisted: set[str] = set()
        self._log = Talk("bulkops.follow")

    def lists_jobs(self, module: str) -> bool:
        """Whether the server has not refused yet to list the jobs of a module."""
        return module not in self._unlisted

    async def jobs(self, module: str, records: Sequence[str]) -> dict[str, set[str]] | None:
        """
        Return the pending jobs of `records`; none once the server refuses to list them.

        `None` if they cannot be listed just now.
        """
        if module in self._unlisted:
            return {}
        body = await self._reader.read(feature_info(self._api, module, records))
        if isinstance(body, Refusal) and body.passing:
            return None
        if isinstance(body, Refusal):
            # The records themselves will show when the jobs are done.
            self._unlisted.add(module)
            self._recorder.note("jobs.unlisted", module=module, code=body.code, why=body.message)
            self._log.warning("jobs.unlisted", code=body.code, message=body.message)
            return {}
        return pending_jobs(body, records)

    async def territories(
        self, module: str, records: Sequence[str]
    ) -> dict[str, dict[str, str] | Refusal]:
        """Return the territories of `records`, read together where the server allows it."""
        found: dict[str, dict[str, str] | Refusal] = {}
        if self._read_many and module not in self._singly and len(records) > 1:
            body = await self._reader.read(read_many_territories(self._api, module, records))
            known = {} if isinstance(body, Refusal) else territories_of(body)
            found.update({key: each for key, each in known.items() if each is not None})
            if not found and not (isinstance(body, Refusal) and body.passing):
                self._singly.add(module)
                self._recorder.note("territories.read_singly", module=module)
        for record in records:
            if record not in found:
                found[record] = await self._read_one(module, record)
        return found

    async def _read_one(self, module: str, record: str) -> dict[str, str] | Refusal:
        body = await self._reader.read(read_territories(self._api, module, record))
        if isinstance(body, Refusal):
            return body
        held = territories_of(body).get(record)
        return Refusal("unreadable", "it has no Territories", 0) if held is None else held
