"""Repeat contact by caller number, beside what callers say of it, and first-contact resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callscan.report.contract import Disagreement, RepeatContact
from callscan.report.count import cell

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS = 7
"""Days within which a second call of one number is a repeat contact."""

SPOKEN = "repeat_contact"
"""The issue that stands for what callers say."""

_CONTACTS = """
WITH contacts AS (
    -- Calls that failed are contacts too, and calls outside the selection are history: only their text is missing.
    SELECT key, uri, caller, start_time,
        start_time - lag(start_time) OVER caller_time AS since_last,
        lead(start_time) OVER caller_time - start_time AS until_next
    FROM all_calls WHERE caller IS NOT NULL AND start_time IS NOT NULL AND status <> 'duplicate'
    WINDOW caller_time AS (PARTITION BY caller ORDER BY start_time, uri)
), horizon AS (
    SELECT min(start_time) AS first, max(start_time) AS last FROM all_calls
), judged AS (
    SELECT c.key,
        p.uri IS NOT NULL AS known,
        coalesce(p.since_last <= to_days({days}), false) AS repeat,
        c.start_time >= horizon.first + to_days({days}) AS history,
        coalesce(p.until_next <= to_days({days}), false) AS again,
        c.start_time <= horizon.last - to_days({days}) AS future,
        spoken.key IS NOT NULL AS spoken,
        coalesce(spoken.hits, 0) AS hits
    FROM c CROSS JOIN horizon
    LEFT JOIN contacts AS p ON p.uri = c.uri
    LEFT JOIN ic AS spoken ON spoken.key = c.key AND spoken.issue = '{spoken}'
)
SELECT
    count(*) FILTER (known),
    count(*) FILTER (known AND repeat),
    count(*) FILTER (known AND history),
    count(*) FILTER (known AND history AND repeat),
    coalesce(sum(hits) FILTER (known AND history AND repeat), 0)::BIGINT,
    count(*) FILTER (known AND history AND NOT repeat AND future),
    count(*) FILTER (known AND history AND NOT repeat AND NOT again AND future),
    coalesce(sum(hits) FILTER (known AND history AND NOT repeat AND NOT again AND future), 0)::BIGINT,
    count(*) FILTER (known AND history AND NOT repeat AND NOT future),
    count(*) FILTER (known AND history AND repeat AND spoken),
    count(*) FILTER (known AND history AND NOT repeat AND spoken),
    count(*) FILTER (known AND history AND repeat AND NOT spoken),
    count(*) FILTER (known AND history AND NOT repeat AND NOT spoken),
    count(*) FILTER (NOT (known AND history))
FROM judged
"""


def repeat_contact(connection: DuckDBPyConnection, days: int = DAYS) -> RepeatContact | None:
    """Repeat contact by number within ``days`` days; None where no call has a number and a start time.

    A call is judged only where the archive reaches ``days`` days back from it: before that, an earlier call may have
    been missed. A first call is judged only where the archive reaches as far ahead: of later ones, those that were
    followed by another are known and those that will not be are not, so a rate over them would be too low.
    """
    row = connection.execute(_CONTACTS.format(days=int(days), spoken=SPOKEN)).fetchall()[0]
    if not row[0]:
        return None
    known, seen, judged, repeat, repeat_hits, first, resolved, resolved_hits, undecided, *table = row
    return RepeatContact(
        days=days,
        issue=SPOKEN,
        calls=known,
        repeats_seen=seen,
        repeat=cell("repeat", repeat, judged, repeat_hits),
        resolved=cell("resolved", resolved, first, resolved_hits),
        undecided=undecided,
        table=Disagreement(
            both=table[0], spoken_only=table[1], number_only=table[2], neither=table[3], unknown=table[4]
        ),
    )
