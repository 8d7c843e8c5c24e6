"""A scan, from recordings to report: discover, plan, work, count."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from callscan.archive import Archive
from callscan.archive.lock import lock
from callscan.audio import discover
from callscan.config import Settings
from callscan.lexicon import Lexicon
from callscan.report import Report
from callscan.rescan.recount import count
from callscan.runners.local import local_runner
from callscan.runners.metadata import read_metadata
from callscan.runners.plan import Plan, gather, make_plan
from callscan.runners.runner import Runner
from callscan.worker import EngineFactory, Summary, load_engine


class Progress:
    """What a scan tells while it runs. Override what is of interest."""

    def loading(self) -> None:
        """The speech model is being loaded."""

    def planned(self, plan: Plan) -> None:
        """Recordings were discovered and compared with the archive."""

    def done(self, calls: int) -> None:
        """So many more recordings are done."""

    def shard(self, summary: Summary) -> None:
        """A shard is committed."""

    def counting(self) -> None:
        """All calls are in the archive; the report is being counted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished scan: the report on the whole archive, and how many of the recordings asked for are quarantined."""

    report: Report
    failures: int


def scan(
    *recordings: str | os.PathLike[str],
    archive: str | os.PathLike[str],
    settings: Settings | None = None,
    engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> Report:
    """Transcribe what is new among the recordings, count the issues of all calls in the archive, return the report.

    ``recordings`` are files, folders, patterns or fsspec URLs; ``archive`` is a folder or fsspec URL, made
    where there is none. Killed anywhere and called again with the same arguments, it continues, and the report is the
    one that it would have written. ``engine`` takes the place of the recogniser that the settings name.

    Raises:
        CallscanError: what was asked for cannot be done. A recording that fails is no error: it is in the report.
    """
    return perform([os.fspath(item) for item in recordings], os.fspath(archive), settings, engine, progress).report


def perform(
    recordings: Sequence[str],
    archive: str,
    settings: Settings | None = None,
    engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """As :func:`scan`, telling also what failed."""
    settings, progress = settings or Settings(), progress or Progress()
    lexicon = Lexicon.load([Path(settings.keywords)] if settings.keywords else [])
    metadata = read_metadata(settings.metadata) if settings.metadata else None
    found = iter(discover(recordings))
    found = chain([next(found)], found)  # a path that is not there is told before an archive is made and a model loaded
    store = Archive.create(archive)
    with lock(store.url):
        _sweep(store)
        progress.loading()
        with _runner(settings)(store.url, settings, engine or partial(load_engine, settings)) as run:
            batches = gather(found, settings.calls.settle)
            plan = make_plan(store, batches, run.fingerprint, settings.shards, metadata)
            progress.planned(plan)
            for summary in run.shards(plan.tasks(), progress.done):
                progress.shard(summary)
        _sweep(store)  # a worker may have been killed while it wrote, and another have done its work
        progress.counting()
        report = count(store, lexicon)
        return Outcome(report, plan.failures())


def _sweep(archive: Archive) -> None:
    """Remove what killed writers left half written; nobody else writes while the lock is held."""
    for folder in ("", "calls", "inventory", "index", "report"):
        archive.store.sweep(folder)


def _runner(settings: Settings) -> Runner:
    """One machine with one worker needs no Ray."""
    if not settings.ray.address and settings.ray.workers == 1:
        return local_runner
    from callscan.runners.ray import ray_runner

    return ray_runner
