"""From the archive to the report, without audio: match every transcript, then count.

What a scan does at its end and ``callscan rescan`` does alone. The transcripts are read a shard at a time, in as many
processes as pay; what they give is written to a scratch folder, so that memory does not grow with the archive.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from callscan.archive import Archive, from_table
from callscan.errors import ArchiveError
from callscan.records import CallRecord, Hit
from callscan.report import Report, Selection
from callscan.report.assemble import assemble
from callscan.report.build import build
from callscan.report.callers import caller_key
from callscan.report.contacts import DAYS
from callscan.report.count import IssueInfo
from callscan.report.difference import Change, difference
from callscan.report.interaction import OTHER, ROLES, Voices, measure
from callscan.report.metadata import join
from callscan.report.metadata import read as read_metadata
from callscan.report.tables import MEASURES, found_schema, measures_schema
from callscan.report.voices import voices
from callscan.report.write import WRITTEN, from_json, write_files

if TYPE_CHECKING:
    from callscan.lexicon import Lexicon

FOLDER = "report"
"""Where an archive holds what was counted from it."""

METADATA = "metadata.parquet"
"""The operational table as it was read, kept so that the next count has it too. Holds no caller number."""

_ALONE = 4
"""Up to so many shards, starting further processes takes longer than matching."""


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
    stages: Mapping[str, float] | None = None,
    processes: int | None = None,
    contact_days: int = DAYS,
) -> Report:
    """Match every transcript of the archive, write ``ARCHIVE/report/`` and return the report.

    ``by`` names further metadata columns to break every issue down by; ``metadata`` is an operational table
    (:mod:`callscan.report.metadata`), by default the one of the last count; ``stages`` are seconds of work by stage,
    as the scan measured them; ``processes`` is how many match side by side (default: one a core). The rates are over
    calls scanned and calls degraded that have a transcript. The same archive and lexicon give the same bytes.
    """
    return recount(
        archive,
        lexicon,
        by=by,
        metadata=metadata,
        stages=stages,
        processes=processes,
        contact_days=contact_days,
    ).report


def recount(
    archive: Archive,
    lexicon: Lexicon,
    *,
    by: Sequence[str] = (),
    metadata: Path | None = None,
    stages: Mapping[str, float] | None = None,
    processes: int | None = None,
    contact_days: int = DAYS,
) -> Recount:
    """As :func:`count`, with the difference to the count before."""
    key = caller_key()
    ledger = archive.ledger()
    with tempfile.TemporaryDirectory(prefix="callscan-") as scratch:
        folder = Path(scratch)
        table = read_metadata(metadata, key) if metadata else _kept_metadata(archive)
        joined = None
        if table is not None:
            pq.write_table(table, folder / METADATA)
            ledger, joined = join(ledger, table)
        parts = _match_all(archive, lexicon, _due(ledger), folder, processes or os.cpu_count() or 1)
        assemble(
            ledger,
            [part / "measures.parquet" for part in parts],
            [part / "found.parquet" for part in parts],
            folder,
            caller_key=key,
        )
        report, page = build(
            folder / "calls.parquet",
            folder / "hits.parquet",
            issues=issue_infos(lexicon),
            lexicon=lexicon.digest,
            selection=Selection(by=tuple(by)),
            metadata=joined,
            stages=stages if stages is not None else _kept_stages(archive),
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
    Nothing is written."""
    last = last_report(archive)
    with tempfile.TemporaryDirectory(prefix="callscan-") as scratch:
        folder = Path(scratch)
        for name in ("calls.parquet", "hits.parquet"):
            (folder / name).write_bytes(archive.store.read(f"{FOLDER}/{name}"))
        infos = [IssueInfo(i.id, i.label.fr, i.label.en, i.severity, i.speaker) for i in last.issues]
        return build(
            folder / "calls.parquet",
            folder / "hits.parquet",
            issues=sorted(infos, key=lambda info: info.id),
            lexicon=last.lexicon.digest,
            selection=selection,
            metadata=last.metadata,
            stages=last.cost.stages,
            contact_days=contact_days,
            place=place,
        )


def hits_by_call(archive: Archive) -> dict[str, list[Hit]]:
    """The hits of the last count by the key of their call; ArchiveError where nothing was counted yet."""
    try:
        table = pq.read_table(io.BytesIO(archive.store.read(f"{FOLDER}/hits.parquet")))
    except FileNotFoundError:
        raise ArchiveError(f"no report in {archive.url}", "callscan rescan makes one") from None
    found: dict[str, list[Hit]] = {}
    names = [field.name for field in fields(Hit) if field.name != "flags"]
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            hit = Hit(**{name: row[name] for name in names}, flags=tuple(row["flags"]))
            found.setdefault(row["key"], []).append(hit)
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
    """The operational table of the last count that had one."""
    try:
        return pq.read_table(io.BytesIO(archive.store.read(f"{FOLDER}/{METADATA}")))
    except FileNotFoundError:
        return None


def _kept_stages(archive: Archive) -> Mapping[str, float]:
    """What the scan took, as the last report says: counting again costs no audio."""
    try:
        return last_report(archive).cost.stages
    except ArchiveError:
        return {}


def _changes(archive: Archive, folder: Path) -> tuple[Change, ...]:
    """What the new hits change against those in the archive."""
    try:
        before = archive.store.read(f"{FOLDER}/hits.parquet")
    except FileNotFoundError:
        return ()
    (folder / "before.parquet").write_bytes(before)
    return tuple(difference(folder / "before.parquet", folder / "hits.parquet"))


def _due(ledger: pa.Table) -> dict[str, list[str]]:
    """The recordings whose content counts, by shard: their URIs in that shard."""
    import pyarrow.compute as pc

    held = ledger.filter(pc.and_(pc.not_equal(ledger["shard"], ""), pc.not_equal(ledger["key"], "")))
    due: dict[str, list[str]] = {}
    for batch in held.select(["shard", "source"]).to_batches():
        for shard, source in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            due.setdefault(shard, []).append(source)
    return due


def _match_all(
    archive: Archive, lexicon: Lexicon, due: Mapping[str, Sequence[str]], folder: Path, processes: int
) -> list[Path]:
    """Match every shard; the folders of their parts, in the order of the shards."""
    tasks = [(shard, tuple(due[shard])) for shard in sorted(due)]
    if processes == 1 or len(tasks) <= _ALONE:
        return [_match_shard(archive, lexicon, folder, shard, uris) for shard, uris in tasks]
    # Spawned, not forked: the scan that calls this holds threads of CTranslate2 and Arrow.
    with ProcessPoolExecutor(
        min(processes, len(tasks)), get_context("spawn"), _start_process, (archive.url, lexicon, folder)
    ) as pool:
        return list(pool.map(_match_task, tasks))


_process: tuple[Archive, Lexicon, Path]


def _start_process(url: str, lexicon: Lexicon, folder: Path) -> None:
    global _process
    _process = Archive(url), lexicon, folder


def _match_task(task: tuple[str, Sequence[str]]) -> Path:
    return _match_shard(*_process, *task)


def _match_shard(archive: Archive, lexicon: Lexicon, folder: Path, shard: str, uris: Sequence[str]) -> Path:
    """Measure and match the calls of one shard into a folder of two Parquet files."""
    import pyarrow.compute as pc

    part = folder / shard
    part.mkdir()
    table = archive.table(shard)
    table = table.filter(pc.is_in(table["uri"], pa.array(uris, pa.string())))
    with (
        pq.ParquetWriter(part / "measures.parquet", measures_schema()) as measures,
        pq.ParquetWriter(part / "found.parquet", found_schema()) as found,
    ):
        for batch in table.to_batches(max_chunksize=256):
            records = list(from_table(pa.Table.from_batches([batch])))
            measures.write_table(_measured(records))
            found.write_table(pa.Table.from_pylist(list(_found(records, lexicon)), schema=found_schema()))
    return part


def _found(records: Iterable[CallRecord], lexicon: Lexicon) -> Iterator[dict[str, Any]]:
    """A row a hit, as :func:`callscan.report.tables.found_schema` has it."""
    for record in records:
        if record.transcript is None:
            continue
        for hit in lexicon.match(record.transcript):
            yield {
                "key": record.key,
                "issue": hit.issue,
                "pattern": hit.pattern,
                "lexicon": hit.lexicon,
                "speaker": hit.speaker,
                "quote": hit.quote,
                "context": record.transcript.segments[hit.segment].text.strip(),
                "start": round(hit.start, 3),
                "end": round(hit.end, 3),
                "probability": round(hit.probability, 4),
                "segment": hit.segment,
                "speaker_known": hit.speaker_known,
                "flags": list(hit.flags),
                "counted": hit.counted,
            }


def _measured(records: Sequence[CallRecord]) -> pa.Table:
    """A row a call, as :func:`callscan.report.tables.measures_schema` has it."""
    import numpy as np

    duration = np.array([record.audio.decoded if record.audio else 0.0 for record in records])
    interaction = measure(_voices(records), duration)
    seconds = {
        "speech": interaction.speech,
        "talk_customer": interaction.talk[0],
        "talk_agent": interaction.talk[1],
        "silence": interaction.silence,
        "longest_silence": interaction.longest_silence,
        "overtalk": interaction.overtalk,
    }
    rows = []
    for index, record in enumerate(records):
        row: dict[str, Any] = {"key": record.key, **dict.fromkeys(MEASURES)}
        if record.audio:
            row |= {
                "codec": record.audio.codec,
                "channels": record.audio.channels,
                "duration": record.audio.decoded,
                "lost": record.audio.lost,
            }
        if record.transcript:
            segments = record.transcript.segments
            row |= {
                "language": record.transcript.language,
                "coverage": record.transcript.coverage,
                "words": sum(len(segment.text.split()) for segment in segments),
                **{f"words_{role}": sum(len(s.text.split()) for s in segments if s.speaker == role) for role in ROLES},
                **{name: float(values[index]) for name, values in seconds.items()},
            }
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=measures_schema())


def _voices(records: Sequence[CallRecord]) -> Voices:
    """Who speaks when, in all calls."""
    import numpy as np

    rows = [
        (index, _role(voice.speaker), voice.start, voice.end)
        for index, record in enumerate(records)
        if record.transcript
        for voice in voices(record.transcript)
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Voices(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3])


def _role(speaker: str) -> int:
    return ROLES.index(speaker) if speaker in ROLES else OTHER
