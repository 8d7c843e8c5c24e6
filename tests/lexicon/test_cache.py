"""Built lexicons are kept: what is read back is what was built, and nothing else is read."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from callscan.lexicon import Lexicon
from callscan.lexicon.cache import kept
from callscan.lexicon.lexicon import builtin_lexicons

BIG = [b"x" * 60_000]
SENTENCES = (
    "ça fait trois fois que j'appelle et personne ne m'a rappelé",
    "il n'y a aucun problème avec la facture",
    "j'ai été prélevé deux fois et si ça continue je résilie",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "callscan" / "lexicons"


def made(folder: Path, given: list[bytes]) -> tuple[list[str], bool]:
    """What is kept of ``given``, and whether it had to be made."""
    calls = []

    def make() -> list[str]:
        calls.append(1)
        return ["made"]

    return kept("test", given, make), bool(calls)


def test_what_was_made_once_is_read_again(folder: Path) -> None:
    assert made(folder, BIG) == (["made"], True)
    assert made(folder, BIG) == (["made"], False)
    assert made(folder, [*BIG, b"y"]) == (["made"], True)


def test_of_two_that_want_the_same_one_makes_it(folder: Path) -> None:
    begun, end = Event(), Event()

    def slowly() -> list[str]:
        begun.set()
        assert end.wait(30)
        return ["slowly"]

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept, "test", BIG, slowly)
        assert begun.wait(30)
        second = pool.submit(made, folder, BIG)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.5)
        end.set()
        assert first.result(30) == ["slowly"]
        assert second.result(30) == (["slowly"], False)


def test_small_lexicons_are_not_kept(folder: Path) -> None:
    assert made(folder, [b"x"]) == (["made"], True)
    assert not folder.exists()


def test_what_others_can_write_or_is_broken_is_made_again(folder: Path) -> None:
    made(folder, BIG)
    (file,) = folder.glob("*.pickle")
    file.chmod(0o666)
    assert made(folder, BIG)[1]
    file.write_bytes(file.read_bytes()[:-3])
    assert made(folder, BIG)[1]
    folder.chmod(0o777)
    assert made(folder, BIG)[1]
    folder.chmod(0o700)
    assert not made(folder, BIG)[1]


def test_where_nothing_can_be_written_it_is_made_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert made(tmp_path, BIG) == made(tmp_path, BIG) == (["made"], True)


def test_few_are_kept(folder: Path) -> None:
    for number in range(12):
        made(folder, [*BIG, bytes([number])])
    assert len(list(folder.glob("*.pickle"))) == 8


def test_a_lexicon_that_is_read_back_finds_the_same(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "fr"
    shutil.copytree(builtin_lexicons() / "fr", own)
    first = Lexicon.load([own])
    expected = [first.match_text(sentence) for sentence in SENTENCES]
    assert all(expected)
    assert len(list(folder.glob("*.pickle"))) == 2
    again = Lexicon.load([own])
    assert [again.match_text(sentence) for sentence in SENTENCES] == expected
    assert (again.digest, again.issues, again.examples) == (first.digest, first.issues, first.examples)
    assert len(list(folder.glob("*.pickle"))) == 2
    with (own / "billing.toml").open("a") as file:
        file.write("\n# changed\n")
    assert Lexicon.load([own]).digest != first.digest
    assert len(list(folder.glob("*.pickle"))) == 3
