"""The local runner: one worker, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from callscan.config import Settings
from callscan.runners.runner import Run
from callscan.worker import EngineFactory, Worker


@contextmanager
def local_runner(archive: str, settings: Settings, engine: EngineFactory) -> Iterator[Run]:
    """One worker that takes every shard in turn. Implements :class:`~callscan.runners.runner.Runner`."""
    with Worker(archive, settings, engine) as worker:
        yield Run(worker.fingerprint, worker.work)
