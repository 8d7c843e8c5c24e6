"""``callscan scan``: recordings in, report out, with progress on stderr."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from callscan.runners.plan import Plan
    from callscan.runners.scan import Progress
    from callscan.worker import Summary

_EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def scan(
    recordings: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, patterns, s3:// URLs.")],
    archive: Annotated[str, typer.Option(metavar="DIR", help="Folder or URL of the archive; made if missing.")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME|DIR", help="As in faster-whisper, a folder, 'demo', or 'auto'.")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda", help="Where the model runs.")] = None,
    language: Annotated[str | None, typer.Option(metavar="fr|auto", help="Spoken language.")] = None,
    keywords: Annotated[str | None, typer.Option(metavar="DIR", help="Lexicons; callscan's own if left out.")] = None,
    channels: Annotated[
        str | None, typer.Option(metavar="agent,customer", help="Who speaks on channel 0, 1, ...")
    ] = None,
    diarization: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR|off", help="Who speaks on mono calls: 'auto', 'community-1', a folder, 'off'."),
    ] = None,
    speakers: Annotated[str | None, typer.Option(metavar="2|MIN-MAX|auto", help="Voices on a mono call.")] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="calls.csv", help="Table joined by call id or file name.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Workers; more than one takes Ray.")] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Ray cluster to run on; 'local' starts one.")
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE.toml", help="Settings; options here go first.")] = None,
    max_failures: Annotated[
        int | None, typer.Option(metavar="N", help="Exit with 1 when more calls than this are quarantined.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print report.json on stdout, and nothing else there.")] = False,
) -> None:
    """Transcribe new calls, count their issues, write the report.

    Killed anywhere and started again, it continues. Exit codes: 0 complete, 1 more calls quarantined than
    --max-failures, 2 it could not be done as asked, 130 interrupted.
    """
    from callscan.config import Settings, load
    from callscan.runners.scan import perform

    settings = (load(config) if config else Settings()).override(
        speech={"model": model, "device": device, "language": language},
        diarization={"pipeline": diarization, "speakers": speakers},
        calls={"channels": channels and [name.strip() for name in channels.split(",")]},
        ray={"address": ray, "workers": workers},
        keywords=keywords,
        metadata=metadata,
        max_failures=max_failures,
    )
    try:
        # Ray prints what befalls its workers on stdout, where only the report belongs.
        with redirect_stdout(sys.stderr), _terminated_as_interrupted(), _progress() as progress:
            outcome = perform(recordings, archive, settings, progress=progress)
    except KeyboardInterrupt:
        _say("Interrupted. The same command continues where this one stopped.")
        raise typer.Exit(130) from None
    if json:
        from callscan.archive import Archive

        sys.stdout.write(Archive(archive).store.read("report/report.json").decode())
    else:
        from rich.console import Console

        from callscan.cli.report import show

        show(outcome.report, Console())
    if outcome.failures > settings.max_failures:
        limit = f"more than {settings.max_failures} (--max-failures)"
        _say(f"{outcome.failures} of these recordings are quarantined, {limit}.")
        raise typer.Exit(1)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """What a scheduler sends (SIGTERM) is to end a run as ^C does: the shards at hand finish or are dropped whole."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress() -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _bar(bar)


def _bar(bar: Any) -> Progress:
    from callscan.runners.scan import Progress

    task = bar.add_task("discovering", total=None)

    class OnTerminal(Progress):
        def loading(self) -> None:
            bar.update(task, description="loading the speech model")

        def planned(self, plan: Plan) -> None:
            bar.console.print(_found(plan))
            bar.update(task, description="listening", total=plan.due)

        def done(self, calls: int) -> None:
            bar.advance(task, calls)

        def counting(self) -> None:
            bar.update(task, description="counting")

    return OnTerminal()


def _lines() -> Progress:
    from callscan.runners.scan import Progress

    class InLines(Progress):
        def __init__(self) -> None:
            self._due = self._done = 0
            self._audio = 0.0
            self._began = self._told = time.monotonic()

        def loading(self) -> None:
            _say("loading the speech model")

        def planned(self, plan: Plan) -> None:
            _say(_found(plan))
            self._due = plan.due
            self._began = self._told = time.monotonic()

        def done(self, calls: int) -> None:
            self._done += calls

        def shard(self, summary: Summary) -> None:
            self._audio += summary.audio
            now = time.monotonic()
            if now - self._told >= _EVERY:
                self._told = now
                spent = now - self._began
                left = spent / max(self._done, 1) * (self._due - self._done)
                rate = f"{self._audio / spent:.0f} times real time"
                _say(f"{self._done} of {self._due} recordings, {rate}, {_duration(left)} left")

        def counting(self) -> None:
            _say(f"{self._done} recordings done, counting")

    return InLines()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _found(plan: Plan) -> str:
    text = f"{plan.discovered} recordings discovered, {plan.due} to listen to"
    return f"{text}; {plan.unmatched} rows of the metadata match none" if plan.unmatched else text


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
