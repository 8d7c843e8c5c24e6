"""How the workers scale, and what planning a large inventory costs.

    python scripts/bench_workers.py --calls 64 --model demo      2 workers against 1, one thread each
    python scripts/bench_workers.py --inventory 1000000          driver memory and seconds to plan

Workers are timed from the plan to the last shard: starting Ray and loading the model is told apart. Medians of
``--repeat`` runs, the kinds in turn. One worker is timed twice: with the whole machine to itself, where its decoders
and its preparation run beside its one thread, and with the whole run held to one core, as a scheduler with cgroups
would hold it. Meaningful on a machine that does nothing else, with a core for each worker.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from callscan.archive import Archive
from callscan.config import Settings, Shards
from callscan.records import Recording
from callscan.runners.plan import Plan, gather, make_plan
from callscan.runners.scan import Progress, perform
from callscan.speech.fake import fake_engine
from callscan.worker import Summary, load_engine
from crash_test import make_lexicon, make_recordings


class Stopwatch(Progress):
    """When the work began and ended, and how much audio there was."""

    def __init__(self) -> None:
        self.began = self.start = self.end = time.monotonic()
        self.audio = 0.0

    def planned(self, plan: Plan) -> None:
        """The workers are ready."""
        self.start = time.monotonic()

    def shard(self, summary: Summary) -> None:
        """One more shard."""
        self.audio += summary.audio

    def counting(self) -> None:
        """The last shard is committed."""
        self.end = time.monotonic()


def bench_workers(calls: int, seconds: float, model: str, recordings: str, repeat: int) -> None:
    """Print seconds of work of one and of two Ray workers, and their ratios."""
    everywhere = os.sched_getaffinity(0)
    kinds = {"1 worker on one core": (1, {min(everywhere)}), "1 worker": (1, everywhere), "2 workers": (2, everywhere)}
    with tempfile.TemporaryDirectory(prefix="callscan-bench-") as folder:
        work = Path(folder)
        make_lexicon(work / "lexicon" / "fr")
        if not recordings:
            make_recordings(work / "recordings", calls=calls, seconds=seconds)
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for turn in range(repeat):
            for kind, (workers, cores) in kinds.items():
                settings = Settings().override(
                    speech={"model": model, "threads": 1, "device": "cpu"},
                    calls={"settle": 0.0},
                    shards={"calls": max(1, calls // 16)},
                    ray={"workers": workers, "address": "local"},
                    keywords=str(work / "lexicon"),
                )
                engine = fake_engine if model == "fake" else partial(load_engine, settings)
                watch = Stopwatch()
                source = recordings or str(work / "recordings")
                os.sched_setaffinity(0, cores)  # Ray's processes inherit it
                perform([source], str(work / f"archive-{kind}-{turn}"), settings, engine, watch)
                os.sched_setaffinity(0, everywhere)
                times[kind].append(watch.end - watch.start)
                print(
                    f"{kind}: {times[kind][-1]:.1f} s for {watch.audio:.0f} s of audio"
                    f" ({watch.start - watch.began:.1f} s to start)",
                    flush=True,
                )
        medians = {kind: statistics.median(taken) for kind, taken in times.items()}
        for kind, median in medians.items():
            print(f"{kind}: median {median:.1f} s, 2 workers are {median / medians['2 workers']:.2f} times as fast")


def simulated(count: int) -> Iterator[Recording]:
    """Recordings that are not there: 20 to 320 s of telephone stereo each."""
    for i in range(count):
        uri = f"/recordings/2026/11/{i % 30 + 1:02d}/queue-{i % 7}/call_{i:09d}.wav"
        yield Recording(uri, 16_000 * (20 + (i * 7919) % 300), 1_700_000_000_000_000_000 + i)


def bench_inventory(count: int) -> None:
    """Print seconds to plan and peak memory of the driver."""
    with tempfile.TemporaryDirectory(prefix="callscan-bench-") as folder:
        archive = Archive.create(folder)
        for name in ("first plan", "continued"):
            began, spent = time.monotonic(), time.process_time()
            plan = make_plan(archive, gather(simulated(count)), "0" * 64, Shards())
            planned, cpu = time.monotonic() - began, time.process_time() - spent
            began = time.monotonic()
            given = sum(len(task.calls) for task in plan.tasks())
            handed = time.monotonic() - began
            print(
                f"{name}: {plan.discovered} recordings in {len(plan.shards)} shards,"
                f" {planned:.1f} s to plan ({cpu:.1f} s of CPU), {handed:.1f} s to hand out {given} recordings,"
                f" peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
                flush=True,
            )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--model", default="fake", help="fake, demo, or any name that callscan scan takes")
    parser.add_argument("--recordings", default="", help="folder of recordings instead of synthetic ones")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--inventory", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.inventory:
        bench_inventory(options.inventory)
    else:
        bench_workers(options.calls, options.seconds, options.model, options.recordings, options.repeat)


if __name__ == "__main__":
    main(sys.argv[1:])
