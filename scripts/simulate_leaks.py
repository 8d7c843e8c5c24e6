"""Simulated years of a contact centre with planted leaks: days to detection and false alarms, beside a 3-sigma rule.

Usage: python scripts/simulate_leaks.py [--years N] [--seed N] [--json]

A year has 500 calls on a mean day (weekdays busier than weekends), 20 issues from 0.4 % to 12 % of the calls, each with
weekdays of its own. A leak multiplies the rate of one rare issue (at most 1.5 %) from one day on, for four weeks.
False alarms are counted in years without any leak; an alarm that goes on is one alarm.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callscan.report.stats import benjamini_hochberg
from callscan.report.warning import examine

DAYS = 365
CALLS = 500
ISSUES = 20
RARE = 8
"""Issues that leaks are planted on: the rarest."""
LEAK_DAYS = 28
RISES = (1.3, 1.5, 2.0, 3.0)
VOLUME = np.array([1.35, 1.2, 1.1, 1.1, 1.15, 0.75, 0.35])
LEVELS = {"watch": 0.05, "warning": 0.01, "alarm": 0.001}

Counts = NDArray[np.int64]
Alarms = NDArray[np.bool_]


@dataclass(frozen=True)
class Year:
    """``calls[i, d]`` of ``of[d]`` calls had issue ``i`` on day ``d``."""

    calls: Counts
    of: Counts


def simulate(rng: np.random.Generator, leak: tuple[int, int, float] | None = None) -> Year:
    """One year; ``leak`` is (issue, first day, rise)."""
    rates = np.geomspace(0.004, 0.12, ISSUES)
    weekdays = rng.uniform(0.85, 1.15, (ISSUES, 7))
    days = np.arange(DAYS)
    of = rng.poisson(CALLS * VOLUME[days % 7])
    rate = rates[:, None] * weekdays[:, days % 7]
    if leak:
        issue, first, rise = leak
        rate[issue, first : first + LEAK_DAYS] *= rise
    return Year(rng.binomial(of, np.minimum(rate, 1.0)), of)


def callscan_rule(limit: float) -> Callable[[Year, range], Alarms]:
    """Alarm where the q-value over all issues of the day is at most ``limit``."""

    def rule(year: Year, days: range) -> Alarms:
        alarms = np.zeros(year.calls.shape, dtype=bool)
        of = year.of.tolist()
        series = year.calls.tolist()
        for day in days:
            findings = [examine(calls, of, day) for calls in series]
            q_values = benjamini_hochberg([finding.p_value if finding else 1.0 for finding in findings])
            alarms[:, day] = [q <= limit for q in q_values]
        return alarms

    return rule


def sigma_rule(sigmas: float) -> Callable[[Year, range], Alarms]:
    """Alarm where the day's rate is more than so many standard deviations above the mean of the four weeks before."""

    def rule(year: Year, days: range) -> Alarms:
        rates = year.calls / year.of
        alarms = np.zeros(year.calls.shape, dtype=bool)
        for day in days:
            before = rates[:, day - 28 : day]
            alarms[:, day] = rates[:, day] > before.mean(axis=1) + sigmas * before.std(axis=1, ddof=1)
        return alarms

    return rule


def episodes(alarms: Alarms) -> int:
    """Alarms, one that goes on counted once."""
    return int((alarms[:, 1:] & ~alarms[:, :-1]).sum() + alarms[:, 0].sum())


def judge(name: str, rule: Callable[[Year, range], Alarms], years: int, seed: int) -> dict[str, object]:
    """False alarms a month, and for each rise the share found within four weeks and the days it took."""
    false = 0
    quiet = range(56, DAYS)
    for number in range(years):
        false += episodes(rule(simulate(np.random.default_rng([seed, 0, number])), quiet))
    result: dict[str, object] = {
        "rule": name,
        "false_alarms_per_month": round(false / (years * len(quiet)) * 30, 2),
    }
    for index, rise in enumerate(RISES):
        delays: list[float] = []
        for number in range(years * 8):
            rng = np.random.default_rng([seed, 1 + index, number])
            issue, first = number % RARE, int(rng.integers(60, DAYS - LEAK_DAYS))
            found = rule(simulate(rng, (issue, first, rise)), range(first, first + LEAK_DAYS))[issue]
            when = np.flatnonzero(found[first : first + LEAK_DAYS])
            delays.append(float(when[0] + 1) if len(when) else float("inf"))
        caught = [delay for delay in delays if delay < float("inf")]
        median = statistics.median(delays)
        result[f"+{round(100 * (rise - 1))} %"] = {
            "found": round(len(caught) / len(delays), 3),
            "median_days": median if median < float("inf") else None,
        }
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=10, help="years without a leak; leaks: eight times as many a rise")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rules = {f"callscan, {level}": callscan_rule(limit) for level, limit in LEVELS.items()}
    rules |= {f"{sigmas:g} sigma": sigma_rule(sigmas) for sigmas in (3.0, 4.0, 4.5)}
    results = []
    for name, rule in rules.items():
        print(name, file=sys.stderr)
        results.append(judge(name, rule, options.years, options.seed))
    if options.json:
        print(json.dumps(results, indent=2))
        return
    rises = [f"+{round(100 * (rise - 1))} %" for rise in RISES]
    print(f"{'rule':20} {'false/month':>11}  " + "  ".join(f"{rise:>16}" for rise in rises))
    for result in results:
        cells = []
        for rise in rises:
            cell = result[rise]
            assert isinstance(cell, dict)
            median = "  –" if cell["median_days"] is None else f"{cell['median_days']:4.1f}"
            cells.append(f"{cell['found']:6.0%} in {median} d")
        print(f"{result['rule']:20} {result['false_alarms_per_month']:>11}  " + "  ".join(f"{c:>16}" for c in cells))


if __name__ == "__main__":
    main()
