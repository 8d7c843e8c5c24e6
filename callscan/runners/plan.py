"""The plan of a scan: what was discovered, what of it is new, and which shard each new recording is due in.

Recordings stay Arrow columns throughout, so that a million of them fit a small driver. The packing depends on the
recordings alone, never on the number of workers or on what is left of an earlier run: any runner writes the same
shards, and a run that is continued writes those that it would have written.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from callscan.archive import Archive
from callscan.archive.archive import LEDGER_MEMORY
from callscan.archive.inventory import INVENTORY, Task, planned
from callscan.audio import Reject
from callscan.audio.files import local_path
from callscan.config import Shards
from callscan.records import Recording

if TYPE_CHECKING:
    import duckdb

FOUND = pa.schema(
    [
        ("uri", pa.string()),
        ("call_id", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
"""What was discovered; ``reason`` is why it was refused, empty if it was not."""

TRANSIENT = ("unreadable", "changing", "engine", "internal")
"""Reasons that may be gone the next time: recordings that failed with one of them are tried again by a later run."""

_Row = tuple[str, str, int, int, str, str]

_BATCH = 50_000
_BYTES_A_SECOND = 16_000
_PACKED = dict.fromkeys(("mp3", "ogg", "opus", "oga", "webm", "m4a", "mp4", "aac", "amr", "awb", "gsm", "wma"), 2_500)
"""Bytes of one second of audio by extension, where it is not that of telephone stereo without compression."""

_MOST_KNOWN = 2_000
"""Keys sent along with one shard at most. More are left to the ledger, at the price of transcribing a twin."""


def gather(found: Iterable[Recording | Reject], settle: float = 0.0) -> Iterator[pa.RecordBatch]:
    """What was discovered, in batches of :data:`FOUND`.

    A local file that was modified less than ``settle`` seconds ago is looked at again when they are over; if
    it has changed, a recorder is still writing it and it is refused as ``changing``.
    """
    fresh: list[Recording] = []
    rows = chain(_rows(found, time.time_ns() - int(settle * 1e9) if settle else None, fresh), _settled(fresh, settle))
    while batch := list(islice(rows, _BATCH)):
        columns = zip(*batch, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, FOUND, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=FOUND)


def _rows(found: Iterable[Recording | Reject], recent: int | None, fresh: list[Recording]) -> Iterator[_Row]:
    for item in found:
        if not isinstance(item, Recording):
            yield item.uri, _call_id(item.uri), 0, 0, item.reason, item.detail
        elif recent is not None and item.modified >= recent:
            fresh.append(item)
        else:
            yield item.uri, _call_id(item.uri), item.size, item.modified, "", ""


def _settled(fresh: list[Recording], settle: float) -> Iterator[_Row]:
    if fresh:
        time.sleep(settle)
    for item in fresh:
        reason = detail = ""
        if path := local_path(item.uri):
            try:
                now = os.stat(path)  # noqa: PTH116 - a name that is not Unicode is bytes
            except OSError as error:
                reason, detail = "unreadable", error.strerror or str(error)
            else:
                if (now.st_size, now.st_mtime_ns) != (item.size, item.modified):
                    reason, detail = "changing", f"{item.size} bytes, {settle:g} s later {now.st_size}"
        yield item.uri, _call_id(item.uri), item.size, item.modified, reason, detail


def _call_id(uri: str) -> str:
    name = uri.rsplit("/", 1)[-1]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scan has to do: the shards whose records are missing, of what was discovered.

    ``discovered`` counts recordings, ``due`` those that are in a shard to be worked on. ``unmatched`` counts
    rows of the metadata that belong to no recording. ``hashes`` are those of the discovered URIs, shape (discovered,):
    8 MB for a million.
    """

    archive: Archive
    discovered: int
    due: int
    shards: frozenset[str]
    known: dict[str, frozenset[str]]
    unmatched: int
    hashes: npt.NDArray[np.uint64]

    def failures(self) -> int:
        """How many of the recordings that were discovered are quarantined now."""
        quarantined = self.archive.ledger().filter(pc.field("status") == "quarantined").select(["uri"])
        with self.archive.connect() as connection:
            connection.register("quarantined", quarantined)
            hashes = connection.sql("SELECT hash(uri) AS hash FROM quarantined").fetchnumpy()["hash"]
        return int(np.isin(hashes, self.hashes).sum())

    def tasks(self) -> Iterator[Task]:
        """The work, shard by shard; what of a shard is there already is left out. One shard is in memory at a time."""
        committed: dict[str, list[str]] = {}
        for shard in self.archive.shard_ids():
            committed.setdefault(shard[:13], []).append(shard)
        for run in sorted({int(shard[:6]) for shard in self.shards}):
            rows = (row for batch in self.archive.planned(run) for row in batch.to_pylist())
            for shard, members in groupby(rows, key=itemgetter("shard")):
                # Behind a run's own shards stand recordings of earlier shards that it has other metadata for.
                if shard in self.shards and int(shard[:6]) == run:
                    task = Task(shard, planned(members), self.known.get(shard, frozenset()))
                    yield from task.missing(committed.get(shard, ()))


def make_plan(
    archive: Archive,
    found: Iterable[pa.RecordBatch],
    fingerprint: str,
    shards: Shards,
    metadata: pa.Table | None = None,
) -> Plan:
    """Compare what was discovered with the archive and write the inventory of what is new.

    New is a recording that the archive does not know, knows with another size or modification time, knows from another
    speech fingerprint, or knows as failed for a reason that may be gone. What stands after the hyphen of a fingerprint
    is the diariser's, and makes only recordings of one channel new. ``metadata`` has columns ``id`` (call id,
    file name or URI) and ``metadata`` (map); it replaces what the archive holds of these calls.
    """
    options = {"fingerprint": fingerprint, "transient": list(TRANSIENT)}
    with (
        tempfile.TemporaryDirectory(prefix="callscan-") as scratch,
        archive.connect(f"{scratch}/plan.db") as connection,
    ):
        connection.execute(f"SET memory_limit = '{LEDGER_MEMORY}'")
        connection.register("nothing", FOUND.empty_table())
        connection.execute("CREATE TABLE found_twice AS SELECT * FROM nothing")
        for batch in found:
            connection.register("batch", pa.Table.from_batches([batch]))
            connection.execute("INSERT INTO found_twice SELECT * FROM batch")
        connection.register("given", metadata if metadata is not None else _NO_METADATA)
        archive.create_ledger(connection)
        connection.execute(_COMPARE, options)
        run = max(archive.runs(), default=0) + 1
        packing = _Packing(run, fingerprint, shards)
        changes = _changes(connection, packing)
        if (first := next(changes, None)) is not None:
            archive.plan(run, chain([first], changes))
        due = packing.shards | {shard for (shard,) in connection.sql(_INTERRUPTED).fetchall()}
        connection.register("due", pa.table({"shard": pa.array(sorted(due), pa.string())}))
        known: dict[str, frozenset[str]] = {}
        rows = 0
        if due:
            paths = archive.inventories()
            connection.execute(_DUE, {"paths": paths})
            rows = connection.sql("SELECT count(*) FROM waiting").fetchall()[0][0]
            for shard, keys in connection.execute(_KNOWN, {"fingerprint": fingerprint, "most": _MOST_KNOWN}).fetchall():
                known[shard] = frozenset(keys)
        hashes = connection.sql("SELECT hash(uri) AS hash FROM compared").fetchnumpy()["hash"]
        [(discovered, unmatched)] = connection.sql(_COUNTS).fetchall()
    return Plan(archive, discovered, rows, frozenset(due), known, unmatched, hashes)


class _Packing:
    """Puts recordings into shards of equal audio seconds, as far as sizes tell.

    A shard is full when it has reached its seconds or its number of calls, so that one long call makes one shard.
    """

    def __init__(self, run: int, fingerprint: str, limits: Shards) -> None:
        self.run = run
        self.shards: set[str] = set()
        self._fingerprint = fingerprint
        self._limits = limits
        self._calls = 0
        self._seconds = 0.0
        self._shard = ""

    def pack(self, new: pa.RecordBatch) -> pa.RecordBatch:
        """The next recordings, with run, fingerprint and shard."""
        ids = []
        for uri, size in zip(new.column("uri").to_pylist(), new.column("size").to_pylist(), strict=True):
            if not self._shard or self._calls >= self._limits.calls or self._seconds >= self._limits.seconds:
                self._shard = f"{self.run:06d}-{len(self.shards):06d}"
                self.shards.add(self._shard)
                self._calls, self._seconds = 0, 0.0
            ids.append(self._shard)
            self._calls += 1
            self._seconds += size / _PACKED.get(uri[uri.rfind(".") + 1 :].lower(), _BYTES_A_SECOND)
        return self.complete(
            new.append_column("shard", pa.array(ids)).append_column(
                "fingerprint", pa.repeat(pa.scalar(self._fingerprint), new.num_rows)
            )
        )

    def complete(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Rows that have a shard, as rows of this run's inventory."""
        rows = rows.append_column("run", pa.repeat(pa.scalar(self.run, pa.int32()), rows.num_rows))
        return rows.select(INVENTORY.names).cast(INVENTORY)


def _changes(connection: duckdb.DuckDBPyConnection, packing: _Packing) -> Iterator[pa.RecordBatch]:
    """The rows of the new inventory: what is new, in its shards, then what has new metadata."""
    for batch in connection.sql(_NEW).to_arrow_reader(_BATCH):
        yield packing.pack(batch)
    for batch in connection.sql(_UPDATED).to_arrow_reader(_BATCH):
        yield packing.complete(batch)


_NO_METADATA = pa.table({"id": pa.array([], pa.string()), "metadata": pa.array([], pa.map_(pa.string(), pa.string()))})

_COMPARE = """
CREATE TABLE compared AS
WITH found AS (
    SELECT * FROM found_twice QUALIFY row_number() OVER (PARTITION BY uri ORDER BY reason) = 1
), matched AS (
    SELECT uri, given.metadata, 1 AS rank FROM found JOIN given ON given.id = found.uri
    UNION ALL
    SELECT uri, given.metadata, 2 FROM found JOIN given ON given.id = string_split(found.uri, '/')[-1]
    UNION ALL
    SELECT uri, given.metadata, 3 FROM found JOIN given ON given.id = found.call_id
), described AS (
    SELECT found.*, matched.metadata AS given FROM found LEFT JOIN matched USING (uri)
    QUALIFY row_number() OVER (PARTITION BY uri ORDER BY matched.rank) = 1
)
SELECT
    described.*, ledger.metadata AS held, ledger.due, ledger.refused, ledger.fingerprint,
    ledger.uri IS NULL
        OR ledger.size <> described.size
        OR ledger.modified <> described.modified
        OR ledger.refused <> described.reason
        OR split_part(ledger.fingerprint, '-', 1) <> split_part($fingerprint, '-', 1)
        -- Channels are null where nothing was heard: what waits is due again, what failed is not.
        OR (
            ledger.fingerprint <> $fingerprint
            AND (coalesce(ledger.channels, 0) = 1 OR ledger.reason = 'interrupted')
        )
        OR (ledger.refused = '' AND list_contains($transient, ledger.reason)) AS new,
    coalesce(ledger.reason = 'interrupted', false) AS interrupted
FROM described LEFT JOIN ledger USING (uri)
"""

_NEW = """
SELECT uri, call_id, size, modified, reason, detail, coalesce(given, held, MAP {}) AS metadata
FROM compared WHERE new
ORDER BY size DESC, uri
"""

_UPDATED = """
SELECT uri, call_id, size, modified, reason, detail, given AS metadata, fingerprint, due AS shard
FROM compared WHERE NOT new AND given IS NOT NULL AND given <> held
ORDER BY uri
"""

_INTERRUPTED = "SELECT DISTINCT due FROM compared WHERE NOT new AND interrupted"

_DUE = """
CREATE TABLE waiting AS
SELECT shard, size, run FROM read_parquet($paths, hive_partitioning = false)
WHERE shard IN (SELECT shard FROM due) AND run = CAST(left(shard, 6) AS INTEGER)
"""

_KNOWN = """
SELECT waiting.shard, list(DISTINCT ledger.key)
FROM waiting JOIN ledger ON ledger.size = waiting.size AND ledger.run < waiting.run
WHERE split_part(ledger.fingerprint, '-', 1) = split_part($fingerprint, '-', 1)
    AND (ledger.fingerprint = $fingerprint OR ledger.channels > 1)
    AND ledger.status IN ('scanned', 'no_speech', 'degraded')
GROUP BY waiting.shard
HAVING count(DISTINCT ledger.key) <= $most
"""

_COUNTS = """
SELECT (SELECT count(*) FROM compared), (
    SELECT count(*) FROM given WHERE id NOT IN (
        SELECT uri FROM compared UNION SELECT string_split(uri, '/')[-1] FROM compared
        UNION SELECT call_id FROM compared
    )
)
"""
