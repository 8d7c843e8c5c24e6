"""Speed and word error rate of callscan beside its peers, on the same calls and the same weights, in one run.

``python scripts/bench_peers.py --work DIR --peer whisperx=PYTHON --peer openai-whisper=PYTHON --openai-weights FILE``

Each peer runs in its own environment: PYTHON is the interpreter of one that has it installed. Without ``--peer`` only
callscan and faster-whisper run, in this environment. ``--openai-weights`` is the same model for openai-whisper, as
``scripts/train_demo_model.py`` writes it into its work folder. Every system may use all cores; it loads its model,
then transcribes all calls; loading is not timed. The table gives medians, RTFx (seconds of audio for a second of work;
each channel counts) and the ratio to callscan.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

CORES = os.cpu_count() or 1
SYSTEMS = ("callscan", "faster-whisper sequential", "faster-whisper batched", "whisperx", "openai-whisper")


def make_calls(folder: Path, count: int) -> None:
    """Stereo µ-law calls of 20 to 180 s of held-out sentences, with their truth, made once."""
    from demo import grammar
    from demo.calls import Scene, gap, random_voice
    from evaluate_demo_model import mulaw_wav

    folder.mkdir(parents=True, exist_ok=True)
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
        if not (folder / name).exists():
            mulaw_wav(folder / name, scene.mix(rng))
        truth[name] = [asdict(turn) for turn in scene.turns]
    (folder / "truth.json").write_text(json.dumps(truth, ensure_ascii=False), "utf-8")


def run_callscan(calls: list[Path], model: str, batch: int) -> Any:
    """callscan's decoder and engine, without archive and report."""
    from contextlib import ExitStack

    from callscan.audio import Decoder
    from callscan.speech.api import CallAudio
    from callscan.speech.engine import WhisperEngine
    from callscan.speech.whisper import Whisper

    engine = WhisperEngine(Whisper(Path(model), device="cpu", threads=CORES), batch=batch)

    def work() -> dict[str, list[str]]:
        with ExitStack() as stack:
            decoder = stack.enter_context(Decoder())
            opened = (stack.enter_context(decoder.decode(str(file))) for file in calls)
            audio = (
                CallAudio(f.name, c.duration, c.channels, c.read, "fr") for f, c in zip(calls, opened, strict=True)
            )
            return {
                speech.key: [" ".join(s.text for s in speech.segments if s.channel == c) for c in (0, 1)]
                for speech in engine.transcribe(audio)
            }

    return work


def run_faster_whisper(calls: list[Path], model: str, batch: int) -> Any:
    """faster-whisper with its VAD and word times; ``batch`` 0 is its sequential mode."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio

    loaded = WhisperModel(model, device="cpu", cpu_threads=CORES, local_files_only=True)
    options: dict[str, Any] = {"language": "fr", "beam_size": 1, "word_timestamps": True, "vad_filter": True}
    if batch:
        options["batch_size"] = batch
        options["without_timestamps"] = False
    else:
        options["condition_on_previous_text"] = False
    recogniser = BatchedInferencePipeline(loaded) if batch else loaded

    def work() -> dict[str, list[str]]:
        found = {}
        for file in calls:
            sides = decode_audio(str(file), split_stereo=True)
            texts = [" ".join(s.text for s in recogniser.transcribe(side, **options)[0]) for side in sides]
            found[file.name] = texts
        return found

    return work


def run_whisperx(calls: list[Path], model: str, batch: int) -> Any:
    """whisperX as ``--no_align`` runs it."""
    import whisperx
    from faster_whisper import decode_audio

    loaded = whisperx.load_model(
        model,
        "cpu",
        compute_type="int8",
        language="fr",
        threads=CORES,
        asr_options={"beam_size": 1},
        local_files_only=True,
    )

    def work() -> dict[str, list[str]]:
        found = {}
        for file in calls:
            sides = decode_audio(str(file), split_stereo=True)
            texts = [loaded.transcribe(side, batch_size=batch, language="fr")["segments"] for side in sides]
            found[file.name] = [" ".join(part["text"] for part in text) for text in texts]
        return found

    return work


def run_openai(calls: list[Path], model: str, batch: int) -> Any:
    """openai-whisper; it has no batches and no VAD."""
    import numpy as np
    import torch
    import whisper

    torch.set_num_threads(CORES)
    loaded = whisper.load_model(model, device="cpu")

    def work() -> dict[str, list[str]]:
        found = {}
        for file in calls:
            command = ["ffmpeg", "-v", "error", "-i", str(file), "-f", "s16le", "-ac", "2", "-ar", "16000", "-"]
            raw = subprocess.run(command, capture_output=True, check=True).stdout
            sides = np.frombuffer(raw, "<i2").astype(np.float32).reshape(-1, 2).T / 32768
            options = {"language": "fr", "beam_size": None, "fp16": False, "condition_on_previous_text": False}
            found[file.name] = [loaded.transcribe(np.ascontiguousarray(side), **options)["text"] for side in sides]
        return found

    return work


def one(system: str, folder: Path, model: str, batch: int, repeats: int) -> dict[str, Any]:
    """Load a system, run it ``repeats`` times; its seconds and its text."""
    calls = sorted(folder.glob("*.wav"))
    makers = {
        "callscan": run_callscan,
        "faster-whisper sequential": run_faster_whisper,
        "faster-whisper batched": run_faster_whisper,
        "whisperx": run_whisperx,
        "openai-whisper": run_openai,
    }
    work = makers[system](calls, model, 0 if system == "faster-whisper sequential" else batch)
    seconds, texts = [], {}
    for _ in range(repeats):
        began = time.perf_counter()
        texts = work()
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds, "texts": texts}


def error_rate(texts: dict[str, list[str]], truth: dict[str, Any]) -> float:
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
    parser.add_argument("--openai-weights", default="")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.work / "calls"
    if options.system:
        print(json.dumps(one(options.system, folder, options.model, options.batch, options.repeats)))
        return
    make_calls(folder, options.calls)
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    pythons = dict(item.split("=", 1) for item in options.peer)
    audio = sum(2 * max(turn["end"] for turn in turns) for turns in truth.values())
    rows = []
    for system in SYSTEMS:
        python = pythons.get(
            system.split(" ")[0], sys.executable if system.split(" ")[0] in ("callscan", "faster-whisper") else ""
        )
        if not python:
            continue
        model = options.openai_weights if system == "openai-whisper" else options.model
        command = [python, __file__, "--system", system, "--work", str(options.work), "--model", model]
        command += ["--repeats", str(options.repeats), "--batch", str(options.batch)]
        done = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
        median = statistics.median(done["seconds"])
        rows.append((system, median, audio / median, error_rate(done["texts"], truth)))
        print(f"{system}: {median:.1f} s", file=sys.stderr, flush=True)
    own = rows[0][1]
    print(f"{len(truth)} calls, {audio:.0f} channel-seconds, median of {options.repeats}, {CORES} cores\n")
    print("| system | seconds | RTFx | WER | callscan is faster by |\n|---|---|---|---|---|")
    for system, median, speed, wer in rows:
        print(f"| {system} | {median:.1f} | {speed:.0f} | {wer:.1%} | {median / own:.2f} |")


if __name__ == "__main__":
    main()
