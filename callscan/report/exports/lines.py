"""One call as one line of JSON: everything the archive holds of it, and its hits."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from callscan.records import CallRecord, Hit, Transcript


def jsonl(record: CallRecord, transcript: Transcript, hits: Sequence[Hit]) -> str:
    """A call record and its hits, sorted keys, ending in a line feed."""
    plain = msgspec.to_builtins(record, order="sorted", enc_hook=dict)
    plain["hits"] = msgspec.to_builtins(list(hits), order="sorted")
    return msgspec.json.encode(plain, order="sorted").decode() + "\n"
