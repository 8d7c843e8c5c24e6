"""``callscan demo``: the sample calls, from recording to report, on the embedded model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    archive: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the archive.")] = Path("callscan-demo"),
    json: Annotated[bool, typer.Option("--json", help="Print report.json on stdout, and nothing else there.")] = False,
) -> None:
    """Scan the sample calls, and show where to look next.

    The embedded speech model understands only the synthetic voice of these calls: use a real one on yours.
    """
    import callscan.demo
    from callscan.cli.scan import scan
    from callscan.diarization.models import installed

    calls = Path(callscan.demo.__file__).parent / "calls"
    scan(
        [str(calls)],
        str(archive),
        model="demo",
        device="cpu",
        diarization="demo" if installed() else "off",
        metadata=str(calls / "calls.csv"),
        json=json,
    )
    print(
        f"\nThe report is in {archive}/report: open report.html, or read report.json.\n"
        f"  callscan show {archive} 02-box-en-panne   what was said in one call\n"
        f"  callscan status {archive}                 what became of every recording\n"
        "  callscan scan RECORDINGS --archive DIR    the same on your own calls, with a real model\n"
        "The sample voices are synthetic, and the embedded model understands no others.",
        file=sys.stderr,
    )
