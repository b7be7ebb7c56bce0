"""From a QNode to what the simulator takes: run it once on tensors that carry formulas, then lower its tape."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    require_cones,
    require_wires,
)
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, lower_all, observables
from qlazy.quantum.pennylane.symbolic import NotSymbolic, abstract, formula, symbols
from qlazy.quantum.pennylane.tapes import Affine, branching_of, is_dynamic, single_tape, wire_order
from qlazy.simulator.observables import Observable


def trace(
    qnode: qml.QNode,
    data: str,
    row: tuple[int, ...],
    weights: Mapping[str, tuple[int, ...]],
    make: MakeEngine | None = None,
) -> LoweredCircuit:
    """A QNode for inputs of shape ``row`` and weights of the given shapes, ready to run: see :meth:`Traced.lowered`."""
    return traced_qnode(qnode, data, row, weights).lowered(make)


@final
@dataclass(frozen=True, eq=False)
class Traced:
    """What a QNode queued when it was run once on tensors that carry formulas."""

    qnode: qml.QNode
    tape: qml.tape.QuantumScript
    combined: Affine | None
    layout: Layout

    @property
    def is_dynamic(self) -> bool:
        """Whether it measures or branches while it runs."""
        return is_dynamic(self.tape)

    @torch.enable_grad()
    def lowered(self, make: MakeEngine | None = None, most: int = MAX_DECLARED) -> LoweredCircuit:
        """The circuit, ready to run, on at most so many wires.

        ``make`` gives the engine of unitary circuits, the adjoint simulator by light cones unless another is given; one
        that measures on its way is run branch by branch.
        Raises NotLoweredError, with the reason, where the simulators cannot take it: a gate without a unitary
        decomposition, an output that is not linear in the state, postselection.
        """
        try:
            with abstract():
                index = _wire_index(self.qnode, self.tape, most)
                if not self.is_dynamic:
                    lowering = self._lowering(index)
                    if make is None:
                        require_cones(lowering)
                    return LoweredCircuit(lowering, make)
                branching = branching_of(self.tape, index)
                measured = self._outputs(branching.observables)
        except NotSymbolic as reason:
            raise NotLoweredError(str(reason)) from reason
        return lowered_branches(branching.statements, branching.num_wires, measured, self.layout)

    def _lowering(self, index: dict[Any, int]) -> Lowering:
        parts = list(lower_all(self.tape.operations, index))
        return Lowering(
            num_wires=len(index),
            operations=tuple(part.operation for part in parts),
            formulas=tuple(None if part.angle is None else formula(part.angle) for part in parts),
            observables=self._outputs(observables(self.tape.measurements, index)),
            layout=self.layout,
        )

    def _outputs(self, measured: tuple[Observable, ...]) -> tuple[Observable, ...]:
        return measured if self.combined is None else self.combined.of(measured)


@torch.enable_grad()  # so that only the QNode's own no_grad is seen
def traced_qnode(
    qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Mapping[str, tuple[int, ...]]
) -> Traced:
    """Run a QNode once. Raises NotLoweredError where its structure depends on values."""
    try:
        return Traced(qnode, *_tape(qnode, data, row, weights), Layout(_starts(weights), {data: 0}))
    except NotSymbolic as reason:
        raise NotLoweredError(str(reason)) from reason


def _starts(weights: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    sizes = [math.prod(shape) for shape in weights.values()]
    return dict(zip(weights, accumulate(sizes, initial=0), strict=False))


def _tape(
    qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Mapping[str, tuple[int, ...]]
) -> tuple[qml.tape.QuantumScript, Affine | None]:
    # Values that no formula is likely to hit by chance; only the formulas matter.
    arguments = {name: symbols(name, _values(shape, 0.3)) for name, shape in weights.items()}
    inputs: Any = symbols(data, _values(row, 0.1))
    with abstract():
        return single_tape(qnode, **{data: inputs}, **arguments)


def _values(shape: tuple[int, ...], start: float) -> torch.Tensor:
    return torch.linspace(start, start + 0.5, max(math.prod(shape), 1), dtype=torch.float64)[
        : math.prod(shape)
    ].reshape(shape)


def _wire_index(qnode: qml.QNode, tape: qml.tape.QuantumScript, most: int) -> dict[Any, int]:
    wires = wire_order(qnode, tape)
    require_wires(len(wires), most=most)
    return {wire: number for number, wire in enumerate(wires)}
