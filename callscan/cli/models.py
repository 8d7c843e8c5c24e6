"""``callscan models``: which models there are, and how to fetch one."""

from __future__ import annotations

import json as json_
import sys
from typing import Annotated

import typer

app = typer.Typer(help="Models: what there is, what is on this machine.", no_args_is_help=True)


@app.command("list")
def list_models(json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False) -> None:
    """List the models that --model and --diarization know by name."""
    from callscan.diarization import models as pipelines
    from callscan.speech.models import DEMO, KNOWN, cached

    rows = [{"name": "demo", "megabytes": 14, "folder": str(DEMO), "repository": ""}]
    for model in KNOWN.values():
        folder = cached(model.name)
        rows.append(
            {
                "name": model.name,
                "megabytes": model.megabytes,
                "folder": str(folder) if folder else "",
                "repository": model.repository,
            }
        )
    rows.append(
        {
            "name": pipelines.COMMUNITY,
            "megabytes": pipelines.MEGABYTES,
            "folder": str(pipelines.cached() or ""),
            "repository": pipelines.REPOSITORY,
        }
    )
    if json:
        json_.dump(rows, sys.stdout, indent=1)
        print()
        return
    for row in rows:
        where = "ships with callscan" if row["name"] == "demo" else row["folder"] or "not fetched"
        print(f"{row['name']:15} {row['megabytes']:5} MB  {where}")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name from 'callscan models list'.")]) -> None:
    """Download a model, so that later scans need no network."""
    from callscan.diarization import models as pipelines
    from callscan.speech.models import DEMO, KNOWN, cached
    from callscan.speech.models import fetch as download

    if name == "demo":
        print(DEMO)
    elif name == pipelines.COMMUNITY:
        print(pipelines.cached() or pipelines.fetch())
    else:
        print((cached(name) if name in KNOWN else None) or download(name))
