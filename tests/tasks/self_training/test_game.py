"""The student's gradient through both players: against autograd, differences, and a linear model written out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import qlazy
from qlazy.base.errors import ZeroJacobianError
from qlazy.tasks.self_training import (
    DifferentiableTeacher,
    NoTeacher,
    PseudoLabelTeacher,
    StopGradientTeacher,
    Teacher,
)
from qlazy.tasks.self_training.game import Game
from tests.systems import linear, normal

SOFT = (StopGradientTeacher, DifferentiableTeacher)


def labels(n: int, classes: int) -> Tensor:
    return torch.eye(classes, dtype=torch.float64)[torch.arange(n) % classes]


def net() -> qlazy.Model:
    return qlazy.mlp([3, 5, 4])


def circuit() -> qlazy.Model:
    text = (
        "include 'stdgates.inc'; input array[float[64], 3] x; input array[float[64], 6] w; qubit[3] q;"
        "for int i in [0:2] { rx(x[i]) q[i]; ry(w[i]) q[i]; } cx q[0], q[1]; cx q[1], q[2];"
        "for int i in [0:2] { ry(w[i + 3]) q[i]; }"
    )
    return qlazy.Scaled(qlazy.from_qasm(text, data=("x",)), 3.0)


def linearized() -> qlazy.Model:
    model = net()
    return qlazy.Linearized(model, normal(model.num_params, seed=9))


def game(model: qlazy.Model, teacher: Teacher, classes: int) -> Game:
    return Game(model, normal(5, 3), labels(5, classes), normal(7, 3, seed=1), teacher)


CASES = {"net": (net, 4), "circuit": (circuit, 3), "linearised": (linearized, 4)}


def written_out(g: Game, student: Tensor, old: Tensor) -> Tensor:
    """F(S, alpha T_old + (1 - alpha) S) from its formula, every logarithm and sum in the open."""
    t = g.teacher
    assert isinstance(t, DifferentiableTeacher)
    followed = t.alpha * old + (1 - t.alpha) * student
    supervised = -(g.y * g.model(student, g.x).softmax(1).log()).sum(1).mean()
    q = g.model(followed, g.unlabeled).softmax(1) ** (1 / t.temperature)
    q = q / q.sum(1, keepdim=True)
    weight = 1 + (q * q.log()).sum(1) / math.log(q.shape[1])
    divergence = (q * (q.log() - g.model(student, g.unlabeled).softmax(1).log())).sum(1)
    return supervised + t.strength * (weight * divergence).mean()


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_the_loss_written_out(name: str) -> None:
    make, classes = CASES[name]
    g = game(make(), DifferentiableTeacher(0.3, 0.7, 1.5), classes)
    student, old = (normal(g.model.num_params, seed=s) for s in (2, 3))
    leaf = student.clone().requires_grad_()
    value = written_out(g, leaf, old)
    (expected,) = torch.autograd.grad(value, leaf)
    move = g.move(student, g.follow(old, student))
    torch.testing.assert_close(move.supervised + 1.5 * move.lesson, value.detach())
    torch.testing.assert_close(move.gradient, expected)
    assert move.interaction.norm() > 1e-3 * move.direct.norm()


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_central_differences(name: str) -> None:
    make, classes = CASES[name]
    g = game(make(), DifferentiableTeacher(0.6, 0.5, 2.0), classes)
    student, old, v = (normal(g.model.num_params, seed=s) for s in (4, 5, 6))
    h = 1e-5
    slope = (written_out(g, student + h * v, old) - written_out(g, student - h * v, old)) / (2 * h)
    gradient = g.move(student, g.follow(old, student)).gradient
    torch.testing.assert_close(gradient @ v, slope, rtol=1e-7, atol=1e-9)


@settings(max_examples=25)
@given(
    alpha=st.floats(0, 0.99),
    temperature=st.floats(0.2, 5),
    classes=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_a_linear_model_has_its_gradient_in_closed_form(
    alpha: float, temperature: float, classes: int, seed: int
) -> None:
    """f = x W. Of the lesson w K, with K = KL(q || p), q = softmax(f_T / t), w = 1 + sum q log q / log k:

    dw K/df_S = w (p - q),  dK/df_T = q (log q - log p - K) / t,  dw/df_T = q (log q - sum q log q) / (t log k).
    """
    teacher = DifferentiableTeacher(alpha, temperature, 2.0)
    model = linear(3, classes)
    g = game(model, teacher, classes)
    student, old = (normal(3 * classes, seed=seed + s) for s in (0, 100))
    follower = alpha * old + (1 - alpha) * student
    u, m = g.unlabeled, len(g.unlabeled)
    p, log_p = (f((u @ student.reshape(3, classes)), 1) for f in (torch.softmax, torch.log_softmax))
    q, log_q = (
        f((u @ follower.reshape(3, classes)) / temperature, 1) for f in (torch.softmax, torch.log_softmax)
    )
    entropy = -(q * log_q).sum(1, keepdim=True)
    w = 1 - entropy / math.log(classes)
    divergence = (q * (log_q - log_p)).sum(1, keepdim=True)
    at_student = w * (p - q)
    at_teacher = (
        q
        / temperature
        * (w * (log_q - log_p - divergence) + divergence * (log_q + entropy) / math.log(classes))
    )
    own = g.x.T @ (torch.softmax(g.x @ student.reshape(3, classes), 1) - g.y) / len(g.x)
    move = g.move(student, follower)
    torch.testing.assert_close(move.direct, (own + 2 * u.T @ at_student / m).reshape(-1))
    torch.testing.assert_close(move.interaction, 2 * (1 - alpha) * (u.T @ at_teacher / m).reshape(-1))


def test_stopped_is_differentiable_without_the_interaction() -> None:
    """Equal loss and direct part; and with alpha -> 1 the interaction goes as 1 - alpha."""
    model = net()
    student, follower = (normal(model.num_params, seed=s) for s in (2, 3))
    stopped = game(model, StopGradientTeacher(), 4).move(student, follower)
    norms = []
    for alpha in (0.9, 0.99, 0.999):
        led = game(model, DifferentiableTeacher(alpha), 4).move(student, follower)
        torch.testing.assert_close(led.lesson, stopped.lesson)
        torch.testing.assert_close(led.direct, stopped.gradient)
        norms.append(led.interaction.norm().item())
    assert not stopped.interaction.any()
    assert norms[0] == pytest.approx(10 * norms[1], rel=1e-9) == pytest.approx(100 * norms[2], rel=1e-9)


def test_at_low_temperature_soft_labels_are_hard() -> None:
    model = net()
    student, follower = (normal(model.num_params, seed=s) for s in (2, 3))
    hard = game(model, PseudoLabelTeacher(), 4).move(student, follower)
    soft = game(model, StopGradientTeacher(temperature=1e-3), 4).move(student, follower)
    torch.testing.assert_close(soft.lesson, hard.lesson)
    torch.testing.assert_close(soft.gradient, hard.gradient)
    chosen = model(follower, game(model, NoTeacher(), 4).unlabeled).argmax(1)
    expected = torch.nn.functional.cross_entropy(model(student, normal(7, 3, seed=1)), chosen)
    torch.testing.assert_close(hard.lesson, expected)


@pytest.mark.parametrize("kind", SOFT)
def test_a_teacher_that_knows_nothing_teaches_nothing(kind: type[Teacher]) -> None:
    """Equal outputs are a uniform label: entropy log k, weight 0, whatever the student says."""
    lesson = kind().lesson(torch.full((3, 4), 7.0), normal(3, 4))
    assert lesson.weight.abs().max() < 1e-6
    assert abs(lesson.value) < 1e-6


@pytest.mark.parametrize("kind", SOFT)
def test_a_student_that_says_what_it_is_told_has_nothing_to_learn(kind: type[Teacher]) -> None:
    outputs = normal(6, 4)
    lesson = kind(temperature=0.5).lesson(outputs, outputs / 0.5 + 3.0)
    torch.testing.assert_close(lesson.divergence, torch.zeros(6, dtype=torch.float64), atol=1e-14, rtol=0)
    assert ((lesson.weight >= 0) & (lesson.weight <= 1)).all()


def test_one_column_is_the_pair_of_logits() -> None:
    """Signs and f against one-hot rows and (0, f): the same game."""
    one, two = linear(3), qlazy.Function(lambda w, x: torch.stack([0 * (x @ w), x @ w], 1), 3)
    y = torch.tensor([[1.0], [-1.0], [1.0], [-1.0], [1.0]], dtype=torch.float64)
    codes = torch.cat([(1 - y) / 2, (1 + y) / 2], 1)
    x, u = normal(5, 3), normal(7, 3, seed=1)
    student, follower = normal(3, seed=2), normal(3, seed=3)
    teacher = DifferentiableTeacher()
    moves = [Game(model, x, t, u, teacher).move(student, follower) for model, t in ((one, y), (two, codes))]
    torch.testing.assert_close(moves[0], moves[1])
    torch.testing.assert_close(moves[0].supervised, qlazy.Logistic()(one(student, x), y))


def test_a_model_without_gradients_is_refused() -> None:
    model = qlazy.Function(lambda w, x: x[:, :2] + w.detach().sum(), 1)
    g = Game(model, normal(4, 3), labels(4, 2), normal(4, 3), NoTeacher())
    with pytest.raises(ZeroJacobianError, match="pass gradients on"):
        g.move(normal(1), normal(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DifferentiableTeacher(alpha=1.1), "`alpha` must be from 0 to 1, but is 1.1"),
        (lambda: StopGradientTeacher(alpha=-0.1), "`alpha`"),
        (lambda: NoTeacher(alpha=math.nan), "`alpha`"),
        (lambda: PseudoLabelTeacher(strength=-1.0), "`strength` must be finite and not negative"),
        (lambda: DifferentiableTeacher(temperature=0.0), "`temperature` must be positive"),
        (lambda: StopGradientTeacher(temperature=math.inf), "`temperature` must be positive"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
