"""QNodes as models: closed forms, refusals, agreement with PennyLane itself."""

from __future__ import annotations

import math
import re

import numpy as np
import pennylane as qml
import pytest
import scipy.stats
import torch

from qlazy import Circuit, CircuitLayer
from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError
from tests.makers import inputs, reuploading, rng

DEVICE = qml.device("default.qubit", wires=2)


def rx(inputs, theta):
    qml.RX(theta, wires=0)
    qml.RZ(inputs[0], wires=0)
    return qml.expval(qml.Z(0))


@pytest.mark.parametrize("theta", [0.0, 0.4, 2.0])
def test_rx_kernel_is_sine_squared(theta):
    # <Z> = cos(theta) after RX(theta), so K = sin(theta)^2 for any pair of inputs.
    model = Circuit(qml.QNode(rx, DEVICE), {"theta": 1})
    kernel = model.gram(torch.tensor([theta], dtype=torch.float64), inputs(3, 1))
    torch.testing.assert_close(kernel, torch.full_like(kernel, math.sin(theta) ** 2), rtol=0, atol=1e-14)


def test_outputs_equal_the_qnode_row_by_row():
    model = Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)})
    params, x = model.init(rng()), inputs(3, 3)
    weights = {"encoding": params[:6].reshape(2, 3), "weights": params[6:].reshape(2, 3, 3)}
    expected = torch.stack([torch.stack(reuploading(row, **weights)) for row in x])
    torch.testing.assert_close(model(params, x), expected)


def test_float32_stays_float32():
    model = Circuit(qml.QNode(rx, DEVICE), {"theta": 1})
    assert model(torch.zeros(1), torch.zeros(2, 1)).dtype == torch.float32


def test_weights_named_one_are_scalars():
    def scalar(inputs, theta):
        assert theta.shape == ()
        return rx(inputs, theta)

    assert Circuit(qml.QNode(scalar, DEVICE), {"theta": 1})(torch.zeros(1), torch.zeros(1, 1)).shape == (1, 1)


@pytest.mark.parametrize(
    "draw", [lambda circuit: circuit.init(rng()), lambda circuit: CircuitLayer(circuit).weights]
)
def test_angles_start_anywhere_on_the_circle(draw):
    """Uniform over the whole period of 2 pi: over half of it every circuit would start on one side."""
    torch.manual_seed(0)
    angles = draw(Circuit(qml.QNode(rx, DEVICE), {"theta": 4000})).detach().numpy()
    assert 0 <= angles.min() < 0.02
    assert 2 * math.pi - 0.02 < angles.max() < 2 * math.pi
    assert scipy.stats.kstest(angles, scipy.stats.uniform(0, 2 * math.pi).cdf).pvalue > 0.01


def nudged(inputs, theta):
    # Symbols are not numbers: what it does with numbers alone is not in the formulas.
    return rx(inputs, theta + (NUDGE if type(theta) in (torch.Tensor, np.ndarray) else 0.0))


NUDGE = 1e-4


def test_formulas_that_miss_what_the_qnode_computes_are_not_used():
    """However small the difference: outputs are those of the QNode, and a warning says why it is slow."""
    model, params = Circuit(qml.QNode(nudged, DEVICE), {"theta": 1}), torch.tensor([0.4], dtype=torch.float64)
    with pytest.warns(SlowBackendWarning, match="row by row in NumPy gives"):
        outputs = model(params, inputs(2, 1))
    torch.testing.assert_close(outputs, torch.full_like(outputs, math.cos(0.4 + NUDGE)), rtol=0, atol=1e-12)


def blind(inputs, theta):
    qml.RX(theta, wires=0)
    return qml.expval(qml.Z(0))


def test_a_qnode_that_ignores_its_inputs_is_refused():
    model = Circuit(qml.QNode(blind, DEVICE), {"theta": 1})
    with pytest.raises(UnsupportedModelError, match="`qnode` must depend on `inputs`"):
        model(torch.zeros(1), torch.zeros(2, 1))
    assert model(torch.zeros(1), torch.zeros(2, 0)).tolist() == [
        [1.0],
        [1.0],
    ]  # no features: nothing to ignore


def quantum_state(inputs, theta):
    qml.RX(theta * inputs[0], wires=0)
    return qml.state()


def test_complex_measurements_are_refused():
    model = Circuit(qml.QNode(quantum_state, DEVICE), {"theta": 1})
    with pytest.raises(
        UnsupportedModelError, match="expectation values or probabilities, but is returning StateMP"
    ):
        model(torch.zeros(1), torch.zeros(1, 1))


QNODES = {
    "default.mixed": qml.QNode(rx, qml.device("default.mixed", wires=2)),
    "exact": qml.set_shots(qml.QNode(rx, DEVICE), 10),
}


@pytest.mark.parametrize("reason", QNODES)
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_refused_qnodes(reason, backend):
    with pytest.raises(UnsupportedModelError, match=reason):
        Circuit(QNODES[reason], {"theta": 1}, backend=backend)


EXACT = {
    "lightning": qml.QNode(rx, qml.device("lightning.qubit", wires=2)),
    "parameter-shift": qml.QNode(rx, DEVICE, diff_method="parameter-shift"),
    "autograd": qml.QNode(rx, DEVICE, interface="autograd"),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("backend", ["adjoint", "torch"])
def test_exact_qnodes_of_any_device_and_interface_are_taken(name, backend):
    params = torch.tensor([0.4], dtype=torch.float64)
    jacobian = Circuit(EXACT[name], {"theta": 1}, backend=backend).jacobian(params, inputs(2, 1))
    torch.testing.assert_close(jacobian, torch.full_like(jacobian, -math.sin(0.4)), rtol=0, atol=1e-14)


def test_not_a_qnode():
    with pytest.raises(TypeError, match=r"must be a pennylane.QNode .* but is function"):
        Circuit(rx, {"theta": 1})


@pytest.mark.parametrize("count", [0, 1, 2])
def test_weights_of_default_values_are_named_where_another_is_asked_for(count):
    names = [f"w{i}" for i in range(3)]
    values = ", ".join(f"{name}=0.1" if i >= count else name for i, name in enumerate(names))
    function = eval(f"lambda inputs, {values}: None")
    qnode = qml.QNode(function, qml.device("default.qubit", wires=1))
    must = (
        f"name the QNode's weights {names[:count]}, and may name {names[count:]}, which have default values"
    )
    with pytest.raises(ValueError, match=re.escape(must)):
        Circuit(qnode, {"weights": 2, **dict.fromkeys(names[:count], 1)})


@pytest.mark.parametrize("shapes", [{}, {"phi": 1}, {"theta": 1, "phi": 2}])
def test_weight_names(shapes):
    with pytest.raises(ValueError, match=r"name the QNode's weights \['theta'\]"):
        Circuit(qml.QNode(rx, DEVICE), shapes)


@pytest.mark.parametrize("size", [0, -1, (2, 0), 1.5])
def test_weight_sizes(size):
    with pytest.raises((ValueError, TypeError)):
        Circuit(qml.QNode(rx, DEVICE), {"theta": size})


def test_inputs_must_be_called_inputs():
    def renamed(data, theta):
        qml.RX(theta * data[0], wires=0)
        return qml.expval(qml.Z(0))

    with pytest.raises(ValueError, match="take its data as `inputs`"):
        Circuit(qml.QNode(renamed, DEVICE), {"theta": 1})
