"""Operational figures beside the issues: what is said more often by those who waited longest?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callscan.report.contract import Operation, Quartile
from callscan.report.count import cell

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS = ("wait_seconds", "transfers")
"""Numeric columns of the metadata that are cut into quarters."""


def operations(connection: DuckDBPyConnection) -> list[Operation]:
    """Every issue by quarter of each operational column, for the columns that at least four calls have.

    Equal values stay together, so the quarters of a column with few values differ in size, and one may be missing.
    """
    result = []
    for column in COLUMNS:
        bounds = connection.execute(
            f"SELECT quantile_disc({column}, [0.25, 0.5, 0.75]), count({column}) FROM c"
        ).fetchall()[0]
        if bounds[1] < 4:
            continue
        cuts, calls = bounds
        quarter = f"1 + ({column} > {cuts[0]!r})::INT + ({column} > {cuts[1]!r})::INT + ({column} > {cuts[2]!r})::INT"
        held = {
            number: (low, high, of)
            for number, low, high, of in connection.execute(
                f"""SELECT {quarter} AS q, min({column}), max({column}), count(*) FROM c
                WHERE {column} IS NOT NULL GROUP BY q ORDER BY q"""
            ).fetchall()
        }
        counts: dict[int, dict[str, tuple[int, int]]] = {}
        for number, issue, with_issue, hits in connection.execute(
            f"""SELECT {quarter} AS q, ic.issue, count(*), sum(ic.hits)::BIGINT FROM ic JOIN c ON c.key = ic.key
            WHERE {column} IS NOT NULL GROUP BY q, ic.issue"""
        ).fetchall():
            counts.setdefault(number, {})[issue] = (with_issue, hits)
        issues = sorted({issue for found in counts.values() for issue in found})
        quartiles = []
        for number, (low, high, of) in held.items():
            found = counts.get(number, {})
            cells = {
                issue: cell(str(number), found.get(issue, (0, 0))[0], of, found.get(issue, (0, 0))[1])
                for issue in issues
            }
            quartiles.append(Quartile(quartile=number, low=low, high=high, of=of, issues=cells))
        result.append(Operation(column=column, calls=calls, quartiles=quartiles))
    return result
