"""Kill scans at random points, run them again, and compare with the scan that nobody killed.

    python scripts/crash_test.py --rounds 200 --runner local
    python scripts/crash_test.py --rounds 200 --runner ray
    python scripts/crash_test.py --writes

Each round scans the same synthetic recordings into a new archive and sends SIGKILL at a random moment: to the run, to
one of its children (decoders, Ray workers), or to all of them at once. Then the scan is run again, and sometimes killed
again, until it ends. All the while a reader opens the archive as fast as it can and must never see half a file. At the
end the report must be byte for byte the uninterrupted one, the clock aside, and the archive sound.

``--writes`` makes every single write and fsync to the archive fail once instead, on a full disk and on a broken one.
"""

from __future__ import annotations

import argparse
import errno
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
import wave
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from callscan.archive import Archive, store
from callscan.archive.verify import verify
from callscan.audio import hash_file
from callscan.config import Settings
from callscan.errors import ArchiveError
from callscan.runners.scan import scan
from callscan.speech.fake import fake_engine

RESULTS = ("report/report.json", "report/hits.jsonl", "report/issues_by_day.csv")
CALLS = 24

LEXICON = """
id = "waiting"
version = 1
label = { fr = "Attente", en = "Waiting" }
severity = 3
patterns = ["minutes d'attente", "troisième fois"]
"""


def make_recordings(folder: Path, calls: int = CALLS, seconds: float = 2.0, seed: int = 0) -> None:
    """Stereo telephone calls of noise bursts, 8 kHz; two names for one call, one file that is no audio."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for call in range(calls):
        samples = np.zeros((int(8000 * (seconds + call % 3)), 2))
        for channel in range(2):
            start = 0
            while start < len(samples):
                start += int(8000 * rng.uniform(0.4, 1.0))
                length = int(8000 * rng.uniform(0.5, 1.5))
                part = samples[start : start + length, channel]
                part[:] = rng.normal(0, rng.uniform(0.05, 0.3), len(part))
                start += length
        with wave.open(str(folder / f"call_{call:05d}.wav"), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    (folder / "twin.wav").write_bytes((folder / "call_00000.wav").read_bytes())
    (folder / "page.wav").write_text("<html>moved</html>", encoding="utf-8")
    for path in folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))


def make_lexicon(folder: Path) -> None:
    """One issue, and no need of the built-in classes."""
    folder.mkdir(parents=True)
    (folder / "_classes.toml").write_text('[classes]\nbill = "facture"\n', encoding="utf-8")
    (folder / "waiting.toml").write_text(LEXICON, encoding="utf-8")


def settings(lexicon: Path, runner: str) -> Settings:
    """Shards of three calls, so that there is much to interrupt."""
    return Settings().override(
        shards={"calls": 3},
        calls={"settle": 0.0},
        keywords=str(lexicon),
        ray={"address": os.environ.get("RAY_ADDRESS", ""), "workers": 2} if runner == "ray" else {},
    )


def run_scan(recordings: Path, archive: Path, options: Settings) -> None:
    """A scan in a process of its own."""
    os.setsid()
    scan(recordings, archive=archive, settings=options, engine=fake_engine)


def children(pid: int) -> list[int]:
    """All processes that descend from one, in /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def ray_workers() -> list[int]:
    """Ray's worker processes that run our actor, of any cluster of this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def results(archive: str | Path) -> dict[str, bytes]:
    """What was counted, the clock aside: what the work took is another each time."""
    store = Archive(str(archive)).store
    found = {name: store.read(name) for name in RESULTS}
    report = json.loads(found[RESULTS[0]])
    report["cost"]["work"] = None
    return found | {RESULTS[0]: json.dumps(report).encode()}


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Reader(threading.Thread):
    """Reads the archive while it is written: what is seen must always be whole."""

    def __init__(self, archive: Path) -> None:
        super().__init__(daemon=True)
        self.archive = archive
        self.reads = 0
        self.problems: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Until ``ended`` is set."""
        while not self.ended.wait(0.05):
            try:
                archive = Archive(str(self.archive))
                for shard in archive.shard_ids():
                    archive.table(shard)
                    self.reads += 1
            except ArchiveError as error:
                if not error.message.startswith("no archive"):
                    self.problems.append(error.message)


class Disk:
    """A layer over the file system under the archive: the Nth write or fsync fails. Use it as a context manager."""

    def __init__(self) -> None:
        self.count, self.fail_at, self.code = 0, 0, 0
        self._fsync = os.fsync

    def __enter__(self) -> Disk:
        vars(store)["open"] = self.open
        vars(os)["fsync"] = self.fsync
        return self

    def __exit__(self, *_: object) -> None:
        del vars(store)["open"]
        vars(os)["fsync"] = self._fsync

    def open(self, path: Path, mode: str) -> IO[Any]:
        """As the built-in one, but a write that is to fail leaves half of its bytes."""
        file = open(path, mode)  # noqa: SIM115 - handed to the caller
        if self._fails():
            file.write(b"half")
            file.close()
            raise OSError(self.code, os.strerror(self.code))
        return file

    def fsync(self, descriptor: int) -> None:
        """As os.fsync."""
        if self._fails():
            raise OSError(self.code, os.strerror(self.code))
        self._fsync(descriptor)

    def _fails(self) -> bool:
        self.count += 1
        return self.count == self.fail_at


def count_writes(disk: Disk, recordings: Path, archive: Path, options: Settings) -> int:
    """How many writes and fsyncs a scan makes."""
    disk.count, disk.fail_at = 0, 0
    scan(recordings, archive=archive, settings=options, engine=fake_engine)
    return disk.count


def fail_write(disk: Disk, step: int, code: int, recordings: Path, archive: Path, options: Settings) -> None:
    """Scan with one failing write, which must end the run with a clear error, and scan again."""
    disk.count, disk.fail_at, disk.code = 0, step, code
    try:
        scan(recordings, archive=archive, settings=options, engine=fake_engine)
    except ArchiveError as error:
        if os.strerror(code) not in error.message:
            raise
    else:
        raise AssertionError(f"write {step} failed and nobody noticed")
    if list(archive.rglob(".partial-*")):
        raise AssertionError(f"write {step} left half a file")
    disk.fail_at = 0
    scan(recordings, archive=archive, settings=options, engine=fake_engine)


def fail_every_write(work: Path) -> bool:
    """Every write, on a full disk and on a broken one; whether the report was always the same."""
    make_recordings(work / "few", calls=5, seconds=1.0)
    options = settings(work / "lexicon", "local")
    equal = 0
    with Disk() as disk:
        steps = count_writes(disk, work / "few", work / "whole", options)
        for step in range(1, steps + 1):
            for code in (errno.ENOSPC, errno.EIO):
                archive = work / f"archive-{step}-{code}"
                fail_write(disk, step, code, work / "few", archive, options)
                same = results(archive) == results(work / "whole")
                equal += same and not verify(Archive(str(archive)), hash_file).problems
            print(f"write {step} of {steps}: {equal} equal so far", flush=True)
    print(f"{equal} of {2 * steps} equal (failing writes)")
    return equal == 2 * steps


def play_round(
    number: int, work: Path, recordings: Path, options: Settings, runner: str, length: float, seed: int
) -> dict[str, Any]:
    """One archive: killed, continued, compared. Gives what happened."""
    context = multiprocessing.get_context("forkserver")
    rng = random.Random(f"{seed} {number}")
    archive = work / f"archive-{number}"
    reader = Reader(archive)
    reader.start()
    kills: list[str] = []
    began = time.monotonic()
    while True:
        process = context.Process(target=partial(run_scan, recordings, archive, options))
        process.start()
        killed = False
        if len(kills) < 1 or (len(kills) < 4 and rng.random() < 0.3):
            process.join(rng.uniform(0, length))
            if process.is_alive() and process.pid is not None:
                below = children(process.pid) + (ray_workers() if runner == "ray" else [])
                choice = rng.choice(["run", "child", "all"])
                if choice == "child" and below:
                    kill(rng.choice(below))
                else:
                    kill(process.pid)
                    for pid in below if choice == "all" else []:
                        kill(pid)
                kills.append(choice)
                killed = True
            else:
                kills.append("ended before")
        process.join()
        if process.exitcode == 0:
            break
        if not killed:
            return {"round": number, "kills": kills, "equal": False, "why": f"exit code {process.exitcode}"}
    reader.ended.set()
    reader.join()
    verdict = verify(Archive(str(archive)), hash_file)
    partial_files = [str(path) for path in archive.rglob(".partial-*")]
    found, wanted = results(archive), results(work / "whole")
    different = [name for name in RESULTS if found[name] != wanted[name]]
    why = [*reader.problems, *verdict.problems, *partial_files, *(f"{name} differs" for name in different)]
    return {
        "round": number,
        "kills": kills,
        "reads": reader.reads,
        "seconds": round(time.monotonic() - began, 1),
        "equal": not why and verdict.waiting == 0,
        "why": "; ".join(why),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--runner", choices=("local", "ray"), default="local")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writes", action="store_true")
    options = parser.parse_args(arguments)
    multiprocessing.get_context("forkserver").set_forkserver_preload(["callscan.runners.scan", "callscan.speech.fake"])
    with tempfile.TemporaryDirectory(prefix="callscan-crash-") as folder:
        work = Path(folder)
        make_lexicon(work / "lexicon" / "fr")
        if options.writes:
            return 0 if fail_every_write(work) else 1
        make_recordings(work / "recordings")
        for _ in range(2):  # the second one tells how long a scan takes when all is warm
            began = time.monotonic()
            whole = work / "whole"
            if whole.exists():
                whole.rename(work / "first")
            process = multiprocessing.get_context("forkserver").Process(
                target=partial(run_scan, work / "recordings", whole, settings(work / "lexicon", options.runner))
            )
            process.start()
            process.join()
            length = time.monotonic() - began
        print(f"uninterrupted: {length:.1f} s, {Archive(str(whole)).coverage()}", flush=True)
        equal = 0
        for number in range(options.rounds):
            result = play_round(
                number,
                work,
                work / "recordings",
                settings(work / "lexicon", options.runner),
                options.runner,
                length,
                options.seed,
            )
            equal += result["equal"]
            print(json.dumps(result), flush=True)
        print(f"{equal} of {options.rounds} equal ({options.runner})")
        return 0 if equal == options.rounds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
