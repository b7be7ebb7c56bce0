"""What must not change a verdict does not; what does is named; and models compared in one unit, at one loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import qlazy
from qlazy import Comparison, Dataset, Function, Model, Scaled
from qlazy.comparison.figures.all import comparison_figures
from qlazy.comparison.run import Run
from qlazy.models.wrappers import Wrapper
from tests.makers import inputs

FIGURES: dict[str, Callable[[Run], float]] = {
    "Jacobian": lambda run: run.largest_jacobian_change,
    "centered kernel": lambda run: run.largest_centered_kernel_change,
    "residual kernel": lambda run: run.largest_residual_kernel_change,
    "output gap": lambda run: run.output_gap,
    "test output gap": lambda run: run.test_output_gap,
    "loss left": lambda run: run.loss_left,
    "kappa": lambda run: run.kappa,
    "decay times": lambda run: run.decay_times,
    "regression gap": lambda run: run.test_regression_gap,
}
"""All that a verdict speaks of, but for accuracies, which are counts of signs."""


def samples(seed: int = 0, train: int = 12, classes: bool = True) -> Dataset:
    x = inputs(train + 10, 3, seed=seed + 5)
    y = torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:]
    y = torch.where(y > 0, 1.0, -1.0).to(x) if classes else y
    names = ("low", "high") if classes else ()
    return Dataset("made up", x[:train], y[:train], x[train:], y[train:], names, f"split {seed}")


NET = qlazy.mlp([3, 4, 1])
CIRCUIT = qlazy.load_circuit("hardware_efficient", n=3, layers=1)


def compared(model: Model, data: Dataset | Callable[[int], Dataset], **settings: object) -> Comparison:
    defaults = {"alphas": (2.0,), "seeds": (0, 1), "steps": 25, "progress": False}
    return qlazy.compare({"model": model}, data, **{**defaults, **settings})


def figures(comparison: Comparison, without: Sequence[str] = ()) -> np.ndarray:
    kept = [of for name, of in FIGURES.items() if name not in without]
    return np.array([[of(run) for of in kept] for run in comparison.runs])


class Turned(Wrapper):
    """A circuit whose angles are drawn some whole turns away."""

    def init(self, generator: torch.Generator) -> Tensor:
        params = self.model.init(generator)
        turns = torch.randint(-3, 4, params.shape, generator=torch.Generator().manual_seed(8))
        return params + 2 * math.pi * turns.to(params)

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        return self.model(params, x)


def negated(model: Model) -> Model:
    return Function(lambda w, x: -model(w, x), model.num_params, init=lambda g: model.init(g).double())


@pytest.mark.parametrize("model", [NET, CIRCUIT], ids=["net", "circuit"])
def test_units_signs_and_order_change_nothing(model: Model) -> None:
    data = samples(classes=False)
    expected = figures(compared(model, data))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    for other, found in (
        (Scaled(model, 0.3), replace(data, y_train=0.3 * data.y_train, y_test=0.3 * data.y_test)),
        (negated(model), replace(data, y_train=-data.y_train, y_test=-data.y_test)),
        (model, replace(data, x_train=data.x_train[order], y_train=data.y_train[order])),
        (model, replace(data, x_test=data.x_test.repeat(2, 1), y_test=data.y_test.repeat(2, 1))),
    ):
        np.testing.assert_allclose(figures(compared(other, found)), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("model", [NET, CIRCUIT], ids=["net", "circuit"])
def test_repeated_training_samples_change_the_ridge_alone(model: Model) -> None:
    """Leaving one of two equal samples out leaves the other in: the ridge is smaller, and named as depending on it."""
    data = samples(classes=False)
    twice = replace(data, x_train=data.x_train.repeat(2, 1), y_train=data.y_train.repeat(2, 1))
    one, other = (compared(model, found) for found in (data, twice))
    kept = ("regression gap",)
    np.testing.assert_allclose(figures(other, kept), figures(one, kept), rtol=1e-6, atol=1e-9)
    ridges = np.array([[run.regression_ridge for run in found.runs] for found in (one, other)])
    assert (ridges[1] <= ridges[0]).all()


def test_whole_turns_of_angles_change_nothing() -> None:
    """But for the drift relative to the norm of the angles, on which no verdict rests."""
    data = samples()
    one, other = (compared(model, data) for model in (CIRCUIT, Turned(CIRCUIT)))
    np.testing.assert_allclose(figures(other), figures(one), rtol=1e-6, atol=1e-9)
    assert str(other.verdict()) == str(one.verdict())
    assert other.runs[0].relative_drift < 0.9 * one.runs[0].relative_drift


def test_the_unit_of_labels_alone_changes_laziness_and_kappa_says_so() -> None:
    """y -> .3 y is a -> a / .3: another problem, whose kappa is .3 times as large. `normalized` takes the unit away."""
    data = samples(classes=False)
    smaller = replace(data, y_train=0.3 * data.y_train, y_test=0.3 * data.y_test)
    one, other = (compared(NET, found) for found in (data, smaller))
    assert other.runs[0].kappa == pytest.approx(0.3 * one.runs[0].kappa)
    assert other.runs[0].largest_kernel_change < 0.6 * one.runs[0].largest_kernel_change
    np.testing.assert_allclose(
        figures(compared(NET, smaller, normalized=True)),
        figures(compared(NET, data, normalized=True)),
        rtol=1e-6,
    )


@pytest.mark.parametrize("unit", [0.2, 5.0])
def test_normalized_models_have_one_unit(unit: float) -> None:
    data = samples(classes=False)
    plain = compared(NET, data, normalized=True)
    scaled = compared(Scaled(NET, unit), data, normalized=True)
    np.testing.assert_allclose(figures(scaled), figures(plain), rtol=1e-6)
    for run in plain.runs:
        assert np.trace(run.kernel_initial) == pytest.approx(len(data.x_train))
        assert (run.train_targets**2).mean() == pytest.approx(1)
    assert plain.settings["normalized"] is True
    assert "normalized" not in compared(NET, data).settings
    assert samples().with_unit_targets().y_train is not None
    assert torch.equal(samples().with_unit_targets().y_train, samples().y_train)


def test_an_output_bias_hides_the_kernel_and_slows_the_rest_which_is_told() -> None:
    """The rate follows the largest eigenvalue, a bias' own: what a verdict says of training depends on it, by name."""

    def biased(s: float) -> Model:
        def init(generator: torch.Generator) -> Tensor:
            return torch.cat([NET.init(generator).double(), torch.zeros(1, dtype=torch.float64)])

        return Function(lambda w, x: NET(w[:-1], x) + s * w[-1], NET.num_params + 1, init=init)

    data = samples()
    one, other = (compared(biased(s), data) for s in (0.0, 10.0))
    for plain, run in zip(one.runs, other.runs, strict=True):
        assert run.largest_kernel_change < 0.05 * run.largest_centered_kernel_change
        assert run.loss_left > plain.loss_left + 0.2
        assert run.kappa < 0.1 * plain.kappa
    assert "hardly trained" in str(other.verdict()) or "of the training loss is left" in str(other.verdict())


def test_runs_at_an_equal_loss_do_not_depend_on_the_steps_allowed() -> None:
    data = samples()
    short, long = (compared(NET, data, alphas=(1.0,), steps=steps, until_loss=0.5) for steps in (200, 800))
    for one, other in zip(short.runs, long.runs, strict=True):
        assert one.loss_left <= 0.5
        assert one.loss_left == pytest.approx(0.5, rel=0.1)
        assert other.loss_left == pytest.approx(one.loss_left, rel=0.05)
        assert other.largest_kernel_change == pytest.approx(one.largest_kernel_change, rel=0.1)
        assert len(one.linear_params) == len(one.trace.steps) < 120
    assert short.settings["until_loss"] == 0.5


def test_runs_that_do_not_get_there_are_told() -> None:
    found = compared(NET, samples(), steps=2, until_loss=0.001)
    assert "2 runs of 2 did not come down to the loss asked for." in str(found.verdict())


def test_a_split_a_seed() -> None:
    found = compared(NET, samples)
    first, second = found.runs
    assert not np.array_equal(first.test_targets, second.test_targets)
    assert found.settings["splits"] == "a seed"
    assert "of a split a seed" in str(found.verdict())
    assert "Errors of splits of one pool describe that pool." in found.verdict().caption
    two = qlazy.compare({"a": NET, "b": CIRCUIT}, samples, alphas=(1,), seeds=(0, 1), steps=2, progress=False)
    assert len(two.geometry()) == 2


BAD = [
    (
        {"data": lambda seed: samples(seed, train=12 + seed)},
        "`data` must have the same classes, shapes and dtype",
    ),
    (
        {"data": samples, "baselines": [qlazy.InfiniteNet()]},
        "`baselines` must be absent where seeds have splits",
    ),
    (
        {"until_loss": 0.1, "baselines": [qlazy.InfiniteNet()]},
        "`baselines` must be absent where seeds have splits",
    ),
    ({"until_loss": 1.5}, "`until_loss` must be a share of the loss between 0 and 1"),
    (
        {"until_loss": 0.5, "loss": qlazy.Logistic(), "method": qlazy.GradientFlow(1.0)},
        "`until_loss` must be absent for gradient flow",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_refused(change: dict[str, object], message: str) -> None:
    settings = {"data": samples(), **change}
    with pytest.raises(ValueError, match=message):
        compared(NET, **settings)
    with pytest.raises(TypeError, match="`data` must be a qlazy Dataset, .* or a function"):
        compared(NET, lambda seed: None)


def test_figures_against_kappa() -> None:
    found = compared(NET, samples(), alphas=(1.0, 10.0, 100.0), steps=3)
    axes = comparison_figures(found, "kappa")["drift"].axes[0]
    kappas = [np.exp(np.mean([np.log(r.kappa) for r in found.select("model", a)])) for a in found.alphas]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), kappas)
    np.testing.assert_allclose(np.divide(kappas[:-1], kappas[1:]), 10)
    assert "kappa" in axes.get_xlabel()
    runs = tuple(replace(run, curvature=math.nan) for run in found.runs)
    with pytest.raises(ValueError, match="`against` must be alpha, as kappa of model is not known"):
        comparison_figures(replace(found, runs=runs), "kappa")
    with pytest.raises(ValueError, match="`against` must be one of alpha, kappa"):
        comparison_figures(found, "a")


def test_kappa_and_regression_are_those_of_their_formulas() -> None:
    """kappa (1/a) ||y|| ||D^2 h|| / ||Dh||^2 of h = w^2 x / 2 at w0: D^2 h = x, Dh = w0 x."""
    start = torch.tensor([0.7], dtype=torch.float64)
    model = Function(lambda w, x: w**2 / 2 * x[:, :1], 1, init=lambda g: start.clone())
    data = samples(classes=False)
    run = compared(model, data, seeds=(0,)).runs[0]
    x, y = data.x_train[:, :1], data.y_train
    rms = float((y**2).mean()) ** 0.5 / float((x**2).mean()) ** 0.5
    assert run.kappa == pytest.approx(rms / (2 * 0.49), rel=1e-6)
    kernel = 0.49 * x @ x.T
    ridge = run.regression_ridge * float(kernel.diagonal().mean())
    expected = kernel @ torch.linalg.solve(kernel + ridge * torch.eye(12, dtype=torch.float64), y)
    np.testing.assert_allclose(run.regression_train_outputs, expected, atol=1e-6)
    assert run.regression_train_loss == pytest.approx(float((expected - y).square().mean()) / 2, rel=1e-5)
