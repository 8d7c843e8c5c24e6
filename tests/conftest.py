"""Settings of all tests: no test depends on how fast the machine is, or finds what another program kept."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("callscan", deadline=None)
settings.load_profile("callscan")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
