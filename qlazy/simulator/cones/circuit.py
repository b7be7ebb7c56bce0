"""Circuits run cone by cone: as many small circuits as there are groups of outputs with cones of their own.

Groups that differ only in the wires and angles they stand on are one small circuit, run on all of them as samples side
by side: a chain of thousands of qubits with local outputs is one sweep over a few.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.simulator.cones.cones import Cones, find_cones
from qlazy.simulator.cones.groups import BLOCKS, CALL, FULL, Grouping, whole_cost
from qlazy.simulator.cones.relabeled import Member, Small, relabeled
from qlazy.simulator.hessians import hessians
from qlazy.simulator.observables import Observable, check_observables, num_outputs
from qlazy.simulator.operations import (
    AngleSource,
    Operation,
    PauliRotation,
    angle_sources,
    check_operations,
)
from qlazy.simulator.rotations import Derivatives, Real, RotationCircuit
from qlazy.simulator.tangents import Moved, moved

Numbers = NDArray[np.int64]
MakeCircuit = Callable[[int, Sequence[Operation], Sequence[Observable]], Any]

WORTH = 0.8
"""The part of the cost of the circuit in one piece below which it is taken apart."""
MANY = 16
"""Different circuits from which another way to group is tried."""


def by_cones(
    num_wires: int,
    operations: Sequence[Operation],
    observables: Sequence[Observable],
    cones: Cones | None = None,
    make: MakeCircuit = RotationCircuit,
) -> Any:
    """The circuit in one piece, or by its cones where that is cheaper; ``cones`` are its own, if they are known.

    ``make`` gives what runs a circuit in one piece, with the interface of RotationCircuit, which it is by default.

    ValueError names the operation or observable that does not fit.
    """
    operations, observables = tuple(operations), tuple(observables)
    outputs = sum(map(num_outputs, observables))
    most = BLOCKS * len(operations) * (1 + 2 * outputs) * 2 ** min(num_wires, FULL)
    if (
        most > CALL // 4
    ):  # otherwise the whole takes hardly longer than any circuit does, and nothing can be gained
        check_operations(num_wires, operations)
        check_observables(num_wires, observables)
        circuit = ConeCircuit(operations, cones or find_cones(num_wires, operations, observables), make)
        if num_wires > FULL or circuit.cost < WORTH * whole_cost(num_wires, operations, outputs):
            return circuit
    return make(num_wires, operations, observables)


@final
class ConeCircuit:
    """A circuit as a function of the angles of its Pauli rotations, each output by its light cone.

    Arguments and results are those of RotationCircuit; derivatives by angles outside a cone are exactly zero.
    Operations and observables must have been checked.
    """

    def __init__(
        self, operations: Sequence[Operation], cones: Cones, make: MakeCircuit = RotationCircuit
    ) -> None:
        self.make = make
        self._operations, self.cones = tuple(operations), cones
        self._sources = angle_sources(operations)
        found = [source for source in self._sources if source is not None]
        self.num_sampled = sum(source.sampled for source in found)
        self.num_shared = len(found) - self.num_sampled
        self._constants = np.zeros(cones.num_outputs)
        for output, constant in cones.constants:
            self._constants[output] += constant
        self.cost, self._kinds = self._alike(apart=False)
        """Amplitudes that a run reads and what it takes besides, about; and circuits that are the same."""
        if len(self._kinds) > MANY:  # words of one sum with many different coefficients, for instance
            other = self._alike(apart=True)
            if other[0] < self.cost:
                self.cost, self._kinds = other

    def _alike(self, apart: bool) -> tuple[int, dict[object, list[Small]]]:
        grouping = Grouping(self.cones, self._operations, apart)
        kinds: dict[object, list[Small]] = {}
        for group in grouping.groups:
            small = relabeled(group, self._operations, self._sources)
            kinds.setdefault(small.key, []).append(small)
        return CALL * len(kinds) + grouping.cost, kinds

    @property
    def num_outputs(self) -> int:
        return self.cones.num_outputs

    @cached_property
    def _families(self) -> list[_Family]:
        return [_Family(alike, self) for alike in self._kinds.values()]

    @cached_property
    def unshared(self) -> tuple[ConeCircuit, Numbers]:
        """The same circuit with every angle sampled, and where its angles (S + T) are among shared and sampled."""
        operations = [
            replace(operation, sampled=True)
            if isinstance(operation, PauliRotation) and operation.angle is None
            else operation
            for operation in self._operations
        ]
        order = [place(source, self.num_shared) for source in self._sources if source is not None]
        return ConeCircuit(operations, self.cones, self.make), np.array(order, np.int64)

    def gradient_flops(self, samples: int) -> int:
        """As that of RotationCircuit, of all circuits that are run."""
        return sum(family.gradient_flops(samples) for family in self._families)

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Expectation values (n, c) for angles (S,) and (n, T)."""
        self._check(shared, sampled)
        total = self._start(len(sampled))
        for family in self._families:
            family.add_values(total, family.run.values(*family.angles(shared, sampled), threads))
        return np.ascontiguousarray(total.T, shared.dtype)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Values (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        self._check(shared, sampled)
        samples, angles = len(sampled), self.num_shared + self.num_sampled
        total = self._start(samples)
        by_angle = np.zeros((self.num_outputs * angles, samples), shared.dtype)
        for family in self._families:
            values, found = family.run.sweep(*family.angles(shared, sampled), threads)
            family.add_values(total, values)
            family.add_derivatives(by_angle, np.concatenate(found, axis=2))
        split = by_angle.reshape(self.num_outputs, angles, samples).transpose(2, 0, 1)
        values = np.ascontiguousarray(total.T, shared.dtype)
        return values, Derivatives(split[..., : self.num_shared], split[..., self.num_shared :])

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of sum_ia weights[i, a] F[i, a] in one sweep: (S,), summed over the batch, and (n, T)."""
        self._check(shared, sampled)
        must = f"have shape {(len(sampled), self.num_outputs)}"
        require(weights.shape == (len(sampled), self.num_outputs), "weights", must, weights.shape)
        by_shared = np.zeros(self.num_shared)
        by_sampled = np.zeros((self.num_sampled, len(sampled)), shared.dtype)
        for family in self._families:
            own = family.weights(weights)
            found = family.run.weighted(own, *family.angles(shared, sampled), threads)
            family.add_weighted(by_shared, by_sampled, found)
        return Derivatives(by_shared.astype(shared.dtype), by_sampled.T)

    def moved(
        self, weights: Real, weight_tangents: Real, angles: Real, tangents: Real, threads: int = 1
    ) -> Moved:
        """As :func:`qlazy.simulator.tangents.moved`, for a circuit that shares no angle."""
        require(self.num_shared == 0, "circuit", "share no angle", f"one that shares {self.num_shared}")
        none, samples = angles.reshape(-1)[:0], len(angles)
        outputs = np.zeros((self.num_outputs, samples))
        gradients = np.zeros((self.num_sampled, samples), angles.dtype)
        for family in self._families:
            own, along = (family.angles(none, rows)[1] for rows in (angles, tangents))
            weighted, change = (family.weights(rows) for rows in (weights, weight_tangents))
            found = moved(family.run, weighted, change, own, along, threads)
            family.add_values(outputs, found.outputs)
            family.add_gradients(gradients, found.gradients)
        return Moved(np.ascontiguousarray(outputs.T, angles.dtype), gradients.T)

    def hessians(self, weights: Real, angles: Real, threads: int = 1) -> Real:
        """As :func:`qlazy.simulator.hessians.hessians`, for a circuit that shares no angle."""
        require(self.num_shared == 0, "circuit", "share no angle", f"one that shares {self.num_shared}")
        inner, samples = self.num_sampled, len(angles)
        total = np.zeros((inner * inner, samples), angles.dtype)
        for family in self._families:
            own = family.angles(angles.reshape(-1)[:0], angles)[1]
            family.add_hessians(total, hessians(family.run, family.weights(weights), own, threads))
        return total.T.reshape(samples, inner, inner)

    def _start(self, samples: int) -> NDArray[np.float64]:
        return np.repeat(self._constants[:, None], samples, axis=1)

    def _check(self, shared: Real, sampled: Real) -> None:
        must = f"have shape ({self.num_shared},)"
        require(shared.shape == (self.num_shared,), "shared", must, shared.shape)
        must = f"have shape (n, {self.num_sampled})"
        fits = sampled.ndim == 2 and sampled.shape[1] == self.num_sampled
        require(fits, "sampled", must, sampled.shape)


def moved_rows(
    circuit: RotationCircuit | ConeCircuit,
    weights: Real,
    weight_tangents: Real,
    angles: Real,
    tangents: Real,
    threads: int = 1,
) -> Moved:
    """:func:`qlazy.simulator.tangents.moved` of a circuit of either kind."""
    if isinstance(circuit, ConeCircuit):
        return circuit.moved(weights, weight_tangents, angles, tangents, threads)
    return moved(circuit, weights, weight_tangents, angles, tangents, threads)


def hessian_rows(
    circuit: RotationCircuit | ConeCircuit, weights: Real, angles: Real, threads: int = 1
) -> Real:
    """:func:`qlazy.simulator.hessians.hessians` of a circuit of either kind."""
    if isinstance(circuit, ConeCircuit):
        return circuit.hessians(weights, angles, threads)
    return hessians(circuit, weights, angles, threads)


def place(source: AngleSource, num_shared: int) -> int:
    """The number of an angle among the shared ones and then the sampled ones."""
    return source.number + source.sampled * num_shared


class _Family:
    """Groups that are the same small circuit: ``members`` (m), run as samples of one that shares no angle.

    A single one is run as it is. ``samples`` is 1 where no angle is sampled and all samples are alike.
    """

    def __init__(self, alike: Sequence[Small], whole: ConeCircuit) -> None:
        small, members = alike[0], [other.member for other in alike]
        circuit = whole.make(small.num_wires, small.operations, small.observables)
        columns = np.array([_columns(member, whole.num_shared) for member in members], np.int64)
        columns = columns.reshape(len(members), -1)
        self.run = circuit
        self._split = len(members[0].shared) if len(members) == 1 else 0
        if len(members) > 1:
            self.run, order = circuit.unshared
            columns = columns[:, order]
        self._columns, self._shared = columns, whole.num_shared
        self._is_shared = (columns < whole.num_shared).all(axis=0)
        self._is_alike = bool(self._is_shared.all())
        outputs = np.array([member.outputs for member in members], np.int64)
        self._outputs, self._factors = outputs, np.array([member.factors for member in members])
        self._by_output = _Scatter(outputs)
        angles = whole.num_shared + whole.num_sampled
        self._by_pair = _Scatter(outputs[:, :, None] * angles + columns[:, None, :])
        self._by_column = _Scatter(columns[:, ~self._is_shared] - whole.num_shared)

    @property
    def _members(self) -> int:
        return len(self._columns)

    def gradient_flops(self, samples: int) -> int:
        """Of all members."""
        rows = min(samples, 1) if self._is_alike else samples
        return self.run.gradient_flops(rows * self._members)

    def angles(self, shared: Real, sampled: Real) -> tuple[Real, Real]:
        """The angles of the run: (S',) and (n', T'), the samples of one member after those of another."""
        columns = self._columns
        if self._members == 1:
            [row] = columns
            return shared[row[: self._split]], sampled[:, row[self._split :] - self._shared]
        samples = min(len(sampled), 1) if self._is_alike else len(sampled)
        found = np.empty((self._members, samples, columns.shape[1]), shared.dtype)
        found[:, :, self._is_shared] = shared[columns[:, self._is_shared]][:, None]
        own = columns[:, ~self._is_shared] - self._shared
        if not self._is_alike:
            found[:, :, ~self._is_shared] = sampled[:, own].transpose(1, 0, 2)
        return shared[:0], found.reshape(self._members * samples, columns.shape[1])

    def weights(self, weights: Real) -> Real:
        """Weights (n, c) of the whole circuit as those of the run."""
        own = weights[:, self._outputs].transpose(1, 0, 2)
        if self._members > 1 and self._is_alike:
            own = own.sum(axis=1, keepdims=True)[:, : len(weights)]
        own = own * self._factors[:, None].astype(weights.dtype)
        return own.reshape(-1, own.shape[2])

    def _apart(self, found: Real) -> Real:
        """What a run gave, (m n, ...), by member, (m, n, ...)."""
        return found.reshape(self._members, len(found) // self._members, *found.shape[1:])

    def add_values(self, total: Real, values: Real) -> None:
        found = self._apart(values).transpose(0, 2, 1)
        self._by_output.add(total, found * self._factors[:, :, None])

    def add_derivatives(self, total: Real, found: Real) -> None:
        """Derivatives of the run (m n, c', a) to those of the whole circuit, (c a, n)."""
        split = self._apart(found).transpose(0, 2, 3, 1)
        self._by_pair.add(total, split * self._factors[:, :, None, None].astype(found.dtype))

    def add_weighted(self, by_shared: Real, by_sampled: Real, found: Derivatives) -> None:
        if self._members == 1:
            [row] = self._columns
            by_shared[row[: self._split]] += found.shared
            by_sampled[row[self._split :] - self._shared] += found.sampled.T
            return
        split = self._apart(found.sampled)
        summed = split[:, :, self._is_shared].sum(axis=1, dtype=np.float64)
        np.add.at(by_shared, self._columns[:, self._is_shared], summed)
        self.add_gradients(by_sampled, found.sampled)

    def add_gradients(self, total: Real, found: Real) -> None:
        """Derivatives (m n, a) of a weighted sum to those of the whole circuit by its sampled angles, (T, n)."""
        self._by_column.add(total, self._apart(found)[:, :, ~self._is_shared].transpose(0, 2, 1))

    def add_hessians(self, total: Real, found: Real) -> None:
        """Hessians (m n, a, a) to those of the whole circuit, which shares no angle, (T T, n)."""
        columns, angles = self._columns, math.isqrt(len(total))
        targets = _Scatter(columns[:, :, None] * angles + columns[:, None, :])
        targets.add(total, self._apart(found).transpose(0, 2, 3, 1))


def _columns(member: Member, num_shared: int) -> Iterable[int]:
    return (*member.shared, *(num_shared + number for number in member.sampled))


class _Scatter:
    """Adds rows to rows of another array, several to one perhaps, always in the same order."""

    def __init__(self, targets: Numbers) -> None:
        flat = targets.reshape(-1)
        self._order = np.argsort(flat, kind="stable")
        self._targets, self._starts = np.unique(flat[self._order], return_index=True)
        self._is_plain = len(self._targets) == len(flat)

    def add(self, total: Real, rows: Real) -> None:
        """Add ``rows`` (..., k), as many as there are targets, to ``total`` (t, k); k may be 1 for all alike."""
        if not len(self._order) or not rows.size:
            return
        ordered = rows.reshape(len(self._order), -1)[self._order]
        total[self._targets] += ordered if self._is_plain else np.add.reduceat(ordered, self._starts, axis=0)
