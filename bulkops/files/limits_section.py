"""
`[limits]`: how much of the organisation's capacity may be used, and what that comes to.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil, inf
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from bulkops.files.products import EDITIONS
from bulkops.files.sections import Number, Section, Whole


class Limits(Section):
    """`[limits]`: how much of the organisation's capacity may be used. A job may lower it."""

    edition: str = "enterprise"
    concurrency: Whole = Field(default=0, ge=0, le=1000)
    calls_per_second: Number = Field(default=0.0, ge=0, le=10_000)
    credits_per_day: Whole = Field(default=0, ge=0)
    leave_credits: str = "20%"
    ledger: str = ""
    organisation: str = ""
    attempts: Whole = Field(default=6, ge=1, le=100)
    retry_wait_s: Number = Field(default=1.0, ge=0, le=600)
    locked_wait_s: Number = Field(default=30.0, ge=0, le=3600)
    timeout_s: Number = Field(default=60.0, gt=0, le=3600)
    ids_per_call: Whole = Field(default=100, ge=1, le=100)
    territory_records_per_call: Literal["auto"] | int = "auto"
    contact_roles_bulk: bool = False

    @field_validator("edition")
    @classmethod
    def _known_edition(cls, edition: str) -> str:
        if edition not in EDITIONS:
            raise ValueError(f"expected one of {', '.join(EDITIONS)}")
        return edition

    @field_validator("leave_credits", mode="before")
    @classmethod
    def _share_or_number(cls, leave: Any) -> str:
        text = "" if isinstance(leave, bool | float) else str(leave).strip()
        percent = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)%", text, re.ASCII)
        if not (re.fullmatch(r"\d{1,12}", text, re.ASCII) or (percent and float(percent[1]) < 100)):
            raise ValueError('expected a share below 100% such as "20%", or a number of credits')
        return text

    @field_validator("territory_records_per_call", mode="before")
    @classmethod
    def _auto_or_records(cls, records: Any) -> Any:
        text = "" if isinstance(records, bool) else str(records)
        if text == "auto":
            return text
        if not re.fullmatch(r"[1-9]\d?|100", text, re.ASCII):
            raise ValueError('expected "auto" or a whole number from 1 to 100')
        return int(text)

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.leave(self.credits) >= self.credits:
            raise ValueError(
                f"leave_credits = {self.leave_credits} leaves nothing to use "
                f"of {self.credits} credits a day"
            )
        return self

    @property
    def ceiling(self) -> int:
        """The most calls in flight: `concurrency`, or the edition's number."""
        return self.concurrency or EDITIONS[self.edition].concurrency

    @property
    def credits(self) -> int:
        """The credits of a day: `credits_per_day`, or the edition's without its users' share."""
        return self.credits_per_day or EDITIONS[self.edition].credits

    def leave(self, credits_of_day: int) -> int:
        """Return how many of these credits are not ours to use; parts are rounded up."""
        if self.leave_credits.endswith("%"):
            return ceil(Fraction(self.leave_credits[:-1]) * credits_of_day / 100)
        return int(self.leave_credits)

    def reach(self, credits_of_day: int) -> dict[str, tuple[object, float]]:
        """Return what each limit comes to: as people are shown it, and as a number that grows."""
        records = self.territory_records_per_call
        return {
            "concurrency": (self.ceiling, self.ceiling),
            "calls_per_second": (self.calls_per_second, self.calls_per_second or inf),
            "credits_per_day": (self.credits, self.credits),
            "leave_credits": (self.leave_credits, -self.leave(credits_of_day)),
            "attempts": (self.attempts, self.attempts),
            "timeout_s": (self.timeout_s, self.timeout_s),
            "ids_per_call": (self.ids_per_call, self.ids_per_call),
            "territory_records_per_call": (records, 100 if records == "auto" else records),
            "contact_roles_bulk": (str(self.contact_roles_bulk).lower(), self.contact_roles_bulk),
        }
