"""The pattern language: what each part means, and what is said of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from callscan.errors import ConfigError
from callscan.lexicon import Lexicon
from callscan.lexicon.check import explained, wrong_examples
from callscan.records import Segment, Transcript, Word


@pytest.mark.parametrize(
    ("pattern", "said", "found"),
    [
        ("facture", "ma facture", True),
        ("facture", "mes factures", True),
        ("rappelé", "vous rappelez rappeler rappelait", True),
        ("rappelé", "il rappelle", False),
        ("{rappeler}", "ils me rappelleront", True),
        ("{mécontent}", "elles sont mécontentes", True),
        ("=sept fois", "cette fois", False),
        ("=sept fois", "sept fois", True),
        ("très? bien", "bien", None),
        ("tout? bien", "tout bien", True),
        ("(chat | chien) noir", "le chien noir", True),
        ("chat ..2 noir", "le chat gros et noir", True),
        ("chat ..2 noir", "le chat gros et très laid noir", False),
        ("chat NEAR/2 noir", "noir est le chat", True),
        ("chat BEFORE/2 noir", "noir est le chat", False),
        ("chat NOT/3 noir", "le chat noir", False),
        ("chat NOT/3 noir", "le chat blanc", True),
        ("<number> chats", "vingt-cinq chats", True),
        ("<number> chats", "25 chats", True),
        ("<ordinal> chat", "le 3ème chat", True),
        ("<ordinal> chat", "le troisième chat", True),
        ("<duration>", "depuis trois quarts d'heure", True),
        ("<day>", "avant-hier", True),
        ("m'a mordu", "le chat ma mordu", True),
        ("je ne mange pas", "je mange pas", True),
        ("j'ai mangé", "jai manger", True),
        ("l'été", "leté", True),
    ],
)
def test_what_a_pattern_finds(write_issue, pattern: str, said: str, found: bool | None) -> None:
    path = write_issue(pattern)
    if found is None:
        with pytest.raises(ConfigError, match="never listened for"):
            Lexicon.load([path])
        return
    assert bool(Lexicon.load([path]).match_text(said, "customer")) is found


@pytest.mark.parametrize(
    ("pattern", "column", "message"),
    [
        ("un (chat", 4, "never closed"),
        ("un chat)", 8, "closes nothing"),
        ("un {chat", 4, "never closed"),
        ("un <chien>", 4, "unknown class"),
        ("un <numbr>", 4, "unknown class"),
        ("un CHAT", 4, "not an operator"),
        ("un | ", 6, "ends too early"),
        ("? un", 1, "'?' follows nothing"),
        ("chat ..99 noir", 6, "too far"),
        ("..3", 1, "nothing here is ever looked for"),
        ("ne", 1, "nothing here is ever looked for"),
        ("un & deux", 4, "not part of the pattern language"),
    ],
)
def test_a_mistake_is_one_line_with_file_line_column_and_hint(
    write_issue, pattern: str, column: int, message: str
) -> None:
    path: Path = write_issue("un chat", pattern)
    with pytest.raises(ConfigError) as caught:
        Lexicon.load([path])
    assert str(caught.value).startswith(f"{path}:7:{3 + column}: ")
    assert message in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_pattern_that_nothing_anchors_is_refused(write_issue) -> None:
    with pytest.raises(ConfigError, match="nothing here is ever looked for"):
        Lexicon.load([write_issue("chat?")])


def test_a_pattern_that_could_be_tried_without_end_is_refused(write_issue) -> None:
    path = write_issue("un " + "..9 (chat | gros chat) " * 8)
    with pytest.raises(ConfigError, match=r":6:4: .*too many ways"):
        Lexicon.load([path])


def test_duplicate_ids_patterns_and_unknown_keys(write_issue, tmp_path: Path) -> None:
    first = write_issue("un chat", name="trial")
    other = first.with_name("other.toml")
    other.write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r":1:6: duplicate id 'trial'"):
        Lexicon.load([other, first])
    with pytest.raises(ConfigError, match=r":7:4: .*twice"):
        Lexicon.load([write_issue("un chat", "un chat")])
    with pytest.raises(ConfigError, match="unknown key 'colour'"):
        Lexicon.load([write_issue("un chat", extra='colour = "red"\n')])
    with pytest.raises(ConfigError, match=r":9:\d+: is not valid TOML"):
        Lexicon.load([write_issue("un chat", extra="\n= 3\n")])
    with pytest.raises(ConfigError, match="there is no such lexicon"):
        Lexicon.load([tmp_path / "nowhere"])
    (tmp_path / "empty" / "fr").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"empty: holds no lexicon"):
        Lexicon.load([first, tmp_path / "empty"])


def test_a_wrong_example_is_named_with_its_place(write_issue) -> None:
    path = write_issue("un chat", extra='[examples]\nmatch = ["un chien"]\nno_match = ["un chat"]\n')
    missing, extra = wrong_examples(Lexicon.load([path]))
    assert str(missing) == f"{path}:9:11: 'un chien' does not match trial"
    assert str(extra) == f"{path}:10:14: 'un chat' matches trial"
    assert "un chat" in extra.hint


def test_seconds_between_two_words(write_issue) -> None:
    lexicon = Lexicon.load([write_issue("chat BEFORE/2s noir")])

    def said(pause: float) -> Transcript:
        words = (Word("chat", 0.0, 0.5), Word("noir", 0.5 + pause, 1.0 + pause))
        return Transcript("fr", 1.0, (Segment(0.0, 1.0 + pause, "chat noir", 0, "customer", words),))

    assert len(lexicon.match(said(1.5))) == 1
    assert lexicon.match(said(2.5)) == ()


def test_a_window_of_the_call(write_issue) -> None:
    lexicon = Lexicon.load([write_issue('{ pattern = "un chat", first = 10 },')])
    share = Lexicon.load([write_issue('{ pattern = "un chat", last = 0.1 },')])

    def said(at: float) -> Transcript:
        segments = (
            Segment(at, at + 1, "un chat", 0, "customer"),
            Segment(99, 100, "au revoir", 0, "customer"),
        )
        return Transcript("fr", 1.0, segments)

    assert (len(lexicon.match(said(5))), len(lexicon.match(said(50)))) == (1, 0)
    assert (len(share.match(said(95))), len(share.match(said(50)))) == (1, 0)


def test_the_digest_is_of_what_counts(write_issue, tmp_path: Path) -> None:
    path = write_issue("un chat")
    before = Lexicon.load([path]).digest
    assert Lexicon.load([path]).digest == before
    path.write_text(path.read_text(encoding="utf-8").replace("un chat", "un chien"), encoding="utf-8")
    assert Lexicon.load([path]).digest != before


def test_explain_shows_forms_and_sounds(lexicon: Lexicon) -> None:
    told = explained(lexicon, "<count> fois que {rappeler}", "fr")
    assert "<count>" in told
    assert "rappeler, any of" in told
    with pytest.raises(ConfigError, match=r"^pattern:1:4: unknown class <numbr>"):
        explained(lexicon, "un <numbr>", "fr")


def test_as_many_words_as_there_are_symbols(write_issue) -> None:
    def lexicon(words: int) -> Lexicon:
        spelled = ["".join("bcdfghjklm"[int(digit)] + "a" for digit in str(number)) for number in range(words)]
        lists = [" | ".join(f"={word}" for word in spelled[at : at + 500]) for at in range(0, words, 500)]
        return Lexicon.load([write_issue(*(f"({words}) rouge" for words in lists))])

    assert len(lexicon(30_000).match_text("caja rouge. Labababa rouge. Cacacacaca rouge.")) == 3
    with pytest.raises(ConfigError, match="different words"):
        lexicon(33_000).match_text("caja rouge")
