"""One pass over an archive's transcripts: a row a call with its measures, a row a hit with its evidence.

The transcripts are read by column, a row group at a time, and most of what a transcript holds is never made into Python
objects: the lexicon first looks at the text, and only where it could find something are words and times read.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from callscan.archive import Archive
from callscan.errors import ArchiveError
from callscan.lexicon.stream import PAUSE
from callscan.records import Segment, Transcript, Word
from callscan.report.interaction import HOLD_PHRASE, OTHER, ROLES, Voices, holds, measure
from callscan.report.tables import found_schema, measures_schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from callscan.lexicon import Lexicon

_ALONE = 4
"""Up to so many shards, starting further processes takes longer than matching."""

_SEGMENT = "transcript.segments.list.element."
_WORD = _SEGMENT + "words.list.element."
_COLUMNS = (
    "key",
    "uri",
    "audio",
    "notes",
    "transcript.language",
    "transcript.speech",
    "transcript.turns",
    "transcript.coverage",
    *(_SEGMENT + name for name in ("start", "end", "text", "channel", "speaker", "flags")),
    _WORD + "text",
)
_TIMES = tuple(_WORD + name for name in ("start", "end", "probability"))


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
        part = folder / shard
        part.mkdir()
        with (
            pq.ParquetWriter(part / "measures.parquet", measures_schema()) as measures,
            pq.ParquetWriter(part / "found.parquet", found_schema()) as found,
        ):
            for group in _groups(archive, shard, uris):
                measures.write_table(group.measures())
                found.write_table(pa.Table.from_pylist(list(group.found(lexicon)), schema=found_schema()))


def _groups(archive: Archive, shard: str, uris: Sequence[str]) -> Iterator[_Group]:
    """The row groups of a shard."""
    reader = _Shard(archive, f"calls/{shard}.parquet")
    wanted = pa.array(uris, pa.string())
    for number in range(reader.groups):
        yield _Group(reader, number, wanted)


class _Shard:
    """A shard's columns; what its page checksums do not vouch for is an error and never a number."""

    def __init__(self, archive: Archive, name: str) -> None:
        self._path = archive.store.path(name)
        data = pa.BufferReader(archive.store.read(name))
        with self._damage():
            self._file = pq.ParquetFile(data, page_checksum_verification=True)
        self.groups: int = self._file.num_row_groups

    def read(self, group: int, columns: Sequence[str], mask: pa.ChunkedArray | None = None) -> pa.Table:
        """Columns of a row group, by their paths in the file; only the rows of ``mask`` where there is one."""
        with self._damage():
            table = self._file.read_row_group(group, columns=list(columns), use_threads=False)
            return table if mask is None else table.filter(mask)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        # Broken bytes show as any of these: ArrowInvalid is a ValueError, and so are names that are no UTF-8.
        except (OSError, ValueError, KeyError) as error:
            hint = "callscan verify ARCHIVE names every damaged shard"
            raise ArchiveError(f"{self._path} is damaged: {error}", hint) from error


class _Group:
    """The calls of one row group that count, by column."""

    def __init__(self, shard: _Shard, number: int, wanted: pa.Array) -> None:
        self._shard, self._number = shard, number
        table = shard.read(number, _COLUMNS)
        mask = pc.is_in(table["uri"], wanted)
        # Almost always every call of a shard counts: then nothing is copied.
        self._mask = None if pc.all(mask).as_py() else mask
        table = table if self._mask is None else table.filter(self._mask)
        self.keys: list[str] = table["key"].to_pylist()
        self._audio = _struct(table["audio"])
        self._transcript = _struct(table["transcript"])
        self._notes = table["notes"].combine_chunks() if len(table) else pa.array([], pa.list_(pa.string()))
        segments = self._transcript.field("segments")
        self._held = np.asarray(self._transcript.is_valid())
        self._begin = _offsets(segments)
        flat = segments.flatten()
        self._start, self._end = np.asarray(flat.field("start")), np.asarray(flat.field("end"))
        self._channel, self._speaker = np.asarray(flat.field("channel")), flat.field("speaker")
        self._text = flat.field("text")
        words = flat.field("words")
        self._word_begin = _offsets(words)
        spoken = pa.ListArray.from_arrays(pa.array(self._word_begin, pa.int32()), words.flatten().field("text"))
        # What the matcher reads of a segment: its words, or its text where it has none.
        bare = pc.equal(pc.list_value_length(words), 0)
        said = pc.if_else(bare, self._text, pc.binary_join(spoken, " "))
        self._languages: list[str] = self._transcript.field("language").to_pylist()
        self._rows: dict[str, list[Any]] = {
            "start": self._start.tolist(),
            "end": self._end.tolist(),
            "said": said.to_pylist(),
            "channel": self._channel.tolist(),
            "speaker": self._speaker.to_pylist(),
            "flags": flat.field("flags").to_pylist(),
        }

    # -- hits

    def found(self, lexicon: Lexicon) -> Iterator[dict[str, Any]]:
        """A row a hit, as :func:`callscan.report.tables.found_schema` has it."""
        calls = self._candidates(lexicon)
        if not calls:
            return
        words = _Words(self._shard, self._number, self._mask)
        texts = self._text.to_pylist()
        transcripts = (self._transcript_of(call, spoken=self._spoken(call, words)) for call in calls)
        for call, hits in zip(calls, lexicon.match_many(transcripts), strict=True):
            for hit in hits:
                yield {
                    "key": self.keys[call],
                    "issue": hit.issue,
                    "pattern": hit.pattern,
                    "lexicon": hit.lexicon,
                    "speaker": hit.speaker,
                    "quote": hit.quote,
                    "context": texts[int(self._begin[call]) + hit.segment].strip(),
                    "start": round(hit.start, 3),
                    "end": round(hit.end, 3),
                    "probability": round(hit.probability, 4),
                    "segment": hit.segment,
                    "speaker_known": hit.speaker_known,
                    "flags": list(hit.flags),
                    "counted": hit.counted,
                }

    def _candidates(self, lexicon: Lexicon) -> list[int]:
        """The calls that have a hit, whatever the times of their words are.

        They are matched without words, which is several times faster than making them, and without lengths: where
        every word between two pauses is said at once, no pattern asks for more nearness than there is. Patterns that
        count only in some part of the call do ask for its times: with one of these every call is a candidate.
        """
        held = np.flatnonzero(self._held & (np.diff(self._begin) > 0)).tolist()
        if any(_windowed(lexicon, language) for language in lexicon.languages):
            return held
        hits = lexicon.match_many(self._transcript_of(call, clock=self._pauses(call)) for call in held)
        return [call for call, found in zip(held, hits, strict=True) if found]

    def _spoken(self, call: int, words: _Words) -> list[tuple[Word, ...]]:
        """The words of each of a call's segments."""
        bounds = self._word_begin[self._begin[call] : self._begin[call + 1] + 1].tolist()
        said = words.between(bounds[0], bounds[-1])
        return [said[first - bounds[0] : last - bounds[0]] for first, last in pairwise(bounds)]

    def _transcript_of(
        self,
        call: int,
        *,
        spoken: Sequence[tuple[Word, ...]] | None = None,
        clock: Sequence[float] | None = None,
    ) -> Transcript:
        """What was said in one call: with its words, or without words and lengths on another ``clock``."""
        first, last = int(self._begin[call]), int(self._begin[call + 1])
        rows = self._rows
        segments = zip(
            clock if clock is not None else rows["start"][first:last],
            clock if clock is not None else rows["end"][first:last],
            *(rows[name][first:last] for name in ("said", "channel", "speaker")),
            spoken if spoken is not None else [()] * (last - first),
            rows["flags"][first:last],
            strict=True,
        )
        return Transcript(
            self._languages[call],
            1.0,
            tuple(
                Segment(start, end, text, channel, speaker, words, flags=tuple(flags))
                for start, end, text, channel, speaker, words, flags in segments
            ),
        )

    def _pauses(self, call: int) -> list[float]:
        """A clock for a call's segments that stands still but for the pauses over which no pattern reaches."""
        first, last = int(self._begin[call]), int(self._begin[call + 1])
        at: dict[tuple[str, int], tuple[float, float]] = {}
        clock = []
        rows = zip(*(self._rows[name][first:last] for name in ("start", "end", "speaker", "channel")), strict=True)
        for start, end, speaker, channel in rows:
            before, now = at.get((speaker, channel), (start, 0.0))
            now += 2 * PAUSE if start - before > PAUSE else 0.0
            at[speaker, channel] = end, now
            clock.append(now)
        return clock

    # -- measures

    def measures(self) -> pa.Table:
        """A row a call, as :func:`callscan.report.tables.measures_schema` has it; null where there is no transcript."""
        calls = len(self.keys)
        decoded = np.nan_to_num(np.asarray(pc.fill_null(self._audio.field("decoded"), 0.0), dtype=np.float64))
        voices = self._voices()
        interaction = measure(voices, decoded)
        call_of = np.repeat(np.arange(calls), np.diff(self._begin))
        bare = np.asarray(pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(self._text))))
        said = np.where(np.diff(self._word_begin) > 0, np.diff(self._word_begin), bare)
        words = {"words": np.bincount(call_of, weights=said, minlength=calls)}
        for role in ROLES:
            spoken = np.where(np.asarray(pc.equal(self._speaker, role)), said, 0)
            words[f"words_{role}"] = np.bincount(call_of, weights=spoken, minlength=calls)
        held: dict[str, Any] = {
            "speech": interaction.speech,
            "talk_customer": interaction.talk[0],
            "talk_agent": interaction.talk[1],
            "silence": interaction.silence,
            "longest_silence": interaction.longest_silence,
            "overtalk": interaction.overtalk,
            "interruptions_customer": interaction.interruptions[0].astype(np.int32),
            "interruptions_agent": interaction.interruptions[1].astype(np.int32),
            "hold": self._holds(voices, decoded),
            "swapped": self._noted("channels_swapped"),
            **{name: values.astype(np.int32) for name, values in words.items()},
        }
        columns = {
            "key": pa.array(self.keys, pa.string()),
            "language": self._transcript.field("language"),
            "coverage": self._transcript.field("coverage"),
            "codec": self._audio.field("codec"),
            "channels": self._audio.field("channels"),
            "duration": self._audio.field("decoded"),
            "lost": self._audio.field("lost"),
            "speakers": pc.if_else(pa.array(self._held), pa.array(self._speakers(), pa.string()), None),
            **{name: pa.array(values, mask=~self._held) for name, values in held.items()},
        }
        return pa.table([columns[field.name] for field in measures_schema()], schema=measures_schema())

    def _holds(self, voices: Voices, duration: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds on hold of each call."""
        agent, unknown = (np.asarray(pc.equal(self._speaker, name)) for name in ("agent", "unknown"))
        asking = np.asarray(pc.match_substring_regex(self._text, HOLD_PHRASE)) & (agent | unknown)
        call = np.repeat(np.arange(len(self.keys)), np.diff(self._begin))
        role = np.where(agent, ROLES.index("agent"), OTHER)
        return holds(voices, duration, call[asking], self._end[asking], role[asking])

    def _speakers(self) -> list[str]:
        """How the speakers of each call are known, as :data:`callscan.report.tables.MEASURES` has it."""
        turns = self._transcript.field("turns")
        named = np.asarray(pc.not_equal(turns.flatten().field("speaker"), "unknown"))
        call = np.repeat(np.arange(len(self.keys)), np.diff(_offsets(turns)))
        channels = np.nan_to_num(np.asarray(pc.fill_null(self._audio.field("channels"), 0)))
        some = np.bincount(call[named], minlength=len(self.keys)) > 0
        mono = np.where(np.diff(_offsets(turns)) == 0, "unknown", np.where(some, "diarised", "unnamed"))
        return [str(how) for how in np.where(channels > 1, "channels", mono)]

    def _noted(self, code: str) -> NDArray[np.bool_]:
        """Which calls carry a note of this code."""
        call = np.repeat(np.arange(len(self.keys)), np.diff(_offsets(self._notes)))
        noted = np.asarray(pc.starts_with(self._notes.flatten(), f"{code}:"))
        return np.bincount(call[noted], minlength=len(self.keys)) > 0

    def _voices(self) -> Voices:
        """Who speaks when in all calls, as :func:`callscan.report.voices.voices` has it for one."""
        calls = len(self.keys)
        speech, turns = self._transcript.field("speech"), self._transcript.field("turns")
        call_of_channel = np.repeat(np.arange(calls), np.diff(_offsets(speech)))
        channel = np.arange(len(call_of_channel)) - _offsets(speech)[call_of_channel]
        spans = speech.flatten()
        width = int(max(channel.max(initial=0), self._channel.max(initial=0))) + 1
        # Seconds by call, channel and role: a channel is the voice of whoever of customer and agent says most on it.
        call_of_segment = np.repeat(np.arange(calls), np.diff(self._begin))
        said = np.zeros((calls * width, len(ROLES)))
        for number, name in enumerate(ROLES):
            own = np.asarray(pc.equal(self._speaker, name))
            place = (call_of_segment * width + self._channel)[own]
            said[:, number] = np.bincount(place, (self._end - self._start)[own], calls * width)
            # A segment of no length is a word all the same.
            said[:, number] += np.where(np.bincount(place, minlength=calls * width) > 0, 1e-9, 0.0)
        place = call_of_channel * width + channel
        role_of = np.where(said[place].max(axis=1, initial=0.0) > 0, said[place].argmax(axis=1), OTHER)
        count = np.diff(_offsets(spans))
        flat = spans.flatten()
        call, role = np.repeat(call_of_channel, count), np.repeat(role_of, count)
        start, end = np.asarray(flat.field("start")), np.asarray(flat.field("end"))
        diarised = np.diff(_offsets(turns))
        kept = diarised[call] == 0
        turn = turns.flatten()
        named = turn.field("speaker")
        turn_role = np.full(len(named), OTHER)
        for number, name in enumerate(ROLES):
            turn_role[np.asarray(pc.equal(named, name))] = number
        return Voices(
            np.concatenate([call[kept], np.repeat(np.arange(calls), diarised)]),
            np.concatenate([role[kept], turn_role]),
            np.concatenate([start[kept], np.asarray(turn.field("start"))]),
            np.concatenate([end[kept], np.asarray(turn.field("end"))]),
        )


def _windowed(lexicon: Lexicon, language: str) -> bool:
    """Whether some pattern counts only in the first or last part of a call."""
    return any(rule.first is not None or rule.last is not None for rule in lexicon.sources(language).rules)


class _Words:
    """The words of a row group with their times: read where a call has a hit."""

    def __init__(self, shard: _Shard, number: int, mask: pa.ChunkedArray | None) -> None:
        table = shard.read(number, [_WORD + "text", *_TIMES], mask)
        words = _struct(table["transcript"]).field("segments").flatten().field("words").flatten()
        self._text = words.field("text")
        self._times = [np.asarray(words.field(name)) for name in ("start", "end", "probability")]

    def between(self, first: int, last: int) -> tuple[Word, ...]:
        """The words from one number to before another."""
        columns = [self._text[first:last].to_pylist(), *(values[first:last].tolist() for values in self._times)]
        return tuple(map(Word, *columns))


def _struct(column: pa.ChunkedArray) -> pa.StructArray:
    """A column of structs as one array without an offset."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _offsets(lists: pa.ListArray) -> NDArray[np.int64]:
    """Where each list begins in the flattened values, and where the last one ends; a null list is an empty one."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
