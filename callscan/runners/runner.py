"""What a runner is: a place where workers are, and a way to give them shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from callscan.archive.inventory import Task
from callscan.config import Settings
from callscan.worker import EngineFactory, Summary


@dataclass(frozen=True, slots=True)
class Run:
    """Workers that are ready.

    ``fingerprint`` is theirs. ``shards(tasks, done)`` yields what became of each shard once it is committed, in any
    order; it calls ``done`` with a number of recordings whenever so many more are done.
    """

    fingerprint: str
    shards: Callable[[Iterable[Task], Callable[[int], None]], Iterator[Summary]]


Runner = Callable[[str, Settings, EngineFactory], AbstractContextManager[Run]]
"""Starts workers for an archive (its folder or URL), and ends them when the context is left."""
