"""The local runner: one worker, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from callscan.archive.inventory import Task
from callscan.config import Settings
from callscan.runners.runner import Run
from callscan.worker import EngineFactory, Summary, Worker


@contextmanager
def local_runner(archive: str, settings: Settings, engine: EngineFactory) -> Iterator[Run]:
    """One worker that takes every shard in turn. Implements :class:`~callscan.runners.runner.Runner`."""
    with Worker(archive, settings, engine) as worker:

        def run(tasks: Iterable[Task], done: Callable[[int], None]) -> Iterator[Summary]:
            for task in tasks:
                yield worker.run(task, done)

        yield Run(worker.fingerprint, run)
