"""
What a program gets from a verb that failed: the same shape from every verb, on standard output.

The words are on standard error in any case. A program that asked for JSON can so read one value
whatever happens, and tell the kinds of error apart; the shape is `failure` in `schemas/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkops.cli.common import print_json
from bulkops.errors import BulkopsError, ExitCode, SignalledError, UsageError


def wants_json(words: Sequence[str]) -> bool:
    """
    Return whether these words of a command line ask for JSON.

    They may be wrong as a whole, so that no parser says what they mean.
    """
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def tell_failure(error: BaseException) -> None:
    """Print an error for programs."""
    print_json(_failure(error))


def tell_leaving(leaving: SystemExit) -> None:
    """
    Print for programs why the parser of the command line, or Ctrl-C at any time, ended the verb.

    Prints nothing where a verb ended itself, with its own code: it has said what there is.
    """
    why = leaving.__context__
    words = getattr(why, "format_message", None)
    if words is not None:
        tell_failure(UsageError(words()))
    elif isinstance(getattr(why, "__cause__", None), KeyboardInterrupt):
        tell_failure(SignalledError("interrupted", ExitCode.INTERRUPTED))


def _failure(error: BaseException) -> dict[str, Any]:
    if not isinstance(error, BulkopsError):
        return _failure(BulkopsError(f"{type(error).__name__}: {error}"))
    told = {"code": error.code, "exit": int(error.exit_code), "message": str(error)}
    return {"v": 1, "error": {**told, "details": error.details} if error.details else told}
