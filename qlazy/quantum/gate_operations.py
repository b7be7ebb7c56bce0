"""Base gates as what the simulators know: Pauli rotations and fixed unitaries.

A parametrised gate is Pauli rotations times a phase, which counts where the gate is controlled: on the
controls it is a rotation about Z with controls of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from qlazy.quantum.expression import Constant, Expression
from qlazy.quantum.gates import FIXED
from qlazy.quantum.statements import UNITARY, Gate
from qlazy.simulator.operations import MAX_DENSE_WIRES, Operation, PauliRotation, Unitary

Part = tuple[Operation, Expression | None]
Controls = Sequence[tuple[int, int]]  # wire and value
_AXES = {"rx": "X", "ry": "Y", "rz": "Z"}


def gate_operations(gate: Gate, angles: Sequence[Expression]) -> Iterator[Part]:
    """The operations of ``gate`` in order, each with the formula of its angle, for these ``angles``."""
    controls = tuple(zip(gate.controls, gate.control_values, strict=True))
    if gate.name in _AXES:
        yield rotation(_AXES[gate.name], gate.wires, angles[0], controls)
    elif gate.name == "p":
        yield rotation("Z", gate.wires, angles[0], controls)
        yield from _phase(angles[0] / 2.0, controls)
    elif gate.name == "U":
        theta, phi, lam = angles
        for letter, angle in (("Z", lam), ("Y", theta), ("Z", phi)):
            yield rotation(letter, gate.wires, angle, controls)
        yield from _phase((theta + phi + lam) / 2.0, controls)
    elif gate.name not in ("gphase", "id"):  # a phase of everything is seen by no output
        yield _fixed(gate), None


def rotation(word: str, wires: tuple[int, ...], angle: Expression, controls: Controls = ()) -> Part:
    """exp(-i angle P / 2) under controls."""
    numbers, values = tuple(wire for wire, _ in controls), tuple(value for _, value in controls)
    value = angle.value if isinstance(angle, Constant) else None
    return PauliRotation(word, wires, value, numbers, values or None), angle


def _phase(phase: Expression, controls: Controls) -> Iterator[Part]:
    """exp(i phase) where all controls have their values."""
    if controls:
        *others, (last, value) = controls
        yield rotation("Z", (last,), phase if value else -phase, others)
        yield from _phase(phase / 2.0, others)


def _fixed(gate: Gate) -> Operation:
    matrix = np.array(gate.matrix if gate.name == UNITARY else FIXED[gate.name], dtype=complex)
    assert len(gate.wires) <= MAX_DENSE_WIRES
    return Unitary(gate.wires, matrix, gate.controls, gate.control_values or None)
