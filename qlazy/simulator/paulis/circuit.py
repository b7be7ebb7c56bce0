"""Circuits by Pauli propagation: outputs and derivatives as functions of angles, at any number of qubits.

One-wire gates at the start make product states; everything after is propagated, once for all samples where their angles
enter in those states alone, and sample by sample otherwise. Each output has words of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation, PauliRotation, angle_sources
from qlazy.simulator.paulis.cliffords import wires_of
from qlazy.simulator.paulis.gates import pieces_of
from qlazy.simulator.paulis.products import product_states
from qlazy.simulator.paulis.propagation import (
    Propagated,
    Truncation,
    differentiated,
    propagate,
    replayed,
    unpack,
)
from qlazy.simulator.paulis.steps import steps_of
from qlazy.simulator.paulis.walks import products_of
from qlazy.simulator.paulis.words import words_of
from qlazy.simulator.rotations import Derivatives, Real

Floats = NDArray[np.float64]


class PropagationError(NamedTuple):
    """What truncation may have changed: a bound on the error of each output, and the words left, (n, c) each.

    ``root_mean_square`` is that over random product states, of which the bound is the worst case.
    """

    bound: Floats
    root_mean_square: Floats
    words: NDArray[np.int64]


@final
class PauliCircuit:
    """A circuit as a function of the angles of its Pauli rotations, as RotationCircuit is.

    Without truncation outputs and derivatives are exact, and memory grows with the number of words. With a cutoff,
    outputs have a bound on their error; derivatives are those of what was kept, and have none. With a seed every call
    rounds by chance anew, and outputs and derivatives are right in the mean.
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
        self._first, rest = _leading_products(gates)
        pieces = [piece for operation, number in rest for piece in pieces_of(operation, number)]
        self._steps = steps_of([piece.operation for piece in pieces])
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

    @cached_property
    def _is_shared(self) -> bool:
        """Whether one propagation serves all samples."""
        return bool((self._angles.numbers < self.num_shared).all())

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Expectation values (n, c) for angles (S,) and (n, T)."""
        found = np.zeros((len(sampled), self.num_outputs))
        for part in self._parts(shared, sampled):
            found[part.samples, part.output] = part.coefficients @ part.expectations
        return found.astype(shared.dtype)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Values (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        values = np.zeros((len(sampled), self.num_outputs))
        by_angle = np.zeros((len(sampled), self.num_outputs, self.num_shared + self.num_sampled))
        for part in self._parts(shared, sampled):
            values[part.samples, part.output] = part.coefficients @ part.expectations
            by_angle[part.samples, part.output] = self._angles.pulled(part.gradients(), by_angle.shape[2]).T
        by_shared, by_sampled = np.split(by_angle.astype(shared.dtype), [self.num_shared], axis=2)
        return values.astype(shared.dtype), Derivatives(
            np.ascontiguousarray(by_shared), np.ascontiguousarray(by_sampled)
        )

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of the outputs times weights (n, c), summed: (S,) and (n, T)."""
        by_angle = np.zeros((len(sampled), self.num_shared + self.num_sampled))
        for part in self._parts(shared, sampled):
            by_row = self._angles.pulled(part.gradients(), by_angle.shape[1]).T
            by_angle[part.samples] += weights[part.samples, part.output][:, None] * by_row
        by_shared, by_sampled = np.split(by_angle.astype(shared.dtype), [self.num_shared], axis=1)
        return Derivatives(by_shared.sum(0), np.ascontiguousarray(by_sampled))

    def error(self, shared: Real, sampled: Real) -> PropagationError:
        """What truncation may have changed at these angles."""
        shape = len(sampled), self.num_outputs
        found = PropagationError(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))
        for part in self._parts(shared, sampled):
            at = part.samples, part.output
            found.bound[at] = part.found.dropped
            found.root_mean_square[at] = np.sqrt(part.found.dropped_squares)
            found.words[at] = len(part.found.slots)
        return found

    def _parts(self, shared: Real, sampled: Real) -> Iterator[_Part]:
        """Each output, of all samples together or one by one."""
        angles = np.concatenate(
            [np.broadcast_to(shared, (len(sampled), len(shared))), sampled], axis=1
        ).astype(float)
        states = product_states(
            self._num_wires,
            [(gate, None if number is None else angles[:, number]) for gate, number in self._first],
            len(sampled),
        )
        groups = [slice(None)] if self._is_shared else [slice(k, k + 1) for k in range(len(sampled))]
        for output in range(self.num_outputs):
            for samples in groups:
                if len(sampled):
                    yield self._part(output, samples, angles[samples][0], states[:, :, samples])

    def _part(self, output: int, samples: slice, angles: Floats, states: Floats) -> _Part:
        turned = self._angles.turned(angles)
        found = self._propagated(output, turned)
        expectations = np.zeros((len(found.coefficients), states.shape[2]))
        letters = unpack(found.words, self._num_wires)
        expectations[found.slots] = products_of(letters, found.signs, states)
        coefficients = found.coefficients
        if self._truncation.is_exact:
            coefficients = replayed(found.tape, self._start(output, len(found.coefficients)), turned)
        return _Part(output, samples, found, coefficients, expectations, turned)

    def _propagated(self, output: int, turned: Floats) -> Propagated:
        """Which words there are does not depend on angles where none is dropped: found once."""
        if self._truncation.is_exact and output in self._exact:
            return self._exact[output]
        mine = self._words.outputs == output
        letters, coefficients = self._words.letters[mine], self._words.coefficients[mine]
        found = propagate(self._steps, letters, coefficients, turned, self._next_truncation())
        if self._truncation.is_exact:
            self._exact[output] = found
        return found

    def _next_truncation(self) -> Truncation:
        """That of the next propagation: coefficients that are rounded by chance are drawn anew."""
        if self._truncation.seed is None:
            return self._truncation
        self._draws += 1
        return self._truncation._replace(seed=self._truncation.seed + self._draws)

    def _start(self, output: int, size: int) -> Floats:
        coefficients = self._words.coefficients[self._words.outputs == output]
        return np.concatenate([coefficients, np.zeros(size - len(coefficients))])


class _Angles(NamedTuple):
    """The angle of each rotation: ``scale`` times angle ``number``, or ``scale`` where that is -1."""

    numbers: NDArray[np.int64]  # (R,)
    scales: Floats

    def turned(self, angles: Floats) -> Floats:
        """(R,) from the angles (S + T,) of one sample."""
        return self.scales * np.append(angles, 1.0)[self.numbers]

    def pulled(self, gradients: Floats, size: int) -> Floats:
        """Derivatives (R, m) by rotation as (S + T, m) by angle."""
        found = np.zeros((size, gradients.shape[1]))
        taken = self.numbers >= 0
        np.add.at(found, self.numbers[taken], self.scales[taken, None] * gradients[taken])
        return found


@dataclass(frozen=True, eq=False)
class _Part:
    """One output of some samples: coefficients (h,) of its words, and their expectations (h, m)."""

    output: int
    samples: slice
    found: Propagated
    coefficients: Floats
    expectations: Floats
    angles: Floats

    def gradients(self) -> Floats:
        """(R, m), by rotation."""
        return differentiated(self.found.tape, self.coefficients, self.angles, self.expectations.copy())


def _takes_angle(operation: Operation) -> bool:
    return isinstance(operation, PauliRotation) and operation.angle is None


def _leading_products(
    gates: Sequence[tuple[Operation, int | None]],
) -> tuple[list[tuple[Operation, int | None]], list[tuple[Operation, int | None]]]:
    """One-wire gates at the start of their wires without a derivative to take, and all others."""
    touched: set[int] = set()
    first, rest = [], []
    for operation, number in gates:
        wires = wires_of(operation)
        shared = isinstance(operation, PauliRotation) and number is not None and (
            operation.wanted or not operation.sampled
        )  # fmt: skip
        if shared or len(wires) > 1 or touched.intersection(wires):
            touched.update(wires)
            rest.append((operation, number))
        else:
            first.append((operation, number))
    return first, rest
