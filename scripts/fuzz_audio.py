"""Throws mutated recordings at the header parsers and at the sandboxed decoder, and counts what comes of them.

    python scripts/fuzz_audio.py [--inputs 100000] [--seed 1] [--keep FOLDER]

Half the inputs go through the header parsers in this process, where any exception is a failure; half through the
decoder, where a dead or killed decoding process is one. Failing inputs are kept in the folder. Exits with 1 on
failures.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "audio")]

import audio_fuzz  # type: ignore[import-not-found]

from callscan.audio import DecodeLimits, Decoder, bounds, sniff
from callscan.audio.source import Source
from callscan.errors import REASONS, RecordingError

FAILURES = ("decoder_crash", "limit_time", "internal", "unreadable")


def parse(data: bytes, path: Path) -> str:
    """Run the header parsers over ``data``, which stands in ``path`` too; what they make of it."""
    kind = sniff.identify(data[: sniff.HEAD], path.suffix[1:])
    if not kind.demuxer:
        assert kind.reason in REASONS
        assert kind.detail
        return kind.reason
    with path.open("rb") as file:
        shape = bounds.measure(Source(file.fileno(), len(data)), kind.demuxer)
    assert 0 <= shape.present <= len(data)
    assert shape.missing >= 0
    return kind.demuxer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    files = audio_fuzz.seeds()
    names, others, rng = list(files), list(files.values()), random.Random(options.seed)
    headers: Counter[str] = Counter()
    decodings: Counter[str] = Counter()
    slowest, start = 0.0, time.monotonic()

    def keep(data: bytes, name: str, number: int, why: object) -> None:
        options.keep.mkdir(exist_ok=True)
        (options.keep / f"{options.seed}-{number}-{name}").write_bytes(data)
        print(f"input {number} ({name}): {why}", flush=True)

    with tempfile.TemporaryDirectory() as folder, Decoder(DecodeLimits(seconds=20)) as decoder:
        for number in range(options.inputs):
            name = rng.choice(names)
            data = audio_fuzz.mutated(files[name], rng, others)
            path = Path(folder) / name
            path.write_bytes(data)
            if number % 2:
                try:
                    headers[parse(data, path)] += 1
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
                    headers["FAILED"] += 1
                    keep(data, name, number, repr(error))
                continue
            began = time.monotonic()
            try:
                decoder.decode(path).close()
                decodings["decoded"] += 1
            except RecordingError as error:
                decodings[error.reason] += 1
                if error.reason in FAILURES or "Error:" in error.message:
                    keep(data, name, number, f"{error.reason}: {error.message}")
            slowest = max(slowest, time.monotonic() - began)
            if number % 20_000 == 0:
                print(f"{number} of {options.inputs}, {time.monotonic() - start:.0f} s", flush=True)
    print(f"header parsers: {sum(headers.values())} inputs, {dict(headers.most_common())}")
    print(f"decoder: {sum(decodings.values())} inputs, slowest {slowest:.2f} s, {dict(decodings.most_common())}")
    failures = headers["FAILED"] + sum(decodings[reason] for reason in FAILURES)
    print(f"{failures} failures in {time.monotonic() - start:.0f} s")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
