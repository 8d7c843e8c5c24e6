"""The inner loops of matching, word by word: plain Python for a sentence, machine code for an archive.

These functions only index, compare and add whole numbers, so that :mod:`callscan.lexicon.compiled` can give them to
numba as they are. Tables are flat sequences: arrays where the functions are compiled, memory views where they are not.

An expression is code of three numbers an instruction: an operation and two operands. Symbols are rows
(:data:`callscan.lexicon.alphabet.ROWS`), sets of them are runs of rows in ``ranges``: first, last, first, last, ...
"""

from __future__ import annotations

from typing import Any, NamedTuple

from callscan.lexicon.alphabet import ROWS
from callscan.lexicon.tokens import PLACES

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
PAIRED = (1 << TABLES) - 1
BITS = 8
"""For the distances at which a pair is met."""
SIDE, BACK, FARTHEST = 4, 8, 7
"""Of a pair on the way: bits for where its other word is, the one that says it is before, and those for how far."""
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
    """Where :func:`pairs` keeps what it finds on the way, in a run. What is written over the last is not counted yet,
    so each has room for one more."""

    after: Any
    before: Any
    firsts: Any
    alone: Any
    met: Any
    numbers: Any


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


def heads(tables: Tables, rows: Any, said_by: Any, begin: int, end: int, room: Room) -> tuple[int, int]:
    """The colours of the words of a run, with none on both sides; which words are looked for first of a pair, and which
    alone: how many are. The steps of :func:`pairs` are apart so that each is a short loop, whose branches a core can
    foretell."""
    colours, looked, firsts, alone = tables.colours, tables.looked, room.firsts, room.alone
    after, before = room.after, room.before
    count = single = 0
    begin &= PLACES
    for at in range(end - begin):
        count, single = count & PLACES, single & PLACES
        row = rows[begin + at]
        after[DISTANCE + at], before[DISTANCE + at] = colours[2 * row], colours[2 * row + 1]
        bits = int(looked[said_by[begin + at] * ROWS + row])
        firsts[count] = alone[single] = at
        count += (bits & PAIRED) != 0
        single += bits >> TABLES
    for at in range(end - begin + DISTANCE, end - begin + 2 * DISTANCE):
        after[at] = before[at] = 0
    return count, single


def neighbours(tables: Tables, rows: Any, said_by: Any, begin: int, count: int, room: Room) -> int:
    """Which words near those looked for first have a colour that they ask for: how many do, each with the one that asks
    and where it is: that one's place, a bit for before it, and how far, in four bits."""
    asked, firsts, met, after, before = tables.asked, room.firsts, room.met, room.after, room.before
    found = 0
    begin &= PLACES
    for nth in range(count):
        found &= PLACES
        at = int(firsts[nth])
        line = TABLES * (said_by[begin + at] * ROWS + rows[begin + at])
        ahead, back, here = at << SIDE, at << SIDE | BACK, DISTANCE + at
        # Each is written down, and the next over it unless it counts: that has no branch that is hard to foretell.
        near, far = asked[line], asked[line + 1]
        met[found] = ahead + 1
        found += (near & after[here + 1]) != 0
        met[found] = ahead + 2
        found += (far & after[here + 2]) != 0
        met[found] = ahead + 3
        found += (far & after[here + 3]) != 0
        met[found] = ahead + 4
        found += (far & after[here + 4]) != 0
        met[found] = ahead + 5
        found += (far & after[here + 5]) != 0
        met[found] = ahead + 6
        found += (far & after[here + 6]) != 0
        near, far = asked[line + 2], asked[line + 3]
        met[found] = back + 1
        found += (near & before[here - 1]) != 0
        met[found] = back + 2
        found += (far & before[here - 2]) != 0
        met[found] = back + 3
        found += (far & before[here - 3]) != 0
        met[found] = back + 4
        found += (far & before[here - 4]) != 0
        met[found] = back + 5
        found += (far & before[here - 5]) != 0
        met[found] = back + 6
        found += (far & before[here - 6]) != 0
    return found


def members(tables: Tables, rows: Any, begin: int, count: int, room: Room) -> int:
    """Which of those are a pair of any way: how many, and the number of each (``room.numbers``)."""
    first, other, held = tables.first, tables.other, tables.members
    met, numbers = room.met, room.numbers
    found = 0
    begin &= PLACES
    for nth in range(count):
        found &= PLACES
        one = int(met[nth])
        at, back, distance = begin + (one >> SIDE), (one & BACK) != 0, one & FARTHEST
        table = 2 * back + (distance > 1)
        near = rows[at - distance if back else at + distance]
        number = int(first[TABLES * rows[at] + table] + other[TABLES * near + table]) & PLACES
        met[found], numbers[found] = one, number
        found += (held[number >> 5] >> (number & 31)) & 1
    return found


def listed(tables: Tables, count: int, room: Room) -> int:
    """Which of those are so far apart as any way has them: how many, and the list of each (in ``room.numbers``)."""
    held, lists, met, numbers = tables.members, tables.lists, room.met, room.numbers
    found = 0
    for nth in range(count):
        found &= PLACES
        one, number = int(met[nth]), int(numbers[nth])
        word, bit = int(held[number >> 5]), number & 31
        which = (word >> 32) + bits_of(word & ((1 << bit) - 1))
        met[found], numbers[found] = one, which
        found += (lists[which] >> (one & FARTHEST)) & 1
    return found


def pairs(tables: Tables, rows: Any, said_by: Any, runs: Any, room: Room, met: Met) -> int:
    """Where the pair of a way is, or its one word: how often, and each in ``met``, as far as there is room.

    ``rows`` are the words of a text, ``said_by`` who says each (0 is nobody: no pair is looked for there), ``runs``
    where what each speaker says in turn begins and ends, one after the other.
    """
    single, lists, ways, when = tables.single, tables.lists, tables.ways, tables.when
    met_ways, met_places, met_runs = met.ways, met.places, met.runs
    count = 0
    for run in range(len(runs) >> 1):
        begin, end = runs[2 * run] & PLACES, runs[2 * run + 1]
        asking, alone = heads(tables, rows, said_by, begin, end, room)
        paired = neighbours(tables, rows, said_by, begin, asking, room)
        paired = listed(tables, members(tables, rows, begin, paired, room), room)
        for nth in range(-alone, paired):
            # The words that may be a way by themselves, then the pairs.
            if nth < 0:
                at = place = begin + room.alone[-1 - nth]
                which, distance = int(single[rows[at]]), 0
            else:
                one, which = int(room.met[nth]), int(room.numbers[nth])
                at, distance = begin + (one >> SIDE), int(one & FARTHEST)
                place = at - distance if one & BACK else at
            bit = said_by[at] * (DISTANCE + 1) + distance
            for number in range(lists[which] >> BITS, lists[which + 1] >> BITS):
                way = ways[number]
                if (when[way] >> bit) & 1:
                    if count < len(met_ways):
                        met_ways[count], met_places[count], met_runs[count] = way, place, run
                    count += 1
    return count


def sort(met: Met, begins: Any, by_way: Met) -> None:
    """Sort what is met by way. ``begins`` are as many zeros as there are ways, and one."""
    ways, places, runs = met.ways, met.places, met.runs
    sorted_ways, sorted_places, sorted_runs = by_way.ways, by_way.places, by_way.runs
    for nth in range(len(ways)):
        begins[int(ways[nth]) + 1] += 1
    for way in range(1, len(begins)):
        begins[way] += begins[way - 1]
    for nth in range(len(ways)):
        way = int(ways[nth])
        to = int(begins[way])
        begins[way] = to + 1
        sorted_ways[to], sorted_places[to], sorted_runs[to] = way, places[nth], runs[nth]


def check(tables: Tables, code: Code, rows: Any, runs: Any, met: Met, found: Any) -> int:
    """Look for the other words of ways around where their pairs are ``met``, then for the patterns themselves, in what
    a speaker says in turn: how many matches there are, and each in ``found`` (:data:`FOUND`), for which there must be
    room."""
    others, held, kinds = tables.others, tables.held, tables.kinds
    met_ways, met_places, met_runs = met.ways, met.places, met.runs
    count = 0
    for nth in range(len(met_ways)):
        way, place, run = int(met_ways[nth]), int(met_places[nth]), int(met_runs[nth])
        first, last = runs[2 * run] & PLACES, runs[2 * run + 1] & PLACES
        there = True
        for rank in range(3 * OTHERS * way, 3 * OTHERS * (way + 1), 3):
            row = int(others[rank]) & PLACES
            if row == 0:
                break
            there = False
            begin = place + others[rank + 1]
            for at in range(max(begin, first), min(begin + others[rank + 2], last)):
                kind = int(kinds[rows[at]])
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
