"""Transcripts for other tools: one file a call, in the format asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from callscan.errors import UsageError
from callscan.records import CallRecord, Hit, Transcript
from callscan.report.exports.captions import srt, vtt
from callscan.report.exports.contact_lens import contact_lens
from callscan.report.exports.lines import jsonl
from callscan.report.exports.nist import ctm, rttm
from callscan.report.exports.vcon import vcon

Format = Callable[[CallRecord, Transcript, Sequence[Hit]], str]

FORMATS: Mapping[str, tuple[Format, str]] = {
    "vtt": (vtt, ".vtt"),
    "srt": (srt, ".srt"),
    "rttm": (rttm, ".rttm"),
    "ctm": (ctm, ".ctm"),
    "vcon": (vcon, ".vcon.json"),
    "contact-lens": (contact_lens, ".json"),
    "jsonl": (jsonl, ".jsonl"),
}
"""Formats by name: what writes one call, and how its file's name ends."""


def export_calls(
    records: Iterable[CallRecord],
    hits: Mapping[str, Sequence[Hit]],
    name: str,
    folder: Path,
    *,
    only: frozenset[str] = frozenset(),
) -> int:
    """Write every call that has a transcript into ``folder``; how many files that made.

    ``hits`` are those of the last count, by the call's key; ``only`` limits the export to these call ids.
    """
    if name not in FORMATS:
        raise UsageError(f"no export format {name!r}", f"one of {', '.join(FORMATS)}")
    write, suffix = FORMATS[name]
    taken: set[str] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for record in records:
            if record.transcript is None or (only and record.call_id not in only):
                continue
            stem = file_stem(record, taken)
            taken.add(stem.lower())
            text = write(record, record.transcript, hits.get(record.key, ()))
            (folder / (stem + suffix)).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"cannot write {folder}: {error.strerror or error}", "choose a folder you may write"
        ) from error
    if only and not taken:
        raise UsageError(f"no call {', '.join(sorted(only))} with a transcript", "see callscan status DIR")
    return len(taken)


def file_stem(record: CallRecord, taken: set[str]) -> str:
    """A file name for a call: its id without what file systems or shells take ill, its key where that is taken."""
    stem = re.sub(r"[^\w.+-]+", "_", record.call_id).strip("._-")[:120] or record.key[:16]
    return f"{stem}-{record.key[:12]}" if stem.lower() in taken else stem
