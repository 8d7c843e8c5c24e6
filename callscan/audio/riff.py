"""The header of a RIFF/WAVE file, read against the size of the file that holds it.

FFmpeg decodes what it finds and says nothing of what is missing. Whether a recording is whole can only be told by
comparing the size that the ``data`` chunk declares with the bytes that follow it.
Source: "Multimedia Programming Interface and Data Specifications 1.0" (RIFF), EBU Tech 3306 (RF64).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

_UNKNOWN = 0xFFFFFFFF
_MOST_CHUNKS = 1_000
"""More chunks than this before the samples is no recorder's work."""

ReadAt = Callable[[int, int], bytes]
"""``read_at(offset, length)`` gives at most ``length`` bytes, fewer at the end of the file."""


@dataclass(frozen=True, slots=True)
class Riff:
    """What a WAVE header says. Sizes in bytes; ``declared`` is None where the recorder left it open.

    ``present`` counts the bytes that belong to the samples: up to the declared end, the trailing chunks, or the end
    of the file. ``overrun`` is True where the header is too small and samples run on behind it.
    """

    tag: int
    channels: int
    rate: int
    block: int
    declared: int | None
    present: int
    overrun: bool = False

    @property
    def missing(self) -> int:
        """Declared bytes that the file does not hold."""
        return max(0, (self.declared or 0) - self.present)


def parse(read_at: ReadAt, size: int) -> Riff | None:
    """Read the header of a RIFF, RIFX or RF64 file of ``size`` bytes; None where no format or no data is found."""
    start = read_at(0, 12)
    if len(start) < 12 or start[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or start[8:] != b"WAVE":
        return None
    order = ">" if start[:4] == b"RIFX" else "<"
    offset, wide_data, form = 12, None, None
    for _ in range(_MOST_CHUNKS):
        head = read_at(offset, 8)
        if len(head) < 8:
            return None
        name, length = head[:4], struct.unpack(order + "I", head[4:])[0]
        offset += 8
        if name == b"data":
            if form is None:
                return None
            declared = wide_data if length == _UNKNOWN and wide_data is not None else length
            return _measure(read_at, size, offset, declared, form, order)
        if name == b"ds64":
            sizes = read_at(offset, 16)
            wide_data = struct.unpack("<Q", sizes[8:16])[0] if len(sizes) == 16 else None
        elif name == b"fmt ":
            body = read_at(offset, 40)
            if len(body) < 14:
                return None
            tag, channels, rate, _, block = struct.unpack(order + "HHIIH", body[:14])
            if tag == 0xFFFE and len(body) >= 26:  # WAVE_FORMAT_EXTENSIBLE: the tag opens the sub-format's GUID
                tag = struct.unpack(order + "H", body[24:26])[0]
            form = (tag, channels, rate, block)
        offset += length + (length & 1)
    return None


def _measure(
    read_at: ReadAt, size: int, offset: int, declared: int, form: tuple[int, int, int, int], order: str
) -> Riff:
    rest = max(0, size - offset)
    if declared in (0, _UNKNOWN):  # a recorder that writes to a pipe, or died before it could fill in the size
        return Riff(*form, declared=None, present=rest)
    if declared >= rest:
        return Riff(*form, declared=declared, present=rest)
    behind = offset + declared
    if _chunks_follow(read_at, size, behind + (declared & 1), order) or _chunks_follow(read_at, size, behind, order):
        return Riff(*form, declared=declared, present=declared)
    return Riff(*form, declared=declared, present=rest, overrun=True)


def _chunks_follow(read_at: ReadAt, size: int, offset: int, order: str) -> bool:
    """Whether what stands behind the samples are chunks (or padding), and not more samples, or another recording."""
    head = read_at(offset, 8)
    if len(head) < 8 or not any(head):
        return len(head) < 8 or not any(read_at(offset, 4096))
    named = all(0x20 <= byte < 0x7F for byte in head[:4])
    return named and head[:4] != b"RIFF" and struct.unpack(order + "I", head[4:])[0] <= size - offset
