"""A versioned set of issues, ready to be found in transcripts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from callscan.errors import ConfigError
from callscan.lexicon.alphabet import Language
from callscan.lexicon.announcements import Announcements, opened
from callscan.lexicon.cache import kept
from callscan.lexicon.columns import ColumnStream, Spoken, stretches
from callscan.lexicon.load import Example, Issue, Sources, files_of, read_language
from callscan.lexicon.matcher import Matcher
from callscan.records import Hit, Segment, Speaker, Transcript

DEFAULT_LANGUAGE = "fr"
BATCH = 30_000
"""Segments that :meth:`Lexicon.match_many` takes together: about 3 MB of text."""


def builtin_lexicons() -> Path:
    """The folder of the lexicons that come with callscan: in a checkout, or inside the installed package."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_keywords", package.parent / "keywords"):
        if folder.is_dir():
            return folder
    raise ConfigError("the built-in lexicons are missing", "reinstall callscan", where=str(package / "_keywords"))


def _language(code: str) -> Language:
    if code == "en":
        from callscan.lexicon.english import English

        return English()
    from callscan.lexicon.french import French

    return French()


def _read(files: Sequence[Path], code: str) -> Sources:
    """What the files of a language hold. Which files they are counts, too: examples tell where they stand."""
    try:
        given = [part for file in files for part in (os.fsencode(file), file.read_bytes())]
    except OSError:
        given = []  # reading says what is wrong
    return kept(f"lexicons-{code}", given, lambda: read_language(files, _language(code)))


class Lexicon:
    """The issues of one or more languages; a transcript is matched with its language's, French where it has none."""

    def __init__(self, sources: Mapping[str, Sources]) -> None:
        self._sources = dict(sources)
        self._matchers: dict[str, Matcher] = {}
        self._announcements: dict[str, Announcements] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to make its own matchers."""
        return {"_sources": self._sources, "_matchers": {}, "_announcements": {}}

    @classmethod
    def load(cls, paths: Sequence[Path] = ()) -> Lexicon:
        """Read lexicon files and folders; ``()`` means the built-in lexicons.

        Own files bring issues only: classes and contexts come from the built-in lexicons unless they
        define the same. Raises :class:`callscan.errors.ConfigError`, which names file, line and column.
        """
        builtin = files_of([builtin_lexicons()])
        found = files_of(paths) if paths else builtin
        sources = {}
        for code, files in sorted(found.items()):
            shared = [] if any(f.name.startswith("_") for f in files) else _shared(builtin.get(code, []))
            sources[code] = _read([*shared, *files], code)
        return cls(sources)

    @property
    def issues(self) -> tuple[Issue, ...]:
        """All issues, by id; one that is in several languages is listed once, as in the first."""
        found: dict[str, Issue] = {}
        for code in sorted(self._sources, key=lambda c: (c != DEFAULT_LANGUAGE, c)):
            for issue in self._sources[code].issues:
                found.setdefault(issue.id, issue)
        return tuple(found[name] for name in sorted(found))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the lexicons' files: what counted, whatever folder it lay in."""
        parts = (f"{code}:{sources.digest}" for code, sources in sorted(self._sources.items()))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have lexicons."""
        return tuple(sorted(self._sources))

    @property
    def examples(self) -> tuple[tuple[str, Example], ...]:
        """(language, example) of every issue."""
        return tuple((code, example) for code, s in sorted(self._sources.items()) for example in s.examples)

    def sources(self, language: str = DEFAULT_LANGUAGE) -> Sources:
        """What the files of one language hold."""
        return self._sources[self._code(language)]

    def language(self, language: str = DEFAULT_LANGUAGE) -> Language:
        """What the matcher knows of a language."""
        return _language(self._code(language))

    def matcher(self, language: str = DEFAULT_LANGUAGE) -> Matcher:
        """The matcher of a language, made on first use."""
        code = self._code(language)
        found = self._matchers.get(code)
        if found is None:
            sources = self._sources[code]
            found = self._matchers[code] = kept(
                f"matcher-{code}",
                (text for _, text in sources.texts),
                lambda: Matcher(_language(code), sources.rules, sources.issue_rules, sources.contexts),
            )
        return found

    def prepare(self) -> None:
        """Make the matchers of all languages, which is done on first use otherwise."""
        for code in self.languages:
            self.matcher(code)

    def _code(self, language: str) -> str:
        code = language.lower().partition("-")[0]
        if code in self._sources:
            return code
        return DEFAULT_LANGUAGE if DEFAULT_LANGUAGE in self._sources else next(iter(self._sources))

    def announcements(self, language: str = DEFAULT_LANGUAGE) -> Announcements:
        """What is known of a language's announcements, made on first use."""
        code = self._code(language)
        if code not in self._announcements:
            self._announcements[code] = Announcements(self._sources[code].announcements, _language(code))
        return self._announcements[code]

    def match(self, transcript: Transcript) -> tuple[Hit, ...]:
        """All hits of one call, by start time; flagged ones included, and none in what a machine says."""
        return self._matched([transcript])[0]

    def _matched(self, transcripts: Sequence[Transcript]) -> list[tuple[Hit, ...]]:
        """The hits of transcripts of one language. Who is a machine is asked only where something was found."""
        found = self.matcher(transcripts[0].language).match(transcripts)
        known = self.announcements(transcripts[0].language)
        kept: list[tuple[Hit, ...]] = [()] * len(transcripts)
        for call, hits in found.items():
            segments = transcripts[call].segments
            by_agent = ((index, segment.text) for index, segment in enumerate(segments) if segment.speaker == "agent")
            since = opened(known, by_agent)
            early = {hit.segment for hit in hits if hit.segment < since}
            machine = {index for index in early if known.is_announcement(segments[index].text)}
            kept[call] = tuple([hit for hit in hits if hit.segment not in machine]) if machine else hits
        return kept

    def match_spoken(
        self, spoken: Spoken, languages: Sequence[str], wanted: Sequence[bool]
    ) -> Iterator[tuple[int, Hit, str]]:
        """The hits of calls by number: call, hit, and the text of its segment. By call, as :meth:`match` has them.

        ``languages`` and ``wanted`` are of every call: which language it is in, and whether it is matched at all.
        """
        code_of = {language: self._code(language) for language in set(languages)}
        codes = [code_of[language] if asked else None for language, asked in zip(languages, wanted, strict=True)]
        for code, first, last in stretches(spoken, codes):
            matcher, known = self.matcher(code), self.announcements(code)
            stream = ColumnStream(matcher.vocabulary, spoken, first, last)
            for call, hits in sorted(matcher.match_stream(stream).items()):
                texts = {hit.segment: stream.text_of(call, hit.segment) for hit in hits}
                machine = {index for index, text in texts.items() if known.is_announcement(text)}
                # What the agent said is put together only where a machine may have spoken.
                if machine:
                    since = opened(known, stream.said_by_agent(call))
                    machine = {index for index in machine if index < since}
                yield from ((call, hit, texts[hit.segment]) for hit in hits if hit.segment not in machine)

    def match_many(self, transcripts: Iterable[Transcript]) -> Iterator[tuple[Hit, ...]]:
        """The hits of each call, in order: the same as :meth:`match`, a few times faster for short calls."""
        batch: list[Transcript] = []
        size = 0
        for transcript in transcripts:
            if batch and (size > BATCH or self._code(transcript.language) != self._code(batch[0].language)):
                yield from self._matched(batch)
                batch, size = [], 0
            batch.append(transcript)
            size += len(transcript.segments)
        if batch:
            yield from self._matched(batch)

    def match_text(self, text: str, speaker: Speaker = "unknown", language: str = DEFAULT_LANGUAGE) -> tuple[Hit, ...]:
        """All hits in a text of no recording; times are positions in it, 0 to 1."""
        segment = Segment(0.0, 1.0, text, 0, speaker)
        return self.match(Transcript(language, 1.0, (segment,)))


def _shared(files: Sequence[Path]) -> list[Path]:
    return [file for file in files if file.name.startswith("_")]
