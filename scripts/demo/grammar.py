"""The French of the synthetic contact centre: sentences made from frames.txt and words.toml.

A frame is a sentence with slots; a :class:`Sentence` is one instance of it, with who says it and the issues that
anybody who hears it would count. Whole sentences are held out by a hash of their text (:func:`held_out`), so that no
split has to be stored.
"""

from __future__ import annotations

import hashlib
import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
WORDS: dict[str, list[str]] = tomllib.loads((HERE / "words.toml").read_text("utf-8"))
HELD_OUT_SHARE = 8  # one sentence in so many is never trained on
OPENERS = (
    "euh, ",
    "alors, ",
    "écoutez, ",
    "bon, ",
    "oui, ",
    "non, ",
    "en fait, ",
    "donc, ",
    "voilà, ",
    "oui, euh, ",
    "eh bien, ",
)
OPENER_SHARE = 0.2


@dataclass(frozen=True)
class Frame:
    """One line of frames.txt: ``speaker`` is c, a, x (either) or i (IVR)."""

    speaker: str
    must: tuple[str, ...]
    may: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Sentence:
    """An instance of a frame, written as the transcript should be."""

    text: str
    frame: Frame


def load_frames() -> tuple[Frame, ...]:
    """Read frames.txt."""
    frames = []
    for line in (HERE / "frames.txt").read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        speaker, issues, text = (part.strip() for part in line.split("|"))
        names = issues.split()
        must = tuple(n for n in names if not n.startswith("?"))
        frames.append(Frame(speaker, must, tuple(n[1:] for n in names if n.startswith("?")), text))
    return tuple(frames)


FRAMES = load_frames()


def number(n: int) -> str:
    """``n`` from 0 to 999 in French words, as France says them."""
    units, teens, tens = WORDS["units"], WORDS["teens"], WORDS["tens"]
    if n >= 100:
        hundreds = "cent" if n < 200 else f"{units[n // 100]} cent"
        return hundreds + (f" {number(n % 100)}" if n % 100 else ("s" if n >= 200 else ""))
    if n < 20:
        return units[n] if n < 10 else teens[n - 10]
    if n < 70:
        ten, unit = tens[n // 10 - 2], n % 10
        return ten if not unit else f"{ten} et un" if unit == 1 else f"{ten}-{units[unit]}"
    if n < 80:
        return "soixante et onze" if n == 71 else f"soixante-{number(n - 60)}"
    return "quatre-vingts" if n == 80 else f"quatre-vingt-{number(n - 80)}"


def owned(thing: str) -> str:
    """``la box`` → ``ma box``, ``l'option`` → ``mon option``."""
    if thing.startswith("l'"):
        return "mon " + thing[2:]
    return ("ma " if thing.startswith("la ") else "mon ") + thing[3:]


def of(thing: str) -> str:
    """``le colis`` → ``du colis``; other articles keep theirs."""
    return "du " + thing[3:] if thing.startswith("le ") else "de " + thing


@cache
def feminine_elided() -> frozenset[str]:
    """The elided nouns that take ``une``."""
    return frozenset(
        {"assurance", "option", "application", "imprimante", "antenne", "attestation", "installation", "offre"}
    )


def a(thing: str) -> str:
    """``la box`` → ``une box``."""
    if thing.startswith("l'"):
        noun = thing[2:]
        return ("une " if noun in feminine_elided() else "un ") + noun
    return ("une " if thing.startswith("la ") else "un ") + thing[3:]


def fill(slot: str, rng: random.Random) -> str:
    """One value for a slot."""
    pick = rng.choice
    things = WORDS["things"]
    simple = {
        "first": "firsts", "name": "names", "town": "towns", "dept": "departments", "wday": "weekdays",
        "month": "months", "ord": "ordinals", "when": "past", "when2": "future", "when3": "since", "ma_tech": "tech",
        "le_deliv": "deliveries",
    }  # fmt: skip
    if slot in simple:
        return pick(WORDS[simple[slot]])
    match slot:
        case "le":
            return pick(things)
        case "mon":
            return owned(pick(things))
        case "du":
            return of(pick(things))
        case "un":
            return a(pick(things))
        case "mon_deliv":
            return owned(pick(WORDS["deliveries"]))
        case "civ":
            return pick(("monsieur", "madame"))
        case "num":
            return number(rng.randint(2, 60))
        case "few":
            return number(rng.randint(2, 9))
        case "minutes":
            return number(pick((5, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 60)))
        case "money":
            return number(rng.randint(2, 999) if rng.random() < 0.5 else 10 * rng.randint(1, 30))
        case "pct":
            return number(5 * rng.randint(1, 16))
        case "hours48":
            return number(pick((24, 48, 72)))
        case "digit":
            return number(rng.randint(1, 9))
        case "digits":
            return " ".join(number(rng.randint(0, 99)) for _ in range(rng.randint(2, 5)))
        case "date":
            day = rng.randint(1, 31)
            return f"{'premier' if day == 1 else number(day)} {pick(WORDS['months'])}"
        case "hour":
            half = rng.random()
            return f"{number(rng.randint(8, 20))} heures" + (
                " trente" if half < 0.2 else " quinze" if half < 0.3 else ""
            )
        case "street":
            return f"{pick(WORDS['streets'])} {pick(WORDS['street_names'])}"
    raise KeyError(slot)


def say(frame: Frame, rng: random.Random) -> Sentence:
    """One instance of ``frame``."""
    text = re.sub(r"\{(\w+)\}", lambda slot: fill(slot[1], rng), frame.text)
    if frame.speaker != "i" and rng.random() < OPENER_SHARE:
        text = rng.choice(OPENERS) + text
    text = text[0].upper() + text[1:]
    text = text.replace(" ?", "?")
    return Sentence(text if text[-1] in ".?" else text + ".", frame)


def weight(frame: Frame) -> float:
    """How often a frame is drawn: more often the more its slots can say, rarely the one-word answers."""
    many = ("name", "first", "town", "le", "mon", "du", "un", "digits", "date", "money", "street")
    open_slots = sum(slot in many for slot in re.findall(r"\{(\w+)\}", frame.text))
    return 0.5 if frame.speaker == "x" else 0.8 + 0.6 * min(open_slots, 2)


def held_out(sentence: Sentence) -> bool:
    """Whether a sentence belongs to the test, by its hash.

    A frame said word for word is never held out: without slots and opener there is only one of it.
    """
    if plain(sentence.text) == plain(sentence.frame.text):
        return False
    return hashlib.sha256(sentence.text.encode()).digest()[0] % HELD_OUT_SHARE == 0


@cache
def _weights() -> list[float]:
    return [weight(frame) for frame in FRAMES]


def draw(rng: random.Random, *, test: bool) -> Sentence:
    """A random sentence of the training or of the test split; the two share none."""
    while True:
        sentence = say(rng.choices(FRAMES, _weights())[0], rng)
        if held_out(sentence) == test:
            return sentence


def plain(text: str) -> list[str]:
    """The words that the error rate compares: lower case, no punctuation, hyphens open, elision kept whole."""
    return re.sub(r"[^\w' ]", " ", text.lower().replace("’", "'").replace("-", " ")).split()
