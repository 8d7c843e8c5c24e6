"""Finding the words of friction: lexicons, the pattern language and the matcher."""

from callscan.lexicon.lexicon import Lexicon
from callscan.lexicon.load import Issue

__all__ = ["Issue", "Lexicon"]
