"""The commands as a shell sees them: exit codes, JSON alone on stdout, files where they were asked for."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import typer
from report_world import PhraseLexicon, make_archive, make_world
from test_rescan import leak_world
from typer.testing import CliRunner

from callscan.cli import report as commands
from callscan.errors import UsageError
from callscan.rescan.recount import count

app = typer.Typer()
for command in (commands.report, commands.rescan, commands.export, commands.schema):
    app.command()(command)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_report_and_its_schema(tmp_path: Path) -> None:
    where = str(tmp_path / "archive")
    make_archive(tmp_path / "archive", make_world(30).records)
    code, out = run("rescan", where, "--json", "--by", "produit")
    assert code == 0
    whole = json.loads(out)
    jsonschema.Draft202012Validator(json.loads(run("schema")[1])).validate(whole)
    page = tmp_path / "page.html"
    code, out = run("report", where, "--from", "2026-09-05", "--to", "2026-09-30", "--html", str(page), "--json")
    part = json.loads(out)
    assert code == 0
    assert 0 < part["calls"] < whole["calls"]
    assert page.read_text().startswith("<!doctype html>")
    code, out = run("report", where, "--where", "queue=livraison", "--by", "produit")
    assert code == 0
    assert "recordings = " in out
    assert run("export", where, "--format", "vtt", "--out", str(tmp_path / "out"))[0] == 0
    assert len(list((tmp_path / "out").iterdir())) == 30
    code, out = run("rescan", where)
    assert "those of the last time" in out


BAD = (
    "--from=x",
    "--from=2026-10-02 --to=2026-10-01",
    "--where=queue",
    "--where=queue=a --where=queue=b",
    "--where=colour=red",
    "--alert=panic",
    "--by=colour",
    "--webhook=notaurl",
    "--webhook=https:example.com",
)


@pytest.mark.parametrize("argument", BAD)
def test_what_cannot_be_done_is_one_clear_line(tmp_path: Path, argument: str) -> None:
    count(make_archive(tmp_path / "archive", make_world(5).records), PhraseLexicon())
    with pytest.raises(UsageError) as caught:
        run("report", str(tmp_path / "archive"), *argument.split())
    assert caught.value.hint


def test_an_alert_is_exit_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callscan.report.webhook.PAUSES", ())
    count(make_archive(tmp_path / "archive", leak_world(), shard_size=500), PhraseLexicon())
    where = str(tmp_path / "archive")
    assert run("report", where, "--alert", "watch")[0] == 3
    assert run("report", where)[0] == 0
    code, out = run("report", where, "--alert", "watch", "--json", "--webhook", "http://127.0.0.1:1/")
    assert code == 3
    assert json.loads(out)["alerts"]
    assert run("report", where, "--alert", "watch", "--to", "2026-10-10")[0] == 0
