"""Settings: a TOML file becomes frozen, validated options; an unknown key is an error that names its line.

Read on the driver alone; workers get the values.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from callscan.errors import ConfigError
from callscan.records import Speaker

_T = TypeVar("_T")

Device = Literal["auto", "cpu", "cuda"]

_CODES = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si "
    "sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh yue"
)
LANGUAGES = tuple(_CODES.split())
"""The codes of the languages that Whisper knows."""


@dataclass(frozen=True, slots=True)
class Speech:
    """The recogniser."""

    model: str = "auto"
    """A name as in faster-whisper, a directory, or ``auto``: large-v3-turbo on CUDA, small on a CPU."""
    device: Device = "auto"
    language: str = "fr"
    """ISO 639-1 code of what is spoken, or ``auto`` to detect it for each call."""
    beam_size: int = 5
    """Texts that the decoder pursues at once, as in faster-whisper; 1 takes the likeliest token each time."""
    threads: int = 0
    """CPU threads of the model in one worker, 0 for as many as the worker has cores."""

    def __post_init__(self) -> None:
        _check(bool(self.model), "model", "must not be empty")
        if self.language != "auto" and self.language not in LANGUAGES:
            message = f"must be a language code such as 'fr', or 'auto', not {self.language!r}"
            raise _InvalidError("language", message, _near(self.language))
        _check(self.beam_size >= 1, "beam_size", "must be at least 1")
        _check(self.threads >= 0, "threads", "must not be negative")


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who speaks on mono recordings."""

    pipeline: str = "auto"
    """``community-1`` of pyannote.audio, a pipeline directory, ``demo``, ``off``, or ``auto``: community-1 where the
    extra ``pyannote`` is installed and its weights are on this machine."""
    speakers: str = "2"
    """How many voices to find: a number, a range such as ``2-4``, or ``auto``."""

    def __post_init__(self) -> None:
        _check(bool(self.pipeline), "pipeline", "must not be empty")
        _check(
            self.speakers == "auto" or self.bounds is not None,
            "speakers",
            f"must be a number, a range such as 2-4, or auto, not {self.speakers!r}",
        )

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The least and the most voices, None for ``auto``."""
        found = re.fullmatch(r"([1-9]\d?)(?:-([1-9]\d?))?", self.speakers)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        return (low, high) if low <= high else None


@dataclass(frozen=True, slots=True)
class Calls:
    """What a recording of this house is."""

    channels: tuple[Speaker, ...] = ("agent", "customer")
    """Who speaks on channel 0, 1 and so on of a recording with several channels."""
    min_coverage: float = 0.6
    """A call is ``degraded`` when words cover less than this share of its speech seconds."""
    settle: float = 2.0
    """Seconds that a file's size must have stood still, a day at most; one that still grows is ``deferred``."""

    def __post_init__(self) -> None:
        _check(bool(self.channels), "channels", "must name at least one speaker")
        _check(0 <= self.min_coverage <= 1, "min_coverage", "must lie between 0 and 1")
        _check(0 <= self.settle <= 86_400, "settle", "must lie between 0 and 86400 (a day)")


@dataclass(frozen=True, slots=True)
class Shards:
    """How much work is done, and lost when a run is killed, at once."""

    seconds: float = 3600.0
    """Audio seconds of one shard, as estimated from the size of its files."""
    calls: int = 64
    """Calls of one shard at most."""

    def __post_init__(self) -> None:
        _check(self.seconds > 0, "seconds", "must be positive")
        _check(1 <= self.calls <= 4096, "calls", "must lie between 1 and 4096")


@dataclass(frozen=True, slots=True)
class Ray:
    """The cluster. Without an address, and with one worker, no Ray is started at all."""

    address: str = ""
    """``auto`` for the cluster this machine belongs to, or its address. Empty for this machine alone; ``local``
    likewise, but with even a single worker in a process of its own: a call that kills it takes nothing else along."""
    workers: int = 1
    gpus_per_worker: float = 0.0
    """GPUs of one worker; a fraction lets several share one."""
    cpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        _check(self.workers >= 1, "workers", "must be at least 1")
        whole = self.gpus_per_worker <= 1 or self.gpus_per_worker == int(self.gpus_per_worker)
        _check(self.gpus_per_worker >= 0 and whole, "gpus_per_worker", "must be a fraction of one, or a whole number")
        _check(self.cpus_per_worker > 0, "cpus_per_worker", "must be positive")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a scan can be told, section by section as in the TOML file."""

    speech: Speech = field(default_factory=Speech)
    diarization: Diarization = field(default_factory=Diarization)
    calls: Calls = field(default_factory=Calls)
    shards: Shards = field(default_factory=Shards)
    ray: Ray = field(default_factory=Ray)
    keywords: str = ""
    """Folder of lexicons; empty for those that come with callscan."""
    metadata: str = ""
    """CSV or Parquet table with a row for each call; empty for none."""
    max_failures: int = 0
    """Quarantined calls that are still a success of the run."""

    def __post_init__(self) -> None:
        _check(self.max_failures >= 0, "max_failures", "must not be negative")

    def override(self, **values: Any) -> Settings:
        """These settings with others in their place: ``override(speech={"model": "small"}, max_failures=3)``.

        Sections take a mapping; None leaves a value as it is. A value that cannot be is a ConfigError.
        """
        changes: dict[str, Any] = {}
        for name, value in values.items():
            if isinstance(value, dict):
                given = {key: item for key, item in value.items() if item is not None}
                changes[name] = _build(type(getattr(self, name)), given, _Source(), getattr(self, name), name)
            elif value is not None:
                changes[name] = value
        return _build(Settings, changes, _Source(), self, "")


def load(path: str | Path) -> Settings:
    """The settings in a TOML file. A ConfigError names file, line and column of what is wrong."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{path}:{place[1]}:{place[2]}" if place else str(path)
        raise ConfigError(str(error).partition(" (at")[0], where=where) from None
    return _build(Settings, values, _Source(str(path), text), Settings(), "")


@dataclass(frozen=True, slots=True)
class _Source:
    """The text that values were read from, to find the line of a key again; empty for an option."""

    path: str = ""
    text: str = ""

    def where(self, section: str, key: str) -> str:
        if not self.path:
            return ""
        inside = not section
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
                if not section and header[1] == key:
                    return f"{self.path}:{number}:{header.start(1) + 1}"
                inside = header[1] == section
            elif inside and (found := re.match(rf"\s*[\"']?({re.escape(key)})[\"']?\s*[=.]", line)):
                return f"{self.path}:{number}:{found.start(1) + 1}"
        return self.path


class _InvalidError(ValueError):
    """A field holds what it cannot."""

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.key, self.hint = key, hint


def _check(holds: bool, key: str, message: str) -> None:
    if not holds:
        raise _InvalidError(key, message)


def _near(language: str) -> str:
    """The codes that may be meant: those with the same first letter, all where there are none."""
    near = [code for code in LANGUAGES if code[0] == language[:1].lower()]
    return f"one of: {', '.join(near or LANGUAGES)}"


def _build(kind: type[_T], values: dict[str, Any], source: _Source, base: _T, section: str) -> _T:
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            name = f"[{section}] {key}" if section else key
            hint = f"known here: {', '.join(known)}"
            raise ConfigError(f"unknown setting {name}", hint, where=source.where(section, key))
        try:
            if hasattr(hints[key], "__dataclass_fields__") and isinstance(value, dict):
                changes[key] = _build(hints[key], value, source, getattr(base, key), key)
            else:
                changes[key] = _converted(hints[key], value, key)
        except _InvalidError as error:
            raise ConfigError(f"{key} {error}", error.hint, where=source.where(section, error.key)) from None
    try:
        return replace(base, **changes)  # type: ignore[type-var]
    except _InvalidError as error:
        raise ConfigError(f"{error.key} {error}", error.hint, where=source.where(section, error.key)) from None


def _converted(hint: Any, value: Any, key: str) -> Any:
    """A value as the type its field has; what TOML writes as an array becomes a tuple, an integer may be a float."""
    if get_origin(hint) is tuple:
        _check(isinstance(value, (list, tuple)), key, "must be a list")
        return tuple(_converted(get_args(hint)[0], item, key) for item in value)
    if get_origin(hint) is Literal:
        options = get_args(hint)
        _check(value in options, key, f"must be one of {', '.join(options)}, not {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    _check(not isinstance(value, float) or math.isfinite(value), key, f"must be a finite number, not {value!r}")
    right = isinstance(value, hint) and not (hint is not bool and isinstance(value, bool))
    _check(right, key, f"must be {_NAMES.get(hint, 'a section')}, not {value!r}")
    return value


_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
