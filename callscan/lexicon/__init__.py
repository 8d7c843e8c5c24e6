"""Finding the words of friction: lexicons, the pattern language and the matcher."""

from callscan.lexicon.announcements import Announcements, mark_ivr
from callscan.lexicon.lexicon import Lexicon
from callscan.lexicon.load import Issue

__all__ = ["Announcements", "Issue", "Lexicon", "mark_ivr"]
