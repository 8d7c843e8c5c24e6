"""From the archive's ledger and one pass over its transcripts to ``calls.parquet`` and ``hits.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from callscan.report.callers import pseudonyms
from callscan.report.database import connect, literal
from callscan.report.tables import MEASURES, calls_schema, found_schema, hits_schema, measures_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

ROW_GROUP = 100_000
"""Rows a Parquet row group: fixed, so that the same rows are the same bytes."""

# Years have four digits, and days come before months, as France writes them; anything else is no date, rather than a
# date of the first century.
_CLOCK = "([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?"
_VALUE = "list_filter(metadata, lambda e: e.key = '{name}')[1].value"
_WRITTEN = (
    f"regexp_replace(trim({_VALUE.format(name='start_time')}), "
    "'(:[0-9]{2}([.][0-9]+)?) ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$', '\\1')"
)
_START = f"""TRY_CAST(CASE
        WHEN regexp_full_match({_WRITTEN}, '[12][0-9]{{3}}-[0-9]{{1,2}}-[0-9]{{1,2}}{_CLOCK}') THEN {_WRITTEN}
        WHEN regexp_full_match({_WRITTEN}, '[0-9]{{1,2}}[/.][0-9]{{1,2}}[/.][12][0-9]{{3}}{_CLOCK}')
        THEN regexp_replace({_WRITTEN}, '^([0-9]+).([0-9]+).([0-9]+)', '\\3-\\2-\\1')
    END AS TIMESTAMP)"""
# A decimal comma is how French tables write 12,5.
_NUMBER = f"TRY_CAST(replace({_VALUE}, ',', '.') AS DOUBLE)"
_FINITE = f"CASE WHEN isfinite({_NUMBER}) THEN {_NUMBER} END"
_OWN = ("start_time", "queue", "agent", "wait_seconds", "transfers", "caller_number", "caller")

_CALLS = f"""
SELECT l.key, l.call_id, l.uri, l.status, l.reason, l.detail,
    l.status IN ('scanned', 'degraded') AND m.words IS NOT NULL AS counted,
    {_START} AS start_time,
    nullif(trim({_VALUE.format(name="queue")}), '') AS queue,
    nullif(trim({_VALUE.format(name="agent")}), '') AS agent,
    {_FINITE.format(name="wait_seconds")} AS wait_seconds,
    {_FINITE.format(name="transfers")} AS transfers,
    l.caller,
    map_from_entries(list_sort(list_filter(metadata, lambda e: e.key NOT IN {_OWN}))) AS metadata,
    {", ".join(f"m.{name}" for name in MEASURES)}
FROM ledger AS l
LEFT JOIN m ON m.key = l.key AND l.key <> '' AND l.status <> 'duplicate'
ORDER BY l.uri
"""

# An announcement that no lexicon knows gives itself away: no two customers say the same eight words in the same
# second, machines do it in every call.
_SAME_WORDS, _SAME_SECONDS, _SAME_CALLS, _SAME_SHARE = 8, 1.0, 5, 0.05

_HITS = f"""
WITH said AS (
    SELECT lower(f.context) AS phrase, f.key, min(f.start) AS start
    FROM f JOIN c ON c.key = f.key
    WHERE c.counted AND f.speaker <> 'agent' AND len(string_split(f.context, ' ')) >= {_SAME_WORDS}
    GROUP BY ALL
),
placed AS (SELECT phrase, start, median(start) OVER (PARTITION BY phrase) AS place FROM said),
announced AS (
    SELECT phrase, any_value(place) AS place FROM placed
    GROUP BY phrase
    HAVING count(*) FILTER (WHERE abs(start - place) <= {_SAME_SECONDS})
        >= greatest({_SAME_CALLS}, {_SAME_SHARE} * (SELECT count(*) FROM c WHERE counted))
)
SELECT f.key, c.call_id, f.* EXCLUDE (key)
FROM f JOIN c ON c.key = f.key LEFT JOIN announced AS a ON a.phrase = lower(f.context)
WHERE c.counted AND NOT coalesce(f.speaker <> 'agent' AND abs(f.start - a.place) <= {_SAME_SECONDS}, false)
ORDER BY f.key, f.start, f."end", f.issue, f.pattern
"""


def assemble(
    ledger: pa.Table, measures: Sequence[Path], found: Sequence[Path], folder: Path, *, caller_key: bytes
) -> None:
    """Write both tables into ``folder``.

    ``ledger`` has a row for every recording: ``uri, call_id, key, status, reason, detail, metadata`` (map of strings).
    ``measures`` and ``found`` are Parquet files of the schemas of that name, in any order and any split:
    the result does not depend on either. Caller numbers are replaced by their HMAC under ``caller_key``.
    """
    with connect(scratch=folder) as connection:
        connection.register("ledger", _entries(ledger).append_column("caller", pseudonyms(ledger, caller_key)))
        _view(connection, "m", measures, measures_schema())
        _write(connection, _CALLS, folder / "calls.parquet", calls_schema())
        _view(connection, "f", found, found_schema())
        connection.execute(f"CREATE VIEW c AS SELECT * FROM read_parquet({literal(folder / 'calls.parquet')})")
        _write(connection, _HITS, folder / "hits.parquet", hits_schema())


def _entries(ledger: pa.Table) -> pa.Table:
    """The ledger with its metadata as lists of key and value: of a map, DuckDB looks whether each key stands once
    whenever it reads it, which takes longer than all else that is done with it."""
    import pyarrow as pa

    lists = [
        pa.ListArray.from_arrays(maps.offsets, pa.StructArray.from_arrays([maps.keys, maps.items], ["key", "value"]))
        for maps in ledger.column("metadata").chunks
    ]
    kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
    at = ledger.schema.get_field_index("metadata")
    return ledger.set_column(at, "metadata", pa.chunked_array([one.cast(kind) for one in lists], kind))


def _view(connection: DuckDBPyConnection, name: str, parts: Sequence[Path], schema: pa.Schema) -> None:
    """The parts as one view; an empty table where there are none."""
    if parts:
        paths = ", ".join(literal(part) for part in parts)
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{paths}])")
    else:
        connection.register(name, schema.empty_table())


def _write(connection: DuckDBPyConnection, query: str, path: Path, schema: pa.Schema) -> None:
    """The rows of a query as one Parquet file, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in connection.sql(query).to_arrow_reader(ROW_GROUP):
            writer.write_table(pa.Table.from_batches([batch]).cast(schema), row_group_size=ROW_GROUP)
