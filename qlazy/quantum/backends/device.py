"""Any PennyLane device as an engine: the exact parameter-shift rule at every site, whatever shots and noise.

PennyLane's own gradient transforms are left alone: on a gate conditioned on a measurement its parameter-shift
becomes a finite difference with h = 1e-7, without a word. Here a shift is one more circuit, so that whatever
the device does to a circuit, measured branches and channels included, it does to the shifted one as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.ops import Conditional
from pennylane.ops.mid_measure import MidMeasure
from pennylane.tape import QuantumScript

from qlazy.quantum.backends.lightning import contracted
from qlazy.quantum.pennylane.operators import (
    Labels,
    Operator,
    Rotation,
    Step,
    circuits,
    steps,
    wrapped,
)
from qlazy.quantum.pennylane.tapes import executed, flat, real
from qlazy.quantum.program.shift_rules import Term, shift_rule
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation, angle_sources
from qlazy.simulator.rotations import Derivatives, Real

Wrap = Callable[[Operator], Operator]


@dataclass(frozen=True, eq=False)
class AngleSlot:
    """Where rotation ``index`` of a lowering stands among the operators of a device; ``wrap`` adds its conditions."""

    index: int
    wrap: Wrap


@dataclass(frozen=True, eq=False)
class DeviceTemplate:
    """A circuit as a device is to run it: operators as they are, and the places of rotations in between."""

    parts: tuple[Operator | AngleSlot, ...]
    measurements: tuple[Any, ...]
    labels: Labels
    num_outputs: int


class Shift(NamedTuple):
    """A shifted circuit: the angle it differentiates, among those shared or sampled, and its weight in the rule."""

    number: int
    sampled: bool
    weight: float


@dataclass(frozen=True, eq=False)
class Executor:
    """A device with the shots and the treatment of measurements that a QNode asked for."""

    device: Any
    shots: Any
    mcm_method: Any
    postselect_mode: Any

    def run(
        self,
        circuits: Sequence[list[Operator]],
        measurements: Sequence[Any],
        shots: Sequence[Any] | None = None,
    ) -> NDArray[np.float64]:
        """Results (circuits, c), all handed to the device together; equal circuits are measured anew.

        ``shots`` are those of each circuit, None for exact results, where they are not the QNode's. Where each is a
        pair, shots and batches, results are (circuits, batches c): a state is computed once for all its batches.
        """
        numbers = [self.shots] * len(circuits) if shots is None else shots
        tapes = [
            QuantumScript(operators, measurements, shots=number)
            for operators, number in zip(circuits, numbers, strict=True)
        ]
        results = executed(tapes, self.device, self.mcm_method, self.postselect_mode)
        return np.stack([real(flat(result)) for result in results])


@final
class DeviceCircuit:
    """A circuit run on a PennyLane device, differentiated by shifts of the angle of each site.

    A rotation takes two circuits, one controlled by qubits four. Exact for exact devices, channels included;
    with shots every call draws anew from the device, and outputs and derivatives are unbiased, each circuit
    with its own shots. Raises NotLoweredError for gates that have no operator.
    """

    def __init__(
        self,
        executor: Executor,
        template: DeviceTemplate,
        num_wires: int,
        operations: Sequence[Operation],
        observables: Sequence[Observable],
    ) -> None:
        self._executor, self._template = executor, template
        self._steps = list(_steps(template, operations))
        self._sites = [
            (position, step)
            for position, step in enumerate(self._steps)
            if isinstance(step, Rotation) and step.wanted
        ]

    @property
    def num_outputs(self) -> int:
        return self._template.num_outputs

    @property
    def circuits_per_sample(self) -> int:
        """Circuits that a sweep runs for each sample: its own and the shifted ones."""
        return 1 + sum(len(_rule(site)) for _, site in self._sites)

    @property
    def shifts(self) -> list[Shift]:
        """The shifted circuits of a sample, in the order in which they are run."""
        return [
            Shift(site.number, site.sampled, weight) for _, site in self._sites for weight, _ in _rule(site)
        ]

    @property
    def squares(self) -> NDArray[np.float64]:
        """The square of each output's observable where that is a number, as for Pauli words, (c,); else NaN."""
        return np.concatenate([_square(measurement) for measurement in self._template.measurements])

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Outputs (n, c) for angles (S,) and (n, T)."""
        return self._run(list(circuits(self._steps, shared, sampled))).astype(shared.dtype)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Outputs (n, c), and their derivatives by every angle, (n, c, S) and (n, c, T)."""
        batch = [
            circuit
            for operators, row in zip(circuits(self._steps, shared, sampled), sampled, strict=True)
            for circuit in (operators, *self._shifted(operators, shared, row))
        ]
        results = self._run(batch).reshape(len(sampled), self.circuits_per_sample, self.num_outputs)
        return results[:, 0].astype(shared.dtype), self._derivatives(results[:, 1:], shared, sampled)

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of the outputs times weights (n, c), summed: (S,) and (n, T)."""
        return contracted(weights, self.sweep(shared, sampled)[1])

    @property
    def is_batched(self) -> bool:
        """Whether one state serves many batches of shots: not where the circuit measures on its way."""
        return not any(isinstance(part, (MidMeasure, Conditional)) for part in self._template.parts)

    def shifted(self, shared: Real, sampled: Real, shots: Sequence[Any]) -> NDArray[np.float64]:
        """Outputs of the shifted circuits of every sample, (n, k, c), each with its own shots, as `Executor.run`."""
        batch = [
            circuit
            for operators, row in zip(circuits(self._steps, shared, sampled), sampled, strict=True)
            for circuit in self._shifted(operators, shared, row)
        ]
        return self._run(batch, shots).reshape(len(sampled), len(self.shifts), -1)

    def _run(self, batch: list[list[Operator]], shots: Sequence[Any] | None = None) -> NDArray[np.float64]:
        if not batch:
            return np.zeros((0, self.num_outputs))
        return self._executor.run(batch, self._template.measurements, shots)

    def _shifted(self, operators: list[Operator], shared: Real, row: Real) -> Iterator[list[Operator]]:
        for position, site in self._sites:
            angle = site.angle(shared, row)
            for _, shift in _rule(site):
                yield [*operators[:position], site.make(angle + shift), *operators[position + 1 :]]

    def _derivatives(self, results: NDArray[np.float64], shared: Real, sampled: Real) -> Derivatives:
        shape = (len(sampled), self.num_outputs)
        found = Derivatives(
            *(np.zeros((*shape, size), shared.dtype) for size in (len(shared), sampled.shape[1]))
        )
        first = 0
        for _, site in self._sites:
            weights = [weight for weight, _ in _rule(site)]
            target = found.sampled if site.sampled else found.shared
            target[..., site.number] = np.einsum(
                "k,nkc->nc", weights, results[:, first : first + len(weights)]
            )
            first += len(weights)
        return found


def _rule(site: Rotation) -> tuple[Term, ...]:
    return shift_rule(site.controlled)


def _steps(template: DeviceTemplate, operations: Sequence[Operation]) -> Iterator[Step]:
    sources = angle_sources(operations)
    for part in template.parts:
        if not isinstance(part, AngleSlot):
            yield part
            continue
        for step in steps(operations[part.index], template.labels, sources[part.index]):
            yield wrapped(step, part.wrap)


def _square(measurement: Any) -> NDArray[np.float64]:
    if not isinstance(measurement, qml.measurements.ExpectationMP):
        return np.full(math.prod(measurement.shape(None, len(measurement.wires))), np.nan)
    words = None if measurement.obs is None else measurement.obs.pauli_rep
    if words is None or len(words) != 1:
        return np.full(1, np.nan)
    return np.array([abs(coefficient) ** 2 for coefficient in words.values()])
