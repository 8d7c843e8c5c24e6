"""Who is the agent, by what is said; and when nobody can tell."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

import callscan.demo
from callscan.diarization.roles import Said, roles
from callscan.diarization.speakers import channels_swapped, named
from callscan.records import Segment, Turn

TRUTH = json.loads((Path(callscan.demo.__file__).parent / "calls" / "truth.json").read_text("utf-8"))
LEXICON = Path(__file__).parents[1] / "lexicon"
# Not those that were written to say it in as many ways as the language has: calls do not sound like that.
LABELLED = sorted(f for f in LEXICON.glob("labelled*.jsonl") if f.stem != "labelled-constructions")
TALKS = [name for name, call in TRUTH.items() if call["turns"]]


def said(*lines: tuple[str, str]) -> list[Said]:
    return [Said(Segment(i, i + 1, text, 0, "unknown"), label) for i, (label, text) in enumerate(lines)]


@pytest.mark.parametrize("name", TALKS)
def test_the_agent_of_every_sample_call(name: str) -> None:
    lines = [("AB"[t["speaker"] == "customer"], t["text"]) for t in TRUTH[name]["turns"] if t["speaker"] != "ivr"]
    found = roles(said(*lines), "fr")
    assert found.speakers == {"A": "agent", "B": "customer"}
    assert found.confidence > 0.9


def test_the_agent_by_sentences_that_others_wrote() -> None:
    written: dict[str, list[str]] = {"customer": [], "agent": []}
    for line in [line for file in LABELLED for line in file.read_text("utf-8").splitlines()]:
        row = json.loads(line)
        written.get(row["speaker"], []).append(row["text"])
    rng, found = random.Random("roles"), Counter[str]()
    for call in range(400):  # either side speaks first in half of them
        sides = ["customer", "agent"] if call % 2 else ["agent", "customer"]
        lines = [(side, rng.choice(written[side])) for _ in range(8) for side in sides]
        speakers = roles(said(*lines), "fr").speakers
        found["right" if all(speakers[side] == side for side in sides) else "/".join(speakers.values())] += 1
    assert found["right"] >= 340
    assert set(found) == {"right", "unknown/unknown"}


def test_english() -> None:
    found = roles(
        said(
            ("B", "Thank you for calling, how can I help?"),
            ("A", "I'm calling about my bill. It's the third time I call."),
            ("B", "Can I have your account number?"),
        ),
        "en",
    )
    assert found.speakers == {"A": "customer", "B": "agent"}


@pytest.mark.parametrize("lines", [(("A", "oui"), ("B", "non")), (("A", "bonjour"),), ()])
def test_nobody_is_named_without_evidence(lines: tuple[tuple[str, str], ...]) -> None:
    found = roles(said(*lines), "fr")
    assert set(found.speakers.values()) <= {"unknown"}
    assert 0.5 <= found.confidence < 0.9


def test_an_unknown_language_leaves_the_opening_alone() -> None:
    assert set(roles(said(("A", "hola"), ("B", "buenos dias")), "es").speakers.values()) == {"unknown"}


def test_the_agents_name_in_the_metadata_counts() -> None:
    lines = said(("A", "Allô ?"), ("B", "Bonjour, Julie de la mairie."), ("A", "Oui."), ("B", "C'est pour vous dire."))
    unsure, sure = (roles(lines, "fr", row) for row in ({}, {"agent": "Julie Martin", "direction": "outbound"}))
    assert unsure.speakers == {"A": "unknown", "B": "unknown"}
    assert sure.speakers == {"A": "customer", "B": "agent"}


def test_a_second_agent_is_an_agent() -> None:
    found = roles(
        said(
            ("A", "Service technique, bonjour, comment puis-je vous aider ?"),
            ("B", "J'appelle pour ma box, c'est la troisième fois que j'appelle, personne ne m'a rappelé."),
            ("A", "Ne quittez pas, je vous transfère."),
            ("C", "Service facturation, bonjour, que puis-je faire pour vous ? Quel est votre numéro de client ?"),
        ),
        "fr",
    )
    assert found.speakers == {"A": "agent", "B": "customer", "C": "agent"}


def test_words_and_turns_get_the_roles_and_a_note_says_how_sure() -> None:
    said = [
        Said(Segment(0, 3, "Service client, bonjour, comment puis-je vous aider ?", 0, "unknown"), "S0"),
        Said(Segment(4, 6, "J'ai un problème, on m'a transféré deux fois.", 0, "unknown"), "S1"),
    ]
    found = named(said, [Turn(0, 3, "S0"), Turn(4, 6, "S1")], "fr", {})
    assert [segment.speaker for segment in found.segments] == ["agent", "customer"]
    assert [turn.speaker for turn in found.turns] == ["agent", "customer"]
    assert len(found.notes) == 1
    assert found.notes[0].startswith("roles: S0 agent, S1 customer, confidence 0.9")


def test_swapped_channels_are_noted() -> None:
    for name in TALKS:
        call = TRUTH[name]
        right = [
            Segment(t["start"], t["end"], t["text"], int(t["speaker"] == "customer"), "unknown")
            for t in call["turns"]
            if t["speaker"] != "ivr"
        ]
        assert channels_swapped(right, ("agent", "customer"), "fr") == ()
        (note,) = channels_swapped(right, ("customer", "agent"), "fr")
        assert note.startswith("channels_swapped: ")
    assert channels_swapped(right, ("agent", "unknown"), "fr") == ()
