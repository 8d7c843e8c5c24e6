"""The local runner: one worker, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from callscan.archive.inventory import Task
from callscan.worker import Summary, Worker


class LocalRunner:
    """Runs every shard in turn on a worker that is already there."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    @property
    def fingerprint(self) -> str:
        """The worker's."""
        return self._worker.fingerprint

    def run(self, tasks: Iterable[Task]) -> Iterator[Summary]:
        """Yield what became of each shard when it is committed."""
        for task in tasks:
            yield self._worker.run(task)
