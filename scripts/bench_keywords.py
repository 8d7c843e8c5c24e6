"""How fast the built-in lexicons run over transcripts, beside `re` and pyahocorasick over plain phrases.

    python scripts/bench_keywords.py [--megabytes 100] [--json]

The text is made up from sentences of calls: most say nothing, about one in forty says that something hurts. Every
byte goes the whole way: transcript in, hits with times and flags out. pyahocorasick and `re` are given plain phrases
(the patterns spelled out, a sample of them) and look for exactly those: no forms, no sounds, no gaps, no flags.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice

from callscan.lexicon import Lexicon
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Seq
from callscan.records import Segment, Speaker, Transcript

NEUTRAL = """bonjour je suis bien au service client
oui bonjour monsieur que puis-je faire pour vous
alors je vous écoute dites-moi tout
je vous appelle au sujet de mon contrat d'assurance habitation
est-ce que vous pouvez me donner votre nom et votre prénom s'il vous plaît
oui c'est Martin M A R T I N prénom Jacqueline
d'accord et votre date de naissance
le douze mars mille neuf cent cinquante-six
très bien je vous remercie je consulte votre fiche
voilà donc vous êtes chez nous depuis deux mille quatorze
oui ça doit être ça à peu près
alors ce que je voulais savoir c'est si je peux changer mon adresse
bien sûr on peut faire ça ensemble
la nouvelle adresse c'est quatorze rue des Lilas à Nantes
vous avez le code postal s'il vous plaît
quarante-quatre mille
et à partir de quelle date vous déménagez
normalement le premier septembre on a les clés le trente août
d'accord donc je note le premier septembre
est-ce que la surface du logement est la même
non c'est un peu plus grand on passe à quatre-vingt-dix mètres carrés
il y a un garage ou une cave
il y a une cave et une place de parking
très bien et vous êtes locataire ou propriétaire
locataire pour l'instant
d'accord donc le tarif va passer à vingt-deux euros par mois
ah oui c'est un tout petit peu plus
oui parce que la surface est plus importante
d'accord ça me va
vous recevrez le nouveau contrat par courrier électronique
l'adresse c'est toujours la même jacqueline point martin
oui c'est la même
parfait est-ce que je peux faire autre chose pour vous
non c'est tout ce que je voulais savoir
et pour ma fille qui part étudier à Lyon comment ça se passe
on peut faire un contrat étudiant c'est environ cinq euros
il faut une attestation pour son propriétaire
vous pouvez la télécharger dans votre espace ou je vous l'envoie
par mail ça sera plus simple pour elle
quel est son prénom
elle s'appelle Clémence
elle commence les cours le quinze
bon alors je résume on a fait le changement d'adresse
et le contrat étudiant on verra quand elle aura son appartement
exactement
je vous souhaite une bonne journée
merci à vous aussi au revoir
au revoir madame
donc là je regarde dans le dossier ce qui a été enregistré
ma mère habite juste à côté donc c'est pratique
on avait pris l'option avec les chaînes de sport
mon mari regarde surtout le rugby le samedi
il fait un temps magnifique aujourd'hui à Marseille
je vois que la dernière échéance est passée le cinq
oui tout à fait c'est bien ce que j'ai sur mon relevé
vous avez un stylo pour noter la référence
allez-y je vous écoute
c'est le B comme Bernard trois cent douze
très bien c'est noté
le magasin ferme à dix-neuf heures trente en semaine
je peux venir samedi dans la matinée avec la carte grise
il faudra aussi une pièce d'identité et un justificatif de domicile
le permis de conduire ça suffit
oui le permis ou le passeport
et si c'est ma femme qui vient à ma place
il lui faudra une procuration signée
d'accord je lui dirai
le rendez-vous est fixé au mardi vingt-trois à quatorze heures
c'est noté dans mon agenda
est-ce que le technicien a besoin d'entrer dans l'appartement
oui il passera par le salon pour poser la prise
il y en a pour une heure environ
je serai là toute la journée de toute façon
vous préférez le matin ou l'après-midi
plutôt le matin parce que je travaille
l'offre comprend aussi les appels vers les mobiles
et vers l'étranger c'est compris aussi
vers l'Europe oui pour les autres pays il y a un supplément
on va souvent au Portugal l'été dans la famille
alors pas de souci c'est compris
je voudrais aussi ajouter mon fils sur le contrat
il vient d'avoir dix-huit ans il passe son code
on peut l'ajouter comme conducteur secondaire
ça fait combien en plus par an
je fais une simulation tout de suite
donc ça ferait quarante-huit euros de plus sur l'année
oui c'est raisonnable
je vais en parler avec mon mari et je vous dis
prenez votre temps l'offre est valable jusqu'à la fin du mois
vous êtes à combien de kilomètres par an
oh je dirais dix mille pas davantage
la voiture dort dans un garage fermé
c'est une petite citadine essence de deux mille dix-neuf
le chien est un berger australien il a trois ans
il est identifié par une puce et vacciné
la formule confort couvre les consultations chez le vétérinaire
on est très contents de cette formule en tout cas
je vous mets aussi la brochure en pièce jointe
merci beaucoup pour votre aide c'est gentil
je vous en prie c'est normal
votre numéro de téléphone c'est toujours le zéro six
oui c'est toujours celui-là
est-ce que vous connaissez notre application mobile
oui je l'utilise de temps en temps pour voir mes contrats
parfait dans ce cas vous retrouverez tout dedans""".splitlines()
_NAMES = "Lyon Bordeaux Paul Karim Sophie Léa Strasbourg Durand Moreau Fatima Hugo Rennes Chloé Nguyen Garcia"
NAMES = _NAMES.split()
FILLERS = ["euh", "donc", "alors", "bon", "voilà", "enfin", "oui", "ben"]
HURTS = 1 / 40
STRETCH = 1000
"""Calls that are made before the clock runs, and matched as one stream."""


def transcripts(lexicon: Lexicon, megabytes: float, seed: int = 7) -> Iterator[tuple[Transcript, int]]:
    """Made-up calls with their size in bytes, as many as it takes."""
    chance = random.Random(seed)
    painful = [e.text for code, e in lexicon.examples if code == "fr" and e.matches and e.speaker == "customer"]
    spoken = [e.text for code, e in lexicon.examples if code == "fr" and e.matches and e.speaker == "agent"]
    left = megabytes * 1e6
    while left > 0:
        segments: list[Segment] = []
        size, clock = 0, 0.0
        for turn in range(chance.randint(30, 80)):
            speaker: Speaker = "customer" if turn % 2 else "agent"
            sentences: list[str] = []
            for _ in range(chance.randint(1, 3)):
                said = chance.choice(NEUTRAL)
                if chance.random() < HURTS:
                    said = chance.choice(painful if speaker == "customer" else spoken)
                if chance.random() < 0.3:
                    said = f"{chance.choice(FILLERS)} {said} {chance.choice(NAMES)} {chance.randint(1, 9999)}"
                sentences.append(said[0].upper() + said[1:] + chance.choice([".", ".", ",", " ?", ""]))
            text = " ".join(sentences)
            size += len(text.encode()) + 1
            end = clock + len(text) / 14
            segments.append(Segment(clock, end, text, turn % 2, speaker))
            clock = end + 0.4
        left -= size
        yield Transcript("fr", 1.0, tuple(segments)), size


def spelled_out(node: Node, chance: random.Random) -> list[str]:
    """One way to say a pattern, word by word, chosen by chance."""
    if isinstance(node, Said):
        return [node.word]
    if isinstance(node, Fused):
        return [node.first + node.second]
    if isinstance(node, Seq):
        return [word for part in node.parts for word in spelled_out(part, chance)]
    if isinstance(node, Alt):
        return spelled_out(chance.choice(node.options), chance)
    if isinstance(node, Opt):
        return spelled_out(node.part, chance) if chance.random() < 0.5 else []
    if isinstance(node, Near):
        return spelled_out(node.first, chance) + spelled_out(node.second, chance)
    return [] if isinstance(node, Gap) else ["2"]


def plain_phrases(lexicon: Lexicon, each: int = 20) -> list[str]:
    """The patterns spelled out, ``each`` of them in as many ways."""
    chance = random.Random(3)
    rules = lexicon.sources("fr").rules
    return sorted({" ".join(spelled_out(rule.pattern.node, chance)) for rule in rules for _ in range(each)})


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    started = time.perf_counter()
    lexicon = Lexicon.load()
    lexicon.prepare()
    loading = time.perf_counter() - started
    # Started once, before the clock runs, as the automaton of pyahocorasick is built.
    first = [transcript for transcript, _ in transcripts(lexicon, 1, seed=1)]
    before = time.perf_counter()
    for _ in lexicon.match_many(first):
        pass
    starting = time.perf_counter() - before

    # The calls of a stretch are made before the clock runs, and are gone before the next: memory shows what is kept.
    seconds = cpu = size = 0.0
    hits = calls = 0
    after_first = 0.0
    source = transcripts(lexicon, options.megabytes)
    while stretch := list(islice(source, STRETCH)):
        before, before_cpu = time.perf_counter(), time.process_time()
        found = [len(one) for one in lexicon.match_many(transcript for transcript, _ in stretch)]
        seconds += time.perf_counter() - before
        cpu += time.process_time() - before_cpu
        size += sum(length for _, length in stretch)
        hits += sum(found)
        calls += len(found)
        if not after_first and size > options.megabytes * 1e5:
            after_first = peak_megabytes()

    phrases = plain_phrases(lexicon)
    sample = "\n".join(s.text for t, _ in transcripts(lexicon, min(5, options.megabytes)) for s in t.segments).lower()
    results: dict[str, object] = {
        "megabytes": round(size / 1e6, 1),
        "calls": calls,
        "patterns": len(lexicon.sources("fr").rules),
        "hits": hits,
        "hits_per_kilobyte": round(hits / size * 1e3, 3),
        "load_seconds": round(loading, 2),
        "first_megabyte_seconds": round(starting, 2),
        "megabytes_per_second": round(size / 1e6 / seconds, 1),
        "megabytes_per_cpu_second": round(size / 1e6 / cpu, 1),
        "peak_megabytes_after_a_tenth": round(after_first, 1),
        "peak_megabytes": round(peak_megabytes(), 1),
        "plain_phrases": len(phrases),
    }
    rate = size / 1e6 / cpu
    try:
        import ahocorasick  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        results["pyahocorasick"] = None
    else:
        automaton = ahocorasick.Automaton()
        for phrase in phrases:
            automaton.add_word(phrase, phrase)
        automaton.make_automaton()
        before = time.process_time()
        count = sum(1 for _ in automaton.iter(sample))
        plain = len(sample.encode()) / 1e6 / (time.process_time() - before)
        results["pyahocorasick"] = {"megabytes_per_second": round(plain, 1), "hits": count}
        results["ratio_to_pyahocorasick"] = round(rate / plain, 2)
    short = sample[:100_000]
    expression = re.compile("|".join(rf"\b{re.escape(p)}\b" for p in sorted(phrases, key=len, reverse=True)))
    before = time.process_time()
    count = sum(1 for _ in expression.finditer(short))
    plain = len(short.encode()) / 1e6 / (time.process_time() - before)
    results["re"] = {"megabytes_per_second": round(plain, 3), "hits": count}
    results["ratio_to_re"] = round(rate / plain, 1)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        for name, value in results.items():
            print(f"{name:32} {value}", file=sys.stdout)


if __name__ == "__main__":
    main()
