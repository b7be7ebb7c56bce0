"""The QNode of a program against the oracle, and under the transforms that the library uses."""

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from qlazy.quantum.corpus import load_program, names, program_from_qasm
from qlazy.quantum.pennylane.qnodes import to_qnode
from tests import oracle

# Every base gate, controls on both values, constant unitaries, several terms and identities in the outputs.
EVERYTHING = """
OPENQASM 3.0;
include "stdgates.inc";
input array[float[64], 3] a;
@qlazy.data
input array[float[64], 2] features;
input float b;
@qlazy.data
input float last;
qubit[3] q;
h q;
sdg q[0]; tdg q[1]; s q[2]; t q[0]; sx q[1]; inv @ sx q[2]; x q[0]; y q[1]; z q[2]; id q[0]; swap q[0], q[1];
rx(a[0] * features[1]) q[0]; ry(a[1] + b) q[1]; rz(a[2]) q[2]; p(sin(last)) q[0];
U(a[0], b, features[0]) q[1]; u3(0.1, 0.2, 0.3) q[2];
ctrl @ U(a[1], 0.3, b) q[0], q[2];
negctrl @ ctrl @ rx(b) q[0], q[1], q[2];
ctrl @ pow(0.3) @ h q[2], q[1];
negctrl(2) @ gphase(a[2]) q[0], q[1];
gphase(b);
ctrl @ swap q[1], q[0], q[2];
ctrl @ sdg q[0], q[1];
"""
OBSERVABLES = ("Z q[0]", "0.5 X q[0] Y q[2] - 2 Z q[1] + 0.25 I q[0]", "I q[1]", "-3 Y q[2]")


@pytest.fixture(scope="module")
def everything():
    return program_from_qasm(EVERYTHING, observables=OBSERVABLES)


def sample(program, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, dtype=torch.float64, generator=generator)
        for name, shape in program.weights.items()
    }
    return weights, torch.randn(program.num_features, dtype=torch.float64, generator=generator)


def flat(weights):
    parts = [weight.reshape(-1) for weight in weights.values()]
    return torch.cat(parts).numpy() if parts else np.zeros(0)


def test_every_gate_agrees_with_the_oracle(everything):
    qnode, shapes = to_qnode(everything)
    assert shapes == {"a": (3,), "b": ()}
    weights, inputs = sample(everything)
    expected = oracle.outputs(everything, flat(weights), inputs.numpy())
    np.testing.assert_allclose(torch.stack(qnode(inputs, **weights)).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("name", names())
def test_each_family_agrees_with_the_oracle(name):
    program = load_program(name)
    qnode, _ = to_qnode(program)
    weights, inputs = sample(program, 1)
    expected = oracle.outputs(program, flat(weights), inputs.numpy())
    np.testing.assert_allclose(torch.stack(qnode(inputs, **weights)).numpy(), expected, atol=1e-12)


def test_the_jacobian_a_sample_at_a_time_agrees_with_differences(everything):
    qnode, _ = to_qnode(everything)
    weights, _ = sample(everything)
    x = torch.stack([sample(everything, seed)[1] for seed in range(3)])
    jacobian = vmap(jacrev(lambda weights, inputs: torch.stack(qnode(inputs, **weights))), in_dims=(None, 0))(
        weights, x
    )
    together = torch.cat([jacobian["a"], jacobian["b"].unsqueeze(-1)], dim=-1)
    for row, inputs in zip(together, x, strict=True):
        expected = oracle.jacobian(everything, flat(weights), inputs.numpy())
        np.testing.assert_allclose(row.numpy(), expected, atol=1e-8)


def test_a_program_without_data_takes_no_inputs_or_empty_ones():
    qnode, _ = to_qnode(load_program("single_qubit"))
    theta = torch.tensor(0.4, dtype=torch.float64)
    for arguments in ((), (torch.zeros(0, dtype=torch.float64),)):
        (value,) = qnode(*arguments, theta=theta)
        assert float(value) == pytest.approx(np.cos(0.4), abs=1e-15)
    x = torch.zeros(3, 0, dtype=torch.float64)
    (values,) = vmap(lambda inputs: qnode(inputs, theta=theta))(x)
    assert values.shape == (3,)


def test_wrong_shapes_are_refused(everything):
    qnode, _ = to_qnode(everything)
    weights, inputs = sample(everything)
    with pytest.raises(ValueError, match=r"`inputs` must be one sample of shape \(3,\), but is \(2,\)"):
        qnode(inputs[:2], **weights)
    with pytest.raises(ValueError, match=r"`a` must have shape \(3,\), but is \(2,\)"):
        qnode(inputs, a=weights["a"][:2], b=weights["b"])
    with pytest.raises(ValueError, match="`weights` must be"):
        qnode(inputs, a=weights["a"])
