"""What holds for all tests: none is timed, because machines are slow when they like."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
