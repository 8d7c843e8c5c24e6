from __future__ import annotations

from pathlib import Path

import pytest

from callscan.lexicon import Lexicon

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    return Lexicon.load()


ISSUE = """\
id = "{id}"
version = 1
severity = 2
label = {{ fr = "Essai", en = "Trial" }}
patterns = [
{patterns}
]
"""


@pytest.fixture
def write_issue(tmp_path: Path):
    """Writes an issue file with these patterns and returns its path."""

    def write(*patterns: str, name: str = "trial", extra: str = "", folder: str = "fr") -> Path:
        path = tmp_path / folder / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        lines = "\n".join(p if p.startswith("{ pattern") else f'  "{p}",' for p in patterns)
        path.write_text(ISSUE.format(id=name, patterns=lines) + extra, encoding="utf-8")
        return path

    return write
