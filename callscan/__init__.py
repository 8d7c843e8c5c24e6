"""callscan listens to every call of a contact centre and counts, by issue, what hurts the customer.

The public Python API, loaded on first use:

- :func:`scan`: recordings into an archive, and the report on it;
- :class:`Archive`: read an archive's calls;
- :class:`Lexicon`: what is counted, and how it is said;
- :class:`Report`: what was counted;
- :class:`Settings`: everything that a scan can be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callscan.archive import Archive
    from callscan.config import Settings
    from callscan.lexicon import Lexicon
    from callscan.report import Report
    from callscan.runners.scan import scan

__all__ = ["Archive", "Lexicon", "Report", "Settings", "scan"]

_HOME = {
    "Archive": "callscan.archive",
    "Lexicon": "callscan.lexicon",
    "Report": "callscan.report",
    "Settings": "callscan.config",
    "scan": "callscan.runners.scan",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
