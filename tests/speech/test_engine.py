"""The engine on the embedded model and the sample calls: what a call says depends on the call alone."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import callscan.demo
from callscan.audio import Decoder
from callscan.speech.api import SAMPLE_RATE, CallAudio, CallSpeech
from callscan.speech.engine import WhisperEngine
from callscan.speech.models import DEMO
from callscan.speech.whisper import Effort, Whisper, _shrinking

CALLS = Path(callscan.demo.__file__).parent / "calls"
SAMPLES = ("01-facture.wav", "04-attente-ivr.opus", "08-silence.opus", "20-concurrent.mp3", "27-mono-rappel.wav")


@pytest.fixture(scope="module")
def model() -> Whisper:
    return Whisper(DEMO, device="cpu", threads=1)


@pytest.fixture(scope="module")
def calls() -> Iterator[list[CallAudio]]:
    with Decoder() as decoder:
        opened = [decoder.decode(str(CALLS / name)) for name in SAMPLES]
        try:
            yield [
                CallAudio(name, call.duration, call.channels, call.read, "fr")
                for name, call in zip(SAMPLES, opened, strict=True)
            ]
        finally:
            for call in opened:
                call.close()


@pytest.fixture(scope="module")
def heard(model: Whisper, calls: list[CallAudio]) -> list[CallSpeech]:
    return list(WhisperEngine(model).transcribe(calls))


def test_results_come_in_the_order_given(heard: list[CallSpeech]) -> None:
    assert [speech.key for speech in heard] == list(SAMPLES)
    assert not any(speech.error for speech in heard)


def test_words_are_timed_inside_their_segment_and_in_order(heard: list[CallSpeech], calls: list[CallAudio]) -> None:
    words = 0
    for speech, call in zip(heard, calls, strict=True):
        for segment in speech.segments:
            assert 0 <= segment.start <= segment.end <= call.duration
            assert " ".join(word.text for word in segment.words) == segment.text
            for word in segment.words:
                words += 1
                assert segment.start <= word.start <= word.end <= segment.end
                assert 0 <= word.probability <= 1
                spans = speech.spans[segment.channel]
                assert any(span.start <= word.start and word.end <= span.end for span in spans)
            assert all(a.end <= b.start for a, b in pairwise(segment.words))
    assert words > 200


@pytest.mark.parametrize("batch", [1, 3])
def test_the_batch_changes_nothing(model: Whisper, calls: list[CallAudio], heard: list[CallSpeech], batch: int) -> None:
    assert list(WhisperEngine(model, batch=batch).transcribe(reversed(calls))) == list(reversed(heard))


def test_a_call_in_another_language_changes_nothing(
    model: Whisper, calls: list[CallAudio], heard: list[CallSpeech]
) -> None:
    other = replace(calls[1], language="en")
    alone = list(WhisperEngine(model).transcribe([other]))
    assert list(WhisperEngine(model).transcribe([calls[0], other])) == [heard[0], *alone]


class Endless:
    """A model of CTranslate2 that ends no text by itself."""

    def __init__(self, model: Any, end: int) -> None:
        self._model, self._end = model, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, *given: Any, suppress_tokens: list[int], **options: Any) -> Any:
        self.found = self._model.generate(*given, suppress_tokens=[*suppress_tokens, self._end], **options)
        return self.found


@pytest.mark.parametrize("effort", [Effort(1), Effort(5)])
@pytest.mark.parametrize(("length", "tokens"), [(5.0, 16 + 60), (10.0, 16 + 120), (30.0, 448 // 2)])
def test_a_window_may_have_as_many_tokens_as_can_be_said_in_it(
    model: Whisper, calls: list[CallAudio], monkeypatch: pytest.MonkeyPatch, length: float, tokens: int, effort: Effort
) -> None:
    endless = Endless(model._model, model._tokenizer("fr").eot)
    monkeypatch.setattr(model, "_model", endless)
    (heard,) = model.hear([(model.features(calls[0].read(0, 0.0, length), length), length)], "fr", effort)
    assert len(endless.found[0].sequences_ids[0]) == tokens
    assert heard.cut == (endless.found[0].sequences_ids[0][-1] < model._tokenizer("fr").eot)


def test_no_word_is_lost_where_the_tokens_do_not_suffice(
    model: Whisper, calls: list[CallAudio], heard: list[CallSpeech], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callscan.speech.whisper._PER_SECOND", 2)
    cut = list(WhisperEngine(model).transcribe(calls))
    whole, found = ([len(s.words) for speech in given for s in speech.segments] for given in (heard, cut))
    assert 0.95 < sum(found) / sum(whole) < 1.05


def test_another_beam_is_another_engine(model: Whisper, calls: list[CallAudio], heard: list[CallSpeech]) -> None:
    greedy = WhisperEngine(model, beam_size=1)
    assert greedy.fingerprint != WhisperEngine(model).fingerprint
    found = list(greedy.transcribe(calls))
    assert found == list(WhisperEngine(model, beam_size=1, batch=3).transcribe(calls))
    assert [speech.segments for speech in found] != [speech.segments for speech in heard]


def test_a_silent_call_has_no_speech_and_no_text(heard: list[CallSpeech]) -> None:
    silent = heard[SAMPLES.index("08-silence.opus")]
    assert not any(silent.spans)
    assert silent.segments == ()


def test_the_language_is_detected_where_it_is_not_given(model: Whisper, calls: list[CallAudio]) -> None:
    (speech,) = WhisperEngine(model).transcribe([replace(calls[0], language=None)])
    assert speech.language == "fr"
    assert speech.language_probability > 0.9


def test_a_model_of_english_alone_hears_english(model: Whisper, monkeypatch: pytest.MonkeyPatch) -> None:
    def detect_language(encoded: Any) -> Any:
        raise RuntimeError("detect_language can only be called on multilingual models")

    english = SimpleNamespace(is_multilingual=False, encode=model._model.encode, detect_language=detect_language)
    monkeypatch.setattr(model, "_model", english)
    features = model.features(np.zeros(SAMPLE_RATE, np.float32), 5.0)
    assert model.languages([features, features]) == [("en", 1.0)] * 2
    assert model.knows("en")
    assert not model.knows("fr")


def test_the_engine_tells_what_it_took(model: Whisper, calls: list[CallAudio]) -> None:
    engine = WhisperEngine(model, batch=4)
    engine.meter.take()
    list(engine.transcribe(calls[:2]))
    spent = engine.meter.take()
    assert set(spent.seconds) == {"vad", "features", "encode", "generate", "align"}
    assert 0 < spent.counts["windows"] <= spent.counts["places"]
    assert 0 <= spent.counts["padding"] < spent.counts["frames"]
    assert spent.counts["places"] % 4 == 0


def test_no_calls_give_no_results(model: Whisper) -> None:
    assert list(WhisperEngine(model).transcribe([])) == []


def test_noise_tones_and_music_get_no_text(model: Whisper) -> None:
    rng = np.random.default_rng(5)
    t = np.arange(45 * SAMPLE_RATE) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * f * t) * np.exp(-3 * (t % 0.5)) for f in (220, 277, 330, 440)) / 8
    sounds = np.stack([np.zeros(len(t)), 0.02 * rng.standard_normal(len(t)), 0.2 * np.sin(2 * np.pi * 440 * t), chord])
    samples = sounds.astype(np.float32)

    def read(channel: int, start: float, end: float) -> np.ndarray:
        return samples[channel, round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]

    (speech,) = WhisperEngine(model).transcribe([CallAudio("sounds", 45.0, 4, read, "fr")])
    assert speech.segments == ()


@pytest.mark.parametrize(
    "message",
    ["CUDA failed with error out of memory", "cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"],
)
def test_batches_are_halved_when_memory_runs_out(message: str) -> None:
    sizes = []

    def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 2:
            raise RuntimeError(message)
        return [-item for item in items]

    assert _shrinking(work, [1, 2, 3, 4, 5]) == [-1, -2, -3, -4, -5]
    assert sizes == [5, 2, 3, 1, 2]


def test_an_unmodified_faster_whisper_loads_the_embedded_model(calls: list[CallAudio]) -> None:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(DEMO), device="cpu", cpu_threads=1, local_files_only=True)
    assert model.model.is_multilingual
    samples = calls[0].read(1, 0.0, 30.0)
    segments, info = model.transcribe(samples, word_timestamps=True, vad_filter=True)
    found = list(segments)
    assert info.language == "fr"
    assert any("facture" in segment.text for segment in found)
    assert all(word.start <= word.end for segment in found for word in segment.words or ())
