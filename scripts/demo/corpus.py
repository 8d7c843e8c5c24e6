"""The spoken corpus: utterances synthesised once, kept in one file of samples and one of texts."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo import grammar, voices

BACKGROUND_SECONDS, BACKGROUNDS = 12, 600


class Corpus:
    """Utterances on disk and, after them, tones and music.

    ``texts[i]`` was said in ``names[i]``; ``pcm`` is all of it, int16 at 16 kHz, and ``place(i)`` tells where in it.
    """

    def __init__(self, folder: Path) -> None:
        table = json.loads((folder / "texts.json").read_text("utf-8"))
        self.texts: list[str] = table["texts"]
        self.names: list[str] = table["voices"]
        self.utterances = len(self.texts)
        self._ends: list[int] = np.cumsum([0, *table["sizes"]]).tolist()
        self.backgrounds = range(self.utterances, len(self._ends) - 1)
        self._file = folder / "samples.i16"

    @cached_property
    def pcm(self) -> NDArray[np.int16]:
        """The samples, on disk until they are read."""
        return np.memmap(self._file, np.int16, "c")

    def place(self, index: int) -> tuple[int, int]:
        """First sample and number of samples."""
        return self._ends[index], self._ends[index + 1] - self._ends[index]


def _pcm(samples: voices.Samples) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()


def _utterance(number: int, seed: int, *, test: bool, names: list[str], data: Path) -> tuple[str, str, bytes]:
    rng = random.Random(f"{seed}/{number}")
    text = grammar.draw(rng, test=test).text
    voice = voices.test_voice(rng) if test else voices.training_voice(rng, names)
    spoken = voices.speak(text, voice, speed=rng.randint(120, 200), pitch=rng.randint(20, 85), data=data)
    kind = rng.random()
    if kind < 0.2:
        spoken = voices.coded(spoken, "gsm" if kind < 0.12 else "ima")
    return text, voice, _pcm(spoken)


def _background(number: int, seed: int) -> bytes:
    rng = random.Random(f"{seed}/background/{number}")
    n = BACKGROUND_SECONDS * voices.RATE
    return _pcm(voices.tones(n, rng) if number % 2 else voices.music(n, rng))


def make(folder: Path, count: int, seed: int, *, test: bool = False) -> Corpus:
    """Synthesise ``count`` utterances into ``folder``, or open them if they are there already.

    With ``test`` they are sentences and voices that the training never meets.
    """
    if not (folder / "texts.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        data, names = voices.invented(folder, seed)
        speak = partial(_utterance, seed=seed, test=test, names=names, data=data)
        texts, spoken_by, sizes = [], [], []
        with (folder / "samples.i16").open("wb") as out, ProcessPoolExecutor(os.cpu_count()) as pool:
            for text, voice, pcm in pool.map(speak, range(count), chunksize=50):
                if len(pcm) < voices.RATE // 4:  # a voice that swallowed it
                    continue
                texts.append(text)
                spoken_by.append(voice)
                sizes.append(len(pcm) // 2)
                out.write(pcm)
            for pcm in pool.map(partial(_background, seed=seed), range(BACKGROUNDS)):
                sizes.append(len(pcm) // 2)
                out.write(pcm)
            out.write(bytes(2))  # what comes after the last sample, for reading between two
        table = {"texts": texts, "voices": spoken_by, "sizes": sizes}
        (folder / "texts.json").write_text(json.dumps(table, ensure_ascii=False), "utf-8")
    return Corpus(folder)
