"""What the matcher does with one call: speakers, segments, times, flags, announcements."""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.lexicon import Lexicon, mark_ivr
from callscan.records import Hit, Segment, Speaker, Transcript, Word

SAID = [
    "ça fait vingt minutes que j'attends au téléphone",
    "j'ai déjà appelé hier pour ce problème",
    "c'est la troisième fois que j'appelle",
    "je n'ai toujours pas reçu mon colis",
    "personne ne m'a rappelé",
    "non pas de problème merci",
    "bonjour je voudrais changer d'adresse",
]


def call(*said: tuple[Speaker, str], language: str = "fr", pause: float = 0.5) -> Transcript:
    clock, segments = 0.0, []
    for speaker, text in said:
        words = []
        for word in text.split():
            words.append(Word(word, clock, clock + 0.3, 0.9))
            clock += 0.4
        segments.append(Segment(words[0].start, words[-1].end, text, 0, speaker, tuple(words)))
        clock += pause
    return Transcript(language, 1.0, tuple(segments))


def issues(hits: tuple[Hit, ...]) -> set[str]:
    return {hit.issue for hit in hits if hit.counted}


def test_a_hit_says_when_by_whom_and_in_which_words(lexicon: Lexicon) -> None:
    transcript = call(("agent", "bonjour je vous écoute"), ("customer", "oui alors personne ne m'a rappelé hier"))
    (hit,) = [h for h in lexicon.match(transcript) if h.issue == "callback_missed"]
    assert hit.quote == "personne ne m'a rappelé"
    assert (hit.segment, hit.speaker, hit.speaker_known) == (1, "customer", True)
    words = transcript.segments[1].words
    assert (hit.start, hit.end) == (words[2].start, words[5].end)
    assert hit.probability == pytest.approx(0.9)
    assert hit.lexicon == "fr/callback_missed@1"


def test_an_agent_s_words_are_not_the_customer_s(lexicon: Lexicon) -> None:
    assert issues(lexicon.match_text("je veux résilier mon contrat", "customer")) == {"churn_intent"}
    assert issues(lexicon.match_text("je veux résilier mon contrat", "agent")) == set()
    assert issues(lexicon.match_text("je veux résilier mon contrat", "ivr")) == set()


def test_an_unknown_speaker_is_matched_and_said_to_be_unknown(lexicon: Lexicon) -> None:
    hits = lexicon.match_text("je veux résilier mon contrat", "unknown")
    assert issues(hits) == {"churn_intent"}
    assert not any(hit.speaker_known for hit in hits)


@pytest.mark.parametrize(("overlap", "found"), [(0.4, True), (0.6, False)])
def test_what_two_voices_say_at_once_is_no_sentence(lexicon: Lexicon, overlap: float, found: bool) -> None:
    transcript = call(("unknown", "là il n'y a plus"), ("unknown", "internet depuis hier"), pause=-0.1 - overlap)
    hits = [hit for hit in lexicon.match(transcript) if hit.issue == "technical_failure"]
    assert bool(hits) == found
    assert all(hit.start < hit.end for hit in hits)


@pytest.mark.parametrize("flag", ["phantom", "loop"])
def test_phantoms_and_loops_are_not_read(lexicon: Lexicon, flag: str) -> None:
    transcript = call(("customer", "je veux résilier mon contrat"))
    segment = replace(transcript.segments[0], flags=("low_confidence", flag))
    assert lexicon.match(replace(transcript, segments=(segment,))) == ()


def test_a_pattern_reaches_over_segments_of_one_speaker(lexicon: Lexicon) -> None:
    parts = (("customer", "c'est la troisième fois"), ("agent", "oui"), ("customer", "que j'appelle"))
    (hit,) = [h for h in lexicon.match(call(*parts)) if h.issue == "repeat_contact"]
    assert hit.quote == "c'est la troisième fois que j'appelle".removeprefix("c'est la ")
    assert hit.segment == 0
    assert not [h for h in lexicon.match(call(*parts, pause=8.0)) if h.issue == "repeat_contact"]


def test_hesitations_and_repeated_words_are_heard_once(lexicon: Lexicon) -> None:
    for said in (
        "c'est la deuxième euh la deuxième fois que j'appelle",
        "c'est euh la troisième fois que que j'appelle",
    ):
        assert issues(lexicon.match_text(said, "customer")) == {"repeat_contact"}


@pytest.mark.parametrize(
    ("said", "issue", "flag"),
    [
        ("non pas de problème", "problem", "negated"),
        ("aucun souci merci", "problem", "negated"),
        ("ma ligne n'est plus en panne", "technical_failure", "negated"),
        ("je ne veux pas résilier mon contrat", "churn_intent", "negated"),
        ("le problème est réglé", "problem", "resolved"),
        ("si j'ai un problème je vous rappelle", "problem", "hypothetical"),
    ],
)
def test_what_is_denied_settled_or_supposed_is_kept_and_not_counted(
    lexicon: Lexicon, said: str, issue: str, flag: str
) -> None:
    hits = [hit for hit in lexicon.match_text(said, "customer") if hit.issue == issue]
    assert [flag in hit.flags for hit in hits] == [True]
    assert not hits[0].counted


@pytest.mark.parametrize("said", ["ce n'est pas normal", "je suis pas du tout satisfait"])
def test_a_complaint_with_a_negation_is_counted(lexicon: Lexicon, said: str) -> None:
    assert issues(lexicon.match_text(said, "customer")) == {"dissatisfaction"}


def test_an_agent_s_question_is_no_promise(lexicon: Lexicon) -> None:
    (hit,) = lexicon.match_text("Je vous rappelle demain ?", "agent")
    assert hit.flags == ("question",)
    assert lexicon.match_text("Je vous rappelle demain.", "agent")[0].counted


def test_a_sentence_s_end_stops_a_gap(write_issue) -> None:
    own = Lexicon.load([write_issue("chat ..3 noir", "gros chien")])
    assert len(own.match_text("le chat est tout noir", "customer")) == 1
    assert own.match_text("le chat. Tout est noir", "customer") == ()
    assert len(own.match_text("un chat, oui, noir", "customer")) == 1
    assert len(own.match_text("un gros. Chien", "customer")) == 1


def test_a_match_that_begins_in_another_sentence_hides_none(write_issue) -> None:
    own = Lexicon.load([write_issue("(chat)? gros chat ..3 noir NOT/2 rien")])
    assert [hit.quote for hit in own.match_text("mon chat. Gros chat tout noir")] == ["Gros chat tout noir"]
    assert own.match_text("mon chat. Gros chat tout noir ou rien") == ()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("ma facture et son paiement", ["facture", "paiement"]),
        ("ma facture d'eau", []),
        # Both exceptions are there: the longer one counts, too, though it comes second.
        ("ma facture d'eau et son paiement", []),
        ("ma facture d'eau et son paiement refusé", ["paiement"]),
    ],
)
def test_what_overlaps_an_exception_is_no_hit(write_issue, said: str, found: list[str]) -> None:
    exceptions = """exceptions = ["facture d'eau", "facture d'eau ..3 paiement NOT/4 refusé"]\n"""
    own = Lexicon.load([write_issue("facture", "paiement", extra=exceptions)])
    assert [hit.quote for hit in own.match_text(said)] == found


def test_an_exception_s_gap_ends_with_the_sentence(write_issue) -> None:
    own = Lexicon.load([write_issue("panne", "marche plus", extra="""exceptions = ["site ..4 marche plus"]\n""")])
    assert not own.match_text("sur votre site la connexion ne marche plus")
    assert len(own.match_text("sur votre site. La connexion ne marche plus")) == 1


def test_what_another_says_is_no_part_of_an_exception(write_issue) -> None:
    own = Lexicon.load([write_issue("facture", extra="""exceptions = ["facture d'eau"]\n""")])
    turns = (Segment(0.0, 1.0, "ma facture", 0, "customer"), Segment(1.0, 2.0, "d'eau", 1, "agent"))
    assert len(own.match(Transcript("fr", 2.0, turns))) == 1


def test_an_announcement_before_the_agent_is_the_ivr_s(lexicon: Lexicon) -> None:
    said = "votre temps d'attente est estimé à cinq minutes merci de patienter"
    transcript = call(("customer", said), ("agent", "bonjour"), ("customer", "enfin une heure d'attente c'est long"))
    marked = mark_ivr(transcript, lexicon.announcements())
    assert [segment.speaker for segment in marked.segments] == ["ivr", "agent", "customer"]
    assert [hit.segment for hit in lexicon.match(marked) if hit.issue == "waiting"] == [2]
    assert lexicon.match(transcript) == lexicon.match(marked)


def test_who_speaks_next_is_given_no_words_of_another(lexicon: Lexicon) -> None:
    said = "ça fait une bonne demi-heure que je suis au téléphone"
    for order in (("customer", "agent", "customer"), ("agent", "customer", "agent")):
        hits = lexicon.match(call(*((speaker, said) for speaker in order), pause=9.0))
        assert [hit.segment for hit in hits if hit.issue == "waiting"] == [
            number for number, speaker in enumerate(order) if speaker == "customer"
        ]


def test_calls_together_are_matched_as_each_by_itself(lexicon: Lexicon) -> None:
    calls = [call(("customer", said), ("agent", "ne quittez pas")) for said in SAID * 3]
    assert list(lexicon.match_many(calls)) == [lexicon.match(one) for one in calls]


SENTENCES = st.lists(st.sampled_from(SAID), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.sampled_from([str.upper, str.title, str.capitalize]))
def test_case_does_not_matter(lexicon: Lexicon, text: str, change) -> None:
    found = [(h.issue, h.pattern, h.flags) for h in lexicon.match_text(text, "customer")]
    assert found == [(h.issue, h.pattern, h.flags) for h in lexicon.match_text(change(text), "customer")]


@settings(max_examples=40, deadline=None)
@given(SENTENCES)
def test_how_accents_are_encoded_does_not_matter(lexicon: Lexicon, text: str) -> None:
    assert lexicon.match_text(unicodedata.normalize("NFD", text), "customer") == lexicon.match_text(text, "customer")


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.data())
def test_where_segments_are_cut_does_not_matter(lexicon: Lexicon, text: str, data: st.DataObject) -> None:
    whole = call(("customer", text))
    words = whole.segments[0].words
    cuts = sorted(data.draw(st.sets(st.integers(1, len(words) - 1), max_size=4)))
    pieces = [words[a:b] for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]
    split = tuple(Segment(p[0].start, p[-1].end, " ".join(w.text for w in p), 0, "customer", tuple(p)) for p in pieces)

    def told(hits: tuple[Hit, ...]) -> list[tuple[object, ...]]:
        return [(h.issue, h.start, h.end, h.quote, h.flags) for h in hits]

    assert told(lexicon.match(replace(whole, segments=split))) == told(lexicon.match(whole))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*" ".join(SAID).split(), "24h", "jattends", "«", "œuvre", "…", "1er", "👍"]), max_size=60)
)
def test_every_hit_maps_back_to_its_words(lexicon: Lexicon, words: list[str]) -> None:
    if not words:
        return
    transcript = call(("customer", " ".join(words)))
    starts = {word.start for word in transcript.segments[0].words}
    ends = {word.end for word in transcript.segments[0].words}
    for hit in lexicon.match(transcript):
        assert hit.start in starts
        assert hit.end in ends
        inside = [w.text for w in transcript.segments[0].words if hit.start <= w.start and w.end <= hit.end]
        assert hit.quote in " ".join(inside)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_read(lexicon: Lexicon, text: str) -> None:
    for hit in lexicon.match_text(text, "unknown"):
        assert 0.0 <= hit.start <= hit.end <= 1.0


def test_a_word_without_end_and_a_text_without_words(lexicon: Lexicon) -> None:
    endless = "a" * 200_000
    hits = lexicon.match_text(f"{endless} personne ne m'a rappelé {endless}", "customer")
    assert [hit.quote for hit in hits] == ["personne ne m'a rappelé"]
    assert lexicon.match_text(" \n\t. ,", "customer") == ()
    assert lexicon.match_text("", "customer") == ()
    assert lexicon.match(Transcript("fr", 1.0, ())) == ()


def test_long_words_are_told_apart_by_all_their_letters(lexicon: Lexicon) -> None:
    table = lexicon.matcher("fr").table
    stem = "anticonstitutionnellementréinstallation"
    long = (stem + stem)[:64]
    words = [long[:size] for size in (1, 7, 8, 9, 15, 16, 17, 40, 64)] + [
        long + "s",
        long + "ses",
        "rappelé",
        "rappeler",
    ]
    text = " ".join(words * 3).encode("latin-1")
    for _ in range(2):
        read = table.read(text)
        singles = [table.read(word.encode("latin-1")).symbols.tolist() for word in words]
        assert read.symbols.tolist() == [symbol for _ in range(3) for single in singles for symbol in single]


@pytest.mark.parametrize(
    "piece",
    [
        "on m'a dit trois fois que ça fait vingt minutes que j'attends déjà ",
        "que je vous ai que je pas ",
        "deux trois quatre fois heures ",
        "il y a pas de problème avec mon et ma ",
    ],
)
def test_work_grows_with_the_text_and_no_faster(lexicon: Lexicon, piece: str) -> None:
    """Hostile text: what a pattern begins with, over and over. Counted in places to look at and in ways to try each."""
    from callscan.lexicon.program import MAX_WORK, work
    from callscan.lexicon.stream import Stream

    matcher = lexicon.matcher("fr")
    assert max(work(rule.pattern.node) for rule in lexicon.sources("fr").rules) <= MAX_WORK
    places = [matcher.work(Stream(matcher.table, [call(("customer", piece * times))])) for times in (100, 200, 400)]
    assert places[1] <= 2.2 * places[0] + 10
    assert places[2] <= 2.2 * places[1] + 10


@pytest.mark.parametrize(
    "piece", ["vous me facturez un service que je n'ai jamais demandé ", "il y a pas de problème avec mon et ma "]
)
def test_work_grows_with_what_is_found_and_no_faster(lexicon: Lexicon, piece: str) -> None:
    """Each sentence is found, and overlaps the next; counted in lines of Python that run."""
    steps: list[int] = []
    for times in (50, 100, 200):
        steps.append(0)

        def step(frame: FrameType, event: str, _: object) -> Any:
            if not frame.f_code.co_filename.endswith(("matcher.py", "flags.py", "stream.py")):
                return None
            steps[-1] += event == "line"
            return step

        sys.settrace(step)
        try:
            found = lexicon.match_text(piece * times, "customer")
        finally:
            sys.settrace(None)
        assert len(found) >= times
    assert steps[1] <= 2.2 * steps[0]
    assert steps[2] <= 2.2 * steps[1]


def test_a_long_text_is_matched_like_its_parts(lexicon: Lexicon) -> None:
    filler = "bonjour je voudrais un renseignement sur votre offre. " * 40
    parts = 60
    hits = lexicon.match_text((filler + "Personne ne m'a rappelé. ") * parts, "customer")
    assert sum(hit.issue == "callback_missed" for hit in hits) == parts
