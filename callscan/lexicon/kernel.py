"""The inner loops of matching, word by word: plain Python for a sentence, machine code for an archive.

These functions only index, compare and add whole numbers, so that :mod:`callscan.lexicon.compiled` can give them to
numba as they are. Tables are flat sequences: arrays where the functions are compiled, memory views where they are not.

An expression is code of three numbers an instruction: an operation and two operands. Symbols are rows
(:data:`callscan.lexicon.alphabet.ROWS`), sets of them are runs of rows in ``ranges``: first, last, first, last, ...
"""

from __future__ import annotations

from typing import Any, NamedTuple

from callscan.lexicon.alphabet import ROWS

WORD, SPLIT, JUMP, CHOOSE, LEFT, RIGHT, END, MATCH = range(8)
"""Operations: a word of the set of ranges a to b; go on a further, or else b further; go on a further; go on as the
choice a to b says that has the next word, or right here; the words so far are left (the words from here on are right)
of a distance; nothing may follow; it is a match."""
WIDTH = 3
"""Numbers of an instruction."""
CHOICE = 3
"""Numbers of a choice: first and last row, and how much further to go on."""
FOUND = 7
"""Numbers of what is found: place, way, expression, start, end, and where a distance is: words before, words after."""

DISTANCE = 6
"""Words from the first of a pair to the second, at most; :func:`neighbours` has them written out."""
OTHERS = 5
"""Words beside its pair that a way is looked for by, at most."""
SPEAKERS = 4
"""Values of who says a word: sums of bits, 0 for nobody."""
TABLES = 4
"""Of pairs: rarer word first, near and far, and rarer word last, near and far."""
BITS = 8
"""For the distances at which a pair is met."""


_FEW = 4
"""So many ranges are looked at one by one."""


class Code(NamedTuple):
    """Expressions by number: where each one's instructions begin (``entries``), and the ranges of what it can begin
    with (``heads``, two a number; from 0 to 0 is anything). ``unless`` has what must not be within so many words of a
    match: expression and words, those of number n from ``guards[n]`` to before ``guards[n + 1]``. ``stack`` and
    ``marks`` are room that all of them use."""

    instructions: Any
    ranges: Any
    choices: Any
    entries: Any
    heads: Any
    guards: Any
    unless: Any
    stack: Any
    marks: Any


class Tables(NamedTuple):
    """Where the ways of patterns can be (:mod:`callscan.lexicon.candidates`).

    By whoever says a word and its row: ``looked`` (a bit a table of pairs, one for single words) and, table beside
    table, ``asked`` (colours of the other word). By row: ``single`` (number of its list), ``colours`` (of the other,
    rarer word first beside last), ``first`` and ``other`` (what makes a pair's number, table beside table), ``kinds``.
    Of all pairs, ``members`` has 32 bits a number, set for those of any way, and above them the number of the first
    one's list. A list's ways begin in ``ways`` where ``lists`` says, above :data:`BITS` bits for the distances at which
    its pair is met. By way: ``when`` (a bit for whoever says it how far apart), ``others`` (OTHERS times: row in
    ``held``, first word, number of words), ``numbers`` (of expressions), and how many words a match can have ``before``
    its place and ``ahead``.
    """

    looked: Any
    asked: Any
    single: Any
    colours: Any
    first: Any
    other: Any
    members: Any
    lists: Any
    ways: Any
    when: Any
    others: Any
    kinds: Any
    held: Any
    numbers: Any
    before: Any
    ahead: Any


class Room(NamedTuple):
    """Where :func:`pairs` keeps what it finds on the way, in a run."""

    seen: Any
    heads: Any
    at: Any
    towards: Any
    lists: Any


class Met(NamedTuple):
    """Where pairs are: the way, the place of the first word, and the number of the run in which it is."""

    ways: Any
    places: Any
    runs: Any


def among(ranges: Any, begin: int, end: int, row: int) -> bool:
    """Whether a row is in the ranges ``begin`` to before ``end``."""
    while end - begin > _FEW:
        middle = (begin + end) >> 1
        if row < ranges[2 * middle]:
            end = middle
        else:
            begin = middle
    for place in range(begin, end):
        if row <= ranges[2 * place + 1]:
            return bool(row >= ranges[2 * place])
    return False


def further(choices: Any, begin: int, end: int, row: int) -> int:
    """How much further to go on with a row as the next word."""
    while begin < end:
        middle = (begin + end) >> 1
        if row < choices[CHOICE * middle]:
            end = middle
        elif row > choices[CHOICE * middle + 1]:
            begin = middle + 1
        else:
            return int(choices[CHOICE * middle + 2])
    return WIDTH


def run(code: Code, rows: Any, number: int, at: int, high: int) -> bool:
    """Whether expression ``number`` matches from ``at`` on, up to before ``high`` at most. The first way in the order
    in which it is written counts; its end and what is around its distance are in ``code.marks``."""
    instructions, stack = code.instructions, code.stack
    here, depth = code.entries[number], 0
    left = right = -1
    while True:
        operation, a, b = instructions[here], instructions[here + 1], instructions[here + 2]
        if operation == WORD:
            if at < high and among(code.ranges, a, b, rows[at]):
                at += 1
                here += WIDTH
                continue
        elif operation == SPLIT:
            stack[depth], stack[depth + 1], stack[depth + 2], stack[depth + 3] = here + b, at, left, right
            depth += 4
            here += a
            continue
        elif operation == JUMP:
            here += a
            continue
        elif operation == CHOOSE:
            here += further(code.choices, a, b, rows[at]) if at < high else WIDTH
            continue
        elif operation == LEFT:
            left = at
            here += WIDTH
            continue
        elif operation == RIGHT:
            right = at
            here += WIDTH
            continue
        elif operation == END:
            if at == high:
                here += WIDTH
                continue
        else:
            code.marks[0], code.marks[1], code.marks[2] = at, left, right
            return True
        if depth == 0:
            return False
        depth -= 4
        here, at, left, right = stack[depth], stack[depth + 1], stack[depth + 2], stack[depth + 3]


def search(code: Code, rows: Any, number: int, low: int, high: int) -> int:
    """Where expression ``number`` first matches between two places, -1 for nowhere; see :func:`run`."""
    begin, end = code.heads[2 * number], code.heads[2 * number + 1]
    for at in range(low, high):
        if (begin == end or among(code.ranges, begin, end, rows[at])) and run(code, rows, number, at, high):
            return at
    return -1


def ruled_out(code: Code, rows: Any, number: int, start: int, end: int, first: int, last: int) -> bool:
    """Whether something that must not be around a match is there, between two places."""
    for guard in range(code.guards[number], code.guards[number + 1]):
        other, reach = code.unless[2 * guard], code.unless[2 * guard + 1]
        if search(code, rows, other, max(first, start - reach), min(end + reach, last)) >= 0:
            return True
    return False


def bits_of(word: int) -> int:
    """How many of 32 bits are set."""
    word -= (word >> 1) & 0x55555555
    word = (word & 0x33333333) + ((word >> 2) & 0x33333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F
    return ((word * 0x01010101) & 0xFFFFFFFF) >> 24


def spelled(words: Any, table: Any, width: int, kept: Any, places: Any) -> int:
    """The symbols of words one after the other, and the place of each in as many times ``width``: how many there are.
    The symbols of word n are in ``table`` from ``width`` times n on, with zeros behind them."""
    count = 0
    for at in range(len(words)):
        begin = width * int(words[at])
        for nth in range(width):
            symbol = table[begin + nth]
            if symbol == 0:
                break
            kept[count], places[count] = symbol, width * at + nth
            count += 1
    return count


def once(kept: Any, places: Any, least: int) -> int:
    """Leave out what is said twice in a row ("la deuxième la deuxième"), up to three words from ``least`` on:
    how many symbols are left, each with its place."""
    count = len(kept)
    for length in range(1, 4):
        left = until = 0
        for at in range(count):
            same = 0
            if at + 2 * length <= count:
                while same < length and kept[at + same] == kept[at + same + length] and kept[at + same] >= least:
                    same += 1
            if same == length:
                until = at + length
            if at >= until:
                kept[left], places[left] = kept[at], places[at]
                left += 1
        count = left
    return count


def heads(tables: Tables, rows: Any, said_by: Any, begin: int, end: int, room: Room) -> int:
    """The colours of the words of a run, with none on both sides, and which of the words are looked for first: how many
    are. The steps of :func:`pairs` are apart so that each is a short loop, whose branches a core can foretell."""
    colours, looked, seen, found = tables.colours, tables.looked, room.seen, room.heads
    half = len(seen) // 2
    count = 0
    for at in range(end - begin):
        row = rows[begin + at]
        seen[DISTANCE + at], seen[half + DISTANCE + at] = colours[2 * row], colours[2 * row + 1]
        found[count] = at
        count += looked[said_by[begin + at] * ROWS + row] != 0
    for at in range(end - begin + DISTANCE, end - begin + 2 * DISTANCE):
        seen[at] = seen[half + at] = 0
    return count


def neighbours(tables: Tables, rows: Any, said_by: Any, begin: int, count: int, room: Room) -> int:
    """Which words near those looked for first have a colour that they ask for: how many do, each by the one that asks
    (``room.at``) and which side and how far (``room.towards``: 0 to 5 is 1 to 6 words after, 6 to 11 is before)."""
    asked, seen, found, towards = tables.asked, room.seen, room.at, room.towards
    half = len(seen) // 2
    met = 0
    for nth in range(count):
        at = room.heads[nth]
        line = TABLES * (said_by[begin + at] * ROWS + rows[begin + at])
        after, before = DISTANCE + at, half + DISTANCE + at
        near, far = asked[line], asked[line + 1]
        bits = int((near & seen[after + 1]) != 0)
        bits |= int((far & seen[after + 2]) != 0) << 1
        bits |= int((far & seen[after + 3]) != 0) << 2
        bits |= int((far & seen[after + 4]) != 0) << 3
        bits |= int((far & seen[after + 5]) != 0) << 4
        bits |= int((far & seen[after + 6]) != 0) << 5
        near, far = asked[line + 2], asked[line + 3]
        bits |= int((near & seen[before - 1]) != 0) << 6
        bits |= int((far & seen[before - 2]) != 0) << 7
        bits |= int((far & seen[before - 3]) != 0) << 8
        bits |= int((far & seen[before - 4]) != 0) << 9
        bits |= int((far & seen[before - 5]) != 0) << 10
        bits |= int((far & seen[before - 6]) != 0) << 11
        while bits != 0:
            lowest = bits & -bits
            found[met], towards[met] = at, bits_of(lowest - 1)
            met += 1
            bits ^= lowest
    return met


def members(tables: Tables, rows: Any, begin: int, count: int, room: Room) -> int:
    """Which of those are a pair of any way: how many, and the list of each (``room.lists``)."""
    first, other, held = tables.first, tables.other, tables.members
    found, towards, lists = room.at, room.towards, room.lists
    met = 0
    for nth in range(count):
        at, side = found[nth], towards[nth]
        back = side >= DISTANCE
        distance = side - DISTANCE + 1 if back else side + 1
        table = 2 * int(back) + int(distance > 1)
        row, near = rows[begin + at], rows[begin + at - distance if back else begin + at + distance]
        number = first[TABLES * row + table] + other[TABLES * near + table]
        word, bit = int(held[number >> 5]), number & 31
        found[met], towards[met], lists[met] = at, side, (word >> 32) + bits_of(word & ((1 << bit) - 1))
        met += (word >> bit) & 1
    return met


def pairs(tables: Tables, rows: Any, said_by: Any, runs: Any, room: Room, met: Met) -> int:
    """Where the pair of a way is, or its one word: how often, and each in ``met``, as far as there is room.

    ``rows`` are the words of a text, ``said_by`` who says each (0 is nobody: no pair is looked for there), ``runs``
    where each speaker in turn ends.
    """
    single, lists, ways, when = tables.single, tables.lists, tables.ways, tables.when
    found, towards, numbers = room.at, room.towards, room.lists
    met_ways, met_places, met_runs = met.ways, met.places, met.runs
    count = begin = 0
    for run in range(len(runs)):
        end = runs[run]
        asking = heads(tables, rows, said_by, begin, end, room)
        paired = members(tables, rows, begin, neighbours(tables, rows, said_by, begin, asking, room), room)
        for nth in range(-asking, paired):
            # The words that may be a way by themselves, then the pairs.
            if nth < 0:
                at = begin + room.heads[-1 - nth]
                which = int(single[rows[at]])
                place, distance = at, 0
            else:
                at, side, which = begin + found[nth], towards[nth], int(numbers[nth])
                distance = side - DISTANCE + 1 if side >= DISTANCE else side + 1
                place = at - distance if side >= DISTANCE else at
                if not (lists[which] >> distance) & 1:
                    continue
            bit = said_by[at] * (DISTANCE + 1) + distance
            for number in range(lists[which] >> BITS, lists[which + 1] >> BITS):
                way = ways[number]
                if (when[way] >> bit) & 1:
                    if count < len(met_ways):
                        met_ways[count], met_places[count], met_runs[count] = way, place, run
                    count += 1
        begin = end
    return count


def check(tables: Tables, code: Code, rows: Any, runs: Any, met: Met, found: Any) -> int:
    """Look for the other words of ways around where their pairs are ``met``, then for the patterns themselves, in what
    a speaker says in turn: how many matches there are, and each in ``found`` (:data:`FOUND`), for which there must be
    room. Where equal ways follow each other, their tables are read from memory once."""
    others, held, kinds = tables.others, tables.held, tables.kinds
    met_ways, met_places, met_runs = met.ways, met.places, met.runs
    count = 0
    for nth in range(len(met_ways)):
        way, place, run = int(met_ways[nth]), int(met_places[nth]), met_runs[nth]
        first, last = runs[run - 1] if run else 0, runs[run]
        there = True
        for rank in range(3 * OTHERS * way, 3 * OTHERS * (way + 1), 3):
            row = others[rank]
            if row == 0:
                break
            there = False
            begin = place + others[rank + 1]
            for at in range(max(begin, first), min(begin + others[rank + 2], last)):
                kind = kinds[rows[at]]
                if (held[row + (kind >> 3)] >> (kind & 7)) & 1:
                    there = True
                    break
            if not there:
                break
        if not there:
            continue
        number = tables.numbers[way]
        low, high = max(place - tables.before[way], first), min(place + tables.ahead[way], last)
        start = search(code, rows, number, low, high)
        if start < 0:
            continue
        end, left, right = code.marks[0], code.marks[1], code.marks[2]
        if not ruled_out(code, rows, number, start, end, first, last):
            to = FOUND * count
            found[to], found[to + 1], found[to + 2], found[to + 3] = place, way, number, start
            found[to + 4], found[to + 5], found[to + 6] = end, left, right
            count += 1
    return count
