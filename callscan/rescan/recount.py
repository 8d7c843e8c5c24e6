"""From the archive to the report, without audio: match every transcript, then count.

What a scan does at its end and ``callscan rescan`` does alone. The transcripts are read a shard at a time, in as many
processes as pay; what they give is written to a scratch folder, so that memory does not grow with the archive.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from callscan.archive import Archive
from callscan.errors import ArchiveError
from callscan.records import Hit
from callscan.report import Report, Selection
from callscan.report.assemble import assemble
from callscan.report.build import build
from callscan.report.callers import caller_key
from callscan.report.contacts import DAYS
from callscan.report.count import IssueInfo
from callscan.report.difference import Change, difference
from callscan.report.metadata import join
from callscan.report.metadata import read as read_metadata
from callscan.report.work import work
from callscan.report.write import WRITTEN, from_json, write_files
from callscan.rescan.matching import matching

if TYPE_CHECKING:
    from callscan.lexicon import Lexicon

FOLDER = "report"
"""Where an archive holds what was counted from it."""

METADATA = "metadata.parquet"
"""The operational table as it was read, kept so that the next count has it too. Holds no caller number."""

_AGAIN = "callscan rescan makes the tables again"


@dataclass(frozen=True, slots=True)
class Recount:
    """A report, and what it changed against the one that was there: empty where there was none."""

    report: Report
    changes: tuple[Change, ...]


def count(
    archive: Archive,
    lexicon: Lexicon,
    *,
    by: Sequence[str] = (),
    metadata: Path | None = None,
    processes: int | None = None,
    contact_days: int = DAYS,
) -> Report:
    """Match every transcript of the archive, write ``ARCHIVE/report/`` and return the report.

    ``by`` names further metadata columns to break every issue down by; ``metadata`` is an operational table
    (:mod:`callscan.report.metadata`), by default the one of the last count; ``processes`` is how many match side by
    side (default: one a core). The rates are over calls scanned and calls degraded that have a transcript. The same
    archive and lexicon give the same bytes.
    """
    return recount(
        archive,
        lexicon,
        by=by,
        metadata=metadata,
        processes=processes,
        contact_days=contact_days,
    ).report


def recount(
    archive: Archive,
    lexicon: Lexicon,
    *,
    by: Sequence[str] = (),
    metadata: Path | None = None,
    processes: int | None = None,
    contact_days: int = DAYS,
) -> Recount:
    """As :func:`count`, with the difference to the count before."""
    key = caller_key()
    with tempfile.TemporaryDirectory(prefix="callscan-") as scratch:
        folder = Path(scratch)
        with matching(archive, lexicon, folder, processes or os.cpu_count() or 1) as match:
            ledger = archive.ledger()
            table = read_metadata(metadata, key) if metadata else _kept_metadata(archive)
            joined = None
            if table is not None:
                pq.write_table(table, folder / METADATA)
                ledger, joined = join(ledger, table, folder)
            parts = match(_due(ledger))
        assemble(
            ledger,
            [part / "measures.parquet" for part in parts],
            [part / "found.parquet" for part in parts],
            folder,
            caller_key=key,
        )
        del ledger  # a million calls are half a gigabyte of it
        report, page = build(
            folder / "calls.parquet",
            folder / "hits.parquet",
            issues=issue_infos(lexicon),
            lexicon=lexicon.digest,
            selection=Selection(by=tuple(by)),
            metadata=joined,
            work=work(archive.costs()),
            contact_days=contact_days,
            place=_place(archive),
        )
        write_files(report, page, folder)
        changes = _changes(archive, folder)
        # The report last: who finds it finds the tables it was counted from.
        for name in (METADATA, "calls.parquet", "hits.parquet", *WRITTEN):
            if (folder / name).exists():
                archive.store.write(f"{FOLDER}/{name}", (folder / name).read_bytes())
    return Recount(report, changes)


def cut(
    archive: Archive, selection: Selection, *, contact_days: int = DAYS, place: Path | None = None
) -> tuple[Report, str]:
    """A report on some of the calls, from the tables of the last count, and its HTML page for the folder ``place``.
    Nothing is written. ArchiveError where a table is missing or damaged."""
    import duckdb

    last = last_report(archive)
    with tempfile.TemporaryDirectory(prefix="callscan-") as scratch:
        folder = Path(scratch)
        for name in ("calls.parquet", "hits.parquet"):
            try:
                (folder / name).write_bytes(archive.store.read(f"{FOLDER}/{name}"))
            except FileNotFoundError:
                raise ArchiveError(f"{FOLDER}/{name} is missing in {archive.url}", _AGAIN) from None
        infos = [IssueInfo(i.id, i.label.fr, i.label.en, i.severity, i.speaker) for i in last.issues]
        try:
            return build(
                folder / "calls.parquet",
                folder / "hits.parquet",
                issues=sorted(infos, key=lambda info: info.id),
                lexicon=last.lexicon.digest,
                selection=selection,
                metadata=last.metadata,
                work=last.cost.work,
                contact_days=contact_days,
                place=place,
            )
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise unreadable(archive, "{calls,hits}.parquet", error) from error


def unreadable(archive: Archive, name: str, error: Exception) -> ArchiveError:
    """What to say of a table of the last count that cannot be read."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return ArchiveError(f"{archive.store.path(f'{FOLDER}/{name}')} cannot be read: {first}", _AGAIN)


def hits_by_call(archive: Archive) -> dict[str, list[Hit]]:
    """The hits of the last count by the key of their call; ArchiveError where nothing was counted yet, or the table is
    damaged."""
    found: dict[str, list[Hit]] = {}
    names = [name for name in Hit._fields if name != "flags"]
    try:
        table = pq.read_table(io.BytesIO(archive.store.read(f"{FOLDER}/hits.parquet")))
        for batch in table.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                hit = Hit(**{name: row[name] for name in names}, flags=tuple(row["flags"]))
                found.setdefault(row["key"], []).append(hit)
    except FileNotFoundError:
        raise ArchiveError(f"no report in {archive.url}", "callscan rescan makes one") from None
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: bytes that are no text
        raise unreadable(archive, "hits.parquet", error) from error
    return found


def last_report(archive: Archive) -> Report:
    """The report that the archive holds; ArchiveError where there is none, or one of another version."""
    try:
        return from_json(archive.store.read(f"{FOLDER}/report.json"))
    except FileNotFoundError:
        raise ArchiveError(f"no report in {archive.url}", "callscan rescan makes one") from None
    except ValueError as error:
        hint = "callscan rescan makes a new one"
        raise ArchiveError(f"the report in {archive.url} cannot be read: {error}", hint) from error


def _place(archive: Archive) -> Path | None:
    """The folder that the page lies in; None on an object store, which no link to a recording leaves."""
    return None if "://" in archive.url else Path(archive.url) / FOLDER


def issue_infos(lexicon: Lexicon) -> list[IssueInfo]:
    """What the report says of each issue beside its counts."""
    return [
        IssueInfo(issue.id, issue.label["fr"], issue.label["en"], issue.severity, issue.speaker)
        for issue in lexicon.issues
    ]


def _kept_metadata(archive: Archive) -> pa.Table | None:
    """The operational table of the last count that had one; ArchiveError where it is damaged: nothing else has it."""
    try:
        return pq.read_table(io.BytesIO(archive.store.read(f"{FOLDER}/{METADATA}")))
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as error:
        hint = "give the table again: callscan rescan ARCHIVE --metadata calls.csv"
        raise ArchiveError(f"{archive.store.path(f'{FOLDER}/{METADATA}')} is damaged: {error}", hint) from error


def _changes(archive: Archive, folder: Path) -> tuple[Change, ...]:
    """What the new hits change against those in the archive; nothing where those cannot be read: they are replaced."""
    import duckdb

    try:
        before = archive.store.read(f"{FOLDER}/hits.parquet")
    except FileNotFoundError:
        return ()
    (folder / "before.parquet").write_bytes(before)
    try:
        return tuple(difference(folder / "before.parquet", folder / "hits.parquet"))
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        return ()


def _due(ledger: pa.Table) -> dict[str, list[str]]:
    """The recordings whose content counts, by shard: their URIs in that shard."""
    import pyarrow.compute as pc

    rows = ledger.select(["shard", "source", "key"])
    held = rows.filter(pc.and_(pc.not_equal(rows["shard"], ""), pc.not_equal(rows["key"], "")))
    due: dict[str, list[str]] = {}
    for batch in held.to_batches():
        for shard, source in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            due.setdefault(shard, []).append(source)
    return due
