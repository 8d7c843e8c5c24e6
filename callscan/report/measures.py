"""The interaction measures people are shown: of all calls in a report, of one call by ``callscan show``."""

from __future__ import annotations

import io

_SIDES_KNOWN = "speakers IN ('channels', 'diarised')"
_VOICES_TOLD_APART = "speakers <> 'unknown'"

MEASURES: tuple[tuple[str, str, str], ...] = (
    ("talk_share_customer", "share", "talk_customer / nullif(talk_customer + talk_agent, 0)"),
    ("talk_share_agent", "share", "talk_agent / nullif(talk_customer + talk_agent, 0)"),
    ("silence_share", "share", "silence / nullif(duration, 0)"),
    ("longest_silence", "seconds", "longest_silence"),
    ("overtalk_share", "share", f"CASE WHEN {_VOICES_TOLD_APART} THEN overtalk / nullif(speech, 0) END"),
    ("duration", "seconds", "duration"),
    ("interruptions_customer", "count", f"CASE WHEN {_SIDES_KNOWN} THEN interruptions_customer END"),
    ("interruptions_agent", "count", f"CASE WHEN {_SIDES_KNOWN} THEN interruptions_agent END"),
    ("hold", "seconds", "hold"),
    ("words_per_minute_customer", "words_per_minute", "words_customer * 60 / nullif(talk_customer, 0)"),
    ("words_per_minute_agent", "words_per_minute", "words_agent * 60 / nullif(talk_agent, 0)"),
)
"""Interaction measures: name, unit, SQL over one call. Shares of talk are of the two sides' talk together."""


def of_call(calls: bytes, uri: str) -> dict[str, float | None]:
    """The measures of one recording by name, from the bytes of a ``calls.parquet``; None where one cannot be taken.

    Empty where the table does not have the recording.
    """
    import duckdb
    import pyarrow.parquet as pq

    row = pq.read_table(io.BytesIO(calls), filters=[("uri", "=", uri)])
    if not row.num_rows:
        return {}
    with duckdb.connect() as connection:
        connection.register("call", row)
        values = connection.execute(f"SELECT {', '.join(sql for _, _, sql in MEASURES)} FROM call").fetchall()[0]
    return {
        name: value if value is None else round(value, 4) for (name, _, _), value in zip(MEASURES, values, strict=True)
    }
