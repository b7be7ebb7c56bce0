"""Losses against their formulas written out, and the targets they refuse."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any, final

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import qlazy
from qlazy.base.errors import NotFiniteError
from qlazy.training.losses import CrossEntropy, Logistic, Loss, SquaredError, accuracy, loss_of
from tests.systems import normal

LOSSES = [SquaredError(), Logistic(), CrossEntropy()]
sizes = st.integers(1, 6)


def targets_for(loss: Loss, n: int, c: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    if isinstance(loss, CrossEntropy):
        return torch.eye(c, dtype=dtype)[torch.arange(n) % c]
    return normal(n, c, seed=1, dtype=dtype).sign()


@given(n=sizes, c=sizes)
def test_square_is_half_the_mean_of_squared_norms(n: int, c: int) -> None:
    f, y = normal(n, c), normal(n, c, seed=1)
    expected = sum(math.dist(f[i].tolist(), y[i].tolist()) ** 2 for i in range(n)) / (2 * n)
    torch.testing.assert_close(SquaredError()(f, y).item(), expected)


@given(n=sizes, c=sizes)
def test_logistic_is_the_sum_of_log_likelihoods(n: int, c: int) -> None:
    f, y = normal(n, c), normal(n, c, seed=1).sign()
    terms = [
        math.log(1 + math.exp(-a * b))
        for a, b in zip(f.flatten().tolist(), y.flatten().tolist(), strict=True)
    ]
    torch.testing.assert_close(Logistic()(f, y).item(), sum(terms) / n)


def test_logistic_does_not_overflow() -> None:
    f = torch.tensor([[-1e4]], dtype=torch.float64)
    assert Logistic()(f, torch.ones_like(f)).item() == 1e4


@given(n=sizes, c=st.integers(2, 6))
def test_cross_entropy_is_torchs_with_class_numbers(n: int, c: int) -> None:
    f, labels = normal(n, c), torch.arange(n) % c
    expected = torch.nn.functional.cross_entropy(f, labels)
    torch.testing.assert_close(CrossEntropy()(f, torch.eye(c, dtype=f.dtype)[labels]), expected)


def test_cross_entropy_of_two_classes_is_the_logistic_loss_of_the_difference() -> None:
    f, t = normal(7, 2), normal(7, 1, seed=1).sign()
    one_hot = torch.cat([t > 0, t < 0], 1).to(f.dtype)
    torch.testing.assert_close(CrossEntropy()(f, one_hot), Logistic()(f[:, :1] - f[:, 1:], t))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_losses_keep_the_dtype_and_do_not_grow_with_repeated_data(loss: Loss, dtype: torch.dtype) -> None:
    f = normal(4, 3, dtype=dtype)
    y = targets_for(loss, 4, 3, dtype)
    assert loss(f, y).dtype == dtype
    torch.testing.assert_close(loss(f, y), loss(torch.cat([f, f]), torch.cat([y, y])))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_losses_differentiate_under_func(loss: Loss) -> None:
    f = normal(4, 3)
    y = targets_for(loss, 4, 3)
    gradient = torch.func.grad(loss)(f, y)
    step = 1e-6 * normal(4, 3, seed=2)
    expected = (loss(f + step, y) - loss(f - step, y)) / 2
    torch.testing.assert_close((gradient * step).sum(), expected, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_shape_that_would_broadcast_is_refused(loss: Loss) -> None:
    with pytest.raises(ValueError, match=r"`targets` must have shape \(5, 1\), but is \(5,\)"):
        loss(normal(5, 1), torch.ones(5, dtype=torch.float64))


def test_targets_that_do_not_fit_the_loss_are_refused() -> None:
    f = normal(4, 1)
    with pytest.raises(ValueError, match=r"`targets` must be \+1 or -1, but is 0 somewhere"):
        Logistic()(f, torch.zeros_like(f))
    with pytest.raises(ValueError, match="Logistic takes a single one"):
        CrossEntropy()(f, torch.ones_like(f))
    with pytest.raises(ValueError, match="`targets` must have rows that sum to 1"):
        CrossEntropy()(normal(4, 2), torch.ones(4, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="`targets` must not be negative"):
        CrossEntropy()(normal(1, 2), torch.tensor([[2.0, -1.0]], dtype=torch.float64))
    with pytest.raises(ValueError, match="dtype of the outputs"):
        SquaredError()(f, torch.ones(4, 1))
    with pytest.raises(ValueError, match="n and c positive"):
        SquaredError()(f[:0], f[:0])


def test_functions_are_losses_and_their_numbers_are_checked() -> None:
    f, y = normal(4, 2), normal(4, 2, seed=1).sign()
    torch.testing.assert_close(loss_of(torch.nn.MSELoss())(f, y), SquaredError()(f, y))  # 1/(2n) and c = 2
    torch.testing.assert_close(loss_of(torch.nn.SoftMarginLoss())(f, y), Logistic()(f, y) / 2)
    ours = CrossEntropy()
    assert loss_of(ours) is ours
    half = functools.partial(torch.nn.functional.mse_loss, reduction="sum")
    assert loss_of(half).convention == "function mse_loss(reduction='sum')"
    assert (
        loss_of(torch.nn.HuberLoss(delta=0.2)).convention == "function HuberLoss(delta=0.2, reduction='mean')"
    )


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (torch.nn.MSELoss, "`loss` must be such as SquaredError.* a class, MSELoss"),
        (torch.nn.MSELoss(reduction="none"), r"reduction='mean'\), but is one that returns shape \(4, 1\)"),
        (lambda f, y: 3.0, "one that returns float"),
        (lambda f: f.sum(), "`loss` must take outputs and targets .* but raises"),
        (lambda f, y: f.sum().float(), "`loss` must return torch.float64"),
        (lambda f, y: f.detach().sum(), "`loss` must pass gradients on"),
        (torch.nn.BCEWithLogitsLoss(), r"between 0 and 1 for this loss \(qlazy.Logistic\(\)"),
        (torch.nn.functional.cross_entropy, "`outputs` must have two columns or more"),
        (3, "`loss` must be such as"),
    ],
)
def test_functions_that_are_no_losses_are_refused(loss: Any, words: str) -> None:
    f, y = normal(4, 1).requires_grad_(), torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]).double()
    with pytest.raises((TypeError, ValueError), match=words):
        loss_of(loss)(f, y)


def test_accuracy_by_sign_and_by_the_largest_output() -> None:
    f = torch.tensor([[2.0], [-1.0], [0.5], [-3.0]])
    assert accuracy(f, torch.tensor([[1.0], [1.0], [1.0], [-1.0]])) == 0.75
    f = torch.tensor([[0.1, 0.7, 0.2], [3.0, 1.0, 2.0]])
    assert accuracy(f, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])) == 0.5


def test_tied_outputs_score_as_chance() -> None:
    assert accuracy(torch.zeros(4, 1), torch.tensor([[1.0], [-1.0], [1.0], [1.0]])) == 0.5
    assert accuracy(torch.zeros(2, 4), torch.eye(4)[:2]) == 0.25


def test_accuracy_refuses_what_has_no_class() -> None:
    with pytest.raises(ValueError, match=r"`targets` must be \+1 or -1"):
        accuracy(torch.ones(2, 1), torch.zeros(2, 1))
    with pytest.raises(NotFiniteError, match="`outputs` must be finite"):
        accuracy(torch.full((2, 1), torch.nan), torch.ones(2, 1))


WRITING: dict[str, Any] = {
    "sub_": lambda f, y: f.sub_(y).square().mean(),
    "-=": lambda f, y: operator.isub(f, y).square().mean(),
    "clamp_": lambda f, y: (f.clamp_(-0.5, 0.5) - y).square().mean(),
    "row": lambda f, y: (operator.setitem(f, 0, 0.0), (f - y).square().mean())[1],
    "view": lambda f, y: (f.T.neg_(), (f - y).square().mean())[1],
    "out=": lambda f, y: (torch.add(y, 0, out=y), (f - y).square().mean())[1],
    "targets": lambda f, y: (f - y.mul_(2)).square().mean(),
    "targets to 0 and 1": lambda f, y: torch.nn.functional.binary_cross_entropy_with_logits(
        f, y.add_(1).div_(2)
    ),
}


@final
class Writes(Loss):
    """A loss of one's own that writes to its outputs."""

    convention = "writes"

    def value(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.sub_(targets).square().mean()


@pytest.mark.parametrize("name", [*WRITING, "a class"])
def test_a_loss_that_writes_to_its_arguments_is_refused_before_it_spoils_data(name: str) -> None:
    """Outputs go on into accuracies and gaps, which were those of the changed ones; targets are the user's data."""
    loss = WRITING.get(name, Writes())
    model, x = qlazy.mlp([2, 1]), normal(6, 2)
    y = x[:, :1].sign()
    before = y.clone()
    with pytest.raises(TypeError, match="`loss` must leave outputs and targets as they are"):
        qlazy.train(model, model.init(0), (x, y), loss=loss, steps=2)
    assert torch.equal(y, before)
    for several in (False, True):
        f = normal(3, 6, 1) if several else normal(6, 1)
        with pytest.raises(TypeError, match="one that writes to them"):
            loss_of(loss).on_lanes(f, y) if several else loss_of(loss)(f, y)


def test_a_loss_that_draws_is_refused_and_one_that_is_not_a_number_diverges() -> None:
    model, x = qlazy.mlp([2, 1]), normal(6, 2)

    def run(loss: Any) -> object:
        return qlazy.train(model, model.init(0), (x, x[:, :1]), loss=loss, steps=1)

    for draw in (torch.rand, torch.randn):
        with pytest.raises(ValueError, match="`loss` must be a function of outputs and targets alone"):
            run(lambda f, y, draw=draw: (f - y).mean() * draw(()))
    with pytest.raises(qlazy.DivergedError):
        run(lambda f, y: (f - y).mean() * math.nan)
