"""The Ray runner: workers as actors, on this machine or on a cluster. Ray is imported here and nowhere else.

Ray Core and not Ray Data, whose unit of failure is a block and not a call. Nothing but paths and summaries goes
through the object store: a worker reads its recordings and writes its shard itself.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Before Ray is imported: it reads these once.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError

from callscan import config
from callscan.archive import Archive
from callscan.archive.inventory import Task
from callscan.config import Settings
from callscan.errors import CallscanError, ModelError, UsageError
from callscan.runners.runner import Run
from callscan.worker import EngineFactory, Summary, Worker, crashed

_log = logging.getLogger("callscan")

_DEATHS = 2
"""Deaths of its worker after which a shard is halved, and a single call is quarantined."""

_FALSE_STARTS = 5
"""Workers that may die in a row while they load the model."""

_PATIENCE = 60.0
"""Seconds without any worker after which it is said that the cluster has no place for one."""

_OBJECT_STORE = 100 << 20

_DEATH = (RayActorError, NodeDiedError, OutOfMemoryError, WorkerCrashedError)


@contextmanager
def ray_runner(archive: str, settings: Settings, engine: EngineFactory) -> Iterator[Run]:
    """Workers on the cluster that the settings name, or on one of their own on this machine."""
    if settings.speech.threads == 0:
        # Several workers share a machine: each keeps to the cores that it was given.
        settings = settings.override(speech={"threads": max(1, int(settings.ray.cpus_per_worker))})
    with _connected(settings.ray):
        crew = _Crew(archive, settings, engine)
        try:
            yield Run(crew.start(), crew.run)
        finally:
            crew.dismiss()


@contextmanager
def _connected(options: config.Ray) -> Iterator[None]:
    """Connect to the cluster, or start one for this run alone: no dashboard, a token of its own."""
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if options.address not in ("", "local"):
        _demand_reachable(options.address)
        arguments = {"address": options.address, **quiet}
    else:
        # Ray asks for a token on a cluster that it starts; this one dies with the run instead of lying in ~/.ray.
        if not os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        arguments = {
            "address": "local",
            "num_cpus": max(1, round(options.workers * options.cpus_per_worker + 0.5)),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            **quiet,
        }
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**arguments)
    except Exception as error:  # Ray raises whatever it happens upon, plain Exceptions among it
        where = options.address or "this machine"
        hint = "is the cluster running (ray status), with the same Ray and, where it wants one, the same token?"
        raise UsageError(f"cannot use Ray on {where}: {str(error).splitlines()[0]}", hint) from error
    if main and handler is not None:
        signal.signal(signal.SIGTERM, handler)  # ray.init replaces it with one that exits at once
    try:
        yield
    finally:
        ray.shutdown()


def _demand_reachable(address: str) -> None:
    """Ray itself tries for minutes, and then ends the process."""
    place = re.fullmatch(r"(?:ray://)?\[?([\w.:-]+?)\]?:(\d+)", address)
    if place is None:
        return
    try:
        socket.create_connection((place[1], int(place[2])), timeout=10).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot use Ray on {address}: {reason}", "is the cluster running? (ray status)") from error


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A CallscanError on its way to the driver: as an exception it would lose its hint."""

    kind: type[CallscanError]
    message: str
    hint: str

    def raised(self) -> CallscanError:
        error = self.kind(self.message)
        error.hint = self.hint
        return error


class _Actor:
    """A worker in a process of its own."""

    def __init__(self, archive: str, settings: Settings, engine: EngineFactory) -> None:
        self._arguments = (archive, settings, engine)
        self._worker: Worker | None = None

    def start(self) -> str | _Refusal:
        """Load the model and give the worker's fingerprint."""
        try:
            self._worker = Worker(*self._arguments)
            return self._worker.fingerprint
        except CallscanError as error:
            return _Refusal(type(error), error.message, error.hint)

    def run(self, task: Task) -> Summary | _Refusal:
        """Work on a shard."""
        if self._worker is None:
            raise RuntimeError("not started")
        try:
            (summary,) = self._worker.work([task])
            return summary
        except CallscanError as error:
            return _Refusal(type(error), error.message, error.hint)


class _Crew:
    """As many workers as were asked for, each with one shard at a time, replaced when they die."""

    def __init__(self, archive: str, settings: Settings, engine: EngineFactory) -> None:
        self._archive = archive
        options = settings.ray
        remote: Any = ray.remote
        self._remote = remote(_Actor).options(
            num_cpus=options.cpus_per_worker,
            num_gpus=options.gpus_per_worker,
            scheduling_strategy="SPREAD",
            max_restarts=0,
            max_task_retries=0,
        )
        self._arguments = (archive, settings, engine)
        self._fingerprint = ""
        self._false_starts = 0
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}
        for _ in range(options.workers):
            self._hire()

    def start(self) -> str:
        """Wait for the first worker; the fingerprint of all."""
        told = False
        while not self._idle:
            ready, _ = ray.wait(list(self._starting), timeout=None if told else _PATIENCE)
            if ready:
                self._started(ready[0])
            else:
                told = True
                _log.warning("no worker has started yet: is there a free CPU or GPU for one in the cluster?")
        return self._fingerprint

    def run(self, tasks: Iterable[Task], done: Callable[[int], None]) -> Iterator[Summary]:
        """Give every task to a worker; yield what became of it in the order in which they end."""
        rest = iter(tasks)
        again: deque[Task] = deque()
        deaths: dict[str, int] = {}
        while True:
            while self._idle and (task := again.popleft() if again else next(rest, None)) is not None:
                actor = self._idle.pop()
                self._busy[actor.run.remote(task)] = (actor, task)
            if not self._busy and self._idle:
                return
            [ready], _ = ray.wait([*self._busy, *self._starting])
            if ready in self._starting:
                self._started(ready)
                continue
            actor, task = self._busy.pop(ready)
            try:
                outcome = _get(ready)
            except _DEATH as error:
                self._hire()
                summary = self._bereaved(task, error, deaths, again)
                if summary is None:
                    continue
            else:
                self._idle.append(actor)
                summary = outcome
            done(len(task.calls))
            yield summary

    def _bereaved(self, task: Task, error: Exception, deaths: dict[str, int], again: deque[Task]) -> Summary | None:
        """A worker died: try its shard again, then its halves, until the call that kills is alone."""
        if not getattr(error, "preempted", False):  # a machine that is taken away is no fault of a call
            deaths[task.shard] = deaths.get(task.shard, 0) + 1
        if deaths.get(task.shard, 0) < _DEATHS:
            again.append(task)
        elif len(task.calls) > 1:
            for half in task.halves:
                deaths[half.shard] = _DEATHS - 1 if len(half.calls) > 1 else 0
                again.append(half)
        else:
            return crashed(Archive(self._archive), task, self._fingerprint)
        return None

    def dismiss(self) -> None:
        """End all workers; a shard that one is working on is dropped whole."""
        for actor in [*self._idle, *self._starting.values(), *(actor for actor, _ in self._busy.values())]:
            ray.kill(actor)

    def _hire(self) -> None:
        actor = self._remote.remote(*self._arguments)
        self._starting[actor.start.remote()] = actor

    def _started(self, ready: Any) -> None:
        actor = self._starting.pop(ready)
        try:
            fingerprint = _get(ready)
        except _DEATH as error:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                detail = str(error).strip().splitlines()[-1]
                raise ModelError(
                    f"{self._false_starts} workers in a row died while they loaded the model: {detail}",
                    "is there memory for that many workers? --workers 1, or a smaller model",
                ) from error
            self._hire()
            return
        self._false_starts = 0
        if self._fingerprint and fingerprint != self._fingerprint:
            raise ModelError(
                "the workers have different models or versions of callscan", "install the same on every node"
            )
        self._fingerprint = fingerprint
        self._idle.append(actor)


def _get(reference: Any) -> Any:
    """A worker's answer; a CallscanError of the worker is raised here."""
    answer = ray.get(reference)
    if isinstance(answer, _Refusal):
        raise answer.raised()
    return answer
