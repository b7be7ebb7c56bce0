"""Circuits by Pauli propagation: outputs and derivatives as functions of angles, at any number of qubits.

One-wire gates at the start make product states; everything after is propagated, once for all samples where their angles
enter in those states alone, and sample by sample otherwise. Each output has words of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Channel, Operation, PauliRotation, angle_sources
from qlazy.simulator.paulis.cliffords import wires_of
from qlazy.simulator.paulis.gates import pieces_of
from qlazy.simulator.paulis.products import product_states, state_slopes
from qlazy.simulator.paulis.propagation import (
    Propagated,
    Truncation,
    differentiated,
    propagate,
    replayed,
    unpack,
)
from qlazy.simulator.paulis.steps import channels_of, steps_of
from qlazy.simulator.paulis.walks import product_slopes, products_of
from qlazy.simulator.paulis.words import words_of
from qlazy.simulator.rotations import Derivatives, Real

Array = NDArray[Any]
Floats = NDArray[np.float64]
Gate = tuple[Operation, int | None]  # and the number of its angle among all, shared first


class PropagationError(NamedTuple):
    """What truncation may have changed: a bound on the error of each output, and the words left, (n, c) each.

    ``root_mean_square`` is that over random product states, of which the bound is the worst case. ``slope_bound`` is
    one on the error of the derivative by any angle.
    """

    bound: Floats
    slope_bound: Floats
    root_mean_square: Floats
    words: NDArray[np.int64]


@final
class PauliCircuit:
    """A circuit as a function of the angles of its Pauli rotations, as RotationCircuit is.

    Without truncation outputs and derivatives are exact, and memory grows with the number of words. With a cutoff,
    outputs and derivatives have a bound on their errors, unless the truncation is without slopes: then derivatives are
    those of what was kept. With a seed every call rounds by chance anew, and all are right in the mean.
    """

    def __init__(
        self,
        num_wires: int,
        operations: Sequence[Operation],
        observables: Sequence[Observable],
        truncation: Truncation | None = None,
    ) -> None:
        self._num_wires, self._truncation = num_wires, truncation or Truncation()
        sources = angle_sources(operations)
        taken = [source for source in sources if source is not None]
        self.num_sampled = sum(source.sampled for source in taken)
        self.num_shared = len(taken) - self.num_sampled
        numbers = [None if s is None else s.number + s.sampled * self.num_shared for s in sources]
        gates = list(zip(operations, numbers, strict=True))
        self._first, rest = _leading(gates)
        pieces = [piece for operation, number in rest for piece in pieces_of(operation, number)]
        self._steps = steps_of([piece.operation for piece in pieces])
        self._channels = channels_of([piece.operation for piece in pieces])
        turns = [piece for piece in pieces if _takes_angle(piece.operation)]
        self._angles = _Angles(
            np.array([-1 if turn.number is None else turn.number for turn in turns], np.int64),
            np.array([turn.scale for turn in turns], float),
        )
        self._words = words_of(num_wires, tuple(observables))
        self._exact: dict[int, Propagated] = {}
        self._draws = 0

    @property
    def num_outputs(self) -> int:
        return self._words.num_outputs

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Expectation values (n, c) for angles (S,) and (n, T)."""
        found = np.zeros((len(sampled), self.num_outputs))
        for part in self._parts(_joined(shared, sampled)):
            found[part.samples, part.output] = part.values()
        return found.astype(shared.dtype)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Values (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        angles = _joined(shared, sampled)
        values, by_angle = np.zeros((len(sampled), self.num_outputs)), np.zeros(self._shape(angles))
        for part in self._parts(angles):
            values[part.samples, part.output] = part.values()
            by_angle[part.samples, part.output] = self._gradients(part)
        return values.astype(shared.dtype), self._split(by_angle.astype(shared.dtype))

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of the outputs times weights (n, c), summed: (S,) and (n, T)."""
        angles = _joined(shared, sampled)
        by_angle = np.zeros(angles.shape)
        for part in self._parts(angles):
            by_angle[part.samples] += weights[part.samples, part.output][:, None] * self._gradients(part)
        found = self._split(by_angle.astype(shared.dtype))
        return Derivatives(found.shared.sum(0), found.sampled)

    def rates(self, shared: Real, sampled: Real, along: tuple[Real, Real]) -> Derivatives:
        """Rates of all derivatives (n, c, S) and (n, c, T) along directions of these shapes, one for each output.

        By a step of 1e-20 in the imaginary direction, exact to rounding: everything is analytic in the angles.
        """
        step = 1e-20j * np.concatenate(along, axis=2)
        angles = _joined(shared, sampled)
        found = np.zeros(self._shape(angles))
        for part in self._parts(angles, step):
            found[part.samples, part.output] = self._gradients(part).imag / 1e-20
        return self._split(found.astype(shared.dtype))

    def error(self, shared: Real, sampled: Real) -> PropagationError:
        """What truncation may have changed at these angles."""
        shape = len(sampled), self.num_outputs
        found = PropagationError(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))
        for part in self._parts(_joined(shared, sampled)):
            at = part.samples, part.output
            found.bound[at], found.slope_bound[at] = part.found.dropped, part.found.dropped_slopes
            found.root_mean_square[at] = np.sqrt(part.found.dropped_squares)
            found.words[at] = len(part.found.slots)
        return found

    def _shape(self, angles: Array) -> tuple[int, int, int]:
        return len(angles), self.num_outputs, angles.shape[1]

    def _split(self, by_angle: Real) -> Derivatives:
        """(..., S + T) as (..., S) and (..., T)."""
        shared, sampled = np.split(by_angle, [self.num_shared], axis=-1)
        return Derivatives(np.ascontiguousarray(shared), np.ascontiguousarray(sampled))

    def _parts(self, angles: Array, step: Array | None = None) -> Iterator[_Part]:
        """Each output, of all samples together or one by one, at angles (n, S + T) plus a step (n, c, S + T)."""
        for output in range(self.num_outputs):
            moved = angles if step is None else angles + step[:, output]
            body = moved[:, self._angles.taken]
            together = len(angles) > 0 and bool((body == body[:1]).all())
            for samples in [slice(None)] if together else [slice(k, k + 1) for k in range(len(angles))]:
                yield self._part(output, samples, moved[samples])

    def _part(self, output: int, samples: slice, angles: Array) -> _Part:
        turned = self._angles.turned(angles[0])
        found = self._propagated(output, turned.real)
        start = np.zeros(len(found.coefficients))
        mine = self._words.coefficients[self._words.outputs == output]
        start[: len(mine)] = mine
        coefficients, before = replayed(found.tape, start, turned)
        gates = [(gate, None if number is None else angles[:, number]) for gate, number in self._first]
        states = product_states(self._num_wires, gates, len(angles))
        letters = unpack(found.words, self._num_wires)
        expectations = products_of(letters, found.signs, states)
        return _Part(
            output, samples, found, letters, coefficients, before, states, expectations, turned, angles
        )

    def _gradients(self, part: _Part) -> Array:
        """(m, S + T), by angle."""
        found = self._angles.pulled(part.gradients(), part.angles.shape[1])
        chains = [
            (wire, chain) for wire, chain in self._chains.items() if any(n is not None for _, n in chain)
        ]
        if chains:
            weights = part.coefficients[part.found.slots] * part.found.signs
            slopes = product_slopes(part.letters, weights, part.states)
            for wire, chain in chains:
                gates = [(gate, None if n is None else part.angles[:, n]) for gate, n in chain]
                for position, (gate, number) in enumerate(chain):
                    if number is not None and isinstance(gate, PauliRotation) and gate.wanted:
                        found[number] += (slopes[wire] * state_slopes(gates, position, len(part.angles))).sum(
                            0
                        )
        return found.T

    @cached_property
    def _chains(self) -> dict[int, list[Gate]]:
        """The gates at the start of each wire."""
        found: dict[int, list[Gate]] = {}
        for operation, number in self._first:
            found.setdefault(wires_of(operation)[0], []).append((operation, number))
        return found

    def _propagated(self, output: int, turned: Floats) -> Propagated:
        """Which words there are does not depend on angles where none is dropped: found once."""
        if self._truncation.is_exact and output in self._exact:
            return self._exact[output]
        mine = self._words.outputs == output
        letters, coefficients = self._words.letters[mine], self._words.coefficients[mine]
        truncation = self._next_truncation()
        found = propagate(self._steps, letters, coefficients, turned, truncation, self._channels)
        if self._truncation.is_exact:
            self._exact[output] = found
        return found

    def _next_truncation(self) -> Truncation:
        """That of the next propagation: coefficients that are rounded by chance are drawn anew."""
        if self._truncation.seed is None:
            return self._truncation
        self._draws += 1
        return self._truncation._replace(seed=self._truncation.seed + self._draws)


def _joined(shared: Real, sampled: Real) -> Floats:
    """(n, S + T)."""
    return np.concatenate([np.broadcast_to(shared, (len(sampled), len(shared))), sampled], axis=1).astype(
        float
    )


class _Angles(NamedTuple):
    """The angle of each rotation: ``scale`` times angle ``number``, or ``scale`` where that is -1."""

    numbers: NDArray[np.int64]  # (R,)
    scales: Floats

    @property
    def taken(self) -> NDArray[np.int64]:
        """The numbers that any rotation takes."""
        return np.unique(self.numbers[self.numbers >= 0])

    def turned(self, angles: Array) -> Array:
        """(R,) from the angles (S + T,) of one sample."""
        return self.scales * np.append(angles, 1.0)[self.numbers]

    def pulled(self, gradients: Array, size: int) -> Array:
        """Derivatives (R, m) by rotation as (S + T, m) by angle."""
        found = np.zeros((size, gradients.shape[1]), gradients.dtype)
        taken = self.numbers >= 0
        np.add.at(found, self.numbers[taken], self.scales[taken, None] * gradients[taken])
        return found


@dataclass(frozen=True, eq=False)
class _Part:
    """One output of some samples, at angles (m, S + T).

    ``coefficients`` (h,) by slot and ``before`` each event; ``states`` (n, 4, m), and ``expectations`` (t, m) there of
    the words that are left, ``letters`` (t, n); ``turned`` (R,) angles of the rotations.
    """

    output: int
    samples: slice
    found: Propagated
    letters: NDArray[np.uint8]
    coefficients: Array
    before: Array
    states: Array
    expectations: Array
    turned: Array
    angles: Array

    def values(self) -> Array:
        """(m,)."""
        return np.asarray(self.coefficients[self.found.slots] @ self.expectations)

    def gradients(self) -> Array:
        """(R, m), by rotation."""
        cotangents = np.zeros((len(self.coefficients), self.expectations.shape[1]), self.expectations.dtype)
        cotangents[self.found.slots] = self.expectations
        return differentiated(self.found.tape, self.coefficients, self.before, self.turned, cotangents)


def _takes_angle(operation: Operation) -> bool:
    return isinstance(operation, PauliRotation) and operation.angle is None


def _leading(gates: Sequence[Gate]) -> tuple[list[Gate], list[Gate]]:
    """One-wire gates at the start of their wires, and all others."""
    touched: set[int] = set()
    first: list[Gate] = []
    rest: list[Gate] = []
    for operation, number in gates:
        wires = wires_of(operation)
        if len(wires) > 1 or isinstance(operation, Channel) or touched.intersection(wires):
            touched.update(wires)
            rest.append((operation, number))
        else:
            first.append((operation, number))
    return first, rest
