"""
What a check says: its subject, how that stands, what was found, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bulkops.errors import ExitCode


class State(Enum):
    """
    How a subject stands.
    """

    #: As it should be.
    OK = "ok"
    #: A run would work, and somebody should look.
    LOOK = "look"
    #: It could not be found out; a run may work.
    UNKNOWN = "unknown"
    #: A run would fail.
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A line of a check. `mend` says what to do, if anything; `code` what a run would end with.
    """

    subject: str
    state: State
    found: str
    mend: str = ""
    code: ExitCode = ExitCode.OK

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {
            "check": self.subject,
            "state": self.state.value,
            "found": self.found,
            "mend": self.mend,
        }


@dataclass(frozen=True, slots=True)
class Wants:
    """
    What a manifest asks of an organisation: modules, their related lists, and territories.
    """

    modules: tuple[str, ...] = ()
    lists: tuple[tuple[str, str], ...] = ()
    territories: bool = False


def exit_code(findings: Sequence[Finding]) -> ExitCode:
    """Return what a run would end with: the configuration first, then rights, then the rest."""
    found = {each.code for each in findings if each.state is State.WRONG}
    for code in (ExitCode.USAGE, ExitCode.AUTH, ExitCode.PAUSED):
        if code in found:
            return code
    return min(found, default=ExitCode.OK)
