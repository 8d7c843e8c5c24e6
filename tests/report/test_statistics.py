"""Intervals, exact tests, and early warning: against slow arithmetic in whole numbers, and against planted leaks."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callscan.report.stats import benjamini_hochberg, binomial_tail, rate_increase, wilson
from callscan.report.warning import BASELINE, MIN_CALLS, examine, reference, weekday_factors


def exact_tail(successes: int, trials: int, share: Fraction) -> Fraction:
    terms = (comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(max(successes, 0), trials + 1))
    return sum(terms, Fraction(0))


@given(st.integers(0, 60), st.integers(-1, 61), st.integers(0, 20))
def test_binomial_tail(trials: int, successes: int, twentieths: int) -> None:
    exact = exact_tail(successes, trials, Fraction(twentieths, 20))
    assert binomial_tail(successes, trials, twentieths / 20) == pytest.approx(float(exact), abs=1e-12)


def test_small_tails_keep_their_digits() -> None:
    exact = exact_tail(40, 60, Fraction(1, 20))
    assert binomial_tail(40, 60, 0.05) == pytest.approx(float(exact), rel=1e-9)
    assert 0 < binomial_tail(900, 100_000, 0.005) < 1e-50


def test_wilson_published_values() -> None:
    """Newcombe 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I."""
    for successes, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(case: tuple[int, int]) -> None:
    successes, trials = case
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert high > low
    mirrored = wilson(trials - successes, trials)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))


def test_wilson_covers_95_of_100() -> None:
    for share in (0.02, 0.1, 0.5):
        covered = Fraction(0)
        for k in range(201):
            low, high = wilson(k, 200)
            if low <= share <= high:
                covered += comb(200, k) * Fraction(share) ** k * (1 - Fraction(share)) ** (200 - k)
        assert 0.92 < covered < 0.99


def test_wilson_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="trial"):
        wilson(0, 0)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_benjamini_hochberg(p_values: list[float]) -> None:
    q_values = benjamini_hochberg(p_values)
    for limit in (0.01, 0.05, 0.5):
        ordered = sorted(p_values)
        ranks = [rank for rank, p in enumerate(ordered, 1) if p <= limit * rank / len(ordered)]
        accepted = sum(q <= limit * (1 + 1e-12) for q in q_values)
        assert accepted >= (max(ranks) if ranks else 0)
        assert accepted <= sum(p <= (ordered[max(ranks) - 1] if ranks else -1) * (1 + 1e-9) for p in p_values)


def test_rate_increase_is_a_p_value() -> None:
    """Under no change the chance of p ≤ a is at most a: counted exactly over all Poisson pairs that matter."""
    from math import exp, factorial

    def poisson(k: int, mean: float) -> float:
        return mean**k * exp(-mean) / factorial(k)

    for limit in (0.1, 0.01):
        chance = sum(
            poisson(recent, 2.0) * poisson(before, 8.0)
            for recent in range(30)
            for before in range(60)
            if rate_increase(recent, 1.0, before, 4.0) <= limit
        )
        assert chance <= limit


def test_weekday_factors() -> None:
    of = [100] * 56
    calls = [30 if day % 7 == 0 else 10 for day in range(56)]
    factors = weekday_factors(calls, of, 0, 55)
    assert max(factors) == factors[0] > 1.8
    assert all(0.75 < factor < 1 for factor in factors[1:])
    assert weekday_factors([0] * 56, of, 0, 55) == [1.0] * 7


def series(rate: float, days: int, seed: int, rise: float = 1.0, since: int = 10**9) -> tuple[list[int], list[int]]:
    chance = random.Random(seed)
    of = [400 + chance.randrange(200) for _ in range(days)]
    share = [rate * (rise if day >= since else 1.0) for day in range(days)]
    return [sum(chance.random() < share[day] for _ in range(n)) for day, n in enumerate(of)], of


def test_a_leak_is_found_and_described() -> None:
    calls, of = series(0.01, 80, 4, rise=3.0, since=76)
    finding = examine(calls, of, 79)
    assert finding is not None
    assert finding.p_value < 0.001
    assert finding.since in range(73, 78)
    assert finding.calls == sum(calls[finding.since :])
    assert finding.of == sum(of[finding.since :])
    assert finding.baseline_calls == sum(calls[finding.baseline_since : finding.baseline_until + 1])
    assert finding.baseline_of == sum(of[finding.baseline_since : finding.baseline_until + 1])
    assert finding.expected < finding.calls / 1.5
    assert finding.baseline_until < finding.since


def test_a_slow_leak_is_for_the_cusum() -> None:
    calls, of = series(0.012, 90, 11, rise=1.6, since=70)
    finding = examine(calls, of, 89)
    assert finding is not None
    assert finding.statistic == "cusum"
    assert finding.p_value < 0.01
    assert finding.cusum > 3


def test_without_a_leak_alarms_are_rare() -> None:
    """200 series, none with a leak: p ≤ 0.01 for at most a few of them."""
    alarms = 0
    for seed in range(200):
        calls, of = series(0.01, 60, seed)
        finding = examine(calls, of, 59)
        assert finding is not None
        alarms += finding.p_value <= 0.01
    assert alarms <= 4


def test_too_little_says_nothing() -> None:
    calls, of = series(0.01, 60, 1)
    assert examine(calls, of, BASELINE - 1) is None
    assert examine([0] * 60, [0] * 60, 59) is None
    sparse = [100 if day % 5 == 0 else 0 for day in range(61)]
    assert examine([0] * 61, sparse, 60) is None
    few = [0] * 59 + [MIN_CALLS - 1]
    finding = examine(few, [500] * 60, 59)
    assert finding is not None
    assert finding.p_value == 1.0


def test_scatter_beyond_chance_raises_the_bar() -> None:
    calls, of = [4, 0] * 30 + [9], [500] * 61
    steady = [2] * 60 + [9]
    wild, calm = examine(calls, of, 60), examine(steady, of, 60)
    assert wild is not None
    assert calm is not None
    assert wild.dispersion > 1.5 > calm.dispersion
    assert wild.p_value > calm.p_value


def test_a_slice_that_holds_every_call_is_tested_as_all_calls_are() -> None:
    calls, of = series(0.02, 60, 8, rise=4.0, since=59)
    alone = examine(calls, of, 59)
    assert alone == examine(calls, of, 59, weekday_factors(calls, of, *reference(59)))
    assert alone is not None
    # The day under test is not in what it is measured by.
    quiet = [*calls[:59], 0]
    assert weekday_factors(calls, of, *reference(59)) == weekday_factors(quiet, of, *reference(59))
