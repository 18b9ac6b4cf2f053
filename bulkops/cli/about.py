"""
The program about itself: its version for a report of a fault, its man page, examples of each verb.
"""

from __future__ import annotations

import platform
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

import typer

from bulkops import __version__
from bulkops.cli.console import say
from bulkops.errors import ExitCode

#: What each verb is used for most, for its help and the man page. A run is named by its folder.
EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "plan": (
        "bulkops plan cleanup.csv",
        "bulkops plan export.csv --op unlink --set module=Products --map record_id=Product",
    ),
    "run": (
        "bulkops run cleanup.csv",
        "bulkops run jobs/nightly.toml --yes --wait",
        "zcat export.csv.gz | bulkops run - --op link --yes",
    ),
    "retry": ("bulkops retry cleanup-1a2b3c4d",),
    "status": ("bulkops status cleanup-1a2b3c4d",),
    "outcomes": (
        "bulkops outcomes cleanup-1a2b3c4d --status failed,unknown",
        "bulkops outcomes cleanup-1a2b3c4d --format csv --output outcomes.csv",
    ),
    "repair": ("bulkops repair cleanup-1a2b3c4d",),
    "verify": (
        "bulkops verify cleanup-1a2b3c4d --sample 5%",
        "bulkops verify cleanup-1a2b3c4d --lines 5,7-9",
    ),
    "report": ("bulkops report cleanup-1a2b3c4d --output cleanup.html",),
    "serve": ("bulkops serve", "bulkops serve --host 0.0.0.0 --port 8443"),
    "undo": ("bulkops undo cleanup-1a2b3c4d --lines 1-100",),
    "ctl": (
        "bulkops ctl cleanup-1a2b3c4d pause",
        "bulkops ctl cleanup-1a2b3c4d set concurrency=8 calls_per_second=2",
    ),
    "jobs": ("bulkops jobs",),
    "reconcile": ("bulkops reconcile desired.csv",),
    "check": ("bulkops check", "bulkops check cleanup.csv"),
    "login": ("bulkops login", "bulkops login < secrets.txt"),
    "config": ("bulkops config show --origin", "bulkops config path"),
    "schema": ("bulkops schema", "bulkops schema plan > plan.schema.json"),
    "emulator": ("bulkops emulator --generate products=1000,links=200000",),
    "demo": ("bulkops demo --rows 2000",),
    "man": ("bulkops man > bulkops.1", "bulkops man | man -l -"),
}
#: Libraries whose version may explain a fault.
_LIBRARIES: Final = ("aiohttp", "duckdb", "orjson", "pydantic", "typer", "rich")


def register(app: typer.Typer) -> None:
    """Add the verb of this file to `app`."""
    app.command("man")(man)


def with_examples(app: typer.Typer) -> None:
    """Put its examples under the help of each verb of `app`, once all are registered."""
    verbs: list[Any] = [*app.registered_commands, *app.registered_groups]
    for each in verbs:
        lines = EXAMPLES.get(each.name, ())
        if lines:
            # A paragraph each: paragraphs are not wrapped into one another.
            each.epilog = "\n\n".join(["Examples:", *lines])


def version_text() -> str:
    """Return what a report of a fault should say."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"bulkops {__version__}\n"
        f"Python {platform.python_version()} ({platform.python_implementation()}), "
        f"{ssl.OPENSSL_VERSION}\n"
        f"{platform.platform()}\n"
        f"{libraries}"
    )


def man(context: typer.Context) -> None:
    """
    Print the manual page, made of the help of every verb.
    """
    root: Any = context.find_root()
    say("\n".join(_page(root)))
    sys.stdout.flush()


def _page(root: Any) -> Iterator[str]:
    """Yield the lines of the manual page, in the man macros of roff."""
    yield f'.TH BULKOPS 1 "" "bulkops {__version__}" "User Commands"'
    yield ".SH NAME"
    yield r"bulkops \- bulk jobs against Zoho CRM and Bigin, with an outcome for every row"
    yield ".SH SYNOPSIS"
    yield r"\fBbulkops\fR \fICOMMAND\fR [\fIARGUMENTS\fR]..."
    yield ".SH DESCRIPTION"
    yield _roff(root.command.help)
    yield ".SH COMMANDS"
    for name, command in root.command.commands.items():
        yield from _verb(root, (name,), command)
    yield ".SH EXIT STATUS"
    for code in ExitCode:
        yield from (".TP", rf"\fB{int(code)}\fR", _roff(code.meaning))
    yield from (".TP", r"\fB141\fR", "What was printed had no reader any more.")
    yield ".SH ENVIRONMENT"
    yield from (".TP", r"\fBBULKOPS_CONFIG\fR", "The configuration file.")
    yield from (".TP", r"\fBBULKOPS_\fISECTION\fB__\fIKEY\fR", "Any key of it, before the file.")
    yield from (".TP", r"\fBHTTPS_PROXY\fR, \fBNO_PROXY\fR", "The way out.")
    yield from (".TP", r"\fBNO_COLOR\fR", "No colours, whatever the value.")
    yield ".SH FILES"
    yield from (".TP", r"\fIconfig.toml\fR", "The configuration, see config.example.toml.")
    yield from (".TP", r"\fIruns/\fR", "A directory for each run, for its owner alone.")


def _verb(root: Any, names: tuple[str, ...], command: Any) -> Iterator[str]:
    """Yield what the page says of a verb, or of each of those that it has itself."""
    for name, each in getattr(command, "commands", {}).items():
        yield from _verb(root, (*names, name), each)
    if hasattr(command, "commands"):
        return
    context = command.make_context(names[-1], [], parent=root, resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_roff(' '.join(('bulkops', *names)))} {_roff(usage)}"
    yield _roff(command.help or "")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            # The type of a value is for people who read Python.
            name = re.sub(r" <(list\[)?\w+\]?>$", "", record[0])
            yield from (".TP", rf"\fB{_roff(name)}\fR", _roff(record[1]))
    for line in EXAMPLES.get(names[0], ()):
        if line.split("bulkops ", 1)[1].split()[: len(names)] == list(names):
            yield from (".PP", rf"\fB{_roff(line)}\fR")


def _roff(text: str) -> str:
    """Return text that roff takes for text; paragraphs stay apart."""
    safe = text.replace("\\", r"\e").replace("-", r"\-")
    paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", safe.strip())]
    guarded = [rf"\&{each}" if each.startswith((".", "'")) else each for each in paragraphs]
    return "\n.PP\n".join(guarded)
