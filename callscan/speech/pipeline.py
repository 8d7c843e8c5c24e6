"""Calls on their way through the engine: their windows are prepared by some threads and heard by others.

One thread, the caller's, decides what is done next; all others only do it. Windows wait in buckets with those that may
share a batch with them. A batch starts when it is full, or when nothing more is being prepared and the model would
idle; what fails a gate goes into the bucket of the next step, with that of other calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType
from typing import Any, Self

from threadpoolctl import threadpool_limits

from callscan.records import Span
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.call import Call, Item
from callscan.speech.stages import Stages
from callscan.speech.whisper import Heard
from callscan.speech.windows import Window

_OPEN = 64
"""Calls in hand at most: results come in order, so that a call keeps all behind it waiting."""
_AHEAD = 3
"""Batches whose features may be ready beside those that are being heard."""


class Pipeline:
    """Runs calls through the stages of an engine. Use it as a context manager: that ends its threads."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._hearers = stages.model.workers
        self._preparers = stages.model.preparing
        self._models = ThreadPoolExecutor(self._hearers, "callscan-hear")
        self._threads = ThreadPoolExecutor(self._preparers, "callscan-prepare")
        self._open: deque[Call] = deque()
        self._unprepared: deque[Item] = deque()
        self._buckets: dict[tuple[int, int, str], list[Item]] = {}
        self._searching = 0
        self._preparing: dict[Future[Any], Callable[[Any], None]] = {}
        self._running: dict[Future[Any], Callable[[Any], None]] = {}

    def __enter__(self) -> Self:
        # The cores are taken: threads of BLAS beside these only spin, for as much CPU time again as features take.
        self._blas = threadpool_limits(1, user_api="blas")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._threads, self._models):
            pool.shutdown(wait=True, cancel_futures=True)
        self._blas.restore_original_limits()

    def run(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        """One result a call, in the order given."""
        source: Iterator[CallAudio] | None = iter(calls)
        while source is not None or self._open:
            while source is not None and self._has_room():
                audio = next(source, None)
                if audio is None:
                    source = None
                else:
                    self._search(audio)
            self._prepare()
            self._hear()
            while self._open and (done := self._open[0].done) is not None:
                self._open.popleft()
                yield done
            if self._preparing or self._running:
                ended, _ = wait([*self._preparing, *self._running], return_when=FIRST_COMPLETED)
                for future in ended:
                    (self._preparing.pop(future, None) or self._running.pop(future))(future.result())

    # -- preparing

    def _has_room(self) -> bool:
        return (
            len(self._open) < _OPEN
            and self._searching <= self._preparers
            and len(self._unprepared) < _AHEAD * self._stages.batch
        )

    def _search(self, audio: CallAudio) -> None:
        """Look for speech on every channel of a call."""
        call = Call(audio, audio.language or "", spans=[[] for _ in range(audio.channels)])
        self._open.append(call)
        windows: dict[int, list[Window]] = {}

        def found(channel: int, answer: tuple[list[Span], list[Window]]) -> None:
            self._searching -= 1
            call.spans[channel], windows[channel] = answer
            if len(windows) == audio.channels:
                self._release(call, [Item(call, w) for number in sorted(windows) for w in windows[number]])

        for channel in range(audio.channels):
            self._searching += 1
            self._preparing[self._threads.submit(self._stages.search, audio, channel)] = partial(found, channel)

    def _release(self, call: Call, items: list[Item]) -> None:
        """Let windows of a call be heard, of a call without a language the first one alone."""
        call.items, call.waiting = items, len(items)
        if not items:
            self._all_heard(call)
        self._unprepared.extend(items if call.language else items[:1])

    def _prepare(self) -> None:
        """Have features made, as many as are soon needed."""
        waiting = sum(map(len, self._buckets.values()))
        most = (_AHEAD + self._hearers) * self._stages.batch
        while self._unprepared and waiting + len(self._preparing) < most:
            future = self._threads.submit(self._stages.features, self._unprepared.popleft())
            self._preparing[future] = self._put

    def _put(self, item: Item) -> None:
        """Put a window that has its features to those that it may share a batch with."""
        if item.mel is None:
            raise RuntimeError("a window without features")
        step = item.step if item.call.language else -1
        self._buckets.setdefault((step, item.mel.shape[1], item.call.language), []).append(item)

    # -- hearing

    def _hear(self) -> None:
        """Keep the model busy: with one batch more than it works on, so that it need not wait for this thread."""
        while self._buckets and len(self._running) <= self._hearers:
            # Later steps first: their calls have waited longest.
            full = [key for key, items in self._buckets.items() if len(items) >= self._stages.batch]
            idle = self._hearers - len(self._running)
            size = self._stages.batch
            if not self._preparing and idle > 0:
                # Nothing comes to fill a batch but from what is heard now: those who are idle share what there is.
                size = min(size, -(-sum(map(len, self._buckets.values())) // idle))
            elif not full:
                return  # more may come
            key = max(full or self._buckets)
            # Windows of like length end at about the same token.
            items = sorted(self._buckets.pop(key), key=lambda item: item.window.seconds)
            group, rest = items[-size:], items[:-size]
            if rest:
                self._buckets[key] = rest
            work, then = (
                (self._stages.languages, self._told_language) if key[0] < 0 else (self._stages.hear, self._heard)
            )
            self._running[self._models.submit(work, group)] = partial(then, group)

    def _told_language(self, group: Sequence[Item], answer: list[tuple[str, float]]) -> None:
        for item, (language, probability) in zip(group, answer, strict=True):
            item.call.language, item.call.probability = language, probability
            self._put(item)
            self._unprepared.extend(item.call.items[1:])

    def _heard(self, group: Sequence[Item], answer: list[Heard]) -> None:
        for item, heard in zip(group, answer, strict=True):
            if not item.take(heard, len(self._stages.efforts)):
                self._put(item)
                continue
            item.call.waiting -= 1
            if not item.call.waiting:
                self._all_heard(item.call)

    def _all_heard(self, call: Call) -> None:
        if call.omitted is None and (again := self._stages.again(call)):
            self._release(call, again)
        else:
            call.done = self._stages.finished(call)
            call.items = []
