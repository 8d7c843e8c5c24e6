"""The packets of one recording, decoded one by one: a bad one is left out, measured and counted.

Where a container has time stamps they tell how much is missing. Where it has none (MP3, AAC, AMR) the missing
time is told from the missing bytes, at the rate of those that could be decoded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import av.error

from callscan.audio import mp3, sniff
from callscan.audio.source import Source

_FAILURES = (av.error.FFmpegError, ValueError)
_MOST_FAILURES = 1_000
"""The demuxer may fail this often before the rest of the file is given up."""

_FRAMING = 512
"""Bytes between two packets that a container may need for itself; the demuxer has skipped more."""

_LEAST_BLOCK = 32
"""Bytes; smaller blocks are single samples, larger ones are blocks of ADPCM."""

_WINDOW = 1 << 16
_FRAMED: dict[str, Callable[[bytes], int]] = {"mp3": sniff.mpeg_frame, "aac": sniff.adts_frame}
_TIMELESS = frozenset({"mp3", "aac", "amr", "gsm", "g722"})
_TIMELESS_IN_WAV = frozenset({"mp3", "mp3float", "mp2", "mp2float", "aac"})

_Reopen = Callable[[Source], tuple[Any, Any] | None]


@dataclass(slots=True)
class Damage:
    """What was lost before a frame: ``places`` that failed, and ``seconds`` where no time stamp will tell.

    No places and no seconds: bytes were skipped, and only a gap in time makes that a loss.
    """

    places: int = 0
    seconds: float = 0.0


class Packets:
    """Decodes one stream. ``block`` is the size in bytes of what can be decoded by itself, 0 where nobody knows.

    ``reopen`` opens a link of a chained Ogg file by itself, where FFmpeg cannot follow the stream into another form: it
    returns a container and its stream, None if they cannot be decoded.
    """

    def __init__(self, container: Any, stream: Any, demuxer: str, source: Source, block: int, reopen: _Reopen) -> None:
        self._reopen = reopen
        self._chained = demuxer == "ogg"
        self._container = container
        self._stream = stream
        self._source = source
        self._block = block
        self._framing = _FRAMED.get(demuxer)
        self.timed = not (demuxer in _TIMELESS or (demuxer == "wav" and stream.codec_context.name in _TIMELESS_IN_WAV))
        self.places = 0
        self.cut = False  # the last packet is not whole
        self.pending: Damage | None = None  # since the last frame
        self._good_bytes = 0
        self._good_seconds = 0.0
        self._position: int | None = None  # where the current packet starts in the file
        self._accounted = 0  # up to where lost bytes were turned into lost time
        self._tag_end = 0  # up to where the file holds a tag

    def frames(self) -> Iterator[tuple[Any, Damage | None]]:
        """Every frame that can be decoded, with the damage in front of it."""
        for packet in self._packets():
            try:
                decoded = packet.decode() if self._framing is not sniff.mpeg_frame else self._untagged(packet)
            except av.error.EOFError:
                continue
            except av.error.MemoryError as error:
                raise MemoryError from error
            except _FAILURES:
                decoded = self._salvaged(packet)
            for frame in decoded:
                if not frame.samples or not frame.sample_rate:
                    continue
                if not self.timed:
                    self._good_seconds += frame.samples / frame.sample_rate
                damage, self.pending = self.pending, None
                yield frame, damage
            if not self.timed:
                self._good_bytes += packet.size if decoded else 0
                self._position = None if self._position is None else self._position + packet.size

    def _packets(self) -> Iterator[Any]:
        packets, failures, last, expected = self._container.demux(self._stream), 0, None, sys.maxsize
        while True:
            try:
                packet = next(packets, None)
            except av.error.MemoryError as error:
                raise MemoryError from error
            except _FAILURES as error:
                failures += 1
                if isinstance(error, av.error.PatchWelcomeError) and last is not None and self._enter_link(last):
                    expected, last = sys.maxsize, None
                else:
                    self._wound(0.0)
                if failures >= _MOST_FAILURES:
                    return
                packets = self._container.demux(self._stream)
                continue
            if packet is None:
                return
            size = packet.size
            if size:
                position = packet.pos
                if self._position is None:
                    self._position = position
                if position is not None:
                    if position > expected:
                        self.pending = self.pending or Damage()  # if there is a gap in time too, something was lost
                    expected = position + size + _FRAMING
                last = packet
            elif last is not None:
                self.cut = self._is_cut(last)
            yield packet

    def _enter_link(self, last: Any) -> bool:
        """Go on with the link of a chained Ogg file that begins behind the packet ``last``, where there is one."""
        if not self._chained or last.pos is None:
            return False
        start = sniff.ogg_link(self._source.read_at, last.pos + 1, self._source.size)
        if start is None:
            return False
        rest = self._source.behind(start)
        link = self._reopen(rest)
        if link is None:
            return False
        self._source, (self._container, self._stream) = rest, link
        return True

    def _is_cut(self, last: Any) -> bool:
        """Whether the last packet says that it is longer than it is, or FFmpeg met the end of the file inside it."""
        return last.is_corrupt or (self._framing is not None and self._framing(bytes(last)[:7]) > last.size)

    def _untagged(self, packet: Any) -> list[Any]:
        """What an MP3's packet holds beside tags and frames without sound, which stand where files were joined."""
        data, position = bytes(packet), self._position or 0
        start = max(0, min(self._tag_end - position, len(data)))
        while size := mp3.tag_size(data[start:]):
            if position + start + size > self._source.size:
                break  # its size is wrong, and sound may follow
            self._tag_end = position + start + size
            start = min(start + size, len(data))
        if data and (start == len(data) or mp3.counts_frames(data[start:])):
            return []
        frames: list[Any] = self._stream.codec_context.decode(av.Packet(data[start:])) if start else packet.decode()
        return frames

    def _salvaged(self, packet: Any) -> list[Any]:
        """What can be had of a packet that failed: its blocks, where a block can be decoded by itself."""
        if packet.size < self._block:
            return []  # less than a block has no samples: padding, or what a cut left, and the container tells a cut
        data, frames, step = bytes(packet), [], self._block
        if 0 < step < _LEAST_BLOCK and packet.size % step:
            step = packet.size - packet.size % step  # half a sample at the end is no reason to lose the others
        if not _LEAST_BLOCK <= step < packet.size:
            self._wound(0.0 if self.timed else self._missing(packet))
            return []
        lasted = float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
        for start in range(0, packet.size - packet.size % step, step):
            try:
                frames += self._stream.codec_context.decode(av.Packet(data[start : start + step]))
            except av.error.MemoryError as error:
                raise MemoryError from error
            except _FAILURES:
                self._wound(lasted * step / packet.size)
        return frames

    def _wound(self, seconds: float) -> None:
        self.places += 1
        self.pending = self.pending or Damage()
        self.pending.places += 1
        self.pending.seconds += seconds

    def _missing(self, packet: Any) -> float:
        """Seconds that a failed packet took, with what the demuxer skipped behind it."""
        if not self._good_bytes:
            return float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
        pace = self._good_seconds / self._good_bytes
        if self._framing is None or self._position is None:
            return float(packet.size * pace)
        start = max(self._position, self._accounted)
        if self._position >= self._accounted:
            self._accounted = max(self._resumes(self._position + 1, self._framing), self._position + packet.size)
            self._position = self._accounted - packet.size
        return max(0, self._accounted - start) * pace

    def _resumes(self, offset: int, framing: Callable[[bytes], int]) -> int:
        """Where in the file the next run of whole frames starts; the file's end if none does."""
        while offset < self._source.size:
            window = self._source.read_at(offset, _WINDOW)
            found = sniff.find_run(window, 0, framing)
            if found is not None:
                return offset + found
            offset += max(1, len(window) - 4096) if offset + len(window) < self._source.size else len(window)
        return self._source.size
