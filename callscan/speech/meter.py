"""What the work costs: seconds by stage and counts, added up by any thread until they are taken."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by stage, each thread's added to the others', and counts by name."""

    seconds: dict[str, float]
    counts: dict[str, int]


class Meter:
    """Measures stages of work. Stages that run side by side each count in full, so their sum may exceed the time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add the seconds that the body takes to a stage, also where it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            with self._lock:
                self._seconds[stage] += spent

    def count(self, **amounts: int) -> None:
        """Add to counts."""
        with self._lock:
            self._counts.update(amounts)

    def take(self) -> Spent:
        """What was added since it was last taken."""
        with self._lock:
            spent = Spent(dict(self._seconds), dict(self._counts))
            self._seconds.clear()
            self._counts.clear()
        return spent
