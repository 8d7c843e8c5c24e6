"""``callscan report``, ``rescan``, ``export`` and ``schema``: what was counted, counted again, and handed on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from callscan.report import Report


def show(report: Report, console: Console) -> None:
    """Print a report for people: what became of every recording, then the issues, then what failed and why."""
    coverage = report.coverage
    parts = ("scanned", "no_speech", "degraded", "quarantined", "duplicate", "deferred")
    line = Text(f"{coverage.discovered} recordings", style="bold")
    line.append(" = " + " + ".join(f"{getattr(coverage, part)} {part.replace('_', ' ')}" for part in parts), "not bold")
    console.print(line)
    if report.issues:
        console.print(_issues(report))
    for reason in report.failure_reasons:
        style = "red" if reason.status == "quarantined" else "yellow"
        text = Text(f"{reason.calls} {reason.status}", style=style)
        text.append(f"  {reason.reason}: {reason.meaning}" if reason.reason else "", "dim")
        console.print(text)


def _issues(report: Report) -> Table:
    table = Table(title=f"Issues in {report.calls} calls", title_justify="left", box=None, pad_edge=False)
    table.add_column("issue")
    for name in ("calls", "per 100", "95 %", "hits"):
        table.add_column(name, justify="right")
    table.add_column("what was said", no_wrap=True, overflow="ellipsis")
    for issue in report.issues:
        rate = "–" if issue.calls_per_100 is None else f"{issue.calls_per_100:.1f}"
        interval = f"{issue.interval.low:.1f}–{issue.interval.high:.1f}" if issue.interval else "–"
        quote = Text(f"« {issue.examples[0].quote} »" if issue.examples else "", style="dim")
        style = "" if issue.calls else "dim"
        table.add_row(issue.label.en or issue.id, str(issue.calls), rate, interval, str(issue.hits), quote, style=style)
    return table


def schema() -> None:
    """Print the JSON Schema of report.json."""
    from callscan.report.schema import schema as report_schema

    print(json.dumps(report_schema(), ensure_ascii=False, indent=2, sort_keys=True))
