"""From the archive to the report, without audio: match every transcript, then count.

What a scan does at its end and ``callscan rescan`` does alone. The transcripts are read a shard at a time, in as many
processes as pay; what they give is written to a scratch folder, so that memory does not grow with the archive.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callscan.archive import Archive, from_table
from callscan.records import CallRecord
from callscan.report import Report, Selection
from callscan.report.assemble import assemble
from callscan.report.build import build
from callscan.report.callers import caller_key
from callscan.report.count import IssueInfo
from callscan.report.interaction import OTHER, ROLES, Voices, measure
from callscan.report.tables import MEASURES, found_schema, measures_schema
from callscan.report.write import write_files

if TYPE_CHECKING:
    import pyarrow as pa

    from callscan.lexicon import Lexicon

FOLDER = "report"
"""Where an archive holds what was counted from it."""

_ALONE = 4
"""Up to so many shards, starting further processes takes longer than matching."""


def count(
    archive: Archive,
    lexicon: Lexicon,
    *,
    by: Sequence[str] = (),
    stages: Mapping[str, float] | None = None,
    processes: int | None = None,
) -> Report:
    """Match every transcript of the archive, write ``ARCHIVE/report/`` and return the report.

    ``by`` names further metadata columns to break every issue down by; ``stages`` are seconds of work by stage, as the
    scan measured them; ``processes`` is how many match side by side (default: one a core). The rates are over
    calls scanned and calls degraded that have a transcript. The same archive and lexicon give the same bytes.
    """
    ledger = archive.ledger()
    with tempfile.TemporaryDirectory(prefix="callscan-") as scratch:
        folder = Path(scratch)
        parts = _match_all(archive, lexicon, _due(ledger), folder, processes or os.cpu_count() or 1)
        assemble(
            ledger,
            [part / "measures.parquet" for part in parts],
            [part / "found.parquet" for part in parts],
            folder,
            caller_key=caller_key(),
        )
        report = build(
            folder / "calls.parquet",
            folder / "hits.parquet",
            issues=issue_infos(lexicon),
            lexicon=lexicon.digest,
            selection=Selection(by=tuple(by)),
            stages=stages,
        )
        write_files(report, folder)
        # The report last: who finds it finds the tables it was counted from.
        for name in ("calls.parquet", "hits.parquet", "hits.jsonl", "issues_by_day.csv", "report.json"):
            archive.store.write(f"{FOLDER}/{name}", (folder / name).read_bytes())
    return report


def issue_infos(lexicon: Lexicon) -> list[IssueInfo]:
    """What the report says of each issue beside its counts."""
    return [
        IssueInfo(
            id=issue.id, fr=issue.label["fr"], en=issue.label["en"], severity=issue.severity, speaker=issue.speaker
        )
        for issue in lexicon.issues
    ]


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
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

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
    import pyarrow as pa

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
            row |= {"channels": record.audio.channels, "duration": record.audio.decoded, "lost": record.audio.lost}
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
    """Who speaks when: the turns of a diarised call, else the speech spans of each channel.

    A channel is the voice of whoever says the most words on it; an announcement on the agent's side is the agent's.
    """
    import numpy as np

    rows: list[tuple[int, int, float, float]] = []
    for index, record in enumerate(records):
        transcript = record.transcript
        if transcript is None:
            continue
        if transcript.turns:
            rows += [(index, _role(turn.speaker), turn.start, turn.end) for turn in transcript.turns]
            continue
        said: dict[int, dict[str, float]] = {}
        for segment in transcript.segments:
            seconds = said.setdefault(segment.channel, {})
            seconds[segment.speaker] = seconds.get(segment.speaker, 0.0) + segment.end - segment.start
        for channel, spans in enumerate(transcript.speech):
            speakers = said.get(channel, {})
            role = _role(max(ROLES, key=lambda name: speakers.get(name, 0.0))) if set(speakers) & set(ROLES) else OTHER
            rows += [(index, role, span.start, span.end) for span in spans]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Voices(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3])


def _role(speaker: str) -> int:
    return ROLES.index(speaker) if speaker in ROLES else OTHER
