"""From a QNode to what the simulator takes: run it once on tensors that carry formulas, then lower its tape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import pennylane as qml
import torch

from qlazy.quantum.angles import Layout
from qlazy.quantum.lowered import Lowering
from qlazy.quantum.lowering import NotLowered, lower, observables
from qlazy.quantum.symbolic import NotSymbolic, formula, symbols

MAX_WIRES = 24


def trace(
    qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Mapping[str, tuple[int, ...]]
) -> Lowering:
    """Lower a QNode for inputs of shape ``row`` and weights of the given shapes.

    Raises NotLowered, with the reason, where the simulator cannot take it: a gate without a unitary
    decomposition, a measurement that is not linear in the state, a structure that depends on values.
    """
    try:
        tape = _tape(qnode, data, row, weights)
        index = _wire_index(qnode, tape)
        lowered = [part for operator in tape.operations for part in lower(operator, index)]
        formulas = tuple(None if part.angle is None else formula(part.angle) for part in lowered)
        measured = observables(tape.measurements, index)
    except NotSymbolic as reason:
        raise NotLowered(str(reason)) from reason
    sizes = [math.prod(shape) for shape in weights.values()]
    starts = dict(zip(weights, accumulate(sizes, initial=0), strict=False))
    return Lowering(
        num_wires=len(index),
        operations=tuple(part.operation for part in lowered),
        formulas=formulas,
        observables=measured,
        layout=Layout(starts, {data: 0}),
    )


def _tape(
    qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Mapping[str, tuple[int, ...]]
) -> qml.tape.QuantumScript:
    # Values that no formula is likely to hit by chance; only the formulas matter.
    arguments = {name: symbols(name, _values(shape, 0.3)) for name, shape in weights.items()}
    inputs: Any = symbols(data, _values(row, 0.1))
    return qml.workflow.construct_tape(qnode, level="user")(**{data: inputs}, **arguments)


def _values(shape: tuple[int, ...], start: float) -> torch.Tensor:
    return torch.linspace(start, start + 0.5, max(math.prod(shape), 1), dtype=torch.float64)[
        : math.prod(shape)
    ].reshape(shape)


def _wire_index(qnode: qml.QNode, tape: qml.tape.QuantumScript) -> dict[Any, int]:
    wires = qnode.device.wires if qnode.device.wires is not None else tape.wires
    index = {wire: number for number, wire in enumerate(wires)}
    unknown = [wire for wire in tape.wires if wire not in index]
    if unknown:
        raise NotLowered(f"wires {unknown} are not on the device")
    if len(index) > MAX_WIRES:
        raise NotLowered(f"{len(index)} wires are too many for one state in memory")
    return index
