"""What the work costs is added up and handed over once."""

from threading import Thread

import pytest

from callscan.speech.meter import Meter


def test_what_was_taken_is_not_counted_again() -> None:
    meter = Meter()
    with meter.time("encode"):
        pass
    with pytest.raises(RuntimeError, match="no"), meter.time("align"):
        raise RuntimeError("no")
    meter.count(windows=3, frames=10)
    meter.count(windows=1)
    spent = meter.take()
    assert set(spent.seconds) == {"encode", "align"}
    assert all(seconds > 0 for seconds in spent.seconds.values())
    assert spent.counts == {"windows": 4, "frames": 10}
    again = meter.take()
    assert (again.seconds, again.counts) == ({}, {})


def test_threads_lose_nothing() -> None:
    meter = Meter()

    def work() -> None:
        for _ in range(1000):
            meter.count(windows=1)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.take().counts == {"windows": 4000}
