"""Early warning for small counts: is the rate of today, or of the last days, higher than its baseline?

Two statistics share the work. *EARS* (as C2 and C3 of the CDC's Early Aberration Reporting System) looks at the last
day and the last three days against four weeks before them, by an exact test. *CUSUM* sums up the evidence of a rise
that began on one of the last 28 days and goes on: small rises on rare issues show there first. Both hold the
uncertainty of the baseline in their arithmetic, so that a handful of calls in a short history raises no alarm, and
both compare like weekdays with like.

A series is the days of one issue in one slice of the calls: how many calls had it, of how many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from callscan.report.stats import rate_increase

BASELINE = 28
"""Days a baseline has at least; four weeks, so that it holds each weekday four times."""

EARS = (1, 3)
"""Lengths in days of the windows that EARS tests."""

GUARD = 2
"""Days between a window that EARS tests and its baseline, so that a rise that began slowly does not hide itself."""

STARTS = (5, 7, 10, 14, 21, 28)
"""How many days ago a rise may have begun that the CUSUM follows; what is younger is for EARS."""

RISES = (1.25, 1.5, 2.0, 3.0)
"""The rises that the CUSUM weighs, as factors of the baseline rate."""

MIN_CALLS = 3
"""A window with fewer calls than this raises no alert: two people are an anecdote."""

MIN_DAYS = 14
"""Days with calls that a baseline needs before anything is said."""

_PULL = 20.0
"""Events by which a weekday's factor is drawn towards 1: four Tuesdays of a rare issue say little about Tuesdays."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the tests say of one series on one day. Days count from the first of the series; ranges include both."""

    since: int
    calls: int
    of: int
    expected: float
    baseline_since: int
    baseline_until: int
    baseline_calls: int
    baseline_of: int
    dispersion: float
    statistic: str
    ears_p: float
    cusum: float
    cusum_p: float
    p_value: float


def weekday_factors(calls: Sequence[int], of: Sequence[int], first: int, last: int) -> list[float]:
    """The rate on each day of the week over the mean rate, from the days ``first`` to ``last`` (both included).

    Index = day number modulo 7. Drawn towards 1 where there are few events.
    """
    total, total_of = sum(calls[first : last + 1]), sum(of[first : last + 1])
    mean = total / total_of if total_of else 0.0
    factors = [1.0] * 7
    for day in range(first, min(first + 7, last + 1)):
        same = range(day, last + 1, 7)
        seen = sum(calls[d] for d in same)
        expected = mean * sum(of[d] for d in same)
        factors[day % 7] = (seen + _PULL) / (expected + _PULL)
    return factors


def reference(today: int) -> tuple[int, int]:
    """The first and the last of the days up to ``today`` that no start of a rise touches. The last is ``today`` itself
    where the history is too short for any start."""
    oldest = max(0, today - STARTS[-1] - BASELINE + 1)
    # A start of the rise leaves four weeks before it; with a short history only the latest starts do.
    return oldest, min(max(oldest + BASELINE, today - STARTS[-1] + 1) - 1, today)


def examine(
    calls: Sequence[int], of: Sequence[int], today: int, factors: Sequence[float] | None = None
) -> Finding | None:
    """Test one series on the day ``today``; None where the history is too short to say anything.

    ``calls[d]`` of ``of[d]`` calls had the issue on day ``d``. ``factors`` are :func:`weekday_factors` of a larger
    series that this one is a slice of, over its :func:`reference`; by default they are taken from this one.
    """
    if not of[today]:
        return None
    oldest, last = reference(today)
    earliest = last + 1
    if earliest > today or sum(1 for d in range(oldest, earliest) if of[d]) < MIN_DAYS:
        return None
    if factors is None:
        factors = weekday_factors(calls, of, oldest, last)
    exposure = [of[d] * factors[d % 7] for d in range(oldest, today + 1)]
    counts = calls[oldest : today + 1]
    begin = earliest - oldest
    spread = dispersion(counts[:begin], exposure[:begin])
    ears_p, ears_from = _ears(counts, exposure, spread)
    cusum, cusum_p, cusum_from = _cusum(counts, exposure, begin, spread)
    # Both look at the same days: twice the smaller of two p-values is a p-value whatever their dependence.
    p_value = min(1.0, 2 * min(ears_p, cusum_p))
    by_ears = ears_p <= cusum_p
    start = ears_from if by_ears else cusum_from
    before = max(0, start - GUARD - BASELINE) if by_ears else 0
    until = start - GUARD if by_ears else start
    seen, exposed = sum(counts[before:until]), sum(exposure[before:until])
    window = sum(counts[start:])
    if window < MIN_CALLS:
        p_value = 1.0
    return Finding(
        since=oldest + start,
        calls=window,
        of=sum(of[oldest + start : today + 1]),
        expected=seen * sum(exposure[start:]) / exposed if exposed else 0.0,
        baseline_since=oldest + before,
        baseline_until=oldest + until - 1,
        baseline_calls=seen,
        baseline_of=sum(of[oldest + before : oldest + until]),
        dispersion=spread,
        statistic="ears" if by_ears else "cusum",
        ears_p=ears_p,
        cusum=cusum,
        cusum_p=cusum_p,
        p_value=p_value,
    )


def dispersion(counts: Sequence[int], exposure: Sequence[float]) -> float:
    """Variance over mean of the daily counts (Pearson), at least 1: how much more they scatter than chance alone."""
    total, exposed = sum(counts), sum(exposure)
    days = [(y, e * total / exposed) for y, e in zip(counts, exposure, strict=True) if e > 0] if total else []
    if len(days) < 2:
        return 1.0
    return max(1.0, sum((y - mean) ** 2 / mean for y, mean in days) / (len(days) - 1))


def _ears(counts: Sequence[int], exposure: Sequence[float], spread: float) -> tuple[float, int]:
    """The smaller p-value of the windows, both allowed for, and the day that its window begins."""
    best, start = 1.0, len(counts) - 1
    for length in EARS:
        begin = len(counts) - length
        until = begin - GUARD
        before = max(0, until - BASELINE)
        p = rate_increase(
            int(sum(counts[begin:]) / spread),
            sum(exposure[begin:]),
            math.ceil(sum(counts[before:until]) / spread),
            sum(exposure[before:until]),
        )
        if p < best:
            best, start = p, begin
    return min(1.0, best * len(EARS)), start


def _cusum(counts: Sequence[int], exposure: Sequence[float], earliest: int, spread: float) -> tuple[float, float, int]:
    """The CUSUM, its p-value, and the day the rise most likely began.

    For a start and a rise ``r`` the log-likelihood ratio is ``y log r - (Y + y) log((N + r e) / (N + e))``: ``y``
    events at exposure ``e`` since the start, ``Y`` at ``N`` before it, the baseline rate integrated out under its gamma
    posterior; the CUSUM is the maximum over :data:`STARTS` and :data:`RISES`. Its p-value is that of the exact test
    of each start, all of them allowed for: sharper than a bound on the maximum of the ratio.
    """
    total, exposed = sum(counts), sum(exposure)
    best, p_value, start = 0.0, 1.0, len(counts) - 1
    for length in STARTS:
        begin = len(counts) - length
        if begin < earliest:
            break
        seen, since = sum(counts[begin:]), sum(exposure[begin:])
        before = exposed - since
        if before <= 0 or since <= 0:
            continue
        for rise in RISES:
            llr = (seen * math.log(rise) - total * math.log((before + rise * since) / exposed)) / spread
            best = max(best, llr)
        p = rate_increase(int(seen / spread), since, math.ceil((total - seen) / spread), before)
        if p < p_value:
            p_value, start = p, begin
    return best, min(1.0, p_value * len(STARTS)), start
