"""What a file is, told from its first bytes: which demuxer may open it, or why none may.

FFmpeg's own probing is never asked. It takes names and guesses into account, and some of its demuxers
(ffconcat, HLS, DASH, SDP) open other files and sockets. Here the content picks one demuxer of a short list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

HEAD = 1 << 16
"""How many bytes from the start of the file are looked at."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is. ``demuxer`` is FFmpeg's name for the format, empty where it may not be opened.

    Where it may not: ``reason`` (a key of ``callscan.errors.REASONS``), ``detail`` and ``hint`` say why.
    ``options`` are for the demuxer of a format without a header.
    """

    demuxer: str = ""
    reason: str = ""
    detail: str = ""
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()


_AUDIO: tuple[tuple[int, bytes, str], ...] = (
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (4, b"ftyp", "mp4"),
    (4, b"moov", "mp4"),
    (4, b"mdat", "mp4"),
    (4, b"wide", "mp4"),
    (0, b"#!AMR", "amr"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b".snd", "au"),
    (0, b"caff", "caf"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"riff\x2e\x91\xcf\x11", "w64"),
    (0, b"Creative Voice File\x1a", "voc"),
    (0, b"NIST_1A\n", "nistsphere"),
    (0, b"wvpk", "wv"),
)

_RAW: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "gsm": ("gsm", ()),
    "g722": ("g722", ()),
    "ul": ("mulaw", (("sample_rate", "8000"),)),
    "ulaw": ("mulaw", (("sample_rate", "8000"),)),
    "pcmu": ("mulaw", (("sample_rate", "8000"),)),
    "al": ("alaw", (("sample_rate", "8000"),)),
    "alaw": ("alaw", (("sample_rate", "8000"),)),
    "pcma": ("alaw", (("sample_rate", "8000"),)),
    "sln": ("s16le", (("sample_rate", "8000"),)),
    "sln16": ("s16le", (("sample_rate", "16000"),)),
}
"""Formats without a header, as telephone exchanges write them: only the name tells what they are."""

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\x00", "a database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document"),
    (b"PAR1", "a Parquet table"),
    (b"Salted__", "a file encrypted with openssl"),
    (b"age-encryption.org", "a file encrypted with age"),
    (b"-----BEGIN PGP", "a file encrypted with PGP"),
    (b"\x00\x05\x16\x07", "a macOS resource file"),
)

_PLAYLIST = re.compile(
    rb"^\s*(?:#EXTM3U|ffconcat\s|file\s+\S|\[playlist\]|\[reference\]|v=0\s|RTSPtext|rtsp://|https?://)"
    rb"|<MPD[\s>]|<SmoothStreamingMedia|<asx[\s>]|<smil[\s>]|<rss[\s>]|urn:mpeg:dash",
    re.IGNORECASE,
)
_PAGE = re.compile(rb"<!doctype|<html|<head|<\?xml|<body", re.IGNORECASE)
_TEXT = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0C, 0x0D} | frozenset(range(0x80, 0x100))

_EXPORT = "Export the recording from the recorder as WAV, or leave the file out."


def identify(head: bytes, suffix: str = "") -> Kind:
    """Tell what a file is from its first :data:`HEAD` bytes; ``suffix`` is its extension without the dot."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _riff(head)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind("aiff")
    for offset, magic, demuxer in _AUDIO:
        if head[offset : offset + len(magic)] == magic:
            return Kind(demuxer)
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            return Kind(reason="not_audio", detail=f"this is {what}", hint=_EXPORT)
    text = _text(head)
    if text is not None:
        return text
    suffix = suffix.lower()
    if suffix == "nmf":
        hint = "Export the call as WAV from the NICE player or its export service."
        return Kind(reason="not_audio", detail="this is a NICE recording in the vendor's own format", hint=hint)
    if suffix in _RAW:
        demuxer, options = _RAW[suffix]
        if demuxer != "gsm" or _gsm(head):
            return Kind(demuxer, options=options)
    elementary = _elementary(head)
    if elementary:
        return Kind(elementary)
    if not any(head):
        return Kind(
            reason="corrupt", detail="the file holds zeros alone", hint="The recorder reserved it and never wrote."
        )
    detail = "the content is no audio format that is known; it may be encrypted"
    return Kind(reason="not_audio", detail=detail, hint=_EXPORT)


def _riff(head: bytes) -> Kind:
    form = head[8:12]
    if form == b"WAVE" or len(head) < 12:
        return Kind("wav")
    if form == b"AVI ":
        return Kind("avi")
    return Kind(reason="not_audio", detail=f"this is a RIFF file of type {form!r}, not WAVE", hint=_EXPORT)


def _text(head: bytes) -> Kind | None:
    start = head[:1024]
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if start.startswith(mark):
            start = start[len(mark) :].decode(encoding, "ignore").encode()
            break
    if _PLAYLIST.search(start):
        detail = "this is a playlist or manifest, which would read other files"
        return Kind(reason="playlist", detail=detail, hint="Scan the recordings that it names instead.")
    if not start or not _TEXT.issuperset(start) or sum(byte < 0x80 for byte in start) < 0.7 * len(start):
        return None
    what = "a web page or XML" if _PAGE.search(start) else "text"
    hint = "The download or export may have failed: look into the file." if what != "text" else _EXPORT
    return Kind(reason="not_audio", detail=f"this is {what}", hint=hint)


def _gsm(head: bytes) -> bool:
    """GSM 06.10 frames are 33 bytes and open with the half-byte 0xD."""
    return all(head[at] >> 4 == 0xD for at in range(0, min(len(head), 33 * 100), 33))


def _elementary(head: bytes) -> str:
    """``mp3`` or ``aac`` where frame headers follow each other, behind an ID3 tag or a little rubbish; else empty."""
    start = 0
    if head.startswith(b"ID3") and len(head) >= 10:
        start = id3_size(head)
        if start >= len(head) - 4:
            return "mp3"  # a tag with a picture in it, larger than what was read
    for demuxer, framing in (("mp3", mpeg_frame), ("aac", adts_frame)):
        if find_run(head, start, framing) is not None:
            return demuxer
    return "mp3" if head.startswith(b"ID3") else ""


def id3_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that opens with ``head``, of at least 10 bytes."""
    foot = 10 if head[5] & 0x10 else 0
    return 10 + foot + sum((head[6 + place] & 0x7F) << (21 - 7 * place) for place in range(4))


def find_run(data: bytes, start: int, framing: Callable[[bytes], int]) -> int | None:
    """Where, from ``start``, three frames follow each other, or two up to the end of a short file, or one at ``start``.

    ``framing`` tells the length of a frame from its header, 0 if there is none.
    """
    at = data.find(b"\xff", start)
    while 0 <= at < len(data) - 7:
        if _is_run(data, at, framing, least=1 if at == start else 2):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def _is_run(data: bytes, at: int, framing: Callable[[bytes], int], least: int) -> bool:
    for count in range(1, 4):
        length = framing(data[at : at + 7])
        if not length:
            return False
        at += length
        if at > len(data) - 7:
            return len(data) < HEAD and count >= least
    return True


def ogg_link(read_at: Callable[[int, int], bytes], offset: int, size: int) -> int | None:
    """Where, from ``offset``, the next page stands that begins an Ogg stream (RFC 3533); None if there is none.

    ``read_at(offset, length)`` reads a file of ``size`` bytes.
    """
    while offset < size:
        window = read_at(offset, HEAD)
        at = window.find(b"OggS\0")
        while 0 <= at < len(window) - 5:
            if window[at + 5] & 2:
                return offset + at
            at = window.find(b"OggS\0", at + 5)
        offset += max(1, len(window) - 5)
    return None


_RATES = (44_100, 48_000, 32_000)
_LAYER3_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LAYER3_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def mpeg_frame(header: bytes) -> int:
    """Length in bytes of the MPEG audio layer III frame that ``header`` opens; 0 if it opens none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or header[1] >> 1 & 3 != 1:
        return 0
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return 0
    hertz = _RATES[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    kilobits = (_LAYER3_1 if version == 3 else _LAYER3_2)[bits]
    return (144 if version == 3 else 72) * kilobits * 1000 // hertz + (header[2] >> 1 & 1)


def adts_frame(header: bytes) -> int:
    """Length in bytes of the AAC frame that an ADTS ``header`` opens; 0 if it opens none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0
