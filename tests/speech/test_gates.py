"""Gates: loops, phantom sentences, coverage."""

import pytest

from callscan.records import Segment, Span
from callscan.speech import gates


@pytest.mark.parametrize(
    "text", ["merci " * 12, "je vous écoute je vous écoute je vous écoute je vous écoute", "et puis, " * 20]
)
def test_what_repeats_itself_is_a_loop(text: str) -> None:
    assert gates.is_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "oui oui oui d'accord",
        "non non non non",
        "c'est la troisième fois que j'appelle, la troisième fois",
        "",
        "allô allô",
    ],
)
def test_what_people_say_is_no_loop(text: str) -> None:
    assert not gates.is_loop(text)


def test_phantom_sentences_are_known_by_language() -> None:
    said = "Sous-titres réalisés par la communauté d’Amara.org"
    assert gates.is_phantom(said, "fr")
    assert not gates.is_phantom(said, "en")
    assert not gates.is_phantom("merci d'avoir patienté", "fr")
    assert gates.flags_of(said, "fr", -0.2) == ("phantom",)


def test_low_probability_is_flagged_and_decoded_again() -> None:
    assert gates.flags_of("bonjour", "fr", -1.4) == ("low_confidence",)
    assert gates.failed("bonjour", -1.4)
    assert gates.failed("non merci " * 40, -0.1)
    assert not gates.failed("bonjour madame", -0.3)


def test_coverage_counts_seconds_once_and_never_those_of_loops() -> None:
    def segment(start: float, end: float, *flags: str) -> Segment:
        return Segment(start, end, "x", 0, "customer", flags=flags)

    def covered(*segments: Segment) -> float:
        return gates.covered(Span(10, 20), gates.trusted(segments))

    assert covered(segment(18, 25), segment(2, 4), segment(9, 12), segment(11, 13), segment(30, 31)) == pytest.approx(5)
    assert covered(segment(0, 40)) == 10
    assert covered(segment(10, 20, "loop")) == 0
    assert covered() == 0
