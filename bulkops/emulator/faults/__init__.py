"""Trouble on request: what can go wrong, when it does, and how it looks on the wire."""

from __future__ import annotations

from bulkops.emulator.faults.fault import Fault, FaultKind, load_faults
from bulkops.emulator.faults.plan import FaultPlan

__all__ = ["Fault", "FaultKind", "FaultPlan", "load_faults"]
