"""The two tables that every report is counted from, and that other tools read: ``calls.parquet`` and ``hits.parquet``.

``calls`` has a row for every recording discovered, failed ones included; ``hits`` a row for every hit, counted or not.
They join on ``key``. Times in the call are seconds, rounded to a millisecond so that sums do not depend on their order.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

MEASURES = (
    "language",
    "codec",
    "channels",
    "duration",
    "lost",
    "coverage",
    "words",
    "words_customer",
    "words_agent",
    "speech",
    "talk_customer",
    "talk_agent",
    "silence",
    "longest_silence",
    "overtalk",
    "interruptions_customer",
    "interruptions_agent",
    "hold",
    "speakers",
    "swapped",
)
"""Columns of ``calls`` that come from the transcripts; null where the call has none.

``speakers`` says how they are known: ``channels``, ``diarised``, ``unnamed`` (diarised, but nobody could be named) or
``unknown`` (one channel, not diarised). ``swapped``: what is said on the channels sounds like the other side's.
"""


@cache
def measures_schema() -> pa.Schema:
    """What one pass over the transcripts measures, one row a call: the key and :data:`MEASURES`."""
    import pyarrow as pa

    whole = {"channels", "words", "words_customer", "words_agent", "interruptions_customer", "interruptions_agent"}
    kinds = {name: pa.int32() if name in whole else pa.float64() for name in MEASURES}
    kinds |= {"language": pa.string(), "codec": pa.string(), "speakers": pa.string(), "swapped": pa.bool_()}
    return pa.schema([pa.field("key", pa.string(), nullable=False), *kinds.items()])


@cache
def calls_schema() -> pa.Schema:
    """One row a recording, by URI.

    ``counted`` says that it is in the denominator of the rates: ``scanned``, or ``degraded`` with a transcript.
    ``start_time`` is the clock time of the metadata, its offset from UTC left out: hours are those people work in.
    ``caller`` is the HMAC of the caller number. ``metadata`` holds all other columns.
    """
    import pyarrow as pa

    texts = ("key", "call_id", "uri", "status", "reason", "detail")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in texts),
            pa.field("counted", pa.bool_(), nullable=False),
            pa.field("start_time", pa.timestamp("us")),
            pa.field("queue", pa.string()),
            pa.field("agent", pa.string()),
            pa.field("wait_seconds", pa.float64()),
            pa.field("transfers", pa.float64()),
            pa.field("caller", pa.string()),
            pa.field("metadata", pa.map_(pa.string(), pa.string()), nullable=False),
            *(measures_schema().field(name) for name in MEASURES),
        ]
    )


@cache
def found_schema() -> pa.Schema:
    """What one pass over the transcripts finds, one row a hit.

    ``context`` is the text of the segment the hit starts in; ``counted`` is false where ``flags`` has any.
    """
    import pyarrow as pa

    texts = ("key", "issue", "pattern", "lexicon", "speaker", "quote", "context")
    floats = ("start", "end", "probability")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in texts),
            *(pa.field(name, pa.float64(), nullable=False) for name in floats),
            pa.field("segment", pa.int32(), nullable=False),
            pa.field("speaker_known", pa.bool_(), nullable=False),
            pa.field("flags", pa.list_(pa.string()), nullable=False),
            pa.field("counted", pa.bool_(), nullable=False),
        ]
    )


@cache
def hits_schema() -> pa.Schema:
    """One row a hit, by key and time: :func:`found_schema` and the call id."""
    import pyarrow as pa

    return found_schema().insert(1, pa.field("call_id", pa.string(), nullable=False))
