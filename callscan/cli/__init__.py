"""The command line: the only place that prints and chooses exit codes.

Each command's own file imports what it needs when it runs, so that ``callscan --help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

import typer

from callscan.cli import archive, demo, doctor, keywords, match, models, report, scan
from callscan.errors import CallscanError

_MACHINE = "check free space and permissions; TMPDIR names the folder for temporary files"

app = typer.Typer(
    name="callscan",
    help="Listens to every call of a contact centre and counts, by issue, what hurts the customer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich takes a third of the start of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(scan.scan)
app.command()(demo.demo)
app.command()(report.report)
app.command()(report.rescan)
app.command()(report.export)
app.command()(report.schema)
app.command()(archive.status)
app.command()(archive.verify)
app.command()(archive.show)
app.command()(match.match)
app.command()(doctor.doctor)
app.add_typer(keywords.app, name="keywords")
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command line; what a person can mend becomes one clear line, a hint and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("callscan").setLevel(logging.INFO)
    try:
        app()
    except CallscanError as error:
        _fail(str(error), error.hint)
    except OSError as error:
        named = f"{os.fspath(error.filename)!r}: " if isinstance(error.filename, str | bytes) else ""
        _fail(f"{named}{error.strerror or error}", _MACHINE)
    except Exception as error:
        database = sys.modules.get("duckdb")  # not imported for this: what it did not do it did not fail at
        if database is None or not isinstance(error, database.Error):
            raise
        _fail(str(error).strip().partition("\n")[0], _MACHINE)


def _fail(message: str, hint: str) -> NoReturn:
    print(f"callscan: {message}", file=sys.stderr)
    if hint:
        print(f"  hint: {hint}", file=sys.stderr)
    sys.exit(2)
