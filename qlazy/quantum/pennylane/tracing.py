"""From a QNode to what the simulator takes: run it once on tensors that carry formulas, then lower its tape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, final

import pennylane as qml
import torch

from qlazy.quantum.backends.angles import Layout
from qlazy.quantum.backends.autograd import MakeEngine
from qlazy.quantum.backends.branches import lowered_branches
from qlazy.quantum.backends.lowered import (
    MAX_DECLARED,
    LoweredCircuit,
    Lowering,
    ReadCircuit,
    require_cones,
    require_wires,
)
from qlazy.quantum.pennylane.plain import Point
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, lower_all
from qlazy.quantum.pennylane.rules.outputs import Read, joined, of_observables, of_selected, read
from qlazy.quantum.pennylane.symbolic.abstract import abstract
from qlazy.quantum.pennylane.symbolic.carriers import formula
from qlazy.quantum.pennylane.symbolic.elements import NotSymbolic
from qlazy.quantum.pennylane.symbolic.tensor import symbols
from qlazy.quantum.pennylane.tapes import (
    Affine,
    copies_of,
    is_dynamic,
    is_selective,
    measured_values,
    of_values,
    statements_of,
    tapes_of,
    wire_order,
)
from qlazy.simulator.observables import Observable, PauliSum


def trace(
    qnode: qml.QNode,
    data: str,
    row: tuple[int, ...],
    weights: Mapping[str, tuple[int, ...]],
    make: MakeEngine | None = None,
) -> LoweredCircuit | ReadCircuit:
    """A QNode for inputs of shape ``row`` and weights of the given shapes, ready to run: see :meth:`Traced.lowered`."""
    return traced_qnode(qnode, data, row, weights).lowered(make)


@final
@dataclass(frozen=True, eq=False)
class Traced:
    """What a QNode queued when it was run once on tensors that carry formulas."""

    qnode: qml.QNode
    tapes: tuple[qml.tape.QuantumScript, ...]
    combined: Affine | None
    layout: Layout

    @property
    def is_dynamic(self) -> bool:
        """Whether it measures or branches while it runs."""
        return any(map(is_dynamic, self.tapes))

    @torch.enable_grad()
    def lowered(
        self, make: MakeEngine | None = None, most: int = MAX_DECLARED, noise: bool = False
    ) -> LoweredCircuit | ReadCircuit:
        """The circuit, ready to run, on at most so many wires; several, and what is made of their results, where it is
        no single one.

        ``make`` gives the engine of unitary circuits, the adjoint simulator by light cones unless another is given; one
        that measures on its way is run branch by branch.
        Raises NotLoweredError, with the reason, where the simulators cannot take it: a gate without a unitary
        decomposition.
        """
        try:
            with abstract():
                indices = [_wire_index(self.qnode, tape, most) for tape in self.tapes]
                reads = [_reads(tape, index) for tape, index in zip(self.tapes, indices, strict=True)]
                parts = [part for group in reads for part in group]
                measured = [[o for part in group for o in part.observables] for group in reads]
                single = self._single(parts)
                circuits = [
                    self._circuit(*group, make, noise)
                    for group in zip(
                        self.tapes, indices, measured if single is None else [single], strict=True
                    )
                ]
        except NotSymbolic as reason:
            raise NotLoweredError(str(reason)) from reason
        if single is not None:
            return circuits[0]
        return ReadCircuit(circuits, *joined(parts, self.combined), self.layout)

    def _single(self, reads: Sequence[Read]) -> Sequence[Observable] | None:
        """The observables where outputs are linear ones of one circuit; None where more is to be done."""
        if len(self.tapes) > 1 or any(part.compute is not None for part in reads):
            return None
        measured = [o for part in reads for o in part.observables]
        if self.combined is None:
            return measured
        return self.combined.of(measured) if all(isinstance(o, PauliSum) for o in measured) else None

    def _circuit(
        self,
        tape: qml.tape.QuantumScript,
        index: dict[Any, int],
        measured: Sequence[Observable],
        make: MakeEngine | None,
        noise: bool,
    ) -> LoweredCircuit:
        if is_dynamic(tape):
            wires = len(index) + len(copies_of(tape, index))
            return lowered_branches(
                statements_of(tape, index), wires, tuple(measured), self.layout, loops="discard"
            )
        lowering = self._lowering(tape, index, tuple(measured), noise)
        if make is None:
            require_cones(lowering)
        return LoweredCircuit(lowering, make)

    def _lowering(
        self,
        tape: qml.tape.QuantumScript,
        index: dict[Any, int],
        measured: tuple[Observable, ...],
        noise: bool,
    ) -> Lowering:
        parts = list(lower_all(tape.operations, index, noise))
        return Lowering(
            num_wires=len(index),
            operations=tuple(part.operation for part in parts),
            formulas=tuple(None if part.angle is None else formula(part.angle) for part in parts),
            observables=measured,
            layout=self.layout,
        )


@torch.enable_grad()  # so that only the QNode's own no_grad is seen
def traced_qnode(
    qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Mapping[str, tuple[int, ...]]
) -> Traced:
    """Run a QNode once. Raises NotLoweredError where its structure depends on values."""
    try:
        return Traced(qnode, *_tape(qnode, data, row, weights), Layout(_starts(weights), {data: 0}))
    except NotSymbolic as reason:
        raise NotLoweredError(str(reason)) from reason


def _reads(tape: qml.tape.QuantumScript, index: dict[Any, int]) -> list[Read]:
    copies = copies_of(tape, index)
    reads = [
        of_observables(m, of_values(m, copies)) if measured_values(m) else read(m, index)
        for m in tape.measurements
    ]
    return [of_selected(part) for part in reads] if is_selective(tape) else reads


def _starts(weights: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    sizes = [math.prod(shape) for shape in weights.values()]
    return dict(zip(weights, accumulate(sizes, initial=0), strict=False))


def _tape(
    qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[qml.tape.QuantumScript, ...], Affine | None]:
    values = traced_point(data, row, weights).arguments
    arguments = {name: symbols(name, torch.from_numpy(numbers)) for name, numbers in values.items()}
    with abstract():
        return tapes_of(qnode, **arguments)


def traced_point(data: str, row: tuple[int, ...], weights: Mapping[str, tuple[int, ...]]) -> Point:
    """Where a QNode is traced: values that no formula is likely to hit by chance; only the formulas matter."""
    own = {name: _values(shape, 0.3).numpy() for name, shape in weights.items()}
    return Point(own, data, _values(row, 0.1).numpy())


def _values(shape: tuple[int, ...], start: float) -> torch.Tensor:
    return torch.linspace(start, start + 0.5, max(math.prod(shape), 1), dtype=torch.float64)[
        : math.prod(shape)
    ].reshape(shape)


def _wire_index(qnode: qml.QNode, tape: qml.tape.QuantumScript, most: int) -> dict[Any, int]:
    wires = wire_order(qnode, tape)
    require_wires(len(wires), most=most)
    return {wire: number for number, wire in enumerate(wires)}
