"""The operational table of a contact centre (queue, agent, wait time, ...) joined to its recordings.

A row names its recording in the column ``call_id``, or in ``file``: a file name, with ``*`` and ``?`` where it is
known in part only. Every other column is metadata. What does not fit exactly one recording is counted, never guessed.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from callscan.errors import UsageError
from callscan.report.callers import pseudonym
from callscan.report.contract import Metadata
from callscan.report.count import scalar
from callscan.report.database import connect, literal

if TYPE_CHECKING:
    import pyarrow as pa

_KEYS = ("call_id", "file")
_DELIMITERS = ",;\t|"

_JOIN = """
CREATE TABLE names AS
SELECT uri, call_id, status, parse_filename(uri) AS file, CASE WHEN key = '' THEN uri ELSE key END AS content
FROM ledger;

CREATE TABLE pairs AS
SELECT DISTINCT o.number, n.uri, n.content FROM (
    SELECT o.number, n.uri FROM o JOIN names AS n ON o.call_id = n.call_id WHERE o.call_id <> ''
    UNION
    SELECT o.number, n.uri FROM o JOIN names AS n ON o.file = n.file WHERE o.call_id = ''
    UNION
    -- Only names with a wildcard are compared with every recording.
    SELECT o.number, n.uri FROM o JOIN names AS n ON n.file GLOB o.file
    WHERE o.call_id = '' AND (contains(o.file, '*') OR contains(o.file, '?'))
) AS o JOIN names AS n ON n.uri = o.uri;

CREATE TABLE joined AS
WITH sure AS (
    SELECT * FROM pairs
    WHERE number IN (SELECT number FROM pairs GROUP BY number HAVING count(DISTINCT content) = 1)
)
SELECT uri, any_value(number) AS number FROM sure GROUP BY uri HAVING count(*) = 1
UNION ALL
-- Of copies of one recording, a row may name any: the others have it too, where none names them.
SELECT n.uri, any_value(sure.number) FROM names AS n JOIN sure USING (content)
WHERE n.uri NOT IN (SELECT uri FROM pairs) GROUP BY n.uri HAVING count(DISTINCT sure.number) = 1;
"""


def read(path: Path, caller_key: bytes) -> pa.Table:
    """A CSV or Parquet file as a table of strings: ``call_id``, ``file`` (empty where the row does not say) and
    ``metadata`` (a map). Caller numbers are pseudonyms from here on."""
    table = read_table(path, caller_key, _KEYS)
    if not set(_KEYS) & set(table.column_names):
        raise UsageError(f"{path} has neither a column call_id nor a column file", "add one: it names the recording")
    return as_map(table, _KEYS)


def read_table(path: Path, caller_key: bytes, keys: Collection[str]) -> pa.Table:
    """The columns of a CSV or Parquet file, names in lower case; pseudonyms in ``caller`` for ``caller_number``.

    ``keys`` are names of which one may be expected. A UsageError says what cannot be read, and why.
    """
    import pyarrow as pa

    if not path.is_file():
        raise UsageError(f"no metadata file {path}", "a CSV or Parquet file with a row for each call")
    try:
        table = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path, keys)
    except (pa.ArrowException, OSError, csv.Error) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"cannot read {path}: {first}", "CSV with a header line, or Parquet") from error
    return _without_numbers(table, caller_key)


def _parquet(path: Path) -> pa.Table:
    """The columns of a Parquet file; times as the clocks of their own zone show them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    columns = [
        pc.local_timestamp(column) if pa.types.is_timestamp(column.type) and column.type.tz else column
        for column in table.columns
    ]
    return pa.table(columns, names=_names(table.column_names))


def _csv(path: Path, keys: Collection[str]) -> pa.Table:
    """Text columns of a CSV file with any usual delimiter; Latin-1 where it is not UTF-8, as French Excel writes it.

    The delimiter is the one that makes a key of the first line, or else the most cells, and nothing is guessed from the
    others: a row that has more or fewer cells than the first is an error, which names it.
    """
    import pyarrow as pa
    from pyarrow import csv as reader

    try:
        path.read_text(encoding="utf-8-sig")
        encoding = "utf-8-sig"
    except UnicodeDecodeError:
        encoding = "latin-1"
    firsts = []
    for delimiter in _DELIMITERS:
        with path.open(encoding=encoding, newline="") as file:
            firsts.append((_names(next(csv.reader(file, delimiter=delimiter), [])), delimiter))
    names, delimiter = max(firsts, key=lambda first: (not set(keys).isdisjoint(first[0]), len(first[0])))
    wrong: list[reader.InvalidRow] = []

    def refuse(row: reader.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    try:
        return reader.read_csv(
            path,
            # One thread: only then is a wrong row's number known.
            reader.ReadOptions(
                use_threads=False, column_names=names, skip_rows=1, encoding=encoding.removesuffix("-sig")
            ),
            reader.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse),
            reader.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if not wrong:
            raise
        row = wrong[0]
        raise UsageError(
            f"{path}, row {row.number}: {row.actual_columns} cells, the first row has {row.expected_columns}",
            "write it with as many, or take it out",
        ) from error


def _names(given: Sequence[str]) -> list[str]:
    """Column names as they are known here; further columns of one name, and those without any, get a number."""
    found: list[str] = []
    for place, written in enumerate(given, 1):
        name = written.strip().lower() or f"column_{place}"
        number = found.count(name) + sum(one.startswith(f"{name}_") for one in found)
        found.append(f"{name}_{number}" if name in found else name)
    return found


def _without_numbers(table: pa.Table, caller_key: bytes) -> pa.Table:
    """The table with pseudonyms in a column ``caller`` instead of numbers in ``caller_number``."""
    import pyarrow as pa

    if "caller_number" not in table.column_names:
        return table
    numbers = table["caller_number"].cast(pa.string()).to_pylist()
    callers = pa.array([pseudonym(n, caller_key) if n else None for n in numbers], pa.string())
    # Where a table has both, the other is no pseudonym: a name, perhaps.
    table = table.drop_columns([name for name in ("caller_number", "caller") if name in table.column_names])
    return table.append_column("caller", callers)


def as_map(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """A table of ``keys``, empty where there is none, and ``metadata``: all other columns as one map a row, without
    empty cells. Values are as DuckDB writes them."""
    columns = sorted(set(table.column_names) - set(keys))
    entries = ", ".join(f"{{k: {literal(name)}, v: {_quoted(name)}::VARCHAR}}" for name in columns)
    chosen = ", ".join(
        f"coalesce(trim({_quoted(name)}::VARCHAR), '') AS {_quoted(name)}"
        if name in table.column_names
        else f"'' AS {_quoted(name)}"
        for name in keys
    )
    pairs = f"list_filter([{entries}], lambda e: trim(e.v) <> '')" if entries else "[]::STRUCT(k VARCHAR, v VARCHAR)[]"
    with connect() as connection:
        connection.register("given", table)
        return connection.sql(f"SELECT {chosen}, map_from_entries({pairs}) AS metadata FROM given").to_arrow_table()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def join(ledger: pa.Table, table: pa.Table, scratch: Path) -> tuple[pa.Table, Metadata]:
    """The ledger with the rows of the operational table in its ``metadata``, where a value there replaces its own, and
    how the two met.

    A row that fits several recordings, or a recording that several rows fit, is not joined. Recordings with
    the same bytes are one call here. What is too much for memory is spilled to ``scratch``.
    """
    with connect(scratch=scratch) as connection:
        connection.register("ledger", ledger)
        connection.register("given", table)
        connection.execute("CREATE TABLE o AS SELECT *, row_number() OVER () AS number FROM given")
        connection.execute(_JOIN)
        metadata = Metadata(
            rows=table.num_rows,
            rows_without_call=scalar(
                connection, "SELECT count(*) FROM o WHERE number NOT IN (SELECT number FROM pairs)"
            ),
            calls_without_row=scalar(
                connection,
                """SELECT count(*) FROM names
                WHERE status <> 'duplicate' AND uri NOT IN (SELECT uri FROM joined)""",
            ),
            ambiguous=scalar(
                connection,
                """SELECT count(*) FROM (SELECT DISTINCT number FROM pairs)
                WHERE number NOT IN (SELECT number FROM joined)""",
            ),
        )
        merged = connection.sql(
            """SELECT l.* REPLACE (map_concat(l.metadata, coalesce(o.metadata, MAP {})) AS metadata)
            FROM ledger AS l LEFT JOIN joined ON joined.uri = l.uri LEFT JOIN o ON o.number = joined.number
            ORDER BY l.uri"""
        ).to_arrow_table()
    return merged, metadata
