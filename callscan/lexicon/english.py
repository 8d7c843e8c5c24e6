"""What the matcher knows of English: enough for plain lexicons, without French's sounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

_FREQUENT = {
    "the": 45, "i": 40, "to": 28, "you": 28, "a": 25, "and": 25, "it": 20, "is": 14, "of": 12, "that": 14, "my": 12,
    "for": 10, "have": 9, "on": 9, "not": 8, "t": 10, "s": 12, "me": 8, "in": 10, "this": 7, "be": 6, "was": 6, "do": 6,
    "no": 5, "your": 6, "with": 5, "what": 4, "they": 4, "we": 5, "are": 5, "can": 4, "will": 3, "call": 2, "m": 5,
    "been": 2, "had": 2, "has": 2, "get": 2, "still": 1, "time": 1, "times": 0.5, "an": 3, "at": 4, "up": 2, "back": 1,
}  # fmt: skip
_FREQUENT_PAIRS = {
    "i m": 4, "it s": 4, "i have": 3, "don t": 4, "to the": 2, "of the": 3, "in the": 3, "i ve": 2, "have to": 1.5,
    "thank you": 2, "do you": 2, "can you": 1.5, "you can": 1.5, "i was": 1.5, "to be": 1, "on the": 2, "is it": 1,
    "i can": 1, "this is": 1.5, "for the": 1, "it was": 1.2, "a bit": 0.5, "i think": 1, "you know": 1.5,
}  # fmt: skip

_DROPPED = "uh um erm er hmm really very totally absolutely completely extremely honestly literally"
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_IRREGULAR = {
    "be": "am is are was were been being be", "have": "have has had having", "do": "do does did done doing",
    "go": "go goes went gone going", "get": "get gets got gotten getting", "tell": "tell tells told telling",
    "say": "say says said saying", "speak": "speak speaks spoke spoken speaking",
    "give": "give gives gave given giving",
    "hear": "hear hears heard hearing", "send": "send sends sent sending", "take": "take takes took taken taking",
    "break": "break breaks broke broken breaking", "pay": "pay pays paid paying", "keep": "keep keeps kept keeping",
    "ring": "ring rings rang rung ringing", "leave": "leave leaves left leaving", "put": "put puts putting",
    "write": "write writes wrote written writing", "lose": "lose loses lost losing", "cut": "cut cuts cutting",
}  # fmt: skip


@lru_cache(maxsize=2048)
def _forms(word: str) -> tuple[str, ...]:
    if word in _IRREGULAR:
        return tuple(_IRREGULAR[word].split())
    if word.endswith("e"):
        return (word, word + "s", word + "d", word[:-1] + "ing")
    if word.endswith("y") and word[-2:-1] not in "aeou":
        return (word, word[:-1] + "ies", word[:-1] + "ied", word + "ing")
    stem = word + word[-1] if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", word) or word == "cancel" else word
    plural = word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
    return tuple(dict.fromkeys((word, plural, word + "ed", word + "ing", stem + "ed", stem + "ing")))


class English:
    """See :class:`callscan.lexicon.alphabet.Language`."""

    code = "en"
    dropped = frozenset(_DROPPED.split())
    numbers = tuple(_NUMBERS.split())
    clitics = re.compile(r"(?!)()()")
    frequencies: Mapping[str, float] = MappingProxyType({word: share / 1000 for word, share in _FREQUENT.items()})
    pairs: Mapping[tuple[str, str], float] = MappingProxyType(
        {(pair.split()[0], pair.split()[1]): share / 1000 for pair, share in _FREQUENT_PAIRS.items()}
    )

    def sound(self, word: str) -> str:
        """A key that words which sound alike share."""
        return word

    def fold(self, word: str) -> str:
        """The word without accents."""
        return word

    def inflections(self, word: str) -> tuple[tuple[str, str], ...]:
        """All forms of a word, each with the spelling that its sound is taken from."""
        return tuple((form, form) for form in _forms(word))

    def fused(self, first: str, second: str) -> str:
        """A contraction as it is typed without its apostrophe ("don't", "dont")."""
        return first + second
