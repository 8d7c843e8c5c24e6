"""No channel on which somebody speaks is lost: not a quiet one, not one that joins later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import audio_makers as makers
import numpy as np
import pytest

from callscan.audio import Decoded, Decoder

RATE = 8000


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


def _loudness(call: Decoded, channel: int, start: float, end: float) -> float:
    """Root mean square of a part, 0 to 1."""
    return float(np.sqrt((call.read(channel, start, end) ** 2).mean()))


def _words(seconds: float, at: float, level: float, seed: int) -> makers.Samples:
    """One channel of ``seconds`` on which somebody speaks four seconds, ``at`` seconds from its start."""
    samples = makers.silence(seconds, RATE)
    spoken = makers.chatter(4, RATE, seed, level)
    samples[round(at * RATE) :][: len(spoken)] = spoken
    return samples


def test_both_sides_of_a_mostly_silent_call_are_kept(decoder: Decoder, tmp_path: Path) -> None:
    samples = np.hstack([_words(1800, 0, 0.05, 0), _words(1800, 60, 0.05, 1)])
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(samples, RATE))) as call:
        assert (call.channels, call.warnings) == (2, ())
        assert _loudness(call, 0, 0, 4) > 0.005
        assert _loudness(call, 1, 60, 64) > 0.005


def test_a_quiet_side_beside_a_loud_one_is_not_dead(decoder: Decoder, tmp_path: Path) -> None:
    samples = np.hstack([makers.chatter(600, RATE, level=0.9), _words(600, 60, 0.03, 1)])
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(samples, RATE))) as call:
        assert (call.channels, call.warnings) == (2, ())


def test_two_channels_of_faint_noise_are_two(decoder: Decoder, tmp_path: Path) -> None:
    samples = np.hstack([makers.noise(10, RATE, 0.0005, seed) for seed in (1, 2)])
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(samples, RATE))) as call:
        assert (call.channels, call.warnings) == (2, ("dead_channel:0", "dead_channel:1"))


@pytest.mark.parametrize("value", [0, 8])
def test_one_silence_on_two_channels_is_kept_once(value: int, decoder: Decoder, tmp_path: Path) -> None:
    samples = np.full((10 * RATE, 2), value, np.int16)
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(samples, RATE))) as call:
        assert (call.channels, call.warnings) == (1, ("identical_channels", "dead_channel:0"))


@pytest.mark.parametrize("gain", [0.0, 1.0, -1.0], ids=["on the right alone", "on both", "antiphase"])
def test_who_joins_on_a_second_channel_is_heard(gain: float, decoder: Decoder, tmp_path: Path) -> None:
    joins = makers.chatter(4, RATE, 1)
    parts = makers.chatter(4, RATE, 0), np.hstack([(joins * gain).astype(np.int16), joins])
    data = b"".join(makers.encoded(part, RATE, "aac", "adts", bit_rate=32000) for part in parts)
    with decoder.decode(makers.write(tmp_path / "a.aac", data)) as call:
        assert (call.channels, call.problems) == (1, ())
        assert "channels_change" in call.warnings
        assert _loudness(call, 0, 4.5, 8) > 0.4 * _loudness(call, 0, 0, 4)


def test_a_third_channel_is_mixed_into_two(decoder: Decoder, tmp_path: Path) -> None:
    two, three = makers.channels(2, 4, RATE), np.hstack([makers.silence(4, RATE, 2), makers.chatter(4, RATE, 7)])
    data = b"".join(makers.encoded(part, RATE, "flac", "ogg") for part in (two, three))
    with decoder.decode(makers.write(tmp_path / "a.oga", data)) as call:
        assert call.channels == 2
        assert _loudness(call, 0, 4.5, 8) > 0.4 * _loudness(call, 0, 0, 4)
        assert _loudness(call, 1, 4.5, 8) == 0


@pytest.mark.parametrize(("codec", "rate"), [("libopus", 48_000), ("flac", 16_000)])
@pytest.mark.parametrize("counts", [(1, 2), (2, 1), (1, 2, 1)])
def test_every_link_of_a_chain_is_heard(
    codec: str, rate: int, counts: tuple[int, ...], decoder: Decoder, tmp_path: Path
) -> None:
    data = b"".join(makers.encoded(makers.channels(count, 4, rate), rate, codec, "ogg") for count in counts)
    with decoder.decode(makers.write(tmp_path / "a.ogg", data)) as call:
        assert (call.problems, call.warnings) == ((), ("channels_change",))
        assert call.info.lost == 0
        assert call.info.decoded == pytest.approx(4 * len(counts), abs=0.1)
        for number in range(len(counts)):
            assert _loudness(call, 0, 4 * number + 0.2, 4 * number + 3.8) > 0.03
