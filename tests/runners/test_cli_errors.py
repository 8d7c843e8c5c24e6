"""Trouble as a shell sees it: one clear line, what to do next, exit code 2, and no traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from callscan import cli
from callscan.archive import Archive
from callscan.archive.lock import lock
from callscan.audio import Reject
from callscan.config import Shards
from callscan.errors import ConfigError, ModelError, UsageError
from callscan.runners.plan import gather, make_plan


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "/a/b"), "'/a/b': Permission denied"),
        (OSError("it is gone"), "it is gone"),
        (duckdb.OutOfMemoryException("Out of Memory Error: no more\nSee also"), "Out of Memory Error: no more"),
    ],
)
def test_trouble_of_the_machine_is_one_clear_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told, hint = capsys.readouterr().err.splitlines()
    assert (ended.value.code, told) == (2, f"callscan: {line}")
    assert "TMPDIR" in hint


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main()
    monkeypatch.delitem(sys.modules, "duckdb")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_lexicons_that_are_none_are_told_before_any_work(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "keywords").mkdir()
    done = run("scan", recordings, "--archive", tmp_path / "archive", "--keywords", tmp_path / "keywords")
    assert isinstance(done.exception, ConfigError)
    assert not (tmp_path / "archive").exists()


def test_models_that_cannot_be_fetched() -> None:
    assert isinstance(run("models", "fetch", "bogus").exception, ModelError)
    assert Path(run("models", "fetch", "demo").stdout.strip()).is_dir()


def test_lines_that_cannot_be_read_are_told_and_the_others_matched(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    lines = (
        '{"text": "personne ne m\'a rappelé"}'.encode(),
        '{"text": "réclamation"}'.encode("latin-1"),
        b"",
        b"bonjour",
        b'{"said": "bonjour"}',
        b'{"text": "hallo", "language": "de"}',
        b'{"text": "hallo", "speaker": "boss"}',
        b'{"text": "nobody called me back", "language": "en"}',
        '{"text": "personne ne m\'a rappelé", "speaker": "agent"}'.encode(),
    )
    path.write_bytes(b"\n".join(lines))
    done = run("match", path, "--json")
    found = [[hit["issue"] for hit in json.loads(line)["hits"]] for line in done.stdout.splitlines() if line[0] == "{"]
    assert found == [["callback_missed"], ["callback_missed"], []]
    assert str(done.exception) == f"{path}: 5 of 8 lines could not be read"
    told = [line for line in done.stderr.splitlines() if not line.startswith("  hint")]
    assert [line.removeprefix(f"callscan: {path}:").partition(": ")[0] for line in told] == [
        "2:12",
        "4:1",
        "5:1",
        "6:1",
        "7:1",
    ]


@pytest.mark.parametrize(
    "arguments", [("match", "hallo"), ("keywords", "test", "hallo"), ("keywords", "explain", "hallo")]
)
def test_a_language_without_a_lexicon(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--language", "de")
    assert isinstance(done.exception, UsageError)
    assert done.exception.hint == "one of en, fr"
    assert run(*arguments, "--language", "fr-CA").exit_code == 0


def test_status_tells_who_waits_for_whom(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    make_plan(archive, gather([Reject("/r/x.wav", "not_a_file", "a pipe")]), "f", Shards())
    assert "Scan again to continue" in run("status", archive.url).stdout
    with lock(archive.url):
        told = run("status", archive.url).stdout
        assert json.loads(run("status", archive.url, "--json").stdout)["waiting"] == 1
    assert "1 recordings wait: they are next." in told
    assert "Scan again" not in told
