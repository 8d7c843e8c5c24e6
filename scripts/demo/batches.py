"""Training windows: utterances, pauses and line noises put together, with the tokens Whisper would write.

What a batch holds is drawn here from (seed, stage, step), so a resumed training sees what an uninterrupted one sees;
``line.py`` makes the sound of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from functools import cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from whisper.tokenizer import get_tokenizer

from demo.corpus import Corpus
from demo.network import POSITIONS
from demo.voices import RATE

TOKENIZER = get_tokenizer(True, num_languages=99, language="fr", task="transcribe")
TIME0 = TOKENIZER.timestamp_begin
PROMPT = (TOKENIZER.sot, TOKENIZER.language_token, TOKENIZER.transcribe)


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    The rate falls over the ``steps``. Window ``lengths`` (seconds) take turns, step by step; a batch holds ``audio``
    seconds. ``single`` windows hold one utterance each. ``silent`` is the share of windows without speech, ``ctc`` the
    weight of the CTC loss beside the decoder's (attention alone does not learn to align), ``overlap`` the share of
    utterances that begin before the last one has ended, as both sides of a call do in one channel, ``beside`` the share
    of those into which somebody else speaks who is not to be heard, as where a voice was cut out of such a channel.
    """

    name: str
    steps: int
    lengths: tuple[float, ...]
    audio: float
    single: bool
    rate: float
    silent: float
    ctc: float
    overlap: float = 0.0
    beside: float = 0.0


@dataclass(frozen=True)
class Said:
    """One utterance in a window: seconds from its start, and its text."""

    start: float
    end: float
    text: str


@cache
def encoded(text: str) -> tuple[int, ...]:
    """The tokens of an utterance within a transcript."""
    return tuple(TOKENIZER.encode(" " + text))


class Tokens:
    """The tokens that the corpus needs, and their index in the trained embedding; the letters of the CTC loss."""

    def __init__(self, texts: list[str]) -> None:
        self.words = sorted({token for text in texts for token in encoded(text)})
        special = [TOKENIZER.eot, *PROMPT, TOKENIZER.sot_prev, TOKENIZER.no_timestamps, TOKENIZER.no_speech]
        self.all = self.words + special + [TIME0 + i for i in range(POSITIONS + 1)]
        self.index = {token: i for i, token in enumerate(self.all)}
        self.letters = {letter: i + 1 for i, letter in enumerate(sorted({c for text in texts for c in text.lower()}))}


@dataclass(frozen=True)
class Batch:
    """One step: what sounds where (P pieces of the corpus), what the line does (B windows of ``samples``), the tokens.

    Piece p: ``length`` samples from ``start`` of the corpus, played ``speed`` times as fast, at sample ``at`` of window
    ``row``. Line: noise at ``noise`` of full scale, pink where ``pink``, with a hum of ``hum`` Hz where not 0; bass cut
    below ``bass`` Hz; ``tilt`` dB an octave; ``narrow`` for 8 kHz, with µ-law where ``law`` is 1, A-law where 2.
    ``given`` and ``answer`` (B, L) are the decoder's (-100: not asked), ``ctc`` (B, C) labels of ``ctc_sizes``.
    """

    samples: int
    seed: int
    row: Tensor
    at: Tensor
    start: Tensor
    length: Tensor
    speed: Tensor
    gain: Tensor
    noise: Tensor
    pink: Tensor
    hum: Tensor
    bass: Tensor
    tilt: Tensor
    narrow: Tensor
    law: Tensor
    given: Tensor
    answer: Tensor
    ctc: Tensor
    ctc_sizes: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved = {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in values.items()}
        return Batch(**moved)


@dataclass(frozen=True)
class Piece:
    """See :class:`Batch`."""

    row: int
    at: int
    start: int
    length: int
    speed: float
    gain: float


def _background(corpus: Corpus, row: int, at: int, size: int, rng: random.Random) -> list[Piece]:
    """Tones or music at ``at``, as long as there is of it."""
    start, length = corpus.place(rng.choice(corpus.backgrounds))
    skip = rng.randrange(length // 2)
    return [Piece(row, at, start + skip, min(size, length - skip), 1.0, 10 ** rng.uniform(-1.8, -0.3))]


def _beside(corpus: Corpus, own: Piece, rng: random.Random) -> Piece:
    """A part of another utterance while ``own`` sounds: as it begins, as it ends, or within."""
    start, length = corpus.place(rng.randrange(corpus.utterances))
    size = min(int(rng.uniform(0.2, 1.2) * RATE), int(0.6 * own.length), length - 2)
    free, out = own.length - size, int(rng.uniform(0, 0.12) * RATE)  # who cuts voices out errs by as much
    where = rng.random()
    at = max(0, own.at - out) if where < 0.4 else own.at + (free if where < 0.8 else rng.randrange(free))
    # What begins before is heard to its end, what begins within from its beginning.
    skip = length - 2 - size if where < 0.4 else 0
    return Piece(own.row, at, start + skip, size, 1.0, own.gain * rng.uniform(0.4, 1.4))


def _window(
    corpus: Corpus, stage: Stage, row: int, n: int, rng: random.Random
) -> tuple[list[Piece], list[Said], float]:
    """Pieces of one window of ``n`` samples, what is said in it and its noise."""
    if rng.random() < stage.silent:
        kind = rng.random()
        noise = 0.0 if kind < 0.15 else 10 ** rng.uniform(-3.5, -1.0 if kind < 0.45 else -2.5)
        return ([] if kind < 0.45 else _background(corpus, row, 0, n, rng)), [], noise
    at = int(rng.uniform(0, 0.6) * RATE)
    pieces: list[Piece] = []
    said: list[Said] = []
    most = 1 if stage.single else rng.randint(1, 1 + int(n / RATE / 2.2))
    level = rng.uniform(0.2, 1.0)
    speed = 2 ** rng.uniform(-0.22, 0.22)  # of the tape: the length of the vocal tract, too
    while len(said) < most:
        index = rng.randrange(corpus.utterances)
        start, length = corpus.place(index)
        clipped = int(rng.uniform(0, 0.05) * RATE) if rng.random() < 0.2 else 0  # a speech detector that is late
        if rng.random() < 0.25:
            speed = 2 ** rng.uniform(-0.22, 0.22)
        size = int((length - clipped - 2) / speed)
        early = int(rng.uniform(0.1, 0.8) * RATE) if said and stage.overlap and rng.random() < stage.overlap else 0
        if early:
            early = min(early, int((said[-1].end - said[-1].start) * RATE))
            at = int(said[-1].end * RATE) - early
        if at + size > n:
            if said or size < n / 2:
                break
            continue
        gain = level * rng.uniform(0.7, 1.2) if rng.random() < 0.8 else rng.uniform(0.1, 1.0)
        pieces.append(Piece(row, at, start + clipped, size, speed, gain))
        if stage.beside and rng.random() < stage.beside:
            pieces.append(_beside(corpus, pieces[-1], rng))
        one = Said(at / RATE, (at + size) / RATE, corpus.texts[index])
        at = max(at + size, int(said[-1].end * RATE)) if early else at + size
        if early:  # the times of a transcript never go back: the two meet in the middle
            joint = one.start + early / RATE / 2
            said[-1] = replace(said[-1], end=joint)
            one = replace(one, start=joint, end=max(joint, one.end))
        said.append(one)
        gap = rng.uniform(0.1, 1.2) if rng.random() < 0.8 else rng.uniform(1, 5)
        size = min(int(gap * RATE), n - at)
        if size > 8000 and rng.random() < 0.15:  # a tone or a bar of music between two sentences
            pieces += _background(corpus, row, at, size, rng)
        at += size
    return pieces, said, 10 ** rng.uniform(-4.5, -1.9)


def _target(
    said: list[Said], tokens: Tokens, corpus: Corpus, rng: random.Random
) -> tuple[list[int], list[int], list[int]]:
    """Decoder input, what it should answer, and the CTC labels; all in trained indexes."""
    index = tokens.index
    if not said:
        # Silence is answered twice: by the no-speech token after the first, by an empty text after the prompt.
        given = [*PROMPT, TIME0]
        answer = [TOKENIZER.no_speech, -100, TIME0, TOKENIZER.eot]
        return [index[t] for t in given], [index.get(t, -100) for t in answer], []
    timed = rng.random() > 0.15
    body: list[int] = []
    for one in said:
        text = encoded(one.text)
        body += [TIME0 + round(one.start * 50), *text, TIME0 + round(one.end * 50)] if timed else text
    before: list[int] = []
    if rng.random() < 0.1:
        before = [TOKENIZER.sot_prev]
        for _ in range(rng.randint(1, 3)):
            before += encoded(corpus.texts[rng.randrange(corpus.utterances)])
    given = [*before, *PROMPT, *(() if timed else (TOKENIZER.no_timestamps,)), *body]
    answer = [*([-100] * len(before)), *given[len(before) + 1 :], TOKENIZER.eot]
    return (
        [index[t] for t in given],
        [index.get(t, -100) for t in answer],
        [tokens.letters[c] for c in " ".join(one.text for one in said).lower()],
    )


class Batches(Dataset[Batch]):
    """The batches of one stage, by step."""

    def __init__(self, corpus: Corpus, tokens: Tokens, stage: Stage, seed: int) -> None:
        self.corpus, self.tokens, self.stage, self.seed = corpus, tokens, stage, seed

    def __len__(self) -> int:
        return self.stage.steps

    def __getitem__(self, step: int) -> Batch:
        rng = random.Random(f"{self.seed}/{self.stage.name}/{step}")
        seconds = self.stage.lengths[step % len(self.stage.lengths)]
        n = int(seconds * RATE)
        pieces: list[Piece] = []
        lines: list[tuple[float, bool, float, float, float, bool, int]] = []
        targets = []
        for row in range(max(1, int(self.stage.audio / seconds))):
            heard, said, noise = _window(self.corpus, self.stage, row, n, rng)
            pieces += heard
            hum = rng.choice((50.0, 60.0, 100.0)) if rng.random() < 0.1 else 0.0
            bass = rng.uniform(60, 350) if rng.random() < 0.5 else 0.0
            lines.append(
                (noise, rng.random() < 0.5, hum, bass, rng.uniform(-3, 3), rng.random() < 0.8, rng.choice((0, 1, 1, 2)))
            )
            targets.append(_target(said, self.tokens, self.corpus, rng))
        noises, pinks, hums, basses, tilts, narrows, laws = zip(*lines, strict=True)
        given, answers, labels = zip(*targets, strict=True)
        return Batch(
            samples=n,
            seed=rng.getrandbits(60),
            row=torch.tensor([p.row for p in pieces]),
            at=torch.tensor([p.at for p in pieces]),
            start=torch.tensor([p.start for p in pieces]),
            length=torch.tensor([p.length for p in pieces]),
            speed=torch.tensor([p.speed for p in pieces], dtype=torch.float32),
            gain=torch.tensor([p.gain for p in pieces], dtype=torch.float32),
            noise=torch.tensor(noises),
            pink=torch.tensor(pinks),
            hum=torch.tensor(hums),
            bass=torch.tensor(basses),
            tilt=torch.tensor(tilts),
            narrow=torch.tensor(narrows),
            law=torch.tensor(laws),
            given=pad_sequence([torch.tensor(g) for g in given], True, self.tokens.index[TOKENIZER.eot]),
            answer=pad_sequence([torch.tensor(a) for a in answers], True, -100),
            ctc=pad_sequence([torch.tensor(c, dtype=torch.long) for c in labels], True, 0),
            ctc_sizes=torch.tensor([len(c) for c in labels]),
        )
