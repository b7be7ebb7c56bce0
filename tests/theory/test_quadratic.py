"""Exact population risks against samples and explicit features: nothing here shares code with what it checks."""

from __future__ import annotations

import pytest
import torch

from qlazy.studies.regimes.population_risk import PopulationRisk
from qlazy.testing import check_model
from qlazy.theory import regimes
from qlazy.theory.quadratic import (
    GaussianMixture,
    QuadraticFunction,
    gaussian_weights,
    network_fit,
    quadratic_form,
    quadratic_net,
    random_features_fit,
    tangent_fit,
)
from qlazy.training.loop import train
from qlazy.training.losses import SquaredError
from qlazy.training.methods import LBFGS
from tests.theory.test_regimes import covariance, symmetric, target

D, SAMPLES = 6, 200_000


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tasks(d: int = D) -> list:
    """The matrix of mg has eigenvalues of size 0.6 at most: large enough for what is of second order in D to show."""
    matrix = symmetric(d, 1, shift=1.0)
    return [
        QuadraticFunction(matrix),
        GaussianMixture(0.6 * matrix / torch.linalg.eigvalsh(matrix).abs().max()),
    ]


@pytest.fixture(params=[0, 1], ids=["qf", "mg"])
def task(request):
    return tasks()[request.param]


def test_the_risk_of_a_form_is_what_samples_say(task) -> None:
    """E (y - c - <x, M x>)^2 over 200,000 samples, c the mean residual; three standard errors."""
    x, y = task.sample(SAMPLES, rng(2))
    for form in (torch.zeros(D, D, dtype=torch.float64), symmetric(D, 3) / 20):
        residual = y[:, 0] - ((x @ form) * x).sum(1)
        squares = (residual - residual.mean()).square()
        error = squares.std().item() / SAMPLES**0.5
        assert task.risk(form).item() == pytest.approx(squares.mean().item(), abs=3 * error + 1e-12)


def test_the_moments_are_those_of_the_features(task) -> None:
    """The Gram matrix of <w_i, x>^2 is <w_i w_i^T, A w_j w_j^T>, and it is their sample covariance."""
    weights = gaussian_weights(4, D, rng(4))
    forms = [torch.outer(w, w) for w in weights]
    by_moment = torch.stack([torch.stack([(f * task.moment(g)).sum() for g in forms]) for f in forms])
    torch.testing.assert_close(task.gram(weights), by_moment)
    x, _ = task.sample(SAMPLES, rng(5))
    sampled = torch.cov((x @ weights.T).square().T)
    torch.testing.assert_close(task.gram(weights), sampled, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("units", [1, 3, 9])
def test_least_squares_is_what_a_direct_regression_finds(task, units) -> None:
    """RF and NT by lstsq on 200,000 samples with every feature written out: excess risk of order p / n."""
    weights = gaussian_weights(units, D, rng(6))
    x, y = task.sample(SAMPLES, rng(7))
    inner = x @ weights.T
    fits = {
        random_features_fit: inner.square(),
        tangent_fit: (inner.unsqueeze(2) * x.unsqueeze(1)).flatten(1),
    }
    for fit, features in fits.items():
        centered = features - features.mean(0)
        solution = torch.linalg.lstsq(centered, y - y.mean(), driver="gelsd").solution
        squares = (y - y.mean() - centered @ solution).square()
        error = squares.std().item() / SAMPLES**0.5
        expected = task.risk(fit(task, weights)).item()
        assert expected == pytest.approx(squares.mean().item(), abs=3 * error + 4e-4 * expected + 1e-9)


def test_the_classes_are_nested(task) -> None:
    """RF is in NT; from d units on NT is every quadratic form; and repeated weights change nothing."""
    weights = gaussian_weights(3, D, rng(8))
    rf, nt = (task.risk(fit(task, weights)).item() for fit in (random_features_fit, tangent_fit))
    assert nt <= rf <= task.null
    again = torch.cat([weights, 2 * weights])
    assert task.risk(random_features_fit(task, again)).item() == pytest.approx(rf, rel=1e-9)
    assert task.risk(tangent_fit(task, again)).item() == pytest.approx(nt, rel=1e-9)
    full = task.risk(tangent_fit(task, gaussian_weights(D, D, rng(9)))).item()
    every = task.risk(random_features_fit(task, gaussian_weights(D * (D + 1) // 2, D, rng(9)))).item()
    assert full == pytest.approx(task.risk(network_fit(task, D)).item(), abs=1e-8)
    assert full == pytest.approx(every, abs=1e-6)


@pytest.mark.parametrize("kind", [QuadraticFunction, GaussianMixture])
def test_least_squares_comes_to_the_closed_forms(kind) -> None:
    """d = 300: what is left is of order 1 / d for qf, and ||D||_op^2 for mg."""
    matrix = target(300)
    task, rho = kind(matrix), 0.5
    for fit, law in (
        (random_features_fit, regimes.random_features_risk),
        (tangent_fit, regimes.tangent_risk),
    ):
        kept = law(matrix, [rho]).item()
        expected = kept if kind is QuadraticFunction else regimes.mixture_risk(matrix, kept).item()
        found = [
            task.risk(fit(task, gaussian_weights(150, 300, rng(s)))).item() / task.null for s in range(3)
        ]
        assert sum(found) / 3 == pytest.approx(expected, abs=0.01)


def test_network_fit_is_the_tail_of_the_spectrum() -> None:
    qf = tasks()[0]
    found = [qf.risk(network_fit(qf, units)).item() / qf.null for units in range(1, D + 1)]
    expected = regimes.network_risk(qf.matrix, range(1, D + 1)).tolist()
    assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("kind", [QuadraticFunction, GaussianMixture])
@pytest.mark.parametrize("units", [2, D])
def test_training_reaches_it(kind, units) -> None:
    """L-BFGS on the population risk: the best of rank N, where the matrix has no eigenvalues of the other sign."""
    task = kind(target(D) / 2)
    model, best = quadratic_form(units, D), task.risk(network_fit(task, units)).item()
    x, y = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(1, D * D, dtype=torch.float64)
    loss = PopulationRisk(task)
    traces = [
        train(model, model.init(rng(s)), (x, y), steps=300, method=LBFGS(), loss=loss) for s in range(4)
    ]
    ends = [2 * trace.train_loss[-1] for trace in traces]
    assert min(ends) == pytest.approx(best, abs=1e-4 * task.null)
    assert min(ends) >= best - 1e-9


def test_the_population_risk_is_the_net_on_many_samples(task) -> None:
    """quadratic_net and quadratic_form share their parameters, and 1/(2n) sum (f - y)^2 tends to R / 2."""
    form, net = quadratic_form(4, D), quadratic_net(4, D)
    params = form.init(rng(1))
    params[:4] = torch.tensor([0.1, -0.2, 0.05, 0.3])
    x, y = task.sample(SAMPLES, rng(3))
    matrix = form(params, torch.zeros(1, 0, dtype=torch.float64))
    residual = (y - net(torch.cat([params, params.new_zeros(1)]), x)).mean()
    found = SquaredError()(net(torch.cat([params, residual.reshape(1)]), x), y).item()
    expected = PopulationRisk(task)(matrix, torch.zeros_like(matrix)).item()
    assert found == pytest.approx(expected, rel=0.02)


def test_the_nets_obey_the_laws() -> None:
    for model, x in ((quadratic_net(3, D), torch.randn(4, D, generator=rng(0), dtype=torch.float64)),
                     (quadratic_form(3, D), torch.zeros(4, 0, dtype=torch.float64))):  # fmt: skip
        params = torch.randn(model.num_params, generator=rng(1), dtype=torch.float64)
        check_model(model, params, x)
        assert list(model.blocks)[:2] == ["outer", "hidden"]


def test_weights_have_the_covariance_asked_for() -> None:
    gamma = covariance(4, 3)
    sampled = torch.cov(gaussian_weights(SAMPLES, 4, rng(0), gamma).T)
    torch.testing.assert_close(sampled, gamma, rtol=0.03, atol=0.1)
    assert gaussian_weights(2000, 50, rng(0)).square().sum(1).mean().item() == pytest.approx(1.0, abs=0.02)


def test_the_likelihood_ratio_is_that_of_two_normal_densities() -> None:
    mixture = tasks()[1]
    x, y = mixture.sample(SAMPLES, rng(1))
    eye, zero = torch.eye(D, dtype=torch.float64), torch.zeros(D, dtype=torch.float64)
    plus, minus = (
        torch.distributions.MultivariateNormal(zero, eye - sign * mixture.matrix).log_prob(x[:50])
        for sign in (1, -1)
    )
    ratio = mixture.log_likelihood_ratio(x)
    torch.testing.assert_close(ratio[:50], plus - minus)
    # the posterior mean beats every quadratic form, and its residual is uncorrelated with it
    residual = y[:, 0] - torch.tanh(ratio / 2)
    assert residual.square().mean().item() < mixture.risk(network_fit(mixture, D)).item()
    assert (residual * torch.tanh(ratio / 2)).mean().abs().item() < 0.01


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda t: GaussianMixture(2 * t.matrix), "`matrix` must have eigenvalues between -1 and 1"),
        (lambda t: t.risk(t.matrix[:2]), r"`form` must have shape \(6, 6\)"),
        (lambda t: t.risk(t.matrix.float()), "`form` must have the dtype of the task's matrix"),
        (lambda t: random_features_fit(t, t.matrix[:, :3]), r"`weights` must have shape \(N, 6\)"),
        (lambda t: tangent_fit(t, t.matrix[:0]), r"`weights` must have shape \(N, 6\)"),
        (lambda t: tangent_fit(t, t.matrix.float()), "`weights` must have the dtype"),
        (lambda t: network_fit(t, 0), "`units` must be positive"),
        (lambda t: quadratic_net(0, 3), "`units` must be positive"),
        (lambda t: gaussian_weights(3, 6, rng(0), -t.matrix @ t.matrix), "`gamma` must be a covariance"),
    ],
)  # fmt: skip
def test_refusals(call, text) -> None:
    with pytest.raises(ValueError, match=text):
        call(tasks()[1])
