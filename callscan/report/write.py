"""Writing a report for machines: JSON, CSV and JSON Lines, the same bytes for the same report."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import msgspec

from callscan.report.contract import Report
from callscan.report.database import connect, literal

WRITTEN = ("hits.jsonl", "issues_by_day.csv", "report.html", "report.json")
"""What is written beside the two tables, ``report.json`` last: who finds it finds all of them."""

_FORMULA = re.compile(r"^[=+\-@\t\r]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def to_json(report: Report) -> bytes:
    """``report.json``: sorted keys, two spaces, a line feed at the end. NaN cannot occur: msgspec writes none."""
    return msgspec.json.format(msgspec.json.encode(report, order="sorted"), indent=2) + b"\n"


def from_json(data: bytes) -> Report:
    """Read ``report.json`` back; msgspec.ValidationError where it breaks the contract."""
    return msgspec.json.decode(data, type=Report)


def cell_text(value: object) -> object:
    """A CSV cell that no spreadsheet takes for a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""
    if not isinstance(value, str):
        return value
    text = _CONTROL.sub(" ", value)
    return f"'{text}" if _FORMULA.match(text) else text


def issues_by_day(report: Report) -> str:
    """CSV: one row an issue and day, for spreadsheets and dashboards."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["day", "issue", "label", "calls", "of", "calls_per_100", "low", "high", "hits"])
    for issue in sorted(report.issues, key=lambda issue: issue.id):
        for day in issue.by.get("day", []):
            bounds = (day.interval.low, day.interval.high) if day.interval else ("", "")
            row = (day.value, issue.id, issue.label.en, day.calls, day.of, day.calls_per_100, *bounds, day.hits)
            writer.writerow([cell_text("" if value is None else value) for value in row])
    return buffer.getvalue()


def write_files(report: Report, page: str, folder: Path) -> None:
    """Write :data:`WRITTEN` beside the ``hits.parquet`` in ``folder``."""
    with connect(scratch=folder) as connection:
        connection.execute(
            f"""COPY (SELECT * FROM read_parquet({literal(folder / "hits.parquet")}))
            TO {literal(folder / "hits.jsonl")} (FORMAT json)"""
        )
    (folder / "issues_by_day.csv").write_text(issues_by_day(report), encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "report.json").write_bytes(to_json(report))
