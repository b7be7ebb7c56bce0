"""After-kernels, barriers and collapse against closed forms, and what they say of models whose answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import qlazy
from qlazy.training.features.after_kernel import after_kernel, collapse
from qlazy.training.features.barriers import children, error_barriers, forward_of
from qlazy.training.features.result import Features
from qlazy.training.losses import SquaredError
from qlazy.training.methods import SGD

INPUTS, SAMPLES = 20, 12


def sparse(seed: int = 0) -> qlazy.Dataset:
    """Of twenty inputs one matters: too few samples for a kernel that counts all alike."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(SAMPLES + 60, INPUTS, generator=generator, dtype=torch.float64)
    y = x[:, :1]
    return qlazy.Dataset("sparse", x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:], (), "sparse")


def squares(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return (x @ (w[:INPUTS] ** 2 - w[INPUTS:] ** 2) / 100).unsqueeze(1)


DIAGONAL = qlazy.Function(squares, 2 * INPUTS)
"""u^2 - v^2 as weights of a regression: from a small start gradient descent picks the inputs that matter."""

SLOW = qlazy.GradientDescent(8.0)
LINEAR = qlazy.Function(lambda w, x: (x @ w).unsqueeze(1), INPUTS)
SETTINGS = {"alphas": (1.0,), "seeds": (0, 1, 2), "steps": 400, "progress": False, "features": True}


def test_at_the_start_it_is_the_kernel_regression_of_the_run() -> None:
    found = qlazy.compare({"one": DIAGONAL}, sparse(), **{**SETTINGS, "steps": 5, "method": SLOW})
    for s, run in enumerate(found.runs):
        variance = run.test_targets.var()
        expected = 1 - (run.regression_test_outputs - run.test_targets)[:, 0] ** 2 / variance
        np.testing.assert_allclose(found.features[0].after[0, s], expected, rtol=1e-9)


def test_a_model_that_selects_inputs_learns_features_and_a_linear_one_none() -> None:
    """The kernel 4 sum w_i^2 x_i x_i' comes to count the input that matters; a linear model's stays."""
    slow = {**SETTINGS, "steps": 300, "seeds": range(10), "method": SLOW}
    (learnt,) = qlazy.compare({"diagonal": DIAGONAL}, sparse(), **slow).features
    (fixed,) = qlazy.compare({"linear": LINEAR}, sparse(), **SETTINGS).features
    assert learnt.decision == "features learnt"
    assert "diagonal learnt features" in learnt.sentences()[0]
    assert learnt.collapsed[-1].min() > 0.9
    assert learnt.collapsed[0].mean() < 0.6
    assert fixed.decision == "no gain"
    assert "does not help" in fixed.sentences()[0]
    np.testing.assert_allclose(fixed.after - fixed.after[:1], 0, atol=1e-9)
    np.testing.assert_allclose(fixed.barriers, 0, atol=1e-9)  # the square error is convex on a line
    lazy = qlazy.compare({"diagonal": DIAGONAL}, sparse(), **{**SETTINGS, "alphas": (1e4,), "steps": 50})
    assert lazy.features[0].decision == "no gain"


def test_collapse_is_one_for_the_function_alone_and_zero_beside_it() -> None:
    f = torch.tensor([[1.0], [-1.0], [2.0], [-2.0]]).double()
    beside = torch.tensor([[2.0], [-2.0], [-1.0], [1.0]]).double()
    assert collapse(3 * f @ f.T + 7, 0.1 * f) == pytest.approx(1.0)
    assert collapse(beside @ beside.T, f) == pytest.approx(0.0, abs=1e-12)
    # the identity, centred, has three eigenvalues of one: the cosine with one of them is 1 / sqrt(3)
    assert collapse(torch.eye(4).double(), f) == pytest.approx(1 / math.sqrt(3))
    assert math.isnan(collapse(torch.eye(4).double(), torch.ones(4, 1).double()))


def test_collapse_of_several_outputs_does_not_depend_on_their_order() -> None:
    """Kernel rows are i c + k; K_(ik, jk) = f_i . f_j for every k is collapsed."""
    generator = torch.Generator().manual_seed(0)
    f = torch.randn(5, 3, generator=generator).double()
    kernel = torch.kron(f @ f.T, torch.eye(3).double())
    assert collapse(kernel, f) == pytest.approx(1.0)
    mixed = torch.randn(15, 15, generator=generator).double()
    mixed = mixed @ mixed.T
    turn = torch.arange(15).reshape(5, 3)[:, [2, 0, 1]].flatten()
    assert collapse(mixed[turn][:, turn], f[:, [2, 0, 1]]) == pytest.approx(collapse(mixed, f))


def test_the_barrier_between_two_signs_is_that_of_its_formula() -> None:
    """f = w^2 is 1 at both ends and 0 between: an error of (0 - 1)^2 above a line of zeros."""
    model = qlazy.Function(lambda w, x: (w**2).expand(len(x), 1), 1)
    ends = torch.tensor([[-1.0], [1.0]]).double()
    x = torch.zeros(3, 1).double()

    def score(outputs: torch.Tensor) -> torch.Tensor:
        return 1 - (outputs[..., 0] - 1) ** 2

    assert float(error_barriers([model], ends[:1], ends[1:], x, score)) == pytest.approx(1.0)
    assert float(error_barriers([model], ends[:1], ends[:1], x, score)) == 0.0


@pytest.mark.parametrize("model", [DIAGONAL, qlazy.mlp([INPUTS, 3, 1])], ids=["function", "net"])
def test_children_are_those_of_stochastic_gradient_descent(model: qlazy.Model) -> None:
    data = sparse()
    starts = torch.stack([model.init(torch.Generator().manual_seed(s)).double() for s in range(3)])
    found = children(
        [model] * 3, starts, data.x_train, data.y_train, loss=SquaredError(), alpha=2.0, rates=[0.02, 0.01, 0.03],
        batch_size=4, steps=9, seeds=[5, 6, 7],
    )  # fmt: skip
    for i, (rate, seed) in enumerate(((0.02, 5), (0.01, 6), (0.03, 7))):
        alone = qlazy.train(model, starts[i], data, steps=9, alpha=2.0, method=SGD(rate, 4, seed=seed))
        np.testing.assert_allclose(found[i].numpy(), alone.params[-1], rtol=1e-9)


def test_models_that_do_not_run_side_by_side_run_one_by_one() -> None:
    def branching(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return (x @ w).unsqueeze(1) if float(w.detach().sum()) > 0 else (x @ w.square()).unsqueeze(1)

    model, data = qlazy.Function(branching, INPUTS), sparse()
    weights = torch.stack([torch.ones(INPUTS), -torch.ones(INPUTS)]).double()
    found = forward_of([model, model], weights, data.x_train)(weights)
    for one, w in zip(found, weights, strict=True):
        torch.testing.assert_close(one, model(w, data.x_train))


def test_a_child_that_runs_away_has_no_barrier_and_leaves_the_others_alone() -> None:
    data = sparse()
    starts = torch.ones(2, 2 * INPUTS).double()
    found = children(
        [DIAGONAL] * 2, starts, data.x_train, data.y_train, loss=SquaredError(), alpha=1.0, rates=[0.01, 1e6],
        batch_size=4, steps=30, seeds=[0, 0],
    )  # fmt: skip
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


def test_a_kernel_of_zeros_predicts_the_outputs_at_the_start() -> None:
    data = sparse()
    offsets = (torch.ones_like(data.y_train), 2 * torch.ones_like(data.y_test))
    found = after_kernel(DIAGONAL, torch.zeros(2 * INPUTS).double(), data, offsets)
    assert (found.outputs == 2).all()


def made_up(gains: list[float], classes: bool = True) -> Features:
    """Seeds whose last kernel is right on so many more of 1000 samples."""
    after = np.zeros((2, len(gains), 1000))
    after[0, :, :500] = 1
    for s, gain in enumerate(gains):
        after[1, s, : round(1000 * (0.5 + gain))] = 1
    flat = np.zeros((2, len(gains)))
    return Features(
        "one", 1.0, np.array([0, 9]), after, after[1], flat, flat + 0.5, classes, True, 0.02, 60, 4
    )


@pytest.mark.parametrize(
    ("gains", "decision"),
    [
        ([0.3, 0.32, 0.31], "features learnt"),
        ([-0.2, -0.21], "no gain"),
        ([0.3, -0.1, 0.1], "undecided"),
        ([0.3], "undecided"),
    ],
)
def test_the_interval_decides(gains: list[float], decision: str) -> None:
    for classes in (True, False):
        found = made_up(gains, classes)
        assert found.decision == decision
        said = str(found)
        assert said.startswith("one learnt features") == (decision == "features learnt")
        if len(gains) == 1:
            assert "no interval and no claim" in said
            assert "±" not in said


def test_it_is_kept_with_its_comparison(tmp_path) -> None:
    found = qlazy.compare({"one": DIAGONAL}, sparse(), **{**SETTINGS, "steps": 5, "out": tmp_path})
    again = qlazy.Comparison.load(tmp_path)
    (one,), (other,) = found.features, again.features
    for name in ("steps", "after", "trained", "barriers", "collapsed"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert str(one) == str(other)
    assert one.table() in again.table()
    assert "features_of_one" in again.figures()
    assert "one</td>" not in one._repr_html_() or one._repr_html_().startswith("<p>")
    (tmp_path / "features" / "0000" / "features.npz").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"features\.npz is damaged"):
        qlazy.Comparison.load(tmp_path)


def test_what_has_no_score_is_refused_before_training() -> None:
    flat = replace(sparse(), y_test=torch.ones(60, 1).double())
    with pytest.raises(ValueError, match="`data` must have test targets that vary"):
        qlazy.compare({"one": DIAGONAL}, flat, **SETTINGS)
    with pytest.raises(ValueError, match="`features` must be True or False"):
        qlazy.compare({"one": DIAGONAL}, sparse(), **{**SETTINGS, "features": "yes"})


@pytest.mark.parametrize("loss", [qlazy.Logistic(), qlazy.CrossEntropy()])
def test_classes_and_other_losses_and_methods(loss) -> None:
    columns = 1 if isinstance(loss, qlazy.Logistic) else 3
    data = qlazy.load_data("digits", classes=(3, 8) if columns == 1 else (1, 3, 8), features=4, train=20)
    settings = {**SETTINGS, "steps": 10, "seeds": (0, 1), "loss": loss, "method": qlazy.Adam(0.05)}
    (found,) = qlazy.compare({"net": qlazy.mlp([4, 3, columns])}, data, **settings).features
    assert found.after.min() >= 0
    assert found.after.max() <= 1
    assert np.isfinite(found.barriers).all()
    assert (found.barriers >= 0).all()


def test_a_loss_that_branches_on_values_is_taken() -> None:
    def branching(outputs, targets):
        error = ((outputs - targets) ** 2).mean()
        return error.sqrt() if float(error.detach()) > 100 else error

    settings = {**SETTINGS, "steps": 5, "seeds": (0, 1), "method": SLOW}
    (found,) = qlazy.compare({"one": DIAGONAL}, sparse(), loss=branching, **settings).features
    assert np.isfinite(found.barriers).all()
