"""All inflections of a French word: verbs by conjugation, nouns and adjectives by gender and number.

The lists may hold a form that no book lists; a form nobody says does no harm. They hold every form that is said.
"""

from __future__ import annotations

from functools import lru_cache

_ER = "e es ons ez ent ais ait ions iez aient a ai é ée és ées er ant era erai eras erons erez eront erais erait"
_ER += " erions eriez eraient"
_FUTURE = "ai as a ons ez ont ais ait ions iez aient"
_IMPERFECT = "ais ait ions iez aient ant ons ez"

_IRREGULAR: dict[str, str] = {
    "être": "suis es est sommes êtes sont étais était étions étiez étaient été serai seras sera serons serez seront"
    " serais serait seriez seraient sois soit soyez soient être",
    "avoir": "ai as a avons avez ont avais avait avions aviez avaient eu eue eus aurai auras aura aurons aurez auront"
    " aurais aurait aurions auriez auraient aie ait ayez aient avoir ayant",
    "aller": "vais vas va allons allez vont allais allait allions alliez allaient allé allée allés allées irai iras ira"
    " irons irez iront irais irait aille ailles aillent aller",
    "faire": "fais fait faisons faites font faisais faisait faisiez faisaient faite faits ferai feras fera ferons ferez"
    " feront ferais ferait feriez feraient fasse fasses fassent faire",
    "dire": "dis dit disons dites disent disais disait disiez disaient dite dits dirai dira direz diront dirait dise"
    " dire",
    "pouvoir": "peux peut pouvons pouvez peuvent pouvais pouvait pouvions pouviez pouvaient pu pourrai pourras pourra"
    " pourrons pourrez pourront pourrais pourrait pourrions pourriez pourraient puisse puissiez pouvoir",
    "vouloir": "veux veut voulons voulez veulent voulais voulait voulions vouliez voulaient voulu voudrai voudra"
    " voudrez voudrais voudrait voudrions voudriez voudraient veuille veuillez vouloir",
    "devoir": "dois doit devons devez doivent devais devait devions deviez devaient dû due devrai devra devrez devront"
    " devrais devrait devrions devriez devraient doive devoir",
    "savoir": "sais sait savons savez savent savais savait savions saviez savaient su saurai saura sache savoir",
    "venir": "viens vient venons venez viennent venais venait venions veniez venaient venu venue venus venues viendrai"
    " viendra viendrez viendront viendrait vienne viennes viennent venir",
    "tenir": "tiens tient tenons tenez tiennent tenais tenait teniez tenaient tenu tenue tenus tenues tiendrai tiendra"
    " tiendrez tiendront tiendrait tienne tiennent tenir",
    "prendre": "prends prend prenons prenez prennent prenais prenait preniez prenaient pris prise prises prendrai"
    " prendra prendrez prendront prendrait prenne prennent prendre",
    "mettre": "mets met mettons mettez mettent mettais mettait mettiez mettaient mis mise mises mettrai mettra mettrez"
    " mettront mettrait mette mettent mettre",
    "voir": "vois voit voyons voyez voient voyais voyait vu vue vus vues verrai verra verrons verrez verront verrait"
    " voie voir",
    "croire": "crois croit croyons croyez croient croyais croyait cru croire",
    "lire": "lis lit lisons lisez lisent lisais lisait lu lue lus lire",
    "écrire": "écris écrit écrivons écrivez écrivent écrivais écrivait écrite écrits écrirai écrire",
    "crire": "cris crit crivons crivez crivent crivais crivait crite crits crites crirai crira crire crive",
    "recevoir": "reçois reçoit recevons recevez reçoivent recevais recevait receviez recevaient reçu reçue reçus reçues"
    " recevrai recevra recevrez recevrait reçoive recevoir",
    "connaître": "connais connaît connaissons connaissez connaissent connaissais connaissait connu connaître",
    "résoudre": "résous résout résolvons résolvez résolvent résolu résolue résolus résolues résoudra résoudre résolve",
    "suivre": "suis suit suivons suivez suivent suivais suivait suivi suivie suivis suivre suivra",
    "vivre": "vis vit vivons vivez vivent vécu vivre",
    "falloir": "faut fallait fallu faudra faudrait faille",
    "courir": "cours court courons courez courent courais courait couru courrai courir coure",
    "mourir": "meurs meurt mourons mourez meurent mort morte mourir",
    "ouvrir": "ouvre ouvres ouvrons ouvrez ouvrent ouvrais ouvrait ouvert ouverte ouverts ouvertes ouvrira ouvrirait"
    " ouvrir",
    "offrir": "offre offres offrons offrez offrent offrais offrait offert offerte offerts offertes offrirai offrira"
    " offrir",
    "partir": "pars part partons partez partent partais partait partiez partaient parti partie partis partirai partira"
    " parte partir",
    "sortir": "sors sort sortons sortez sortent sortais sortait sorti sortie sortis sortirai sorte sortir",
    "sentir": "sens sent sentons sentez sentent sentais sentait senti sentie sentir",
    "servir": "sers sert servons servez servent servais servait servi servie servira serve servir",
    "dormir": "dors dort dormons dormez dorment dormais dormait dormi dormir",
    "payer": "paie paies paye payes payons payez paient payent payais payait payiez payé payée payés payées payer"
    " paierai paiera paierez payerai payera paierait payant",
    "envoyer": "envoie envoies envoyons envoyez envoient envoyais envoyait envoyiez envoyé envoyée envoyés envoyées"
    " envoyer enverrai enverra enverrons enverrez enverront enverrait",
    "battre": "bats bat battons battez battent battais battu battue battre",
    "plaire": "plais plaît plaisent plu plaisait plaire",
}
_BASES: tuple[str, ...] = (
    "venir",
    "tenir",
    "prendre",
    "mettre",
    "crire",
    "ouvrir",
    "servir",
    "partir",
    "sortir",
    "envoyer",
    "payer",
)
_BASES += ("voir", "faire", "dire", "lire", "courir", "battre", "connaître", "suivre", "sentir")


def _er_verb(verb: str) -> set[str]:
    stem = verb[:-2]
    forms = {stem + ending for ending in _ER.split()}
    soft = ""
    if stem.endswith("g"):
        soft = stem + "e"
    elif stem.endswith("c"):
        soft = stem[:-1] + "ç"
    if soft:
        forms |= {soft + ending for ending in ("ons", "ais", "ait", "aient", "a", "ant")}
    strong = []
    if len(stem) > 2 and stem[-1] not in "aeiouyéè":
        if stem[-2] == "e":
            strong = [stem[:-2] + "è" + stem[-1]] + ([stem + stem[-1]] if stem[-1] in "lt" else [])
        elif stem[-2] == "é":
            strong = [stem[:-2] + "è" + stem[-1]]
    elif stem.endswith("y"):
        strong = [stem[:-1] + "i"]
    if strong and stem[-1] != "y":
        forms -= {stem + ending for ending in ("e", "es", "ent")}
    for other in strong:
        forms |= {other + ending for ending in ("e", "es", "ent")}
        forms |= {other + "er" + ending for ending in _FUTURE.split()}
    return forms


def _ir_verb(verb: str) -> set[str]:
    stem = verb[:-1]
    forms = {stem + ending for ending in ("", "s", "t", "e", "es", "r", "ssons", "ssez", "ssent", "sse", "ssant")}
    return forms | {stem + "ss" + e for e in _IMPERFECT.split()} | {stem + "r" + e for e in _FUTURE.split()}


def _re_verb(verb: str) -> set[str]:
    stem = verb[:-2]
    forms = {stem + ending for ending in ("", "s", "e", "es", "ent", "u", "ue", "us", "ues", "re")}
    return forms | {stem + e for e in _IMPERFECT.split()} | {stem + "r" + e for e in _FUTURE.split()}


def _indre_verb(verb: str) -> set[str]:
    stem = verb[:-3]
    soft = stem[:-1] + "gn"
    forms = {stem + ending for ending in ("s", "t", "te", "ts", "tes", "dre")}
    forms |= {soft + e for e in ("ons", "ez", "ent", "ais", "ait", "aient", "iez", "e", "es")}
    return forms | {stem + "dr" + e for e in _FUTURE.split()}


def _noun(word: str) -> set[str]:
    forms = {word, word + "s"}
    if word.endswith(("s", "x", "z")):
        forms = {word}
    if word.endswith("eux"):
        forms |= {word[:-1] + "se", word[:-1] + "ses"}
    elif word.endswith("if"):
        forms |= {word[:-1] + "ve", word[:-1] + "ves"}
    elif word.endswith(("el", "en", "et", "on", "eil", "ul")):
        forms |= {word + word[-1] + "e", word + word[-1] + "es", word + "e", word + "es"}
    elif word.endswith("al"):
        forms |= {word[:-1] + "ux", word + "e", word + "es"}
    elif word.endswith("er"):
        forms |= {word[:-2] + "ère", word[:-2] + "ères"}
    elif word.endswith("eur"):
        forms |= {word[:-1] + "se", word[:-1] + "ses", word[:-3] + "rice", word[:-3] + "rices", word + "e"}
    elif word.endswith("eau"):
        forms |= {word + "x", word[:-3] + "elle", word[:-3] + "elles"}
    elif word.endswith("teux"):
        forms |= {word[:-1] + "se"}
    elif not word.endswith("e"):
        forms |= {word + "e", word + "es"}
    return forms


@lru_cache(maxsize=4096)
def inflections(word: str) -> tuple[str, ...]:
    """Every form of ``word`` (lower case; a verb as its infinitive, else a masculine singular), sorted."""
    if word in _IRREGULAR:
        return tuple(sorted(_IRREGULAR[word].split()))
    for base in _BASES:
        if word.endswith(base) and word not in ("avoir", "prévoir"):
            prefix = word[: -len(base)]
            return tuple(sorted(prefix + form for form in _IRREGULAR[base].split()))
    if word.endswith("indre"):
        forms = _indre_verb(word)
    elif (
        word.endswith("er")
        and len(word) > 3
        and word not in ("dernier", "premier", "dossier", "hier", "cher", "courrier")
    ):
        forms = _er_verb(word)
    elif word.endswith("ir"):
        forms = _ir_verb(word)
    elif word.endswith(("dre", "pre", "tre")) and not word.endswith(("autre", "notre", "votre")):
        forms = _re_verb(word)
    else:
        forms = _noun(word)
    return tuple(sorted(forms))


def spoken(form: str, word: str) -> str:
    """The spelling to take the sound of ``form`` from: in a verb's form the ending -ent is silent."""
    if form.endswith("ent") and not form.endswith("ient") and word.endswith(("r", "re")):
        return form[:-2]
    return form
