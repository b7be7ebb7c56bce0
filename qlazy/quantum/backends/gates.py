"""The base gates of a program as operations of the simulator, each with the formula of its angle.

A parametrised gate is a product of Pauli rotations times a phase, which counts where there are controls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.gates import FIXED
from qlazy.quantum.program.statements import UNITARY, Gate
from qlazy.simulator.operations import (
    MAX_DENSE_WIRES,
    Cnot,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
)

Controls = Sequence[tuple[int, int]]  # wire and value
_AXES = {"rx": "X", "ry": "Y", "rz": "Z", "p": "Z"}


class Part(NamedTuple):
    """An operation of the simulator, and the formula of its angle where it has one."""

    operation: Operation
    formula: Expression | None = None


def gate_operations(gate: Gate, angles: Sequence[Expression]) -> Iterator[Part]:
    """The operations of ``gate`` in order, for these ``angles``; a phase that no output sees is left out."""
    controls = tuple(zip(gate.controls, gate.control_values, strict=True))
    if gate.name in _AXES:
        yield _rotation(_AXES[gate.name], gate.wires[0], angles[0], controls)
        if gate.name == "p":
            yield from _phase(angles[0] / 2.0, controls)
    elif gate.name == "U":
        theta, phi, lam = angles
        for letter, angle in (("Z", lam), ("Y", theta), ("Z", phi)):
            yield _rotation(letter, gate.wires[0], angle, controls)
        yield from _phase((theta + phi + lam) / 2.0, controls)
    elif gate.name not in ("gphase", "id"):
        yield Part(_fixed(gate))


def _rotation(letter: str, wire: int, angle: Expression, controls: Controls = ()) -> Part:
    """exp(-i angle P / 2) under controls."""
    numbers, values = tuple(wire for wire, _ in controls), tuple(value for _, value in controls)
    value = angle.value if isinstance(angle, Constant) else None
    return Part(PauliRotation(letter, (wire,), value, numbers, values or None), angle)


def _phase(phase: Expression, controls: Controls) -> Iterator[Part]:
    """exp(i phase) where all controls have their values."""
    if controls:
        *others, (last, value) = controls
        yield _rotation("Z", last, phase if value else -phase, others)
        yield from _phase(phase / 2.0, others)


def _fixed(gate: Gate) -> Operation:
    """A gate without angles: those that move basis states cost nothing, and a diagonal is one pass."""
    if gate.name == "x" and not gate.controls:
        return Flip(*gate.wires)
    if gate.name == "x" and gate.control_values == (1,):
        return Cnot(*gate.controls, *gate.wires)
    if gate.name == "swap" and not gate.controls:
        return Swap(*gate.wires)
    matrix = np.array(gate.matrix if gate.name == UNITARY else FIXED[gate.name], dtype=complex)
    wires, phases = gate.controls + gate.wires, np.diagonal(matrix)
    if len(wires) > MAX_DENSE_WIRES or not np.array_equal(matrix, np.diag(phases)):
        return Unitary(gate.wires, matrix, gate.controls, gate.control_values or None)
    every = np.ones((2,) * len(gate.controls) + phases.shape, complex)
    every[gate.control_values] = phases
    return Diagonal(wires, every.reshape(-1))
