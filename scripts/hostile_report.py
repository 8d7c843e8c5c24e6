"""What becomes of every broken and hostile recording: the table of status, reason, seconds, time and memory.

    python scripts/hostile_report.py [--heavy] [--strace] [--output table.md]

``--heavy`` adds the large ones: ten hours, ten thousand calls, a hundred thousand files. ``--strace`` runs the cases
under strace and counts what the decoding processes did beyond decoding. Exits with 1 if any outcome is unexpected.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "audio")]

import audio_cases  # type: ignore[import-not-found]
import audio_makers as makers  # type: ignore[import-not-found]

from callscan.audio import Decoder, Reject, discover
from callscan.errors import RecordingError
from callscan.speech.api import CallAudio
from callscan.speech.vad import spans_of, speech_probabilities

MIB = 1 << 20


@dataclass
class Row:
    """One line of the table; ``memory`` is the peak of the decoding process in MiB, None where it is not known."""

    group: str
    name: str
    status: str
    reason: str = ""
    detail: str = ""
    recovered: float | None = None
    lost: float | None = None
    seconds: float = 0.0
    memory: float | None = None
    expected: bool = True

    def __str__(self) -> str:
        def number(value: float | None, digits: int = 2) -> str:
            return "" if value is None else f"{value:.{digits}f}"

        mark = "" if self.expected else " **unexpected**"
        detail = self.detail.replace("|", "/")
        return (
            f"| {self.group} | {self.name} | {self.status}{mark} | {self.reason} | {number(self.recovered)} "
            f"| {number(self.lost)} | {number(self.seconds, 3)} | {number(self.memory, 0)} | {detail} |"
        )


HEADER = """\
| group | recording | status | reason | recovered s | lost s | time s | peak MiB | detail |
|---|---|---|---|---:|---:|---:|---:|---|"""


class Probe:
    """Decodes one recording at a time and watches the process that does it."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        with tempfile.TemporaryDirectory() as folder:
            self.decoder.decode(makers.write(Path(folder) / "a.wav", audio_cases.stereo_wav())).close()

    def run(self, group: str, name: str, path: Path | str) -> tuple[Row, float]:
        """The row of one recording, and its seconds of speech."""
        process = self.decoder._idle[-1].pid if self.decoder._idle else None
        if process:
            Path(f"/proc/{process}/clear_refs").write_text("5")  # starts the peak anew
        start, speech = time.perf_counter(), 0.0
        try:
            with self.decoder.decode(path) as call:
                row = Row(group, name, "degraded" if call.problems else "decoded")
                row.seconds = time.perf_counter() - start
                row.reason = call.problems[0][0] if call.problems else ""
                row.detail = "; ".join([*(detail for _, detail in call.problems), *call.warnings])
                row.recovered, row.lost = call.info.decoded, call.info.lost
                if group == "sounds":
                    audio = CallAudio("", call.duration, 1, call.read)
                    spans = spans_of(speech_probabilities(audio, 0), call.duration, 30.0)
                    speech = sum(span.duration for span in spans)
        except RecordingError as error:
            row = Row(
                group, name, "deferred" if error.reason == "changing" else "quarantined", error.reason, error.message
            )
            row.seconds = time.perf_counter() - start
        if process and Path(f"/proc/{process}/status").exists():
            found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
            row.memory = int(found[1]) / 1024 if found else None
        return row, speech


def small(probe: Probe) -> Iterator[Row]:
    """Every case of the tests."""
    for case in audio_cases.cases():
        with tempfile.TemporaryDirectory() as folder:
            row, speech = probe.run(case.group, case.name, case.make(Path(folder)))
        row.expected = (row.status, row.reason) == (case.status, case.reason)
        if case.group == "sounds" and row.status == "decoded" and not speech:
            row.status, row.reason = "no_speech", "no_speech"
        elif case.group == "sounds":
            row.detail, row.expected = f"{speech:.1f} s taken for speech", False
        yield row


def folder_rows() -> Iterator[Row]:
    """What is found in a folder and is no recording."""
    with tempfile.TemporaryDirectory() as inside, tempfile.TemporaryDirectory() as outside:
        makers.write(Path(outside) / "secret.wav", audio_cases.stereo_wav())
        (Path(inside) / "link to a recording outside.wav").symlink_to(Path(outside) / "secret.wav")
        (Path(inside) / "link to a folder outside").symlink_to(outside)
        (Path(inside) / "link to a device.wav").symlink_to("/dev/zero")
        (Path(inside) / "link to nothing.wav").symlink_to("nowhere")
        os.mkfifo(Path(inside) / "pipe.wav")
        (Path(inside) / "folder.wav").mkdir()
        makers.write(Path(inside) / "folder.wav" / "good.wav", audio_cases.stereo_wav())
        for found in discover([inside]):
            name = str(Path(found.uri).relative_to(inside))
            if isinstance(found, Reject):
                yield Row("folder", name, "quarantined", found.reason, found.detail)
            else:
                yield Row("folder", name, "discovered", expected=name == "folder.wav/good.wav")


def heavy(probe: Probe) -> Iterator[Row]:
    """Large recordings, many recordings, and one that grows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        row, _ = probe.run("large", "FLAC of 7 MB that unfolds to 10 hours", _bomb(folder))
        row.expected = row.reason == "implausible"
        yield row
        row, _ = probe.run("large", "call of 10 hours, mu-law stereo", _ten_hours(folder))
        row.expected = row.status == "decoded" and row.recovered == 36_000
        yield row
        yield _growing(probe, folder)
    yield _ten_thousand(probe)
    yield _inventory()


def _bomb(folder: Path) -> Path:
    path: Path = makers.write(folder / "bomb.flac", makers.flac(36_000, padding=6_800_000))
    return path


def _ten_hours(folder: Path) -> Path:
    minute = makers.encoded(makers.stereo(60), 8000, "pcm_mulaw", "wav")
    samples = minute[minute.index(b"data") + 8 :][: 2 * 8000 * 60]
    head = makers.riff(b"", tag=7, count=2, bits=8, size=600 * len(samples))
    with open(folder / "long.wav", "wb") as file:
        file.write(head)
        for _ in range(600):
            file.write(samples)
    return folder / "long.wav"


def _growing(probe: Probe, folder: Path) -> Row:
    """A recorder appends while the file is decoded."""
    path, stop = makers.write(folder / "growing.wav", makers.wav(makers.stereo(600), size=0)), threading.Event()

    def grow() -> None:
        with open(path, "ab", buffering=0) as file:
            while not stop.wait(0.002):
                file.write(bytes(320))

    writer = threading.Thread(target=grow)
    writer.start()
    row, _ = probe.run("large", "file that grows while it is read", path)
    stop.set()
    writer.join()
    row.expected = row.reason == "changing"
    return row


def _ten_thousand(probe: Probe) -> Row:
    data = audio_cases.mulaw_wav()
    with tempfile.TemporaryDirectory() as folder:
        short = makers.encoded(makers.stereo(2), 8000, "pcm_mulaw", "wav")
        for number in range(10_000):
            makers.write(Path(folder) / f"{number:05}.wav", short + number.to_bytes(4, "big"))
        start, recovered, good = time.perf_counter(), 0.0, 0
        for found in discover([folder]):
            with probe.decoder.decode(found.uri) as call:
                good += not call.problems
                recovered += call.info.decoded
    del data
    row = Row("large", "10,000 calls of 2 s", "decoded", recovered=recovered, lost=0.0)
    row.seconds = time.perf_counter() - start
    row.detail = f"{good} whole, {row.seconds / 10_000 * 1000:.2f} ms each, program's peak {_own_peak():.0f} MiB"
    row.expected = good == 10_000
    return row


def _inventory() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(100_000):
            place = Path(folder) / f"{number // 1000:03}"
            if number % 1000 == 0:
                place.mkdir()
            os.close(os.open(place / f"{number:06}.wav", os.O_CREAT | os.O_WRONLY))
        before, start = _own_peak(), time.perf_counter()
        count = sum(1 for _ in discover([folder]))
        row = Row("large", "inventory of 100,000 files", "discovered", seconds=time.perf_counter() - start)
        row.detail = f"{count} found, program's peak grew by {_own_peak() - before:.1f} MiB"
    row.expected = count == 100_000
    return row


def _own_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def traced() -> str:
    """What the decoding processes did once they were locked down, told by strace on all the small cases."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        calls = "trace=%file,%network,%process,seccomp"
        command = ["strace", "-f", "-qq", "-e", calls, "-e", "signal=none", "-o", str(log)]
        subprocess.run([*command, sys.executable, __file__], stdout=subprocess.DEVNULL, check=False)
        return _judged(log.read_text(errors="replace").splitlines())


def _judged(lines: list[str]) -> str:
    harmless = re.compile(
        r"recvmsg\(0|sendto\(0|exit_group|exit\(|newfstatat\(\d+, \"\"|\+\+\+|<\.\.\. recvmsg resumed>"
    )
    locked: set[str] = set()
    done: list[str] = []
    refused: Counter[str] = Counter()
    for line in lines:
        process, _, call = line.partition(" ")
        call = call.strip()
        if call.startswith("seccomp(") and call.endswith("= 0"):
            locked.add(process)
        elif process in locked and re.search(r"= -1 E(PERM|MFILE)", call):
            refused[call.partition("(")[0]] += 1
        elif process in locked and not harmless.match(call):
            done.append(call)
    told = (
        f"{len(locked)} decoding process(es) touched a file, a socket or a process {len(done)} times beyond their own"
    )
    return "\n".join([f"{told}; the kernel refused {dict(refused)}", *done[:20]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heavy", action="store_true")
    parser.add_argument("--strace", action="store_true")
    parser.add_argument("--output", type=argparse.FileType("w"), default=sys.stdout)
    options = parser.parse_args()
    probe, rows = Probe(), []
    parts: list[Callable[[], Iterator[Row]]] = [lambda: small(probe), folder_rows]
    if options.heavy:
        parts.append(lambda: heavy(probe))
    print(HEADER, file=options.output)
    for part in parts:
        for row in part():
            rows.append(row)
            print(row, file=options.output, flush=True)
    probe.decoder.close()
    unexpected = sum(not row.expected for row in rows)
    crashed = sum(row.reason in ("decoder_crash", "limit_time", "limit_memory", "internal") for row in rows)
    slowest = max(row.seconds for row in rows if row.group != "large")
    print(
        f"\n{len(rows)} recordings: {unexpected} unexpected, {crashed} crashed or hung; slowest of the small ones "
        f"{slowest:.2f} s, peak {max(row.memory or 0 for row in rows):.0f} MiB",
        file=options.output,
    )
    if options.strace:
        print(f"\nUnder strace, {traced()}", file=options.output)
    return int(unexpected > 0)


if __name__ == "__main__":
    sys.exit(main())
