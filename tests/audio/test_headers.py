"""The header parsers: exact on files as recorders write them, unmoved by anything else."""

from __future__ import annotations

import random
import struct
from functools import cache
from pathlib import Path

import audio_fuzz
import audio_makers as makers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.audio import Decoder, bounds, channels, riff, sniff
from callscan.audio.source import Source
from callscan.errors import REASONS, RecordingError

SAMPLES = makers.stereo(0.25)
BYTES = SAMPLES.nbytes


def _parsed(data: bytes) -> riff.Riff | None:
    return riff.parse(lambda offset, length: data[offset : offset + length], len(data))


@pytest.mark.parametrize(
    ("data", "declared", "present", "overrun"),
    [
        (makers.wav(SAMPLES), BYTES, BYTES, False),
        (makers.wav(SAMPLES, size=0), None, BYTES, False),
        (makers.wav(SAMPLES, size=0xFFFFFFFF), None, BYTES, False),
        (makers.wav(SAMPLES, size=100), 100, BYTES, True),
        (makers.wav(SAMPLES, size=BYTES + 50), BYTES + 50, BYTES, False),
        (makers.wav(SAMPLES)[:-1000], BYTES, BYTES - 1000, False),
        (makers.wav(SAMPLES, after=makers.chunk(b"LIST", bytes(33))), BYTES, BYTES, False),
        (makers.wav(SAMPLES, after=b"\0" * 7), BYTES, BYTES, False),
        (makers.wav(SAMPLES, before=makers.chunk(b"bext", bytes(603))), BYTES, BYTES, False),
        (makers.wav(SAMPLES) * 2, BYTES, 2 * BYTES + 44, True),
        (makers.wav(SAMPLES[:0]), None, 0, False),
    ],
)
def test_sizes_are_compared_with_the_file(data: bytes, declared: int | None, present: int, overrun: bool) -> None:
    header = _parsed(data)
    assert header == riff.Riff(1, 2, 8000, 4, declared, present, overrun)
    assert header.missing == max(0, (declared or 0) - present)


def test_extensible_headers_name_their_codec() -> None:
    extra = struct.pack("<HHIH", 22, 8, 0, 7) + bytes(14)
    header = _parsed(makers.riff(bytes(100), tag=0xFFFE, bits=8, extra=extra))
    assert header is not None
    assert header.tag == 7


@pytest.mark.parametrize("data", [b"", b"RIFF", makers.wav(SAMPLES)[:40], b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 5000])
def test_no_header(data: bytes) -> None:
    assert _parsed(data) is None


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_any_bytes_behind_riff(rest: bytes, length: int) -> None:
    for data in (b"RIFF\0\0\0\0WAVE" + rest, makers.riff(rest, size=length), b"RF64\xff\xff\xff\xffWAVE" + rest):
        header = _parsed(data)
        if header is not None:
            assert 0 <= header.present <= len(data)
            assert header.missing >= 0


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from(["", "wav", "gsm", "nmf", "mp3", "ulaw", "sln"]))
def test_any_bytes_are_something(data: bytes, suffix: str) -> None:
    kind = sniff.identify(data, suffix)
    if not kind.demuxer:
        assert kind.reason in REASONS
        assert kind.detail


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_text_is_never_opened(text: str) -> None:
    data = ("#EXTM3U\n" + text).encode()
    assert sniff.identify(data, "wav").reason == "playlist"
    assert sniff.identify(b"<!DOCTYPE html>" + data, "mp3").demuxer == ""


@cache
def _seeds() -> dict[str, bytes]:
    return audio_fuzz.seeds(0.2)


def test_mutated_files_never_break_the_decoder(tmp_path: Path) -> None:
    """A short form of scripts/fuzz_audio.py."""
    rng, others = random.Random(7), list(_seeds().values())
    outcomes = set()
    with Decoder() as decoder:
        for number in range(200):
            name = rng.choice(list(_seeds()))
            path = makers.write(tmp_path / name, audio_fuzz.mutated(_seeds()[name], rng, others))
            with open(path, "rb") as file:
                data = file.read()
                kind = sniff.identify(data, name.rpartition(".")[2])
                shape = bounds.measure(Source(file.fileno(), len(data)), kind.demuxer)
            assert 0 <= shape.present <= len(data), number
            try:
                decoder.decode(path).close()
                outcomes.add("decoded")
            except RecordingError as error:
                outcomes.add(error.reason)
    assert {"decoded", "truncated", "corrupt"} <= outcomes
    assert not outcomes & {"decoder_crash", "limit_time", "limit_memory", "internal", "unreadable"}


@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_channels_that_carry_one_signal_are_kept_once(count: int, rng: random.Random) -> None:
    import numpy as np

    voices = np.random.default_rng(rng.randrange(2**32)).normal(0, 3000, (count, 2000))
    origin = [rng.randrange(count) for _ in range(count)]
    gains = [rng.choice((1.0, -1.0, 0.5)) for _ in range(count)]
    signals = np.stack([voices[source] * gain for source, gain in zip(origin, gains, strict=True)])
    products = signals @ signals.T
    kept, _ = channels.judge(products.tolist(), (products.diagonal() / 2000).tolist())
    assert [origin[channel] for channel in kept] == list(dict.fromkeys(origin))
