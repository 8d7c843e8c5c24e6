"""What the matcher knows of French."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from callscan.lexicon import inflect, sounds

_FREQUENT = {
    "de": 40, "la": 25, "le": 25, "et": 25, "à": 22, "est": 25, "je": 35, "vous": 30, "que": 25, "pas": 22,
    "ça": 18, "les": 15, "un": 18, "une": 14, "on": 14, "il": 14, "en": 12, "ai": 14, "a": 22, "ce": 25, "c": 20,
    "des": 10, "pour": 12, "qui": 9, "mais": 8, "me": 10, "m": 8, "mon": 8, "ma": 6, "plus": 6, "fait": 7,
    "avec": 6, "sur": 5, "dans": 5, "tout": 5, "y": 6, "oui": 12, "non": 8, "d": 8, "l": 10, "qu": 6, "j": 18,
    "au": 5, "du": 7, "se": 6, "s": 6, "ils": 5, "elle": 3, "nous": 5, "avez": 5, "avons": 2, "ont": 5, "suis": 5,
    "si": 5, "été": 4, "être": 3, "là": 5, "bien": 6, "alors": 6, "moi": 5, "votre": 5, "vos": 2, "mes": 3,
    "peux": 3, "peut": 3, "dit": 3, "va": 3, "vais": 3, "faut": 2, "quand": 3, "comme": 3, "même": 2, "encore": 2,
    "toujours": 1.5, "déjà": 1.5, "aussi": 2, "fois": 1.5, "deux": 2, "trois": 1.2, "rien": 1, "jamais": 0.7,
    "ou": 4, "par": 4, "sans": 1, "veux": 1.5, "voulez": 1, "dois": 0.8, "doit": 0.8, "ces": 8, "ses": 8, "sais": 3,
    "sait": 3, "était": 3, "avait": 2, "avais": 2, "bonjour": 2, "merci": 2, "numéro": 1, "client": 0.7,
    "service": 1, "personne": 0.6, "quelqu": 0.6, "temps": 0.6, "jour": 0.5, "jours": 0.5, "depuis": 1, "voir": 1,
    "faire": 2, "autre": 1, "chez": 1, "problème": 0.8, "parce": 1.5, "dire": 1, "aller": 1, "savoir": 0.7,
    "très": 2, "trop": 0.6, "te": 2, "t": 3, "tu": 2, "son": 3, "sa": 10, "leur": 1, "vraiment": 1, "puis": 1.5,
    "es": 10, "as": 4, "elles": 1, "eux": 0.4, "aux": 1, "dû": 4, "cette": 1.5, "appel": 0.5, "appelle": 0.8,
    "rappelle": 0.3, "appelé": 0.5, "rappeler": 0.4, "compte": 0.5, "facture": 0.5, "demain": 0.5, "êtes": 2,
    "sont": 2, "sera": 1, "passe": 0.8, "passé": 0.8, "passer": 0.6, "bon": 2, "bonne": 1, "euros": 1, "tous": 5,
    "toute": 0.7, "toutes": 0.7, "mis": 0.6, "met": 0.6, "mettre": 0.6, "prendre": 0.7, "pris": 0.4, "prend": 0.5,
    "jusqu": 0.4, "avant": 0.7, "après": 0.8, "dernière": 0.3, "autres": 0.4, "parler": 0.3, "parle": 0.4,
    "appeler": 0.5, "contrat": 0.6, "adresse": 0.5, "ligne": 0.5, "mail": 0.5, "envoyé": 0.3, "envoie": 0.3,
    "reçu": 0.4, "donner": 0.4, "donné": 0.3, "donc": 8, "voilà": 5, "quoi": 3, "quelque": 0.6, "chose": 0.8,
    "comprends": 0.5, "où": 4, "combien": 0.4, "beaucoup": 0.6, "peu": 3, "petit": 0.5, "petite": 0.4, "mieux": 0.3,
    "monsieur": 1, "madame": 1, "vas": 2, "voulais": 0.6, "voudrais": 0.6, "pouvez": 0.8, "pourrait": 0.3,
    "serait": 0.3, "sois": 0.3, "venir": 0.4, "vient": 0.5, "viens": 0.3, "rester": 0.2, "prochain": 0.2,
    "moins": 0.6, "mettez": 0.2, "heure": 0.7, "minutes": 0.5, "minute": 0.3, "ans": 0.6, "an": 0.6, "année": 0.4,
    "chaque": 0.3, "ensuite": 0.4, "maintenant": 0.7, "juste": 0.8, "suite": 0.6, "place": 0.3, "partir": 0.5,
    "part": 0.6, "reste": 0.3, "mal": 0.3, "eu": 1, "cinq": 0.6, "quatre": 0.6, "six": 0.4, "dix": 0.5,
    "vingt": 0.5, "trente": 0.3, "cent": 1, "mille": 0.3, "huit": 0.3, "matin": 0.5, "semaine": 0.6, "mois": 5,
    "attends": 0.4, "marche": 0.3, "dossier": 0.6, "monde": 0.2,
}  # fmt: skip
"""Share of all spoken words, in thousandths, of the words that are said most."""

_LESS_FREQUENT = {
    1: """heures neuf carte sept notre nom premier téléphone quinze soir entre fils""",
    0.7: """douze quarante soixante cinquante assurance fille enfants maison lui mardi jeudi lundi vendredi samedi zéro
    cents mari date voiture livraison code nos colis commande demande mot seize quelle quel""",
    0.5: """quatorze mère père femme famille rendez aujourd hui midi journée journées accord prix offre garantie formule
    fin nuit frais cas nouvelle devis technicien courrier agence besoin magasin option première plaît payer pièce relevé
    onze ajouter mercredi changer change forfait virement prélèvement montant avis porte""",
    0.35: """grand rue compris pendant mars juin septembre janvier mai août octobre novembre décembre février avril
    juillet panne frère suffit arrive tombe prends hier dimanche plutôt droit personnes sous beau avoir veut eau bas
    chambre possible vers travaille point aimerais appels salle trouve choisi paye seul ancien nouveau dernier parfait
    compteur relais identité appartement box train départ dure envoyer côté petits naissance équipe boîte banque""",
    0.2: """école mètres gratuit faites faudrait aime logement mairie devant attend pièces préfère simple coup coûte
    boutique main attestation moitié signer arrivé cuisine cours responsable métier domicile convient donne ouvert
    bureau mutuelle parents près prise chien prévu celui celle souhaite voisin table compte avocat commence attendez
    crédit vu livreur chèque travaux papier fibre site électricité modèle question taux clés signature points vie bébé
    séjour lettre location justificatif habite délai semaines application internet espace remboursement factures accueil
    retour complet ici week end bout permis carrés prochaine gauche touche avion version achat compteurs""",
}
"""The same of words that are said less, by share; what is in neither is rare."""
_FREQUENT |= {word: share for share, words in _LESS_FREQUENT.items() for word in words.split() if word not in _FREQUENT}

_FREQUENT_PAIRS = {
    "c est": 16, "je vous": 8, "j ai": 10, "je suis": 4, "que je": 3, "je vais": 3, "ce que": 4, "y a": 4,
    "il y": 3.5, "m a": 1.5, "est ce": 3.5, "je voudrais": 1, "vous avez": 3.5, "vous êtes": 2, "que j": 2,
    "d accord": 4, "qu il": 2, "vous pouvez": 1.5, "je peux": 1.5, "ça fait": 1.5, "est pas": 3, "chez vous": 1.5,
    "pas de": 1.5, "on m": 1, "que vous": 2, "ai déjà": 0.8, "s il": 3, "il vous": 2.5, "vous plaît": 2.5,
    "vous me": 1, "vous m": 1, "ai pas": 1.5, "on me": 0.8, "je l": 1, "est bien": 1, "il faut": 1, "la même": 0.5,
    "à la": 1.5, "à l": 1, "est le": 1.2, "est la": 1.2, "je veux": 1, "on a": 1.5, "au revoir": 1, "quelqu un": 0.6,
    "a pas": 1.2, "de votre": 0.8, "parce que": 1.5, "est un": 1, "ce matin": 0.4, "fois que": 0.4, "deux fois": 0.3,
    "dans la": 0.8, "dans le": 0.8, "tout à": 0.7, "à fait": 0.6, "qu est": 1, "qu on": 1, "en fait": 1.2,
    "je sais": 0.8, "sais pas": 0.6, "je me": 1, "il est": 1.2, "en plus": 0.4, "pour le": 0.8, "de la": 2.5,
    "de l": 1.5, "tout de": 0.4, "de suite": 0.4, "je comprends": 0.4, "un peu": 0.7, "peu de": 0.2,
    "bonne journée": 0.8, "une bonne": 0.5, "les deux": 0.2, "le problème": 0.4, "un problème": 0.3,
    "mon compte": 0.3, "votre dossier": 0.3, "vous rappelle": 0.4, "vous dire": 0.2, "me dit": 0.3, "m ont": 0.3,
    "ai reçu": 0.3, "toujours pas": 0.3, "l a": 0.3, "a dit": 0.4, "ai eu": 0.4, "ont dit": 0.1,
}  # fmt: skip
"""Share of all spoken words, in thousandths, of the pairs that are said most, one word right after the other."""

_DROPPED = """ne n euh heu hum hem hmm mh ben bah beh hein genre écoutez écoute vraiment franchement carrément
littéralement sincèrement honnêtement simplement clairement quasiment strictement très super hyper extrêmement
complètement totalement absolument particulièrement tellement sacrément vachement"""

_NUMBERS = """zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"""


class French:
    """See :class:`callscan.lexicon.alphabet.Language`."""

    code = "fr"
    dropped = frozenset(_DROPPED.split())
    numbers = tuple(_NUMBERS.split())
    frequencies: Mapping[str, float] = MappingProxyType({word: share / 1000 for word, share in _FREQUENT.items()})
    pairs: Mapping[tuple[str, str], float] = MappingProxyType(
        {(pair.split()[0], pair.split()[1]): share / 1000 for pair, share in _FREQUENT_PAIRS.items()}
    )
    clitics = re.compile(r"(qu|[jcmn]|[stld](?=.{4}))([aeiouyhàâéèêëîïôûü].+|[aày])")

    def sound(self, word: str) -> str:
        """A key that words which sound alike share."""
        return sounds.sound(word)

    def fold(self, word: str) -> str:
        """The word without accents."""
        return sounds.fold(word)

    def inflections(self, word: str) -> tuple[tuple[str, str], ...]:
        """All forms of a word, each with the spelling that its sound is taken from."""
        return tuple((form, inflect.spoken(form, word)) for form in inflect.inflections(word))

    def fused(self, first: str, second: str) -> str:
        """The sound of an elided pair ("m" and "a")."""
        consonant = sounds.sound(first).rstrip("°") if len(first) <= 2 else sounds.sound(first)
        return consonant + sounds.sound(second)
