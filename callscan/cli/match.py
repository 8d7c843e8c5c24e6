"""`callscan match`: the lexicons over any text, since customers write too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callscan.errors import ConfigError, UsageError
from callscan.records import SPEAKERS, Hit, Speaker

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
    for text, who, spoken in _texts(source, role, known_language(language, loaded)):
        hits = loaded.match_text(text, who, spoken)
        if json_:
            print(json.dumps({"text": text, "hits": [as_record(hit) for hit in hits]}, ensure_ascii=False))
            continue
        for hit in hits:
            flags = f"  not counted: {', '.join(hit.flags)}" if hit.flags else ""
            print(f"{hit.issue:24} « {hit.quote} »{flags}")


def _texts(source: str, speaker: Speaker, language: str) -> Iterator[tuple[str, Speaker, str]]:
    path = Path(source)
    if not source.endswith((".jsonl", ".ndjson")):
        yield source, speaker, language
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}", "give a .jsonl file, or the text itself in quotes") from None
    with file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise ConfigError(
                    f"is not UTF-8: {error.reason}",
                    "save the file as UTF-8",
                    where=f"{path}:{number}:{error.start + 1}",
                ) from None
            except json.JSONDecodeError as error:
                raise ConfigError(
                    f"is not JSON: {error.msg}", '{"text": "..."}', where=f"{path}:{number}:{error.colno}"
                ) from None
            if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
                raise ConfigError("a line needs a text", '{"text": "..."}', where=f"{path}:{number}:1")
            yield entry["text"], known_speaker(entry.get("speaker", speaker)), str(entry.get("language", language))
