"""Windows of two-speaker telephone calls, mixed into one channel, with the truth of who speaks when.

A speaker is a voice variant with an accent, a speed and a pitch, and keeps all four: that is all that tells two
espeak-ng speakers apart. Every window is a function of (seed, stage, step, number), so a resumed training sees what an
uninterrupted one sees.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from demo import grammar, voices
from demo.calls import random_voice
from demo.timed_voice import speak_timed
from demo.voices import RATE, Samples


class Speakers:
    """Utterances on disk, by speaker: ``samples(speaker, number)`` gives float32, shape (n,), 16 kHz."""

    def __init__(self, folder: Path) -> None:
        table = json.loads((folder / "speakers.json").read_text("utf-8"))
        self.names: list[str] = [f"{name}/{speed}/{pitch}" for name, speed, pitch in table["speakers"]]
        self.sizes: list[list[int]] = table["sizes"]
        ends = np.cumsum([0, *(size for sizes in self.sizes for size in sizes)])
        first = np.cumsum([0, *(len(sizes) for sizes in self.sizes)])
        self._bounds = [ends[a : b + 1] for a, b in pairwise(first)]
        self._pcm = np.memmap(folder / "speakers.i16", np.int16, "r")

    def __len__(self) -> int:
        return len(self.names)

    def samples(self, speaker: int, number: int) -> Samples:
        """The samples of one utterance."""
        bounds = self._bounds[speaker]
        pcm = self._pcm[bounds[number] : bounds[number + 1]]
        return np.asarray(pcm, np.float32) / np.float32(32768)


def _speaker(
    number: int, seed: int, utterances: int, names: list[str], data: Path
) -> tuple[tuple[str, int, int], list[bytes]]:
    rng = random.Random(f"{seed}/speaker/{number}")
    said: list[bytes] = []
    while len(said) < utterances // 2:  # again with another voice where this one swallows what it should say
        voice, said = random_voice(rng, test=False, names=names), []
        for _ in range(utterances):
            text = grammar.draw(rng, test=False).text
            spoken, _ = speak_timed(text, voice.name, speed=voice.speed, pitch=voice.pitch, data=data)
            if len(spoken) > RATE // 4:
                said.append((np.clip(spoken, -1, 1) * 32767).astype(np.int16).tobytes())
    return (voice.name, voice.speed, voice.pitch), said


def make(folder: Path, count: int, utterances: int, seed: int, workers: int) -> Speakers:
    """Synthesise ``count`` speakers into ``folder``, or open them if they are there already."""
    if not (folder / "speakers.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        data, names = voices.invented(folder, seed)
        speak = partial(_speaker, seed=seed, utterances=utterances, names=names, data=data)
        speakers, sizes = [], []
        with (folder / "speakers.i16").open("wb") as out, ProcessPoolExecutor(workers) as pool:
            for speaker, said in pool.map(speak, range(count), chunksize=8):
                speakers.append(speaker)
                sizes.append([len(pcm) // 2 for pcm in said])
                out.writelines(said)
        (folder / "speakers.json").write_text(json.dumps({"speakers": speakers, "sizes": sizes}), "utf-8")
    return Speakers(folder)


@dataclass(frozen=True)
class Window:
    """``samples`` (n,) at 16 kHz; ``spoken`` holds (0 or 1, start, end) in seconds; ``speakers`` who 0 and 1 are."""

    samples: Samples
    spoken: tuple[tuple[int, float, float], ...]
    speakers: tuple[int, int]

    def mask(self, centres: NDArray[np.float64]) -> NDArray[np.float32]:
        """Who speaks at each of the times ``centres`` (seconds, shape (frames,)): 0 and 1, shape (2, frames)."""
        out = np.zeros((2, len(centres)), np.float32)
        for who, start, end in self.spoken:
            out[who, (centres >= start) & (centres < end)] = 1
        return out


def _gap(rng: random.Random) -> float:
    """Seconds between two lines, wider than in the calls of the test."""
    return -rng.uniform(0.05, 0.8) if rng.random() < 0.2 else rng.uniform(0.15, 2.2)


def window(speakers: Speakers, seconds: float, rng: random.Random, among: Sequence[int] = ()) -> Window:
    """``seconds`` from somewhere in a call of two of the speakers, or of those ``among`` them."""
    n, lead = int(seconds * RATE), rng.uniform(0, 6)
    one, other = rng.sample(among or range(len(speakers)), 2)
    both = (one, other)
    levels = (rng.uniform(0.3, 1.0), rng.uniform(0.3, 1.0))
    silent, alone = rng.random() < 0.02, rng.random() < 0.1
    mixed, spoken = np.zeros(n, np.float32), []
    at, who = rng.uniform(-lead, 0.5 * seconds if rng.random() < 0.15 else 1.0), rng.randrange(2)
    while at < seconds and not silent:
        if rng.random() < 0.04:
            size = int(rng.uniform(1, 5) * RATE)
            make_sound = voices.music if rng.random() < 0.7 else voices.tones
            _add(mixed, rng.uniform(0.05, 0.3) * make_sound(size, rng), at + 0.3)
            at += size / RATE + 0.7
        number = rng.randrange(len(speakers.sizes[both[who]]))
        said = speakers.samples(both[who], number)
        _add(mixed, levels[who] * rng.uniform(0.8, 1.2) * said, at)
        end = at + len(said) / RATE
        spoken.append((who, at, end))
        if rng.random() < 0.12 and not alone:  # the other one says "oui" before the line is over
            other = 1 - who
            sizes = speakers.sizes[both[other]]
            behind = speakers.samples(both[other], min(range(len(sizes)), key=sizes.__getitem__))
            start = end - rng.uniform(0.3, 1.5)
            _add(mixed, levels[other] * behind, start)
            spoken.append((other, start, start + len(behind) / RATE))
        at = end + _gap(rng)
        who = who if alone or rng.random() < 0.35 else 1 - who
    mixed += voices.noise(n, rng) * 10 ** rng.uniform(-4.5, -2.2)
    mixed *= rng.uniform(0.4, 1.1)
    line = voices.coded(mixed, rng.choice(("gsm", "ima"))) if rng.random() < 0.2 else _telephone(mixed, rng)
    inside = tuple((w, max(0.0, s), min(seconds, e)) for w, s, e in spoken if e > 0 and s < seconds)
    return Window(np.clip(line, -1, 1).astype(np.float32), inside, both)


def _telephone(samples: Samples, rng: random.Random) -> Samples:
    """The line: narrow band and 8-bit companding most of the time, else the wide band of internet telephony."""
    if rng.random() < 0.2:
        return samples
    narrow = soxr.resample(samples, RATE, 8000)
    if rng.random() < 0.7:  # µ-law and A-law are logarithms of about this base
        size = np.round(np.log1p(255 * np.minimum(np.abs(narrow), 1)) / np.log1p(255) * 127) / 127
        narrow = np.sign(narrow) * np.expm1(size * np.log1p(255)) / 255
    return np.asarray(soxr.resample(narrow, 8000, RATE)[: len(samples)], np.float32)


def _add(into: Samples, samples: Samples, at: float) -> None:
    """Add ``samples`` at ``at`` seconds, cut where they stand over."""
    start = int(at * RATE)
    part = samples[max(0, -start) :][: max(0, len(into) - max(0, start))]
    into[max(0, start) : max(0, start) + len(part)] += part
