"""Telling channels apart by the sums of their products: copies of each other, inverted, dead."""

from __future__ import annotations

from collections.abc import Sequence

_ALIKE = 1e-5
"""Two channels carry one signal if what one cannot explain of the other has less than this share of its energy
(-50 dB): lossy codecs make two copies differ by less, and two telephones on one call differ by far more."""

_DEAD = 32.0**2
"""Mean square of 16-bit samples below which a stretch is dead (-60 dBFS): A-law's silence is 8."""


def judge(products: Sequence[Sequence[float]], loudest: Sequence[float]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Which channels of the file are channels of the call, and what is remarkable about them.

    ``products[a][b]`` is the sum over all samples of channel a times channel b; ``loudest`` is the mean square of each
    channel's loudest stretch, for who speaks four seconds in an hour is not dead. Returns the file's channel numbers
    that are kept (a signal that stands on several channels is kept once, for it would be counted twice) and
    warnings: ``identical_channels``, ``antiphase`` (a copy with its sign turned), ``dead_channel:N``.
    """
    alive = [energy > _DEAD for energy in loudest]
    # A dead channel beside a live one is kept, so that the live one still tells who speaks.
    compared = alive if any(alive) else [True] * len(alive)
    kept: list[int] = []
    warnings: list[str] = []
    for channel in range(len(products)):
        twin = next((other for other in kept if compared[channel] and _one_signal(products, other, channel)), None)
        if twin is None:
            kept.append(channel)
            continue
        warning = "identical_channels" if products[twin][channel] >= 0 else "antiphase"
        if warning not in warnings:
            warnings.append(warning)
    warnings += [f"dead_channel:{place}" for place, channel in enumerate(kept) if not alive[channel]]
    return tuple(kept), tuple(warnings)


def _one_signal(products: Sequence[Sequence[float]], one: int, other: int) -> bool:
    if not products[one][one] or not products[other][other]:
        return products[one][one] == products[other][other]
    return products[one][other] ** 2 >= (1 - _ALIKE) * products[one][one] * products[other][other]
