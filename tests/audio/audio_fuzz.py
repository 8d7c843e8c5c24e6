"""Mutated recordings: what a failing disk, a wrong program or a hostile hand makes of a good file."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import audio_makers as makers

_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds(seconds: float = 0.4) -> dict[str, bytes]:
    """Short good files of every format, by suffix-like names."""
    two, wide = makers.stereo(seconds), makers.stereo(seconds, 48_000)
    return {
        "pcm.wav": makers.wav(two, after=makers.chunk(b"LIST", bytes(40)), before=makers.chunk(b"bext", bytes(50))),
        "mulaw.wav": makers.encoded(two, 8000, "pcm_mulaw", "wav"),
        "ima.wav": makers.encoded(two, 8000, "adpcm_ima_wav", "wav"),
        "ms.wav": makers.encoded(two, 8000, "adpcm_ms", "wav"),
        "gsm.wav": makers.gsm_wav(seconds),
        "raw.gsm": makers.gsm(seconds),
        "a.mp3": makers.encoded(two, 8000, "libmp3lame", "mp3", bit_rate=32_000),
        "a.opus": makers.encoded(wide, 48_000, "libopus", "ogg", bit_rate=24_000),
        "vorbis.ogg": makers.encoded(makers.stereo(seconds, 16_000), 16_000, "vorbis", "ogg"),
        "a.flac": makers.encoded(two, 8000, "flac", "flac"),
        "a.m4a": makers.encoded(two, 8000, "aac", "mp4", bit_rate=32_000),
        "a.aac": makers.encoded(two, 8000, "aac", "adts", bit_rate=32_000),
        "a.webm": makers.encoded(wide, 48_000, "libopus", "webm", bit_rate=24_000),
        "a.amr": makers.encoded(makers.chatter(seconds), 8000, "libopencore_amrnb", "amr", bit_rate=12_200),
        "a.aiff": makers.encoded(two, 8000, "pcm_s16be", "aiff"),
        "a.au": makers.encoded(two, 8000, "pcm_mulaw", "au"),
        "a.caf": makers.encoded(two, 8000, "pcm_s16le", "caf"),
        "a.w64": makers.encoded(two, 8000, "pcm_s16le", "w64"),
        "a.wma": makers.encoded(makers.stereo(seconds, 16_000), 16_000, "wmav2", "asf", bit_rate=32_000),
    }


def mutated(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """``data`` with one to eight things done to it, more of them near its start, where headers are."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        if not out:
            break
        reach = rng.choice((16, 64, 512, len(out)))
        at = rng.randrange(min(reach, len(out)))
        rng.choice(_WAYS)(out, at, rng, others)
    return bytes(out)


def _bit(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    out[at] ^= 1 << rng.randrange(8)


def _byte(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    out[at] = rng.randrange(256)


def _extreme(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    form = rng.choice(("<I", ">I", "<H", ">H", "<Q", ">Q"))
    size = struct.calcsize(form)
    value = rng.choice(_EXTREMES) + rng.choice((0, 0, 1, -1))
    out[at : at + size] = struct.pack(form, value & ((1 << 8 * size) - 1))


def _cut(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    del out[at + rng.randrange(1, 64) :]


def _drop(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    del out[at : at + rng.choice((1, 2, 3, 4, 16, 300))]


def _insert(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    out[at:at] = rng.randbytes(rng.choice((1, 2, 3, 4, 16, 300)))


def _repeat(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    out[at:at] = bytes(out[at : at + rng.choice((4, 16, 300))]) * rng.choice((1, 2, 50))


def _zero(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    length = min(len(out) - at, rng.choice((4, 16, 300)))
    out[at : at + length] = bytes(length)


def _splice(out: bytearray, at: int, rng: random.Random, others: list[bytes]) -> None:
    other = rng.choice(others)
    start = rng.randrange(len(other))
    out[at:] = other[start : start + 4000]


_WAYS: tuple[Callable[[bytearray, int, random.Random, list[bytes]], None], ...] = (
    _bit, _bit, _byte, _extreme, _extreme, _extreme, _cut, _drop, _insert, _repeat, _zero, _splice,
)  # fmt: skip
