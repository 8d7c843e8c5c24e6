"""Whisper models on CTranslate2: the one file that imports faster_whisper and ctranslate2."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from callscan.errors import ModelError
from callscan.speech.api import SAMPLE_RATE
from callscan.speech.meter import Meter
from callscan.speech.models import CONVERT
from callscan.speech.tokens import TIME_STEP, TimedTokens, TimedWord, split, words_of
from callscan.speech.windows import WHISPER_LENGTH

Features = NDArray[np.float32]
"""Log-mel of one window, (mel bands, frames), 100 frames a second."""

_MOST_WORKERS, _GPU_WORKERS = 4, 2
_MOST_PREPARING = 8
_PIECE = 2  # windows that a CPU encodes at once: what lies between two layers stays in its cache
_T = TypeVar("_T")
_MAX_TOKENS = 448  # positions of the decoder
_WIDE = 5
_OUT_OF_MEMORY = ("out of memory", "alloc_failed")  # as CUDA puts it, and as cuBLAS and cuDNN do
_PER_SECOND = 12  # tokens that nobody speaks in a second: what goes on for longer is a loop


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a window is decoded.

    Whisper's own fallback samples at a temperature. CTranslate2's sampler gives another text at each call, whatever its
    seed; a wider beam that is forbidden to repeat itself finds another text too, and always the same one.
    """

    beam: int
    no_repeat: int = 0


def efforts(beam_size: int) -> tuple[Effort, ...]:
    """Efforts in the order they are tried; ``Segment.temperature`` is the step taken, 0.2 a step as in Whisper."""
    wide = max(beam_size, _WIDE)
    return tuple(dict.fromkeys((Effort(beam_size), Effort(wide), Effort(wide, no_repeat=3))))


@dataclass(frozen=True, slots=True)
class Heard:
    """What was decoded from one window: timed text, each text's words, and how sure the model was.

    ``cut`` says that the model was stopped in the middle of the last text, so that nobody knows where it ends.
    """

    text: str
    parts: tuple[TimedTokens, ...]
    texts: tuple[str, ...]
    words: tuple[tuple[TimedWord, ...], ...]
    avg_logprob: float
    no_speech: float
    cut: bool = False


class Whisper:
    """A loaded model. ``workers`` batches may be heard at once, and ``preparing`` threads keep up with that.

    ``lengths`` are the seconds its windows are padded to: 30 as Whisper was trained, or those that
    the model's ``callscan.json`` names because it was trained on them."""

    def __init__(self, directory: Path, *, device: str, compute_type: str = "default", threads: int = 0) -> None:
        threads = threads or len(os.sched_getaffinity(0))
        self.device = device
        # Batches side by side use cores better than one batch on all of them, and keep a GPU busy between two.
        self.workers = min(threads, _MOST_WORKERS) if device == "cpu" else _GPU_WORKERS
        self.preparing = min(threads, _MOST_PREPARING)
        if device == "cuda":
            _load_cublas()
        try:
            self._loaded = faster_whisper.WhisperModel(
                str(directory),
                device=device,
                compute_type=compute_type,
                cpu_threads=max(1, threads // self.workers),
                num_workers=self.workers,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"cannot load the model in {directory}: {error}",
                "give a folder with a CTranslate2 Whisper model, or a name from 'callscan models list'",
            ) from error
        self._model = self._loaded.model
        bands = len(self._loaded.feature_extractor.mel_filters)
        if bands != self._model.n_mels:
            raise ModelError(
                f"the model in {directory} takes {self._model.n_mels} mel bands, and its preprocessor_config.json "
                f"{'says' if (directory / 'preprocessor_config.json').exists() else 'is missing, which means'} {bands}",
                CONVERT,
            )
        self._directory = directory
        extra = directory / "callscan.json"
        named = json.loads(extra.read_text("utf-8"))["lengths"] if extra.exists() else (WHISPER_LENGTH,)
        self.lengths: tuple[float, ...] = tuple(map(float, named))
        self._tokenizers: dict[str, Tokenizer] = {}
        self.meter = Meter()

    @cached_property
    def digest(self) -> str:
        """Hex digest of the model's files and of the library that runs them."""
        digest = hashlib.sha256(f"ctranslate2 {ctranslate2.__version__} {self._model.compute_type}".encode())
        for file in sorted(self._directory.iterdir()):
            if file.suffix in (".bin", ".json", ".txt"):
                digest.update(file.name.encode())
                with file.open("rb") as data:
                    digest.update(hashlib.file_digest(data, "sha256").digest())
        return digest.hexdigest()

    def knows(self, language: str) -> bool:
        """Whether the model has learnt a language; large-v2 and before know no Cantonese, those in English no other."""
        if not self._model.is_multilingual:
            return language == "en"
        return self._loaded.hf_tokenizer.token_to_id(f"<|{language}|>") is not None

    def features(self, samples: NDArray[np.float32], padded: float) -> Features:
        """Log-mel of ``samples`` (16 kHz), with silence up to ``padded`` seconds."""
        with self.meter.time("features"):
            whole = np.zeros(int(padded * SAMPLE_RATE), np.float32)
            whole[: len(samples)] = samples[: len(whole)]
            mel = self._loaded.feature_extractor(whole, padding=0)
            return np.ascontiguousarray(mel[:, : int(padded * 100)], np.float32)

    def languages(self, features: Sequence[Features]) -> list[tuple[str, float]]:
        """The most likely language of each window (ISO 639-1) and its probability."""
        if not self._model.is_multilingual:
            return [("en", 1.0)] * len(features)

        def detect(part: Sequence[Features]) -> list[tuple[str, float]]:
            encoded = self._encode(part)
            with self.meter.time("language"):
                found = self._model.detect_language(encoded)
            return [(best[0][0].strip("<|>"), float(best[0][1])) for best in found]

        return _shrinking(detect, list(features))

    def hear(self, windows: Sequence[tuple[Features, float]], language: str, effort: Effort) -> list[Heard]:
        """Decode and align windows of one length and one language: features and seconds of sound each.

        One language, because the aligner takes one prompt for a batch.
        """
        return _shrinking(lambda part: self._hear(part, language, effort), list(windows))

    def _hear(self, windows: Sequence[tuple[Features, float]], language: str, effort: Effort) -> list[Heard]:
        tokenizer = self._tokenizer(language)
        encoded = self._encode([features for features, _ in windows])
        # CTranslate2 writes half as many tokens as this says: the other half is for the text before.
        length = min(_MAX_TOKENS, 2 * (16 + int(_PER_SECOND * windows[0][0].shape[1] / 100)))
        with self.meter.time("generate"):
            results = self._model.generate(
                encoded,
                [list(tokenizer.sot_sequence)] * len(windows),
                beam_size=effort.beam,
                no_repeat_ngram_size=effort.no_repeat,
                max_length=length,
                return_scores=True,
                return_no_speech_prob=True,
                suppress_tokens=list(get_suppressed_tokens(tokenizer, [-1])),
            )
        parts = [
            split(result.sequences_ids[0], tokenizer.timestamp_begin, tokenizer.eot, seconds)
            for result, (_, seconds) in zip(results, windows, strict=True)
        ]
        words = self._align(encoded, tokenizer, parts, [seconds for _, seconds in windows])
        heard = []
        for result, timed, spoken in zip(results, parts, words, strict=True):
            tokens = result.sequences_ids[0]
            size = len(tokens)
            texts = tuple(tokenizer.decode(list(part.tokens)).strip() for part in timed)
            heard.append(
                Heard(
                    text=" ".join(texts),
                    parts=tuple(timed),
                    texts=texts,
                    words=tuple(spoken),
                    avg_logprob=result.scores[0] * size / (size + 1),
                    no_speech=result.no_speech_prob,
                    cut=size >= length // 2 and tokens[-1] < tokenizer.eot,
                )
            )
        return heard

    def _align(
        self, encoded: Any, tokenizer: Tokenizer, parts: list[list[TimedTokens]], seconds: list[float]
    ) -> list[list[tuple[TimedWord, ...]]]:
        """The words of every part of every window, in one call of the aligner."""
        texts = [[token for part in timed for token in part.tokens] for timed in parts]
        if not any(texts):
            return [[] for _ in parts]
        frames = [max(2, int(second / TIME_STEP * 2)) for second in seconds]
        start = list(tokenizer.sot_sequence)
        with self.meter.time("align"):
            # On a CPU one by one: the scores of every token of the vocabulary at every step overflow its cache.
            step = 1 if self.device == "cpu" else len(texts)
            results = [
                result
                for at in range(0, len(texts), step)
                for result in self._model.align(
                    _part(encoded, at, step), start, texts[at : at + step], frames[at : at + step]
                )
            ]
        found = []
        for result, timed, text in zip(results, parts, texts, strict=True):
            spoken, tokens = tokenizer.split_to_word_tokens([*text, tokenizer.eot])
            words = words_of(
                result.alignments, result.text_token_probs, spoken[:-1], [len(word) for word in tokens[:-1]]
            )
            found.append(_dealt(words, timed))
        return found

    def _encode(self, features: Sequence[Features]) -> Any:
        with self.meter.time("encode"):
            step = _PIECE if self.device == "cpu" else len(features)
            parts = [
                self._model.encode(ctranslate2.StorageView.from_array(np.stack(features[at : at + step])))
                for at in range(0, len(features), step)
            ]
            if len(parts) == 1:
                return parts[0]
            return ctranslate2.StorageView.from_array(np.concatenate([np.asarray(part) for part in parts]))

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            multilingual = self._model.is_multilingual
            self._tokenizers[language] = Tokenizer(
                self._loaded.hf_tokenizer, multilingual, task="transcribe", language=language if multilingual else "en"
            )
        return self._tokenizers[language]


def _part(encoded: Any, start: int, size: int) -> Any:
    """Some windows of what was encoded; on a CPU without a copy."""
    if encoded.shape[0] <= size:
        return encoded
    return ctranslate2.StorageView.from_array(np.asarray(encoded)[start : start + size])


def _dealt(words: list[TimedWord], parts: list[TimedTokens]) -> list[tuple[TimedWord, ...]]:
    """Words dealt out to the parts whose tokens they are; a word that straddles two belongs to the first."""
    dealt: list[tuple[TimedWord, ...]] = []
    at = taken = 0
    end = 0
    for part in parts:
        end += len(part.tokens)
        first = at
        while at < len(words) and taken < end:
            taken += words[at].size
            at += 1
        dealt.append(tuple(words[first:at]))
    return dealt


def _shrinking(work: Callable[[Any], list[_T]], items: list[Any]) -> list[_T]:
    """``work`` on all items, or, when memory runs out, on halves of them."""
    try:
        return work(items)
    except RuntimeError as error:
        if len(items) == 1 or not any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
            raise
    middle = len(items) // 2
    return _shrinking(work, items[:middle]) + _shrinking(work, items[middle:])


def cuda_devices() -> int:
    """How many CUDA devices there are that CTranslate2 can use."""
    return int(ctranslate2.get_cuda_device_count())


def _load_cublas() -> None:
    """Load cuBLAS 12 from the ``cuda`` extra, where it is installed.

    CTranslate2 opens it by name when it first multiplies, and the loader does not look into site-packages.
    """
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            library = Path(folder) / "cublas" / "lib" / name
            if library.exists():
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
