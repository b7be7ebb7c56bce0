"""Amplitudes by a Hadamard test: against the states of default.qubit, and the shift rule of amplitudes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qlazy.base.errors import UnsupportedModelError
from qlazy.quantum.amplitudes import Amplitudes, hadamard_test
from qlazy.quantum.corpus import load_program, program_from_qasm
from qlazy.tasks.tensor import real_ansatz
from tests.quantum.programs import states

PHASES = """OPENQASM 3.0;
include "stdgates.inc";
input array[float[64], 5] w;
qubit[2] q;
gphase(w[0]);
U(w[1], w[2], 0.3) q[0];
h q[1];
ctrl @ U(0.4, w[3], w[4]) q[0], q[1];
cx q[1], q[0];
sx q[0];
"""


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("program", [real_ansatz(3, 4), real_ansatz(1, 1), program_from_qasm(PHASES)])
def test_amplitudes_are_the_real_parts_of_the_state(program):
    amplitudes = Amplitudes(program)
    angles = amplitudes.init(3, rng())
    np.testing.assert_allclose(amplitudes(angles).numpy(), states(program, angles).real, atol=1e-12)


def test_the_test_is_a_program():
    test = hadamard_test(real_ansatz(2, 1))
    assert (test.num_qubits, test.num_outputs, test.num_params) == (3, 4, 2)


def test_derivatives_of_amplitudes():
    """d psi / d theta of a rotation is half the state at theta + pi: the shift rule of amplitudes."""
    amplitudes = Amplitudes(real_ansatz(2, 2))
    angles = amplitudes.init(2, rng(1))
    jacobian = amplitudes.jacobian(angles)
    for k in range(4):
        shifted = angles.clone()
        shifted[:, k] += np.pi
        torch.testing.assert_close(jacobian[..., k], amplitudes(shifted) / 2)


def test_what_is_refused():
    measuring = program_from_qasm(
        'OPENQASM 3.0; include "stdgates.inc"; input float w; qubit[1] q; bit c; rx(w) q[0]; c = measure q[0]; '
        "if (c) { x q[0]; }"
    )
    with pytest.raises(UnsupportedModelError, match="`program` must be a circuit of gates"):
        hadamard_test(measuring)
    with pytest.raises(UnsupportedModelError, match="without data"):
        Amplitudes(load_program("hardware_efficient", n=2, layers=1))
    with pytest.raises(ValueError, match="`angles` must be real, of shape"):
        Amplitudes(real_ansatz(2, 1))(torch.ones(2, 3))
