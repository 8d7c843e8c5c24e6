"""How long a recording claims to be, and whether its last byte is missing: told from the container, not the decoder."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Any

from callscan.audio import mp3, riff
from callscan.audio.source import Source

_OGG_TAIL = 1 << 17
_MOST_BOXES = 100_000
_MOST_CHUNKS = 1_000
_MICROSECONDS = 1_000_000  # FFmpeg's unit for a container's times
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)")

_LONGEST_LEAD = 3600.0
"""Seconds; a stream that begins later than this after another one has a wrong time stamp."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the container says of its own size.

    ``present`` and ``missing`` are bytes of samples, where the container declares them in bytes. ``cut`` says in words
    that the file ends too early, empty if it does not or nobody can know; ``unusable``: before the first sample.
    ``measured``: where the samples end is known, so that a last packet which is not full means nothing. ``timed`` is
    False where FFmpeg's duration is a guess from the bit rate, or that of a part, and so declares nothing. ``options``
    go to the demuxer.
    """

    riff: riff.Riff | None = None
    present: int = 0
    missing: int = 0
    cut: str = ""
    unusable: bool = False
    measured: bool = False
    timed: bool = True
    options: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def declared(self, container: Any, stream: Any, heard: float, limit: float) -> float:
        """Seconds that the file claims to hold; ``heard`` (seconds found) where it claims nothing, or more than
        ``limit`` seconds, which no recording has.
        """
        if self.present:
            return heard * (self.present + self.missing) / self.present
        claimed = _claimed(container, stream) if self.timed else None
        return heard if claimed is None or not 0 < claimed <= limit else claimed


def lead(container: Any, stream: Any) -> float:
    """Seconds by which ``stream`` begins after another one of its file, as the audio of a video may.

    A player shows them. 0 where the time stamps cannot be right.
    """
    if stream.start_time is None or container.start_time is None:
        return 0.0
    seconds = float(stream.start_time * stream.time_base) - container.start_time / _MICROSECONDS
    return seconds if 0 < seconds <= _LONGEST_LEAD else 0.0


def _claimed(container: Any, stream: Any) -> float | None:
    """Seconds of ``stream`` as its container has them: without what comes before its first time stamp."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if len(container.streams) == 1 and container.duration:
        return float(container.duration - max(0, container.start_time or 0)) / _MICROSECONDS
    tag = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))  # Matroska's, where the stream ends
    if tag is None:
        return None
    end = int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    return end - max(0.0, float((stream.start_time or 0) * stream.time_base))


def measure(source: Source, demuxer: str) -> Bounds:
    """Read what the container of ``source`` says of its own size."""
    if demuxer == "wav":
        return _wav(source)
    if demuxer == "ogg":
        return Bounds(cut=_ogg_cut(source), timed=False)
    if demuxer == "mp4":
        return Bounds(cut=_mp4_cut(source))
    if demuxer == "mp3":
        return Bounds(timed=mp3.is_counted(source))
    if demuxer in ("matroska", "avi"):
        return Bounds(cut=_matroska_cut(source) if demuxer == "matroska" else _avi_cut(source))
    if demuxer in ("w64", "caf"):
        return _w64(source) if demuxer == "w64" else _caf(source)
    if demuxer in ("g722", "mulaw", "alaw", "s16le"):
        return Bounds(timed=False, measured=True)
    return Bounds(timed=demuxer not in ("aac", "amr", "gsm"))


def _wav(source: Source) -> Bounds:
    header = riff.parse(source.read_at, source.size)
    # Without a probe limit FFmpeg looks for DTS inside 16-bit PCM, at a cost that grows with the packets' square.
    options = {"max_size": "32768", "max_probe_packets": "1"}
    if header is None:
        return Bounds(cut="the file ends inside its header", unusable=True)
    if header.declared is None or header.overrun:
        options["ignore_length"] = "1"
    warnings = ("header_too_small",) if header.overrun else ()
    return Bounds(header, header.present, header.missing, measured=True, options=options, warnings=warnings)


def _w64(source: Source) -> Bounds:
    """Sony Wave64: RIFF with 16-byte names and 8-byte sizes that count the name and themselves, padded to 8."""
    offset = 40
    for _ in range(_MOST_CHUNKS):
        head = source.read_at(offset, 24)
        if len(head) < 24:
            break
        size = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"data":
            return _span(source, offset + 24, size - 24)
        offset += max(24, size + 7 & ~7)
    return Bounds(cut="the file ends inside its header")


def _caf(source: Source) -> Bounds:
    """Apple's Core Audio Format: chunks with 8-byte sizes; the samples' is -1 while they are being written."""
    offset = 8
    for _ in range(_MOST_CHUNKS):
        head = source.read_at(offset, 12)
        if len(head) < 12:
            break
        size = struct.unpack(">q", head[4:])[0]
        if head[:4] == b"data":
            return _span(source, offset + 12, size) if size > 0 else Bounds()
        offset += 12 + max(0, size)
    return Bounds(cut="the file ends inside its header")


def _span(source: Source, start: int, declared: int) -> Bounds:
    present = max(0, min(declared, source.size - start))
    return Bounds(present=present, missing=max(0, declared - present), measured=True)


def _ogg_cut(source: Source) -> str:
    """An Ogg stream ends with a whole page that says it is the last (RFC 3533)."""
    start = max(0, source.size - _OGG_TAIL)
    tail = source.read_at(start, _OGG_TAIL)
    at = tail.rfind(b"OggS")
    if at < 0:
        return "the last page is lost"
    page = tail[at:]
    if len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        return "the file ends inside a page; how much is missing is not written anywhere"
    if not page[5] & 4:
        return "the stream has no end mark; how much is missing is not written anywhere"
    return ""


def _mp4_cut(source: Source) -> str:
    """An MP4 file is a row of boxes, each with its size (ISO/IEC 14496-12)."""
    offset, names = 0, set()
    for _ in range(_MOST_BOXES):
        head = source.read_at(offset, 16)
        if len(head) < 8:
            break
        size, name = struct.unpack(">I4s", head[:8])
        names.add(name)
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
        if size == 0:  # to the end of the file
            break
        if offset + size > source.size:
            known = name.decode("latin-1") if name.isalnum() else "last"
            return f"the file ends inside its {known} box"
        if size < 8:
            break
        offset += size
    return "" if b"moov" in names else "the index (moov) is missing: the recorder did not finish the file"


def _avi_cut(source: Source) -> str:
    """An AVI file is a RIFF chunk; its size is 0 or has all bits set while it is being written."""
    size = int.from_bytes(source.read_at(4, 4), "little")
    if size == 0xFFFFFFFF or size + 8 <= source.size + 1:  # the byte that pads an odd size is often left out
        return ""
    return f"the file ends at byte {source.size} of {size + 8}"


def _matroska_cut(source: Source) -> str:
    """A Matroska file is a header and a segment, each with its size (RFC 8794); all bits set say that nobody knows."""
    offset = 0
    for name in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        head = source.read_at(offset, 12)
        if len(head) < 12 or head[:4] != name or not head[4]:
            return ""
        width = 9 - head[4].bit_length()
        size = int.from_bytes(head[4 : 4 + width]) & (1 << 7 * width) - 1
        if size == (1 << 7 * width) - 1:
            return ""
        offset += 4 + width + size
    return f"the file ends at byte {source.size} of {offset}" if offset > source.size else ""
