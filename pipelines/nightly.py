"""Every night: listen to what the recorder wrote since yesterday, count again, hand the report on.

    python pipelines/nightly.py pipelines/laptop.toml recordings/ archive/

Safe to start twice and to kill: the archive has one writer at a time, and the next run continues.
"""

from __future__ import annotations

import argparse
import sys

import callscan
from callscan.config import load
from callscan.errors import CallscanError


def main() -> int:
    """Scan and print what a scheduler can log; exit 1 when more calls of the archive failed than the settings allow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", help="TOML file")
    parser.add_argument("recordings", nargs="+", help="folders, patterns or URLs")
    parser.add_argument("archive", help="folder or URL")
    options = parser.parse_args()
    try:
        settings = load(options.settings)
        report = callscan.scan(*options.recordings, archive=options.archive, settings=settings)
    except CallscanError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return 2
    coverage = report.coverage
    print(f"{coverage.discovered} discovered, {coverage.scanned} scanned, {coverage.quarantined} quarantined")
    for issue in report.issues:
        print(f"{issue.id}: {issue.calls} calls")
    return 1 if coverage.quarantined > settings.max_failures else 0


if __name__ == "__main__":
    sys.exit(main())
