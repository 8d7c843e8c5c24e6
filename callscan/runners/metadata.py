"""What a house knows of its calls besides the audio: a table joined by call id or file name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from callscan.errors import UsageError
from callscan.report.callers import caller_key
from callscan.report.metadata import as_map, read_table

if TYPE_CHECKING:
    import pyarrow as pa

_IDS = ("call_id", "id", "file", "file_name", "filename", "recording", "uri")
"""Names of the column that says which call a row is about; without one of them it is the first column."""


def read_metadata(path: str) -> pa.Table:
    """A CSV or Parquet table as columns ``id`` (string) and ``metadata`` (map of strings), one row an id.

    Values are kept as they are written; empty ones are left out. A caller number is replaced by its pseudonym
    (column ``caller``): it is never written in clear. Of several rows for one id the last one speaks.
    """
    import pyarrow as pa

    table = read_table(Path(path), caller_key(), _IDS)
    if not table.column_names:
        raise UsageError(f"{path} has no columns", "a header and one row a call")
    key = next((name for name in _IDS if name in table.column_names), table.column_names[0])
    mapped = as_map(table, (key,))
    described = dict(zip(mapped[key].to_pylist(), mapped["metadata"].to_pylist(), strict=True))
    described.pop("", None)
    return pa.table(
        {
            "id": pa.array(described, pa.string()),
            "metadata": pa.array([sorted(row) for row in described.values()], pa.map_(pa.string(), pa.string())),
        }
    )
