"""The way of calls through the engine, with a model that is made up: who is heard with whom, how often, and in what
order the results come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
import pytest

from callscan.records import Span
from callscan.speech.api import SAMPLE_RATE, CallAudio, CallSpeech
from callscan.speech.call import Item
from callscan.speech.engine import WhisperEngine
from callscan.speech.meter import Meter
from callscan.speech.tokens import TimedTokens, TimedWord
from callscan.speech.vad import PADDING
from callscan.speech.whisper import Effort, Features, Heard, efforts
from callscan.speech.windows import Window, pack


def text_of(word: str, seconds: float, logprob: float = -0.1) -> Heard:
    words = (TimedWord(word, 0.0, seconds, 0.9, 1),) if word else ()
    return Heard(word, (TimedTokens(0.0, seconds, (1,)),), (word,), (words,), logprob, 0.0)


def cut_text_of(word: str, seconds: float) -> Heard:
    """A text of 1.5 s and one that was cut, whose word begins before its timestamp."""
    parts = (TimedTokens(0.0, 1.5, (1,)), TimedTokens(1.5, seconds, (1,)))
    words = ((TimedWord(word, 0.0, 1.4, 0.9, 1),), (TimedWord("half", 1.3, seconds, 0.9, 1),))
    return Heard(f"{word} half", parts, (word, "half"), words, -0.1, 0.0, cut=True)


class MadeUpModel:
    """Hears in each window the number that its samples are: 7 becomes "w7".

    Guesses at ``doubtful`` ones at first, hears nothing in ``deaf`` ones, stops after 1.5 s of ``hasty`` ones. In
    ``wordy`` ones it is cut in its second text, unless they are heard from there on.
    """

    device, digest = "cpu", "made up"
    lengths = (5.0, 10.0)

    def __init__(
        self,
        *,
        workers: int = 2,
        doubtful: Iterable[int] = (),
        deaf: Iterable[int] = (),
        hasty: Iterable[int] = (),
        wordy: Iterable[int] = (),
    ) -> None:
        self.workers, self.preparing = workers, 2
        self.meter = Meter()
        self.doubtful, self.deaf, self.hasty, self.wordy = set(doubtful), set(deaf), set(hasty), set(wordy)
        self.batches: list[tuple[int, list[int], str]] = []
        self._lock = Lock()

    def features(self, samples: np.ndarray, padded: float) -> Features:
        mel = np.zeros((1, int(padded * 100)), np.float32)
        mel[0, 0] = samples[len(samples) // 2]
        return mel

    def languages(self, features: Sequence[Features]) -> list[tuple[str, float]]:
        return [("fr" if round(float(mel[0, 0])) % 2 else "en", 0.8) for mel in features]

    def hear(self, windows: Sequence[tuple[Features, float]], language: str, effort: Effort) -> list[Heard]:
        step = efforts(5).index(effort)
        numbers = [round(float(mel[0, 0])) for mel, _ in windows]
        assert len({mel.shape for mel, _ in windows}) == 1
        with self._lock:
            self.batches.append((step, numbers, language))
        return [
            cut_text_of(f"w{n}", seconds)
            if n in self.wordy and seconds > 3.5
            else text_of(
                "" if n in self.deaf else f"w{n}",
                1.5 if n in self.hasty else seconds,
                -2.0 if n in self.doubtful and not step else -0.1,
            )
            for n, (_, seconds) in zip(numbers, windows, strict=True)
        ]


class Searched(WhisperEngine):
    """An engine that knows where somebody speaks: a span of four seconds in every ten."""

    def search(self, audio: CallAudio, channel: int) -> tuple[list[Span], list[Window]]:
        spans = [Span(at, at + 4.0) for at in np.arange(0.0, audio.duration, 10.0)]
        return spans, [w for span in spans for w in pack(channel, [span], self.model.lengths)]


def call(first: int, spans: int, language: str | None = "fr", channels: int = 1) -> CallAudio:
    """A call whose spans are numbered from ``first``; the channels one after another."""

    def read(channel: int, start: float, end: float) -> np.ndarray:
        number = first + channel * spans + int((start + end) / 20)
        return np.full(round((end - start) * SAMPLE_RATE), number, np.float32)

    return CallAudio(f"call {first}", spans * 10.0, channels, read, language)


def texts(speech: CallSpeech) -> list[str]:
    return [segment.text for segment in speech.segments]


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_whoever_is_done_first(workers: int) -> None:
    model = MadeUpModel(workers=workers, doubtful=[1, 2])
    calls = [call(1, 9), call(100, 1), call(200, 0), call(300, 2)]
    found = list(Searched(model, batch=2).transcribe(calls))  # type: ignore[arg-type]
    assert [speech.key for speech in found] == [c.key for c in calls]
    assert texts(found[0]) == [f"w{n}" for n in range(1, 10)]
    assert [texts(speech) for speech in found[1:]] == [["w100"], [], ["w300", "w301"]]
    assert [segment.temperature for segment in found[0].segments] == [0.2, 0.2] + [0.0] * 7


def test_windows_of_several_calls_share_batches_and_so_do_their_retries() -> None:
    model = MadeUpModel(workers=1, doubtful=[10, 20, 30])
    list(Searched(model, batch=4).transcribe([call(10, 1), call(20, 1), call(30, 1), call(40, 1)]))  # type: ignore[arg-type]
    assert [(step, sorted(numbers)) for step, numbers, _ in model.batches] == [(0, [10, 20, 30, 40]), (1, [10, 20, 30])]


def test_what_nothing_was_heard_in_is_heard_once_more_alone_and_then_is_no_speech() -> None:
    model = MadeUpModel(deaf=[12])
    (speech,) = Searched(model, batch=4).transcribe([call(11, 3)])  # type: ignore[arg-type]
    heard = [n for _, numbers, _ in model.batches for n in numbers]
    assert (heard.count(11), heard.count(12), heard.count(13)) == (1, 2, 1)
    assert speech.spans == ((Span(0.0, 4.0), Span(20.0, 24.0)),)
    assert speech.coverage == 1.0


def test_speech_behind_the_last_timestamp_is_heard_again_alone() -> None:
    model = MadeUpModel(hasty=[12])
    (speech,) = Searched(model, batch=4).transcribe([call(11, 3)])  # type: ignore[arg-type]
    heard = [n for _, numbers, _ in model.batches for n in numbers]
    assert (heard.count(11), heard.count(12), heard.count(13)) == (1, 2, 1)
    assert texts(speech) == ["w11", "w12", "w12", "w13"]
    assert [s.start for s in speech.segments] == [0.0, 10.0, 10.0 + 1.5 - PADDING, 20.0]
    assert speech.spans == ((Span(0.0, 4.0), Span(10.0, 14.0), Span(20.0, 24.0)),)


def test_from_the_last_timestamp_before_a_cut_all_is_heard_again_and_takes_the_place_of_what_was_cut() -> None:
    model = MadeUpModel(wordy=[12])
    (speech,) = Searched(model, batch=4).transcribe([call(11, 3)])  # type: ignore[arg-type]
    assert texts(speech) == ["w11", "w12", "w12", "w13"]
    assert [s.start for s in speech.segments] == [0.0, 10.0, 10.0 + 1.5 - PADDING, 20.0]


def test_a_cut_text_stays_where_nothing_is_heard_the_second_time() -> None:
    class Deafened(MadeUpModel):
        def hear(self, windows: Sequence[tuple[Features, float]], language: str, effort: Effort) -> list[Heard]:
            heard = super().hear(windows, language, effort)
            return [
                h if seconds > 3.5 else text_of("", seconds) for h, (_, seconds) in zip(heard, windows, strict=True)
            ]

    (speech,) = Searched(Deafened(wordy=[11]), batch=4).transcribe([call(11, 1)])  # type: ignore[arg-type]
    assert texts(speech) == ["w11", "half"]


def test_a_call_without_a_language_is_told_by_its_first_window() -> None:
    model = MadeUpModel()
    found = list(Searched(model, batch=4).transcribe([call(11, 3, None), call(20, 2, None), call(30, 1)]))  # type: ignore[arg-type]
    assert [(s.language, s.language_probability) for s in found] == [("fr", 0.8), ("en", 0.8), ("fr", 1.0)]
    spoken = {n: language for _, numbers, language in model.batches for n in numbers}
    assert spoken == {11: "fr", 12: "fr", 13: "fr", 20: "en", 21: "en", 30: "fr"}


def test_calls_are_pulled_as_they_are_needed() -> None:
    pulled = 0

    def source() -> Iterable[CallAudio]:
        nonlocal pulled
        for number in range(500):
            pulled += 1
            yield call(10 * number, 1)

    stream = Searched(MadeUpModel(), batch=4).transcribe(source())  # type: ignore[arg-type]
    next(stream)
    assert pulled < 150
    assert sum(1 for _ in stream) == 499


def test_what_fails_in_a_thread_is_raised_and_the_threads_end() -> None:
    class Broken(MadeUpModel):
        def hear(self, windows: Sequence[tuple[Features, float]], language: str, effort: Effort) -> list[Heard]:
            raise RuntimeError("no words for this")

    with pytest.raises(RuntimeError, match="no words"):
        list(Searched(Broken(), batch=2).transcribe([call(1, 20), call(100, 3)]))  # type: ignore[arg-type]


def test_a_greedy_search_that_fails_is_followed_by_a_beam_and_a_beam_by_one_without_repetitions() -> None:
    assert efforts(1) == (Effort(1), Effort(5), Effort(5, no_repeat=3))
    assert efforts(5) == (Effort(5), Effort(5, no_repeat=3))
    assert efforts(8) == (Effort(8), Effort(8, no_repeat=3))


def test_a_later_step_replaces_only_what_is_worse() -> None:
    item = Item(None, Window(0, (Span(0, 4),), 4.0, 5.0))  # type: ignore[arg-type]
    assert not item.take(text_of("maybe", 4.0, -1.5), 3)
    assert not item.take(text_of("worse", 4.0, -1.8), 3)
    assert item.heard is not None
    assert (item.heard[0].text, item.heard[1]) == ("maybe", 0)
    assert item.take(text_of("better", 4.0, -1.2), 3)  # the last step
    assert (item.heard[0].text, item.heard[1]) == ("better", 2)
