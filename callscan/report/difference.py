"""What a new count changed, issue by issue: the calls gained and lost, with the words that decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from callscan.records import Speaker
from callscan.report.database import connect, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 3
"""Calls shown for each issue, of those gained and of those lost."""


class Moved(Struct, frozen=True, kw_only=True):
    """A call that an issue gained or lost, and what was, or had been, heard in it. Seconds."""

    call_id: str
    start: float
    speaker: Speaker
    quote: str
    pattern: str


class Change(Struct, frozen=True, kw_only=True):
    """One issue before and after, in calls."""

    issue: str
    before: int
    after: int
    gained: int
    lost: int
    gained_examples: list[Moved]
    lost_examples: list[Moved]


def difference(before: Path, after: Path) -> list[Change]:
    """Compare two ``hits.parquet`` over one archive: every issue that is in either, most changed first."""
    with connect(scratch=after.parent) as connection:
        for name, path in (("a", before), ("b", after)):
            connection.execute(
                f"""CREATE TABLE {name} AS SELECT * FROM read_parquet({literal(path)}) WHERE counted
                QUALIFY row_number() OVER (PARTITION BY issue, key ORDER BY start, pattern) = 1"""
            )
        rows = connection.execute(
            """SELECT issue, count(a.key), count(b.key),
                count(*) FILTER (a.key IS NULL), count(*) FILTER (b.key IS NULL)
            FROM a FULL JOIN b USING (issue, key) GROUP BY issue"""
        ).fetchall()
        changes = [
            Change(
                issue=issue,
                before=old,
                after=new,
                gained=gained,
                lost=lost,
                gained_examples=_moved(connection, issue, "b", "a") if gained else [],
                lost_examples=_moved(connection, issue, "a", "b") if lost else [],
            )
            for issue, old, new, gained, lost in rows
        ]
    return sorted(changes, key=lambda change: (-(change.gained + change.lost), change.issue))


def _moved(connection: DuckDBPyConnection, issue: str, there: str, missing: str) -> list[Moved]:
    rows = connection.execute(
        f"""SELECT call_id, start, speaker, quote, pattern FROM {there} ANTI JOIN {missing} USING (issue, key)
        WHERE issue = $issue ORDER BY probability DESC, key LIMIT {EXAMPLES}""",
        {"issue": issue},
    ).fetchall()
    return [Moved(call_id=i, start=s, speaker=who, quote=q, pattern=p) for i, s, who, q, p in rows]
