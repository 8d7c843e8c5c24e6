"""For those who write lexicons: which examples are wrong, and what a pattern means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from callscan.errors import ConfigError
from callscan.lexicon.alphabet import Alphabet
from callscan.lexicon.lexicon import Lexicon
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, PatternError, Said, Seq, Shape, parse
from callscan.lexicon.program import features, leaves, span, work


def wrong_examples(lexicon: Lexicon) -> list[ConfigError]:
    """An error for every example that does not match, or does, against what its lexicon says."""
    wrong: list[ConfigError] = []
    for language, example in lexicon.examples:
        hits = lexicon.match_text(example.text, example.speaker, language)
        found = [hit for hit in hits if hit.issue == example.issue]
        counted = [hit for hit in found if hit.counted]
        if example.matches and not counted:
            flags = sorted({flag for hit in found for flag in hit.flags})
            hint = f"it is found, but flagged {', '.join(flags)}" if flags else "add a pattern for it"
            wrong.append(ConfigError(f"'{example.text}' does not match {example.issue}", hint, where=example.where))
        elif not example.matches and counted:
            wrong.append(
                ConfigError(
                    f"'{example.text}' matches {example.issue}",
                    f"by '{counted[0].pattern}' at « {counted[0].quote} »: add an exception, or narrow the pattern",
                    where=example.where,
                )
            )
    return wrong


def explained(lexicon: Lexicon, text: str, language: str) -> str:
    """What a pattern means, in words; raises ConfigError where it is wrong."""
    spoken = lexicon.language(language)
    try:
        pattern = parse(text, lexicon.sources(language).classes, spoken.dropped)
    except PatternError as error:
        raise ConfigError(error.message, error.hint, where=f"pattern:1:{error.column + 1}") from None
    alphabet = Alphabet(spoken)
    for leaf in leaves(pattern.node):
        asked = list(features(leaf, alphabet))
        alphabet.ask((f for f, _ in asked), ((s, f) for f, s in asked if s))
    alphabet.freeze()
    fewest, most = span(pattern.node)
    names = {id(node): name for name, node in lexicon.sources(language).classes.items()}
    lines = list(_tree(pattern.node, alphabet, names, 0))
    lines.append(f"{fewest} to {most} words, at most {work(pattern.node)} ways to try at one place")
    for node, reach in pattern.unless:
        lines.append(f"not where this is found within {reach} words:")
        lines.extend(_tree(node, alphabet, names, 1))
    return "\n".join(lines)


def _tree(node: Node, alphabet: Alphabet, names: Mapping[int, str], depth: int) -> Iterator[str]:
    pad = "  " * depth
    if id(node) in names:
        yield f"{pad}<{names[id(node)]}>"
    elif isinstance(node, Said):
        asked = [feature for feature, _ in features(node, alphabet)]
        if node.exact:
            yield f"{pad}{node.word}: written so"
        elif node.inflected:
            forms = [form for form, _ in alphabet.language.inflections(node.word)]
            sounds = sorted({key for _, key in asked})
            yield f"{pad}{node.word}, any of {len(forms)} forms ({', '.join(forms[:6])}, ...); {len(sounds)} sounds"
        else:
            yield f"{pad}{node.word}: whatever sounds like [{asked[0][1]}]"
    elif isinstance(node, Fused):
        yield f"{pad}{node.first}'{node.second} heard as one word"
    elif isinstance(node, Shape):
        yield f"{pad}<{node.name}>"
    elif isinstance(node, Gap):
        yield f"{pad}up to {node.most} words"
    elif isinstance(node, Opt):
        yield f"{pad}optional:"
        yield from _tree(node.part, alphabet, names, depth + 1)
    elif isinstance(node, Near):
        how = f"{node.seconds:g} seconds" if node.seconds is not None else f"{node.words} words"
        yield f"{pad}{'this, then' if node.ordered else 'in any order,'} within {how}:"
        yield from _tree(node.first, alphabet, names, depth + 1)
        yield from _tree(node.second, alphabet, names, depth + 1)
    elif isinstance(node, Alt):
        if len(node.options) > 12 and all(isinstance(option, Said) for option in node.options):
            yield f"{pad}one of {len(node.options)}: {', '.join(o.word for o in node.options if isinstance(o, Said))}"
            return
        yield f"{pad}one of:"
        for option in node.options:
            yield from _tree(option, alphabet, names, depth + 1)
    elif isinstance(node, Seq):
        for part in node.parts:
            yield from _tree(part, alphabet, names, depth)
