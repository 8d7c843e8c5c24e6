"""Counting: every query that turns calls and hits into the numbers of a report. DuckDB counts, nothing here does.

Sums are over whole milliseconds, and every result is ordered: the same tables give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callscan.errors import REASONS
from callscan.records import STATUSES, Speaker
from callscan.report.contract import (
    Arc,
    ByPattern,
    BySpeaker,
    Cell,
    Coverage,
    Evidence,
    Failure,
    FailureReason,
    Interval,
    Issue,
    Label,
    Slice,
    Trend,
)
from callscan.report.stats import rate_increase, wilson

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 5
"""Examples an issue shows in ``report.json``; all hits are in ``hits.parquet``."""

FAILURES = 1000
"""Failures listed one by one in ``report.json``; all are in ``calls.parquet``."""


@dataclass(frozen=True, slots=True)
class IssueInfo:
    """What a report says of an issue beside its counts: id, label in both languages, severity, who says it."""

    id: str
    fr: str
    en: str
    severity: int
    speaker: Speaker | None


def rate(calls: int, of: int) -> tuple[float | None, Interval | None]:
    """Calls per 100 with its 95 % interval; nothing where there is no call to take a rate of."""
    if of == 0:
        return None, None
    low, high = wilson(calls, of)
    return round(100 * calls / of, 4), Interval(low=round(100 * low, 4), high=round(100 * high, 4))


def cell(value: str | None, calls: int, of: int, hits: int) -> Cell:
    """A rate as the report holds it."""
    per_100, interval = rate(calls, of)
    return Cell(value=value, calls=calls, of=of, hits=hits, calls_per_100=per_100, interval=interval)


def scalar(connection: DuckDBPyConnection, query: str) -> Any:
    """The single value of an aggregate. Fetched to the end: DuckDB refuses a second query beside an unfinished one."""
    return connection.execute(query).fetchall()[0][0]


def coverage(connection: DuckDBPyConnection) -> Coverage:
    """What became of every recording of the selection."""
    counts = dict(connection.execute("SELECT status, count(*) FROM chosen GROUP BY status").fetchall())
    unknown = sorted(set(counts) - set(STATUSES))
    if unknown:
        raise ValueError(f"calls with an unknown status: {', '.join(unknown)}")
    return Coverage(discovered=sum(counts.values()), **{status: counts.get(status, 0) for status in STATUSES})


def failure_reasons(connection: DuckDBPyConnection) -> list[FailureReason]:
    """How many recordings were not scanned in full, by status and reason."""
    rows = connection.execute(
        """SELECT status, reason, count(*) FROM chosen WHERE status NOT IN ('scanned', 'no_speech')
        GROUP BY status, reason ORDER BY status, reason"""
    ).fetchall()
    return [
        FailureReason(status=status, reason=reason, meaning=REASONS.get(reason, ""), calls=calls)
        for status, reason, calls in rows
    ]


def failures(connection: DuckDBPyConnection) -> tuple[list[Failure], int]:
    """The recordings that were not scanned in full, and how many more there are than are listed."""
    where = "FROM chosen WHERE status IN ('quarantined', 'degraded', 'deferred')"
    rows = connection.execute(
        f"""SELECT call_id, uri, status, reason, detail {where}
        ORDER BY CASE status WHEN 'quarantined' THEN 0 WHEN 'degraded' THEN 1 ELSE 2 END, uri, call_id
        LIMIT {FAILURES}"""
    ).fetchall()
    listed = [Failure(call_id=i, uri=u, status=s, reason=r, detail=d) for i, u, s, r, d in rows]
    return listed, scalar(connection, f"SELECT count(*) {where}") - len(listed)


def slices(connection: DuckDBPyConnection, cuts: Mapping[str, str]) -> dict[str, list[Slice]]:
    """The calls in the denominator, by value of each column."""
    result = {}
    for name, expression in cuts.items():
        rows = connection.execute(
            f"SELECT {expression} AS value, count(*) FROM c GROUP BY value ORDER BY value NULLS LAST"
        ).fetchall()
        result[name] = [Slice(value=value, of=of) for value, of in rows]
    return result


def evidence(connection: DuckDBPyConnection, condition: str, limit: int = EXAMPLES) -> dict[str, list[Evidence]]:
    """The clearest hits of each issue, one a call: known speaker and high word probability first."""
    rows = connection.execute(
        f"""WITH one AS (
            SELECT h.* FROM h JOIN c ON c.key = h.key WHERE {condition}
            QUALIFY row_number() OVER (
                PARTITION BY h.issue, h.key
                ORDER BY h.speaker_known DESC, h.probability DESC, h.start, h.pattern) = 1)
        SELECT
            issue, call_id, key, uri, start, "end", speaker, speaker_known, quote, context, pattern, lexicon,
            probability
        FROM one QUALIFY row_number() OVER (
            PARTITION BY issue ORDER BY speaker_known DESC, probability DESC, key) <= {limit}
        ORDER BY issue, speaker_known DESC, probability DESC, key"""
    ).fetchall()
    found: dict[str, list[Evidence]] = {}
    for issue, call_id, key, uri, start, end, speaker, known, quote, context, pattern, lexicon, probability in rows:
        found.setdefault(issue, []).append(
            Evidence(
                call_id=call_id,
                key=key,
                uri=uri,
                start=round(start, 3),
                end=round(end, 3),
                speaker=speaker,
                speaker_known=known,
                quote=quote,
                context=context,
                pattern=pattern,
                lexicon=lexicon,
                probability=round(probability, 4),
            )
        )
    return found


def issues(
    connection: DuckDBPyConnection,
    known: Sequence[IssueInfo],
    denominators: Mapping[str, Sequence[Slice]],
    cuts: Mapping[str, str],
    alerted: Mapping[str, list[str]],
) -> list[Issue]:
    """Every issue of the lexicon, those that nobody mentioned included, most frequent first.

    An issue that has hits and is not in ``known`` is listed too: a count is never lost for want of a label.
    """
    of = scalar(connection, "SELECT count(*) FROM c")
    totals = {
        issue: (calls, hits)
        for issue, calls, hits in connection.execute(
            "SELECT issue, count(*), CAST(sum(hits) AS BIGINT) FROM ic GROUP BY issue"
        ).fetchall()
    }
    flagged = _flagged(connection)
    speakers = _parts(connection, "speaker")
    patterns = _parts(connection, "pattern")
    arcs = _arcs(connection)
    unknown = dict(
        connection.execute("SELECT issue, count(*) FROM h WHERE NOT speaker_known GROUP BY issue").fetchall()
    )
    by = {name: _cells(connection, expression, denominators[name]) for name, expression in cuts.items()}
    trends = _trends(connection) if "day" in cuts else {}
    examples = evidence(connection, "true")
    infos = {info.id: info for info in known}
    for issue in sorted({*totals, *flagged} - set(infos)):
        infos[issue] = IssueInfo(issue, issue, issue, 1, None)
    result = []
    for info in infos.values():
        calls, hits = totals.get(info.id, (0, 0))
        per_100, interval = rate(calls, of)
        empty = {name: [cell(s.value, 0, s.of, 0) for s in denominators[name]] for name in cuts}
        result.append(
            Issue(
                id=info.id,
                label=Label(fr=info.fr, en=info.en),
                severity=info.severity,
                speaker=info.speaker,
                calls=calls,
                of=of,
                calls_per_100=per_100,
                interval=interval,
                hits=hits,
                flagged=flagged.get(info.id, {}),
                speaker_unknown=unknown.get(info.id, 0),
                speakers=[BySpeaker(speaker=v, calls=n, hits=m) for v, n, m in speakers.get(info.id, [])],
                patterns=[ByPattern(pattern=v, calls=n, hits=m) for v, n, m in patterns.get(info.id, [])],
                arc=arcs.get(info.id, Arc(start=0, middle=0, end=0)),
                trend=trends.get(info.id),
                alerted=alerted.get(info.id, []),
                by={name: by[name].get(info.id, empty[name]) for name in cuts},
                examples=examples.get(info.id, []),
            )
        )
    return sorted(result, key=lambda issue: (-issue.calls, issue.id))


def _flagged(connection: DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Hits that do not count, by issue and flag."""
    found: dict[str, dict[str, int]] = {}
    for issue, flag, hits in connection.execute(
        """SELECT issue, flag, count(*) FROM (
            SELECT all_hits.issue, unnest(all_hits.flags) AS flag FROM all_hits JOIN c ON all_hits.key = c.key)
        GROUP BY issue, flag ORDER BY issue, flag"""
    ).fetchall():
        found.setdefault(issue, {})[flag] = hits
    return found


def _parts(connection: DuckDBPyConnection, name: str) -> dict[str, list[tuple[Any, int, int]]]:
    """Calls and hits of each issue by a column of the hits, most frequent first."""
    found: dict[str, list[tuple[Any, int, int]]] = {}
    for issue, value, calls, hits in connection.execute(
        f"""SELECT issue, {name} AS value, count(DISTINCT key) AS calls, count(*) AS hits FROM h
        GROUP BY issue, value ORDER BY issue, calls DESC, hits DESC, value"""
    ).fetchall():
        found.setdefault(issue, []).append((value, calls, hits))
    return found


def _arcs(connection: DuckDBPyConnection) -> dict[str, Arc]:
    """Hits by third of the call. A hit at the very end, or past the decoded length, is in the last third."""
    rows = connection.execute(
        """SELECT issue, count(*) FILTER (third = 0), count(*) FILTER (third = 1), count(*) FILTER (third = 2)
        FROM (SELECT issue,
                CASE WHEN start * 3 < duration THEN 0 WHEN start * 3 < duration * 2 THEN 1 ELSE 2 END AS third
              FROM h WHERE duration IS NOT NULL)
        GROUP BY issue"""
    ).fetchall()
    return {issue: Arc(start=first, middle=second, end=third) for issue, first, second, third in rows}


def _cells(connection: DuckDBPyConnection, expression: str, slices_: Sequence[Slice]) -> dict[str, list[Cell]]:
    """One cell an issue and value of a column, values without a hit included."""
    found: dict[str, dict[str | None, tuple[int, int]]] = {}
    for issue, value, calls, hits in connection.execute(
        f"""SELECT ic.issue, c.{expression} AS value, count(*), CAST(sum(ic.hits) AS BIGINT)
        FROM ic JOIN c ON c.key = ic.key GROUP BY ic.issue, value"""
    ).fetchall():
        found.setdefault(issue, {})[value] = (calls, hits)
    return {
        issue: [cell(s.value, values.get(s.value, (0, 0))[0], s.of, values.get(s.value, (0, 0))[1]) for s in slices_]
        for issue, values in found.items()
    }


def _trends(connection: DuckDBPyConnection) -> dict[str, Trend]:
    """The last seven days of the selection against the 28 before them, where those have calls."""
    last = scalar(connection, "SELECT max(CAST(start_time AS DATE)) FROM c")
    if last is None:
        return {}
    period = f"""CASE WHEN start_time >= DATE '{last}' - INTERVAL 6 DAY THEN 1
        WHEN start_time >= DATE '{last}' - INTERVAL 34 DAY THEN 0 END"""
    of = dict(connection.execute(f"SELECT {period} AS p, count(*) FROM c GROUP BY p HAVING p IS NOT NULL").fetchall())
    if not of.get(0) or not of.get(1):
        return {}
    since = scalar(connection, f"SELECT strftime(DATE '{last}' - INTERVAL 6 DAY, '%Y-%m-%d')")
    counts: dict[str, dict[int, tuple[int, int]]] = {}
    for issue, p, calls, hits in connection.execute(
        f"""SELECT ic.issue, {period} AS p, count(*), CAST(sum(ic.hits) AS BIGINT)
        FROM ic JOIN c ON c.key = ic.key GROUP BY ic.issue, p HAVING p IS NOT NULL"""
    ).fetchall():
        counts.setdefault(issue, {})[p] = (calls, hits)
    result = {}
    for issue, periods in counts.items():
        recent, before = periods.get(1, (0, 0)), periods.get(0, (0, 0))
        result[issue] = Trend(
            since=since,
            recent=cell("recent", recent[0], of[1], recent[1]),
            before=cell("before", before[0], of[0], before[1]),
            ratio=round(recent[0] * of[0] / (before[0] * of[1]), 4) if before[0] else None,
            p_value=round(rate_increase(recent[0], of[1], before[0], of[0]), 6),
        )
    return result
