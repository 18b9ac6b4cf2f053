"""
The command line: one file a group of verbs, and the one place where errors become exit codes.

Data goes to stdout, talk and progress to stderr.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from bulkops import __version__
from bulkops.cli import after, emulate, look, plan_run, reconcile, steer
from bulkops.errors import BulkopsError, ExitCode

app = typer.Typer(
    name="bulkops",
    help=(
        "Unlink, link and remove territories in Zoho CRM and Bigin by the million, in as few API "
        "calls as possible, with an outcome for every row."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
plan_run.register(app)
look.register(app)
after.register(app)
steer.register(app)
reconcile.register(app)
emulate.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bulkops {__version__}, Python {sys.version.split()[0]}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    del version


def main() -> None:
    """Run the program and exit with the code of `ExitCode`."""
    console = Console(stderr=True, highlight=False)
    try:
        app()
    except BulkopsError as error:
        console.print(f"[bold red]bulkops:[/] {_plain(str(error))}", soft_wrap=True)
        sys.exit(int(error.exit_code))
    except BrokenPipeError:
        # The reader of our output has seen enough.
        sys.stderr.close()
        sys.exit(int(ExitCode.OK))


def _plain(text: str) -> str:
    """Keep rich from reading `[limits]` in a message as markup."""
    return text.replace("[", r"\[")
