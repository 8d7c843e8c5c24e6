"""Every kind of recording that a folder may hold, each with what must become of it.

One list for the tests and for ``scripts/hostile_report.py``. ``status`` is ``decoded`` where the audio is whole
(what is said in it is for others to find), or ``degraded``, ``quarantined`` or ``deferred`` with the reason.
"""

from __future__ import annotations

import functools
import os
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import audio_makers as makers
import numpy as np

SECONDS = 6.0


@dataclass(frozen=True)
class Case:
    """``make`` writes the recording into a folder and says where; ``seconds`` is what must be recovered (+-5 %)."""

    group: str
    name: str
    make: Callable[[Path], Path]
    status: str = "decoded"
    reason: str = ""
    seconds: float | None = SECONDS
    channels: int | None = None
    warning: str = ""


def _file(name: str, data: Callable[[], bytes]) -> Callable[[Path], Path]:
    return lambda folder: makers.write(folder / name, data())


@functools.cache
def stereo_wav() -> bytes:
    """A whole call: 8 kHz, 16-bit, two voices."""
    return makers.wav(makers.stereo(SECONDS))


@functools.cache
def mulaw_wav() -> bytes:
    """The same in G.711."""
    return makers.encoded(makers.stereo(SECONDS), 8000, "pcm_mulaw", "wav")


@functools.cache
def whole(kind: str) -> bytes:
    """A whole call in the format ``kind``."""
    voices, wide = makers.stereo(SECONDS), makers.stereo(SECONDS, 48000)
    plain = {"write_xing": "0"}
    return {
        "mp3": lambda: makers.encoded(voices, 8000, "libmp3lame", "mp3", bit_rate=32000),
        "mp3 without length": lambda: makers.encoded(voices, 8000, "libmp3lame", "mp3", bit_rate=32000, options=plain),
        "opus": lambda: makers.encoded(
            wide, 48000, "libopus", "ogg", bit_rate=24000, options={"page_duration": "200000"}
        ),
        "webm": lambda: makers.encoded(
            wide, 48000, "libopus", "webm", bit_rate=24000, options={"cluster_time_limit": "1000"}
        ),
        "vorbis": lambda: makers.encoded(makers.stereo(SECONDS, 16000), 16000, "vorbis", "ogg"),
        "mp4": lambda: makers.encoded(voices, 8000, "aac", "mp4", bit_rate=32000),
        "mp4 in fragments": lambda: makers.encoded(
            voices,
            8000,
            "aac",
            "mp4",
            bit_rate=32000,
            options={"movflags": "+frag_keyframe+empty_moov", "frag_duration": "1000000"},
        ),
        "mp4 for streaming": lambda: makers.encoded(
            voices, 8000, "aac", "mp4", bit_rate=32000, options={"movflags": "+faststart"}
        ),
        "adts": lambda: makers.encoded(voices, 8000, "aac", "adts", bit_rate=32000),
        "flac": lambda: makers.encoded(voices, 8000, "flac", "flac"),
        "amr": lambda: makers.encoded(makers.chatter(SECONDS), 8000, "libopencore_amrnb", "amr", bit_rate=12200),
        "ima": lambda: makers.encoded(voices, 8000, "adpcm_ima_wav", "wav"),
        "ms": lambda: makers.encoded(voices, 8000, "adpcm_ms", "wav"),
        "g722": lambda: makers.encoded(makers.chatter(SECONDS, 16000), 16000, "adpcm_g722", "wav"),
        "mp3 in wav": lambda: makers.encoded(voices, 8000, "libmp3lame", "wav"),
        "gsm": lambda: makers.gsm(SECONDS),
        "gsm wav": lambda: makers.gsm_wav(SECONDS),
    }[kind]()


_SUFFIX = {
    "mp3": "mp3",
    "mp3 without length": "mp3",
    "opus": "opus",
    "webm": "webm",
    "vorbis": "ogg",
    "mp4": "m4a",
    "mp4 for streaming": "m4a",
    "mp4 in fragments": "m4a",
    "adts": "aac",
    "flac": "flac",
    "amr": "amr",
    "ima": "wav",
    "ms": "wav",
    "g722": "wav",
    "gsm": "gsm",
    "gsm wav": "wav",
}


def _format_cases() -> list[Case]:
    cases = [
        Case("formats", kind, _file(f"call.{suffix}", functools.partial(whole, kind)))
        for kind, suffix in _SUFFIX.items()
    ]
    for codec in ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"):
        data = functools.partial(makers.encoded, makers.stereo(SECONDS), 8000, codec, "wav")
        cases.append(Case("formats", f"wav {codec}", _file("call.wav", data), channels=2))
    for rate in (8000, 11025, 16000, 22050, 32000, 44100, 48000):
        data = functools.partial(makers.wav, makers.stereo(SECONDS, rate), rate)
        cases.append(Case("formats", f"{rate} Hz", _file("call.wav", data), channels=2))
    for suffix, codec in (("ulaw", "pcm_mulaw"), ("alaw", "pcm_alaw"), ("sln", "pcm_s16le")):
        container = {"ulaw": "mulaw", "alaw": "alaw", "sln": "s16le"}[suffix]
        data = functools.partial(makers.encoded, makers.chatter(SECONDS), 8000, codec, container)
        cases.append(Case("formats", f"raw {suffix}", _file(f"call.{suffix}", data), channels=1))
    cases += [
        Case("formats", "mp3 named wav", _file("call.wav", functools.partial(whole, "mp3"))),
        Case("formats", "wav named mp3", _file("call.mp3", stereo_wav)),
        Case("formats", "opus named wav", _file("call.wav", functools.partial(whole, "opus"))),
        Case("formats", "mp3 in wav", _file("call.wav", functools.partial(whole, "mp3 in wav"))),
        Case("formats", "mp3 behind rubbish", _file("call.mp3", lambda: b"\x01\x02\x03" * 400 + whole("mp3"))),
        Case("formats", "rf64", _file("call.wav", lambda: rf64(stereo_wav()))),
    ]
    return cases


def rf64(data: bytes) -> bytes:
    """The same WAVE file with 64-bit sizes."""
    at = data.index(b"data")
    samples = data[at + 8 :]
    sizes = makers.chunk(b"ds64", struct.pack("<QQQI", 0, len(samples), 0, 0))
    return b"RF64\xff\xff\xff\xffWAVE" + sizes + data[12:at] + b"data\xff\xff\xff\xff" + samples


def _header_cases() -> list[Case]:
    voices = makers.stereo(SECONDS)
    info = makers.chunk(b"LIST", b"INFOISFT\x06\0\0\0callrec"[:20]) + makers.chunk(b"bext", bytes(602))

    def bad(name: str, data: Callable[[], bytes], reason: str) -> Case:
        return Case("headers", name, _file("call.wav", data), "quarantined", reason, None)

    def header(name: str, data: Callable[[], bytes], **more: object) -> Case:
        return Case("headers", name, _file("call.wav", data), **more)  # type: ignore[arg-type]

    return [
        header("data size 0", lambda: makers.wav(voices, size=0)),
        header("data size 0xFFFFFFFF", lambda: makers.wav(voices, size=0xFFFFFFFF)),
        header("data size too small", lambda: makers.wav(voices, size=8000), warning="header_too_small"),
        header(
            "data size too large",
            lambda: makers.wav(voices, size=2 * voices.nbytes),
            status="degraded",
            reason="truncated",
        ),
        header("trailing chunks", lambda: makers.wav(voices, after=info), channels=2),
        header("chunks before the format", lambda: makers.wav(voices, before=info), channels=2),
        header("trailing zeros", lambda: makers.wav(voices, after=bytes(512)), channels=2),
        bad("header only", lambda: makers.wav(voices[:0]), "no_audio"),
        bad("header cut in two", lambda: stereo_wav()[:30], "truncated"),
        bad("RIFF and nothing else", lambda: b"RIFF", "truncated"),
        bad("zero bytes", lambda: b"", "empty"),
        bad("zeros alone", lambda: bytes(100_000), "corrupt"),
        bad("1 Hz", lambda: makers.wav(voices, 1), "implausible"),
        bad("10 MHz", lambda: makers.wav(voices, 10_000_000), "implausible"),
        bad("no channels", lambda: makers.riff(b"\0" * 99, count=0), "implausible"),
        bad("65,535 channels", lambda: makers.riff(b"\0" * 99, count=65535), "implausible"),
        header("blocks of no bytes", lambda: makers.riff(stereo_wav()[44:], count=2, block=0), channels=2),
        bad("unknown codec", lambda: makers.riff(b"abc" * 999, tag=0x7FFF), "unsupported"),
        bad(
            "format chunk of 4 GB",
            lambda: stereo_wav().replace(b"fmt \x10\0\0\0", b"fmt \xf0\xff\xff\xff"),
            "truncated",
        ),
        header(
            "not a number", lambda: makers.riff(np.full(48000, np.nan, "<f4").tobytes(), tag=3, bits=32), channels=1
        ),
    ]


def _damage_cases() -> list[Case]:
    cases = [
        Case(
            "truncated",
            f"{kind} cut at 60 %",
            _file(f"call.{_SUFFIX.get(kind, 'wav')}", functools.partial(_cut, kind)),
            "degraded",
            "truncated",
            0.6 * SECONDS,
        )
        for kind in (
            "wav",
            "mulaw wav",
            "mp3",
            "mp3 without length",
            "opus",
            "webm",
            "vorbis",
            "mp4 for streaming",
            "mp4 in fragments",
            "adts",
            "flac",
            "amr",
            "ima",
            "g722",
            "gsm wav",
        )
    ]
    cases.append(
        Case(
            "truncated",
            "mp4 cut at 60 %, index lost",
            _file("call.m4a", functools.partial(_cut, "mp4")),
            "quarantined",
            "truncated",
            None,
        )
    )
    for kind in ("mp3", "mp3 without length", "opus", "vorbis", "webm", "mp4", "adts", "flac", "amr", "ima", "ms"):
        for name, spoil in (("random bytes", makers.scrambled), ("zeros", makers.zeroed)):
            if (kind, name) in (("ima", "zeros"), ("ms", "zeros")):
                continue  # zeros are valid ADPCM
            data = functools.partial(lambda kind, spoil: spoil(whole(kind), 0.4, 0.05), kind, spoil)
            place = _file(f"call.{_SUFFIX[kind]}", data)
            cases.append(Case("corrupt", f"{kind}, 5 % {name}", place, "degraded", "lost_audio", None))
    return cases


def _cut(kind: str) -> bytes:
    data = {"wav": stereo_wav, "mulaw wav": mulaw_wav}.get(kind, functools.partial(whole, kind))()
    return makers.cut(data, 0.6)


def _channel_cases() -> list[Case]:
    def layout(name: str, samples: makers.Samples, count: int, warning: str = "") -> Case:
        return Case("channels", name, _file("call.wav", lambda: makers.wav(samples)), channels=count, warning=warning)

    one = makers.chatter(SECONDS)
    cases = [layout(f"{count} channels", makers.channels(count, SECONDS), count) for count in range(1, 9)]
    return [
        *cases,
        layout("identical channels", np.hstack([one, one]), 1, "identical_channels"),
        layout("antiphase", np.hstack([one, -one]), 1, "antiphase"),
        layout("one channel a quiet copy", np.hstack([one, one // 8]), 1, "identical_channels"),
        layout("one dead channel", np.hstack([one, 0 * one]), 2, "dead_channel:1"),
        layout("two pairs of copies", np.hstack([makers.stereo(SECONDS)] * 2), 2, "identical_channels"),
        Case(
            "channels",
            "9 channels",
            _file("call.wav", lambda: makers.wav(np.hstack([one] * 9))),
            "quarantined",
            "implausible",
            None,
        ),
    ]


def _sound_cases() -> list[Case]:
    rate, half = 8000, SECONDS / 2
    keys = [makers.tone(0.2, *pair) for pair in ((697, 1209), (770, 1336), (852, 1477), (941, 1336))]
    dtmf = np.vstack([part for key in keys for part in (key, makers.silence(0.1))] * 5)
    ringback = np.vstack(
        [makers.tone(1.5, 440), makers.silence(half - 1.5), makers.tone(1.5, 440), makers.silence(half - 1.5)]
    )
    chords = [
        makers.tone(0.5, *notes) for notes in ((262, 330, 392), (349, 440, 523), (392, 494, 587), (262, 330, 392))
    ]
    sounds = {
        "digital silence": makers.silence(SECONDS),
        "tone": makers.tone(SECONDS, 1000),
        "DTMF": dtmf,
        "ringback": ringback,
        "music": np.vstack(chords * 3),
        "noise": makers.noise(SECONDS),
    }
    return [
        Case("sounds", name, _file("call.wav", functools.partial(makers.wav, samples, rate)), channels=1)
        for name, samples in sounds.items()
    ]


_ZIP = b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(200)
_FOREIGN: tuple[tuple[str, str, bytes, str], ...] = (
    ("ffconcat", "call.wav", b"ffconcat version 1.0\nfile /etc/passwd\n", "playlist"),
    ("ffconcat without its first line", "call.wav", b"file '/etc/passwd'\n", "playlist"),
    ("HLS", "call.wav", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n", "playlist"),
    (
        "HLS behind a byte order mark",
        "call.mp3",
        b"\xef\xbb\xbf#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a\n",
        "playlist",
    ),
    ("HLS in UTF-16", "call.wav", "\ufeff#EXTM3U\n#EXTINF:9,\n".encode("utf-16-be"), "playlist"),
    ("UTF-16 mark before rubbish", "call.wav", b"\xff\xfe" + random.Random(13).randbytes(9_999), "not_audio"),
    ("DASH", "call.wav", b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>', "playlist"),
    ("SDP", "call.wav", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n", "playlist"),
    ("PLS", "call.wav", b"[playlist]\nFile1=http://127.0.0.1:9/a\n", "playlist"),
    ("HTML", "call.mp3", b"<!DOCTYPE html><html><head><title>Sign in</title>", "not_audio"),
    ("zip", "call.wav", _ZIP, "not_audio"),
    ("encrypted bytes", "call.wav", random.Random(5).randbytes(200_000), "not_audio"),
    ("encrypted with openssl", "call.wav", b"Salted__" + random.Random(6).randbytes(9_999), "not_audio"),
    ("NICE recording", "call.nmf", b"\x01\x05nice" + random.Random(7).randbytes(9_999), "not_audio"),
    ("text", "call.wav", b"the recording server was down\n" * 9, "not_audio"),
    ("picture", "call.wav", b"\x89PNG\r\n\x1a\n" + bytes(99), "not_audio"),
    ("random bytes behind OggS", "call.ogg", b"OggS" + random.Random(8).randbytes(50_000), "corrupt"),
    ("random bytes behind fLaC", "call.flac", b"fLaC" + random.Random(9).randbytes(50_000), "corrupt"),
    ("random bytes behind ftyp", "call.mp4", b"\0\0\0\x18ftypmp42" + random.Random(10).randbytes(50_000), "truncated"),
    ("random bytes behind EBML", "call.webm", b"\x1a\x45\xdf\xa3" + random.Random(11).randbytes(50_000), "corrupt"),
    ("random bytes behind ID3", "call.mp3", b"ID3\x04\0\0\0\0\0\x10" + random.Random(12).randbytes(50_000), "corrupt"),
)


def _hostile_cases() -> list[Case]:
    cases = [
        Case("hostile", name, _file(file, functools.partial(bytes, data)), "quarantined", reason, None)
        for name, file, data, reason in _FOREIGN
    ]
    return [
        *cases,
        Case("hostile", "10 hours in a small FLAC", _file("call.flac", flac_bomb), "quarantined", "implausible", None),
        Case("hostile", "a terabyte of nothing", _sparse, "quarantined", "implausible", None),
        Case("hostile", "pipe", _pipe, "quarantined", "not_a_file", None),
        Case("hostile", "device", lambda folder: Path("/dev/zero"), "quarantined", "not_a_file", None),
        Case("hostile", "socket", _socket, "quarantined", "not_a_file", None),
        Case("hostile", "folder named wav", _folder, "quarantined", "not_a_file", None),
        Case("hostile", "mp4 that points to another file", _file("call.m4a", outward_mp4)),
    ]


def flac_bomb() -> bytes:
    """Ten hours in less than 1 MB: 2.3 GB once decoded."""
    return makers.flac(36_000)


def outward_mp4() -> bytes:
    """An MP4 whose samples are said to stand in /etc/passwd."""
    data = bytearray(whole("mp4"))
    url = b"file:///etc/passwd\0"
    at = data.index(b"url \0\0\0\x01")
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref", b"url "):
        size = data.rindex(box, 0, at + 4) - 4
        data[size : size + 4] = struct.pack(">I", struct.unpack(">I", data[size : size + 4])[0] + len(url))
    data[at + 4 : at + 8] = bytes(4)  # no longer "in this file"
    data[at + 8 : at + 8] = url
    return bytes(data)


def _sparse(folder: Path) -> Path:
    path = makers.write(folder / "call.wav", stereo_wav())
    os.truncate(path, 1 << 40)
    return path


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "call.wav")
    return folder / "call.wav"


def _socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket may have no more than 108 bytes
        try:
            server.bind("call.wav")
        finally:
            os.chdir(here)
    return folder / "call.wav"


def _folder(folder: Path) -> Path:
    (folder / "call.wav").mkdir()
    return folder / "call.wav"


NAMES = (
    "with spaces.wav",
    "line\nbreak.wav",
    "re\u0301pondeur.wav",
    "-rf.wav",
    "sip:+33140000000@pbx.wav",
    "call_%03d.wav",
    "$(touch x);`id`.wav",
    "call?.wav",
    "[12].wav",
    "\u202egnp.wav",
)


def _name_cases() -> list[Case]:
    cases = [Case("names", ascii(name), _file(name, stereo_wav), channels=2) for name in NAMES]
    raw = lambda folder: Path(os.fsdecode(_raw_name(folder)))  # noqa: E731
    return [*cases, Case("names", "bytes that are no UTF-8", raw, channels=2)]


def _raw_name(folder: Path) -> bytes:
    path = os.fsencode(folder) + b"/r\xe9pondeur.wav"
    with open(path, "wb") as file:
        file.write(stereo_wav())
    return path


def cases() -> list[Case]:
    """All of them."""
    return [
        *_format_cases(),
        *_header_cases(),
        *_damage_cases(),
        *_channel_cases(),
        *_sound_cases(),
        *_hostile_cases(),
        *_name_cases(),
    ]
