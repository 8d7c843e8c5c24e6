"""Write the sample calls: ``python scripts/make_demo_calls.py`` → ``callscan/demo/calls``.

Reads demo/dialogues.txt, speaks it with espeak-ng in voices that the training of the embedded model never heard, and
writes the recordings in the formats that recorders write, ``truth.json`` (turns, words, speakers, the issues of each
call) and ``calls.csv``. Needs Debian's espeak-ng, sox and ffmpeg.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import subprocess
import tempfile
import wave
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import soxr

from demo import grammar, voices
from demo.calls import Scene, Voice, gap, random_voice, written
from demo.voices import RATE, Samples

HERE = Path(__file__).parent
SUFFIX = {
    "pcm": ".wav",
    "mulaw": ".wav",
    "alaw": ".wav",
    "adpcm": ".wav",
    "gsm": ".wav",
    "mp3": ".mp3",
    "opus": ".opus",
    "flac": ".flac",
}
# Independent channels, as a recorder of two call legs writes them: joint stereo lets one side leak into the other.
FFMPEG = {
    "pcm": ["-c:a", "pcm_s16le"],
    "mulaw": ["-c:a", "pcm_mulaw"],
    "alaw": ["-c:a", "pcm_alaw"],
    "adpcm": ["-c:a", "adpcm_ima_wav"],
    "mp3": ["-c:a", "libmp3lame", "-b:a", "24k", "-joint_stereo", "0"],
    "opus": ["-c:a", "libopus", "-b:a", "24k", "-mapping_family", "255"],
    "flac": ["-c:a", "flac"],
}
SPEAKERS = {"a": "agent", "c": "customer", "i": "ivr"}


@dataclass(frozen=True)
class Dialogue:
    """One call as it is written in dialogues.txt."""

    call_id: str
    format: str
    rate: int
    queue: str
    transfers: int
    wait: int
    lines: tuple[str, ...]


def read_dialogues(file: Path) -> list[Dialogue]:
    """The calls of dialogues.txt, blocks put in."""
    blocks: dict[str, list[str]] = {}
    calls: list[tuple[list[str], list[str]]] = []
    into: list[str] = []
    for line in map(str.strip, file.read_text("utf-8").splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("="):
            into = []
            calls.append(([part.strip() for part in line[1:].split("|")], into))
        elif line.startswith("@") and calls:
            into.extend(blocks[line[1:]])
        elif line.startswith("@"):
            into = blocks[line[1:]] = []
        else:
            into.append(line)
    return [Dialogue(h[0], h[1], int(h[2]), h[3], int(h[4]), int(h[5]), tuple(lines)) for h, lines in calls]


def frames_of(text: str, speaker: str) -> list[grammar.Frame]:
    """The frames of the grammar that a line may be an instance of."""
    found = []
    for frame in grammar.FRAMES:
        pattern = ".+".join(map(re.escape, re.split(r"\{\w+\}", frame.text)))
        if frame.speaker in (speaker, "x") and re.fullmatch(pattern, text):
            found.append(frame)
    return found


def act(dialogue: Dialogue, rng: random.Random) -> tuple[Scene, set[str], set[str]]:
    """Speak a dialogue; the issues that have to be found in it, and those that may be."""
    scene = Scene()
    facts = {slot: grammar.fill(slot, rng) for slot in ("name", "first", "town", "digits", "date", "civ")}
    agent, customer = random_voice(rng, test=True, names=[]), random_voice(rng, test=True, names=[])
    while customer.name == agent.name:
        customer = random_voice(rng, test=True, names=[])
    cast = {"a": agent, "c": customer, "i": Voice("fr-fr+michel", 150, 45)}
    must: set[str] = set()
    may: set[str] = set()
    for line in dialogue.lines:
        if cue := re.fullmatch(r"\[(hold|silence) (\d+)\]", line):
            size = int(cue[2]) * RATE
            scene.sound(0.25 * voices.music(size, rng) if cue[1] == "hold" else np.zeros(size, np.float32), 0)
            continue
        head, _, template = line.partition(" ")
        speaker, behind = head[0], head.endswith("+")
        text = re.sub(r"\{(\w+)\}", lambda slot: facts[slot[1]], template)
        frames = frames_of(text, speaker)
        if not frames:
            raise SystemExit(f"{dialogue.call_id}: no frame says {text!r}")
        exact = [f for f in frames if "{" not in f.text] or frames
        must.update(exact[0].must)
        may.update(exact[0].may)
        pause = -rng.uniform(0.4, 0.8) if behind else gap(rng)
        scene.speak(SPEAKERS[speaker], written(text), cast[speaker], gap=pause, stay=behind)
    return scene, must, may - must


def encode(samples: Samples, dialogue: Dialogue, folder: Path) -> Path:
    """Write (channels, n) samples at 16 kHz as the dialogue's format and rate want them."""
    kind, _, mono = dialogue.format.partition("-")
    if mono:
        samples = samples.mean(0, keepdims=True) * 1.4
    at_rate = soxr.resample(samples.T, RATE, dialogue.rate)
    out = folder / (dialogue.call_id + SUFFIX[kind])
    with tempfile.TemporaryDirectory() as temporary:
        plain = Path(temporary) / "plain.wav"
        with wave.open(str(plain), "wb") as file:
            file.setnchannels(samples.shape[0])
            file.setsampwidth(2)
            file.setframerate(dialogue.rate)
            file.writeframes((np.clip(at_rate, -1, 1) * 32767).astype("<i2").tobytes())
        if kind == "gsm":
            command = ["sox", str(plain), "-e", "gsm-full-rate", str(out)]
        else:
            exact = ["-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1"]
            command = ["ffmpeg", "-v", "error", "-y", "-i", str(plain), *FFMPEG[kind], *exact, str(out)]
        subprocess.run(command, check=True)
    return out


def main() -> None:
    """Make every call, the truth and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE.parent / "callscan" / "demo" / "calls")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    truth, rows = {}, []
    begin = datetime(2026, 3, 2, 9, tzinfo=UTC)
    for number, dialogue in enumerate(read_dialogues(HERE / "demo" / "dialogues.txt")):
        rng = random.Random(f"{options.seed}/{dialogue.call_id}")
        scene, must, may = act(dialogue, rng)
        file = encode(scene.mix(rng), dialogue, options.out)
        mono = dialogue.format.endswith("-mono")
        truth[dialogue.call_id] = {
            "file": file.name,
            "channels": 1 if mono else 2,
            "seconds": round(scene.at + 0.8, 3),
            "issues": sorted(must),
            "may": sorted(may),
            "turns": [asdict(turn) for turn in sorted(scene.turns, key=lambda t: t.start)],
        }
        start = begin + timedelta(days=number // 3, hours=rng.randint(0, 8), minutes=rng.randint(0, 59))
        rows.append(
            {
                "call_id": dialogue.call_id,
                "start_time": start.isoformat().replace("+00:00", "Z"),
                "queue": dialogue.queue,
                "agent": f"agent-{rng.randint(1, 6)}",
                "caller_number": f"+3361234{rng.randint(0, 19):04d}",
                "wait_seconds": dialogue.wait,
                "transfers": dialogue.transfers,
            }
        )
        print(f"{file.name} {truth[dialogue.call_id]['seconds']} s, {file.stat().st_size} bytes, {sorted(must)}")
    (options.out / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n", "utf-8")
    with (options.out / "calls.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
