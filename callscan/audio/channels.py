"""Telling channels apart by the sums of their products: identical, opposite, dead."""

from __future__ import annotations

from collections.abc import Sequence

_ALIKE = 1e-5
"""Two channels are one if their difference has less than this share of their energy (-50 dB): lossy codecs make
two copies of one signal differ by less, and two microphones on one call differ by far more."""

_DEAD = 32.0**2
"""Mean square of 16-bit samples below which a channel is dead (-60 dBFS): A-law's silence is 8."""


def judge(products: Sequence[Sequence[float]], samples: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Which channels of the file are channels of the call, and what is remarkable about them.

    ``products[a][b]`` is the sum over all samples of channel a times channel b. Returns the file's channel
    numbers that are kept (identical ones once) and warnings: ``identical_channels``, ``antiphase``, ``dead_channel:N``.
    """
    kept: list[int] = []
    warnings: list[str] = []
    alive = [products[channel][channel] / samples > _DEAD for channel in range(len(products))]
    for channel in range(len(products)):
        twins = [other for other in kept if alive[other] == alive[channel] and _same(products, other, channel, 1)]
        if twins and (alive[channel] or not any(alive)):
            _once(warnings, "identical_channels")
            continue
        if any(alive[other] and alive[channel] and _same(products, other, channel, -1) for other in kept):
            _once(warnings, "antiphase")
        kept.append(channel)
    if any(alive):
        warnings += [f"dead_channel:{place}" for place, channel in enumerate(kept) if not alive[channel]]
    return tuple(kept), tuple(warnings)


def _same(products: Sequence[Sequence[float]], one: int, other: int, sign: int) -> bool:
    energy = products[one][one] + products[other][other]
    return energy - 2 * sign * products[one][other] <= _ALIKE * energy


def _once(warnings: list[str], warning: str) -> None:
    if warning not in warnings:
        warnings.append(warning)
