"""An independent dense simulator, to hold the library to.

NumPy and Kronecker products in complex128, written from the definitions: every gate becomes a full matrix of
the whole register, as a sum over the matrix units of its own. It takes nothing from `qlazy.quantum.program.gates`,
and it evaluates angles from their text, so that the text form is tested with everything else. Wire 0 is the
most significant bit.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

I = np.eye(2, dtype=complex)
X = np.array([[0, 1], [1, 0]], dtype=complex)
Y = np.array([[0, -1j], [1j, 0]])
Z = np.diag([1, -1]).astype(complex)
H = (X + Z) / np.sqrt(2)
PAULIS = {"I": I, "X": X, "Y": Y, "Z": Z}
SWAP = (np.kron(I, I) + np.kron(X, X) + np.kron(Y, Y) + np.kron(Z, Z)) / 2


def phase(angle):
    return np.diag([1, np.exp(1j * angle)])


def rotation(pauli, angle):
    """exp(-i angle/2 P), from P^2 = 1."""
    return np.cos(angle / 2) * I - 1j * np.sin(angle / 2) * pauli


def u(theta, phi, lam):
    """The matrix that the OpenQASM 3 specification writes out for U."""
    e = np.exp
    return 0.5 * np.array(
        [
            [1 + e(1j * theta), -1j * e(1j * lam) * (1 - e(1j * theta))],
            [1j * e(1j * phi) * (1 - e(1j * theta)), e(1j * (phi + lam)) * (1 + e(1j * theta))],
        ]
    )


SQRT_X = ((1 + 1j) * I + (1 - 1j) * X) / 2
FIXED = {
    "id": I,
    "x": X,
    "y": Y,
    "z": Z,
    "h": H,
    "s": phase(np.pi / 2),
    "sdg": phase(-np.pi / 2),
    "t": phase(np.pi / 4),
    "tdg": phase(-np.pi / 4),
    "sx": SQRT_X,
    "sxdg": SQRT_X.conj().T,
    "swap": SWAP,
}
PARAMETRIZED = {
    "rx": lambda angle: rotation(X, angle),
    "ry": lambda angle: rotation(Y, angle),
    "rz": lambda angle: rotation(Z, angle),
    "p": phase,
    "gphase": lambda angle: np.array([[np.exp(1j * angle)]]),
    "U": u,
}
FUNCTIONS = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
}


def kron(factors):
    return reduce(np.kron, factors, np.eye(1, dtype=complex))


def product(letters, num_qubits):
    """A product of Paulis, `letters` being {wire: letter}, on the whole register."""
    return kron([PAULIS[letters.get(wire, "I")] for wire in range(num_qubits)])


def embed(matrix, wires, num_qubits, controls=(), values=()):
    """A matrix on `wires`, applied where `controls` have `values`, as a matrix of the whole register."""
    dimension = 2**num_qubits
    on = np.eye(dimension, dtype=complex)
    for control, value in zip(controls, values, strict=True):
        on = on @ kron([np.diag([1 - value, value]) if w == control else I for w in range(num_qubits)])
    total = np.zeros((dimension, dimension), dtype=complex)
    for row, column in np.ndindex(matrix.shape):
        units = {}
        for place, wire in enumerate(reversed(wires)):
            unit = np.zeros((2, 2))
            unit[row >> place & 1, column >> place & 1] = 1
            units[wire] = unit
        total += matrix[row, column] * kron([units.get(wire, I) for wire in range(num_qubits)])
    return on @ total + np.eye(dimension) - on


def angle_value(expression, values):
    """An angle from its OpenQASM text, which is Python too."""
    return float(eval(str(expression), {"__builtins__": {}}, {**FUNCTIONS, **values}))


def gate_matrix(gate, values):
    """The matrix of one gate on its own wires, controls aside."""
    if gate.name == "unitary":
        return np.array(gate.matrix)
    if gate.name in FIXED:
        return FIXED[gate.name]
    return PARAMETRIZED[gate.name](*(angle_value(angle, values) for angle in gate.angles))


def split(flat, shapes):
    """A flat vector as arrays by name."""
    flat, start, arrays = np.asarray(flat, dtype=float), 0, {}
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        arrays[name] = flat[start : start + count].reshape(shape)
        start += count
    assert start == len(flat)
    return arrays


def unitary(program, params=(), x=()):
    """The matrix of a whole program."""
    values = split(params, program.weights) | split(x, program.data)
    total = np.eye(2**program.num_qubits, dtype=complex)
    for gate in program.operations:
        matrix = gate_matrix(gate, values)
        total = embed(matrix, gate.wires, program.num_qubits, gate.controls, gate.control_values) @ total
    return total


def observable_matrix(observable, num_qubits):
    return sum(term.coefficient * product(dict(term.factors), num_qubits) for term in observable.terms)


def outputs(program, params=(), x=()):
    """The expectation values of a program at one sample, shape (c,)."""
    state = unitary(program, params, x)[:, 0]
    matrices = [observable_matrix(observable, program.num_qubits) for observable in program.observables]
    return np.array([np.vdot(state, matrix @ state).real for matrix in matrices])


def jacobian(program, params, x=(), step=1e-5):
    """Central differences of `outputs`, shape (c, p), good to about 1e-9."""
    params = np.asarray(params, dtype=float)
    columns = []
    for shift in step * np.eye(len(params)):
        difference = outputs(program, params + shift, x) - outputs(program, params - shift, x)
        columns.append(difference / (2 * step))
    return np.array(columns).reshape(len(params), program.num_outputs).T


def equal_up_to_phase(left, right):
    """The largest entry of left - c right, for the best phase c."""
    overlap = np.vdot(right, left)
    return np.abs(left - overlap / np.abs(overlap) * right).max()
