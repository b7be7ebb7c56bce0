"""Runs side by side: the numbers of each alone, bit for bit, and those of plain training to rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import qlazy
from qlazy import (
    SGD,
    Adam,
    Centered,
    CrossEntropy,
    Function,
    GradientDescent,
    GradientFlow,
    Linearized,
    Logistic,
    Scaled,
    SquaredError,
    TorchOptimizer,
)
from qlazy.training.lanes import Lane, train_lanes
from qlazy.training.loop import Record, train

MODELS = {
    "net": lambda: qlazy.mlp([3, 4, 1]),
    "relu": lambda: qlazy.mlp([3, 9, 1], torch.nn.ReLU),
    "function": lambda: Function(lambda w, x: (x @ w).tanh().unsqueeze(1), 3),
    "circuit": lambda: qlazy.load_circuit("hardware_efficient", n=3, layers=1),
    "reuploading": lambda: qlazy.load_circuit("data_reuploading", n=3, layers=1),
    "measuring": lambda: qlazy.load_circuit("dynamic_reuploading", n=3),
}


def plateau(params):
    optimizer = torch.optim.SGD(params, 0.2, momentum=0.5)
    return optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)


def falling(params):
    optimizer = torch.optim.RMSprop(params, 0.01)
    return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)


OPTIMIZERS = {
    "adamw": TorchOptimizer(lambda params: torch.optim.AdamW(params, 0.02), batch_size=4),
    "plateau": TorchOptimizer(plateau),
    "falling": TorchOptimizer(falling),
}
METHODS = {
    "descent": lambda i: GradientDescent(0.3 + 0.1 * i),
    "adam": lambda i: Adam(0.01 * (i + 1)),
    "sgd": lambda i: SGD(0.1 + 0.1 * i, 4, seed=2),  # 14 samples: epochs end in batches of two
    "momentum": lambda i: SGD(0.02 + 0.01 * i, 5, momentum=0.9),
    "adam on batches": lambda i: Adam(0.01 * (i + 1), batch_size=7),
    "single samples": lambda i: SGD(0.01 + 0.01 * i, 1),
}


@pytest.fixture(scope="module")
def data():
    return qlazy.load_data("digits", features=3, train=14, test=6)


def lanes_of(model, method, wrap=lambda model, params, i: Centered(model, params)):
    starts = [model.init(torch.Generator().manual_seed(seed)).double() for seed in range(3)]
    return [
        Lane(wrap(model, w, i), w, alpha, method(i)) for i, w in enumerate(starts) for alpha in (1.0, 30.0)
    ]


def trained(lanes, data, steps=12, loss=None):
    found = train_lanes(lanes, data, steps=steps, loss=loss or SquaredError(), record=Record())
    assert found is not None
    assert len(found) == len(lanes)
    return found


def arrays(trace):
    return trace.params, trace.train_loss, trace.train_outputs, trace.test_loss, trace.test_outputs


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_a_lane_does_not_depend_on_what_stands_beside_it(data, model, method):
    lanes = lanes_of(MODELS[model](), METHODS[method])
    whole = trained(lanes, data)
    for part in (slice(0, 1), slice(5, 6), slice(1, 4)):
        for one, other in zip(trained(lanes[part], data), whole[part], strict=True):
            assert all(map(np.array_equal, arrays(one.trace), arrays(other.trace)))


ACTIVATIONS = torch.nn.ELU, torch.nn.SiLU, torch.nn.Softplus


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("samples", [3, 5, 9, 17])
def test_the_last_numbers_of_a_tensor_are_those_of_any_place(samples, dtype):
    """torch computes the end of a tensor one number after another, and rounds some functions in another way there."""
    x = torch.randn(2 * samples, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    y = x[:, :1].sign()
    own = qlazy.Dataset("own", x[:samples], y[:samples], x[samples:], y[samples:], (), "none")
    for activation in ACTIVATIONS:
        lanes = lanes_of(
            qlazy.mlp([2, 3, 1], activation, dtype=dtype), lambda i: Adam(0.1 + 0.1 * i, batch_size=4)
        )
        lanes = [lane._replace(start=lane.start.to(dtype)) for lane in lanes]
        lanes = [lane._replace(model=Centered(lane.model.model, lane.start)) for lane in lanes]
        whole = trained(lanes, own, steps=25, loss=Logistic())
        for place in range(len(lanes)):
            alone = trained(lanes[place : place + 1], own, steps=25, loss=Logistic())[0]
            assert all(map(np.array_equal, arrays(alone.trace), arrays(whole[place].trace)))


WEIGHTED = {
    "softplus": lambda w, x: x @ torch.nn.functional.softplus(w[:3])[:, None],
    "exp": lambda w, x: (x @ w[:3] * w[3:].exp()).unsqueeze(1),
    "softmax": lambda w, x: x @ w[:3].softmax(0)[:, None],
    "atan2": lambda w, x: (x.sum(1) * torch.atan2(w[0], w[1]) + w[2:].sum()).unsqueeze(1),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_functions_of_few_weights(data, name):
    """Of a few numbers a lane: alone torch computes them one by one, beside others many at a time."""
    lanes = lanes_of(Function(WEIGHTED[name], 4), METHODS["descent"])
    whole = trained(lanes, data, steps=100)
    for place in range(len(lanes)):
        alone = trained(lanes[place : place + 1], data, steps=100)[0]
        assert all(map(np.array_equal, arrays(alone.trace), arrays(whole[place].trace)))


@pytest.mark.parametrize("loss", [SquaredError(), Logistic()])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_lanes_are_plain_training_to_rounding(data, model, method, loss):
    lanes = lanes_of(MODELS[model](), METHODS[method])
    for lane, found in zip(lanes, trained(lanes, data, loss=loss), strict=True):
        plain = train(lane.model, lane.start, data, steps=12, alpha=lane.alpha, loss=loss, method=lane.method)
        for one, other in zip(arrays(found.trace), arrays(plain), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10)
        assert (found.trace.method, found.trace.clock, found.trace.learning_rate) == (
            plain.method, plain.clock, plain.learning_rate,
        )  # fmt: skip
        np.testing.assert_array_equal(found.trace.times, plain.times)


@pytest.mark.parametrize("method", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
@pytest.mark.parametrize("model", ["net", "circuit"])
def test_optimisers_of_torch(data, model, method):
    """One for each lane: alone, beside others, and to rounding as in plain training."""
    lanes = lanes_of(MODELS[model](), lambda _: method)
    whole = trained(lanes, data)
    for one, other in zip(trained(lanes[1:3], data), whole[1:3], strict=True):
        assert all(map(np.array_equal, arrays(one.trace), arrays(other.trace)))
    for lane, found in zip(lanes, whole, strict=True):
        plain = train(lane.model, lane.start, data, steps=12, alpha=lane.alpha, method=method)
        for one, other in zip(arrays(found.trace), arrays(plain), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model, params, i: Scaled(Centered(model, params), 2.0 + i),
        lambda model, params, i: Linearized(Scaled(model, 1.0 + i), params),
        lambda model, params, i: model,
    ],
)
@pytest.mark.parametrize("model", ["net", "circuit"])
def test_wrappers_differ_from_lane_to_lane(data, model, wrap):
    lanes = lanes_of(MODELS[model](), lambda i: GradientDescent(0.01 + 0.01 * i), wrap)
    for lane, found in zip(lanes, trained(lanes, data), strict=True):
        plain = train(lane.model, lane.start, data, steps=12, alpha=lane.alpha, method=lane.method)
        np.testing.assert_allclose(found.trace.params, plain.params, rtol=1e-9, atol=1e-11)


def test_a_lane_that_diverges_leaves_the_others_alone(data):
    model = MODELS["net"]()
    lanes = lanes_of(model, METHODS["descent"])
    wild = lanes[1]._replace(method=GradientDescent(1e5), alpha=0.01)
    found = trained([lanes[0], wild, lanes[2]], data, steps=40)
    assert [bool(one.diverged) for one in found] == [False, True, False]
    with pytest.raises(qlazy.DivergedError) as plain:
        train(wild.model, wild.start, data, steps=40, alpha=wild.alpha, method=wild.method)
    assert found[1].diverged.split(":")[0] == str(plain.value).split(":")[0]
    (alone,) = trained(lanes[:1], data, steps=40)
    np.testing.assert_array_equal(alone.trace.params, found[0].trace.params)


@pytest.mark.parametrize("other", [SGD(0.1, 4, seed=1), SGD(0.1, 5), SGD(0.1, 4, momentum=0.5), Adam(0.1)])
def test_methods_that_differ_in_more_than_the_rate_have_no_lanes(data, other):
    first, second, *_ = lanes_of(MODELS["net"](), lambda i: SGD(0.2, 4))
    lanes = [first, second._replace(method=other)]
    assert train_lanes(lanes, data, steps=2, loss=SquaredError(), record=Record()) is None


def test_what_has_no_lanes_is_left_to_plain_training(data):
    lanes = lanes_of(MODELS["net"](), lambda i: GradientFlow(1.0))
    assert train_lanes(lanes, data, steps=2, loss=SquaredError(), record=Record()) is None
    searching = TorchOptimizer(lambda params: torch.optim.LBFGS(params, line_search_fn="strong_wolfe"))
    lanes = lanes_of(MODELS["net"](), lambda i: searching)
    assert train_lanes(lanes, data, steps=2, loss=SquaredError(), record=Record()) is None
    branching = Function(lambda w, x: (x @ w if w[0] > 0 else x @ -w).unsqueeze(1), 3)
    lanes = lanes_of(branching, METHODS["descent"])
    assert train_lanes(lanes, data, steps=2, loss=SquaredError(), record=Record()) is None
    wide = lanes_of(qlazy.mlp([3, 600, 600, 1]), METHODS["descent"])
    assert train_lanes(wide, data, steps=2, loss=SquaredError(), record=Record()) is None


SHARED = """OPENQASM 3.0; include "stdgates.inc";
input array[float, 4] w;
@qlazy.data
input array[float, 2] x;
qubit[2] q;
rx(2 * w[0] * w[1]) q[0]; ry(pi / 3) q[1]; rz(sin(w[2]) + 0.5) q[0]; cx q[0], q[1];
ry(-w[3]) q[1]; rx(w[1] * x[0]) q[0]; rz(x[1]) q[1]; cx q[1], q[0]; ry(w[0]) q[0];
"""


def test_angles_of_many_parameter_vectors() -> None:
    """Of formulas in weights alone, constants, data and both: each lane as on its own."""
    circuit = qlazy.from_qasm(SHARED)
    generator = torch.Generator().manual_seed(0)
    params = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    x = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    together = circuit.on_lanes(x)(params)
    torch.testing.assert_close(together, torch.stack([circuit(row, x) for row in params]))


@pytest.mark.parametrize("loss", [SquaredError(), Logistic(), CrossEntropy()])
def test_losses_of_many_outputs(loss) -> None:
    """Each as on its own."""
    generator = torch.Generator().manual_seed(1)
    outputs = torch.randn(4, 7, 3, generator=generator, dtype=torch.float64)
    targets = torch.eye(3, dtype=torch.float64)[torch.arange(7) % 3]
    alone = torch.stack([loss.value(one, targets) for one in outputs])
    torch.testing.assert_close(loss.on_lanes(outputs, targets), alone, rtol=1e-15, atol=0)
