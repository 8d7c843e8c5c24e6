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


def spent(decoder: Decoder) -> float:
    """CPU seconds of this process and of the decoding process, its start included."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    tasks = [task for sandbox in decoder._idle for task in Path(f"/proc/{sandbox.pid}/task").iterdir()]
    decoding = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    return own.ru_utime + own.ru_stime + decoding


def ours(decoder: Decoder, path: Path, channels: int) -> None:
    """Decode with callscan and read every channel."""
    with decoder.decode(path) as call:
        assert call.channels == channels
        for channel in range(channels):
            assert len(call.read(channel, 0, call.duration)) > 0.99 * SECONDS * 16_000


def theirs(path: Path, channels: int) -> None:
    """Decode with faster-whisper."""
    audio = decode_audio(str(path), split_stereo=channels == 2)
    assert len(audio[0] if channels == 2 else audio) > 0.99 * SECONDS * 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=500)
    kinds = formats()
    each = max(1, parser.parse_args().calls // len(kinds))
    totals = [0.0, 0.0]
    print(f"seconds of audio per CPU second, {each} calls of {SECONDS:.0f} s of each format, one folder, one process")
    print(f"{'format':<28}{'callscan':>10}{'decode_audio':>14}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder, Decoder() as decoder:
        theirs(makers.write(Path(folder) / "first.wav", kinds["wav PCM 8 kHz mono"][1]), 1)  # loads what it loads
        for name, (file, data, channels) in kinds.items():
            cost = [0.0, 0.0]
            for number in range(each):  # in turns, so that what else the machine does falls on both
                path = makers.write(Path(folder) / f"{number}-{file}", data)
                start = spent(decoder)
                ours(decoder, path, channels)
                middle = spent(decoder)
                theirs(path, channels)
                cost = [cost[0] + middle - start, cost[1] + spent(decoder) - middle]
            totals = [total + part for total, part in zip(totals, cost, strict=True)]
            rates = [each * SECONDS / part for part in cost]
            print(f"{name:<28}{rates[0]:>10.0f}{rates[1]:>14.0f}{rates[0] / rates[1]:>8.2f}", flush=True)
    rates = [each * len(kinds) * SECONDS / total for total in totals]
    print(f"{'all, start included':<28}{rates[0]:>10.0f}{rates[1]:>14.0f}{rates[0] / rates[1]:>8.2f}")


if __name__ == "__main__":
    main()
