"""One caller key for all tests, so that nothing is written into the settings of whoever runs them."""

from __future__ import annotations

import pytest

from callscan.report.callers import KEY_VARIABLE


@pytest.fixture(autouse=True)
def _caller_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "00112233445566778899aabbccddeeff")
