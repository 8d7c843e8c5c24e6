"""Decoding throughput per core: callscan, sandbox included, against ``faster_whisper.decode_audio``.

Makes a folder of calls of 60 s in the formats of recorders, decodes all of them with both to 16 kHz float samples,
channels apart (``split_stereo=True`` for stereo), and prints seconds of audio per CPU second. CPU time counts the
decoding processes, their start included.

    python scripts/bench_decode.py [--calls 500]
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "audio")]

import audio_makers as makers  # type: ignore[import-not-found]
from faster_whisper import decode_audio

from callscan.audio import Decoder

SECONDS = 60.0


def formats() -> dict[str, tuple[str, bytes, int]]:
    """Name of each format: file name, bytes, channels."""
    two, wide, one = makers.stereo(SECONDS), makers.stereo(SECONDS, 48_000), makers.chatter(SECONDS)
    return {
        "wav mu-law 8 kHz stereo": ("c.wav", makers.encoded(two, 8000, "pcm_mulaw", "wav"), 2),
        "wav A-law 8 kHz stereo": ("c.wav", makers.encoded(two, 8000, "pcm_alaw", "wav"), 2),
        "wav PCM 8 kHz stereo": ("c.wav", makers.wav(two), 2),
        "wav PCM 8 kHz mono": ("c.wav", makers.wav(one), 1),
        "wav PCM 16 kHz stereo": ("c.wav", makers.wav(makers.stereo(SECONDS, 16_000), 16_000), 2),
        "wav GSM 8 kHz mono": ("c.wav", makers.gsm_wav(SECONDS), 1),
        "wav IMA ADPCM 8 kHz stereo": ("c.wav", makers.encoded(two, 8000, "adpcm_ima_wav", "wav"), 2),
        "mp3 8 kHz stereo": ("c.mp3", makers.encoded(two, 8000, "libmp3lame", "mp3", bit_rate=32_000), 2),
        "opus 48 kHz stereo": ("c.opus", makers.encoded(wide, 48_000, "libopus", "ogg", bit_rate=24_000), 2),
        "flac 8 kHz stereo": ("c.flac", makers.encoded(two, 8000, "flac", "flac"), 2),
    }


def spent() -> float:
    """CPU seconds of this process and of those of its children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def ours(paths: list[Path], channels: int) -> None:
    """Decode with callscan and read every channel, a minute at a time."""
    with Decoder() as decoder:
        for path in paths:
            with decoder.decode(path) as call:
                assert call.channels == channels
                for channel in range(channels):
                    assert len(call.read(channel, 0, call.duration)) > 0.99 * SECONDS * 16_000


def theirs(paths: list[Path], channels: int) -> None:
    """Decode with faster-whisper."""
    for path in paths:
        audio = decode_audio(str(path), split_stereo=channels == 2)
        assert len(audio[0] if channels == 2 else audio) > 0.99 * SECONDS * 16_000


def timed(work: Callable[[list[Path], int], None], paths: list[Path], channels: int) -> float:
    """CPU seconds that ``work`` takes."""
    start = spent()
    work(paths, channels)
    return spent() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=500)
    each = max(1, parser.parse_args().calls // len(formats()))
    totals = [0.0, 0.0]
    print(
        f"{'format':<28}{'callscan':>10}{'decode_audio':>14}{'ratio':>8}   "
        f"seconds of audio per CPU second, {each} calls each"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, data, channels) in formats().items():
            paths = [makers.write(Path(folder) / f"{number}-{file}", data) for number in range(each)]
            theirs(paths[:1], channels)  # loads what it loads
            cost = [timed(ours, paths, channels), timed(theirs, paths, channels)]
            totals = [total + part for total, part in zip(totals, cost, strict=True)]
            rates = [each * SECONDS / part for part in cost]
            print(f"{name:<28}{rates[0]:>10.0f}{rates[1]:>14.0f}{rates[0] / rates[1]:>8.2f}", flush=True)
            for path in paths:
                path.unlink()
    rates = [each * len(formats()) * SECONDS / total for total in totals]
    print(f"{'all':<28}{rates[0]:>10.0f}{rates[1]:>14.0f}{rates[0] / rates[1]:>8.2f}")


if __name__ == "__main__":
    main()
