"""The spoken corpus: utterances synthesised once, kept in one file of samples and one of texts."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from demo import grammar, voices


class Corpus:
    """Utterances on disk: ``texts[i]`` was said in ``names[i]``; ``samples(i)`` gives float32, shape (n,), 16 kHz."""

    def __init__(self, folder: Path) -> None:
        table = json.loads((folder / "texts.json").read_text("utf-8"))
        self.texts: list[str] = table["texts"]
        self.names: list[str] = table["voices"]
        self._ends = np.cumsum([0, *table["sizes"]])
        self._pcm = np.memmap(folder / "samples.i16", np.int16, "r")

    def __len__(self) -> int:
        return len(self.texts)

    def samples(self, index: int) -> voices.Samples:
        """The samples of one utterance."""
        pcm = self._pcm[self._ends[index] : self._ends[index + 1]]
        return np.asarray(pcm, np.float32) / np.float32(32768)


def _utterance(
    number: int, seed: int, *, test_sentence: bool, test_voice: bool, names: list[str]
) -> tuple[str, str, bytes]:
    rng = random.Random(f"{seed}/{number}")
    text = grammar.draw(rng, test=test_sentence).text
    voice = voices.test_voice(rng) if test_voice else voices.training_voice(rng, names)
    spoken = voices.speak(text, voice, speed=rng.randint(125, 200), pitch=rng.randint(20, 85))
    if rng.random() < 0.12:
        spoken = voices.gsm(spoken)
    return text, voice, (np.clip(spoken, -1, 1) * 32767).astype(np.int16).tobytes()


def make(folder: Path, count: int, seed: int, *, test_sentence: bool = False, test_voice: bool = False) -> Corpus:
    """Synthesise ``count`` utterances into ``folder``, or open them if they are there already."""
    if not (folder / "texts.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        speak = partial(
            _utterance, seed=seed, test_sentence=test_sentence, test_voice=test_voice, names=voices.variants()
        )
        texts, names, sizes = [], [], []
        with (folder / "samples.i16").open("wb") as out, ProcessPoolExecutor(os.cpu_count()) as pool:
            for text, voice, pcm in pool.map(speak, range(count), chunksize=50):
                texts.append(text)
                names.append(voice)
                sizes.append(len(pcm) // 2)
                out.write(pcm)
        table = {"texts": texts, "voices": names, "sizes": sizes}
        (folder / "texts.json").write_text(json.dumps(table, ensure_ascii=False), "utf-8")
    return Corpus(folder)
