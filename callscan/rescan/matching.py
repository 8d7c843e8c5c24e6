"""One pass over an archive's transcripts: a row a call with its measures, a row a hit with its evidence.

What no lexicon changes is read from the transcripts once and kept (:mod:`callscan.rescan.index`): who says which words
when, and the measures of each call. A lexicon then looks at every distinct word of a shard, finds its patterns among
numbers, and only where it finds one are times and texts put together. What it found is kept as well: with the same
lexicon, only shards that are new are matched.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from callscan.archive import Archive
from callscan.archive.schema import from_table
from callscan.errors import ArchiveError
from callscan.records import Hit
from callscan.report.tables import found_schema, measures_schema
from callscan.rescan.index import Index, load, load_hits, save, save_hits
from callscan.rescan.shard import index_of

if TYPE_CHECKING:
    from callscan.lexicon import Lexicon

_ALONE = 4
"""Up to so many shards, starting further processes takes longer than matching."""

_SCRATCH: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
"""How tables are written that are read once, and soon."""


@contextmanager
def matching(
    archive: Archive, lexicon: Lexicon, folder: Path, processes: int
) -> Iterator[Callable[[Mapping[str, Sequence[str]]], list[Path]]]:
    """What matches the calls that count: called with the recordings of each shard whose content counts, by URI, it
    returns a folder a process with ``measures.parquet`` and ``found.parquet`` (:mod:`callscan.report.tables`), below
    ``folder``. The processes get ready while what counts is still worked out."""
    shards = len(archive.shard_ids())
    count = 1 if shards <= _ALONE else min(processes, shards)
    parts = [folder / f"part-{number}" for number in range(count)]
    here = nullcontext(lambda tasks: _match_shards(archive, lexicon, parts[0], tasks))
    with here if count == 1 else _beside(archive, lexicon, parts) as run:

        def match(due: Mapping[str, Sequence[str]]) -> list[Path]:
            run([(shard, due[shard]) for shard in sorted(due)])
            return parts

        yield match


Task = tuple[str, Sequence[str]]
"""A shard, and the URIs of its calls that count."""

_CHILD = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from callscan.rescan.matching import serve
serve()
"""


@contextmanager
def _beside(archive: Archive, lexicon: Lexicon, parts: Sequence[Path]) -> Iterator[Callable[[Sequence[Task]], None]]:
    """Match in a process a part, each of which takes the next shard when it is done with one.

    Interpreters of their own, and not ``multiprocessing``: forked, they would inherit the threads of CTranslate2
    and Arrow; spawned, they would run the caller's script again where it has no ``__main__`` guard.
    """
    started = pickle.dumps(sys.path), pickle.dumps((archive.url, lexicon))
    left: Future[Iterator[Task]] = Future()
    with ThreadPoolExecutor(len(parts)) as feeders, ExitStack() as children:
        children.callback(left.cancel)
        fed = []
        for part in parts:
            child = subprocess.Popen([sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            children.callback(_end, child)
            fed.append(feeders.submit(_feed, child, (*started, pickle.dumps(part)), left))

        def run(tasks: Sequence[Task]) -> None:
            left.set_result(iter(tasks))
            for one in as_completed(fed):
                one.result()

        yield run


def _feed(child: subprocess.Popen[bytes], started: Sequence[bytes], left: Future[Iterator[Task]]) -> None:
    """Send a process what it starts with and then, whenever it asks, one task out of those that are left."""
    assert child.stdin is not None  # noqa: S101 - asked for above
    assert child.stdout is not None  # noqa: S101 - asked for above
    try:
        child.stdin.write(b"".join(started))
        child.stdin.flush()
        tasks = left.result()
        while True:
            _hear(child.stdout)
            task = next(tasks, None)
            pickle.dump(task, child.stdin)
            child.stdin.flush()
            if task is None:
                break
        _hear(child.stdout)
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        raise ArchiveError(f"a process that matched transcripts died (exit code {child.wait()})") from None


def _hear(told: IO[bytes]) -> None:
    """Wait for what a process says; raises the error that it tells."""
    error = pickle.load(told)  # noqa: S301 - from our own child
    if error is not None:
        raise error


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process, whatever it does."""
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def serve() -> None:
    """What a process beside does: ask for tasks until there are none, with None, then tell how it went: None again, or
    the error."""
    url, lexicon = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    part = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    lexicon.prepare()
    # Memory that is given back after each shard costs more than to read it: this one is kept (lexicon/compiled.py).
    pa.set_memory_pool(pa.system_memory_pool())

    def tasks() -> Iterator[Task]:
        while True:
            _answer(None)
            task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
            if task is None:
                return
            yield task

    try:
        _match_shards(Archive(url), lexicon, part, tasks())
    except ArchiveError as error:
        _answer(error)
    else:
        _answer(None)


def _answer(error: ArchiveError | None) -> None:
    pickle.dump(error, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _match_shards(archive: Archive, lexicon: Lexicon, part: Path, tasks: Iterable[Task]) -> None:
    part.mkdir()
    with (
        pq.ParquetWriter(part / "measures.parquet", measures_schema(), **_SCRATCH) as measured,
        pq.ParquetWriter(part / "found.parquet", found_schema(), **_SCRATCH) as found,
    ):
        for (shard, uris), read in _ahead(tasks, lambda task: _read(archive, task[0], lexicon)):
            measures, hits = _matched(archive, shard, lexicon, read)
            wanted = pc.is_in(measures["uri"], value_set=pa.array(uris, pa.string())).combine_chunks()
            # Almost always every call of a shard counts: then nothing is copied.
            if wanted.false_count:
                hits = hits.filter(wanted.take(hits["call"].combine_chunks()))
                measures = measures.filter(wanted)
            measured.write_table(measures.drop_columns(["uri"]))
            found.write_table(hits.drop_columns(["call"]))


_T = TypeVar("_T")


def _ahead(tasks: Iterable[Task], read: Callable[[Task], _T]) -> Iterator[tuple[Task, _T]]:
    """Each task with what is read for it, the next one's while one is worked on."""
    with ThreadPoolExecutor(1) as reader:
        before: tuple[Task, Future[_T]] | None = None
        for task in tasks:
            reading = reader.submit(read, task)
            if before is not None:
                yield before[0], before[1].result()
            before = task, reading
        if before is not None:
            yield before[0], before[1].result()


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of a shard of a digest ("" where it has none): measures and hits by this lexicon, or else its index,
    if there is one."""

    digest: str
    counted: tuple[pa.Table, pa.Table] | None
    index: Index | None


def _read(archive: Archive, shard: str, lexicon: Lexicon) -> _Kept:
    digest = archive.digest(shard)
    counted = load_hits(archive, shard, digest, lexicon.digest) if digest else None
    return _Kept(digest, counted, load(archive, shard, digest) if digest and counted is None else None)


def _matched(archive: Archive, shard: str, lexicon: Lexicon, kept: _Kept) -> tuple[pa.Table, pa.Table]:
    """Measures and hits of all calls of a shard, as :func:`callscan.rescan.index.load_hits` has them, or made now."""
    if kept.counted is not None:
        return kept.counted
    index = kept.index
    if index is None:
        index = index_of(archive, shard)
        if kept.digest:
            save(archive, shard, kept.digest, index)
    hits = _hits(index.measures["key"].to_pylist(), [*_found(archive, shard, index, lexicon)])
    if kept.digest:
        save_hits(archive, shard, kept.digest, lexicon.digest, hits)
    return index.measures, hits


def _found(archive: Archive, shard: str, index: Index, lexicon: Lexicon) -> Iterator[tuple[int, Hit, str]]:
    """The hits of a shard: the call's number, the hit, and the text of its segment."""
    whole = set(index.unindexed)
    yield from lexicon.match_spoken(
        index.spoken, index.languages, [call not in whole for call in range(len(index.languages))]
    )
    records = from_table(archive.table(shard).take(index.unindexed)) if whole else iter(())
    for call, record in zip(index.unindexed, records, strict=True):
        if record.transcript is not None:
            for hit in lexicon.match(record.transcript):
                yield call, hit, record.transcript.segments[hit.segment].text


def _hits(keys: Sequence[str], found: Sequence[tuple[int, Hit, str]]) -> pa.Table:
    """Hits as :func:`callscan.report.tables.found_schema` has them, and the number of each one's call."""
    schema = found_schema().append(pa.field("call", pa.int32(), nullable=False))
    hits = [hit for _, hit, _ in found]
    columns: dict[str, list[Any]] = {
        "call": [call for call, _, _ in found],
        "key": [keys[call] for call, _, _ in found],
        "context": [text.strip() for _, _, text in found],
        "start": [round(hit.start, 3) for hit in hits],
        "end": [round(hit.end, 3) for hit in hits],
        "probability": [round(hit.probability, 4) for hit in hits],
    }
    for name in schema.names:
        if name not in columns:
            columns[name] = [*map(attrgetter(name), hits)]
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
