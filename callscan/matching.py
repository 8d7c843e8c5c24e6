"""One pass over an archive's transcripts: a row a call with its measures, a row a hit with its evidence.

What no lexicon changes is read from the transcripts once and kept (:mod:`callscan.spoken`): who says which words when,
and the measures of each call. A lexicon then looks at every distinct word of a shard, finds its patterns among numbers,
and only where it finds one are times and texts put together.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from callscan import spoken
from callscan.archive import Archive
from callscan.archive.schema import from_table
from callscan.errors import ArchiveError
from callscan.records import Hit
from callscan.report.tables import found_schema
from callscan.shard import index_of
from callscan.spoken import Index

if TYPE_CHECKING:
    from callscan.lexicon import Lexicon

_ALONE = 4
"""Up to so many shards, starting further processes takes longer than matching."""


def match_archive(
    archive: Archive, lexicon: Lexicon, due: Mapping[str, Sequence[str]], folder: Path, processes: int
) -> list[Path]:
    """Match the calls that count, and return a folder a shard with ``measures.parquet`` and ``found.parquet``.

    ``due`` names the recordings of each shard whose content counts, by URI. Tables are of the schemas in
    :mod:`callscan.report.tables`, written below ``folder``.
    """
    tasks = [(shard, tuple(due[shard])) for shard in sorted(due)]
    if processes == 1 or len(tasks) <= _ALONE:
        _match_shards(archive, lexicon, folder, tasks)
    else:
        _match_beside(archive, lexicon, folder, [tasks[start::processes] for start in range(processes)])
    return [folder / shard for shard, _ in tasks]


Tasks = Sequence[tuple[str, Sequence[str]]]

_CHILD = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from callscan.matching import serve
serve()
"""


def _match_beside(archive: Archive, lexicon: Lexicon, folder: Path, shares: Sequence[Tasks]) -> None:
    """Match each share in a process of its own.

    Interpreters of their own, and not ``multiprocessing``: forked, they would inherit the threads of CTranslate2
    and Arrow; spawned, they would run the caller's script again where it has no ``__main__`` guard.
    """
    children = [
        subprocess.Popen([sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for share in shares
        if share
    ]
    try:
        for child, share in zip(children, shares, strict=False):
            assert child.stdin is not None  # noqa: S101 - asked for above
            child.stdin.write(pickle.dumps(sys.path) + pickle.dumps((archive.url, lexicon, folder, share)))
            child.stdin.close()
        for child in children:
            assert child.stdout is not None  # noqa: S101 - asked for above
            answer = child.stdout.read()
            if child.wait() or not answer:
                raise ArchiveError(f"a process that matched transcripts died (exit code {child.returncode})")
            error = pickle.loads(answer)  # noqa: S301 - from our own child
            if error is not None:
                raise error
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    stream.close()


def serve() -> None:
    """What a process beside does: read a share from stdin, match it, answer with None or the error."""
    url, lexicon, folder, share = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    try:
        _match_shards(Archive(url), lexicon, folder, share)
    except ArchiveError as error:
        answer: ArchiveError | None = error
    else:
        answer = None
    sys.stdout.buffer.write(pickle.dumps(answer))


def _match_shards(archive: Archive, lexicon: Lexicon, folder: Path, tasks: Tasks) -> None:
    for shard, uris in tasks:
        digest = archive.digest(shard)
        index = spoken.load(archive, shard, digest) if digest else None
        if index is None:
            index = index_of(archive, shard)
            if digest:
                spoken.save(archive, shard, digest, index)
        due = set(uris)
        wanted = [uri in due for uri in index.uris]
        # Almost always every call of a shard counts: then nothing is copied.
        measures = index.measures if all(wanted) else index.measures.filter(pa.array(wanted))
        part = folder / shard
        part.mkdir()
        pq.write_table(measures, part / "measures.parquet")
        keys: list[str] = index.measures["key"].to_pylist()
        rows = [_row(keys[call], hit, text) for call, hit, text in _found(archive, shard, index, lexicon, wanted)]
        pq.write_table(pa.Table.from_pylist(rows, schema=found_schema()), part / "found.parquet")


def _found(
    archive: Archive, shard: str, index: Index, lexicon: Lexicon, wanted: list[bool]
) -> Iterator[tuple[int, Hit, str]]:
    """The hits of a shard: the call's number, the hit, and the text of its segment."""
    whole = [call for call in index.unindexed if wanted[call]]
    asked = list(wanted)
    for call in whole:
        asked[call] = False
    yield from lexicon.match_spoken(index.spoken, index.languages, asked)
    records = from_table(archive.table(shard).take(whole)) if whole else iter(())
    for call, record in zip(whole, records, strict=True):
        if record.transcript is not None:
            for hit in lexicon.match(record.transcript):
                yield call, hit, record.transcript.segments[hit.segment].text


def _row(key: str, hit: Hit, text: str) -> dict[str, Any]:
    """A hit as :func:`callscan.report.tables.found_schema` has it."""
    return {
        "key": key,
        "issue": hit.issue,
        "pattern": hit.pattern,
        "lexicon": hit.lexicon,
        "speaker": hit.speaker,
        "quote": hit.quote,
        "context": text.strip(),
        "start": round(hit.start, 3),
        "end": round(hit.end, 3),
        "probability": round(hit.probability, 4),
        "segment": hit.segment,
        "speaker_known": hit.speaker_known,
        "flags": list(hit.flags),
        "counted": hit.counted,
    }
