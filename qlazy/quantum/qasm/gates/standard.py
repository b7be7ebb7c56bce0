"""The standard gate library and the built-in `U`, in terms of the base gates of `qlazy.quantum.program.gates`.

Each gate has the phase that the library of the OpenQASM 3 specification gives it, since phases count under
`ctrl @`: u2 and u3 have determinant 1, while U(t, f, l) = e^{i(t+f+l)/2} u3(t, f, l). One departure: `CX` is
the CNOT it is documented to be; the library's body would add a phase gate on its control.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.program import Gate
from qlazy.quantum.qasm.gates.modifiers import Gates, constant_unitary, controlled

Angles = tuple[Expression, ...]
Wires = tuple[int, ...]
_HALF_PI = Constant(math.pi / 2)


@dataclass(frozen=True)
class Definition:
    num_angles: int
    num_qubits: int
    build: Callable[[Angles, Wires], Gates]


def _base(name: str, num_angles: int = 0, num_controls: int = 0, num_wires: int = 1) -> Definition:
    def build(angles: Angles, wires: Wires) -> Gates:
        controls, targets = wires[:num_controls], wires[num_controls:]
        return (Gate(name, angles, targets, controls, (1,) * num_controls),)

    return Definition(num_angles, num_controls + num_wires, build)


def _euler(angles: Angles, wires: Wires) -> Gates:
    """rz(phi) ry(theta) rz(lambda), without the rotations by zero."""
    theta, phi, lam = angles
    steps = (("rz", lam), ("ry", theta), ("rz", phi))
    gates = tuple(Gate(name, (angle,), wires) for name, angle in steps if angle != Constant(0.0))
    return _folded(gates, wires)


def _u(angles: Angles, wires: Wires) -> Gates:
    theta, phi, lam = angles
    if theta == Constant(0.0):
        return (Gate("p", (phi + lam,), wires),)
    phase = Gate("gphase", ((theta + phi + lam) / 2,))
    return _folded((*_euler(angles, wires), phase), wires)


def _folded(gates: Gates, wires: Wires) -> Gates:
    """One constant matrix where no angle depends on an input."""
    if not all(isinstance(angle, Constant) for gate in gates for angle in gate.angles):
        return gates
    return (constant_unitary(gates),) if gates else (Gate("id", (), wires),)


def _cu(angles: Angles, wires: Wires) -> Gates:
    theta, phi, lam, gamma = angles
    control, target = wires
    relative = Gate("p", (gamma - theta / 2,), (control,))
    return (relative, *controlled(_u((theta, phi, lam), (target,)), (control,), 1))


BUILT_IN = {"U": Definition(3, 1, _u)}

STANDARD: dict[str, Definition] = {
    **{name: _base(name) for name in ("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx")},
    **{name: _base(name, 1) for name in ("p", "rx", "ry", "rz")},
    **{name: _base("p", 1) for name in ("phase", "u1")},
    **{f"c{name}": _base(name, 0, 1) for name in ("x", "y", "z", "h")},
    **{f"c{name}": _base(name, 1, 1) for name in ("p", "rx", "ry", "rz")},
    "CX": _base("x", 0, 1),
    "cphase": _base("p", 1, 1),
    "swap": _base("swap", num_wires=2),
    "cswap": _base("swap", 0, 1, 2),
    "ccx": _base("x", 0, 2),
    "u2": Definition(2, 1, lambda angles, wires: _euler((_HALF_PI, *angles), wires)),
    "u3": Definition(3, 1, _euler),
    "cu": Definition(4, 2, _cu),
}

EXTRA = {"sxdg": _base("sxdg")}
"""Gates that exporters take to be in stdgates.inc, which lacks them: there until a program defines its own."""

DEFINITIONS = BUILT_IN | STANDARD | EXTRA
