"""What a recogniser may write instead of what was said: words that sound the same."""

from __future__ import annotations

import random
import re

SWAPS = [
    (r"(?<=[a-zé]{3})é\b", ("er", "ez", "ée", "és")),
    (r"(?<=[a-zé]{3})er\b", ("é", "ez")),
    (r"(?<=[a-zé]{3})ez\b", ("er", "é")),
    (r"(?<=[a-zé]{2})ait\b", ("ais", "aient")),
    (r"(?<=[a-zé]{2})ais\b", ("ait",)),
    (r"\bça\b", ("sa",)),
    (r"\bc'est\b", ("ses", "cest", "s'est")),
    (r"\bj'ai\b", ("jai", "gé")),
    (r"\bm'a\b", ("ma",)),
    (r"\bon\b", ("ont",)),
    (r"\bà\b", ("a",)),
    (r"\bdû\b", ("du",)),
    (r"\bfois\b", ("foi",)),
    (r"\btoujours\b", ("toujour",)),
    (r"\battends\b", ("attend", "attent")),
    (r"\bappelle\b", ("appel", "apelle")),
    (r"\brappelle\b", ("rappel", "rapelle")),
    (r"pp", ("p",)),
    (r"\bne \b|\bn'", ("",)),
    (r"\bil y a\b", ("y a", "ya")),
    (r"(?<=[a-zé]{3})s\b", ("",)),
    (r"(?<=[a-zé]{3}[^aeiouéês])e\b", ("es",)),
    (r"\bet\b", ("est",)),
    (r"\bqu'", ("que ",)),
]


def misheard(text: str, chance: random.Random, share: float = 0.35) -> str:
    """The sentence with a share of the places that could be heard otherwise written otherwise."""
    for pattern, others in SWAPS:
        text = re.sub(pattern, lambda found, o=others: chance.choice(o) if chance.random() < share else found[0], text)
    return text
