"""A first look at a transcript without its words' times: which segments could any pattern be found in?

Counting a million calls again would spend its time on making words with times of calls in which nobody complains.
This look needs the text alone, and whatever the times turn out to be, every hit is in a segment that it names.
"""

from __future__ import annotations

from callscan.lexicon.matcher import Matcher, _Stream
from callscan.lexicon.stream import lay_out
from callscan.records import Transcript


def touched(matcher: Matcher, transcript: Transcript) -> frozenset[int]:
    """Indices of the segments in which some pattern's words stand, exceptions, times and flags not yet looked at."""
    text, places = lay_out(transcript)
    if not places:
        return frozenset()
    stream = _Stream(matcher._memory, text, places)
    found = matcher._search(stream)
    return frozenset(stream.segment(position) for one in found for position in range(one.start, one.end))
