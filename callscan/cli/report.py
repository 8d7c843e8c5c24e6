"""``callscan report``, ``rescan``, ``export`` and ``schema``: what was counted, counted again, and handed on."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from callscan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from callscan.report import Report
    from callscan.report.contract import Alert, Evidence
    from callscan.report.difference import Change, Moved

ARCHIVE = Annotated[str, typer.Argument(metavar="DIR", help="Folder or URL of the archive.")]
BY = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Break every issue down by this metadata column too.")
]
CONTACT = Annotated[int, typer.Option(metavar="DAYS", min=1, help="A second call within so many days is a repeat.")]
ALERT = Annotated[
    str | None, typer.Option(metavar="watch|warning|alarm", help="Exit with 3 where an alert is at least this grave.")
]


def _address(url: str | None) -> str | None:
    """Refuse what is no address before any work is done, and not only once there is an alert to send."""
    if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
        raise UsageError(f"--webhook {url} is no http(s) address", "as in https://example.com/hook")
    return url


WEBHOOK = Annotated[
    str | None,
    typer.Option(
        metavar="URL", callback=_address, help="Send alerts there as CloudEvents; a failure is told, and no more."
    ),
]
_LEAD = re.compile(r"(\S+\s+){0,4}\S*$")
"""What a table shows of a sentence before the words that count: four words at most, and a part of one."""

JSON = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]


def report(
    archive: ARCHIVE,
    since: Annotated[str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First day.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day, included.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only calls with this value; repeatable.")
    ] = None,
    by: BY = None,
    contact_days: CONTACT = 7,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page of this report there.")] = None,
    alert: ALERT = None,
    webhook: WEBHOOK = None,
    json: JSON = False,
) -> None:
    """Show what was last counted, over all calls or some.

    Exit codes: 0, 2 it could not be done as asked, 3 an alert of the level asked for.
    """
    from callscan.archive import Archive
    from callscan.report import Selection
    from callscan.rescan.recount import cut

    _check_level(alert)
    selection = Selection(_day(since), _day(until), _conditions(where or ()), tuple(by or ()))
    if selection.since and selection.until and selection.since > selection.until:
        raise UsageError(f"--from {selection.since} is after --to {selection.until}", "name the earlier day first")
    found, page = cut(Archive(archive), selection, contact_days=contact_days, place=html.parent if html else None)
    if html:
        try:
            html.write_text(page, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {html}: {error.strerror}", "choose a folder that exists") from error
    _answer(found, alert, webhook, json)


def rescan(
    archive: ARCHIVE,
    keywords: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Lexicon files or folders; callscan's own if left out.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(metavar="calls.csv", help="Table joined by call_id or file; kept for the next time.")
    ] = None,
    by: BY = None,
    contact_days: CONTACT = 7,
    alert: ALERT = None,
    webhook: WEBHOOK = None,
    json: JSON = False,
) -> None:
    """Count again without audio, with other lexicons or metadata.

    Shows what that changed, issue by issue.

    Exit codes: 0, 2 it could not be done as asked, 3 an alert of the level asked for.
    """
    from callscan.archive import Archive
    from callscan.archive.lock import lock
    from callscan.lexicon import Lexicon
    from callscan.rescan.recount import recount

    _check_level(alert)
    store = Archive(archive)
    lexicon = Lexicon.load(keywords or ())
    with lock(store.url):
        done = recount(store, lexicon, by=by or (), metadata=metadata, contact_days=contact_days)
    if not json:
        from rich.console import Console

        show_changes(done.changes, Console())
    _answer(done.report, alert, webhook, json)


def export(
    archive: ARCHIVE,
    format: Annotated[  # noqa: A002 - the name of the option
        str, typer.Option(metavar="vtt|srt|rttm|ctm|vcon|contact-lens|jsonl", help="What to write.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for one file a call; made if missing.")],
    call: Annotated[list[str] | None, typer.Option(metavar="CALL_ID", help="Only this call; repeatable.")] = None,
) -> None:
    """Write transcripts for other tools, one file a call."""
    from callscan.archive import Archive
    from callscan.report.exports import export_calls
    from callscan.rescan.recount import hits_by_call

    store = Archive(archive)
    written = export_calls(store.records(), hits_by_call(store), format, out, only=frozenset(call or ()))
    print(f"{written} files in {out}", file=sys.stderr)


def schema() -> None:
    """Print the JSON Schema of report.json."""
    import json

    from callscan.report.schema import schema as report_schema

    print(json.dumps(report_schema(), ensure_ascii=False, indent=2, sort_keys=True))


def _check_level(alert: str | None) -> None:
    """Refuse an unknown level before any work is done."""
    from callscan.report.alerts import at_least

    at_least((), alert or "watch")


def _answer(found: Report, alert: str | None, webhook: str | None, json: bool) -> None:
    """Print a report, tell the webhook, and exit with 3 where an alert is grave enough."""
    from callscan.report.alerts import at_least
    from callscan.report.write import to_json

    if json:
        sys.stdout.write(to_json(found).decode())
    else:
        from rich.console import Console

        show(found, Console())
    raised = at_least(found.alerts, alert or "watch")
    if webhook and raised:
        from callscan.report.webhook import send

        trouble = send(webhook, found, raised)
        if trouble:
            print(f"the webhook was not told: {trouble}", file=sys.stderr)
    if alert and raised:
        raise typer.Exit(3)


def show(report: Report, console: Console) -> None:
    """Print a report for people: what became of every recording, then alerts, issues, and what failed and why."""
    from rich.text import Text

    coverage = report.coverage
    parts = ("scanned", "no_speech", "degraded", "quarantined", "duplicate", "deferred")
    line = Text(f"{coverage.discovered} recordings", style="bold")
    line.append(" = " + " + ".join(f"{getattr(coverage, part)} {part.replace('_', ' ')}" for part in parts), "not bold")
    console.print(line)
    for alert in report.alerts:
        console.print(_alert(alert))
    if report.issues:
        console.print(_issues(report))
    for number, what in (
        (report.speakers.unknown, "one channel, speakers unknown; callscan show CALL says why"),
        (report.speakers.unnamed, "one channel, voices told apart, but not who is the agent"),
        (report.speakers.swapped, "channels look swapped: --channels customer,agent"),
    ):
        if number:
            calls = f"{number} call{'s' * (number > 1)}"
            console.print(Text(calls, style="yellow").append(f"  {what}", "dim"))
    for reason in report.failure_reasons:
        style = "red" if reason.status == "quarantined" else "yellow"
        text = Text(f"{reason.calls} {reason.status}", style=style)
        text.append(f"  {reason.reason}: {reason.meaning}" if reason.reason else "", "dim")
        console.print(text)


def show_changes(changes: Sequence[Change], console: Console) -> None:
    """Print what a new count changed, issue by issue, with the words that decided."""
    from rich.text import Text

    moved = [change for change in changes if change.gained or change.lost]
    if changes and not moved:
        console.print(Text("The counts are those of the last time.", style="dim"))
    for change in moved:
        line = Text(f"{change.issue}: {change.before} → {change.after} calls", style="bold")
        line.append(f"  +{change.gained} −{change.lost}", "not bold")
        console.print(line)
        for sign, style, examples in (("+", "green", change.gained_examples), ("−", "red", change.lost_examples)):
            for example in examples:
                console.print(_moved(sign, style, example))


def _moved(sign: str, style: str, example: Moved) -> object:
    from rich.text import Text

    text = Text(f"  {sign} ", style=style)
    text.append(f"« {example.quote} »", "default")
    text.append(f"  {example.call_id} at {example.start:.1f} s, {example.speaker}", "dim")
    return text


def _alert(alert: Alert) -> object:
    from rich.text import Text

    text = Text(f"{alert.level}: ", style="bold red" if alert.level == "alarm" else "bold yellow")
    text.append(alert.issue, "bold default")
    if alert.column:
        text.append(f" ({alert.column} {alert.value})", "default")
    more = f", {alert.ratio:.1f} times as many" if alert.ratio is not None else ""
    counts = f"{alert.calls} calls of {alert.of} since {alert.since}, {alert.expected:.1f} expected"
    text.append(f" {counts}{more} (q = {alert.q_value:.2g})", "not bold default")
    return text


def _issues(report: Report) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Issues in {report.calls} calls", title_justify="left", box=None, pad_edge=False, expand=True)
    # On a narrow terminal the quotes give way, never a number or a name: they have what the others leave.
    table.add_column("issue", no_wrap=True, min_width=max(len(issue.label.en or issue.id) for issue in report.issues))
    for name, width in (("calls", 5), ("per 100", 7), ("95 %", 10), ("hits", 4)):
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    table.add_column("what was said", no_wrap=True, overflow="ellipsis", ratio=1)
    for issue in report.issues:
        rate = "–" if issue.calls_per_100 is None else f"{issue.calls_per_100:.1f}"
        interval = f"{issue.interval.low:.1f}–{issue.interval.high:.1f}" if issue.interval else "–"
        said = _said(issue.examples[0]) if issue.examples else Text("")
        style = "" if issue.calls else "dim"
        label = Text(issue.label.en or issue.id)
        table.add_row(label, str(issue.calls), rate, interval, str(issue.hits), said, style=style)
    return table


def _said(example: Evidence) -> Text:
    """The words that count, within the sentence they are from: a few words before, as much after as there is room."""
    from rich.text import Text

    before, quote, after = example.context.partition(example.quote)
    if not quote:  # it goes on in another segment
        before, quote, after = "", example.quote, ""
    sentence = re.split(r"(?<=[.?!])\s+", before)[-1]
    lead = _LEAD.search(sentence)
    text = Text("« … " if lead and lead.start() else "« ", style="dim")
    text.append(lead[0].lstrip() if lead else "")
    text.append(quote, "not dim")
    text.append(re.split(r"(?<=[.?!])\s", after)[0] + " »")
    return text


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day", "write it as 2026-11-21") from None


def _conditions(texts: Sequence[str]) -> dict[str, str]:
    conditions = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"{text!r} is no condition", "write it as --where queue=billing")
        if name.strip() in conditions:
            raise UsageError(f"two values for {name.strip()}", "no call has both: ask for one at a time")
        conditions[name.strip()] = value.strip()
    return conditions
