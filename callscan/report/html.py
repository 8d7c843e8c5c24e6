"""The HTML page: one file that works offline, asks no other host for anything, and runs no code but its own.

The policy in its head allows its one script and its one style sheet, by their hashes; what callers said and what
metadata holds is data in a JSON block that the script puts on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from callscan.report.contract import Report
from callscan.report.database import CALENDAR

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HITS = 50_000
"""Hits a page holds at most, spread over the issues; all are in ``hits.parquet``, and the page says so."""

SCRIPTS = ("words.js", "build.js", "evidence.js", "page.js")

_SAMPLE = f"""
SELECT h.issue, h.key, h.start, h."end", h.speaker, h.quote, h.context, h.pattern, h.probability FROM (
    -- The same share of every issue, chosen by the hash of the call: no issue crowds another out.
    SELECT *, row_number() OVER (PARTITION BY issue ORDER BY key, start, pattern) AS place FROM h
) AS h ORDER BY place, issue, key LIMIT {HITS}
"""


def page(connection: DuckDBPyConnection, report: Report, cuts: dict[str, str], folder: Path | None) -> str:
    """The page of a report, from the tables it was counted from.

    ``folder`` is where the page will lie; recordings on the same machine are linked relative to it, so that folders
    moved together stay linked. None where the page lies elsewhere: then there are no links to audio.
    """
    import msgspec

    data = {
        "report": msgspec.to_builtins(report, order="sorted"),
        **_evidence(connection, cuts, folder),
        "heat": _heat(connection) if "hour" in cuts else None,
    }
    script, style = _asset(*SCRIPTS), _asset("page.css")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "media-src 'self' file:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return Template(_asset("page.html")).substitute(csp=policy, style=style, script=script, data=embedded(data))


def embedded(data: Any) -> str:
    """JSON that can stand in a ``<script>`` block: no character in it ends the block or begins markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # A lone surrogate is no UTF-8; it can only stand where a metadata file was damaged.
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _asset(*names: str) -> str:
    return "\n".join((files("callscan.report") / "assets" / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _evidence(connection: DuckDBPyConnection, cuts: dict[str, str], folder: Path | None) -> dict[str, Any]:
    """Hits and the calls they are in, as columns; texts that come often are written once and numbered."""
    rows = connection.execute(_SAMPLE).fetchall()
    total = connection.execute("SELECT count(*) FROM h").fetchall()[0][0]
    columns = [name for name in cuts if name not in CALENDAR]
    connection.execute("CREATE OR REPLACE TEMP TABLE shown (key VARCHAR)")
    keys = sorted({row[1] for row in rows})
    if keys:
        connection.execute("INSERT INTO shown SELECT unnest($keys)", {"keys": keys})
    chosen = "".join(f", c.{cuts[name]}" for name in columns)
    calls = connection.execute(
        f"""SELECT c.key, c.call_id, c.uri, strftime(c.start_time, '%Y-%m-%dT%H:%M:%S'), c.duration, c.codec,
            c.queue, c.agent{chosen}
        FROM c JOIN shown ON shown.key = c.key ORDER BY c.key"""
    ).fetchall()
    place = {row[0]: index for index, row in enumerate(calls)}
    names = ["call_id", "uri", "start", "duration", "codec", "queue", "agent", *(f"by {name}" for name in columns)]
    table = {name: [row[1 + index] for row in calls] for index, name in enumerate(names)}
    table["href"] = [link(uri, folder) for uri in table["uri"]]
    hits: dict[str, Any] = {"total": total, "call": [place[row[1]] for row in rows]}
    for name, plural, index in (("issue", "issues", 0), ("speaker", "speakers", 4), ("pattern", "patterns", 7)):
        values = sorted({row[index] for row in rows})
        numbers = {value: number for number, value in enumerate(values)}
        hits[plural] = values
        hits[name] = [numbers[row[index]] for row in rows]
    for name, index in (("start", 2), ("end", 3), ("quote", 5), ("context", 6), ("probability", 8)):
        hits[name] = [row[index] for row in rows]
    return {"hits": hits, "calls": table}


def _heat(connection: DuckDBPyConnection) -> dict[str, Any]:
    """Calls by hour of the week (Monday 0 h = 0), all and with each issue."""
    slot = "(isodow(start_time) - 1) * 24 + hour(start_time)"
    of = [0] * 168
    for hour, calls in connection.execute(
        f"SELECT {slot} AS s, count(*) FROM c WHERE start_time IS NOT NULL GROUP BY s"
    ).fetchall():
        of[hour] = calls
    issues: dict[str, list[int]] = {}
    for issue, hour, calls in connection.execute(
        f"""SELECT ic.issue, {slot} AS s, count(*) FROM ic JOIN c ON c.key = ic.key
        WHERE start_time IS NOT NULL GROUP BY ic.issue, s"""
    ).fetchall():
        issues.setdefault(issue, [0] * 168)[hour] = calls
    return {"of": of, "issues": issues}


def link(uri: str, folder: Path | None) -> str | None:
    """The address of a recording, relative to the page; None for one that a page on a disk cannot reach."""
    if folder is None or ("://" in uri and not uri.startswith("file://")):
        return None
    place, name = os.path.split(uri.removeprefix("file://"))
    address = _from(folder, place) + quote(name)
    # A first part with a colon would be read as a scheme.
    return address if address.startswith("../") else f"./{address}"


@lru_cache
def _from(folder: Path, place: str) -> str:
    """The way from a folder to another, with a slash at its end; empty to itself. Recordings lie together."""
    way = Path(os.path.relpath(Path(place).absolute(), folder.absolute())).as_posix()
    return "" if way == "." else f"{quote(way)}/"
