"""Training windows: utterances, pauses and line noises put together, with the tokens Whisper would write.

Every batch is a function of (seed, stage, step), so a resumed training sees what an uninterrupted one sees.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from whisper.tokenizer import get_tokenizer

from demo import voices
from demo.corpus import Corpus
from demo.network import POSITIONS, log_mel

TOKENIZER = get_tokenizer(True, num_languages=99, language="fr", task="transcribe")
TIME0 = TOKENIZER.timestamp_begin
PROMPT = (TOKENIZER.sot, TOKENIZER.language_token, TOKENIZER.transcribe)


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    The rate falls over ``decay`` steps. Window ``lengths`` (seconds) take turns, step by step; a batch holds ``audio``
    seconds. ``single`` windows hold one utterance each. ``silent`` is the share of windows without speech, ``placed``
    that of windows put at a random position among the encoder's 1,500, ``ctc`` the weight of the CTC loss beside the
    decoder's (attention alone does not learn to align).
    """

    name: str
    steps: int
    decay: int
    lengths: tuple[float, ...]
    audio: float
    single: bool
    rate: float
    silent: float
    placed: float
    ctc: float


@dataclass(frozen=True)
class Said:
    """One utterance in a window: seconds from its start, and the text."""

    start: float
    end: float
    text: str


class Tokens:
    """The tokens that the corpus needs, and their index in the trained embedding; the letters of the CTC loss."""

    def __init__(self, texts: list[str]) -> None:
        self.words = sorted({token for text in texts for token in TOKENIZER.encode(" " + text)})
        special = [TOKENIZER.eot, *PROMPT, TOKENIZER.sot_prev, TOKENIZER.no_timestamps, TOKENIZER.no_speech]
        self.all = self.words + special + [TIME0 + i for i in range(POSITIONS + 1)]
        self.index = {token: i for i, token in enumerate(self.all)}
        self.letters = {letter: i + 1 for i, letter in enumerate(sorted({c for text in texts for c in text.lower()}))}


def background(n: int, rng: random.Random) -> voices.Samples:
    """What a line without speech sounds like: silence, noise, tones or music."""
    kind = rng.random()
    if kind < 0.15:
        return np.zeros(n, np.float32)
    if kind < 0.45:
        return voices.noise(n, rng) * 10 ** rng.uniform(-3.5, -1.0)
    sound = voices.tones(n, rng) if kind < 0.7 else voices.music(n, rng)
    return np.asarray(sound * rng.uniform(0.02, 0.5), np.float32)


def window(corpus: Corpus, stage: Stage, seconds: float, rng: random.Random) -> tuple[voices.Samples, list[Said]]:
    """A window of ``seconds`` at 16 kHz and what is said in it."""
    n = int(seconds * voices.RATE)
    if rng.random() < stage.silent:
        return np.clip(voices.telephone(background(n, rng), rng), -1, 1), []
    audio = np.zeros(n, np.float32)
    at = int(rng.uniform(0, 0.6) * voices.RATE)
    said: list[Said] = []
    most = 1 if stage.single else rng.randint(1, 1 + int(seconds / 2.4))
    level = rng.uniform(0.2, 1.0)
    while len(said) < most:
        index = rng.randrange(len(corpus))
        samples = corpus.samples(index)
        if at + len(samples) > n:
            if said or len(samples) < n / 2:
                break
            continue
        audio[at : at + len(samples)] = samples * (
            level * rng.uniform(0.7, 1.2) if rng.random() < 0.8 else rng.uniform(0.1, 1.0)
        )
        said.append(Said(at / voices.RATE, (at + len(samples)) / voices.RATE, corpus.texts[index]))
        at += len(samples)
        gap = rng.uniform(0.1, 1.2) if rng.random() < 0.8 else rng.uniform(1, 5)
        size = min(int(gap * voices.RATE), n - at)
        if size > 8000 and rng.random() < 0.15:  # a line noise or a bar of music between two sentences
            audio[at : at + size] += background(size, rng)
        at += size
    audio += voices.noise(n, rng) * 10 ** rng.uniform(-4.5, -1.9)
    return np.clip(voices.telephone(audio, rng), -1, 1), said


def target(
    said: list[Said], offset: int, tokens: Tokens, corpus: Corpus, rng: random.Random
) -> tuple[list[int], list[int], list[int]]:
    """Decoder input, what it should answer (-100: not asked), and the CTC labels; all in trained indexes."""
    index = tokens.index
    if not said:
        # Silence is answered twice: by the no-speech token after the first, by an empty text after the prompt.
        given = [*PROMPT, TIME0]
        answer = [TOKENIZER.no_speech, -100, TIME0, TOKENIZER.eot]
        return [index[t] for t in given], [index.get(t, -100) for t in answer], []
    timed = rng.random() > 0.15
    body: list[int] = []
    for one in said:
        text = TOKENIZER.encode(" " + one.text)
        body += [TIME0 + offset + round(one.start * 50), *text, TIME0 + offset + round(one.end * 50)] if timed else text
    before: list[int] = []
    if rng.random() < 0.1:
        before = [TOKENIZER.sot_prev]
        for _ in range(rng.randint(1, 3)):
            before += TOKENIZER.encode(" " + corpus.texts[rng.randrange(len(corpus))])
    given = [*before, *PROMPT, *(() if timed else (TOKENIZER.no_timestamps,)), *body]
    answer = [*([-100] * len(before)), *given[len(before) + 1 :], TOKENIZER.eot]
    return (
        [index[t] for t in given],
        [index.get(t, -100) for t in answer],
        [tokens.letters[c] for c in " ".join(one.text for one in said).lower()],
    )


@dataclass(frozen=True)
class Batch:
    """Tensors of one step: mel (B, 80, T), offsets, inputs and answers (B, L), CTC labels (B, C) and their lengths."""

    mel: Tensor
    offsets: list[int]
    given: Tensor
    answer: Tensor
    ctc: Tensor
    ctc_sizes: Tensor


def batch(corpus: Corpus, tokens: Tokens, stage: Stage, seed: int, step: int) -> Batch:
    """The batch of one step."""
    rng = random.Random(f"{seed}/{stage.name}/{step}")
    seconds = stage.lengths[step % len(stage.lengths)]
    audio, given, answers, labels, offsets = [], [], [], [], []
    for _ in range(int(stage.audio / seconds)):
        samples, said = window(corpus, stage, seconds, rng)
        last = POSITIONS - int(seconds * 50)
        offset = rng.randint(0, last) if said and rng.random() < stage.placed else 0
        g, a, c = target(said, offset, tokens, corpus, rng)
        audio.append(torch.from_numpy(np.ascontiguousarray(samples[: int(seconds * voices.RATE)])))
        given.append(torch.tensor(g))
        answers.append(torch.tensor(a))
        labels.append(torch.tensor(c, dtype=torch.long))
        offsets.append(offset)
    mel = log_mel(torch.stack(audio))
    for row in mel:  # SpecAugment, light
        f = rng.randint(0, 12)
        low = rng.randint(0, 79 - f)
        row[low : low + f] = 0
        for _ in range(max(1, int(seconds / 5))):
            t = rng.randint(0, 20)
            at = rng.randint(0, row.shape[1] - t - 1)
            row[:, at : at + t] = 0
    pad = torch.nn.utils.rnn.pad_sequence
    return Batch(
        mel,
        offsets,
        pad(given, True, tokens.index[TOKENIZER.eot]),
        pad(answers, True, -100),
        pad(labels, True, 0),
        torch.tensor([len(c) for c in labels]),
    )
