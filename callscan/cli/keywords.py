"""`callscan keywords`: read, check, explain, try and measure lexicons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from callscan.errors import ConfigError

app = typer.Typer(help="Read, check, explain, try and measure the lexicons.", no_args_is_help=True)

Lexicons = Annotated[
    list[Path] | None, typer.Option("--lexicon", "-l", help="A lexicon file or folder; the built-in ones if left out.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
InLanguage = Annotated[str, typer.Option("--language", help="Language of the text: fr or en.")]


@app.command("list")
def list_(lexicon: Lexicons = None, json_: AsJson = False) -> None:
    """List the issues: id, version, who says it, severity and label."""
    from callscan.lexicon import Lexicon

    loaded = Lexicon.load(lexicon or ())
    if json_:
        issues = [
            {
                "id": issue.id,
                "label": dict(issue.label),
                "description": issue.description,
                "severity": issue.severity,
                "speaker": issue.speaker,
                "version": issue.version,
            }
            for issue in loaded.issues
        ]
        print(json.dumps({"digest": loaded.digest, "issues": issues}, ensure_ascii=False, indent=2))
        return
    for issue in loaded.issues:
        print(
            f"{issue.id:24} v{issue.version}  {issue.speaker or 'anyone':9} severity {issue.severity}  "
            f"{issue.label['fr']} / {issue.label['en']}"
        )
    print(f"digest {loaded.digest}")


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Lexicon files or folders; the built-in ones if left out.")
    ] = None,
) -> None:
    """Check lexicons: every pattern parses, every example holds."""
    from callscan.lexicon import Lexicon
    from callscan.lexicon.check import wrong_examples

    lexicon = Lexicon.load(paths or ())
    wrong = wrong_examples(lexicon)
    for error in wrong:
        print(f"{error}\n  hint: {error.hint}")
    print(f"{len(lexicon.issues)} issues, {len(lexicon.examples)} examples, {len(wrong)} wrong")
    if wrong:
        raise typer.Exit(1)


@app.command()
def explain(
    pattern: Annotated[str, typer.Argument(help="A pattern, in quotes.")],
    language: InLanguage = "fr",
) -> None:
    """Show what a pattern finds: its tree, forms and sounds."""
    from callscan.cli.match import known_language
    from callscan.lexicon import Lexicon
    from callscan.lexicon.check import explained

    loaded = Lexicon.load()
    print(explained(loaded, pattern, known_language(language, loaded)))


@app.command()
def test(
    sentence: Annotated[str, typer.Argument(help="What is said, in quotes.")],
    speaker: Annotated[str, typer.Option(help="customer, agent, ivr or unknown.")] = "unknown",
    language: InLanguage = "fr",
    lexicon: Lexicons = None,
    json_: AsJson = False,
) -> None:
    """Match one sentence, and show each hit with its flags."""
    from callscan.cli.match import as_record, known_language, known_speaker
    from callscan.lexicon import Lexicon

    loaded = Lexicon.load(lexicon or ())
    hits = loaded.match_text(sentence, known_speaker(speaker), known_language(language, loaded))
    if json_:
        print(json.dumps({"hits": [as_record(hit) for hit in hits]}, ensure_ascii=False, indent=2))
        return
    if not hits:
        print("no hits")
    for hit in hits:
        flags = f"  not counted: {', '.join(hit.flags)}" if hit.flags else ""
        print(f"{hit.issue}  « {hit.quote} »{flags}\n  {hit.lexicon}: {hit.pattern}")


@app.command("eval")
def eval_(
    labelled: Annotated[Path, typer.Argument(help="Labelled utterances, one JSON object a line.")],
    language: InLanguage = "fr",
    lexicon: Lexicons = None,
    json_: AsJson = False,
) -> None:
    """Measure precision and recall on labelled utterances.

    Per issue with 95 % intervals, and every error.
    """
    from callscan.cli.match import known_language
    from callscan.lexicon import Lexicon
    from callscan.lexicon.evaluate import evaluate, read_labelled

    utterances = read_labelled(labelled)
    if not utterances:
        raise ConfigError("holds no utterances", "one JSON object a line", where=str(labelled))
    loaded = Lexicon.load(lexicon or ())
    result = evaluate(loaded, utterances, known_language(language, loaded))
    if json_:
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return
    print(f"{'':24} precision            recall               F1      support")
    for name, row in [*result["issues"].items(), ("all", result["micro"])]:
        precision, recall = (_rate(row[key], row[f"{key}_95"]) for key in ("precision", "recall"))
        f1 = "  -  " if row["f1"] is None else f"{row['f1']:.3f}"
        print(f"{name:24} {precision:20} {recall:20} {f1}   {row['support']}")
    for error in result["errors"]:
        said = [f"missed {name}" for name in error["missed"]] + [f"false {name}" for name in error["false"]]
        print(f"line {error['line']}: {error['speaker']}: {error['text']}\n  {', '.join(said)}")
        for reason in error["because"]:
            print(f"    {reason}")


def _rate(share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None or interval is None:
        return "-"
    return f"{share:.3f} ({interval[0]:.2f} to {interval[1]:.2f})"
