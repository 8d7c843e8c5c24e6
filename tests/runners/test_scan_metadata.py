"""The table that a scan is given with --metadata."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callscan.errors import UsageError
from callscan.report.callers import KEY_VARIABLE, pseudonym
from callscan.runners.metadata import read_metadata

KEY = bytes(range(16))


@pytest.fixture(autouse=True)
def _caller_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY.hex())


def read(path: Path, content: bytes) -> dict[str, dict[str, str]]:
    path.write_bytes(content)
    return {row["id"]: dict(row["metadata"]) for row in read_metadata(str(path)).to_pylist()}


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("call_id;File_d_attente\n16;résiliation\n".encode("latin-1"), {"16": {"file_d_attente": "résiliation"}}),
        ("\ufeffid,queue\r\n16,a\r\n".encode(), {"16": {"queue": "a"}}),
        (b"queue\tFilename\na\t0016.wav\n\t17.wav\n", {"0016.wav": {"queue": "a"}, "17.wav": {}}),
        (b"numero;queue;a, b\n16;a;1\n17;b;\n16;c;\n", {"16": {"queue": "c"}, "17": {"queue": "b"}}),
        (b"call_id,caller_number\n16,0612345678\n,1\n", {"16": {"caller": pseudonym("0612345678", KEY)}}),
        (b"call_id,queue\n", {}),
    ],
    ids=["latin-1", "bom", "tab", "first column", "caller", "header only"],
)
def test_a_table_is_read_as_rescan_reads_it(tmp_path: Path, content: bytes, rows: dict[str, dict[str, str]]) -> None:
    assert read(tmp_path / "calls.csv", content) == rows


def test_a_parquet_table(tmp_path: Path) -> None:
    table = pa.table({"call_id": [16, 17], "wait_seconds": [1.5, None]})
    pq.write_table(table, tmp_path / "calls [1].parquet")
    rows = read_metadata(str(tmp_path / "calls [1].parquet")).to_pylist()
    assert rows == [{"id": "16", "metadata": [("wait_seconds", "1.5")]}, {"id": "17", "metadata": []}]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"call_id,queue\n16,a\n17,b,c\n", "row 3: 3 cells, the first row has 2"), (b"", "Empty CSV file")],
)
def test_what_cannot_be_read_is_told_whole(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        read(tmp_path / "calls.csv", content)
    assert str(tmp_path / "calls.csv") in caught.value.message
