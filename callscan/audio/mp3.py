"""What stands in an MP3 beside its sound: tags, and a first frame that counts the others."""

from __future__ import annotations

from callscan.audio import sniff
from callscan.audio.source import Source

_LARGEST_FRAME = 1441
"""Bytes: 320 kbit/s at 32 kHz, padded."""

_MARKS = (b"Xing", b"Info", b"VBRI")
_MARK_OFFSETS = (13, 15, 21, 23, 36, 38)
"""Where a mark may stand in its frame: behind a header of 4 bytes, a checksum (2) or none, and the side information
(9, 17 or 32 bytes, by version and channels)."""

_ID3V1_SIZE = 128
_APE_HEAD = 32


def tag_size(data: bytes) -> int:
    """Bytes of the ID3 or APE tag that ``data`` begins with, which may end behind ``data``; 0 if there is none."""
    if data.startswith(b"ID3") and len(data) >= 10:
        return sniff.id3_size(data) if max(data[6:10]) < 0x80 else 0
    if data.startswith(b"TAG"):
        return _ID3V1_SIZE
    if data.startswith(b"APETAGEX") and len(data) >= _APE_HEAD:
        items = int.from_bytes(data[12:16], "little")
        return _APE_HEAD + (items if data[23] & 0x20 else 0)  # a head counts what follows it, a foot nothing
    return 0


def counts_frames(frame: bytes) -> bool:
    """Whether a frame holds no sound but says how many frames and bytes there are (Xing, Info, VBRI)."""
    return any(frame[at : at + 4] in _MARKS for at in _MARK_OFFSETS) and sniff.mpeg_frame(frame) > 0


def is_counted(source: Source) -> bool:
    """Whether an MP3 says how long it is, and means all of it: joined files have the count of the first alone.

    A count of more bytes than there are is one, too: the file was cut.
    """
    start = 0
    while size := tag_size(source.read_at(start, _APE_HEAD)):
        start += size
    head = source.read_at(start, sniff.HEAD)
    at = sniff.find_run(head, 0, sniff.mpeg_frame)
    if at is None or not counts_frames(head[at : at + 42]):
        return False
    counted = _counted_bytes(head[at : at + 60])
    return counted > 0 and start + at + counted >= _end(source) - _LARGEST_FRAME


def _counted_bytes(frame: bytes) -> int:
    """The bytes that a counting frame counts, itself included; 0 if it counts frames alone."""
    at = next(at for at in _MARK_OFFSETS if frame[at : at + 4] in _MARKS)
    if frame[at : at + 4] == b"VBRI":
        return int.from_bytes(frame[at + 10 : at + 14])
    flags = frame[at + 7]
    place = at + (12 if flags & 1 else 8)
    return int.from_bytes(frame[place : place + 4]) if flags & 2 else 0


def _end(source: Source) -> int:
    """Where the frames end and the tags begin that stand behind them."""
    end = source.size
    if source.read_at(max(0, end - _ID3V1_SIZE), 3) == b"TAG":
        end -= _ID3V1_SIZE
    foot = source.read_at(max(0, end - _APE_HEAD), _APE_HEAD)
    if foot.startswith(b"APETAGEX") and len(foot) == _APE_HEAD:
        end -= int.from_bytes(foot[12:16], "little") + (_APE_HEAD if foot[23] & 0x80 else 0)
    return end
