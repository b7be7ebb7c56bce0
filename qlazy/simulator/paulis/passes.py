"""The compiled passes of a propagation: words forwards with their table, and coefficients forwards and back.

Words are rows of bits, x then z, ``half`` pieces of 64 each; a table of slots by open addressing tells where a word is.
A channel is in the tape as a rotation numbered -1: its pairs add ``sign`` times the left coefficient to the right one,
and its events scale. Results and scratch are arrays of the caller's, who makes them larger and calls again where one is
full.
"""

from __future__ import annotations

import numpy as np

from qlazy.simulator.kernels.compiled import entry, inline
from qlazy.simulator.paulis.steps import CHANNEL, ROTATION, TURNS

UNLIMITED = 2**30
EMPTY, GONE = -1, -2
DONE, MORE_WORDS, MORE_TAPE, PAUSED = range(4)
STEP, HIGH, FREED, USED, PAIRS, EVENTS, RANK, LOOKED = range(8)  # places in the state of a propagation
DROPPED, SQUARED, SLOPES = range(3)  # and of what it has dropped
PATIENCE = 100_000_000  # words looked at in some tenths of a second: Python sees Ctrl-C in between


@entry
def propagate_words(  # type: ignore[no-untyped-def]
    kinds, starts, wires, letters, values, images, signs, powers, cosines, sines,
    generators, spans, keys, coefficients, majorants, flips, alive, scratch, table,
    slots, pair_signs, event_slots, event_values, ends, state, lost, chance, cutoff, max_weight, by_chance, with_slopes,
    channels,
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
        if kinds[step] == CHANNEL:
            if state[HIGH] * 2 > len(keys):
                return MORE_WORDS
            if state[PAIRS] + state[HIGH] > len(pair_signs) or state[EVENTS] + 2 * state[HIGH] > len(
                event_slots
            ):
                return MORE_TAPE
            if 2 * (state[USED] + state[HIGH]) > len(table):
                table[:] = EMPTY
                _insert_all(table, keys, alive, state)
            _damp(
                channels[values[step]], wires[first], keys, coefficients, majorants, flips, alive, freed, table,
                slots, pair_signs, event_slots, event_values, state, lost, chance, cutoff, max_weight, by_chance,
                with_slopes,
            )  # fmt: skip
            done = state[RANK]
            state[RANK] += 1
            ends[0, done], ends[1, done], ends[2, done] = state[PAIRS], state[EVENTS], -1
            state[STEP] -= 1
            continue
        if kinds[step] != ROTATION:
            for slot in range(state[HIGH]):
                if alive[slot]:
                    _rename(
                        keys[slot], half, flips, slot, kinds[step], values[step], wires, letters, images, signs, powers,
                        first, last,
                    )  # fmt: skip
            state[STEP] -= 1
            if state[STEP] < 0 or kinds[state[STEP]] == ROTATION or kinds[state[STEP]] == CHANNEL:
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
                partner = _added(keys, slot, coefficients, majorants, flips, alive, freed, table, state)
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
                    _scale(
                        slots[side, pair], 1.0, keys, coefficients, majorants, alive, freed, table, event_slots,
                        event_values, state, lost, chance, cutoff, max_weight, by_chance, with_slopes,
                    )  # fmt: skip
        done = state[RANK]
        state[RANK] += 1
        ends[0, done], ends[1, done], ends[2, done] = state[PAIRS], state[EVENTS], number
        state[STEP] -= 1
    return DONE


@inline
def _added(keys, slot, coefficients, majorants, flips, alive, freed, table, state):  # type: ignore[no-untyped-def]
    """A new slot for the key that stands in ``slot``, with a coefficient of 0."""
    if state[FREED]:
        state[FREED] -= 1
        added = freed[state[FREED]]
    else:
        added = state[HIGH]
        state[HIGH] += 1
    for piece in range(keys.shape[1]):
        keys[added, piece] = keys[slot, piece]
    coefficients[added], majorants[added], flips[added], alive[added] = 0.0, 0.0, 1, True
    _insert(table, keys, added, state)
    return added


@inline
def _scale(  # type: ignore[no-untyped-def]
    slot, damping, keys, coefficients, majorants, alive, freed, table, event_slots, event_values, state, lost, chance,
    cutoff, max_weight, by_chance, with_slopes,
):  # fmt: skip
    """A coefficient times ``damping``, which is dropped or rounded after it where it is small: an event of the tape."""
    before = coefficients[slot]
    coefficients[slot] *= damping
    majorants[slot] *= abs(damping)
    factor = 1.0
    if cutoff > 0 or max_weight < UNLIMITED:
        size = majorants[slot] if with_slopes else abs(coefficients[slot])
        factor = _kept(keys[slot], keys.shape[1] // 2, size, cutoff, max_weight, by_chance, chance)
    if factor == 1 and damping == 1:
        return
    event = state[EVENTS]
    event_slots[event], event_values[0, event], event_values[1, event] = slot, before, damping * factor
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
        for piece in range(keys.shape[1]):
            keys[slot, piece] = 0  # commutes with every generator
        freed[state[FREED]] = slot
        state[FREED] += 1


@inline
def _damp(  # type: ignore[no-untyped-def]
    channel, wire, keys, coefficients, majorants, flips, alive, freed, table, slots, pair_signs, event_slots,
    event_values, state, lost, chance, cutoff, max_weight, by_chance, with_slopes,
):  # fmt: skip
    """Every word times the factor of its letter on a wire; Z adds ``channel[0]`` of itself to the word without it."""
    half, high, begun = keys.shape[1] // 2, state[HIGH], state[PAIRS]
    for slot in range(high):
        if channel[0] != 0 and alive[slot] and _letter(keys[slot], half, wire) == 2:
            _put(keys[slot], half, wire, 0)
            partner = _find(table, keys, slot)
            if partner < 0:
                partner = _added(keys, slot, coefficients, majorants, flips, alive, freed, table, state)
            _put(keys[slot], half, wire, 2)
            sign = channel[0] * flips[slot] * flips[partner]
            coefficients[partner] += sign * coefficients[slot]
            majorants[partner] += abs(sign) * majorants[slot]
            pair = state[PAIRS]
            slots[0, pair], slots[1, pair], pair_signs[pair] = slot, partner, sign
            state[PAIRS] += 1
    for slot in range(high):
        letter = _letter(keys[slot], half, wire)
        if alive[slot] and letter:
            _scale(
                slot, channel[letter], keys, coefficients, majorants, alive, freed, table, event_slots,
                event_values, state, lost, chance, cutoff, max_weight, by_chance, with_slopes,
            )  # fmt: skip
    if cutoff > 0 or max_weight < UNLIMITED:
        for pair in range(begun, state[PAIRS]):
            _scale(
                slots[1, pair], 1.0, keys, coefficients, majorants, alive, freed, table, event_slots,
                event_values, state, lost, chance, cutoff, max_weight, by_chance, with_slopes,
            )  # fmt: skip


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
def fill_table(table, keys, alive, state):  # type: ignore[no-untyped-def]
    _insert_all(table, keys, alive, state)


@entry
def replay_pairs(  # type: ignore[no-untyped-def]
    left, right, signs, event_slots, before, factors, pair_ends, event_ends, rotations, cosines, sines, coefficients
):  # fmt: skip
    pair = event = 0
    for done in range(len(pair_ends)):
        if rotations[done] < 0:
            for k in range(pair, pair_ends[done]):
                coefficients[right[k]] += signs[k] * coefficients[left[k]]
        else:
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
def pass_back(  # type: ignore[no-untyped-def]
    left, right, signs, event_slots, before, factors, pair_ends, event_ends, rotations, cosines, sines,
    coefficients, cotangents, gradients,
):  # fmt: skip
    samples = cotangents.shape[1]
    for done in range(len(pair_ends) - 1, -1, -1):
        number = rotations[done]
        for k in range(event_ends[done] - 1, (event_ends[done - 1] if done else 0) - 1, -1):
            slot = event_slots[k]
            coefficients[slot] = before[k]
            for m in range(samples):
                cotangents[slot, m] *= factors[k]
        if number < 0:
            for k in range(pair_ends[done - 1] if done else 0, pair_ends[done]):
                coefficients[right[k]] -= signs[k] * coefficients[left[k]]
                for m in range(samples):
                    cotangents[left[k], m] += signs[k] * cotangents[right[k], m]
            continue
        cosine, sine = cosines[number], sines[number]
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
