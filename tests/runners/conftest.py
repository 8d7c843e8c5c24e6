from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from callscan.config import Settings

SCRIPTS = Path(__file__).parents[2] / "scripts"
if str(SCRIPTS) not in sys.path:  # for the tests' own "from crash_test import results", too
    sys.path.insert(0, str(SCRIPTS))


@pytest.fixture(scope="session")
def crash_test() -> ModuleType:
    """scripts/crash_test.py, importable by the processes that it starts."""
    return importlib.import_module("crash_test")


@pytest.fixture(scope="session")
def recordings(crash_test: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six calls, a twin of the first, and a file that is no audio."""
    folder = tmp_path_factory.mktemp("calls") / "recordings"
    crash_test.make_recordings(folder, calls=6, seconds=1.5)
    return folder


@pytest.fixture(scope="session")
def keywords(crash_test: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keywords") / "fr"
    crash_test.make_lexicon(folder)
    return folder.parent


@pytest.fixture
def settings(keywords: Path) -> Settings:
    return Settings().override(shards={"calls": 3}, calls={"settle": 0.0}, keywords=str(keywords))
