"""Memory and speed of a scan at both ends: one recording of ten hours, and a thousand of ten seconds.

    python scripts/bench_memory.py --hours 10 --calls 1000 --model demo

The recordings are the stereo sample calls end to end, and pieces of them, as 8 kHz PCM. Each scan runs in a process
of its own. Memory is the peak of that process, and what it is above that of the loaded model; decoders are apart.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import tempfile
import time
import wave
from functools import partial
from pathlib import Path
from typing import Any

from callscan.config import Settings
from callscan.runners.scan import scan
from callscan.speech.api import SpeechEngine
from callscan.worker import load_engine

CALLS = Path(__file__).parents[1] / "callscan" / "demo" / "calls"
MEGABYTE = 1024
RATE, FRAME = 8000, 4


def loaded(settings: Settings, peak: dict[str, float]) -> SpeechEngine:
    """The engine, and what the process has taken so far."""
    engine = load_engine(settings)
    peak["loaded"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    return engine


def run(recordings: Path, archive: Path, model: str, answer: Any) -> None:
    """Scan, and tell what it took."""
    settings = Settings().override(speech={"model": model, "device": "cpu"}, calls={"settle": 0.0})
    peak: dict[str, float] = {}
    began = time.perf_counter()
    report = scan(recordings, archive=archive, settings=settings, engine=partial(loaded, settings, peak))
    taken = time.perf_counter() - began
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    decoder = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MEGABYTE
    coverage = report.coverage
    answer.put(
        {
            "recordings": coverage.discovered,
            "scanned": coverage.scanned + coverage.no_speech + coverage.degraded,
            "audio_seconds": round(report.cost.audio_seconds),
            "seconds": round(taken, 1),
            "realtime_factor": round(report.cost.audio_seconds / taken, 1),
            "peak_mb": round(own),
            "above_the_model_mb": round(own - peak["loaded"]),
            "largest_decoder_mb": round(decoder),
        }
    )


def sample_calls() -> bytes:
    """The stereo sample calls end to end, as 8 kHz 16-bit PCM."""
    stereo = [Path(CALLS / entry["file"]) for entry in json.loads((CALLS / "truth.json").read_text("utf-8")).values()
              if entry["channels"] == 2]  # fmt: skip
    command = ["ffmpeg", "-v", "error", "-i", "", "-f", "s16le", "-ac", "2", "-ar", str(RATE), "-"]
    return b"".join(
        subprocess.run([part or str(file) for part in command], check=True, capture_output=True).stdout
        for file in stereo
    )


def write(file: Path, sound: bytes, start: float, seconds: float) -> None:
    """``seconds`` of the sound, again and again, from ``start``."""
    left, at = int(seconds * RATE) * FRAME, int(start * RATE) * FRAME % len(sound)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        while left:
            part = sound[at : at + left]
            out.writeframes(part)
            left, at = left - len(part), 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--model", default="demo")
    options = parser.parse_args()
    sound = sample_calls()
    with tempfile.TemporaryDirectory(prefix="callscan-bench-") as folder:
        work = Path(folder)
        (work / "long").mkdir()
        (work / "short").mkdir()
        if options.hours:
            write(work / "long" / "long.wav", sound, 0, options.hours * 3600)
        for number in range(options.calls):
            write(work / "short" / f"{number:04d}.wav", sound, 7.3 * number, 10)
        for name in (["long"] if options.hours else []) + (["short"] if options.calls else []):
            answer: Any = multiprocessing.get_context("spawn").Queue()
            process = multiprocessing.get_context("spawn").Process(
                target=run, args=(work / name, work / f"archive-{name}", options.model, answer)
            )
            process.start()
            print(name, json.dumps(answer.get()), flush=True)
            process.join()


if __name__ == "__main__":
    main()
