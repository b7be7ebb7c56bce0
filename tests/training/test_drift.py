"""Drift, kernel change, gaps, stability and slopes against closed forms and identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from qlazy.base.errors import NotFiniteError, UnsupportedModelError
from qlazy.models.model import Function
from qlazy.models.nets import Net
from qlazy.models.wrappers import Centered, Linearized, Scaled
from qlazy.training.drift import (
    Slope,
    activation_stability,
    kernel_change,
    kernel_distance,
    kernel_scale,
    kernel_velocity,
    largest_drift,
    linearization_gap,
    log_log_slope,
    parameter_drift,
    path_length,
    per_block,
    relative_drift,
    taylor_gap,
)
from tests.systems import linear, normal, quadratic, relu_net, tanh_net


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_kernel(seed: int, size: int = 4) -> torch.Tensor:
    features = normal(size, size, seed=seed)
    return features @ features.T


def test_drift_of_a_known_move() -> None:
    anchor, params = vector(1.0, 2.0, 2.0), vector(1.0, 5.0, -2.0)
    assert parameter_drift(params, anchor) == 5
    assert relative_drift(params, anchor) == 5 / 3
    assert largest_drift(params, anchor) == 4


def test_drift_along_a_path() -> None:
    path = torch.stack([vector(0, 0), vector(3, 4), vector(3, 0), vector(0, 0)])
    torch.testing.assert_close(parameter_drift(path, path[0]), vector(0, 5, 3, 0))
    torch.testing.assert_close(largest_drift(path, path[0]), vector(0, 4, 3, 0))
    torch.testing.assert_close(path_length(path), vector(0, 5, 9, 12))


def test_squared_drift_is_the_sum_over_blocks() -> None:
    model = tanh_net(3, 4)
    anchor, path = normal(model.num_params), normal(5, model.num_params, seed=1)
    blocks = per_block(parameter_drift, path, anchor, model.blocks)
    assert list(blocks) == ["first", "second"]
    torch.testing.assert_close(sum(d**2 for d in blocks.values()), parameter_drift(path, anchor) ** 2)


@given(scale=st.floats(1e-3, 1e3), seeds=st.tuples(st.integers(0, 9), st.integers(10, 19)))
def test_change_is_made_of_scale_and_rotation(scale: float, seeds: tuple[int, int]) -> None:
    reference, kernel = random_kernel(seeds[0]), scale * random_kernel(seeds[1])
    s, r = kernel_scale(kernel, reference), kernel_distance(kernel, reference)
    change = (torch.exp(2 * s) + 1 - 2 * torch.exp(s) * (1 - r)).sqrt()
    torch.testing.assert_close(kernel_change(kernel, reference), change)
    assert 0 <= r <= 1


@given(scale=st.floats(1e-3, 1e3))
def test_a_rescaled_kernel_has_not_turned(scale: float) -> None:
    kernel = random_kernel(0)
    assert kernel_distance(scale * kernel, kernel).item() == pytest.approx(0, abs=1e-15)
    assert kernel_scale(scale * kernel, kernel).item() == pytest.approx(math.log(scale), abs=1e-12)
    assert kernel_change(scale * kernel, kernel).item() == pytest.approx(abs(scale - 1), abs=1e-12)


def test_distance_is_one_minus_the_cosine_and_exact_when_small() -> None:
    first, second = random_kernel(0), random_kernel(1)
    cosine = (first * second).sum() / first.norm() / second.norm()
    torch.testing.assert_close(kernel_distance(first, second), 1 - cosine)
    one, turned = torch.diag(vector(1, 0)), torch.diag(vector(1, 1e-9))
    assert kernel_distance(turned, one).item() == pytest.approx(1e-18 / 2, rel=1e-6)


def test_velocity_is_the_angle_per_step() -> None:
    kernels = torch.stack([random_kernel(seed) for seed in range(4)])
    cosines = torch.stack([1 - kernel_distance(kernels[i + 1], kernels[i]) for i in range(3)])
    torch.testing.assert_close(kernel_velocity(kernels), cosines.arccos())
    torch.testing.assert_close(
        kernel_velocity(kernels, [0, 10, 20, 100]), cosines.arccos() / vector(10, 10, 80)
    )


@pytest.mark.parametrize("recorded", [3, 9, 101])
def test_velocity_does_not_depend_on_how_finely_a_path_is_recorded(recorded: int) -> None:
    """cos t A + sin t B with <A, B> = 0 and equal norms turns by one radian a unit of time."""
    first, second = torch.diag(vector(1.0, 0.0)), torch.diag(vector(0.0, 1.0))
    times = torch.linspace(0, 1, recorded, dtype=torch.float64)
    path = times.cos()[:, None, None] * first + times.sin()[:, None, None] * second
    torch.testing.assert_close(kernel_velocity(path, times), torch.ones(recorded - 1, dtype=torch.float64))


def test_kernel_figures_along_a_path() -> None:
    kernels = torch.stack([random_kernel(seed) for seed in range(3)])
    for figure in (kernel_change, kernel_distance, kernel_scale):
        expected = torch.stack([figure(kernel, kernels[0]) for kernel in kernels])
        torch.testing.assert_close(figure(kernels, kernels[0]), expected)


def test_linearization_gap_is_relative_to_the_first_error() -> None:
    initial, targets = torch.zeros(2, 1, dtype=torch.float64), vector(3, 4).unsqueeze(1)
    trained = vector(1, 2).unsqueeze(1)
    outputs, other = torch.stack([initial, trained]), torch.stack([initial, 0 * trained])
    expected = vector(0, math.sqrt(5) / 5)
    torch.testing.assert_close(linearization_gap(outputs, other, initial, targets), expected)


@given(seed=st.integers(0, 20), alpha=st.floats(0.1, 100))
def test_taylor_gap_of_a_quadratic_is_its_second_order_term(seed: int, alpha: float) -> None:
    model, x, y = quadratic(3), normal(5, 3, seed=1), normal(5, 1, seed=2)
    anchor, move = normal(3), normal(3, seed=100 + seed)
    gap = taylor_gap(Scaled(model, alpha), anchor + move, anchor, x, y)
    expected = (alpha * (x @ move) ** 2 / 2).norm() / (alpha * model(anchor, x) - y).norm()
    torch.testing.assert_close(gap, expected)


def test_a_linear_model_has_no_taylor_gap() -> None:
    model, x, y = tanh_net(3, 4), normal(5, 3, seed=1), normal(5, 1, seed=2)
    anchor, params = normal(model.num_params), normal(model.num_params, seed=3)
    assert taylor_gap(Linearized(model, anchor), params, anchor, x, y) < 1e-14
    assert taylor_gap(model, params, anchor, x, y) > 0.1


def test_stability_counts_gates_that_kept_their_state() -> None:
    model, anchor, params = relu_net(3, 8), normal(32), normal(32, seed=1)
    x = normal(6, 3, seed=2)
    before, after = (x @ w[:24].reshape(8, 3).T for w in (anchor, params))
    expected = ((before > 0) == (after > 0)).double().mean()
    torch.testing.assert_close(activation_stability(model, params, anchor, x), expected)
    assert 0 < expected < 1
    assert activation_stability(model, anchor, anchor, x) == 1
    assert activation_stability(model, -anchor, anchor, x) == 0


def test_stability_sees_through_scale_and_centring() -> None:
    model, anchor, params, x = relu_net(3, 8), normal(32), normal(32, seed=1), normal(6, 3, seed=2)
    wrapped = Scaled(Centered(model, anchor), 7.0)
    plain = activation_stability(model, params, anchor, x)
    assert activation_stability(wrapped, params, anchor, x) == plain


@pytest.mark.parametrize(
    "gate",
    [
        torch.nn.ReLU(),
        torch.nn.ReLU(inplace=True),
        torch.nn.LeakyReLU(0.1),
        torch.nn.LeakyReLU(0.1, inplace=True),
    ],
    ids=repr,
)
def test_stability_of_a_module_with_two_layers(gate: torch.nn.Module) -> None:
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 4), gate, torch.nn.Linear(4, 5), gate, torch.nn.Linear(5, 1)
    ).double()
    net, x = Net(module), normal(6, 3)
    anchor, params = normal(net.num_params, seed=1), normal(net.num_params, seed=2)

    def gates(w: torch.Tensor) -> torch.Tensor:
        first_weight, first_bias, second_weight, second_bias = w[:41].split([12, 4, 20, 5])
        first = x @ first_weight.reshape(4, 3).T + first_bias
        second = gate(first.clone()) @ second_weight.reshape(5, 4).T + second_bias
        return torch.cat([(first > 0).flatten(), (second > 0).flatten()])

    expected = (gates(params) == gates(anchor)).double().mean()
    torch.testing.assert_close(activation_stability(net, params, anchor, x), expected)


@pytest.mark.parametrize(
    "relu", [torch.relu, torch.nn.functional.relu, torch.Tensor.relu, lambda t: t.clone().relu_()]
)
def test_stability_sees_every_way_to_call_a_relu_once(relu: object) -> None:
    calls = Function(lambda w, x: relu(x @ w.reshape(3, 2)).sum(1, keepdim=True), 6)  # type: ignore[operator]
    anchor, params, x = normal(6), normal(6, seed=1), normal(9, 3, seed=2)
    expected = ((x @ anchor.reshape(3, 2) > 0) == (x @ params.reshape(3, 2) > 0)).double().mean()
    torch.testing.assert_close(activation_stability(calls, params, anchor, x), expected)


def test_stability_of_a_model_without_gates_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="`model` must call a ReLU"):
        activation_stability(tanh_net(3, 4), normal(16), normal(16), normal(5, 3))
    linear_relu = Scaled(Linearized(relu_net(3, 8), normal(32)), 2.0)
    with pytest.raises(UnsupportedModelError, match="`model` must have gates that can move"):
        activation_stability(linear_relu, normal(32), normal(32), normal(5, 3))


@given(exponent=st.floats(-3, 3), constant=st.floats(1e-6, 1e6), seeds=st.integers(1, 4))
def test_a_power_law_is_found_exactly(exponent: float, constant: float, seeds: int) -> None:
    alphas = np.array([1.0, 3.0, 10.0, 1000.0])
    constants = constant * np.arange(1, seeds + 1)  # seeds differ by a factor, which is not scatter
    fit = log_log_slope(alphas, alphas[:, None] ** exponent * constants)
    assert fit.slope == pytest.approx(exponent, abs=1e-10)
    assert fit.high - fit.low < 1e-10
    assert fit.intercept == pytest.approx(np.log(constants).mean(), abs=1e-9)
    assert fit.points == 4 * seeds


def test_one_seed_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    alphas = np.geomspace(1, 1000, 7)
    values = np.exp(-1.5 * np.log(alphas) + 0.3 * generator.standard_normal(7))
    fit, expected = log_log_slope(alphas, values), scipy.stats.linregress(np.log(alphas), np.log(values))
    margin = scipy.stats.t.ppf(0.975, 5) * expected.stderr
    assert (fit.slope, fit.intercept) == pytest.approx((expected.slope, expected.intercept))
    assert (fit.low, fit.high) == pytest.approx((fit.slope - margin, fit.slope + margin))


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    generator = np.random.default_rng(1)
    alphas = np.geomspace(1, 100, 4)
    trials = 1000
    hits = 0
    for _ in range(trials):
        own = generator.standard_normal(3)
        noise = 0.2 * generator.standard_normal((4, 3))
        fit = log_log_slope(alphas, np.exp(-np.log(alphas)[:, None] + own + noise))
        hits += fit.low <= -1 <= fit.high
    assert hits / trials == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / trials))


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("truth", [-1.0, -2.0])
def test_seeds_with_slopes_of_their_own_are_covered_too(seeds: int, truth: float) -> None:
    """Slopes drawn with a deviation of .05: pooled over scales, the interval would cover 56 to 62 times in 100."""
    generator = np.random.default_rng(seeds)
    alphas, trials = np.geomspace(10, 1000, 5), 2000
    hits = 0
    for _ in range(trials):
        exponents = truth + 0.05 * generator.standard_normal(seeds)
        noise = 0.01 * generator.standard_normal((5, seeds))
        fit = log_log_slope(alphas, np.exp(np.log(alphas)[:, None] * exponents + noise))
        hits += fit.low <= truth <= fit.high
    assert hits / trials == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / trials))


def test_more_seeds_do_not_make_a_slope_of_their_scatter_certain() -> None:
    """Twice the scales, with no new seed, leave the interval as it is: of (k, s) values s are independent."""
    exponents = np.array([-1.05, -1.0, -0.93])
    widths = []
    for count in (4, 8):
        alphas = np.geomspace(10, 1000, count)
        fit = log_log_slope(alphas, alphas[:, None] ** exponents)
        widths.append(fit.high - fit.low)
        assert fit.error == pytest.approx(exponents.std(ddof=1) / math.sqrt(3))
    assert widths[0] == pytest.approx(widths[1])


def test_a_bent_law_is_seen_to_bend_and_its_end_is_read() -> None:
    """value = 1/(1 + a): slope -a/(1 + a), near -1 at the end alone; a straight law has a p-value spread evenly."""
    generator = np.random.default_rng(5)
    alphas = np.geomspace(1, 1000, 7)
    own = np.exp(0.01 * generator.standard_normal((7, 5)))
    bent = log_log_slope(alphas, own / (1 + alphas)[:, None])
    assert bent.bending < 1e-3
    assert bent.slope > -0.95
    assert bent.local == pytest.approx(-1, abs=0.02)
    noise = [np.exp(0.1 * generator.standard_normal((7, 5))) / alphas[:, None] for _ in range(400)]
    p_values = [log_log_slope(alphas, values).bending for values in noise]
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 1e-3
    assert math.isnan(log_log_slope(alphas, 1 / alphas).bending)


def test_a_slope_reads_as_a_figure_with_its_interval() -> None:
    assert str(Slope(-1.0, -1.05, -0.95, 0.0, 6)) == "-1.000 [-1.050, -0.950]"


def test_slopes_that_cannot_be_fitted_are_refused() -> None:
    with pytest.raises(ValueError, match="`values` must be positive and finite, but is 0.0"):
        log_log_slope([1, 10, 100], [1, 0, 1])
    with pytest.raises(ValueError, match="`values` must be positive and finite, but is nan"):
        log_log_slope([1, 10, 100], [1, math.nan, 1])
    for alphas in ([1, 10], [1, 10, 10]):
        with pytest.raises(ValueError, match="`alphas` must hold three different scales or more"):
            log_log_slope(alphas, [1] * len(alphas))
    with pytest.raises(ValueError, match=r"`values` must have shape \(3,\) or \(3, seeds\)"):
        log_log_slope([1, 10, 100], [1, 2])


def test_float32_is_kept() -> None:
    w, w0 = normal(32).float(), normal(32, seed=1).float()
    x, y, model = normal(5, 3).float(), normal(5, 1).float(), relu_net(3, 8)
    k, k0 = random_kernel(0).float(), random_kernel(1).float()
    figures = [metric(w, w0) for metric in (parameter_drift, relative_drift, largest_drift)]
    figures += [metric(k, k0) for metric in (kernel_change, kernel_distance, kernel_scale)]
    figures += [kernel_velocity(torch.stack([k, k0])), path_length(torch.stack([w, w0]))]
    figures += [taylor_gap(model, w, w0, x, y), activation_stability(model, w, w0, x)]
    figures += [linearization_gap(y, 2 * y, 0 * y, y)]
    assert {figure.dtype for figure in figures} == {torch.float32}


def test_undefined_figures_and_bad_arguments_are_refused() -> None:
    w, kernel, zero = normal(3), random_kernel(0), torch.zeros(4, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="`anchor` must not be zero"):
        relative_drift(w, 0 * w)
    with pytest.raises(ValueError, match=r"`params` must have shape \(3,\), but is \(2,\)"):
        parameter_drift(w[:2], w)
    with pytest.raises(NotFiniteError, match="`params` must be finite"):
        parameter_drift(w / 0, w)
    with pytest.raises(ValueError, match="`params` must have the dtype of the anchor"):
        parameter_drift(w.float(), w)
    for figure in (kernel_change, kernel_distance, kernel_scale):
        with pytest.raises(ValueError, match="`reference` must not be zero"):
            figure(kernel, zero)
        with pytest.raises(ValueError, match=r"`kernel` must have shape \(3, 3\)"):
            figure(kernel, kernel[:3, :3])
    for figure in (kernel_distance, kernel_scale):
        with pytest.raises(ValueError, match="`kernel` must not be zero"):
            figure(zero, kernel)
    with pytest.raises(ValueError, match="`steps` must increase"):
        kernel_velocity(torch.stack([kernel, kernel]), [1, 1])
    y = normal(4, 1)
    with pytest.raises(ValueError, match="`initial` must differ from the targets"):
        linearization_gap(y, y, y, y)
    with pytest.raises(ValueError, match="`targets` must have shape"):
        taylor_gap(linear(3), w, w, normal(4, 3), y[:, 0])
