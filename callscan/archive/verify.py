"""Checking an archive: that every file is whole, that plans and records agree, that the bytes are still the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from callscan.archive.archive import Archive
from callscan.archive.ledger import coverage
from callscan.archive.schema import SCHEMA, content_digest, from_table
from callscan.errors import REASONS, ArchiveError, RecordingError
from callscan.records import STATUSES, CallRecord

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked and what is wrong: ``problems`` is empty for an archive that is as it should be.

    Of the recordings, ``rehashed`` still have the bytes that were scanned and ``gone`` are no longer there to be read,
    which is no fault of the archive; ``waiting`` are planned and not yet done.
    """

    shards: int
    records: int
    rehashed: int
    gone: int
    waiting: int
    problems: tuple[str, ...]


def verify(archive: Archive, digest: Callable[[str], str]) -> Verdict:
    """Read every file of the archive and every recording it knows, and check every invariant.

    ``digest`` gives the SHA-256 of a recording, or raises RecordingError. One shard is in memory at a time.
    """
    problems: list[str] = []
    planned = _planned(archive, problems)
    counts: Counter[str] = Counter()
    for stem, shards in groupby(archive.shard_ids(), key=lambda shard: shard[:13]):
        if stem not in planned:
            problems.append(f"calls/{stem}: no inventory plans this shard")
        due = planned.get(stem, {})
        done: set[str] = set()
        for shard in shards:
            try:
                table = archive.table(shard)
            except ArchiveError as error:
                problems.append(error.message)
                done.update(due)
                continue
            counts["shards"] += 1
            problems.extend(f"calls/{shard}.parquet: {problem}" for problem in _check_shard(table, shard, due, done))
            if table.schema.equals(SCHEMA):
                for record in from_table(table):
                    counts["records"] += 1
                    problems.extend(f"calls/{shard}.parquet: {record.uri}: {wrong}" for wrong in _check_record(record))
            if shard == stem and len(done) < len(due):
                problems.append(f"calls/{shard}.parquet: {len(due) - len(done)} of its recordings are missing")
    if not problems:
        try:
            ledger = archive.ledger()  # another library reads it, which may refuse what the first one took
            coverage(ledger)
        except ArchiveError as error:
            problems.append(error.message)
        else:
            for row in ledger.select(["uri", "key", "reason"]).to_pylist():
                counts["waiting"] += row["reason"] == "interrupted"
                if row["key"]:
                    counts[_rehashed(row["uri"], row["key"], digest, problems)] += 1
    return Verdict(
        shards=counts["shards"],
        records=counts["records"],
        rehashed=counts["rehashed"],
        gone=counts["gone"],
        waiting=counts["waiting"],
        problems=tuple(sorted(problems)),
    )


def _planned(archive: Archive, problems: list[str]) -> dict[str, dict[str, int]]:
    """The recordings due in each shard, with their sizes, as the run that planned the shard wrote it."""
    planned: dict[str, dict[str, int]] = {}
    for run in archive.runs():
        try:
            for batch in archive.planned(run):
                for row in batch.select(["uri", "size", "run", "shard"]).to_pylist():
                    if row["run"] != run:
                        problems.append(f"inventory/{run:06d}.parquet: {row['uri']} belongs to run {row['run']}")
                    if row["shard"].startswith(f"{run:06d}-"):
                        planned.setdefault(row["shard"], {})[row["uri"]] = row["size"]
        except ArchiveError as error:
            problems.append(error.message)
    return planned


def _check_shard(table: pa.Table, shard: str, due: dict[str, int], done: set[str]) -> Iterator[str]:
    if not table.schema.equals(SCHEMA):
        yield "its columns are not those of a call record"
        return
    if (table.schema.metadata or {}).get(b"callscan.digest") != content_digest(table).encode():
        yield "its content is not what was written"
    if table.num_rows and table.column("shard").unique().to_pylist() != [shard]:
        yield "its rows belong to another shard"
    for uri, size in zip(table.column("uri").to_pylist(), table.column("size").to_pylist(), strict=True):
        if due.get(uri) != size:
            yield f"{uri} with {size} bytes was not planned here"
        if uri in done:
            yield f"{uri} is recorded twice"
        done.add(uri)


def _check_record(record: CallRecord) -> Iterator[str]:
    if record.status not in STATUSES:
        yield f"unknown status {record.status!r}"
    if record.reason not in REASONS and record.reason:
        yield f"unknown reason {record.reason!r}"
    if bool(record.reason) == (record.status == "scanned"):
        yield f"status {record.status} with reason {record.reason!r}"
    if record.key and (len(record.key) != 64 or set(record.key) - set("0123456789abcdef")):
        yield "its key is no SHA-256"
    heard = record.status in ("scanned", "degraded", "no_speech")
    if heard != (record.transcript is not None) or heard != (record.audio is not None):
        yield f"status {record.status} {'without' if heard else 'with'} a transcript"
    if heard and not record.key:
        yield "heard without a key"
    if record.transcript is not None:
        for segment in record.transcript.segments:
            if not 0 <= segment.start <= segment.end:
                yield f"a segment from {segment.start} to {segment.end} s"
            times = [time for word in segment.words for time in (word.start, word.end)]
            if times != sorted(times):
                yield f"words out of order in the segment at {segment.start} s"


def _rehashed(uri: str, key: str, digest: Callable[[str], str], problems: list[str]) -> str:
    try:
        if digest(uri) == key:
            return "rehashed"
    except RecordingError:
        return "gone"
    problems.append(f"{uri}: its bytes are not those that were scanned; scan it again")
    return "changed"
