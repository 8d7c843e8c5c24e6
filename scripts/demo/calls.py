"""Dialogues made into recordings: lines spoken in turn, one channel a speaker, with the truth beside them."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

import numpy as np

from demo import voices
from demo.timed_voice import speak_timed
from demo.voices import RATE, Samples

AGENT, CUSTOMER = 0, 1


@dataclass(frozen=True)
class Voice:
    """How somebody speaks."""

    name: str
    speed: int
    pitch: int


@dataclass(frozen=True)
class Turn:
    """One line as it was spoken: seconds from the start of the call, words with their starts."""

    speaker: str
    start: float
    end: float
    text: str
    words: tuple[tuple[str, float], ...]


@dataclass
class Scene:
    """A call that is being put together; ``tracks`` are (samples, channel, start in samples, level)."""

    tracks: list[tuple[Samples, int, int]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    at: float = 0.6

    def speak(self, speaker: str, text: str, voice: Voice, *, gap: float, stay: bool = False) -> None:
        """Let ``speaker`` (agent, customer or ivr) say ``text`` ``gap`` seconds after the last line, before its end if
        negative. With ``stay`` the next line does not wait for this one: a backchannel."""
        samples, words = speak_timed(text, voice.name, speed=voice.speed, pitch=voice.pitch)
        start = max(0.3, self.at + gap)
        end = start + len(samples) / RATE
        channel = CUSTOMER if speaker == "customer" else AGENT
        self.tracks.append((samples, channel, int(start * RATE)))
        timed = tuple((word, round(start + offset, 3)) for word, offset in words)
        self.turns.append(Turn(speaker, round(start, 3), round(end, 3), text, timed))
        if not stay:
            self.at = end

    def sound(self, samples: Samples, channel: int) -> None:
        """Play ``samples`` (hold music, ringback) on a channel after the last line."""
        start = self.at + 0.4
        self.tracks.append((samples, channel, int(start * RATE)))
        self.at = start + len(samples) / RATE + 0.4

    def mix(self, rng: random.Random) -> Samples:
        """The call, (2, n): levels and line noise of each side drawn from ``rng``."""
        n = int((self.at + 0.8) * RATE)
        out = np.zeros((2, n), np.float32)
        levels = (rng.uniform(0.5, 0.9), rng.uniform(0.35, 0.8))
        for samples, channel, start in self.tracks:
            part = samples[: n - start]
            out[channel, start : start + len(part)] += levels[channel] * part
        for side in out:
            side += voices.noise(n, rng) * 10 ** rng.uniform(-4.2, -3.2)
        return np.clip(out, -1, 1)


def random_voice(rng: random.Random, *, test: bool, names: list[str]) -> Voice:
    """A voice of the training or of the test."""
    name = voices.test_voice(rng) if test else voices.training_voice(rng, names)
    return Voice(name, rng.randint(130, 170), rng.randint(25, 80))


def gap(rng: random.Random) -> float:
    """Seconds between two lines: now and then an overlap."""
    return -rng.uniform(0.1, 0.5) if rng.random() < 0.1 else rng.uniform(0.4, 1.8)


def written(text: str) -> str:
    """A line of a dialogue as a transcript writes it: capital first, no space before the question mark."""
    text = re.sub(r"\s+\?", "?", text.strip())
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."
