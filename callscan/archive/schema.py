"""The Arrow schema of one call record, and the way there and back.

A shard is one Parquet file of this schema. Nested values stay nested (``transcript.segments[].words[]``), so a
reader that wants only the text of a million calls reads that column and no other. Floats are float64: what is read
is what was written, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from callscan.records import AudioInfo, CallRecord, Segment, Span, Transcript, Turn, Word

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
"""Version of the archive's layout and of this schema. A newer one is refused, never guessed at."""

_SPAN = pa.struct([("start", pa.float64()), ("end", pa.float64())])
_WORD = pa.struct(
    [("text", pa.string()), ("start", pa.float64()), ("end", pa.float64()), ("probability", pa.float64())]
)
_SEGMENT = pa.struct(
    [
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("channel", pa.int32()),
        ("speaker", pa.string()),
        ("words", pa.list_(_WORD)),
        ("avg_logprob", pa.float64()),
        ("compression_ratio", pa.float64()),
        ("temperature", pa.float64()),
        ("flags", pa.list_(pa.string())),
    ]
)
_TURN = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("label", pa.string()), ("speaker", pa.string())])
_TRANSCRIPT = pa.struct(
    [
        ("language", pa.string()),
        ("language_probability", pa.float64()),
        ("segments", pa.list_(_SEGMENT)),
        ("speech", pa.list_(pa.list_(_SPAN))),
        ("turns", pa.list_(_TURN)),
        ("coverage", pa.float64()),
    ]
)
_AUDIO = pa.struct(
    [
        ("container", pa.string()),
        ("codec", pa.string()),
        ("channels", pa.int32()),
        ("sample_rate", pa.int32()),
        ("declared", pa.float64()),
        ("decoded", pa.float64()),
        ("lost", pa.float64()),
    ]
)

SCHEMA = pa.schema(
    [
        ("call_id", pa.string()),
        ("uri", pa.string()),
        ("key", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("size", pa.int64()),
        ("audio", _AUDIO),
        ("transcript", _TRANSCRIPT),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("notes", pa.list_(pa.string())),
        ("fingerprint", pa.string()),
        ("shard", pa.string()),
    ],
    metadata={"callscan.format": str(FORMAT)},
)
"""One row is one :class:`~callscan.records.CallRecord`, with the speech fingerprint and the shard it belongs to."""


def to_table(records: Iterable[CallRecord], *, fingerprint: str = "", shard: str = "") -> pa.Table:
    """Call records as an Arrow table of :data:`SCHEMA`, in the order given."""
    rows = [{**_plain(record), "fingerprint": fingerprint, "shard": shard} for record in records]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def from_table(table: pa.Table) -> Iterator[CallRecord]:
    """The call records of a table that :func:`to_table` wrote, in its order."""
    for batch in table.to_batches(max_chunksize=64):
        for row in batch.to_pylist():
            yield _record(row)


def content_digest(table: pa.Table) -> str:
    """SHA-256 of what a table says, whatever file it stands in: hex."""
    digest = hashlib.sha256()
    for batch in table.select(SCHEMA.names).to_batches(max_chunksize=64):
        for row in batch.to_pylist():
            digest.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Frozen values as the dicts, lists and scalars that Arrow reads."""
    if isinstance(value, CallRecord):
        row = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        row["metadata"] = sorted(value.metadata.items())
        return row
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _record(row: Mapping[str, Any]) -> CallRecord:
    return CallRecord(
        call_id=row["call_id"],
        uri=row["uri"],
        key=row["key"],
        status=row["status"],
        reason=row["reason"],
        detail=row["detail"],
        size=row["size"],
        audio=None if row["audio"] is None else AudioInfo(**row["audio"]),
        transcript=None if row["transcript"] is None else _transcript(row["transcript"]),
        metadata=MappingProxyType(dict(row["metadata"])),
        notes=tuple(row["notes"]),
    )


def _transcript(row: Mapping[str, Any]) -> Transcript:
    return Transcript(
        language=row["language"],
        language_probability=row["language_probability"],
        segments=tuple(_segment(segment) for segment in row["segments"]),
        speech=tuple(tuple(Span(**span) for span in channel) for channel in row["speech"]),
        turns=tuple(Turn(**turn) for turn in row["turns"]),
        coverage=row["coverage"],
    )


def _segment(row: Mapping[str, Any]) -> Segment:
    values = dict(row)
    values["words"] = tuple(Word(**word) for word in row["words"])
    values["flags"] = tuple(row["flags"])
    return Segment(**values)
