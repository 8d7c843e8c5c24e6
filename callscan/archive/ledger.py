"""The ledger: what became of every recording that was ever discovered.

An inventory row says that a run discovered a recording; a shard row says what became of it. The ledger joins the two,
so that ``discovered`` is counted on one side and the statuses on the other:

- *one recording, one row*: a recording is its URI; the newest run that found it new or changed speaks for it;
- *one call, one count*: of recordings with the same bytes, the one discovered first (run, then URI) is the
  call and the others are ``duplicate``, whichever of them was in fact transcribed;
- *nothing is left out*: a recording whose shard is not there yet is ``deferred`` with reason ``interrupted``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from callscan.archive.inventory import INVENTORY
from callscan.archive.schema import SCHEMA
from callscan.errors import ArchiveError
from callscan.records import STATUSES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_LEDGER = """
WITH found AS (
    -- No more than the joins need: a million rows with their metadata take gigabytes.
    SELECT uri, max(run) AS run, arg_max(place, run) AS place, arg_max(shard, run) AS shard FROM inventory GROUP BY uri
), own AS (
    SELECT
        found.place, found.uri, found.run,
        recorded.* EXCLUDE (uri, shard), recorded.shard AS own_shard
    FROM found LEFT JOIN recorded ON recorded.uri = found.uri AND left(recorded.shard, 13) = found.shard
), shared AS (
    -- Almost every key has one row, which speaks for itself: only the others are looked at further.
    SELECT key FROM recorded WHERE key <> '' GROUP BY key HAVING count(*) > 1 OR bool_or(status = 'duplicate')
), first AS (
    SELECT key, uri, run FROM own SEMI JOIN shared USING (key)
    QUALIFY row_number() OVER (PARTITION BY key ORDER BY run, uri) = 1
), best AS (
    -- A call's content is its own row's, unless that failed or was never transcribed because of its twin.
    SELECT recorded.* FROM recorded JOIN first USING (key)
    WHERE recorded.status <> 'duplicate'
    QUALIFY row_number() OVER (
        PARTITION BY recorded.key
        ORDER BY recorded.status = 'quarantined', recorded.uri <> first.uri, recorded.shard DESC, recorded.uri
    ) = 1
)
SELECT
    own.uri,
    planned.call_id,
    coalesce(own.key, '') AS key,
    CASE
        WHEN own.key IS NULL THEN 'deferred'
        WHEN first.key IS NULL THEN own.status
        WHEN first.uri = own.uri THEN best.status
        ELSE 'duplicate'
    END AS status,
    CASE
        WHEN own.key IS NULL THEN 'interrupted'
        WHEN first.key IS NULL THEN own.reason
        WHEN first.uri = own.uri THEN best.reason
        ELSE 'same_bytes'
    END AS reason,
    CASE
        WHEN own.key IS NULL THEN ''
        WHEN first.key IS NULL THEN own.detail
        WHEN first.uri = own.uri THEN best.detail
        ELSE 'same bytes as ' || first.uri
    END AS detail,
    planned.size,
    planned.modified,
    planned.run,
    planned.metadata,
    CASE
        WHEN own.key IS NULL THEN ''
        WHEN first.key IS NULL THEN own.own_shard
        WHEN first.uri = own.uri THEN best.shard
        ELSE ''
    END AS shard,
    CASE
        WHEN own.key IS NULL THEN ''
        WHEN first.key IS NULL THEN own.uri
        WHEN first.uri = own.uri THEN best.uri
        ELSE ''
    END AS source,
    planned.shard AS due,
    planned.reason AS refused,
    planned.fingerprint,
    CASE WHEN first.key IS NULL THEN own.channels ELSE best.channels END AS channels
FROM own JOIN inventory AS planned USING (place) LEFT JOIN first USING (key) LEFT JOIN best USING (key)
"""

_COLUMNS = "uri, key, status, reason, detail, shard, audio.channels AS channels"


def create_ledger(
    connection: duckdb.DuckDBPyConnection, url: str, inventories: Sequence[str], shards: Sequence[str]
) -> None:
    """Make the ledger of an archive's files as table ``ledger``, by a connection that reads them.

    Columns: ``uri, call_id, key, status, reason, detail, size, modified, run, metadata``, and where the content is:
    ``shard`` (id, empty where there is none) and ``source`` (the row's URI in that shard). As it was planned:
    ``due`` (id of its shard), ``refused`` (reason if it was refused when discovered) and ``fingerprint``. ``channels``
    is how many were heard, null where nothing was.
    """
    import duckdb

    for name, columns, paths, schema in (
        ("inventory", "*, row_number() OVER () AS place", inventories, INVENTORY),
        ("recorded", _COLUMNS, shards, SCHEMA),
    ):
        source = "read_parquet($paths, hive_partitioning = false)"
        if not paths:
            source = "nothing"
            connection.register(source, schema.empty_table())
        try:
            connection.execute(
                f"CREATE TEMP TABLE {name} AS SELECT {columns} FROM {source}",  # noqa: S608 - names of this file
                {"paths": paths} if paths else None,
            )
        except (duckdb.Error, OSError) as error:
            raise ArchiveError(
                f"{url}: a file of the archive is damaged: {error}",
                "callscan verify ARCHIVE names every damaged file",
            ) from error
    connection.execute(f"CREATE TEMP TABLE ledger AS {_LEDGER}")
    connection.execute("DROP TABLE inventory; DROP TABLE recorded")


def coverage(table: pa.Table) -> dict[str, int]:
    """``discovered`` and the six statuses of a ledger; an ArchiveError where they do not add up."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    for entry in table.column("status").value_counts().to_pylist():
        if entry["values"] not in counts:
            raise ArchiveError(f"unknown status {entry['values']!r} in the archive")
        counts[entry["values"]] = entry["counts"]
    if sum(counts.values()) != table.num_rows:
        raise ArchiveError(f"{table.num_rows} recordings discovered, {sum(counts.values())} accounted for")
    return {"discovered": table.num_rows, **counts}
