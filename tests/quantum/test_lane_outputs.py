"""Many parameter vectors of a circuit in one run: outputs and gradients are those of each alone."""

from __future__ import annotations

import pytest
import torch

import qlazy
from tests.makers import inputs

CIRCUITS = {
    "data first": {"name_or_path": "hardware_efficient", "n": 3, "layers": 2},
    "data and weights in one angle": {"name_or_path": "data_reuploading", "n": 3, "layers": 2},
    "several layers of data": {"name_or_path": "strongly_entangling", "n": 3, "layers": 2},
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
