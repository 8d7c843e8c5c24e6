"""``report.json`` keeps its published contract, whatever the archive holds."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_world import PhraseLexicon, call, failed, make_archive, make_world

from callscan.report.schema import schema
from callscan.report.write import from_json, to_json
from callscan.rescan.recount import count

ARCHIVES = {
    "empty": [],
    "one call": [call("only", [("customer", "bonjour colis jamais arrivé"), ("agent", "oui")])],
    "one call without a word of metadata or friction": [call("only", [("agent", "bonjour")])],
    "all failed": [failed("a", "quarantined", "not_audio"), failed("b", "quarantined", "unreadable")],
    "a world": make_world(60).records,
}


def closed(node: Any) -> Any:
    """The schema with no room for fields it does not name: what this version itself may write."""
    if isinstance(node, dict):
        node = {key: closed(value) for key, value in node.items()}
        if "properties" in node:
            node["additionalProperties"] = False
    elif isinstance(node, list):
        node = [closed(value) for value in node]
    return node


@pytest.mark.parametrize("name", ARCHIVES)
def test_report_keeps_the_contract(tmp_path: Path, name: str) -> None:
    archive = make_archive(tmp_path / "archive", ARCHIVES[name])
    report = count(archive, PhraseLexicon())
    data = (tmp_path / "archive" / "report" / "report.json").read_bytes()
    assert data == to_json(report)
    assert from_json(data) == report

    def refuse(value: str) -> None:
        raise AssertionError(f"{value} is no JSON")

    plain = json.loads(data, parse_constant=refuse)
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(closed(schema())).validate(plain)
    assert {"schema_version", "coverage", "issues"} <= set(plain)
    assert {"id", "label", "calls", "hits", "calls_per_100", "examples"} <= set(plain["issues"][0])


def test_the_schema_refuses_what_breaks_the_contract(tmp_path: Path) -> None:
    report = count(make_archive(tmp_path / "archive", ARCHIVES["one call"]), PhraseLexicon())
    good = json.loads(to_json(report))
    validator = jsonschema.Draft202012Validator(schema())
    for path, value in (
        (("coverage", "scanned"), -1),
        (("coverage", "scanned"), None),
        (("issues", 0, "calls_per_100"), 101),
        (("issues", 0, "examples", 0, "speaker"), "nobody"),
        (("schema_version",), "2.0"),
    ):
        bad = deepcopy(good)
        place = bad
        for step in path[:-1]:
            place = place[step]  # type: ignore[index]
        place[path[-1]] = value  # type: ignore[index]
        assert not validator.is_valid(bad), path
    assert validator.is_valid({**good, "a_field_of_1_1": True})


def test_empty_is_null_and_never_zero(tmp_path: Path) -> None:
    report = count(make_archive(tmp_path / "archive", ARCHIVES["all failed"]), PhraseLexicon())
    assert report.coverage.quarantined == 2
    assert report.calls == 0
    assert {issue.calls_per_100 for issue in report.issues} == {None}
    assert {issue.interval for issue in report.issues} == {None}
    assert {measure.mean for measure in report.interaction} == {None}
    assert [failure.reason for failure in report.failures] == ["not_audio", "unreadable"]
