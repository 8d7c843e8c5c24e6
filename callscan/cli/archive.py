"""``callscan status``, ``verify`` and ``show``: what an archive holds, whether it is sound, one call of it."""

from __future__ import annotations

import json as json_
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from callscan.archive import Archive
    from callscan.records import CallRecord

_ARCHIVE = typer.Argument(metavar="DIR", help="Folder or URL of the archive.")
_JSON = typer.Option("--json", help="Print JSON on stdout, and nothing else there.")


class Format(StrEnum):
    """How a call is shown."""

    text = "text"
    json = "json"


def status(archive: Annotated[str, _ARCHIVE], json: Annotated[bool, _JSON] = False) -> None:
    """Tell what became of every recording, and who is writing."""
    from callscan.archive import Archive
    from callscan.archive.ledger import coverage
    from callscan.archive.lock import holder, is_locked

    store = Archive(archive)
    ledger = store.ledger()
    counts = coverage(ledger)
    waiting = ledger.column("reason").to_pylist().count("interrupted")
    writer = holder(store.url) if is_locked(store.url) else {}
    fact: dict[str, Any] = {
        "archive": store.url,
        "coverage": counts,
        "runs": len(store.runs()),
        "shards": len(store.shard_ids()),
        "waiting": waiting,
        "writer": writer or None,
    }
    if json:
        _print_json(fact)
        return
    print(f"{counts.pop('discovered')} recordings = " + " + ".join(f"{n} {name}" for name, n in counts.items()))
    print(f"{fact['shards']} shards of {fact['runs']} runs")
    if waiting:
        why = "they are next" if writer else "the run that found them was stopped. Scan again to continue"
        print(f"{waiting} recordings wait: {why}.")
    if writer:
        print(
            f"being written by process {writer['pid']} of {writer['user']} on {writer['host']} since {writer['since']}"
        )


def verify(archive: Annotated[str, _ARCHIVE], json: Annotated[bool, _JSON] = False) -> None:
    """Check every file, recording and count of the archive.

    Files are read, recordings hashed again, invariants checked. Exit codes: 0 sound, 1 something is not, 2 no archive.
    """
    from callscan.archive import Archive
    from callscan.archive.verify import verify as verified
    from callscan.audio import hash_file

    verdict = verified(Archive(archive), hash_file)
    if json:
        _print_json(asdict(verdict))
    else:
        print(f"{verdict.shards} shards with {verdict.records} records read")
        print(f"{verdict.rehashed} recordings hashed again, {verdict.gone} no longer there, {verdict.waiting} waiting")
        for problem in verdict.problems:
            print(problem)
        print(f"{len(verdict.problems)} problems" if verdict.problems else "sound")
    if verdict.problems:
        raise typer.Exit(1)


def show(
    archive: Annotated[str, _ARCHIVE],
    call: Annotated[str, typer.Argument(metavar="CALL", help="Call id, path, or the first digits of the key.")],
    format: Annotated[Format, typer.Option(help="text or json")] = Format.text,  # noqa: A002 - the option's name
) -> None:
    """Print one call: its fate, its measures, who said what when."""
    from callscan.archive import Archive

    store = Archive(archive)
    for number, record in enumerate(store.find(call)):
        interaction = _interaction(store, record.uri)
        if format is Format.json:
            _print_json({**_plain(record), "interaction": interaction or None})
        else:
            if number:
                print()
            _print_call(record, interaction)


def _plain(record: CallRecord) -> dict[str, Any]:
    from dataclasses import replace

    return {**asdict(replace(record, metadata={})), "metadata": dict(record.metadata)}


def _interaction(archive: Archive, uri: str) -> dict[str, float | None]:
    """The call's interaction measures from the last count; empty where there was none or it does not have the call."""
    import duckdb
    import pyarrow as pa

    from callscan.report.measures import of_call
    from callscan.rescan.recount import FOLDER, unreadable

    try:
        return of_call(archive.store.read(f"{FOLDER}/calls.parquet"), uri)
    except FileNotFoundError:
        return {}
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        raise unreadable(archive, "calls.parquet", error) from error


def _print_call(record: CallRecord, interaction: dict[str, float | None]) -> None:
    print(f"{record.call_id}  {record.status}" + (f" ({record.reason}) {record.detail}" if record.reason else ""))
    print(record.uri)
    if record.key:
        print(f"sha256 {record.key}")
    if record.audio is not None:
        audio = record.audio
        coded = f"{audio.codec} in {audio.container}, {audio.sample_rate} Hz"
        print(f"{audio.decoded:.1f} s, {audio.channels} channels, {coded}")
    for name, value in sorted(record.metadata.items()):
        print(f"{name}: {value}")
    for note in record.notes:
        print(f"note: {note}")
    for name, shown in _shown(interaction):
        print(f"{name}: {shown}")
    for segment in record.transcript.segments if record.transcript is not None else ():
        flags = f"  [{', '.join(segment.flags)}]" if segment.flags else ""
        print(f"{_clock(segment.start)}  {segment.speaker:<8}  {segment.text.strip()}{flags}")


def _shown(interaction: dict[str, float | None]) -> Iterator[tuple[str, str]]:
    """Name and value in words of every measure that could be taken; the length is told with the audio."""
    from callscan.report.measures import MEASURES

    form = {"share": "{:.0%}", "seconds": "{:.1f} s", "words_per_minute": "{:.0f}", "count": "{:.0f}"}
    for name, unit, _ in MEASURES:
        if name != "duration" and (value := interaction.get(name)) is not None:
            yield name.replace("_", " "), form[unit].format(value)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(seconds, 60)
    return f"{int(minutes):3d}:{seconds:04.1f}"


def _print_json(value: Any) -> None:
    json_.dump(value, sys.stdout, ensure_ascii=False, indent=2, sort_keys=True)
    print()
