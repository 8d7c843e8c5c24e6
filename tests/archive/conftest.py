from __future__ import annotations

from pathlib import Path

import pytest

from callscan.archive import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(str(tmp_path / "archive"))
