"""The standard library, phases included: each gate, alone and under ctrl, against its definition.

`ctrl @` turns the global phase of a gate into a relative one, so equality under it fixes the phase. Two
sources: matrices written down here with the oracle, and, where qiskit is installed, the library file of the
OpenQASM project that it ships, read as user-defined gates over U and gphase.
"""

from importlib import resources

import numpy as np
import pytest

from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.qasm.gates.standard import STANDARD
from tests import oracle
from tests.oracle import H, X, Y, Z, embed, phase, rotation, u

A, B, C, D = 0.7, -1.9, 2.3, 0.45


def det_one(theta, phi, lam):
    return rotation(Z, phi) @ rotation(Y, theta) @ rotation(Z, lam)


def control(matrix):
    n = matrix.shape[0]
    return np.block([[np.eye(n), np.zeros((n, n))], [np.zeros((n, n)), matrix]])


EXPECTED = {
    "U": u(A, B, C),
    "p": phase(A),
    "x": X,
    "y": Y,
    "z": Z,
    "h": H,
    "s": phase(np.pi / 2),
    "sdg": phase(-np.pi / 2),
    "t": phase(np.pi / 4),
    "tdg": phase(-np.pi / 4),
    "sx": oracle.SQRT_X,
    "rx": rotation(X, A),
    "ry": rotation(Y, A),
    "rz": rotation(Z, A),
    "cx": control(X),
    "cy": control(Y),
    "cz": control(Z),
    "cp": control(phase(A)),
    "crx": control(rotation(X, A)),
    "cry": control(rotation(Y, A)),
    "crz": control(rotation(Z, A)),
    "ch": control(H),
    "swap": oracle.SWAP,
    "ccx": control(control(X)),
    "cswap": control(oracle.SWAP),
    "cu": np.kron(phase(D - A / 2), np.eye(2)) @ control(u(A, B, C)),
    "CX": control(X),
    "phase": phase(A),
    "cphase": control(phase(A)),
    "id": np.eye(2),
    "u1": phase(A),
    "u2": det_one(np.pi / 2, A, B),
    "u3": det_one(A, B, C),
}
NUM_ANGLES = {"cu": 4, "U": 3, "u3": 3, "u2": 2} | dict.fromkeys(
    ["p", "rx", "ry", "rz", "cp", "crx", "cry", "crz", "phase", "cphase", "u1"], 1
)


def call(name, modifiers="", constant=True, extra=0):
    """A program that calls one gate on q[0], q[1], ..., with its angles as constants or as weights."""
    count = NUM_ANGLES.get(name, 0)
    num_qubits = int(np.log2(len(EXPECTED[name]))) + extra
    names = [repr(v) for v in (A, B, C, D)] if constant else list("abcd")
    inputs = "" if constant else "".join(f"input float {n};" for n in names[:count])
    angles = f"({', '.join(names[:count])})" if count else ""
    operands = ", ".join(f"r[{k}]" for k in range(num_qubits))
    return f"{inputs}\nqubit[{num_qubits}] r;\n{modifiers} {name}{angles} {operands};"


def matrix_of(text, name, constant):
    program = program_from_qasm('include "stdgates.inc";' + text)
    return oracle.unitary(program, () if constant else (A, B, C, D)[: NUM_ANGLES.get(name, 0)])


def test_the_table_is_complete():
    assert EXPECTED.keys() == STANDARD.keys() | {"U"}


@pytest.mark.parametrize("constant", [True, False], ids=["constants", "weights"])
@pytest.mark.parametrize("name", EXPECTED)
def test_gate(name, constant):
    np.testing.assert_allclose(
        matrix_of(call(name, "", constant), name, constant), EXPECTED[name], atol=1e-14
    )


@pytest.mark.parametrize("constant", [True, False], ids=["constants", "weights"])
@pytest.mark.parametrize("name", EXPECTED)
def test_controlled_gate(name, constant):
    result = matrix_of(call(name, "ctrl @", constant, 1), name, constant)
    np.testing.assert_allclose(result, control(EXPECTED[name]), atol=1e-14)


@pytest.mark.parametrize("constant", [True, False], ids=["constants", "weights"])
@pytest.mark.parametrize("name", EXPECTED)
def test_inverse_and_negated_control(name, constant):
    matrix, wires = EXPECTED[name], range(1, 1 + int(np.log2(len(EXPECTED[name]))))
    result = matrix_of(call(name, "negctrl @ inv @", constant, 1), name, constant)
    expected = embed(matrix.conj().T, list(wires), len(wires) + 1, [0], [0])
    np.testing.assert_allclose(result, expected, atol=1e-14)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("exponent", [3, -2, 0])
def test_integer_power(name, exponent):
    expected = np.linalg.matrix_power(EXPECTED[name], exponent)
    for constant in (True, False):
        result = matrix_of(call(name, f"ctrl @ pow({exponent}) @", constant, 1), name, constant)
        np.testing.assert_allclose(result, control(expected), atol=1e-13)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("exponent", [0.5, -1.3])
def test_fractional_power_is_the_principal_one(name, exponent):
    """U^k = V diag(e^{ik phase}) V^-1 with phases in (-pi, pi], from NumPy's eigendecomposition."""
    values, vectors = np.linalg.eig(EXPECTED[name])
    phases = np.angle(values * np.exp(1e-12j)) - 1e-12
    phases = np.where(phases < -np.pi + 1e-9, phases + 2 * np.pi, phases)
    expected = vectors @ np.diag(np.exp(1j * exponent * phases)) @ np.linalg.inv(vectors)
    result = matrix_of(call(name, f"ctrl @ pow({exponent}) @", True, 1), name, True)
    np.testing.assert_allclose(result, control(expected), atol=1e-10)


def test_powers_of_a_rotation_scale_a_weight_and_stay_principal_for_a_constant():
    text = 'include "stdgates.inc"; {} qubit q; qubit r; ctrl @ pow(0.25) @ rx({}) q, r;'
    scaled = oracle.unitary(program_from_qasm(text.format("input float a;", "a")), [5.0])
    np.testing.assert_allclose(scaled, control(rotation(X, 1.25)), atol=1e-14)
    # rx(4 pi) is the identity, whose principal power is itself; rx(3 pi) = rx(-pi).
    identity = oracle.unitary(program_from_qasm(text.format("", "4*pi")))
    np.testing.assert_allclose(identity, np.eye(4), atol=1e-12)
    principal = oracle.unitary(program_from_qasm(text.format("", "3*pi")))
    np.testing.assert_allclose(principal, control(rotation(X, -np.pi / 4)), atol=1e-12)


def test_against_the_library_file_of_the_language():
    pytest.importorskip("qiskit")
    library = resources.files("qiskit").joinpath("qasm/libs/stdgates.inc").read_text(encoding="utf-8")
    for name in STANDARD.keys() - {"CX"}:
        for constant in (True, False):
            text = call(name, "ctrl @", constant, 1)
            ours = matrix_of(text, name, constant)
            theirs = oracle.unitary(
                program_from_qasm(library + text), () if constant else (A, B, C, D)[: NUM_ANGLES.get(name, 0)]
            )
            np.testing.assert_allclose(ours, theirs, atol=1e-13, err_msg=name)
