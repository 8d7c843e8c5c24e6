from __future__ import annotations

from pathlib import Path

import pytest

from callscan.config import LANGUAGES, Settings, load
from callscan.errors import ConfigError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Settings()


def test_values_are_read_and_converted(tmp_path: Path) -> None:
    settings = load(
        written(
            tmp_path,
            'max_failures = 3\n[calls]\nchannels = ["customer", "agent"]\nsettle = 1\n[ray]\ngpus_per_worker = 0.5\n',
        )
    )
    assert settings.max_failures == 3
    assert settings.calls.channels == ("customer", "agent")
    assert settings.calls.settle == 1.0
    assert settings.ray.gpus_per_worker == 0.5


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("max_failure = 3", ":1:1", "unknown setting max_failure"),
        ("[speech]\nmodel = 'x'\n  modle = 'y'", ":3:3", "unknown setting [speech] modle"),
        ("[speach]\nmodel = 'x'", ":1:2", "unknown setting speach"),
        ("[ray]\nworkers = 'two'", ":2:1", "workers must be a whole number, not 'two'"),
        ("[ray]\nworkers = true", ":2:1", "workers must be a whole number"),
        ("[ray]\nworkers = 0", ":2:1", "workers must be at least 1"),
        ("[ray]\ngpus_per_worker = 1.5", ":2:1", "gpus_per_worker must be a fraction"),
        ("[calls]\nchannels = ['agent', 'client']", ":2:1", "channels must be one of customer, agent"),
        ("[calls]\nsettle = inf", ":2:1", "settle must be a finite number, not inf"),
        ("[calls]\nsettle = nan", ":2:1", "settle must be a finite number, not nan"),
        ("[calls]\nsettle = 86401", ":2:1", "settle must lie between 0 and 86400"),
        ("[ray]\ngpus_per_worker = inf", ":2:1", "gpus_per_worker must be a finite number, not inf"),
        ("[calls]\nmin_coverage = 2", ":2:1", "min_coverage must lie between"),
        ("[speech]\nlanguage = 'French'", ":2:1", "language must be a language code"),
        ("[speech]\nlanguage = 'fra'", ":2:1", "language must be a language code such as 'fr', or 'auto', not 'fra'"),
        ("[speech]\ndevice = 'gpu'", ":2:1", "device must be one of auto, cpu, cuda"),
        ("speech = 3", ":1:1", "speech must be a section"),
        ("[speech\n", ":1:", "Expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, where: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}{where}")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("language", "near"), [("fra", "fr"), ("jv", "jw"), ("EN", "en"), ("zzz", "zh"), ("2", "af, am, ar")]
)
def test_a_language_that_whisper_does_not_know_is_answered_with_codes_that_it_does(language: str, near: str) -> None:
    with pytest.raises(ConfigError, match="language code") as caught:
        Settings().override(speech={"language": language})
    assert near in caught.value.hint


def test_the_languages_are_those_of_the_recogniser() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    assert LANGUAGES == _LANGUAGE_CODES
    assert Settings().override(speech={"language": "auto"}).speech.language == "auto"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml")


def test_options_go_before_the_file(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "max_failures = 3\n[speech]\nmodel = 'small'\nlanguage = 'fr'"))
    changed = settings.override(speech={"model": "medium", "language": None}, max_failures=None, keywords="k")
    assert (changed.speech.model, changed.speech.language, changed.max_failures, changed.keywords) == (
        "medium",
        "fr",
        3,
        "k",
    )
    with pytest.raises(ConfigError, match="device must be one of"):
        settings.override(speech={"device": "tpu"})
