"""The JSON Schema of ``report.json``, made from the types that write it."""

from __future__ import annotations

from typing import Any

import msgspec

from callscan.report.contract import SCHEMA_VERSION, Report


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a report. Every field is required; readers should pass over fields they do not know,
    since a minor version adds some."""
    _, components = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    top = components.pop("Report")
    major = SCHEMA_VERSION.split(".")[0]
    # The number before the point decides: a reader of 1.0 reads every 1.x.
    top["properties"]["schema_version"] = {"type": "string", "pattern": rf"^{major}\.\d+$"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:callscan:report:{SCHEMA_VERSION}",
        **top,
        "title": "callscan report",
        "$defs": dict(sorted(components.items())),
    }
