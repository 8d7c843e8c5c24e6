"""The loops over the words of a text: letters to symbols, and symbols without what is said twice in a row.

Like the kernel (:mod:`callscan.lexicon.kernel`), they are Python for a sentence and machine code for an archive.
"""

from __future__ import annotations

from typing import Any

from callscan.lexicon.alphabet import OTHER, SEGMENT, number_of

PLACES = (1 << 40) - 1
"""More than there are places. What is below it is no negative number: machine code then takes it for a place as it is,
where it would look first whether it counts from the end. In the shortest loops that is half of the work."""
LETTERS = 7
"""Of a word that are one number together."""
FIRST_BITS, SECOND_BITS = 15, 16
"""Slots of the tables of words. The first holds those that come first, which are those said most: it is small enough
for a core's cache."""
_SPACE = 32
_SEGMENT, _OTHER = number_of(SEGMENT), number_of(OTHER)
"""The mark that patterns reach over, one below the one that they do not; symbols from there on count. A word that none
asks for, and above it those that some ask for."""
_HASH = (1 << 62) - 1
_PRIME, _MIX = 0x1E3779B97F4A7C15, 0x16E8FEB86659FD93


def slots(hashed: int) -> tuple[int, int]:
    """Where a word of this hash may be in the first table of words, and in the second."""
    mixed = (hashed * _MIX) & _HASH
    return mixed >> (62 - FIRST_BITS), (mixed >> (62 - FIRST_BITS - SECOND_BITS)) & ((1 << SECOND_BITS) - 1)


def looked_up(
    text: Any,
    at: int,
    keys: Any,
    more_keys: Any,
    values: Any,
    more_values: Any,
    symbols: Any,
    starts: Any,
    ends: Any,
    new: Any,
) -> tuple[int, int, int]:
    """The words of a text from a place on: the symbol of each whose hash the tables have, and where it starts and ends.
    The text has a byte a letter, and ends with a space. ``new`` has place and hash of words that the tables do not
    have: where there is no room for more of them, that is the end. How many words there are, how many of them are new,
    and where to go on."""
    count = unknown = 0
    while at < len(text) and 2 * unknown < len(new):
        at, count = at & PLACES, count & PLACES
        if text[at] == _SPACE:
            at += 1
            continue
        starts[count] = at
        hashed = part = shift = 0
        letter = text[at]
        while letter != _SPACE:
            part |= letter << shift
            shift += 8
            at = (at + 1) & PLACES
            letter = text[at]
            if shift == 8 * LETTERS:
                hashed = ((hashed ^ (hashed >> 29)) * _PRIME + part) & _HASH
                part = shift = 0
        if shift:
            hashed = ((hashed ^ (hashed >> 29)) * _PRIME + part) & _HASH
        ends[count] = at
        first, second = slots(hashed)
        if keys[first] == hashed:
            symbols[count] = values[first]
        elif more_keys[second] == hashed:
            symbols[count] = more_values[second]
        else:
            new[2 * unknown], new[2 * unknown + 1] = count, hashed
            unknown += 1
        count += 1
    return count, unknown, at


def said(kept: Any, places: Any, count: int, symbol: int, place: int) -> int:
    """Add a symbol and its place to so many; of a word that is said twice in a row, the later one stays."""
    if count and kept[count - 1] == symbol and symbol > _OTHER:
        count -= 1
    count &= PLACES
    kept[count], places[count] = symbol, place
    return count + 1


def counted(symbols: Any, kept: Any, places: Any, marks: Any) -> int:
    """The symbols of words that count, each with its place: how many there are. ``marks`` has room for the places of
    the marks between segments."""
    count = found = 0
    for place in range(len(symbols)):
        symbol = symbols[place]
        if symbol > _SEGMENT:
            count = said(kept, places, count, symbol, place)
        if _SEGMENT <= symbol < _OTHER:
            marks[found] = place
            found += 1
    return count


def spelled(words: Any, table: Any, width: int, kept: Any, places: Any) -> int:
    """The symbols of words one after the other, and the place of each in as many times ``width``: how many there are.
    The symbols of word n are in ``table`` from ``width`` times n on, with zeros behind them."""
    count = 0
    for at in range(len(words)):
        begin = (width * int(words[at])) & PLACES
        for nth in range(width):
            symbol = table[begin + nth]
            if symbol == 0:
                break
            count = said(kept, places, count, symbol, width * at + nth)
    return count


def once(kept: Any, places: Any) -> int:
    """Leave out two or three words that are said twice in a row ("la deuxième la deuxième"): how many symbols are left,
    each with its place."""
    count = len(kept)
    for length in range(2, 4):
        left = until = 0
        for at in range(count):
            left &= PLACES
            if at + 2 * length <= count and kept[at] == kept[at + length]:
                same = 0
                while same < length and kept[at + same] == kept[at + same + length] and kept[at + same] > _OTHER:
                    same += 1
                if same == length:
                    until = at + length
            if at >= until:
                # Hardly ever is anything left out.
                if left < at:
                    kept[left], places[left] = kept[at], places[at]
                left += 1
        count = left
    return count
