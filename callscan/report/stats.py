"""Statistics for small counts: intervals, exact tests and many tests at once. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share, as two shares (0 to 1).

    Unlike the plain normal interval it stays inside [0, 1] and has a width at 0 of n
    (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953).
    """
    if trials <= 0:
        raise ValueError("an interval needs at least one trial")
    share = successes / trials
    square = Z95 * Z95
    middle = share + square / (2 * trials)
    spread = Z95 * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    # At the ends the bound is exactly 0 or 1, which rounding would miss by a hair.
    low = 0.0 if successes == 0 else max(0.0, (middle - spread) / scale)
    high = 1.0 if successes == trials else min(1.0, (middle + spread) / scale)
    return low, high


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """P(X ≥ successes) for X ~ Binomial(trials, share), summed exactly from the larger end of its terms."""
    if successes <= 0:
        return 1.0
    if successes > trials or share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    if successes <= trials * share:
        # Below the mean the upper tail is the long side: sum the short one.
        return max(0.0, 1.0 - binomial_tail(trials - successes + 1, trials, 1.0 - share))
    odds = share / (1.0 - share)
    log_term = (
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(share)
        + (trials - successes) * math.log1p(-share)
    )
    term = math.exp(log_term)
    total = term
    for k in range(successes, trials):
        term *= odds * (trials - k) / (k + 1)
        total += term
        if term < total * 1e-16:
            break
    return min(1.0, total)


def rate_increase(recent: int, recent_of: float, before: int, before_of: float) -> float:
    """One-sided p-value that the recent rate is higher than the earlier one (exact conditional test).

    Given the events of both periods, the recent ones are binomial with the recent share of the exposure, whatever
    the common rate is (Przyborowski and Wilenski 1940): so the uncertainty of the baseline is allowed for.
    """
    if recent <= 0 or recent_of <= 0:
        return 1.0
    return binomial_tail(recent, recent + before, recent_of / (recent_of + before_of))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The q-value of each p-value: the false discovery rate at which it would be accepted
    (Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    q_values = [1.0] * len(p_values)
    smallest = 1.0
    for position, index in enumerate(order):
        rank = len(p_values) - position
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        q_values[index] = smallest
    return q_values
