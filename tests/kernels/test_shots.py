"""Kernels from measured Jacobians: unbiased, with error bars that cover, and a bias that is foretold."""

from __future__ import annotations

import itertools
import math

import pennylane as qml
import pytest
import torch

from qlazy import Centered, Circuit, Function, Linearized, Model, Scaled, load_circuit, mlp, tangent_kernel
from qlazy.base.errors import UnsupportedModelError
from qlazy.kernels.shots import (
    cross_kernel_of_batches,
    kernel_of_batches,
    measured_kernel,
    naive_bias,
    shot_plan,
    student_interval,
)
from tests.makers import inputs, linear_function, rng

F64 = torch.float64
SPREAD = 0.5
T_95 = 2.365  # Student's t, two-sided 95%, 7 degrees of freedom


class Noisy(Model):
    """A model with a known Jacobian, measured with independent normal errors."""

    num_params = 3
    blocks = {"w": slice(0, 3)}  # noqa: RUF012

    def __init__(self, seed):
        self._generator = rng(seed)

    def init(self, generator):
        return torch.zeros(3, dtype=F64)

    def forward(self, params, x):
        return torch.stack([x @ params, (x**2) @ params], 1)

    def jacobian(self, params, x):
        exact = torch.stack([x, x**2], 1)
        return exact + SPREAD * torch.randn(exact.shape, generator=self._generator, dtype=F64)


def repeated(count, batches=8):
    x = inputs(2, 3)
    model = Noisy(0)
    exact = torch.stack([x, x**2], 1).flatten(0, 1)
    kernels = [measured_kernel(model, torch.zeros(3, dtype=F64), x, batches=batches) for _ in range(count)]
    return kernels, exact @ exact.T


def assert_mean(samples, expected):
    error = samples.std(0) / len(samples) ** 0.5
    assert ((samples.mean(0) - expected).abs() <= 4 * error).all()


def test_values_are_unbiased_and_errors_cover():
    kernels, exact = repeated(600)
    values, errors = (torch.stack([getattr(k, name) for k in kernels]) for name in ("values", "errors"))
    assert_mean(values, exact)
    covered = ((values - exact).abs() <= T_95 * errors).double().mean(0)
    assert ((covered >= 0.90) & (covered <= 0.99)).all()


def test_naive_has_the_variance_too_much_where_a_sample_meets_itself():
    # The errors are independent between outputs, so that the bias is diagonal: p variances, over B batches.
    kernels, exact = repeated(600)
    bias = 3 * SPREAD**2 / 8 * torch.eye(4, dtype=F64)
    assert_mean(torch.stack([k.naive for k in kernels]) - exact, bias)
    estimated = torch.stack([k.naive_bias for k in kernels])
    assert not estimated[:, :2, 2:].any()
    assert_mean(estimated[:, :2, :2], bias[:2, :2])


def test_cross_products_are_the_mean_over_pairs():
    x, params = inputs(2, 3), torch.zeros(3, dtype=F64)
    found = measured_kernel(Noisy(4), params, x, batches=3)
    again = Noisy(4)
    rows = [again.jacobian(params, x).flatten(0, 1) for _ in range(3)]
    pairs = torch.stack([a @ b.T for a, b in itertools.permutations(rows, 2)])
    torch.testing.assert_close(found.values, pairs.mean(0))
    torch.testing.assert_close(found.values, found.values.T)


THETA, SHOTS = 0.1, 10


def test_a_rotation_measured_with_few_shots():
    # <Z> = cos(theta) after RX(theta): K = sin^2, f at the shifts is -+sin, each of variance cos^2 a shot.
    def rx(inputs, theta):
        qml.RX(theta, wires=0)
        qml.RZ(inputs[0], wires=0)
        return qml.expval(qml.Z(0))

    qnode = qml.set_shots(qml.QNode(rx, qml.device("default.qubit", wires=1, seed=5)), SHOTS)
    model, params = Circuit(qnode, {"theta": 1}, backend="device"), torch.tensor([THETA], dtype=F64)
    kernel = measured_kernel(model, params, torch.zeros(200, 1, dtype=F64), batches=3)
    sine = torch.tensor([math.sin(THETA)], dtype=F64)
    bias = naive_bias(-sine, sine, 3 * SHOTS)
    torch.testing.assert_close(bias, torch.tensor(math.cos(THETA) ** 2 / (2 * 3 * SHOTS), dtype=F64))
    assert_mean(kernel.values.diagonal(), sine**2)
    assert_mean(kernel.naive.diagonal() - sine**2, bias)
    assert (
        abs(float(bias)) > 4 * float(kernel.naive.diagonal().std()) / 200**0.5
    )  # the test can tell them apart


def test_a_plan_reaches_its_precision():
    params, x = torch.zeros(3, dtype=F64), inputs(2, 3)
    pilot = measured_kernel(Noisy(1), params, x, batches=32)
    plan = shot_plan(pilot, float(pilot.errors.max()) / 2, circuits_per_sample=7, shots=100)
    assert plan == (128, 128 * 2 * 7, 128 * 2 * 7 * 100)
    reached = measured_kernel(Noisy(2), params, x, batches=plan.batches).errors.max()
    assert reached < 0.75 * pilot.errors.max()


def test_refusals():
    params, x = torch.zeros(3, dtype=F64), inputs(2, 3)
    with pytest.raises(ValueError, match="`batches` must be at least 3, but is 2"):
        measured_kernel(Noisy(0), params, x, batches=2)
    model, params, x = linear_function()
    assert isinstance(model, Function)
    with pytest.raises(ValueError, match="`model` must be measured anew"):
        measured_kernel(model, params, x)
    with pytest.raises(ValueError, match="`precision` must be positive"):
        shot_plan(
            measured_kernel(Noisy(0), torch.zeros(3, dtype=F64), x), 0.0, circuits_per_sample=1, shots=1
        )
    with pytest.raises(ValueError, match="`minus` must have shape"):
        naive_bias(torch.zeros(3), torch.zeros(2), 10)


def test_the_interval_is_that_of_student():
    assert student_interval(8) == pytest.approx(T_95, abs=5e-4)
    assert student_interval(3, 0.9) == pytest.approx(2.920, abs=5e-4)  # 2 degrees of freedom


def test_the_error_of_the_trace_covers():
    kernels, exact = repeated(400)
    off = torch.tensor([abs(k.trace - float(exact.trace())) / k.trace_error for k in kernels])
    assert 0.90 <= (off <= T_95).double().mean() <= 0.99


@pytest.mark.parametrize("batches", [3, 8])
def test_errors_of_what_is_linear_in_the_batches_are_those_of_a_mean(batches):
    """The jackknife of a mean is the sample's deviation over sqrt(B): without its factor it is too small or large.

    Jacobians e + h d_b with a small h have kernels e e^T + h (d_b e^T + e d_b^T) to first order.
    """
    size, e = 1e-7, inputs(2, 1, 3, seed=1)
    d = [inputs(2, 1, 3, seed=10 + b) for b in range(batches)]
    jacobians = [e + size * one for one in d]
    sides = torch.stack([one[:, 0] @ e[:, 0].T for one in d])
    both = sides + sides.mT
    found = kernel_of_batches(jacobians)
    torch.testing.assert_close(found.errors, size * both.std(0) / batches**0.5, rtol=1e-5, atol=0)
    traces = both.diagonal(dim1=1, dim2=2).sum(1)
    assert found.trace_error == pytest.approx(size * float(traces.std()) / batches**0.5, rel=1e-5)
    cross = cross_kernel_of_batches(jacobians, jacobians)
    torch.testing.assert_close(cross.errors, size * both.std(0) / batches**0.5, rtol=1e-5, atol=0)


def test_cross_kernels_are_unbiased_and_their_errors_cover_where_samples_are_shared():
    """x and y have a sample in common: its entries have no variance too much, the two being measured apart."""
    params, x, y = torch.zeros(3, dtype=F64), inputs(2, 3), torch.cat([inputs(2, 3)[:1], inputs(4, 3)[2:]])
    model = Noisy(3)
    kernels = [
        cross_kernel_of_batches(
            [model.jacobian(params, x) for _ in range(8)], [model.jacobian(params, y) for _ in range(8)]
        )
        for _ in range(600)
    ]
    exact = torch.stack([x, x**2], 1).flatten(0, 1) @ torch.stack([y, y**2], 1).flatten(0, 1).T
    values, errors = (torch.stack([getattr(k, name) for k in kernels]) for name in ("values", "errors"))
    assert values.shape[1:] == exact.shape == (4, 6)
    assert_mean(values, exact)
    covered = ((values - exact).abs() <= T_95 * errors).double().mean(0)
    assert ((covered >= 0.90) & (covered <= 0.99)).all()


def test_cross_products_are_the_mean_over_all_pairs():
    generator = rng(7)
    left, right = ([torch.randn(n, 2, 3, generator=generator, dtype=F64) for _ in range(4)] for n in (2, 3))
    found = cross_kernel_of_batches(left, right)
    products = [a.flatten(0, 1) @ b.flatten(0, 1).T for a, b in itertools.product(left, right)]
    torch.testing.assert_close(found.values, torch.stack(products).mean(0))
    with pytest.raises(ValueError, match="`right` must be 4 Jacobians, as of x, but is 3"):
        cross_kernel_of_batches(left, right[:3])


def small(name="hardware_efficient"):
    model = load_circuit(name, n=2, layers=1)
    return model, model.init(rng()), inputs(3, model.program.num_features)


def test_a_kernel_from_shots_of_an_exact_circuit():
    model, params, x = small()
    exact = tangent_kernel(model, params, x).to_dense()
    found = tangent_kernel(model, params, x, shots=2000, generator=rng(2), progress=False)
    assert ((found.values - exact).abs() <= 5 * found.errors).all()
    assert found.errors.max() < 0.1 * exact.max()
    assert found.errors.min() > 0
    assert f"{found.trace:.6g}" in str(found.table())


def test_a_cross_kernel_from_shots_of_an_exact_circuit():
    model, params, x = small()
    y = torch.cat([x[:1], 2 * x[:1]])
    exact = tangent_kernel(model, params, x, y).to_dense()
    found = tangent_kernel(model, params, x, y, shots=2000, generator=rng(5), progress=False)
    assert found.values.shape == exact.shape == (3, 2)
    assert ((found.values - exact).abs() <= 5 * found.errors).all()
    assert 0 < found.errors.min() <= found.errors.max() < 0.1 * exact.max()
    assert f"{found.errors.max():.2g}" in str(found.table())
    again = tangent_kernel(model, params, x, y, shots=2000, generator=rng(5), progress=False)
    assert torch.equal(found.values, again.values)


def test_the_generator_repeats_a_measurement_and_numpy_is_left_alone():
    import numpy as np

    model, params, x = small()
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not be touched
    first, again, other = (
        tangent_kernel(model, params, x, shots=11, generator=rng(seed), progress=False).values
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    by_chance = [tangent_kernel(model, params, x, shots=11, progress=False).values for _ in range(2)]
    assert not torch.equal(*by_chance)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_wrappers_are_measured_like_what_they_hold():
    model, params, x = small()
    wrapped = Linearized(Scaled(Centered(model, params), 3.0), params)
    plain, found = (
        tangent_kernel(m, params, x, shots=30, generator=rng(3), progress=False) for m in (model, wrapped)
    )
    torch.testing.assert_close(found.values, 9 * plain.values)
    torch.testing.assert_close(found.errors, 9 * plain.errors)


def test_shots_are_split_as_evenly_as_whole_numbers_go():
    @qml.qnode(qml.device("default.qubit", wires=1))
    def one(inputs, theta):
        qml.RX(theta + inputs[0], wires=0)
        return qml.expval(qml.Z(0))

    device = qml.device("default.qubit", wires=1, seed=1)
    model = Circuit(one.update(device=device), {"theta": 1}, backend="device")
    with qml.Tracker(device) as tracker:
        tangent_kernel(model, torch.ones(1, dtype=F64), inputs(2, 1), shots=100, progress=False)
    assert sorted(set(tracker.history["shots"])) == [12, 13]
    assert tracker.totals["shots"] == 100 * 2 * 3  # two samples, two shifts and the circuit itself


def test_what_is_not_measured():
    model, params, x = small()
    net = mlp([2, 3, 1])
    with pytest.raises(UnsupportedModelError, match="`model` must be a circuit.*leave `shots` out"):
        tangent_kernel(Scaled(net, 2.0), net.init(rng()).double(), x, shots=100)
    with pytest.raises(ValueError, match="`shots` must be at least one for each of 8 batches, but is 7"):
        tangent_kernel(model, params, x, shots=7)
    with pytest.raises(ValueError, match="`x2` must hold at least one sample"):
        tangent_kernel(model, params, x, x[:0], shots=100)
    with pytest.raises(ValueError, match="`generator` must be absent without shots"):
        tangent_kernel(model, params, x, generator=rng())
    teleport = load_circuit("teleportation")
    with pytest.raises(UnsupportedModelError, match="does not measure on its way"):
        tangent_kernel(teleport, teleport.init(rng()), torch.zeros(1, 0, dtype=F64), shots=100)
    own = Circuit(model.qnode, model.weight_shapes, backend="device")
    with pytest.raises(ValueError, match="`generator` must be absent for backend='device'"):
        tangent_kernel(own, params, x, shots=100, generator=rng())
    with pytest.raises(ValueError, match="`jacobians` must be at least 3"):
        kernel_of_batches([torch.ones(1, 1, 1)])
