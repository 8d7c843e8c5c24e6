"""Speed and word error rate of callscan beside its peers, on the same calls and the same weights, in one run.

    python scripts/bench_peers.py --work DIR --peer whisperx=PYTHON --peer openai-whisper=PYTHON
    python scripts/bench_peers.py --work DIR --shape small --calls 8 --repeats 1

Each peer runs in its own environment: PYTHON is the interpreter of one that has it installed. Without ``--peer`` only
callscan and faster-whisper run, in this environment. openai-whisper gets the same weights (``demo/openai_model.py``).
All decode greedily and may use all cores. A system loads its model and hears one call before the clock starts;
callscan's time includes hashing and the archive. Peers with batches are given the best of ``--batches``. The table
gives medians, RTFx (seconds of audio for a second of work, each channel counts), how much faster callscan is, and the
same in CPU time, which a busy machine changes less.

Every repeat runs all systems in turn, so that a machine whose speed drifts is equally fast for all of them. What was
run is kept in ``DIR/rounds.jsonl``: the same command goes on where it was ended. What is slow may be run ``--once``.

``--shape`` takes a model of that shape with random weights (``scripts/random_model.py``) and lets every system write a
fixed number of tokens a window, without fallbacks: it says what preparation and padding cost where the model is large.
With ``--device cuda`` the share of the time that the GPU was busy is told too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CORES = len(os.sched_getaffinity(0))
TOKENS = 60
"""Tokens a window where the weights are random: what is said in 30 s, about."""


@dataclass(frozen=True)
class Run:
    """What a system is run with. ``fixed``: the weights are random, every window gets :data:`TOKENS`."""

    model: str
    batch: int
    device: str
    compute_type: str
    fixed: bool


Texts = dict[str, list[str]]
Work = Callable[[list[Path]], Texts]


def make_calls(folder: Path, count: int) -> None:
    """Stereo µ-law calls of 20 to 180 s of held-out sentences, with their truth, made once."""
    done = folder / "truth.json"
    if done.exists() and len(json.loads(done.read_text("utf-8"))) == count:
        return
    from demo import grammar
    from demo.calls import Scene, gap, random_voice
    from evaluate_demo_model import mulaw_wav

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    truth = {}
    for number in range(count):
        rng = random.Random(f"peers/{number}")
        scene, until = Scene(), rng.uniform(20, 180)
        cast = {side: random_voice(rng, test=True, names=[]) for side in ("agent", "customer")}
        while scene.at < until:
            sentence = grammar.draw(rng, test=True)
            side = rng.choice(("agent", "customer"))
            scene.speak(side, sentence.text, cast[side], gap=gap(rng))
        name = f"call-{number:03d}.wav"
        mulaw_wav(folder / name, scene.mix(rng))
        truth[name] = [asdict(turn) for turn in scene.turns]
    done.write_text(json.dumps(truth, ensure_ascii=False), "utf-8")


def callscan_engine(run: Run) -> Any:
    """callscan's engine; with random weights it writes a fixed number of tokens and takes the first text."""
    from callscan.speech import compose, whisper
    from callscan.speech.engine import WhisperEngine

    if run.fixed:
        vars(whisper)["_MAX_TOKENS"] = 3 + TOKENS  # the prompt counts
        vars(compose)["omitted"] = lambda spans, segments: []  # one word leaves most of the speech without any
        vars(compose)["unfinished"] = lambda window, heard, spans: []  # and every text ends where the tokens do
    model = whisper.Whisper(Path(run.model), device=run.device, compute_type=run.compute_type, threads=CORES)
    engine = WhisperEngine(model, beam_size=1, batch=run.batch)
    if run.fixed:
        engine.efforts = engine.efforts[:1]
    return engine


def run_callscan(run: Run) -> Work:
    """The worker, from files to the archive."""
    from callscan.archive import Archive
    from callscan.archive.inventory import Planned, Task
    from callscan.config import Settings
    from callscan.records import Recording
    from callscan.worker import Worker

    folder = tempfile.mkdtemp(prefix="callscan-bench-")
    archive = Archive.create(folder)
    worker = Worker(folder, Settings(), lambda: callscan_engine(run))
    turns = iter(range(1, 1000))

    def planned(file: Path) -> Planned:
        status = file.stat()
        return Planned(Recording(str(file), status.st_size, status.st_mtime_ns), file.name)

    def work(files: list[Path]) -> Texts:
        found, number = {}, next(turns)
        tasks = [
            Task(f"{number:06d}-{part:06d}", tuple(map(planned, files[at : at + 64])))
            for part, at in enumerate(range(0, len(files), 64))
        ]
        for summary in worker.work(tasks):
            for row in archive.table(summary.shard, ["call_id", "transcript"]).to_pylist():
                segments = row["transcript"]["segments"]
                found[row["call_id"]] = [" ".join(s["text"] for s in segments if s["channel"] == c) for c in (0, 1)]
        for cost in archive.costs()[-1:]:
            print(json.dumps(cost), file=sys.stderr)
        return found

    return work


def run_bare(run: Run) -> Work:
    """Encoder and decoder alone, on callscan's windows, prepared beforehand."""
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import ExitStack

    from callscan.audio import Decoder
    from callscan.speech.api import CallAudio
    from callscan.speech.call import Call, Item

    engine = callscan_engine(run)
    vars(engine.model)["_align"] = lambda encoded, tokenizers, parts, seconds: [[] for _ in parts]
    ready: dict[int, list[list[Item]]] = {}

    def prepared(files: list[Path]) -> list[list[Item]]:
        items = []
        with ExitStack() as stack:
            decoder = stack.enter_context(Decoder())
            for file in files:
                decoded = stack.enter_context(decoder.decode(str(file)))
                call = Call(CallAudio(file.name, decoded.duration, decoded.channels, decoded.read, "fr"), "fr")
                for channel in range(decoded.channels):
                    items += [engine.features(Item(call, window)) for window in engine.search(call.audio, channel)[1]]
        items.sort(key=lambda item: (item.window.padded, item.window.seconds))
        groups: list[list[Item]] = []
        for item in items:
            if not groups or len(groups[-1]) == engine.batch or groups[-1][0].window.padded != item.window.padded:
                groups.append([])
            groups[-1].append(item)
        return groups

    def work(files: list[Path]) -> Texts:
        if len(files) not in ready:
            ready[len(files)] = prepared(files)
        began = time.perf_counter()
        with ThreadPoolExecutor(engine.model.workers) as pool:
            list(pool.map(engine.hear, ready[len(files)]))
        return {"seconds": [str(time.perf_counter() - began)]}

    return work


def run_faster_whisper(run: Run) -> Work:
    """faster-whisper with its VAD and word times; ``batch`` 0 is its sequential mode."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio

    loaded = WhisperModel(
        run.model, device=run.device, compute_type=run.compute_type, cpu_threads=CORES, local_files_only=True
    )
    options: dict[str, Any] = {"language": "fr", "beam_size": 1, "word_timestamps": True, "vad_filter": True}
    if run.fixed:
        options |= {"max_new_tokens": TOKENS, "temperature": 0.0}
    if run.batch:
        options |= {"batch_size": run.batch, "without_timestamps": False}
    else:
        options |= {"condition_on_previous_text": False}
    recogniser = BatchedInferencePipeline(loaded) if run.batch else loaded

    def work(files: list[Path]) -> Texts:
        found = {}
        for file in files:
            sides = decode_audio(str(file), split_stereo=True)
            found[file.name] = [" ".join(s.text for s in recogniser.transcribe(side, **options)[0]) for side in sides]
        return found

    return work


def run_whisperx(run: Run) -> Work:
    """whisperX as ``--no_align`` runs it."""
    import whisperx
    from faster_whisper import decode_audio

    loaded = whisperx.load_model(
        run.model,
        run.device,
        compute_type=run.compute_type,
        language="fr",
        threads=CORES,
        asr_options={"beam_size": 1} | ({"max_new_tokens": TOKENS} if run.fixed else {}),
        local_files_only=True,
    )

    def work(files: list[Path]) -> Texts:
        found = {}
        for file in files:
            sides = decode_audio(str(file), split_stereo=True)
            texts = [loaded.transcribe(side, batch_size=run.batch, language="fr")["segments"] for side in sides]
            found[file.name] = [" ".join(part["text"] for part in text) for text in texts]
        return found

    return work


def run_openai(run: Run) -> Work:
    """openai-whisper; it has no batches and no VAD."""
    import numpy as np
    import torch

    from demo.openai_model import load

    torch.set_num_threads(CORES)
    loaded = load(Path(run.model), run.device)
    options = {"language": "fr", "beam_size": None, "fp16": False, "condition_on_previous_text": False}

    def work(files: list[Path]) -> Texts:
        found = {}
        for file in files:
            command = ["ffmpeg", "-v", "error", "-i", str(file), "-f", "s16le", "-ac", "2", "-ar", "16000", "-"]
            raw = subprocess.run(command, capture_output=True, check=True).stdout
            sides = np.frombuffer(raw, "<i2").astype(np.float32).reshape(-1, 2).T / 32768
            found[file.name] = [loaded.transcribe(np.ascontiguousarray(side), **options)["text"] for side in sides]
        return found

    return work


SYSTEMS: dict[str, Callable[[Run], Work]] = {
    "callscan": run_callscan,
    "bare encode and generate": run_bare,
    "faster-whisper sequential": run_faster_whisper,
    "faster-whisper batched": run_faster_whisper,
    "whisperx": run_whisperx,
    "openai-whisper": run_openai,
}
BATCHED = ("faster-whisper batched", "whisperx")
TRIAL = 8
"""Calls on which a peer's best batch size is found."""


def cpu_seconds() -> float:
    """CPU time of this process, of its children that have ended and of those that live."""
    found = sum(os.times()[:4])
    ticks = os.sysconf("SC_CLK_TCK")
    for listed in Path("/proc/self/task").glob("*/children"):
        for child in listed.read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            found += (int(fields[11]) + int(fields[12])) / ticks
    return found


def one(system: str, files: list[Path], run: Run) -> dict[str, Any]:
    """Load a system, let it hear one call, run it; its seconds and its text."""
    work = SYSTEMS[system](run)
    work(files[:1])
    if system.startswith("bare"):
        work(files)  # prepares
    with _busy(run.device) as busy:
        began, before = time.perf_counter(), cpu_seconds()
        texts = work(files)
        seconds, spent = time.perf_counter() - began, cpu_seconds() - before
    return {"seconds": seconds, "cpu": spent, "texts": texts, "busy": busy[0] if busy else None}


@contextmanager
def _busy(device: str) -> Iterator[list[float]]:
    """The share of the time in which the GPU was busy, filled in at the end; empty on a CPU."""
    share: list[float] = []
    if device != "cuda":
        yield share
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        yield share
        watch.terminate()
        seen = [float(line) for line in (watch.stdout or []) if line.strip().isdigit()]
    share.append(statistics.mean(seen) / 100 if seen else 0.0)


def error_rate(texts: Texts, truth: dict[str, Any]) -> float:
    """Word error rate over all channels."""
    import jiwer

    from demo.grammar import plain

    said, heard = [], []
    for name, turns in truth.items():
        for channel, side in enumerate(("agent", "customer")):
            words = [w for t in turns if t["speaker"] == side for w in plain(t["text"])]
            if words:
                said.append(" ".join(words))
                heard.append(" ".join(plain(texts[name][channel])))
    return float(jiwer.wer(said, heard))


def main() -> None:
    """Make the calls, run every system in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default=str(Path(__file__).parents[1] / "callscan" / "demo" / "model"))
    parser.add_argument("--shape", default="", help="random weights of this shape instead")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", default="8,16,32")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--only", action="append", default=[], metavar="SYSTEM", choices=SYSTEMS)
    parser.add_argument("--once", action="append", default=[], metavar="SYSTEM", choices=SYSTEMS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        asked = json.loads(options.one)
        print(json.dumps(one(asked["system"], [Path(f) for f in asked["files"]], Run(**asked["run"]))))
        return
    folder = options.work / "calls"
    make_calls(folder, options.calls)
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    files = [folder / name for name in sorted(truth)]
    if options.shape:
        from random_model import SHAPES, make_model

        quantization = "int8" if options.compute_type == "int8" else "float16"
        options.model = str(options.work / f"{options.shape}-{quantization}")
        if not (Path(options.model) / "model.bin").exists():
            make_model(SHAPES[options.shape], Path(options.model), quantization)
    pythons = {"callscan": sys.executable, "bare": sys.executable, "faster-whisper": sys.executable}
    pythons |= dict(item.split("=", 1) for item in options.peer)

    def ask(system: str, files: list[Path], batch: int) -> dict[str, Any]:
        run = Run(options.model, batch, options.device, options.compute_type, bool(options.shape))
        asked = {"system": system, "files": [str(f) for f in files], "run": asdict(run)}
        command = [pythons[system.split(" ")[0]], __file__, "--work", str(options.work), "--one", json.dumps(asked)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]
        answer: dict[str, Any] = json.loads(found)
        return answer

    systems = [s for s in options.only or SYSTEMS if s.split(" ")[0] in pythons]
    what = [options.shape, options.device, options.compute_type, len(files)]
    rounds = options.work / "rounds.jsonl"
    kept = [json.loads(line) for line in rounds.read_text("utf-8").splitlines()] if rounds.exists() else []
    kept = [run for run in kept if run["what"] == what]
    for number in range(options.repeats):
        for system in systems:
            before = [run for run in kept if run["system"] == system]
            if len(before) > number or (before and system in options.once):
                continue
            batch = before[0]["batch"] if before else 0
            if system in BATCHED and not before:
                sizes = [int(size) for size in options.batches.split(",")]
                trials = {size: ask(system, files[:TRIAL], size)["seconds"] for size in sizes} if sizes[1:] else {}
                batch = min(trials, key=trials.__getitem__, default=sizes[0])
            done = ask(system, files, batch)
            texts = done.pop("texts")
            wer = None if options.shape or system.startswith("bare") else error_rate(texts, truth)
            kept.append({"what": what, "system": system, "batch": batch, "wer": wer, **done})
            with rounds.open("a", encoding="utf-8") as log:
                log.write(json.dumps(kept[-1]) + "\n")
            print(f"{system}: {done['seconds']:.1f} s, CPU {done['cpu']:.1f} s", file=sys.stderr, flush=True)
    audio = sum(2 * max(turn["end"] for turn in turns) for turns in truth.values())
    table(kept, systems, f"{len(truth)} calls, {audio:.0f} channel-seconds, {CORES} cores", audio)


def table(runs: list[dict[str, Any]], systems: list[str], title: str, audio: float) -> None:
    """Print medians over the rounds, in Markdown; ``audio`` is in channel-seconds."""
    print(f"{title}\n")
    print(
        "| system | runs | seconds | RTFx | CPU s | RTFx a core | WER | GPU busy | callscan is faster by "
        "| with less CPU by |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    own: tuple[float, float] | None = None
    for system in systems:
        mine = [run for run in runs if run["system"] == system]
        median, spent = (statistics.median(run[key] for run in mine) for key in ("seconds", "cpu"))
        own = own or (median, spent)
        wer, busy = ("" if mine[0][key] is None else f"{mine[0][key]:.1%}" for key in ("wer", "busy"))
        name = f"{system}, batch {mine[0]['batch']}" if mine[0]["batch"] else system
        speed = f"{median:.1f} | {audio / median:.0f} | {spent:.1f} | {audio / spent:.0f}"
        print(f"| {name} | {len(mine)} | {speed} | {wer} | {busy} | {median / own[0]:.2f} | {spent / own[1]:.2f} |")


if __name__ == "__main__":
    main()
