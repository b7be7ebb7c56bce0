"""Gates built from gates: inverse, powers and controls of a sequence, exact in the global phase.

A sequence of gates stands for the product of their matrices, the first applied first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.gates import matrix
from qlazy.quantum.program.program import UNITARY, Gate, Matrix

Gates = tuple[Gate, ...]

MAX_MATRIX_WIRES = 5
_DAGGER = {"s": "sdg", "t": "tdg", "sx": "sxdg", "sdg": "s", "tdg": "t", "sxdg": "sx"}
# Below this angle the eigenphases are principal ones, and scaling the angle is the principal power.
_PRINCIPAL = {"rx": 2 * math.pi, "ry": 2 * math.pi, "rz": 2 * math.pi, "p": math.pi, "gphase": math.pi}


class ModifierRefusal(ValueError):
    """A modifier that does not apply; the caller adds the place."""


def inverse(gates: Sequence[Gate]) -> Gates:
    return tuple(_inverse(gate) for gate in reversed(gates))


def _inverse(gate: Gate) -> Gate:
    if gate.matrix is not None:
        return replace(gate, matrix=_frozen(np.array(gate.matrix).conj().T))
    if gate.name == "U":
        theta, phi, lam = gate.angles
        return replace(gate, angles=(-theta, -lam, -phi))
    return replace(gate, name=_DAGGER.get(gate.name, gate.name), angles=tuple(-a for a in gate.angles))


def power(gates: Gates, exponent: int | float, limit: int) -> Gates:
    """The sequence to a real power, of at most ``limit`` gates.

    A rotation scales its angle: exp(-i t P/2)^k = exp(-i k t P/2). A constant unitary takes the principal
    power, with its eigenphases in (-pi, pi]. An integer power of anything else repeats it.
    """
    if exponent == 1 or not gates:
        return gates
    if exponent == -1:
        return inverse(gates)
    if len(gates) == 1 and _scales(gates[0], exponent):
        return (replace(gates[0], angles=(exponent * gates[0].angles[0],)),)
    if len(gates) == 1 and _is_constant(gates[0]):
        return (_matrix_power(gates[0], exponent),)
    if exponent == int(exponent):
        count = abs(int(exponent))
        if count * len(gates) > limit:
            raise ModifierRefusal(f"the power unrolls to more than {limit:,} gates")
        return (gates if exponent > 0 else inverse(gates)) * count
    if not all(_is_constant(gate) for gate in gates):
        raise ModifierRefusal(
            f"the power {exponent} of a product of gates whose angles depend on inputs is not supported; "
            "an integer power, or the power of one rotation, is"
        )
    return (_matrix_power(_merged(gates), exponent),)


def controlled(gates: Sequence[Gate], controls: tuple[int, ...], value: int) -> Gates:
    """The sequence applied where every one of ``controls`` is ``value``."""
    return tuple(new for gate in gates for new in _controlled(gate, controls, value))


def _controlled(gate: Gate, controls: tuple[int, ...], value: int) -> Gates:
    if gate.wires:
        values = (value,) * len(controls)
        values += gate.control_values
        return (replace(gate, controls=controls + gate.controls, control_values=values),)
    # A phase where all controls are 1 is p on the last one; where all are 0, that between two flips.
    target, rest = controls[-1], controls[:-1]
    phase = Gate("p", gate.angles, (target,), rest, (value,) * len(rest))
    flip = Gate("x", wires=(target,))
    return (phase,) if value else (flip, phase, flip)


def _is_constant(gate: Gate) -> bool:
    return all(isinstance(angle, Constant) for angle in gate.angles)


def _scales(gate: Gate, exponent: int | float) -> bool:
    if gate.name not in _PRINCIPAL:
        return False
    angle = gate.angles[0]
    constant = isinstance(angle, Constant)
    return not constant or exponent == int(exponent) or abs(angle.value) < _PRINCIPAL[gate.name]  # type: ignore[attr-defined]


def _matrix_power(gate: Gate, exponent: int | float) -> Gate:
    """The principal power of a constant gate; controls stay, since the identity they add is its own power."""
    result = _frozen(principal_power(_dense(gate), exponent))
    if not gate.wires:
        return replace(gate, angles=(Constant(float(np.angle(result[0][0]))),))
    return Gate(UNITARY, (), gate.wires, gate.controls, gate.control_values, result)


def principal_power(unitary: np.ndarray, exponent: int | float) -> np.ndarray:
    """U^k = exp(k log U) of a unitary (d, d), the eigenphases of the logarithm in (-pi, pi]."""
    # A Schur form of a normal matrix is diagonal and its basis orthonormal, also where eigenvalues coincide.
    from scipy.linalg import schur

    triangular, basis = schur(unitary, output="complex")
    phases = np.angle(np.diag(triangular))
    # Rounding may put the eigenvalue -1 just below the cut.
    phases = np.where(phases < -math.pi + 1e-9, math.pi, phases)
    return (basis * np.exp(1j * exponent * phases)) @ basis.conj().T


def _dense(gate: Gate) -> np.ndarray:
    """The matrix of a constant gate on its wires, controls aside."""
    if gate.matrix is not None:
        return np.array(gate.matrix)
    angles = [torch.tensor(_value(angle), dtype=torch.float64) for angle in gate.angles]
    return matrix(gate.name, *angles).numpy()


def _value(angle: Expression) -> float:
    assert isinstance(angle, Constant)
    return angle.value


def _merged(gates: Gates) -> Gate:
    """One constant gate for a sequence of them."""
    wires = tuple(sorted({wire for gate in gates for wire in gate.controls + gate.wires}))
    if len(wires) > MAX_MATRIX_WIRES:
        raise ModifierRefusal(
            f"a fractional power reaches over {MAX_MATRIX_WIRES} qubits at most, but is of {len(wires)}"
        )
    product = np.eye(2 ** len(wires), dtype=complex)
    for gate in gates:
        product = _on_wires(gate, wires) @ product
    if not wires:
        return Gate("gphase", (Constant(float(np.angle(product[0, 0]))),))
    return Gate(UNITARY, (), wires, matrix=_frozen(product))


def _on_wires(gate: Gate, wires: tuple[int, ...]) -> np.ndarray:
    """The matrix of ``gate``, controls included, on ``wires``, the first one most significant."""
    own = gate.controls + gate.wires
    block = np.eye(2 ** len(own), dtype=complex)
    start = int("".join(map(str, gate.control_values)) or "0", 2) << len(gate.wires)
    stop = start + 2 ** len(gate.wires)
    block[start:stop, start:stop] = _dense(gate)
    rest = [wire for wire in wires if wire not in own]
    tensor = np.kron(block, np.eye(2 ** len(rest))).reshape((2,) * (2 * len(wires)))
    order = [(own + tuple(rest)).index(wire) for wire in wires]
    axes = order + [len(wires) + place for place in order]
    return tensor.transpose(axes).reshape(2 ** len(wires), -1)


def _frozen(array: Any) -> Matrix:
    return tuple(tuple(complex(entry) for entry in row) for row in array)


def constant_unitary(gates: Gates) -> Gate:
    """A constant sequence as one gate: a named gate stays what it is."""
    return gates[0] if len(gates) == 1 else _merged(gates)
