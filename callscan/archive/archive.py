"""The archive: a folder of immutable Parquet shards of call records, and the inventories that planned them.

::

    ARCHIVE/format.json                   what this is and in which version
    ARCHIVE/inventory/<run>.parquet       what a run discovered that was new, and the shard each recording is due in
    ARCHIVE/calls/<shard>.parquet         call records (callscan.archive.schema), one file a shard
    ARCHIVE/index/                        what they say (callscan.rescan.index); made again where it is missing
    ARCHIVE/report/                       what was counted from them

An inventory is written before the first of its shards is worked on, a shard when all its calls are done, and neither
is ever changed. A run that was killed is continued by working on the shards that are planned and not there.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from callscan.archive.inventory import INVENTORY
from callscan.archive.schema import FORMAT, content_digest, from_table, to_table
from callscan.archive.store import Store, open_store, unglobbed
from callscan.errors import ArchiveError
from callscan.records import CallRecord

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_DAMAGED = "callscan verify ARCHIVE names every damaged file"
_KIND = "callscan archive"
_COST = "callscan.cost"
LEDGER_MEMORY = "1GB"
"""What a ledger is made in; it is spilled to disk beyond. With much less DuckDB's joins of many recordings fail."""
_SHARD = re.compile(r"(\d{6}-\d{6}(?:-[01]+)?)\.parquet")
_RUN = re.compile(r"(\d{6})\.parquet")


class Archive:
    """An archive that exists, open for reading.

    ``where`` is a local folder or an fsspec URL. Reading needs no lock: shards appear whole or not at all.
    """

    def __init__(self, where: str) -> None:
        self.store: Store = open_store(str(where))
        try:
            header = json.loads(self.store.read("format.json"))
            kind, version = header["kind"], index(header["format"])
        except FileNotFoundError:
            raise ArchiveError(
                f"no archive in {self.url}", "callscan scan RECORDINGS --archive DIR makes one"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ArchiveError(f"{self.store.path('format.json')} is damaged: {error}") from error
        if kind != _KIND:
            raise ArchiveError(f"{self.url} is not a callscan archive, but a {kind!r}")
        if version > FORMAT:
            raise ArchiveError(
                f"{self.url} was written by a newer callscan: format {version}, this one reads up to {FORMAT}",
                "upgrade callscan",
            )

    @classmethod
    def create(cls, where: str) -> Archive:
        """Open an archive, making an empty one where there is none."""
        store = open_store(str(where))
        header = {"kind": _KIND, "format": FORMAT}
        store.create("format.json", json.dumps(header, sort_keys=True).encode() + b"\n")
        return cls(where)

    @property
    def url(self) -> str:
        """The folder or URL."""
        return self.store.url

    def shards(self) -> list[str]:
        """Paths of the committed shards, sorted, as DuckDB's ``read_parquet`` takes them (see :meth:`connect`)."""
        return [unglobbed(self.store.path(f"calls/{shard}.parquet")) for shard in self.shard_ids()]

    def shard_ids(self) -> list[str]:
        """Ids of the committed shards, sorted."""
        return [match[1] for name in self.store.names("calls") if (match := _SHARD.fullmatch(name))]

    def runs(self) -> list[int]:
        """Numbers of the runs that planned something, ascending."""
        return [int(match[1]) for name in self.store.names("inventory") if (match := _RUN.fullmatch(name))]

    def inventories(self) -> list[str]:
        """Paths of the inventories, oldest run first, as :meth:`shards`."""
        return [unglobbed(self.store.path(f"inventory/{run:06d}.parquet")) for run in self.runs()]

    def connect(self, scratch: str = ":memory:") -> duckdb.DuckDBPyConnection:
        """A DuckDB connection that can read this archive's paths, on an object store too.

        ``scratch`` is a database file for tables that may be larger than memory.
        """
        import duckdb

        connection = duckdb.connect(scratch)
        if self.store.filesystem is not None:
            connection.register_filesystem(self.store.filesystem)
        return connection

    def table(self, shard: str, columns: list[str] | None = None) -> pa.Table:
        """One shard's rows; page checksums are verified, so that damage is an error and never a wrong number."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = f"calls/{shard}.parquet"
        try:
            source = pa.BufferReader(self.store.read(name))
            return pq.read_table(source, columns=columns, page_checksum_verification=True)
        except (OSError, pa.ArrowInvalid) as error:
            raise ArchiveError(f"{self.store.path(name)} is damaged: {error}", _DAMAGED) from error

    def digest(self, shard: str) -> str:
        """What a shard's file says its content is, as :meth:`commit` wrote it: hex; empty where it says nothing.

        No more than the end of the file is read, so this does not tell whether the rest is whole.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.store.path(f"calls/{shard}.parquet")
        try:
            if self.store.filesystem is None:
                schema = pq.read_schema(path, memory_map=True)
            else:
                with self.store.filesystem.open(path) as file:
                    schema = pq.read_schema(file)
        except (OSError, pa.ArrowInvalid) as error:
            raise ArchiveError(f"{path} is damaged: {error}", _DAMAGED) from error
        return str((schema.metadata or {}).get(b"callscan.digest", b"").decode())

    def plan(self, run: int, inventory: Iterable[pa.RecordBatch]) -> None:
        """Write a run's inventory (:data:`~callscan.archive.inventory.INVENTORY`), sorted by shard."""
        if not self.store.create(f"inventory/{run:06d}.parquet", _parquet(INVENTORY, inventory)):
            raise ArchiveError(f"another run is writing to {self.url}", "try again when it has ended")

    def planned(self, run: int) -> Iterator[pa.RecordBatch]:
        """A run's inventory, as it was written."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = f"inventory/{run:06d}.parquet"
        try:
            source = pa.BufferReader(self.store.read(name))
            yield from pq.ParquetFile(source, page_checksum_verification=True).iter_batches(4096)
        except (OSError, pa.ArrowInvalid) as error:
            raise ArchiveError(f"{self.store.path(name)} is damaged: {error}", _DAMAGED) from error

    def commit(
        self,
        shard: str,
        records: Iterable[CallRecord],
        *,
        fingerprint: str,
        cost: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """Write a shard; it is there for every reader, whole, when this returns.

        ``cost`` says what the shard took to make, as :meth:`costs` gives it back; it is called when all but that is
        encoded, and stands in the file's metadata, apart from the rows.
        """
        table = to_table(records, fingerprint=fingerprint, shard=shard)
        notes = {"callscan.format": str(FORMAT), "callscan.digest": content_digest(table)}
        table = table.replace_schema_metadata(notes)
        self.store.write(f"calls/{shard}.parquet", _parquet(table.schema, table.to_batches(), cost))

    def costs(self) -> list[dict[str, Any]]:
        """What each shard took to make, as it was committed; shards that do not say are left out."""
        paths = self.shards()
        if not paths:
            return []
        query = "SELECT value FROM parquet_kv_metadata($paths) WHERE key = $key ORDER BY file_name"
        with self.connect() as connection:
            found = connection.execute(query, {"paths": paths, "key": _COST.encode()}).fetchall()
        return [json.loads(value) for (value,) in found if value]

    def append(self, records: Iterable[CallRecord], *, fingerprint: str = "") -> None:
        """Add call records that were made elsewhere (imported, simulated), as a run of its own with one shard.

        As in a scan, a URI that the archive knows is spoken for by its newest record, and bytes that it knows under
        another name are a duplicate. The caller holds the lock.
        """
        import pyarrow as pa

        records = list(records)
        run = max(self.runs(), default=0) + 1
        shard = f"{run:06d}-000000"
        rows = [
            {
                "uri": record.uri,
                "call_id": record.call_id,
                "size": record.size,
                "modified": 0,
                "reason": "",
                "detail": "",
                "metadata": sorted(record.metadata.items()),
                "fingerprint": fingerprint,
                "run": run,
                "shard": shard,
            }
            for record in records
        ]
        self.plan(run, pa.Table.from_pylist(rows, schema=INVENTORY).to_batches())
        self.commit(shard, records, fingerprint=fingerprint)

    def ledger(self) -> pa.Table:
        """What became of every recording that was ever discovered, by URI: a row each with the columns of
        :func:`callscan.archive.ledger.create_ledger`."""
        with tempfile.TemporaryDirectory(prefix="callscan-") as scratch, self.connect() as connection:
            folder = scratch.replace("'", "''")
            connection.execute(f"SET memory_limit = '{LEDGER_MEMORY}'; SET temp_directory = '{folder}'")
            self.create_ledger(connection)
            return connection.sql("SELECT * FROM ledger ORDER BY uri").to_arrow_table()

    def create_ledger(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the ledger as table ``ledger`` of a connection that :meth:`connect` gave."""
        from callscan.archive.ledger import create_ledger

        create_ledger(connection, self.url, self.inventories(), self.shards())

    def coverage(self) -> dict[str, int]:
        """``discovered`` and the six statuses it is the sum of, over the whole archive."""
        from callscan.archive.ledger import coverage

        return coverage(self.ledger())

    def find(self, call: str) -> list[CallRecord]:
        """The calls with this id, URI, path, or beginning of a key (at least 6 digits); an ArchiveError if none has."""
        import pyarrow.compute as pc

        ledger = self.ledger()
        named = pc.equal(ledger["call_id"], call)
        for uri in (call, os.path.abspath(call)):  # noqa: PTH100 - a recording is listed by its link's name
            named = pc.or_(named, pc.equal(ledger["uri"], uri))
        if len(call) >= 6:
            named = pc.or_(named, pc.starts_with(ledger["key"], call))
        found = ledger.filter(named)
        if not found.num_rows:
            raise ArchiveError(f"no call {call!r} in {self.url}", "a call id, a path or the first digits of a key")
        return list(self._records(found))

    def records(self) -> Iterator[CallRecord]:
        """One record for every recording ever discovered, each call's content once.

        Duplicates, deferred and unreadable recordings come without audio and transcript. Status, reason, call id and
        metadata are those of the ledger. The order is that of the shards: sort where order matters. One shard
        is in memory at a time.
        """
        yield from self._records(self.ledger())

    def _records(self, ledger: pa.Table) -> Iterator[CallRecord]:
        due: dict[str, dict[str, dict[str, Any]]] = {}
        for batch in ledger.to_batches():
            for row in batch.to_pylist():
                due.setdefault(row["shard"], {})[row["source"] or row["uri"]] = row
        for shard in sorted(due):
            rows = due[shard]
            if shard:
                for record in from_table(self.table(shard)):
                    if record.uri in rows:
                        yield _resolved(record, rows[record.uri])
            else:
                for row in rows.values():
                    yield _resolved(CallRecord("", "", "", "deferred"), row)


def _parquet(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], cost: Callable[[], Mapping[str, Any]] | None = None
) -> bytes:
    """Rows as the bytes of a Parquet file, each page with a checksum; what they cost in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            writer.write_batch(batch)
        if cost is not None:
            writer.add_key_value_metadata({_COST: json.dumps(cost(), sort_keys=True)})
    return bytes(sink.getvalue().to_pybytes())


def _resolved(record: CallRecord, row: dict[str, Any]) -> CallRecord:
    """A stored record as the ledger sees it."""
    return replace(
        record,
        call_id=row["call_id"],
        uri=row["uri"],
        key=row["key"],
        status=row["status"],
        reason=row["reason"],
        detail=row["detail"],
        size=row["size"],
        metadata=MappingProxyType(dict(row["metadata"])),
    )
