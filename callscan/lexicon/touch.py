"""A first look at a transcript without its words' times: which segments could any pattern be found in?

Counting a million calls again would spend its time on making words with times of calls in which nobody complains.
This look needs the text alone, and whatever the times turn out to be, every hit is in a segment that it names.
"""

from __future__ import annotations

from callscan.lexicon.matcher import Matcher
from callscan.lexicon.stream import Stream
from callscan.records import Transcript


def touched(matcher: Matcher, transcript: Transcript) -> frozenset[int]:
    """Indices of the segments in which some pattern's words stand, exceptions, times and flags not yet looked at,
    and of those between them."""
    stream = Stream(matcher._table, transcript)
    found = matcher._search(stream) if len(stream) else []
    touched: set[int] = set()
    for one in found:
        first, last = stream._place(one.start)[1], stream._place(one.end - 1)[1]
        touched.update(stream._order[first : last + 1])
    return frozenset(touched)
