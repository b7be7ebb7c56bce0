"""A trainable readout: against the sum it stands for, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from qlazy import Function, Readout, load_circuit, mlp


def test_it_is_the_weighted_sum() -> None:
    net = mlp([3, 5, 2])
    model = Readout(net, 2)
    params = model.init(torch.Generator().manual_seed(0))
    params[-1] = 0.7
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    outputs = net(params[:-3], x)
    expected = params[-3] * outputs[:, 0] + params[-2] * outputs[:, 1] + 0.7
    torch.testing.assert_close(model(params, x)[:, 0], expected)
    assert list(model.blocks) == [*net.blocks, "readout", "offset"]
    assert model.blocks["offset"] == slice(model.num_params - 1, model.num_params)


def test_least_squares_over_the_readout_is_the_tangent_of_those_blocks() -> None:
    """The Jacobian's last k + 1 columns are the outputs and a one, whatever the readout."""
    circuit = load_circuit("single_qubit")
    model = Readout(circuit, circuit.program.num_outputs)
    params = model.init(torch.Generator().manual_seed(0))
    x = torch.randn(
        3, circuit.program.num_features, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    columns = model.jacobian(params, x)[:, 0, model.blocks["readout"].start :]
    torch.testing.assert_close(columns[:, :-1], circuit(params[: circuit.num_params], x))
    assert (columns[:, -1] == 1).all()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="`outputs` must be a positive whole number"):
        Readout(mlp([3, 2]), 0)
    with pytest.raises(ValueError, match="`model` must have no block named readout or offset"):
        Readout(Readout(mlp([3, 2]), 2), 1)
    model = Readout(Function(lambda w, x: x @ w.reshape(3, 2), 6), 3)
    with pytest.raises(ValueError, match="`model` must have 3 outputs, but is 2"):
        model(torch.zeros(10), torch.zeros(2, 3))
