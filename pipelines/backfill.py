"""Years of recordings, month by month: each folder is scanned by itself, into one archive.

    python pipelines/backfill.py pipelines/gpu-cluster.toml s3://calls/recordings s3://calls/archive

A month that fails as a whole (its store cannot be reached) does not stop the next. Files beside the months are left
out. Started again, it skips what is done: every recording that is in the archive unchanged costs one look at its size.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import fsspec

import callscan
from callscan.audio.discovery import NothingFoundError
from callscan.config import load
from callscan.errors import CallscanError


def main() -> int:
    """Scan one folder after another; exit 1 if one of them could not be scanned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", help="TOML file")
    parser.add_argument("root", help="folder or URL with one folder a month")
    parser.add_argument("archive", help="folder or URL")
    options = parser.parse_args()
    failed = 0
    try:
        settings = load(options.settings)
        filesystem, root = fsspec.core.url_to_fs(options.root)
        months, beside = _months(filesystem, root)
    except (CallscanError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if beside:
        print(f"{beside} files beside the months in {options.root} are left out", file=sys.stderr)
    if not months:
        print(f"{options.root} holds no folders: give the one that has a folder for each month", file=sys.stderr)
        return 2
    for number, month in enumerate(months, 1):
        try:
            coverage = callscan.scan(month.removeprefix("file://"), archive=options.archive, settings=settings).coverage
        except NothingFoundError:
            print(f"{number} of {len(months)} {month}: no recordings", flush=True)
            continue
        except CallscanError as error:
            failed += 1
            print(f"{month}: {error.message} ({error.hint})", file=sys.stderr)
            continue
        print(f"{number} of {len(months)} {month}: {coverage.discovered} recordings in the archive", flush=True)
    return 1 if failed else 0


def _months(filesystem: Any, root: str) -> tuple[list[str], int]:
    """The folders in ``root`` by name, without hidden ones, and how many files are beside them."""
    months, beside = [], 0
    for entry in filesystem.ls(root, detail=True):
        path = entry["name"].rstrip("/")
        if path == root.rstrip("/") or path.rpartition("/")[2].startswith("."):
            continue  # a store may list the folder in itself
        if entry["type"] == "directory" or (entry.get("islink") and filesystem.isdir(path)):
            months.append(filesystem.unstrip_protocol(path))
        else:
            beside += 1
    return sorted(months), beside


if __name__ == "__main__":
    sys.exit(main())
