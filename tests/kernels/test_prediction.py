"""The linearised path against matrix exponentials and against training the linearised model step by step."""

from __future__ import annotations

import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import qlazy.models.model
from qlazy.base.errors import NotFiniteError
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.prediction import LinearizedPath, kernel_regression, leave_one_out_ridge, linearized_params
from qlazy.kernels.spectrum import critical_rate
from qlazy.models.model import Model
from qlazy.models.wrappers import Centered, Linearized, Scaled
from qlazy.training.losses import SquaredError
from tests.systems import linear, linear_kernel, normal, tanh_net

INPUTS, N, M, C = 3, 5, 4, 2


class Problem:
    """A tanh net scaled by a, with training and test inputs, and the path of its linearisation."""

    def __init__(self, alpha: float = 1.0, n: int = N, dtype: torch.dtype = torch.float64) -> None:
        self.alpha = alpha
        self.model: Model = tanh_net(INPUTS, 4, C)
        self.anchor = normal(self.model.num_params, dtype=dtype)
        self.x, self.x_test = normal(n, INPUTS, seed=1, dtype=dtype), normal(M, INPUTS, seed=2, dtype=dtype)
        self.targets = normal(n, C, seed=3, dtype=dtype)
        self.scaled = Scaled(self.model, alpha)
        self.kernel = tangent_kernel(self.model, self.anchor, self.x).to_dense()
        self.kernel_test = tangent_kernel(self.model, self.anchor, self.x_test, self.x)
        self.path = LinearizedPath(self.kernel, self.scaled(self.anchor, self.x), self.targets)
        self.learning_rate = 0.5 * critical_rate(self.kernel, n).item()

    def descend(self, steps: int, learning_rate: float) -> list[torch.Tensor]:
        """Parameters along gradient descent on R(a hbar)/a^2, by autograd on the linearised model."""
        hbar = Linearized(self.scaled, self.anchor)
        objective = torch.func.grad(lambda w: SquaredError()(hbar(w, self.x), self.targets) / self.alpha**2)
        params = [self.anchor]
        for _ in range(steps):
            params.append(params[-1] - learning_rate * objective(params[-1]))
        return params


@pytest.mark.parametrize("alpha", [0.3, 1.0, 50.0])
def test_steps_are_those_of_gradient_descent_on_the_linearised_model(alpha: float) -> None:
    p = Problem(alpha)
    counts = [0, 1, 2, 7, 40]
    run = p.descend(40, p.learning_rate)
    hbar = Linearized(p.scaled, p.anchor)
    duals = p.path.step_duals(p.learning_rate, counts)
    torch.testing.assert_close(
        p.path.steps(p.learning_rate, counts),
        torch.stack([hbar(run[k], p.x) for k in counts]),
        rtol=1e-9,
        atol=1e-9,
    )
    torch.testing.assert_close(
        p.path.predict(p.kernel_test, hbar(p.anchor, p.x_test), duals),
        torch.stack([hbar(run[k], p.x_test) for k in counts]),
        rtol=1e-9,
        atol=1e-9,
    )
    torch.testing.assert_close(
        linearized_params(p.model, p.anchor, p.x, duals, alpha),
        torch.stack([run[k] for k in counts]),
        rtol=1e-10,
        atol=1e-10,
    )


def test_flow_is_the_matrix_exponential() -> None:
    p = Problem()
    times = [0.0, 1e-6, 0.3, 2.0, 100.0]
    start = (p.path.outputs0 - p.targets).flatten().numpy()
    expected = [scipy.linalg.expm(-t / N * p.kernel.numpy()) @ start for t in times]
    flow = p.path.outputs(times) - p.targets
    for residual, exact in zip(flow, expected, strict=True):
        torch.testing.assert_close(residual.flatten(), torch.from_numpy(exact), atol=1e-10, rtol=1e-8)


def test_duals_of_the_flow_are_the_integrated_residuals() -> None:
    p = Problem()
    # exp of the augmented matrix t [[-K/n, 1], [0, 0]] has the integral of exp(-K s/n) as its corner block
    size, t = p.kernel.shape[0], 1.7
    augmented = torch.zeros(2 * size, 2 * size, dtype=torch.float64)
    augmented[:size, :size] = -p.kernel / N
    augmented[:size, size:] = torch.eye(size, dtype=torch.float64)
    integral = torch.from_numpy(scipy.linalg.expm(t * augmented.numpy()))[:size, size:]
    expected = integral @ (p.path.outputs0 - p.targets).flatten() / N
    torch.testing.assert_close(p.path.duals([t])[0].flatten(), expected, rtol=1e-9, atol=1e-10)


def test_small_steps_tend_to_the_flow_at_first_order() -> None:
    p = Problem()
    exact = p.path.outputs([1.0])
    errors = [(p.path.steps(1 / k, [k]) - exact).norm().item() for k in (1000, 2000)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.01)


@given(alpha=st.floats(1e-3, 1e6))
@settings(max_examples=20)
def test_the_path_of_a_centred_model_does_not_depend_on_the_scale(alpha: float) -> None:
    model = tanh_net(INPUTS, 4, C)
    anchor, x, y = normal(model.num_params), normal(N, INPUTS, seed=1), normal(N, C, seed=3)
    scaled = Scaled(Centered(model, anchor), alpha)
    kernel = tangent_kernel(scaled, anchor, x).to_dense() / alpha**2
    path = LinearizedPath(kernel, scaled(anchor, x), y)
    unscaled = LinearizedPath(tangent_kernel(model, anchor, x).to_dense(), torch.zeros_like(y), y)
    times = [0.1, 1.0, 10.0]
    torch.testing.assert_close(path.outputs(times), unscaled.outputs(times))
    near, far = (
        linearized_params(model, anchor, x, path.duals(times), a) - anchor for a in (alpha, 2 * alpha)
    )
    torch.testing.assert_close(near, 2 * far, rtol=1e-6, atol=1e-12)


def test_outputs_follow_from_the_duals() -> None:
    p = Problem()
    times, counts = [0.0, 0.5, 5.0], [0, 3, 300]
    for outputs, duals in (
        (p.path.outputs(times), p.path.duals(times)),
        (p.path.steps(p.learning_rate, counts), p.path.step_duals(p.learning_rate, counts)),
    ):
        torch.testing.assert_close(p.path.predict(p.kernel, p.path.outputs0, duals), outputs)


@pytest.mark.parametrize("block_bytes", [1, 2**26])
def test_one_jacobian_and_one_product_a_time_agree(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qlazy.models.model, "BLOCK_BYTES", block_bytes)
    p = Problem()
    duals = normal(7, N, C, seed=8)
    together = linearized_params(p.model, p.anchor, p.x, duals, 3.0)
    apart = torch.cat([linearized_params(p.model, p.anchor, p.x, d[None], 3.0) for d in duals])
    torch.testing.assert_close(together, apart)


def test_few_times_cost_a_product_each_and_no_jacobian(monkeypatch: pytest.MonkeyPatch) -> None:
    p = Problem()
    monkeypatch.setattr(type(p.model), "jacobian", lambda *_: pytest.fail("formed a Jacobian"))
    assert linearized_params(p.model, p.anchor, p.x, normal(C, N, C)).shape == (C, p.model.num_params)


@pytest.mark.parametrize("n", [3, 30])
def test_flow_ends_at_kernel_regression(n: int) -> None:
    """With 30 x 2 outputs and 20 parameters the kernel is singular, and not every target can be reached."""
    p = Problem(n=n)
    outputs0, outputs0_test = p.path.outputs0, p.model(p.anchor, p.x_test)
    end = p.path.outputs([torch.inf, 1e15])
    torch.testing.assert_close(end[0], end[1])
    duals = p.path.duals([torch.inf])
    for train, test in (
        (p.kernel, p.kernel_test.to_dense()),
        (tangent_kernel(p.model, p.anchor, p.x), p.kernel_test),
    ):
        expected = kernel_regression(train, test, p.targets, offset_train=outputs0, offset_test=outputs0_test)
        torch.testing.assert_close(
            p.path.predict(p.kernel_test, outputs0_test, duals)[0], expected, rtol=1e-6, atol=1e-6
        )
    reached = (end[0] - p.targets).norm() < 1e-8
    assert reached == (n == 3)


def test_directions_with_a_zero_eigenvalue_never_move() -> None:
    x = torch.tensor([[1.0], [1.0]], dtype=torch.float64)  # the difference of the outputs cannot change
    y = torch.tensor([[3.0], [1.0]], dtype=torch.float64)
    path = LinearizedPath(x @ x.T, torch.zeros_like(y), y)
    out = path.outputs([0.0, 1.0, torch.inf])
    decay = 1 - torch.exp(torch.tensor(-1.0, dtype=torch.float64))  # eigenvalue 2 over n = 2
    expected = torch.stack([0 * y, 2 * decay * torch.ones_like(y), 2 * torch.ones_like(y)])
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(path.duals([torch.inf])[0], torch.full_like(y, -1.0))


def test_a_zero_kernel_stays_where_it_is() -> None:
    y = normal(3, 1)
    path = LinearizedPath(torch.zeros(3, 3, dtype=torch.float64), torch.zeros_like(y), y)
    for outputs in (path.outputs([0.0, torch.inf]), path.steps(0.1, [0, 9])):
        torch.testing.assert_close(outputs, torch.zeros(2, 3, 1, dtype=torch.float64), atol=1e-15, rtol=0)
    assert not path.duals([torch.inf]).any()


@given(learning_rate=st.floats(1e-12, 1.99), count=st.integers(0, 500))
def test_one_mode_is_a_geometric_sum(learning_rate: float, count: int) -> None:
    """For K = 1, n = 1: f_k - y = (1 - rate)^k (f0 - y), r_k = rate sum_{j<k} (1 - rate)^j (f0 - y)."""
    one = torch.ones(1, 1, dtype=torch.float64)
    path = LinearizedPath(one, one, 0 * one)
    terms = [(1 - learning_rate) ** j for j in range(count + 1)]
    assert path.steps(learning_rate, [count]).item() == pytest.approx(terms[-1], rel=1e-9, abs=1e-12)
    assert path.step_duals(learning_rate, [count]).item() == pytest.approx(
        learning_rate * sum(terms[:-1]), rel=1e-9, abs=1e-12
    )


def test_duals_keep_their_digits_for_small_eigenvalues() -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    path = LinearizedPath(1e-18 * one, one, 0 * one)
    assert path.duals([5.0]).item() == pytest.approx(5.0, rel=1e-15)
    assert path.step_duals(0.5, [10]).item() == pytest.approx(5.0, rel=1e-15)


def test_divergence_above_the_critical_rate_is_shown_and_overflow_refused() -> None:
    p = Problem()
    losses = (p.path.steps(2.02 * p.learning_rate, [0, 100, 1000]) - p.targets).norm(dim=(1, 2))
    assert losses[0] < losses[1] < losses[2]
    with pytest.raises(NotFiniteError, match="`path` must be finite"):
        p.path.steps(2.02 * p.learning_rate, [10**6])


@given(ridge=st.floats(1e-6, 1e3), c=st.integers(1, 3))
def test_kernel_regression_of_a_linear_model_is_ridge_regression(ridge: float, c: int) -> None:
    x, x_test, y = normal(8, 3), normal(4, 3, seed=1), normal(8, c, seed=2)
    weights = torch.linalg.solve(x.T @ x + ridge * torch.eye(3, dtype=x.dtype), x.T @ y)
    prediction = kernel_regression(linear_kernel(x, x, c), linear_kernel(x_test, x, c), y, ridge=ridge)
    torch.testing.assert_close(prediction, x_test @ weights, rtol=1e-5, atol=1e-6)


def test_kernel_regression_adds_offsets() -> None:
    x, x_test, y = normal(3, 3), normal(4, 3, seed=1), normal(3, 1, seed=2)
    w = normal(3, seed=4)
    model = linear(3)
    operators = tangent_kernel(model, w, x), tangent_kernel(model, w, x_test, x)
    offsets = {"offset_train": model(w, x), "offset_test": model(w, x_test)}
    moved = kernel_regression(*operators, y, **offsets)
    torch.testing.assert_close(moved, x_test @ torch.linalg.solve(x, y), rtol=1e-8, atol=1e-8)


def test_float32_is_kept() -> None:
    p = Problem(dtype=torch.float32)
    duals = p.path.duals([0.1, 2.0])
    results = [
        p.path.outputs([1.0]),
        p.path.steps(p.learning_rate, [3]),
        p.path.step_duals(p.learning_rate, [3]),
        duals,
    ]
    results += [p.path.predict(p.kernel_test, p.model(p.anchor, p.x_test), duals)]
    results += [linearized_params(p.model, p.anchor, p.x, duals)]
    results += [kernel_regression(p.kernel, p.kernel_test, p.targets, ridge=0.1)]
    assert {result.dtype for result in results} == {torch.float32}


def test_bad_arguments_are_refused() -> None:
    p = Problem()
    outputs0, y = p.path.outputs0, p.targets
    with pytest.raises(ValueError, match=r"`targets` must have shape \(5, 2\), but is \(4, 2\)"):
        LinearizedPath(p.kernel, outputs0, y[:4])
    with pytest.raises(ValueError, match=r"`kernel` must have shape \(10, 10\)"):
        LinearizedPath(p.kernel[:5, :5], outputs0, y)
    with pytest.raises(ValueError, match="see `.to_dense"):
        LinearizedPath(tangent_kernel(p.model, p.anchor, p.x), outputs0, y)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`targets` must have the dtype of the kernel"):
        LinearizedPath(p.kernel, outputs0, y.float())
    with pytest.raises(NotFiniteError, match="`targets` must be finite"):
        LinearizedPath(p.kernel, outputs0, y / 0)
    for times in ([-1.0], [torch.nan]):
        with pytest.raises(ValueError, match="`times` must not be negative or NaN"):
            p.path.outputs(times)
    for counts in ([1.5], [torch.inf]):
        with pytest.raises(ValueError, match="`counts` must be whole numbers"):
            p.path.steps(0.1, counts)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`learning_rate` must be positive"):
        p.path.steps(0.0, [1])
    with pytest.raises(ValueError, match="`alpha` must be positive"):
        linearized_params(p.model, p.anchor, p.x, p.path.duals([1.0]), 0.0)
    with pytest.raises(ValueError, match="`duals` must have shape"):
        linearized_params(p.model, p.anchor, p.x[:2], p.path.duals([1.0]))
    with pytest.raises(ValueError, match="`targets` must have shape"):
        kernel_regression(p.kernel, p.kernel_test, y[:, 0])
    with pytest.raises(ValueError, match="`kernel_test` must have shape"):
        kernel_regression(p.kernel, p.kernel_test.T, y)
    with pytest.raises(ValueError, match="`offset_train` must have shape"):
        kernel_regression(p.kernel, p.kernel_test, y, offset_train=outputs0[:, :1])
    with pytest.raises(ValueError, match="`outputs0_test` must have shape"):
        p.path.predict(p.kernel_test, outputs0[:4, :1], p.path.duals([1.0]))


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_ridge_is_that_of_leaving_samples_out_one_by_one(outputs):
    """Held to regressions that are made without each sample, of all its outputs, on a grid of ridges."""
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(9 * outputs, 7, generator=generator, dtype=torch.float64)
    kernel = features @ features.T
    noise = torch.randn(9, outputs, generator=generator, dtype=torch.float64)
    targets = (features @ features[0]).reshape(9, outputs) + 2 * noise
    ridges = [0.01, 0.1, 1.0, 10.0, 100.0]
    errors = []
    for ridge in ridges:
        left = []
        for i in range(9):
            rows = torch.arange(9 * outputs).reshape(9, outputs)
            kept, out = rows[torch.arange(9) != i].flatten(), rows[i]
            rest = targets[torch.arange(9) != i]
            found = kernel_regression(kernel[kept][:, kept], kernel[out][:, kept], rest, ridge=ridge)
            left.append(float((found - targets[i]).square().sum()))
        errors.append(sum(left))
    best = ridges[errors.index(min(errors))]
    assert leave_one_out_ridge(kernel, targets, ridges) == best
    assert best in ridges[1:-1]


def test_the_ridge_follows_the_unit_of_the_kernel_and_not_of_the_targets():
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    targets = torch.randn(8, 1, generator=generator, dtype=torch.float64)
    kernel = features @ features.T
    ridge = leave_one_out_ridge(kernel, targets)
    assert leave_one_out_ridge(9 * kernel, -0.3 * targets) == pytest.approx(9 * ridge)
    with pytest.raises(ValueError, match="`ridges` must be positive"):
        leave_one_out_ridge(kernel, targets, [0.0])
