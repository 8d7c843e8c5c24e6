from __future__ import annotations

from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.archive import SCHEMA, from_table, to_table
from callscan.records import SPEAKERS, STATUSES, AudioInfo, CallRecord, Segment, Span, Transcript, Turn, Word

seconds = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(codec="utf-8"), max_size=8)
whole = st.integers(0, 2**31 - 1)
speakers = st.sampled_from(SPEAKERS)


def tuples(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(values, max_size=3).map(tuple)


words = st.builds(Word, text, seconds, seconds, seconds)
segments = st.builds(
    Segment, seconds, seconds, text, whole, speakers, tuples(words), seconds, seconds, seconds, tuples(text)
)
spans = st.builds(Span, seconds, seconds)
turns = st.builds(Turn, seconds, seconds, text, speakers)
transcripts = st.builds(Transcript, text, seconds, tuples(segments), tuples(tuples(spans)), tuples(turns), seconds)
audio = st.builds(AudioInfo, text, text, whole, whole, seconds, seconds, seconds)
records = st.builds(
    CallRecord,
    call_id=text,
    uri=text,
    key=text,
    status=st.sampled_from(STATUSES),
    reason=text,
    detail=text,
    size=st.integers(0, 2**63 - 1),
    audio=st.none() | audio,
    transcript=st.none() | transcripts,
    metadata=st.dictionaries(text, text, max_size=3).map(MappingProxyType),
    notes=tuples(text),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(records, max_size=4))
def test_records_come_back_as_they_were(given_records: list[CallRecord]) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(to_table(given_records, fingerprint="f", shard="s"), sink)
    table = pq.read_table(pa.BufferReader(sink.getvalue()))
    assert table.schema.equals(SCHEMA)
    assert list(from_table(table)) == given_records


def test_no_record_is_no_row() -> None:
    assert to_table([]).num_rows == 0
    assert list(from_table(to_table([]))) == []
