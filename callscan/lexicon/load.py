"""Lexicon files: TOML in, checked values out; what is wrong is named by file, line and column."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callscan.errors import ConfigError
from callscan.lexicon.alphabet import Language
from callscan.lexicon.pattern import Node, Pattern, PatternError, parse
from callscan.lexicon.program import MAX_WORK, work
from callscan.lexicon.rules import Context, IssueRules, Rule
from callscan.records import Speaker

FLAGS = ("negated", "hypothetical", "resolved", "question")
_SPEAKERS: tuple[Speaker, ...] = ("customer", "agent")
_ISSUE_KEYS = {
    "id", "version", "label", "description", "severity", "speaker", "flags", "patterns", "exceptions", "examples"
}  # fmt: skip
_PATTERN_KEYS = {"pattern", "speaker", "first", "last", "flag"}
_CONTEXT_KEYS = ("before", "after", "inside", "except_before", "except_after", "except_starting")
_ID = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Issue:
    """What is counted, as its lexicon describes it. ``label`` is by language (``fr``, ``en``); ``severity`` is 1 (mild)
    to 5 (grave); ``speaker`` is who says it, None for anyone."""

    id: str
    label: Mapping[str, str]
    description: str
    severity: int
    speaker: Speaker | None
    version: int
    language: str = "fr"


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence that an issue must, or must not, match, and where it is written."""

    issue: str
    text: str
    matches: bool
    where: str
    speaker: Speaker


@dataclass(slots=True)
class Sources:
    """Everything one language's files hold."""

    issues: list[Issue] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    issue_rules: dict[str, IssueRules] = field(default_factory=dict)
    contexts: list[Context] = field(default_factory=list)
    announcements: list[Pattern] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    classes: dict[str, Node] = field(default_factory=dict)
    texts: list[tuple[str, bytes]] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of the files' names and bytes, whatever folder they lie in."""
        sha = hashlib.sha256()
        for name, text in sorted(self.texts):
            sha.update(name.encode() + b"\0" + hashlib.sha256(text).digest())
        return sha.hexdigest()


class _File:
    """One TOML file and the places of its strings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.bytes = path.read_bytes()
            self.text = self.bytes.decode("utf-8")
            self.data: dict[str, Any] = tomllib.loads(self.text)
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror}", "check the path and its rights", where=str(path)
            ) from None
        except UnicodeDecodeError as error:
            line = self.bytes.count(b"\n", 0, error.start) + 1
            raise ConfigError("is not UTF-8 text", "save the file as UTF-8", where=f"{path}:{line}:1") from None
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            at = f"{place[1]}:{place[2]}" if place else f"{self.text.count(chr(10)) + 1}:1"
            message = str(error).split(" (at ")[0]
            raise ConfigError(
                f"is not valid TOML: {message}",
                'patterns are strings between double quotes, with a comma after each: "c\'est cassé",',
                where=f"{path}:{at}",
            ) from None
        self._used: dict[str, int] = {}
        self._examples = max(0, self.text.find("[examples]"))

    def error(self, message: str, hint: str, key: str = "", column: int = 0) -> ConfigError:
        """An error at the first place of ``key`` (a key, table or quoted string), ``column`` characters into it."""
        return ConfigError(message, hint, where=self.where(key, column))

    def where(self, key: str, column: int = 0, *, again: bool = False) -> str:
        at = self.text.find(key, self._used.get(key, 0)) if key else 0
        if again and at >= 0:
            self._used[key] = at + 1
        at = max(at, 0) + column
        line = self.text.count("\n", 0, at) + 1
        return f"{self.path}:{line}:{at - (self.text.rfind(chr(10), 0, at) + 1) + 1}"

    def where_example(self, text: str) -> str:
        """The place of an example, each of several equal ones in turn."""
        for quote in ('"', "'"):
            key = quote + text + quote
            at = self.text.find(key, self._used.get(key, self._examples))
            if at >= 0:
                self._used[key] = at
                return self.where(key, 1)
        return self.where("[examples]")

    def where_string(self, text: str, column: int = 0, *, again: bool = False) -> str:
        """The place of a string's content in the file."""
        for quote in ('"', "'"):
            if quote + text + quote in self.text:
                return self.where(quote + text + quote, 1 + column, again=again)
        return self.where("")


def read_language(folder_files: Iterable[Path], language: Language) -> Sources:
    """Read and check all files of one language; raises :class:`ConfigError` for the first thing that is wrong."""
    sources = Sources()
    files = [_File(path) for path in folder_files]
    for file in files:
        sources.texts.append((file.path.name, file.bytes))
    for file in files:
        _read_classes(file, sources, language)
    for file in files:
        if "id" in file.data or "patterns" in file.data:
            _read_issue(file, sources, language)
        elif not {"classes", "context", "announcements"} & set(file.data):
            raise file.error("holds no issue", 'an issue file starts with id = "..."')
        _read_context(file, sources, language)
    return sources


def _strings(file: _File, table: Mapping[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise file.error(f"{key} must be a list of strings", f'{key} = ["...", "..."]', key)
    return value


def _parse(file: _File, text: str, sources: Sources, language: Language) -> Pattern:
    try:
        return parse(text, sources.classes, language.dropped)
    except PatternError as error:
        raise ConfigError(error.message, error.hint, where=file.where_string(text, error.column)) from None


def _read_classes(file: _File, sources: Sources, language: Language) -> None:
    for name, text in file.data.get("classes", {}).items():
        if not re.fullmatch(r"[a-z_]+", name):
            raise file.error(f"'{name}' cannot name a class", "class names are a-z and _", name)
        if name in sources.classes:
            raise file.error(f"class <{name}> is defined twice", "rename one of them", name)
        if not isinstance(text, str):
            raise file.error(f"class <{name}> must be one string", f'{name} = "one | another"', name)
        sources.classes[name] = _parse(file, text, sources, language).node


def _read_context(file: _File, sources: Sources, language: Language) -> None:
    for flag, table in file.data.get("context", {}).items():
        if flag not in FLAGS:
            raise file.error(f"unknown flag '{flag}'", "flags are " + ", ".join(FLAGS), f"context.{flag}")
        unknown = sorted(set(table) - set(_CONTEXT_KEYS))
        if unknown:
            raise file.error(f"unknown key '{unknown[0]}'", "known: " + ", ".join(_CONTEXT_KEYS), unknown[0])
        parts = {
            key: tuple(_parse(file, text, sources, language) for text in _strings(file, table, key))
            for key in _CONTEXT_KEYS
        }
        sources.contexts.append(Context(flag, **parts))
    announcements = file.data.get("announcements", {})
    for text in _strings(file, announcements, "patterns"):
        sources.announcements.append(_parse(file, text, sources, language))


def _read_issue(file: _File, sources: Sources, language: Language) -> None:
    data = file.data
    unknown = sorted(set(data) - _ISSUE_KEYS)
    if unknown:
        raise file.error(f"unknown key '{unknown[0]}'", "known: " + ", ".join(sorted(_ISSUE_KEYS)), unknown[0])
    for key in ("id", "version", "label", "severity", "patterns"):
        if key not in data:
            raise file.error(
                f"'{key}' is missing", f"an issue needs id, version, label, severity, patterns; add {key} = ..."
            )
    name = data["id"]
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise file.error(f"'{name}' cannot be an id", "ids are a-z, 0-9 and _, and start with a letter", "id")
    if name in sources.seen:
        raise file.error(
            f"duplicate id '{name}'", f"it is also in {sources.seen[name]}; rename or merge one of them", f'"{name}"'
        )
    sources.seen[name] = str(file.path)
    speaker = data.get("speaker", "")
    if speaker and speaker not in _SPEAKERS:
        raise file.error(f"unknown speaker '{speaker}'", "customer or agent; leave it out for anyone", "speaker")
    severity, version = data["severity"], data["version"]
    if not isinstance(severity, int) or not 1 <= severity <= 5:
        raise file.error("severity must be 1 to 5", "1 is mild, 5 is grave", "severity")
    if not isinstance(version, int) or version < 1:
        raise file.error("version must be a whole number from 1", "raise it when what counts changes", "version")
    flags = _strings(file, data, "flags") if "flags" in data else ["negated", "hypothetical", "question"]
    for flag in flags:
        if flag not in FLAGS:
            raise file.error(f"unknown flag '{flag}'", "flags are " + ", ".join(FLAGS), f'"{flag}"')
    label = data["label"]
    if not isinstance(label, dict) or "fr" not in label or "en" not in label:
        raise file.error("label needs fr and en", 'label = { fr = "...", en = "..." }', "label")
    issue = Issue(
        name, dict(label), str(data.get("description", "")), severity, speaker or None, version, language.code
    )
    sources.issues.append(issue)
    lexicon = f"{language.code}/{name}@{version}"
    texts: set[str] = set()
    if not isinstance(data["patterns"], list) or not data["patterns"]:
        raise file.error("patterns must be a list with at least one pattern", 'patterns = ["..."]', "patterns")
    for entry in data["patterns"]:
        rule = _read_rule(file, entry, issue, lexicon, sources, language)
        if rule.pattern.text in texts:
            raise ConfigError(
                "this pattern is written twice", "remove one of them", where=_second(file, rule.pattern.text)
            )
        texts.add(rule.pattern.text)
        sources.rules.append(rule)
    exceptions = tuple(_parse(file, text, sources, language) for text in _strings(file, data, "exceptions"))
    sources.issue_rules[name] = IssueRules(exceptions, frozenset(flags))
    examples = data.get("examples", {})
    for key in ("match", "no_match"):
        for text in _strings(file, examples, key):
            sources.examples.append(
                Example(name, text, key == "match", file.where_example(text), speaker or "customer")
            )


def _second(file: _File, text: str) -> str:
    file.where_string(text, again=True)
    return file.where_string(text)


def _read_rule(file: _File, entry: Any, issue: Issue, lexicon: str, sources: Sources, language: Language) -> Rule:
    options: Mapping[str, Any] = {"pattern": entry} if isinstance(entry, str) else entry
    if not isinstance(options, dict) or not isinstance(options.get("pattern"), str):
        raise file.error("a pattern is a string or a table", '"..." or { pattern = "...", first = 30 }', "patterns")
    unknown = sorted(set(options) - _PATTERN_KEYS)
    text = options["pattern"]
    if unknown:
        raise ConfigError(
            f"unknown option '{unknown[0]}' of a pattern",
            "known: " + ", ".join(sorted(_PATTERN_KEYS)),
            where=file.where_string(text),
        )
    for key in ("first", "last"):
        value = options.get(key)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value <= 0):
            raise ConfigError(
                f"{key} must be above 0", "seconds, or a share of the call below 1", where=file.where_string(text)
            )
    pattern = _parse(file, text, sources, language)
    if work(pattern.node) > MAX_WORK:
        raise ConfigError(
            "this pattern can be tried in too many ways",
            "split it in two, or shorten its gaps",
            where=file.where_string(text),
        )
    flag = options.get("flag", "")
    if flag and flag not in FLAGS:
        raise ConfigError(f"unknown flag '{flag}'", "flags are " + ", ".join(FLAGS), where=file.where_string(str(flag)))
    speaker = options.get("speaker", issue.speaker)
    return Rule(issue.id, lexicon, speaker, pattern, options.get("first"), options.get("last"), flag)


def files_of(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """The lexicon files of some folders and files, by language: a file's language is its folder's name."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise ConfigError("there is no such lexicon", "give a .toml file or a folder of them", where=str(path))
        files = sorted(path.rglob("*.toml")) if path.is_dir() else [path]
        if not files:
            raise ConfigError("holds no lexicon", "a folder of .toml files, as keywords/fr is", where=str(path))
        for file in files:
            found.setdefault("en" if file.parent.name == "en" else "fr", []).append(file)
    return found
