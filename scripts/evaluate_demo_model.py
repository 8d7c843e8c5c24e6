"""Measure the embedded model through callscan itself: ``python scripts/evaluate_demo_model.py --work DIR``.

Speaks held-out sentences in held-out voices as stereo calls in 8 kHz µ-law, scans them and the sample calls with the
``callscan`` command, and prints the word error rate, the error of word starts, what is written on sounds without
speech, and how many sample calls have the issues of ``truth.json``. ``--card`` writes the figures into the model card.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import wave
from dataclasses import asdict
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soxr

from callscan.archive import Archive
from callscan.records import CallRecord
from demo import grammar, voices
from demo.calls import Scene, gap, random_voice
from demo.voices import RATE, Samples

DEMO = Path(__file__).parents[1] / "callscan" / "demo"
CALLS, SECONDS_WITHOUT_SPEECH = 40, 600


def mulaw_wav(file: Path, samples: Samples) -> None:
    """(channels, n) at 16 kHz as an 8 kHz µ-law WAV."""
    plain = file.with_suffix(".pcm.wav")
    with wave.open(str(plain), "wb") as out:
        out.setnchannels(samples.shape[0])
        out.setsampwidth(2)
        out.setframerate(8000)
        narrow = soxr.resample(samples.T, RATE, 8000)
        out.writeframes((np.clip(narrow, -1, 1) * 32767).astype("<i2").tobytes())
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(plain), "-c:a", "pcm_mulaw", str(file)], check=True)
    plain.unlink()


def held_out_calls(folder: Path) -> dict[str, Any]:
    """Calls of sentences and voices that the training never met; their truth as in truth.json."""
    truth = {}
    for number in range(CALLS):
        rng = random.Random(f"evaluate/{number}")
        scene, until = Scene(), rng.uniform(40, 90)
        cast = {"agent": random_voice(rng, test=True, names=[]), "customer": random_voice(rng, test=True, names=[])}
        while scene.at < until:
            sentence = grammar.draw(rng, test=True)
            side = {"a": "agent", "i": "agent", "c": "customer"}.get(sentence.frame.speaker) or rng.choice(list(cast))
            scene.speak(side, sentence.text, cast[side], gap=gap(rng))
        name = f"held-out-{number:02d}"
        mulaw_wav(folder / f"{name}.wav", scene.mix(rng))
        truth[name] = {"channels": 2, "turns": [asdict(turn) for turn in scene.turns]}
    return truth


def sounds_without_speech(folder: Path) -> None:
    """Minutes of silence, noise, tones and hold music, one kind a channel pair."""
    n = SECONDS_WITHOUT_SPEECH // 10 * RATE
    for number in range(5):
        rng = random.Random(f"no speech/{number}")
        kinds = [
            0.2 * voices.music(n, rng),
            0.05 * voices.noise(n, rng) if number else np.zeros(n, np.float32),
            0.2 * voices.tones(n, rng),
        ]
        mulaw_wav(folder / f"no-speech-{number}.wav", np.stack(rng.sample(kinds, 2)))


def scan(recordings: Path, archive: Path, model: str) -> dict[str, CallRecord]:
    """Run the ``callscan`` command and read what it stored."""
    shutil.rmtree(archive, ignore_errors=True)
    command = [sys.executable, "-c", "from callscan.cli import main; main()", "scan", str(recordings)]
    subprocess.run(
        [*command, "--archive", str(archive), "--model", model, "--json"], check=True, stdout=subprocess.DEVNULL
    )
    return {record.call_id: record for record in Archive(str(archive)).records()}


def compare(truth: dict[str, Any], records: dict[str, CallRecord]) -> tuple[float, float]:
    """Word error rate over the channels of all stereo calls, and the median error of word starts in seconds."""
    said, heard, errors = [], [], []
    for name, call in truth.items():
        transcript = records[name].transcript
        if call["channels"] != 2 or transcript is None:
            continue
        for channel, side in enumerate(("agent", "customer")):
            turns = [t for t in call["turns"] if (t["speaker"] == "customer") == (side == "customer")]
            words = [(w, start) for t in sorted(turns, key=lambda t: t["start"]) for w, start in t["words"]]
            found = [(w.text, w.start) for s in transcript.segments if s.channel == channel for w in s.words]
            reference = [(plain, start) for w, start in words for plain in grammar.plain(w)]
            written = [(plain, start) for w, start in found for plain in grammar.plain(w)]
            a, b = [w for w, _ in reference], [w for w, _ in written]
            if a:
                said.append(" ".join(a))
                heard.append(" ".join(b))
            for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
                for i in range(block.size):
                    errors.append(abs(reference[block.a + i][1] - written[block.b + i][1]))
    return jiwer.wer(said, heard), float(np.median(errors))


def issues_agree(truth: dict[str, Any], archive: Path) -> tuple[int, list[str]]:
    """Sample calls whose counted issues are those of truth.json, and what differs in the others."""
    found: dict[str, set[str]] = {}
    for line in (archive / "report" / "hits.jsonl").read_text("utf-8").splitlines():
        hit = json.loads(line)
        if not hit["flags"]:
            found.setdefault(hit["call_id"], set()).add(hit["issue"])
    wrong = []
    for name, call in truth.items():
        missed = set(call["issues"]) - found.get(name, set())
        extra = found.get(name, set()) - set(call["issues"]) - set(call["may"])
        if missed or extra:
            wrong.append(f"{name}: missed {sorted(missed)}, beside the truth {sorted(extra)}")
    return len(truth) - len(wrong), wrong


def main() -> None:
    """Make the calls, scan, print, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the test calls and their archives")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--card", action="store_true", help="write the figures into callscan/demo/MODEL_CARD.md")
    options = parser.parse_args()
    recordings = options.work / "held-out"
    recordings.mkdir(parents=True, exist_ok=True)
    truth = held_out_calls(recordings)
    wer, start = compare(truth, scan(recordings, options.work / "held-out.archive", options.model))
    silent = options.work / "no-speech"
    silent.mkdir(exist_ok=True)
    sounds_without_speech(silent)
    empty = scan(silent, options.work / "no-speech.archive", options.model)
    characters = sum(len(s.text) for record in empty.values() if record.transcript for s in record.transcript.segments)
    sample_truth = json.loads((DEMO / "calls" / "truth.json").read_text("utf-8"))
    samples = options.work / "samples.archive"
    sample_wer, sample_start = compare(sample_truth, scan(DEMO / "calls", samples, options.model))
    agree, wrong = issues_agree(sample_truth, samples)
    figures = (
        f"| held-out sentences and voices, {CALLS} stereo calls, 8 kHz µ-law | WER {wer:.1%} | {start:.3f} s |\n"
        f"| the sample calls, stereo | WER {sample_wer:.1%} | {sample_start:.3f} s |\n"
        f"| {SECONDS_WITHOUT_SPEECH // 60} minutes of silence, noise, tones and music | {characters} characters | |\n"
        f"| sample calls whose issues are those of the truth | {agree} of {len(sample_truth)} | |\n"
    )
    print(figures + "\n".join(wrong))
    if options.card:
        card = DEMO / "MODEL_CARD.md"
        begin, end = "<!-- figures -->\n", "<!-- /figures -->"
        head, _, rest = card.read_text("utf-8").partition(begin)
        card.write_text(
            head
            + begin
            + "| what | result | word starts off by (median) |\n|---|---|---|\n"
            + figures
            + end
            + rest.partition(end)[2],
            "utf-8",
        )


if __name__ == "__main__":
    main()
