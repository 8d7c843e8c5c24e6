"""`callscan match`: the lexicons over any text, since customers write too."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callscan.errors import CallscanError, ConfigError, UsageError
from callscan.records import SPEAKERS, Hit, Segment, Speaker, Transcript

if TYPE_CHECKING:
    from callscan.lexicon import Lexicon


def known_speaker(name: str) -> Speaker:
    """A speaker's role by its name; raises UsageError."""
    if name not in SPEAKERS:
        raise UsageError(f"unknown speaker '{name}'", "one of " + ", ".join(SPEAKERS))
    return name


def known_language(name: str, lexicon: Lexicon) -> str:
    """A language that a lexicon has issues in; raises UsageError."""
    if name.lower().partition("-")[0] not in lexicon.languages:
        raise UsageError(f"no lexicon for the language '{name}'", "one of " + ", ".join(lexicon.languages))
    return name


def as_record(hit: Hit) -> dict[str, Any]:
    """A hit in a text as JSON writes it: times mean nothing here and are left out."""
    return {
        "issue": hit.issue,
        "quote": hit.quote,
        "pattern": hit.pattern,
        "lexicon": hit.lexicon,
        "speaker": hit.speaker,
        "speaker_known": hit.speaker_known,
        "flags": list(hit.flags),
        "counted": hit.counted,
    }


def match(
    source: Annotated[str, typer.Argument(help="A text in quotes, or a .jsonl file with a text on every line.")],
    speaker: Annotated[str, typer.Option(help="Who says or writes it: customer, agent or unknown.")] = "customer",
    language: Annotated[str, typer.Option("--language", help="Language of the text: fr or en.")] = "fr",
    lexicon: Annotated[
        list[Path] | None, typer.Option("--lexicon", "-l", help="A lexicon file or folder; built-in if left out.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout, one object a line.")] = False,
) -> None:
    """Find the issues in a text, or in each line of a JSONL file.

    Customers write too: chat, e-mail, reviews. Texts have no times.
    """
    from callscan.lexicon import Lexicon

    role = known_speaker(speaker)
    loaded = Lexicon.load(lexicon or ())
    known_language(language, loaded)
    if not source.endswith((".jsonl", ".ndjson")):
        _print(source, loaded.match_text(source, role, language), as_json=json_)
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}", "give a .jsonl file, or the text itself in quotes") from None
    with file:
        lines = _Lines(source, file, loaded, role, language)
        for text, hits in lines.matched():
            _print(text, hits, as_json=json_)
    if lines.failed:
        raise ConfigError(f"{lines.failed} of {lines.count} lines could not be read", "mend those above", where=source)


def _print(text: str, hits: Sequence[Hit], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"text": text, "hits": [as_record(hit) for hit in hits]}, ensure_ascii=False))
        return
    for hit in hits:
        flags = f"  not counted: {', '.join(hit.flags)}" if hit.flags else ""
        print(f"{hit.issue:24} « {hit.quote} »{flags}")


class _Lines:
    """The lines of a JSONL file: those that cannot be read are told and counted, and the others go on."""

    def __init__(self, name: str, lines: Iterable[bytes], lexicon: Lexicon, speaker: Speaker, language: str) -> None:
        self._name, self._lines, self._lexicon = name, lines, lexicon
        self._speaker, self._language = speaker, language
        self.count = self.failed = 0

    def matched(self) -> Iterator[tuple[str, Sequence[Hit]]]:
        """Every text and what is found in it, in order; many are matched together."""
        given, texts = tee(self._read())
        yield from zip((one.segments[0].text for one in texts), self._lexicon.match_many(given), strict=True)

    def _read(self) -> Iterator[Transcript]:
        for number, line in enumerate(self._lines, 1):
            if not line.strip():
                continue
            self.count += 1
            try:
                yield self._text(line)
            except CallscanError as error:
                self.failed += 1
                print(f"callscan: {self._name}:{number}:{error}\n  hint: {error.hint}", file=sys.stderr)

    def _text(self, line: bytes) -> Transcript:
        """The text of a line; raises ConfigError or UsageError, which begins with the column."""
        try:
            entry = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ConfigError(f"{error.start + 1}: is not UTF-8: {error.reason}", "save the file as UTF-8") from None
        except json.JSONDecodeError as error:
            raise ConfigError(f"{error.colno}: is not JSON: {error.msg}", '{"text": "..."}') from None
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            raise ConfigError("1: a line needs a text", '{"text": "..."}')
        try:
            speaker = known_speaker(entry.get("speaker", self._speaker))
            language = known_language(str(entry.get("language", self._language)), self._lexicon)
        except UsageError as error:
            raise UsageError(f"1: {error}", error.hint) from None
        return Transcript(language, 1.0, (Segment(0.0, 1.0, entry["text"], 0, speaker),))
