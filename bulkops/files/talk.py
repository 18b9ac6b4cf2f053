"""
Loggers that say nothing until somebody has set up a log.

Left alone structlog prints to standard output, which belongs to the program that uses us. What the
program `bulkops` shows, its shell configures; another program does so itself, or hears nothing.
"""

from __future__ import annotations

from typing import Any, Final

import structlog


class Talk:
    """
    A logger of one name: structlog's, once that is set up, and until then nobody's.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name: Final = name

    def debug(self, event: str, **facts: Any) -> None:
        """Tell what is of use when something is odd."""
        if structlog.is_configured():
            structlog.get_logger(self._name).debug(event, **facts)

    def info(self, event: str, **facts: Any) -> None:
        """Tell what goes on."""
        if structlog.is_configured():
            structlog.get_logger(self._name).info(event, **facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Tell what somebody should look at."""
        if structlog.is_configured():
            structlog.get_logger(self._name).warning(event, **facts)
