"""Pauli words propagated backwards through a circuit at given angles, merged as they meet, and the way back.

A rotation acts on a word P that anticommutes with its generator, and on its partner i G P, as a rotation of the plane
of their two coefficients. What was done is kept as a list of such pairs, so that derivatives with respect to all
angles come from one pass in the other direction, which undoes it instead of keeping intermediate sums. A word keeps its
slot until it is dropped; Clifford gates rename words. Words are bits, x then z, in 64-bit pieces.

A word is dropped where its coefficient falls under a cutoff, or where it has more letters than allowed. Expectations
of words lie in [-1, 1], so the sum of what was dropped, in size, bounds the error of an output. A coefficient may be
small and its derivatives not (sin(theta) near 0): where derivatives count, a majorant of both decides, which goes along
with each coefficient, |cos| m_P + |sin| m_Q for a pair, and no less than the two coefficients; the sum of the majorants
dropped bounds the error of every derivative. Rounded by chance, coefficients keep their mean, and so do outputs and
derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.simulator.kernels.compiled import entry, inline
from qlazy.simulator.paulis.steps import ROTATION, TURNS, Steps
from qlazy.simulator.paulis.walks import POWERS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNLIMITED = 2**30
EMPTY, GONE = -1, -2
DONE, MORE_WORDS, MORE_TAPE, PAUSED = range(4)
STEP, HIGH, FREED, USED, PAIRS, EVENTS, RANK, LOOKED = range(8)  # places in the state of a propagation
DROPPED, SQUARED, SLOPES = range(3)  # and of what it has dropped
PATIENCE = 100_000_000  # words looked at in some tenths of a second: Python sees Ctrl-C in between
MAX_BYTES = 4 * 2**30


class Truncation(NamedTuple):
    """Coefficients under ``cutoff`` go, by chance with a ``seed``, and words of over ``max_weight`` letters.

    ``with_slopes``: only where their derivatives are under the cutoff too.
    """

    cutoff: float = 0.0
    max_weight: int = UNLIMITED
    seed: int | None = None
    with_slopes: bool = True

    @property
    def is_exact(self) -> bool:
        return self.cutoff == 0 and self.max_weight >= UNLIMITED


@dataclass(frozen=True, eq=False)
class Tape:
    """What was done to coefficients: pairs (k,) of slots for each rotation, and events, words that were scaled."""

    pairs: tuple[NDArray[np.int32], NDArray[np.int32], Floats]  # slots and sign
    events: tuple[NDArray[np.int32], Floats, Floats]  # slot, coefficient before, factor
    pair_ends: Ints  # (R,) in the order of propagation, the last rotation of the circuit first
    event_ends: Ints
    rotations: Ints  # (R,) the number of each


@dataclass(frozen=True, eq=False)
class Propagated:
    """The words that are left: x and z bits (t, 2 w), slots (t,), coefficients (t,), and what was dropped."""

    words: NDArray[np.uint64]
    slots: Ints
    signs: NDArray[np.int8]
    coefficients: Floats  # by slot, (h,)
    tape: Tape
    dropped: float
    dropped_squares: float
    dropped_slopes: float


def propagate(
    steps: Steps, letters: NDArray[np.uint8], coefficients: Floats, angles: Floats, truncation: Truncation
) -> Propagated:
    """Words (t, n) with coefficients (t,) through ``steps``, whose rotations have ``angles`` (R,) by their number."""
    return _Propagation(steps, letters, coefficients, angles, truncation).run()


class _Propagation:
    """The arrays of one propagation, which grow as they must."""

    def __init__(
        self,
        steps: Steps,
        letters: NDArray[np.uint8],
        coefficients: Floats,
        angles: Floats,
        truncation: Truncation,
    ) -> None:
        self._steps, self._truncation = steps, truncation
        self._turns = np.cos(angles), np.sin(angles)
        count, wires = letters.shape
        self._half = (wires + 63) // 64
        self._generators = _generators(steps, wires)
        size = 1 << max(6, count.bit_length() + 1)
        self.keys = np.zeros((size, 2 * self._half), np.uint64)
        self.keys[:count] = pack(letters)
        self.coefficients, self.signs = np.zeros(size), np.ones(size, np.int8)
        self.coefficients[:count] = coefficients
        self.majorants = np.abs(self.coefficients)
        self.alive = np.zeros(size, np.bool_)
        self.alive[:count] = True
        self.scratch = np.zeros((3, size), np.int64)  # hits, free slots, step of the last visit
        self.table = np.zeros(0, np.int64)
        rotations = int((steps.kinds == ROTATION).sum())
        self.pairs = np.zeros((2, size), np.int32), np.zeros(size)
        self.events = np.zeros(size, np.int32), np.zeros((2, size))
        self.ends = np.zeros((3, rotations), np.int64)
        self.state = np.array([len(steps.kinds) - 1, count, 0, 0, 0, 0, 0, 0], np.int64)
        self.lost = np.zeros(3)
        self.chance = np.array([truncation.seed or 0], np.uint64)

    def run(self) -> Propagated:
        self._rehash()
        while (status := self._advance()) != DONE:
            if status != PAUSED:
                self._require_memory()
                self._grow_words() if status == MORE_WORDS else self._grow_tape()
        slots = np.flatnonzero(self.alive)
        high, pairs, events = (int(self.state[place]) for place in (HIGH, PAIRS, EVENTS))
        tape = Tape(
            (self.pairs[0][0, :pairs], self.pairs[0][1, :pairs], self.pairs[1][:pairs]),
            (self.events[0][:events], self.events[1][0, :events], self.events[1][1, :events]),
            *self.ends,
        )
        return Propagated(
            self.keys[slots], slots, self.signs[slots], self.coefficients[:high], tape, *self.lost.tolist()
        )

    def _advance(self) -> int:
        truncation = self._truncation
        return int(
            _propagate(
                *self._steps, POWERS, *self._turns, *self._generators, self.keys, self.coefficients,
                self.majorants, self.signs, self.alive, self.scratch, self.table, *self.pairs, *self.events,
                self.ends, self.state, self.lost, self.chance, truncation.cutoff, truncation.max_weight,
                truncation.seed is not None, truncation.with_slopes,
            )
        )  # fmt: skip

    def _require_memory(self) -> None:
        """Refuse to grow what is already half of all that may be held: words with their table, and the tape."""
        arrays = [self.keys, self.coefficients, self.scratch, self.table, *self.pairs, *self.events]
        must = f"propagate in at most {MAX_BYTES / 2**30:g} GiB; a `cutoff` or a `max_weight` drops words"
        left = f"{self.state[STEP] + 1} of {len(self._steps.kinds)} gates are left"
        actual = f"one of over {self.state[HIGH]:,} words when {left}"
        fits = 2 * sum(array.nbytes for array in arrays) <= MAX_BYTES
        require(fits, "circuit", must, actual, UnsupportedModelError)

    def _grow_words(self) -> None:
        self.keys, self.coefficients, self.majorants, self.signs, self.alive = (
            np.concatenate([array, np.zeros_like(array)])
            for array in (self.keys, self.coefficients, self.majorants, self.signs, self.alive)
        )
        self.scratch = np.concatenate([self.scratch, np.zeros_like(self.scratch)], axis=1)
        self._rehash()

    def _grow_tape(self) -> None:
        self.pairs = tuple(np.concatenate([a, np.zeros_like(a)], axis=-1) for a in self.pairs)  # type: ignore[assignment]
        self.events = tuple(np.concatenate([a, np.zeros_like(a)], axis=-1) for a in self.events)  # type: ignore[assignment]

    def _rehash(self) -> None:
        self.table = np.full(4 * len(self.keys), EMPTY, np.int64)
        _fill(self.table, self.keys, self.alive, self.state)


def pack(letters: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Letters (t, n) as bits (t, 2 w): x of wires 0 to 63 in the first piece, z after all of x."""
    count, wires = letters.shape
    half = (wires + 63) // 64
    packed = np.zeros((count, 2 * half), np.uint64)
    for wire in range(wires):
        place = np.uint64(wire % 64)
        packed[:, wire // 64] |= (letters[:, wire].astype(np.uint64) & np.uint64(1)) << place
        packed[:, half + wire // 64] |= (letters[:, wire].astype(np.uint64) >> np.uint64(1)) << place
    return packed


def _generators(steps: Steps, wires: int) -> tuple[NDArray[np.uint64], Ints]:
    """The words of all steps as bits (k, 2 w), and the pieces (k, 2) from which to which they have any."""
    letters = np.zeros((len(steps.kinds), wires), np.uint8)
    which = np.repeat(np.arange(len(steps.kinds)), np.diff(steps.starts))
    letters[which, steps.wires] = steps.letters
    pieces = np.stack([np.full(len(steps.kinds), wires), np.zeros(len(steps.kinds), np.int64)], axis=1)
    np.minimum.at(pieces[:, 0], which, steps.wires // 64)
    np.maximum.at(pieces[:, 1], which, steps.wires // 64 + 1)
    return pack(letters), pieces


def unpack(words: NDArray[np.uint64], wires: int) -> NDArray[np.uint8]:
    """Bits (t, 2 w) as letters (t, n)."""
    half = words.shape[1] // 2
    pieces, places = np.arange(wires) // 64, (np.arange(wires) % 64).astype(np.uint64)
    x, z = (words[:, offset + pieces] >> places & np.uint64(1) for offset in (0, half))
    return np.asarray(x + 2 * z).astype(np.uint8)


def replayed(tape: Tape, start: Floats, angles: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Coefficients (h,) by slot at other angles, by what was done then, and those before each event.

    Angles may be complex: with an imaginary part of 1e-20 times a direction, results have the derivative along it.
    """
    coefficients = start.astype(angles.dtype)
    before = np.empty(len(tape.events[0]), angles.dtype)
    _replay(
        *tape.pairs, tape.events[0], before, tape.events[2], tape.pair_ends, tape.event_ends, tape.rotations,
        np.cos(angles), np.sin(angles), coefficients,
    )  # fmt: skip
    return coefficients, before


def differentiated(
    tape: Tape,
    coefficients: NDArray[Any],
    before: NDArray[Any],
    angles: NDArray[Any],
    cotangents: NDArray[Any],
) -> NDArray[Any]:
    """dF/dangle (R, m) for cotangents (h, m) of the coefficients (h,) by slot, which the pass uses up."""
    cotangents = cotangents.astype(np.result_type(cotangents, angles), copy=False)
    gradients = np.zeros((len(angles), cotangents.shape[1]), cotangents.dtype)
    _back(
        *tape.pairs, tape.events[0], before, tape.events[2], tape.pair_ends, tape.event_ends, tape.rotations,
        np.cos(angles), np.sin(angles), coefficients.copy(), cotangents, gradients,
    )  # fmt: skip
    return gradients


@entry
def _propagate(  # type: ignore[no-untyped-def]
    kinds, starts, wires, letters, values, images, signs, powers, cosines, sines,
    generators, spans, keys, coefficients, majorants, flips, alive, scratch, table,
    slots, pair_signs, event_slots, event_values, ends, state, lost, chance, cutoff, max_weight, by_chance, with_slopes,
):  # fmt: skip
    hits, freed, visited = scratch[0], scratch[1], scratch[2]
    half = keys.shape[1] // 2
    while state[STEP] >= 0:
        state[LOOKED] += state[HIGH]
        if state[LOOKED] > PATIENCE:
            state[LOOKED] = 0
            return PAUSED
        step = state[STEP]
        first, last = starts[step], starts[step + 1]
        if kinds[step] != ROTATION:
            for slot in range(state[HIGH]):
                if alive[slot]:
                    _rename(
                        keys[slot], half, flips, slot, kinds[step], values[step], wires, letters, images, signs, powers,
                        first, last,
                    )  # fmt: skip
            state[STEP] -= 1
            if state[STEP] < 0 or kinds[state[STEP]] == ROTATION:
                table[:] = EMPTY
                _insert_all(table, keys, alive, state)
            continue
        count = _meet(keys, state[HIGH], generators[step], spans[step, 0], spans[step, 1], hits)
        if state[HIGH] + count > len(keys):
            return MORE_WORDS
        if state[PAIRS] + count > len(pair_signs) or state[EVENTS] + 2 * count > len(event_slots):
            return MORE_TAPE
        if 2 * (state[USED] + count) > len(table):
            table[:] = EMPTY
            _insert_all(table, keys, alive, state)
        number = values[step]
        cosine, sine = cosines[number], sines[number]
        begun = state[PAIRS]
        for k in range(count):
            slot = hits[k]
            if visited[slot] == step + 1:
                continue
            sign = _turned(
                keys[slot], half, letters, wires, first, last, powers
            )  # the key is now the partner's
            partner = _find(table, keys, slot)
            if partner < 0:
                if state[FREED]:
                    state[FREED] -= 1
                    partner = freed[state[FREED]]
                else:
                    partner = state[HIGH]
                    state[HIGH] += 1
                for piece in range(2 * half):
                    keys[partner, piece] = keys[slot, piece]
                coefficients[partner], majorants[partner], flips[partner], alive[partner] = 0.0, 0.0, 1, True
                _insert(table, keys, partner, state)
            _turned(keys[slot], half, letters, wires, first, last, powers)
            visited[slot] = visited[partner] = step + 1
            sign *= flips[slot] * flips[partner]
            one, other = coefficients[slot], coefficients[partner]
            coefficients[slot] = cosine * one - sign * sine * other
            coefficients[partner] = sign * sine * one + cosine * other
            least = max(abs(coefficients[slot]), abs(coefficients[partner]))
            one, other = majorants[slot], majorants[partner]
            majorants[slot] = max(abs(cosine) * one + abs(sine) * other, least)
            majorants[partner] = max(abs(sine) * one + abs(cosine) * other, least)
            pair = state[PAIRS]
            slots[0, pair], slots[1, pair], pair_signs[pair] = slot, partner, sign
            state[PAIRS] += 1
        if cutoff > 0 or max_weight < UNLIMITED:
            for pair in range(begun, state[PAIRS]):
                for side in range(2):
                    slot = slots[side, pair]
                    size = majorants[slot] if with_slopes else abs(coefficients[slot])
                    factor = _kept(keys[slot], half, size, cutoff, max_weight, by_chance, chance)
                    if factor != 1:
                        event = state[EVENTS]
                        event_slots[event], event_values[0, event], event_values[1, event] = (
                            slot, coefficients[slot], factor,
                        )  # fmt: skip
                        state[EVENTS] += 1
                        change = abs(coefficients[slot] * (factor - 1))
                        lost[DROPPED] += change
                        lost[SQUARED] += change * change
                        lost[SLOPES] += abs(majorants[slot] * (factor - 1))
                        coefficients[slot] *= factor
                        majorants[slot] *= factor
                        if factor == 0:
                            _remove(table, keys, slot)
                            alive[slot] = False
                            for piece in range(2 * half):
                                keys[slot, piece] = 0  # commutes with every generator
                            freed[state[FREED]] = slot
                            state[FREED] += 1
        done = state[RANK]
        state[RANK] += 1
        ends[0, done], ends[1, done], ends[2, done] = state[PAIRS], state[EVENTS], number
        state[STEP] -= 1
    return DONE


@inline
def _meet(keys, high, generator, begin, end, hits):  # type: ignore[no-untyped-def]
    """The slots whose words anticommute with the generator, which has bits in the pieces from begin to end."""
    count, half = 0, keys.shape[1] // 2
    for slot in range(high):
        odd = np.uint64(0)
        for piece in range(begin, end):
            odd ^= keys[slot, piece] & generator[half + piece] ^ keys[slot, half + piece] & generator[piece]
        hits[count] = slot
        count += _ones(odd) & 1
    return count


@inline
def _kept(key, half, size, cutoff, max_weight, by_chance, chance):  # type: ignore[no-untyped-def]
    """The factor of a coefficient of this size: 1 to keep it, 0 to drop it, more where it is rounded up."""
    weight = 0
    for piece in range(half):
        weight += _ones(key[piece] | key[half + piece])
    if weight > max_weight:
        return 0.0
    if size >= cutoff:
        return 1.0
    if by_chance and size > 0:
        chance[0] += np.uint64(0x9E3779B97F4A7C15)
        draw = (_mix(chance[0]) >> np.uint64(11)) * 2.0**-53
        if draw * cutoff < size:
            return cutoff / size
    return 0.0


@inline
def _rename(key, half, flips, slot, kind, value, wires, letters, images, signs, powers, first, last):  # type: ignore[no-untyped-def]
    if kind == TURNS:
        if value and _anticommutes(key, half, letters, wires, first, last):
            if value & 1:
                flips[slot] *= _turned(key, half, letters, wires, first, last, powers)
            if value & 2:
                flips[slot] *= -1
        return
    number = 0
    for k in range(first, last):
        number = number << 2 | _letter(key, half, wires[k])
    if number:
        flips[slot] *= signs[value + number]
        number = images[value + number]
        for k in range(last - 1, first - 1, -1):
            _put(key, half, wires[k], number & 3)
            number >>= 2


@inline
def _letter(key, half, wire):  # type: ignore[no-untyped-def]
    piece, place = wire >> 6, np.uint64(wire & 63)
    x, z = key[piece] >> place & np.uint64(1), key[half + piece] >> place & np.uint64(1)
    return np.int64(x) | np.int64(z) << 1


@inline
def _put(key, half, wire, letter):  # type: ignore[no-untyped-def]
    piece, place = wire >> 6, np.uint64(wire & 63)
    mask = ~(np.uint64(1) << place)
    key[piece] = key[piece] & mask | np.uint64(letter & 1) << place
    key[half + piece] = key[half + piece] & mask | np.uint64(letter >> 1) << place


@inline
def _anticommutes(key, half, letters, wires, first, last):  # type: ignore[no-untyped-def]
    odd = 0
    for k in range(first, last):
        one, other = _letter(key, half, wires[k]), np.int64(letters[k])
        odd ^= (one & (other >> 1)) ^ ((one >> 1) & other)
    return odd & 1


@inline
def _turned(key, half, letters, wires, first, last, powers):  # type: ignore[no-untyped-def]
    """P becomes i G P in place; returns its sign."""
    power = 1
    for k in range(first, last):
        letter = _letter(key, half, wires[k])
        power += powers[letters[k], letter]
        _put(key, half, wires[k], letter ^ np.int64(letters[k]))
    return 1 - (power & 2)


@inline
def _mix(state):  # type: ignore[no-untyped-def]
    """The mixing function of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inline
def _ones(bits):  # type: ignore[no-untyped-def]
    """The number of ones."""
    bits = bits - (bits >> np.uint64(1) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + (bits >> np.uint64(2) & np.uint64(0x3333333333333333))
    bits = bits + (bits >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(bits * np.uint64(0x0101010101010101) >> np.uint64(56))


@inline
def _home(table, key):  # type: ignore[no-untyped-def]
    code = np.uint64(0)
    for piece in key:
        code = _mix(code ^ piece)
    return np.int64(code & np.uint64(len(table) - 1))


@inline
def _same(one, other):  # type: ignore[no-untyped-def]
    equal = True
    for k in range(len(one)):
        equal &= one[k] == other[k]
    return equal


@inline
def _find(table, keys, slot):  # type: ignore[no-untyped-def]
    """Another slot with the key of this one, -1 if there is none."""
    place = _home(table, keys[slot])
    while table[place] != EMPTY:
        if table[place] >= 0 and table[place] != slot and _same(keys[table[place]], keys[slot]):
            return table[place]
        place = place + 1 & len(table) - 1
    return -1


@inline
def _insert(table, keys, slot, state):  # type: ignore[no-untyped-def]
    place = _home(table, keys[slot])
    while table[place] >= 0:
        place = place + 1 & len(table) - 1
    state[USED] += table[place] == EMPTY
    table[place] = slot


@inline
def _remove(table, keys, slot):  # type: ignore[no-untyped-def]
    place = _home(table, keys[slot])
    while table[place] != slot:
        place = place + 1 & len(table) - 1
    table[place] = GONE


@inline
def _insert_all(table, keys, alive, state):  # type: ignore[no-untyped-def]
    state[USED] = 0
    for slot in range(state[HIGH]):
        if alive[slot]:
            _insert(table, keys, slot, state)


@entry
def _fill(table, keys, alive, state):  # type: ignore[no-untyped-def]
    _insert_all(table, keys, alive, state)


@entry
def _replay(  # type: ignore[no-untyped-def]
    left, right, signs, event_slots, before, factors, pair_ends, event_ends, rotations, cosines, sines, coefficients
):  # fmt: skip
    pair = event = 0
    for done in range(len(pair_ends)):
        cosine, sine = cosines[rotations[done]], sines[rotations[done]]
        for k in range(pair, pair_ends[done]):
            one, other = coefficients[left[k]], coefficients[right[k]]
            coefficients[left[k]] = cosine * one - signs[k] * sine * other
            coefficients[right[k]] = signs[k] * sine * one + cosine * other
        for k in range(event, event_ends[done]):
            before[k] = coefficients[event_slots[k]]
            coefficients[event_slots[k]] *= factors[k]
        pair, event = pair_ends[done], event_ends[done]


@entry
def _back(  # type: ignore[no-untyped-def]
    left, right, signs, event_slots, before, factors, pair_ends, event_ends, rotations, cosines, sines,
    coefficients, cotangents, gradients,
):  # fmt: skip
    samples = cotangents.shape[1]
    for done in range(len(pair_ends) - 1, -1, -1):
        number = rotations[done]
        cosine, sine = cosines[number], sines[number]
        for k in range(event_ends[done] - 1, (event_ends[done - 1] if done else 0) - 1, -1):
            slot = event_slots[k]
            coefficients[slot] = before[k]
            for m in range(samples):
                cotangents[slot, m] *= factors[k]
        for k in range(pair_ends[done - 1] if done else 0, pair_ends[done]):
            i, j, turn = left[k], right[k], signs[k] * sine
            one, other = coefficients[i], coefficients[j]
            by_one, by_other = -signs[k] * other, signs[k] * one
            coefficients[i] = cosine * one + turn * other
            coefficients[j] = cosine * other - turn * one
            for m in range(samples):
                a, b = cotangents[i, m], cotangents[j, m]
                gradients[number, m] += by_one * a + by_other * b
                cotangents[i, m] = cosine * a + turn * b
                cotangents[j, m] = cosine * b - turn * a
