"""Alerts of a report: the series of every issue in every slice of the calls, tested on the last day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from callscan.errors import UsageError
from callscan.report.contract import Alert
from callscan.report.count import evidence
from callscan.report.database import CALENDAR, literal
from callscan.report.stats import benjamini_hochberg
from callscan.report.warning import BASELINE, STARTS, Finding, examine, reference, weekday_factors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Level = Literal["watch", "warning", "alarm"]

LEVELS: tuple[tuple[Level, float], ...] = (("alarm", 0.001), ("warning", 0.01), ("watch", 0.05))
"""False discovery rate at which a rise gets each level, strictest first."""

HISTORY = 366
"""Days back for which the alerts of all calls are worked out, to be shown beside the trend."""


@dataclass(frozen=True, slots=True)
class Series:
    """An issue in one slice by day: ``calls[d]`` of ``of[d]`` calls had it."""

    issue: str
    value: str
    calls: list[int]
    of: list[int]


def level_of(q_value: float) -> Level | None:
    """The level that a q-value reaches."""
    return next((level for level, limit in LEVELS if q_value <= limit), None)


def alerts(connection: DuckDBPyConnection, cuts: Mapping[str, str]) -> tuple[list[Alert], int, dict[str, list[str]]]:
    """The alerts of the last day with calls, gravest first; how many series were tested on it; and the days on which
    each issue was at warning or above over all calls.

    Slices are tested by queue, agent, language and the columns asked for; the calendar is no slice.
    """
    if "day" not in cuts:
        return [], 0, {}
    row = connection.execute("SELECT min(CAST(start_time AS DATE)), max(CAST(start_time AS DATE)) FROM c").fetchall()[0]
    if row[0] is None:
        return [], 0, {}
    # No day before what the oldest test looks back to: one misdated call must not make a series of fifty years.
    first = max(row[0], row[1] - timedelta(days=HISTORY + STARTS[-1] + BASELINE))
    days = (row[1] - first).days + 1
    overall = _series(connection, "''", first, days)
    found, tested = _tested("", overall, {}, first, days - 1)
    by_issue = {series.issue: series for series in overall}
    for name, expression in cuts.items():
        if name not in CALENDAR:
            more, further = _tested(name, _series(connection, expression, first, days), by_issue, first, days - 1)
            found += more
            tested += further
    order = [level for level, _ in LEVELS]
    raised = [_with_examples(connection, alert, cuts) for alert in found]
    raised.sort(key=lambda a: (order.index(a.level), a.column != "", a.p_value, a.issue, a.column, a.value))
    return raised, tested, _alerted(overall, first, days)


def _series(connection: DuckDBPyConnection, expression: str, first: date, days: int) -> list[Series]:
    """Every issue in every value of a column, by day."""
    number = f"datediff('day', DATE '{first}', CAST(c.start_time AS DATE))"
    of: dict[str, list[int]] = {}
    for value, day, calls in connection.execute(
        f"""SELECT {expression} AS value, {number} AS day, count(*) FROM c
        WHERE start_time >= DATE '{first}' AND {expression} IS NOT NULL GROUP BY value, day"""
    ).fetchall():
        of.setdefault(value, [0] * days)[day] = calls
    calls_of: dict[tuple[str, str], list[int]] = {}
    for issue, value, day, calls in connection.execute(
        f"""SELECT ic.issue, {expression} AS value, {number} AS day, count(*) FROM ic JOIN c ON c.key = ic.key
        WHERE start_time >= DATE '{first}' AND {expression} IS NOT NULL GROUP BY ic.issue, value, day"""
    ).fetchall():
        calls_of.setdefault((issue, value), [0] * days)[day] = calls
    return [Series(issue, value, calls, of[value]) for (issue, value), calls in sorted(calls_of.items())]


def _tested(
    column: str, series: Sequence[Series], overall: Mapping[str, Series], first: date, today: int
) -> tuple[list[Alert], int]:
    """The alerts among the series of one column, and how many could be tested. They are one family: two hundred
    agents do not drown the house."""
    findings: list[tuple[Series, Finding]] = []
    for one in series:
        larger = overall.get(one.issue)
        factors = weekday_factors(larger.calls, larger.of, *reference(today)) if larger else None
        finding = examine(one.calls, one.of, today, factors)
        if finding:
            findings.append((one, finding))
    q_values = benjamini_hochberg([finding.p_value for _, finding in findings])
    raised = [
        _alert(column, one, finding, q_value, level, len(findings), first, today)
        for (one, finding), q_value in zip(findings, q_values, strict=True)
        if (level := level_of(q_value))
    ]
    return raised, len(findings)


def _alert(
    column: str, series: Series, finding: Finding, q_value: float, level: Level, tested: int, first: date, today: int
) -> Alert:
    def day(number: int) -> str:
        return (first + timedelta(days=number)).isoformat()

    return Alert(
        level=level,
        issue=series.issue,
        column=column,
        value=series.value,
        day=day(today),
        since=day(finding.since),
        calls=finding.calls,
        of=finding.of,
        expected=round(finding.expected, 4),
        ratio=round(finding.calls / finding.expected, 4) if finding.expected else None,
        baseline_calls=finding.baseline_calls,
        baseline_of=finding.baseline_of,
        baseline_since=day(finding.baseline_since),
        baseline_until=day(finding.baseline_until),
        dispersion=round(finding.dispersion, 4),
        statistic="ears" if finding.statistic == "ears" else "cusum",
        ears_p=_rounded(finding.ears_p),
        cusum=round(finding.cusum, 4),
        cusum_p=_rounded(finding.cusum_p),
        p_value=_rounded(finding.p_value),
        q_value=_rounded(q_value),
        series=tested,
        examples=[],
    )


def _rounded(p_value: float) -> float:
    """Four significant digits: the last ones of a long sum are noise."""
    return float(f"{p_value:.4g}")


def _with_examples(connection: DuckDBPyConnection, alert: Alert, cuts: Mapping[str, str]) -> Alert:
    """The alert with the words behind it, from its window and slice."""
    from msgspec.structs import replace

    condition = f"""h.issue = {literal(alert.issue)} AND c.start_time >= DATE {literal(alert.since)}
        AND c.start_time < DATE {literal(alert.day)} + INTERVAL 1 DAY"""
    if alert.column:
        condition += f" AND c.{cuts[alert.column]} = {literal(alert.value)}"
    return replace(alert, examples=evidence(connection, condition, 3).get(alert.issue, []))


def _alerted(overall: Sequence[Series], first: date, days: int) -> dict[str, list[str]]:
    """The days on which each issue, over all calls, was at warning or above."""
    limit = dict(LEVELS)["warning"]
    result: dict[str, list[str]] = {}
    for today in range(max(0, days - HISTORY), days):
        findings = [examine(one.calls, one.of, today) for one in overall]
        tested = [(one, finding) for one, finding in zip(overall, findings, strict=True) if finding]
        q_values = benjamini_hochberg([finding.p_value for _, finding in tested])
        for (one, _), q_value in zip(tested, q_values, strict=True):
            if q_value <= limit:
                result.setdefault(one.issue, []).append((first + timedelta(days=today)).isoformat())
    return result


def at_least(alerts: Sequence[Alert], level: str) -> list[Alert]:
    """The alerts that are at least as grave as ``level``."""
    order = [name for name, _ in LEVELS]
    if level not in order:
        raise UsageError(f"{level!r} is no alert level", f"one of {', '.join(reversed(order))}")
    return [alert for alert in alerts if order.index(alert.level) <= order.index(level)]
