"""Recordings: finding them, telling what they are, and decoding them where they can do no harm.

Everything here is loaded on first use, so that ``import callscan.audio`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callscan.audio.decoder import Decoded, Decoder
    from callscan.audio.discovery import Reject, discover
    from callscan.audio.files import hash_file
    from callscan.audio.limits import DecodeLimits

__all__ = ["DecodeLimits", "Decoded", "Decoder", "Reject", "discover", "hash_file"]

_HOME = {
    "DecodeLimits": "limits",
    "Decoded": "decoder",
    "Decoder": "decoder",
    "Reject": "discovery",
    "discover": "discovery",
    "hash_file": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
