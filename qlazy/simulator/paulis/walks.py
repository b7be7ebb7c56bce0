"""Random walks of Pauli words backwards through a circuit whose rotation angles are uniform.

Under exp(-i theta G / 2) a word P that anticommutes with G becomes cos(theta) P + sin(theta) i G P. Averages of a
product of two outputs over theta give each branch 1/2 and their product 0: so a walk takes one of them by chance, and
the mean of what it finds is the average, exactly. Words that meet the same rotations (their product commutes with every
generator that it meets) walk together; words that do not have a mean product of zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.kernels.compiled import entry, inline
from qlazy.simulator.paulis.steps import ROTATION, TURNS, Steps
from qlazy.simulator.paulis.words import Words

# POWERS[G, P] is k in G P = i^k (G xor P)
POWERS = np.zeros((4, 4), np.int64)
for _first, _second in ((1, 3), (3, 2), (2, 1)):  # XY = iZ, YZ = iX, ZX = iY
    POWERS[_first, _second], POWERS[_second, _first] = 1, 3


class Walked(NamedTuple):
    """Walks of the words of one group: where they ended, and the rotations they met."""

    members: NDArray[np.int64]  # (g,) numbers of the words
    wires: NDArray[np.int64]  # (k,) the wires that these words can reach
    letters: NDArray[np.uint8]  # (walks, g, k)
    signs: NDArray[np.int8]  # (walks, g)
    met: NDArray[np.float64]  # (walks, blocks): the weights of the rotations met, added up by block


def groups_of(steps: Steps, words: Words) -> list[NDArray[np.int64]]:
    """Numbers of the words that walk together, those first that meet no rotation at all, if only an empty list.

    Words with one syndrome: which rotations they anticommute with, carried back by the Clifford gates alone.
    """
    chance = np.random.default_rng(0)
    keys = chance.integers(1, 2**63, size=max(1, int((steps.kinds == ROTATION).sum())), dtype=np.uint64)
    syndromes = np.zeros(len(words.letters), np.uint64)
    _syndromes(*steps, POWERS, keys, words.letters.copy(), syndromes)
    distinct, which = np.unique(syndromes, return_inverse=True)
    groups = [np.flatnonzero(which == number) for number in range(len(distinct))]
    still = [group for group, syndrome in zip(groups, distinct, strict=True) if syndrome == 0]
    return [*(still or [np.zeros(0, np.int64)]), *(g for g, s in zip(groups, distinct, strict=True) if s)]


def walk_groups(
    steps: Steps,
    words: Words,
    groups: list[NDArray[np.int64]],
    counts: NDArray[np.int64],
    weights: NDArray[np.float64],
    blocks: NDArray[np.int64],
    num_blocks: int,
    seed: int,
    threads: int,
) -> Iterator[Walked]:
    """``counts[k]`` walks of group k; ``weights`` and ``blocks`` say what each rotation adds where it is met.

    Results do not depend on ``threads``.
    """

    def walked(number: int) -> Walked:
        members, walks = groups[number], int(counts[number])
        wires, order = cone_of(steps, words.letters[members])
        place = np.zeros(words.letters.shape[1], np.int64)
        place[wires] = np.arange(len(wires))
        letters = np.repeat(words.letters[members][:, wires][None], walks, axis=0)
        signs = np.ones((walks, len(members)), np.int8)
        met = np.zeros((walks, num_blocks))
        begin = np.uint64((seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03) % 2**64)
        _walk(*steps, POWERS, order, place[steps.wires], weights, blocks, begin, letters, signs, met)
        return Walked(members, wires, letters, signs, met)

    chosen = np.flatnonzero(counts)
    if threads == 1 or len(chosen) == 1:
        yield from map(walked, chosen.tolist())
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(walked, chosen.tolist())


def cone_of(steps: Steps, letters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The wires that words (g, n) can reach going back, and the steps on them, last first."""
    reached = letters.any(0)
    order = np.zeros(len(steps.kinds), np.int64)
    count = _cone(steps.starts, steps.wires, reached, order)
    return np.flatnonzero(reached), order[:count]


@entry
def _cone(starts, wires, reached, order):  # type: ignore[no-untyped-def]
    count = 0
    for step in range(len(starts) - 2, -1, -1):
        touched = False
        for k in range(starts[step], starts[step + 1]):
            touched |= reached[wires[k]]
        if touched:
            for k in range(starts[step], starts[step + 1]):
                reached[wires[k]] = True
            order[count] = step
            count += 1
    return count


@entry
def _syndromes(kinds, starts, wires, letters, values, images, signs, powers, keys, words, syndromes):  # type: ignore[no-untyped-def]
    for word in range(len(words)):
        for step in range(len(kinds) - 1, -1, -1):
            first, last = starts[step], starts[step + 1]
            if kinds[step] == ROTATION:
                if _anticommute(words[word], letters, wires, first, last):
                    syndromes[word] ^= keys[values[step]]
            elif kinds[step] == TURNS:
                if values[step] & 1 and _anticommute(words[word], letters, wires, first, last):
                    for k in range(first, last):
                        words[word, wires[k]] ^= letters[k]
            else:
                number = _local(words[word], wires, first, last)
                if number:
                    _place(words[word], wires, first, last, images[values[step] + number])


@entry
def _walk(  # type: ignore[no-untyped-def]
    kinds, starts, wires, letters, values, images, signs, powers,
    order, local, weights, blocks, begin, words, found, met,
):  # fmt: skip
    for walk in range(len(words)):
        state = begin + np.uint64(walk) * np.uint64(0xA0761D6478BD642F)
        coins, left = np.uint64(0), 0
        for step in order:
            first, last = starts[step], starts[step + 1]
            if kinds[step] == ROTATION:
                if not _anticommute(words[walk, 0], letters, local, first, last):
                    continue
                number = values[step]
                met[walk, blocks[number]] += weights[number]
                if left == 0:
                    state += np.uint64(0x9E3779B97F4A7C15)
                    coins, left = _mixed(state), 64
                flip = coins & np.uint64(1)
                coins >>= np.uint64(1)
                left -= 1
                if flip:
                    for member in range(words.shape[1]):
                        found[walk, member] *= _turn(words[walk, member], letters, local, first, last, powers)
            elif kinds[step] == TURNS:
                for member in range(words.shape[1]):
                    if _anticommute(words[walk, member], letters, local, first, last):
                        if values[step] & 1:
                            found[walk, member] *= _turn(
                                words[walk, member], letters, local, first, last, powers
                            )
                        if values[step] & 2:
                            found[walk, member] *= -1
            else:
                for member in range(words.shape[1]):
                    number = _local(words[walk, member], local, first, last)
                    if number:
                        found[walk, member] *= signs[values[step] + number]
                        _place(words[walk, member], local, first, last, images[values[step] + number])


@inline
def _mixed(state):  # type: ignore[no-untyped-def]
    """64 coins, by the mixing function of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inline
def _anticommute(word, letters, wires, first, last):  # type: ignore[no-untyped-def]
    odd = 0
    for k in range(first, last):
        one, other = word[wires[k]], letters[k]
        odd ^= (one & (other >> 1)) ^ ((one >> 1) & other)
    return odd & 1


@inline
def _turn(word, letters, wires, first, last, powers):  # type: ignore[no-untyped-def]
    """P becomes i G P: the word in place, and its sign."""
    power = 1
    for k in range(first, last):
        power += powers[letters[k], word[wires[k]]]
        word[wires[k]] ^= letters[k]
    return 1 - (power & 2)


@inline
def _local(word, wires, first, last):  # type: ignore[no-untyped-def]
    number = 0
    for k in range(first, last):
        number = number << 2 | word[wires[k]]
    return number


@inline
def _place(word, wires, first, last, number):  # type: ignore[no-untyped-def]
    for k in range(last - 1, first - 1, -1):
        word[wires[k]] = number & 3
        number >>= 2


def product_features(walked: Walked, bloch: NDArray[np.float64]) -> NDArray[np.float64]:
    """The signed expectation (walks, g, m) of each word in m product states, ``bloch`` (n, 4, m) by wire and letter."""
    table = np.ascontiguousarray(bloch[walked.wires])
    features = np.empty((*walked.signs.shape, bloch.shape[2]))
    _products(walked.letters, walked.signs, table, features)
    return features


def products_of(letters: NDArray[np.uint8], signs: NDArray[np.int8], bloch: NDArray[Any]) -> NDArray[Any]:
    """The signed expectation (t, m) of words (t, n) in m product states (n, 4, m)."""
    features = np.empty((len(signs), 1, bloch.shape[2]), bloch.dtype)
    _products(letters[:, None], signs[:, None], np.ascontiguousarray(bloch), features)
    return features[:, 0]


def product_slopes(letters: NDArray[np.uint8], weights: NDArray[Any], bloch: NDArray[Any]) -> NDArray[Any]:
    """d/dbloch (n, 4, m) of the sum of expectations of words (t, n) times weights (t,)."""
    slopes = np.zeros(bloch.shape, np.result_type(bloch, weights))
    room = np.empty((letters.shape[1] + 1, bloch.shape[2]), slopes.dtype)
    support = np.empty(letters.shape[1], np.int64)
    _slopes(
        letters,
        weights.astype(slopes.dtype),
        np.ascontiguousarray(bloch, slopes.dtype),
        room,
        support,
        slopes,
    )
    return slopes


@entry
def _products(letters, signs, table, features):  # type: ignore[no-untyped-def]
    walks, members, samples = features.shape
    for walk in range(walks):
        for member in range(members):
            for sample in range(samples):
                features[walk, member, sample] = signs[walk, member]
            for wire in range(letters.shape[2]):
                letter = letters[walk, member, wire]
                if letter:
                    for sample in range(samples):
                        features[walk, member, sample] *= table[wire, letter, sample]


@entry
def _slopes(letters, weights, table, room, support, slopes):  # type: ignore[no-untyped-def]
    """Products of all letters but one, from those before it and those after."""
    samples = table.shape[2]
    for word in range(len(letters)):
        count = 0
        for wire in range(letters.shape[1]):
            if letters[word, wire]:
                support[count] = wire
                count += 1
        for sample in range(samples):
            room[0, sample] = weights[word]
        for k in range(count):
            wire = support[k]
            for sample in range(samples):
                room[k + 1, sample] = room[k, sample] * table[wire, letters[word, wire], sample]
        for sample in range(samples):
            after = table[0, 0, sample]  # the expectation of the identity: 1
            for k in range(count - 1, -1, -1):
                wire = support[k]
                slopes[wire, letters[word, wire], sample] += room[k, sample] * after
                after *= table[wire, letters[word, wire], sample]
