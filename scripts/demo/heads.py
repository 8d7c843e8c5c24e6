"""Which attention heads the word times are read from: measured, because all of them together are mediocre."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from demo import grammar, voices
from demo.calls import Scene, random_voice
from demo.network import DECODER_LAYERS, HEADS

WINDOWS = 16


def _scenes(seed: int) -> list[Scene]:
    """Windows of 15 to 29 s in voices of the training, with the start of each word."""
    names = voices.variants()
    scenes = []
    for number in range(WINDOWS):
        rng = random.Random(f"heads/{seed}/{number}")
        scene, until = Scene(at=0.3), rng.uniform(12, 25)
        while scene.at < until:
            sentence = grammar.draw(rng, test=False)
            scene.speak("agent", sentence.text, random_voice(rng, test=False, names=names), gap=rng.uniform(0.2, 0.8))
        scenes.append(scene)
    return scenes


def choose_heads(folder: Path, seed: int) -> tuple[list[tuple[int, int]], float]:
    """Try every set of heads on known text; write the best into the model's config. Its median error in seconds."""
    scenes = _scenes(seed)
    sounds = [np.clip(scene.mix(random.Random(i))[0], -1, 1) for i, scene in enumerate(scenes)]
    every = [(layer, head) for layer in range(DECODER_LAYERS) for head in range(HEADS)]
    config = json.loads((folder / "config.json").read_text("utf-8"))
    best: tuple[float, list[tuple[int, int]]] = (9.0, every)
    for size in range(1, len(every) + 1):
        for heads in combinations(every, size):
            config["alignment_heads"] = heads
            (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
            error = _error(
                WhisperModel(str(folder), device="cpu", cpu_threads=1, local_files_only=True), scenes, sounds
            )
            print(f"heads {heads}: word starts off by {error:.3f} s", flush=True)
            best = min(best, (error, list(heads)))
    config["alignment_heads"] = best[1]
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    return best[1], best[0]


def _error(model: WhisperModel, scenes: list[Scene], sounds: list[voices.Samples]) -> float:
    """Median distance between the starts the aligner finds for the true words and those that espeak-ng told."""
    tokenizer = Tokenizer(model.hf_tokenizer, True, task="transcribe", language="fr")
    errors = []
    for scene, sound in zip(scenes, sounds, strict=True):
        mel = np.zeros((80, 3000), np.float32)
        found = model.feature_extractor(np.pad(sound, (0, max(0, 480_000 - len(sound))))[:480_000], padding=0)
        mel[:, : found.shape[1]] = found[:, :3000]
        encoded = model.model.encode(ctranslate2.StorageView.from_array(mel[None]))
        truth = [start for turn in scene.turns for _, start in turn.words]
        texts = [token for turn in scene.turns for token in tokenizer.encode(" " + turn.text)]
        words = model.find_alignment(tokenizer, [texts], encoded, min(3000, len(sound) // 160))[0]
        starts = [word["start"] for word in words if word["word"].startswith(" ")]
        if len(starts) == len(truth):
            errors += [abs(a - b) for a, b in zip(starts, truth, strict=True)]
    return float(np.median(errors)) if errors else 9.0
