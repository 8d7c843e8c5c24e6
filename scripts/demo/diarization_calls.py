"""Held-out calls, each in stereo and mixed into one channel, with the truth: who says which word when."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo import grammar
from demo.calls import Scene, Turn, Voice, gap, random_voice
from make_demo_calls import Dialogue, encode

FORMATS = ("mulaw", "gsm", "mp3", "opus", "adpcm", "pcm")
"""What the mono recordings are written in, in turn, at 8 kHz; their stereo twins are µ-law WAV."""

HELD_OUT = "diarization"
"""Seed of the calls that nothing may be chosen by: development draws its own."""

_SIDES = {"a": "agent", "c": "customer"}


@dataclass(frozen=True)
class Call:
    """One call: its name and its turns by start time; ``speaker`` is agent or customer."""

    name: str
    seconds: float
    turns: tuple[Turn, ...]


def _sentence(side: str, rng: random.Random, *, opening: bool = False) -> str:
    """A held-out sentence that this side may say; the first ones of the grammar open a call."""
    while True:
        sentence = grammar.draw(rng, test=True)
        allowed = _SIDES.get(sentence.frame.speaker, side if sentence.frame.speaker == "x" else "")
        opens = sentence.frame in grammar.FRAMES[:14] and sentence.frame.speaker != "x"
        if allowed == side and opens == opening:
            return sentence.text


def _voices(rng: random.Random) -> dict[str, Voice]:
    """Two voices of the test; two people, so never one variant twice."""
    agent, customer = random_voice(rng, test=True, names=[]), random_voice(rng, test=True, names=[])
    while customer.name.partition("+")[2] == agent.name.partition("+")[2]:
        customer = random_voice(rng, test=True, names=[])
    return {"agent": agent, "customer": customer}


def make(folder: Path, count: int, seed: str = HELD_OUT) -> list[Call]:
    """Write ``count`` calls into ``folder/stereo`` and ``folder/mono``: openings, then 40 to 90 s of both sides.

    One line in ten begins before the last one ends, and after one in eight the other side throws in a word. ``seed``
    draws everything. Calls that are there already are taken as they are.
    """
    truth = folder / "truth.json"
    if truth.exists():
        return [_call(one) for one in json.loads(truth.read_text("utf-8"))]
    for name in ("stereo", "mono"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    calls = []
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        scene, until, cast = Scene(), rng.uniform(40, 90), _voices(rng)
        for side in ("agent", "customer"):
            scene.speak(side, _sentence(side, rng, opening=True), cast[side], gap=gap(rng))
        side = "agent"
        while scene.at < until:
            scene.speak(side, _sentence(side, rng), cast[side], gap=gap(rng))
            other = "customer" if side == "agent" else "agent"
            if rng.random() < 0.12:
                scene.speak(other, rng.choice(("Oui.", "D'accord.", "Voilà.", "Ah bon?")), cast[other],
                            gap=-rng.uniform(0.4, 0.8), stay=True)  # fmt: skip
            side = other if rng.random() < 0.65 else side
        name = f"call-{number:02d}"
        samples = scene.mix(rng)
        kind = FORMATS[number % len(FORMATS)]
        encode(samples, Dialogue(name, "mulaw", 8000, "", 0, 0, ()), folder / "stereo")
        encode(samples, Dialogue(name, f"{kind}-mono", 8000, "", 0, 0, ()), folder / "mono")
        turns = tuple(sorted(scene.turns, key=lambda turn: turn.start))
        calls.append(Call(name, samples.shape[1] / 16_000, turns))
    truth.write_text(json.dumps([asdict(call) for call in calls], ensure_ascii=False), "utf-8")
    return calls


def _call(row: dict[str, Any]) -> Call:
    turns = tuple(Turn(**{**turn, "words": tuple(map(tuple, turn["words"]))}) for turn in row["turns"])
    return Call(row["name"], row["seconds"], turns)


def truth_words(call: Call) -> list[tuple[str, float, float, str]]:
    """Every word of a call as (text, start, end, speaker), by start time; a word ends where the next one begins."""
    words = []
    for turn in call.turns:
        ends = [start for _, start in turn.words[1:]] + [turn.end]
        words += [(w, s, max(s, e), turn.speaker) for (w, s), e in zip(turn.words, ends, strict=True)]
    return sorted(words, key=lambda word: word[1])


def agreeing(truth: list[tuple[str, float, float, str]], heard: list[tuple[str, float, str]]) -> np.ndarray:
    """Speaker of each word that was recognised, beside who said it: (n, 2) texts.

    ``heard`` is (text, start, speaker) by start time. A word counts as recognised where the same word was said within
    a second of it; who said it is the nearest in time.
    """
    said: dict[str, list[tuple[float, str]]] = {}
    for text, start, _, speaker in truth:
        for plain in grammar.plain(text):
            said.setdefault(plain, []).append((start, speaker))
    pairs = []
    for text, start, speaker in heard:
        for plain in grammar.plain(text):
            near = min(said.get(plain, []), key=lambda one: abs(one[0] - start), default=None)
            if near is not None and abs(near[0] - start) <= 1.0:
                pairs.append((near[1], speaker))
    return np.array(pairs).reshape(-1, 2)
