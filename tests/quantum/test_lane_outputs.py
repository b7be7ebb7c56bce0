"""Many parameter vectors of a circuit in one run: outputs and gradients are those of each alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import qlazy
from tests.makers import inputs

CIRCUITS = {
    "data first": {"name_or_path": "hardware_efficient", "n": 3, "layers": 2},
    "data and weights in one angle": {"name_or_path": "data_reuploading", "n": 3, "layers": 2},
    "several layers of data": {"name_or_path": "strongly_entangling", "n": 3, "layers": 2},
    "measured on its way": {"name_or_path": "dynamic_reuploading", "n": 3, "layers": 2},
}


@pytest.mark.parametrize("settings", CIRCUITS.values(), ids=list(CIRCUITS))
def test_lanes_are_the_circuit_at_each_vector(settings):
    circuit = qlazy.load_circuit(**settings)
    x = inputs(5, 3)
    lanes = torch.stack([circuit.init(seed) for seed in range(4)]).requires_grad_()
    forward = circuit.on_lanes(x)
    assert forward is not None
    outputs = forward(lanes)
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (found,) = torch.autograd.grad((weights * outputs).sum(), lanes)
    for i, params in enumerate(lanes.detach()):
        torch.testing.assert_close(outputs[i].detach(), circuit(params, x), rtol=0, atol=1e-13)
        jacobian = circuit.jacobian(params, x)
        torch.testing.assert_close(
            found[i], torch.einsum("nc,ncp->p", weights[i], jacobian), rtol=0, atol=1e-12
        )


STEPS = (
    "rx(a) q[0];", "ry(b * x) q[1];", "crz(a + c) q[0], q[2];", "cx q[0], q[1];", "h q[2];", "reset q[1];",
    "m = measure q[0];", "k = measure q[2];", "if (m) { ry(c) q[1]; }", "if (m && k) { rx(x) q[2]; } else { z q[0]; }",
)  # fmt: skip


@given(st.lists(st.sampled_from(STEPS), min_size=3, max_size=9), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=40)
def test_drawn_programs(steps, count, samples):
    """With and without data, measuring or not: each lane is the program at its vector."""
    declared = "@qlazy.data\ninput float x;\ninput float a;\ninput float b;\ninput float c;\nqubit[3] q; bit m; bit k;"
    start = "ry(a) q[0]; ry(x) q[1]; m = measure q[1];"
    text = "\n".join(("OPENQASM 3.0;", 'include "stdgates.inc";', declared, start, *steps))
    circuit = qlazy.from_qasm(text)
    x, lanes = inputs(samples, 1), torch.stack([circuit.init(seed) for seed in range(count)]).requires_grad_()
    forward = circuit.on_lanes(x)
    assert forward is not None
    outputs = forward(lanes)
    weights = torch.linspace(1, 2, outputs.numel(), dtype=torch.float64).view(outputs.shape)
    (found,) = torch.autograd.grad((weights * outputs).sum(), lanes)
    for i, params in enumerate(lanes.detach()):
        torch.testing.assert_close(outputs[i].detach(), circuit(params, x), rtol=0, atol=1e-13)
        torch.testing.assert_close(
            found[i],
            torch.einsum("nc,ncp->p", weights[i], circuit.jacobian(params, x)),
            rtol=0,
            atol=1e-12,
        )
