"""Learning rates above the critical one of the linearised model: said before training, in tables and in the verdict."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch

import qlazy
from qlazy.comparison.compare.seeded import SeededModel
from qlazy.training.losses import CrossEntropy, Logistic, Loss, Objective, SquaredError
from qlazy.training.methods import GradientDescent, critical_rate


def data(outputs: int = 1, count: int = 8, classes: tuple[str, ...] = ()) -> qlazy.Dataset:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2 * count, 3, generator=generator, dtype=torch.float64)
    y = torch.tanh(x @ torch.randn(3, outputs, generator=generator, dtype=torch.float64))
    if outputs == 1 and classes:
        y = y.sign()
    if outputs > 1:
        y = torch.nn.functional.one_hot(y.argmax(1), outputs).double()
    return qlazy.Dataset("drawn", x[:count], y[:count], x[count:], y[count:], classes, "drawn")


SQUARE = SquaredError()
BOUNDED = qlazy.Function(
    lambda w, x: torch.sin(x @ w[:3]).unsqueeze(1) + torch.cos(x @ w[3:]).unsqueeze(1), 6
)
"""As a circuit's, its outputs cannot run away, whatever the rate."""


def compared(
    times: float, *, steps: int = 60, loss: Loss = SQUARE, alphas=(1.0, 100.0), seeds=(0, 1)
) -> qlazy.Comparison:
    """A model trained at a multiple of the critical rate of seed 0."""
    outputs = 3 if isinstance(loss, CrossEntropy) else 1
    names = {SquaredError: (), Logistic: ("a", "b"), CrossEntropy: ("a", "b", "c")}[type(loss)]
    held, model = data(outputs, classes=names), BOUNDED if loss is SQUARE else qlazy.mlp([3, 4, outputs])
    one = SeededModel("one", model, held, 0, loss, GradientDescent(), 1, True)
    objective = Objective(one.anchor.model, held.x_train, held.y_train, 1.0, loss)
    rate = times * critical_rate(objective, one.initial)
    settings = {"alphas": alphas, "seeds": seeds, "steps": steps, "loss": loss, "progress": False}
    return qlazy.compare({"one": model}, held, method=GradientDescent(rate), **settings)


def test_a_path_far_above_the_critical_rate_is_said_to_diverge() -> None:
    """At 1,500 steps the path leaves all numbers: training is kept, and no gap is given."""
    with pytest.warns(
        qlazy.LearningRateWarning, match=r"critical rate of the linearised model of one from seed 0"
    ):
        found = compared(1.5, steps=1500)
    assert all(run.linear_diverged and run.exceeds_critical_rate for run in found.runs)
    assert all(not np.isfinite(run.linear_train_outputs).all() for run in found.runs)
    for metric in ("output gap", "parameter gap", "linearized train loss", "test output gap"):
        assert np.isnan(found.values("one", metric)).all()
    said, table = str(found.verdict()), found.table()
    for text in (said, table):
        assert "diverged" in text
        assert not re.search(r"e\+(?!0[0-3])\d\d", text)
        assert "nan" not in text.lower()
    assert "is above the critical rate of its linearised model" in said
    found.figures()


def test_a_path_that_is_large_but_finite_is_said_to_diverge_too() -> None:
    with pytest.warns(qlazy.LearningRateWarning):
        found = compared(1.5, steps=100, alphas=(1.0,))
    assert all(np.isfinite(run.linear_train_outputs).all() for run in found.runs)
    assert all(run.linear_diverged and not run.diverged for run in found.runs)
    assert "its linearised model diverged" in str(found.verdict())
    assert found.verdict()[0].decisions("outputs") == ("undecided",)


@pytest.mark.parametrize("times", [0.25, 0.9])
def test_below_the_critical_rate_nothing_is_said(times: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compared(times, seeds=(0,))
    (run, _) = found.runs
    assert not run.exceeds_critical_rate
    assert run.trace.learning_rate == pytest.approx(times * run.critical_rate)
    losses = [run.loss_of(outputs, run.train_targets) for outputs in run.linear_train_outputs]
    assert (np.diff(losses) <= 1e-12).all()
    assert not run.linear_diverged


@pytest.mark.parametrize("loss", [Logistic(), CrossEntropy()])
def test_other_losses_have_the_bound_of_their_curvature(loss: Loss) -> None:
    """Below it the linearised path falls at every step; above it the words claim no divergence."""
    found = compared(0.99, loss=loss, seeds=(0,))
    for run in found.runs:
        losses = [run.loss_of(outputs, run.train_targets) for outputs in run.linear_train_outputs]
        assert (np.diff(losses) <= 1e-12).all()
    with pytest.warns(qlazy.LearningRateWarning, match="may swing and not settle"):
        above = compared(1.2, loss=loss, seeds=(0,), steps=4)
    assert "it may swing and not settle" in str(above.verdict())


@pytest.mark.parametrize("loss", [SQUARE, Logistic(), CrossEntropy()])
def test_the_curvature_of_a_loss_is_the_largest_there_is(loss: Loss) -> None:
    """Of one sample, by autograd at many outputs: never above, and nearly attained somewhere."""
    generator = torch.Generator().manual_seed(0)
    outputs = 1 if isinstance(loss, Logistic) else 3
    target = torch.ones(1, 1) if outputs == 1 else torch.tensor([[1.0, 0.0, 0.0]])
    points = [4 * torch.randn(1, outputs, generator=generator) for _ in range(200)]
    points += [torch.zeros(1, outputs), torch.tensor([[20.0, 20.0, 0.0]])[:, :outputs]]
    largest = 0.0
    for point in points:
        hessian = torch.func.hessian(lambda f: loss.value(f, target))(point).reshape(outputs, outputs)
        largest = max(largest, float(torch.linalg.eigvalsh(hessian)[-1]))
    assert largest == pytest.approx(loss.curvature, rel=1e-5)


def test_a_loss_of_ones_own_has_no_critical_rate() -> None:
    assert np.isnan(Loss.curvature)


def test_methods_that_choose_their_steps_have_none() -> None:
    settings = {"alphas": (1.0,), "seeds": (0,), "steps": 3, "progress": False}
    found = qlazy.compare({"net": qlazy.mlp([3, 4, 1])}, data(), method=qlazy.Adam(5.0), **settings)
    assert np.isnan(found.runs[0].critical_rate)
    assert not found.runs[0].exceeds_critical_rate
