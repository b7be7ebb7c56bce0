"""Numbers far from 1, kernels that are none and sizes beyond memory: right, or refused in words before the work."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import qlazy
from qlazy.base.errors import NegativeKernelWarning, NotConvergedError, NotFiniteError
from qlazy.data.preprocessing import fit_inputs
from qlazy.kernels.prediction import LinearizedPath, kernel_regression
from qlazy.training.history import DivergedError
from tests.makers import curved_function, inputs

DATA = (inputs(8, 3), inputs(8, 2, seed=2))


@pytest.mark.parametrize("alpha", [1e13, 1e14, 1e15, 1e100, 1e300])
def test_a_scale_that_rounds_the_drift_away_is_refused(alpha):
    model, params, _ = curved_function()
    with pytest.raises(ValueError, match="`alpha` must be at most 1e"):
        qlazy.train(model, params, DATA, steps=1, alpha=alpha)


@pytest.mark.parametrize("alpha", [1e-300, 1e-200, 1e-151, 1e151, 1e155, 1e300])
def test_a_scale_whose_square_is_no_number_is_refused(alpha):
    with pytest.raises(ValueError, match="`alpha` must be from 1e-150 to 1e150"):
        qlazy.Scaled(curved_function()[0], alpha)


@pytest.mark.parametrize("alpha", [1e-150, 1e-50, 1e150])
def test_scales_within_that_have_their_kernel(alpha):
    model, params, x = curved_function()
    ratio = qlazy.Scaled(model, alpha).gram(params, x) / model.gram(params, x)
    assert np.allclose(ratio.numpy() / alpha**2, 1)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-160, 1e-101, 1e101, 1e160, 1e200, 1e290])
@pytest.mark.parametrize("features", [3, 2])
def test_angles_do_not_depend_on_the_unit_of_features(unit, features):
    x = np.random.default_rng(0).normal(size=(20, 3))
    plain, scaled = (fit_inputs(x * size, features, "angle").apply(x * size) for size in (1.0, unit))
    signs = np.sign((plain * scaled).sum(0))  # of principal components
    np.testing.assert_allclose(scaled * signs, plain, rtol=1e-9)


def test_targets_that_overflow_are_refused():
    with pytest.raises(ValueError, match="`y` must be below"):
        qlazy.from_arrays(np.eye(10), np.arange(10.0) * 1e200, regression=True)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_targets_that_are_no_numbers_are_refused(bad):
    model, params, x = curved_function()
    y = torch.ones(len(x), 2, dtype=torch.float64)
    y[1] = bad
    kernel = qlazy.tangent_kernel(model, params, x)
    for ask in (
        lambda: kernel_regression(kernel.to_dense(), kernel.to_dense(), y),
        lambda: kernel_regression(kernel, kernel, y),
        lambda: kernel.solve(y.flatten()),
    ):
        with pytest.raises(NotFiniteError):
            ask()


def test_a_kernel_that_is_not_symmetric_is_refused():
    kernel, y = (
        torch.tensor([[1.0, 5.0], [0.0, 1.0]], dtype=torch.float64),
        torch.ones(2, 1, dtype=torch.float64),
    )
    for ask in (lambda: kernel_regression(kernel, kernel, y), lambda: LinearizedPath(kernel, 0 * y, y)):
        with pytest.raises(ValueError, match="`kernel` must be symmetric"):
            ask()


def test_negative_directions_are_said():
    kernel = torch.diag(torch.tensor([1.0, -0.1], dtype=torch.float64))
    y = torch.ones(2, 1, dtype=torch.float64)
    with pytest.warns(NegativeKernelWarning, match="1 negative eigenvalues, the least -0.1"):
        kernel_regression(kernel, kernel, y)
    with pytest.warns(NegativeKernelWarning):
        LinearizedPath(kernel, 0 * y, y).outputs([1.0])
    with pytest.raises(ValueError, match="`ridge` must be larger"):
        kernel_regression(kernel, kernel, y, ridge=0.05)
    expected = torch.diag(kernel) / (torch.diag(kernel) + 0.5)
    assert torch.allclose(kernel_regression(kernel, kernel, y, ridge=0.5)[:, 0], expected)


def infinite(outputs, targets):
    return (outputs - targets).square().mean() + math.inf


def test_a_loss_that_starts_infinite_diverges():
    model, params, _ = curved_function()
    with pytest.raises(DivergedError, match="step 0"):
        qlazy.train(model, params, DATA, steps=2, loss=infinite, method=qlazy.GradientDescent(0.1))


@pytest.mark.parametrize("solver", ["LSODA", "RK45", "BDF"])
def test_a_flow_ends_or_says_that_it_does_not(solver):
    model, params, _ = curved_function()
    flow = qlazy.GradientFlow(1e300, solver=solver, max_steps=50)
    with pytest.raises((NotConvergedError, DivergedError)):
        qlazy.train(model, params, DATA, steps=2, method=flow)


SIZES = (
    ["kernel", "mlp:20000,20000,20000,20000,20000"],
    ["kernel", "mlp:99999999999999999999"],
    ["kernel", "mlp:" + "9" * 5000],
    ["compare", "mlp:2", "--seeds", "1000000000"],
    ["compare", "mlp:2", "--seeds", "9" * 5000],
    ["compare", "mlp:2", "--data", "moons", "--train", "100000000"],
    ["tiles", "mlp:2", "--tile", "9" * 30],
    ["kernel", "hardware_efficient:n=99999999999999999999"],
    ["check", "hardware_efficient:layers=999999999999"],
)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("words", SIZES, ids=range(len(SIZES)))
def test_sizes_beyond_memory_are_refused_in_words(words, capsys):
    from qlazy.commands import main as cli

    assert cli.main(words) in (cli.USAGE, cli.FAILED)
    said = capsys.readouterr().err
    assert said.startswith("qlazy: error: ")
    assert len(said) < 500
