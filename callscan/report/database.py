"""DuckDB over the two tables: which calls a report is about, and the columns it can be cut by."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from callscan.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CALENDAR = {
    "day": "strftime(start_time, '%Y-%m-%d')",
    "hour": "printf('%02d', hour(start_time))",
    "weekday": "CAST(isodow(start_time) AS VARCHAR)",
}
"""Columns made from the start time. The weekday is ISO: 1 is Monday."""

STANDARD_COLUMNS = ("start_time", "wait_seconds", "transfers", "status", "reason", "channels")
"""Further columns of ``calls.parquet`` that a person can name; what is in no column of its own is in ``metadata``."""

_OF_METADATA = "metadata."

NATURAL = {"queue": "queue", "agent": "agent", "language": "language"}
"""Columns that every report is cut by where they hold anything."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls to report on, and by which further columns.

    ``since`` and ``until`` are days, both included; ``where`` maps a column to the value it must have, empty for calls
    that have none; ``by`` names
    columns to break every issue down by, beside the calendar, queue, agent and language.
    """

    since: date | None = None
    until: date | None = None
    where: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    by: tuple[str, ...] = ()


def connect(memory: str = "1GB", scratch: Path | None = None) -> DuckDBPyConnection:
    """An in-memory DuckDB that spills to ``scratch`` beyond ``memory`` and fetches nothing from anywhere."""
    import duckdb

    connection = duckdb.connect(
        config={
            "memory_limit": memory,
            "threads": os.cpu_count() or 1,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": str(scratch) if scratch else "",
        }
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def literal(text: str | Path) -> str:
    """``text`` as an SQL string: views cannot take bound parameters."""
    return "'" + str(text).replace("'", "''") + "'"


def column(connection: DuckDBPyConnection, name: str) -> str:
    """The SQL expression of a column that a person named; UsageError where there is no such column, or two of them:
    ``metadata.NAME`` is always the one of the metadata."""
    held = metadata_columns(connection)
    of_metadata = name.removeprefix(_OF_METADATA)
    if name != of_metadata and of_metadata in held:
        return f"metadata[{literal(of_metadata)}]"
    own = (*CALENDAR, *STANDARD_COLUMNS, *NATURAL)
    if name in own and name in held:
        hint = f"write {_OF_METADATA}{name} for the metadata's"
        raise UsageError(f"{name!r} is a column of the metadata and one of callscan's own", hint)
    if name in CALENDAR:
        return CALENDAR[name]
    if name in (*STANDARD_COLUMNS, *NATURAL):
        return f"regexp_replace(CAST({name} AS VARCHAR), '\\.0$', '')"  # two transfers are "2", not "2.0"
    if name in held:
        return f"metadata[{literal(name)}]"
    known = sorted({*own, *held})
    raise UsageError(f"no column {name!r} in the metadata of these calls", f"columns: {', '.join(known)}")


def metadata_columns(connection: DuckDBPyConnection) -> list[str]:
    """Names of the metadata columns without a place of their own, sorted."""
    rows = connection.execute(
        "SELECT DISTINCT unnest(map_keys(metadata)) AS name FROM all_calls ORDER BY name"
    ).fetchall()
    return [name for (name,) in rows]


def open_tables(connection: DuckDBPyConnection, calls: Path, hits: Path, selection: Selection) -> dict[str, str]:
    """Make the tables that counting reads, and return the columns to cut by: name → SQL expression.

    ``chosen``: every recording of the selection. ``c``: those in the denominator. ``h``: their counted hits.
    ``ic``: one row an issue and call, with its hits. Reading is by view, so that memory stays with DuckDB.
    """
    connection.execute(f"CREATE VIEW all_calls AS SELECT * FROM read_parquet({literal(calls)})")
    connection.execute(f"CREATE VIEW all_hits AS SELECT * FROM read_parquet({literal(hits)})")
    conditions = ["true"]
    if selection.since:
        conditions.append(f"start_time >= DATE {literal(selection.since.isoformat())}")
    if selection.until:
        conditions.append(f"start_time < DATE {literal(selection.until.isoformat())} + INTERVAL 1 DAY")
    for name, value in sorted(selection.where.items()):
        # A cell left empty is null here.
        conditions.append(f"coalesce({column(connection, name)}, '') = {literal(value)}")
    cuts = cut_columns(connection, selection.by)
    derived = ", ".join(f'{expression} AS "cut_{index}"' for index, expression in enumerate(cuts.values()))
    connection.execute(
        f"""CREATE TABLE chosen AS
        SELECT *, {derived or "NULL AS no_cut"} FROM all_calls WHERE {" AND ".join(f"({c})" for c in conditions)}"""
    )
    connection.execute("CREATE VIEW c AS SELECT * FROM chosen WHERE counted")
    connection.execute(
        """CREATE VIEW h AS
        SELECT all_hits.*, c.duration, c.uri FROM all_hits JOIN c ON all_hits.key = c.key WHERE all_hits.counted"""
    )
    connection.execute("CREATE TABLE ic AS SELECT issue, key, count(*) AS hits FROM h GROUP BY issue, key")
    return {name: f'"cut_{index}"' for index, name in enumerate(cuts)}


def cut_columns(connection: DuckDBPyConnection, by: Sequence[str]) -> dict[str, str]:
    """Columns to cut by: the calendar where there are start times, queue, agent and language where they hold
    anything, and those asked for."""
    present = connection.execute(
        f"SELECT count(start_time), {', '.join(f'count(DISTINCT {name})' for name in NATURAL)} FROM all_calls"
    ).fetchall()[0]
    cuts = dict(CALENDAR) if present[0] else {}
    for (name, expression), values in zip(NATURAL.items(), present[1:], strict=True):
        # One language says nothing; one queue does: it is the house's name for these calls.
        if values > (name == "language"):
            cuts[name] = expression
    for name in by:
        cuts[name] = column(connection, name)
    return cuts
