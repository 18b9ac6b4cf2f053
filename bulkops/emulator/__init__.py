"""
A Zoho CRM and Bigin server over real sockets, with state, limits and trouble on request.

An island: it imports nothing of the rest of bulkops, and nothing of it imports this but the shell.
`README.md` has the world's file format, the control routes and every assumed behaviour.
"""

from __future__ import annotations

from bulkops.emulator.behaviour import Behaviour
from bulkops.emulator.clock import Clock
from bulkops.emulator.emulator import Emulator
from bulkops.emulator.faults import Fault, FaultKind, load_faults
from bulkops.emulator.server import serve
from bulkops.emulator.state.generate import WorldSize, generate
from bulkops.emulator.state.opening import open_world, parse_size
from bulkops.emulator.state.saving import load_saved, load_world, save_world
from bulkops.emulator.state.seed import SeedError, world_from
from bulkops.emulator.state.snapshot import write_world
from bulkops.emulator.state.world import World

__all__ = [
    "Behaviour",
    "Clock",
    "Emulator",
    "Fault",
    "FaultKind",
    "SeedError",
    "World",
    "WorldSize",
    "generate",
    "load_faults",
    "load_saved",
    "load_world",
    "open_world",
    "parse_size",
    "save_world",
    "serve",
    "world_from",
    "write_world",
]
