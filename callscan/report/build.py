"""From the two tables to a :class:`Report`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from callscan.report import count, database
from callscan.report.alerts import alerts
from callscan.report.contacts import DAYS, repeat_contact
from callscan.report.contract import SCHEMA_VERSION, Cost, Cut, LexiconInfo, Measure, Metadata, Report, Speakers, Work
from callscan.report.html import page
from callscan.report.measures import MEASURES
from callscan.report.operations import operations

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def build(
    calls: Path,
    hits: Path,
    *,
    issues: Sequence[count.IssueInfo],
    lexicon: str,
    selection: database.Selection,
    metadata: Metadata | None = None,
    work: Work | None = None,
    contact_days: int = DAYS,
    place: Path | None = None,
) -> tuple[Report, str]:
    """Count ``calls.parquet`` and ``hits.parquet`` into a report and its HTML page.

    ``issues`` are those of the lexicon, ``lexicon`` its digest; ``metadata`` says how the operational table met the
    calls; ``work`` is what the scans took; a second call of one number within
    ``contact_days`` days is a repeat contact; ``place`` is the folder that the page will lie in, so that it can link to
    the audio. UsageError where ``selection`` names a column that is not there.
    """
    # Some million calls are more than the memory that is allowed: what is too much is spilled beside the tables.
    with database.connect(scratch=calls.parent) as connection:
        cuts = database.open_tables(connection, calls, hits, selection)
        coverage = count.coverage(connection)
        denominators = count.slices(connection, cuts)
        raised, tested, alerted = alerts(connection, cuts)
        listed, left_out = count.failures(connection)
        first, last = connection.execute(
            "SELECT strftime(min(start_time), '%Y-%m-%d'), strftime(max(start_time), '%Y-%m-%d') FROM chosen"
        ).fetchall()[0]
        report = Report(
            schema_version=SCHEMA_VERSION,
            callscan=version("callscan"),
            lexicon=LexiconInfo(digest=lexicon, issues=len(issues)),
            cut=_cut(connection, selection),
            coverage=coverage,
            calls=count.scalar(connection, "SELECT count(*) FROM c"),
            complete=coverage.quarantined + coverage.deferred + coverage.degraded == 0,
            first_day=first,
            last_day=last,
            failure_reasons=count.failure_reasons(connection),
            failures=listed,
            failures_left_out=left_out,
            metadata=metadata,
            slices=denominators,
            issues=count.issues(connection, issues, denominators, cuts, alerted),
            alerts=raised,
            alert_series=tested,
            speakers=_speakers(connection),
            interaction=_interaction(connection),
            repeat_contact=repeat_contact(connection, contact_days),
            operations=operations(connection),
            cost=_cost(connection, work),
        )
        return report, page(connection, report, cuts, place)


def _cut(connection: DuckDBPyConnection, selection: database.Selection) -> Cut:
    """What was asked for, and how many recordings have no date to be asked for by."""
    return Cut(
        since=selection.since.isoformat() if selection.since else None,
        until=selection.until.isoformat() if selection.until else None,
        where=dict(sorted(selection.where.items())),
        undated=count.scalar(connection, "SELECT count(*) FROM all_calls WHERE start_time IS NULL"),
    )


def _interaction(connection: DuckDBPyConnection) -> list[Measure]:
    """Mean, median and 90th percentile of each measure, over the calls it can be taken of."""
    result = []
    for name, unit, expression in MEASURES:
        # Sums of millionths, as integers: a mean of floats depends on the order in which threads add them.
        calls, total, median, p90 = connection.execute(
            f"""SELECT count(v), CAST(sum(CAST(round(v * 1e6) AS HUGEINT)) AS DOUBLE),
                quantile_cont(v, 0.5), quantile_cont(v, 0.9)
            FROM (SELECT {expression} AS v FROM c)"""
        ).fetchall()[0]
        result.append(
            Measure(
                name=name,
                unit=unit,  # type: ignore[arg-type]
                calls=calls,
                mean=round(total / 1e6 / calls, 4) if calls else None,
                median=round(median, 4) if calls else None,
                p90=round(p90, 4) if calls else None,
            )
        )
    return result


def _speakers(connection: DuckDBPyConnection) -> Speakers:
    """How the speakers of the calls are known."""
    kinds = ("channels", "diarised", "unnamed", "unknown")
    counts = ", ".join(f"count(*) FILTER (WHERE speakers = '{kind}')" for kind in kinds)
    row = connection.execute(f"SELECT {counts}, count(*) FILTER (WHERE swapped) FROM c").fetchall()[0]
    return Speakers(**dict(zip((*kinds, "swapped"), row, strict=True)))


def _cost(connection: DuckDBPyConnection, work: Work | None) -> Cost:
    """What was heard, and what that took where the archive says it."""
    audio, speech, words = connection.execute(
        """SELECT CAST(coalesce(sum(CAST(round(duration * 1000) AS BIGINT)), 0) AS BIGINT),
            CAST(coalesce(sum(CAST(round(speech * 1000) AS BIGINT)), 0) AS BIGINT),
            CAST(coalesce(sum(words), 0) AS BIGINT)
        FROM chosen WHERE status IN ('scanned', 'degraded', 'no_speech')"""
    ).fetchall()[0]
    return Cost(audio_seconds=audio / 1000, speech_seconds=speech / 1000, words=words, work=work)
