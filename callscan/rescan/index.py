"""What a shard's transcripts say, read once for all lexicons to come, and what the last lexicon found in them.

::

    ARCHIVE/index/<shard>.words.parquet       who says which words when (callscan.lexicon.columns.Spoken)
    ARCHIVE/index/<shard>.measures.parquet    a row a call with its measures (callscan.report.tables) and URI
    ARCHIVE/index/<shard>.hits.parquet        a row a hit (callscan.report.tables) and the number of its call

The first two follow from the shard and from nothing else, the third from the shard and a lexicon. All name what they
were made from by its content: what is missing, damaged or of another shard, lexicon or version is made again, and
deleting the folder loses nothing but time. Times are kept as whole milliseconds and probabilities as ten-thousandths
where that loses nothing, and as they are where it does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from callscan.errors import ArchiveError
from callscan.lexicon.cache import code_digest
from callscan.lexicon.columns import BREAK_WORD, FIRST_WORD, SEGMENT_WORD, Spoken
from callscan.lexicon.stream import OVERLAP, PAUSE, SAID_BY, UNHEARD
from callscan.report.tables import measures_schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from callscan.archive import Archive

FOLDER = "index"
VERSION = 5
"""Raised when the same shard would give another index."""

_MILLISECONDS, _TEN_THOUSANDTHS = 1000.0, 10_000.0
"""What times and probabilities are whole parts of, as a scan rounds them."""

_ARRAYS = ("words", "starts", "ends", "probabilities", "calls", "indices", "speakers", "runs", "lengths")
_KINDS = pa.map_(pa.string(), pa.string())
_UNUSABLE = (FileNotFoundError, OSError, ValueError, KeyError, ArchiveError)

_STREAMED = ("agent", "customer", "unknown")
"""Speakers whose words are matched, in the order in which a call's streams follow each other."""


@dataclass(frozen=True, slots=True)
class Index:
    """What is kept of a shard: the ``languages`` of its calls, in the order of its rows, what is ``spoken`` in them,
    the calls whose transcripts must be read themselves (``unindexed``, by number), ``measures`` with the URIs."""

    languages: list[str]
    spoken: Spoken
    unindexed: list[int]
    measures: pa.Table


@lru_cache(maxsize=1)
def _made_by() -> list[Any]:
    return [VERSION, version("callscan"), measures_schema().names, PAUSE, OVERLAP, sorted(UNHEARD)]


def _stamp(digest: str, *given: str) -> str:
    """What an index is valid for: a shard's content, and what else it was made from."""
    return hashlib.sha256(json.dumps([*_made_by(), digest, *given]).encode()).hexdigest()


def load(archive: Archive, shard: str, digest: str) -> Index | None:
    """The index of a shard with this content; None where there is none that can be used."""
    try:
        table = _read(archive, f"{FOLDER}/{shard}.words.parquet", _stamp(digest))
        measures = _read(archive, f"{FOLDER}/{shard}.measures.parquet", _stamp(digest))
    except _UNUSABLE:
        return None
    kinds = dict(table.column("kinds")[0].as_py())
    arrays = {name: _array(table.column(name).chunk(0), kind) for name, kind in kinds.items()}
    row = {name: table.column(name)[0] for name in table.column_names if name not in kinds}
    spoken = Spoken(
        vocabulary=row["vocabulary"].as_py(),
        texts=dict(row["texts"].as_py()),
        unheard=_by_call(row["unheard"].as_py()),
        marks=np.flatnonzero(arrays["words"] < FIRST_WORD),
        begins=arrays.get("begins"),
        second=row["second"].as_py(),
        certain=row["certain"].as_py(),
        **{name: arrays[name] for name in _ARRAYS},
    )
    return Index(row["languages"].as_py(), spoken, row["unindexed"].as_py(), measures)


def _array(held: pa.LargeBinaryArray, kind: str) -> NDArray[Any]:
    """The numbers in the one value of an array of bytes, as they lie there: to take the value is to copy it."""
    begin, end = np.frombuffer(held.buffers()[1], np.int64)[held.offset : held.offset + 2].tolist()
    return np.frombuffer(held.buffers()[2], np.uint8)[begin:end].view(kind) if begin < end else np.zeros(0, kind)


def save(archive: Archive, shard: str, digest: str, index: Index) -> None:
    """Keep an index for the next time; ArchiveError where the archive cannot be written."""
    spoken = index.spoken
    arrays: dict[str, NDArray[Any]] = {name: getattr(spoken, name) for name in _ARRAYS}
    (starts, ends), second = _parts([spoken.starts, spoken.ends], _MILLISECONDS)
    (arrays["probabilities"],), certain = _parts([spoken.probabilities], _TEN_THOUSANDTHS)
    arrays["starts"], arrays["ends"] = starts, ends
    if second > 1:
        # When each segment begins, and then little numbers: from word to word within it, and how long each lasts.
        steps = np.diff(starts, prepend=starts.dtype.type(0))
        steps[spoken.marks] = 0
        arrays |= {"starts": steps, "ends": ends - starts, "begins": starts[spoken.marks]}
    blobs = {name: _smallest(values) for name, values in arrays.items()}
    unheard = [(call, number, text) for call, said in spoken.unheard.items() for number, text in said]
    columns = {
        "languages": pa.array([index.languages], pa.list_(pa.string())),
        "unindexed": pa.array([index.unindexed], pa.list_(pa.int32())),
        "vocabulary": pa.array([spoken.vocabulary], pa.list_(pa.string())),
        "texts": pa.array([list(spoken.texts.items())], pa.map_(pa.int32(), pa.string())),
        "unheard": pa.array(
            [[{"call": c, "index": n, "text": t} for c, n, t in unheard]],
            pa.list_(pa.struct([("call", pa.int32()), ("index", pa.int32()), ("text", pa.string())])),
        ),
        "second": pa.array([second]),
        "certain": pa.array([certain]),
        "kinds": pa.array([[(name, values.dtype.str) for name, values in blobs.items()]], _KINDS),
        **{name: pa.array([values.tobytes()], pa.large_binary()) for name, values in blobs.items()},
    }
    for name, table in (("measures", index.measures), ("words", pa.table(columns))):
        _write(archive, f"{FOLDER}/{shard}.{name}.parquet", table, _stamp(digest))


def load_hits(archive: Archive, shard: str, digest: str, lexicon: str) -> tuple[pa.Table, pa.Table] | None:
    """Measures and hits of a shard with this content, by the lexicon of this digest; None where they are not kept.

    Hits are rows of :func:`callscan.report.tables.found_schema` and ``call``, the row of measures that each is in.
    """
    try:
        hits = _read(archive, f"{FOLDER}/{shard}.hits.parquet", _stamp(digest, lexicon, code_digest().hex()))
        return _read(archive, f"{FOLDER}/{shard}.measures.parquet", _stamp(digest)), hits
    except _UNUSABLE:
        return None


def save_hits(archive: Archive, shard: str, digest: str, lexicon: str, hits: pa.Table) -> None:
    """Keep the hits of a shard for the next count; ArchiveError where the archive cannot be written."""
    _write(archive, f"{FOLDER}/{shard}.hits.parquet", hits, _stamp(digest, lexicon, code_digest().hex()))


def _write(archive: Archive, name: str, table: pa.Table, stamp: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata({"callscan.index": stamp}),
        sink,
        compression="lz4",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    archive.store.write(name, sink.getvalue().to_pybytes())


def _read(archive: Archive, name: str, stamp: str) -> pa.Table:
    """A file of the index; ValueError where it is not of this stamp."""
    file = pq.ParquetFile(pa.BufferReader(archive.store.read(name)), page_checksum_verification=True)
    if (file.schema_arrow.metadata or {}).get(b"callscan.index", b"").decode() != stamp:
        raise ValueError(name)
    return file.read(use_threads=False)


def _parts(values: list[NDArray[np.float64]], parts: float) -> tuple[list[NDArray[Any]], float]:
    """Values as so many whole parts of one, and how many; as they are, and 1, where that would lose anything."""
    whole = [np.rint(value * parts) for value in values]
    exact = all(np.array_equal(w / parts, value) for w, value in zip(whole, values, strict=True))
    if exact and all(np.all(np.abs(w) < np.iinfo(np.int32).max) for w in whole):
        return [w.astype(np.int32) for w in whole], parts
    return list(values), 1.0


def _smallest(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the smallest type that holds them all; others as they are."""
    if values.dtype.kind == "f":
        return values
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    limits = ((kind, np.iinfo(kind)) for kind in (np.uint8, np.uint16, np.int16, np.uint32, np.int32, np.int64))
    return values.astype(next(kind for kind, limit in limits if limit.min <= low and high <= limit.max))


def _by_call(rows: Sequence[dict[str, Any]]) -> dict[int, list[tuple[int, str]]]:
    found: dict[int, list[tuple[int, str]]] = {}
    for row in rows:
        found.setdefault(row["call"], []).append((row["index"], row["text"]))
    return found


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of some calls in the order of the shard, by column. ``begin`` is where each call's segments begin,
    ``word_begin`` where each segment's words do, one more at the end of each; ``unheard`` says which are no speech."""

    begin: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    channel: NDArray[Any]
    speaker: pa.Array
    text: pa.Array
    unheard: NDArray[np.bool_]
    word_begin: NDArray[np.int64]
    word: pa.Array
    word_start: NDArray[np.float64]
    word_end: NDArray[np.float64]
    probability: NDArray[np.float64]


def spoken_of(segments: Segments) -> tuple[Spoken, list[int]]:
    """What is said in some calls, and which of them cannot be told by their words (:attr:`Index.unindexed`): segments
    without words are matched by their text, and words with white space in them are not one word each."""
    calls = len(segments.begin) - 1
    call = np.repeat(np.arange(calls), np.diff(segments.begin))
    encoded = segments.word.dictionary_encode()
    vocabulary: list[str] = encoded.dictionary.to_pylist()
    number = np.asarray(encoded.indices, dtype=np.int64)
    odd = np.array([len(word.split()) != 1 or word != word.strip() for word in vocabulary], dtype=bool)
    count = np.diff(segments.word_begin)
    odd_words = np.concatenate([[0], np.cumsum(odd[number])]) if len(vocabulary) else np.zeros(1, dtype=np.int64)
    rank = np.full(len(call), len(_STREAMED))
    code = np.zeros(len(call), dtype=np.uint8)
    for place, name in enumerate(_STREAMED):
        own = np.asarray(pc.equal(segments.speaker, name))
        rank[own] = place
        code[own] = SAID_BY[name]  # type: ignore[index]
    heard = (rank < len(_STREAMED)) & ~segments.unheard
    unusual = (count == 0) | (np.diff(odd_words[segments.word_begin]) > 0)
    unindexed = np.unique(call[heard & unusual])
    kept = np.flatnonzero(heard & ~np.isin(call, unindexed))
    order = kept[np.lexsort((segments.start[kept], segments.channel[kept], rank[kept], call[kept]))]
    lengths = np.zeros(calls)
    np.maximum.at(lengths, call, segments.end)

    stream = np.stack([call[order], rank[order], segments.channel[order]])
    fresh = np.append(True, np.any(stream[:, 1:] != stream[:, :-1], axis=0))[: len(order)]
    gap = np.append(np.inf, segments.start[order][1:] - segments.end[order][:-1])[: len(order)]
    size = count[order] + 1
    place = np.cumsum(size) - size
    words = np.zeros(int(size.sum()), dtype=np.int64)
    spoken = np.ones(len(words), dtype=bool)
    spoken[place] = False
    words[place] = np.where(fresh | (gap > PAUSE) | (gap < -OVERLAP), BREAK_WORD, SEGMENT_WORD)
    within = np.arange(int(count[order].sum())) - np.repeat(np.cumsum(count[order]) - count[order], count[order])
    source = np.repeat(segments.word_begin[order], count[order]) + within
    words[spoken] = number[source] + FIRST_WORD

    def laid(values: NDArray[np.float64], at_marks: NDArray[np.float64] | float) -> NDArray[np.float64]:
        out = np.empty(len(words))
        out[spoken], out[place] = values[source], at_marks
        return out

    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(segments.word_begin, pa.int32()), segments.word), " ")
    other = ~np.asarray(pc.equal(pc.utf8_trim_whitespace(segments.text), joined))[order]
    texts = segments.text.take(pa.array(order[other])).to_pylist()
    left_out = np.flatnonzero(np.asarray(pc.equal(segments.speaker, "agent")) & segments.unheard)
    unheard: dict[int, list[tuple[int, str]]] = {}
    for at in left_out.tolist():
        first = int(segments.begin[call[at]])
        unheard.setdefault(int(call[at]), []).append((at - first, segments.text[at].as_py()))
    found = Spoken(
        vocabulary=vocabulary,
        words=words.astype(np.uint32),
        starts=laid(segments.word_start, segments.start[order]),
        ends=laid(segments.word_end, segments.end[order]),
        probabilities=laid(segments.probability, 1.0),
        calls=call[order].astype(np.uint32),
        indices=(order - segments.begin[call[order]]).astype(np.uint32),
        speakers=code[order],
        runs=np.cumsum(fresh).astype(np.uint32),
        texts=dict(zip(np.flatnonzero(other).tolist(), texts, strict=True)),
        lengths=lengths,
        unheard=unheard,
        marks=place,
    )
    return found, unindexed.tolist()
