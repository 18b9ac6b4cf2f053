"""
The command line: one file a group of verbs, and the one place where errors become exit codes.

Data goes to stdout, talk and progress to stderr.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

import typer
from rich.text import Text

from bulkops.cli.about import version_text, with_examples
from bulkops.cli.console import PlainConsole, abandon, say
from bulkops.cli.failing import tell_failure, tell_leaving, wants_json
from bulkops.errors import BulkopsError, ExitCode

#: As a program ends that a closed pipe kills: 128 + SIGPIPE.
_NOBODY_READS: Final = 141
#: Not our faults, wherever they are met: no traceback helps with them.
_OF_THE_MACHINE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
    | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENAMETOOLONG}
)
#: The modules of this package, in the order of the help, and the words that need one of them alone.
#: `man` is not among these words: it tells of all verbs.
_VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "plan_run": ("plan", "run"),
    "again": ("retry",),
    "look": ("outcomes", "repair"),
    "status": ("status",),
    "show": ("report",),
    "serve": ("serve",),
    "after": ("verify", "undo"),
    "steer": ("ctl",),
    "jobs": ("jobs",),
    "reconcile": ("reconcile",),
    "habits": ("check", "login", "config"),
    "schema": ("schema",),
    "about": ("--version",),
    "emulate": ("emulator",),
    "demonstrate": ("demo",),
}


def program(words: Sequence[str] = ()) -> typer.Typer:
    """
    Return the program: all verbs, or the one that these words of a command line begin with.

    What a verb needs is imported with it, and importing everything takes longer than most verbs.
    """
    app = typer.Typer(
        name="bulkops",
        help=(
            "Unlink, link and remove territories in Zoho CRM and Bigin by the million, in as few "
            "API calls as possible, with an outcome for every row."
        ),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    verb = next(iter(words), "")
    only = [module for module, verbs in _VERBS.items() if verb in verbs]
    for module in only or _VERBS:
        import_module(f"bulkops.cli.{module}").register(app)
    with_examples(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        say(version_text())
        raise typer.Exit


def _common(
    *,
    version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version, and what a report of a fault should say of this machine.",
    ),
) -> None:
    del version


def main() -> None:
    """Run the program and exit with the code of `ExitCode`, or 141 if the reader left."""
    sys.exit(_delivered(_code()))


def _code() -> int:
    """Run the program and return its exit code; an error is told in words, and as JSON if asked."""
    as_json = wants_json(sys.argv[1:])
    try:
        program(sys.argv[1:])()
    except SystemExit as leaving:
        # What typer makes of a pipe whose reader left, whatever the verb was about to say.
        if isinstance(leaving.__context__, BrokenPipeError):
            return _NOBODY_READS
        if as_json:
            tell_leaving(leaving)
        return leaving.code if isinstance(leaving.code, int) else int(ExitCode.OK)
    except BrokenPipeError:
        return _NOBODY_READS
    except BulkopsError as error:
        return _told(error, as_json=as_json)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            if as_json:
                tell_failure(error)
            raise
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        told = BulkopsError(f"{where}{error.strerror}. Mend that, then run the same command again.")
        return _told(told, as_json=as_json)
    except Exception as error:
        if as_json:
            tell_failure(error)
        raise
    return int(ExitCode.OK)


def _told(error: BulkopsError, *, as_json: bool) -> int:
    """Tell people, and a program that asked for it, what went wrong; return the exit code."""
    console = PlainConsole(stderr=True, highlight=False, markup=False)
    console.print(Text.assemble(("bulkops:", "bold red"), " ", str(error)), soft_wrap=True)
    if as_json:
        tell_failure(error)
    return int(error.exit_code)


def _delivered(code: int) -> int:
    """Return the code once all output is delivered; a failing one is told whoever reads."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except BrokenPipeError:
            abandon(stream)
            if stream is sys.__stdout__:
                code = code or _NOBODY_READS
        except OSError as error:
            abandon(stream)
            code = code or int(ExitCode.INTERNAL)
            with suppress(OSError):
                sys.stderr.write(f"bulkops: output cannot be written: {error.strerror}\n")
    return code
