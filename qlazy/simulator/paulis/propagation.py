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

A noise channel scales each word by the letter on its wire; amplitude damping adds of Z to the word without it. Neither
makes an expectation larger, so that the bounds hold with noise as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.simulator.paulis.passes import (
    DONE,
    EMPTY,
    EVENTS,
    HIGH,
    MORE_WORDS,
    PAIRS,
    PAUSED,
    STEP,
    UNLIMITED,
    fill_table,
    pass_back,
    propagate_words,
    replay_pairs,
)
from qlazy.simulator.paulis.steps import ROTATION, Steps
from qlazy.simulator.paulis.walks import POWERS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
        return self.cutoff == 0 and not self.by_weight

    @property
    def by_weight(self) -> bool:
        """Whether words go for their letters alone."""
        return self.max_weight < UNLIMITED


@dataclass(frozen=True, eq=False)
class Tape:
    """What was done to coefficients: pairs (k,) of slots for each rotation, and events, words that were scaled.

    A channel stands among rotations with the number -1: what its pairs add, and what its events scale.
    """

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


NOISELESS: Floats = np.zeros((0, 4))


def propagate(
    steps: Steps,
    letters: NDArray[np.uint8],
    coefficients: Floats,
    angles: Floats,
    truncation: Truncation,
    channels: Floats = NOISELESS,
) -> Propagated:
    """Words (t, n) with coefficients (t,) through ``steps``, whose rotations have ``angles`` (R,) by their number.

    ``channels`` are those among the steps, as :func:`channels_of` gives them.
    """
    return _Propagation(steps, letters, coefficients, angles, truncation, channels).run()


class _Propagation:
    """The arrays of one propagation, which grow as they must."""

    def __init__(
        self,
        steps: Steps,
        letters: NDArray[np.uint8],
        coefficients: Floats,
        angles: Floats,
        truncation: Truncation,
        channels: Floats,
    ) -> None:
        self._steps, self._truncation, self._channels = steps, truncation, channels
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
        rotations = int((steps.kinds == ROTATION).sum()) + len(channels)
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
            propagate_words(
                *self._steps, POWERS, *self._turns, *self._generators, self.keys, self.coefficients,
                self.majorants, self.signs, self.alive, self.scratch, self.table, *self.pairs, *self.events,
                self.ends, self.state, self.lost, self.chance, truncation.cutoff, truncation.max_weight,
                truncation.seed is not None, truncation.with_slopes, self._channels,
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
        fill_table(self.table, self.keys, self.alive, self.state)


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
    replay_pairs(
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
    pass_back(
        *tape.pairs, tape.events[0], before, tape.events[2], tape.pair_ends, tape.event_ends, tape.rotations,
        np.cos(angles), np.sin(angles), coefficients.copy(), cotangents, gradients,
    )  # fmt: skip
    return gradients
