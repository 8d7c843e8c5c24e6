"""What a house knows of its calls besides the audio: a table joined by call id or file name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from callscan.archive.store import unglobbed
from callscan.errors import UsageError
from callscan.report.callers import caller_key, pseudonym

if TYPE_CHECKING:
    import pyarrow as pa

_IDS = ("call_id", "id", "file", "file_name", "filename", "recording", "uri")
"""Names of the column that says which call a row is about; without one of them it is the first column."""

_NUMBER = "caller_number"


def read_metadata(path: str) -> pa.Table:
    """A CSV or Parquet table as columns ``id`` (string) and ``metadata`` (map of strings), one row an id.

    Values are kept as they are written; empty ones are left out. A caller number is replaced by its pseudonym
    (column ``caller``): it is never written in clear. Of several rows for one id the last one speaks.
    """
    import duckdb
    import pyarrow as pa

    reader = "read_parquet" if path.lower().endswith(".parquet") else "read_csv"
    options = "" if reader == "read_parquet" else ", all_varchar = true, header = true"
    if not Path(path).is_file():
        raise UsageError(f"no such metadata table: {path}", "a CSV or Parquet file with a row for each call is needed")
    with duckdb.connect() as connection:
        try:
            query = f"SELECT COLUMNS(*)::VARCHAR FROM {reader}($path{options})"  # noqa: S608 - words of this file
            relation = connection.sql(query, params={"path": unglobbed(path)})
            columns = [name.strip() for name in relation.columns]
            rows = relation.fetchall()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise UsageError(f"cannot read the metadata table {path}: {first}", "a header and one row a call") from None
    names = [name.lower() for name in columns]
    at = next((names.index(name) for name in _IDS if name in names), 0)
    secret = caller_key() if _NUMBER in names else b""
    described: dict[str, dict[str, str]] = {}
    for row in rows:
        values = {name: value for i, (name, value) in enumerate(zip(columns, row, strict=True)) if value and i != at}
        for name in [name for name in values if name.lower() == _NUMBER]:
            number = pseudonym(values.pop(name), secret)
            if number:
                values["caller"] = number
        if row[at]:
            described[row[at]] = values
    return pa.table(
        {
            "id": pa.array(described, pa.string()),
            "metadata": pa.array([sorted(v.items()) for v in described.values()], pa.map_(pa.string(), pa.string())),
        }
    )
