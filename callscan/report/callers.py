"""Caller numbers become pseudonyms before anything is written: HMAC-SHA256 under a key that stays out of the archive.

A plain hash would not do: all the numbers of a country are hashed in minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from callscan.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

KEY_VARIABLE = "CALLSCAN_CALLER_KEY"
"""Environment variable with the key: hexadecimal, at least 16 bytes."""

_ANONYMOUS = {
    "",
    "anonymous",
    "unknown",
    "restricted",
    "private",
    "unavailable",
    "anonyme",
    "masque",
    "masqué",
    "inconnu",
}


def caller_key() -> bytes:
    """The key of this installation: from the environment, or from a file of its user's settings, made on first use.

    Pseudonyms of two archives compare only under one key: a cluster gives all its machines the variable.
    """
    given = os.environ.get(KEY_VARIABLE)
    if given:
        try:
            key = bytes.fromhex(given)
        except ValueError:
            raise UsageError(f"{KEY_VARIABLE} is not hexadecimal", "openssl rand -hex 32 makes one") from None
        if len(key) < 16:
            raise UsageError(f"{KEY_VARIABLE} is shorter than 16 bytes", "openssl rand -hex 32 makes one")
        return key
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "callscan"
    path = settings / "caller.key"
    try:
        settings.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        except FileExistsError:
            pass
        return bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot use the caller key {path}: {error}", f"set {KEY_VARIABLE}") from error


def normalised(number: str) -> str:
    """One spelling of a caller number: digits, in international form where it says so; empty where it is withheld.

    A French national number (ten digits, leading 0) is that of +33.
    """
    text = number.strip().lower().removeprefix("sip:").removeprefix("tel:").split("@")[0]
    if text in _ANONYMOUS:
        return ""
    digits = re.sub(r"\D", "", text)
    if text.startswith("+"):
        return digits
    if digits.startswith("00"):
        return digits[2:]
    if len(digits) == 10 and digits.startswith("0"):
        return "33" + digits[1:]
    return digits


def pseudonym(number: str, key: bytes) -> str | None:
    """32 hexadecimal digits that stand for a caller number; None where it is withheld."""
    digits = normalised(number)
    return hmac.new(key, digits.encode(), hashlib.sha256).hexdigest()[:32] if digits else None


def pseudonyms(ledger: pa.Table, key: bytes) -> pa.ChunkedArray:
    """The caller of each recording of a ledger, null where it has none.

    A metadata column ``caller`` is a pseudonym already; ``caller_number`` is turned into one here.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found: list[pa.Array] = []
    for metadata in ledger.column("metadata").chunks:
        known = pc.fill_null(pc.map_lookup(metadata, "caller", "first"), "")
        numbers = pc.fill_null(pc.map_lookup(metadata, "caller_number", "first"), "")
        unnamed = pc.and_(pc.equal(known, ""), pc.not_equal(numbers, ""))
        made = [pseudonym(number, key) for number in numbers.filter(unnamed).to_pylist()]
        callers = pc.replace_with_mask(known.cast(pa.string()), unnamed, pa.array(made, pa.string()))
        found.append(pc.if_else(pc.equal(callers, ""), None, callers))
    return pa.chunked_array(found, pa.string())
