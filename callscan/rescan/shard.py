"""A shard's transcripts by column: what is measured of each call, and what is said in it, once for all lexicons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from callscan.archive import Archive
from callscan.errors import ArchiveError
from callscan.lexicon.stream import UNHEARD
from callscan.report.interaction import HOLD_PHRASE, OTHER, ROLES, Voices, holds, measure
from callscan.report.tables import measures_schema
from callscan.rescan.index import Index, Segments, spoken_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    *(_WORD + name for name in ("text", "start", "end", "probability")),
)


def index_of(archive: Archive, shard: str) -> Index:
    """Read a shard whole; what its page checksums do not vouch for is an error and never a number."""
    name = f"calls/{shard}.parquet"
    with _damage(archive.store.path(name)):
        file = pq.ParquetFile(pa.BufferReader(archive.store.read(name)), page_checksum_verification=True)
        columns = _Columns(file.read(columns=list(_COLUMNS), use_threads=False))
    spoken, unindexed = spoken_of(columns.segments())
    measures = columns.measures().append_column("uri", pa.array(columns.uris, pa.string()))
    return Index(columns.languages, spoken, unindexed, measures)


@contextmanager
def _damage(path: str) -> Iterator[None]:
    try:
        yield
    # Broken bytes show as any of these: ArrowInvalid is a ValueError, and so are names that are no UTF-8.
    except (OSError, ValueError, KeyError) as error:
        raise ArchiveError(
            f"{path} is damaged: {error}", "callscan verify ARCHIVE names every damaged shard"
        ) from error


class _Columns:
    """The calls of a shard, by column."""

    def __init__(self, table: pa.Table) -> None:
        self.uris: list[str] = table["uri"].to_pylist()
        self.keys: list[str] = table["key"].to_pylist()
        self._audio = _struct(table["audio"])
        self._transcript = _struct(table["transcript"])
        self._notes = _struct(table["notes"])
        self.languages: list[str] = pc.fill_null(self._transcript.field("language"), "").to_pylist()
        segments = self._transcript.field("segments")
        self._held = np.asarray(self._transcript.is_valid())
        self._begin = _offsets(segments)
        self._flat = segments.flatten()
        self._start, self._end = np.asarray(self._flat.field("start")), np.asarray(self._flat.field("end"))
        self._channel, self._speaker = np.asarray(self._flat.field("channel")), self._flat.field("speaker")
        self._text = self._flat.field("text")
        self._words = self._flat.field("words")
        self._word_begin = _offsets(self._words)

    def segments(self) -> Segments:
        """The segments of all calls with their words."""
        words = self._words.flatten()
        flags = self._flat.field("flags")
        doubtful = np.asarray(pc.is_in(flags.flatten(), pa.array(sorted(UNHEARD))))
        segment = np.repeat(np.arange(len(flags)), np.diff(_offsets(flags)))
        return Segments(
            begin=self._begin,
            start=self._start,
            end=self._end,
            channel=self._channel,
            speaker=self._speaker,
            text=self._text,
            unheard=np.bincount(segment[doubtful], minlength=len(flags)) > 0,
            word_begin=self._word_begin,
            word=words.field("text"),
            word_start=np.asarray(words.field("start")),
            word_end=np.asarray(words.field("end")),
            probability=np.asarray(words.field("probability")),
        )

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


def _struct(column: pa.ChunkedArray) -> pa.StructArray:
    """A column of structs as one array without an offset."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _offsets(lists: pa.ListArray) -> NDArray[np.int64]:
    """Where each list begins in the flattened values, and where the last one ends; a null list is an empty one."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
