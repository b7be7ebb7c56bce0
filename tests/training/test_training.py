"""Training against closed forms of linear models and against bare torch.optim loops."""

from __future__ import annotations

import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import qlazy
from qlazy import Centered, Function, Model
from qlazy.base.errors import NotFiniteError, ZeroJacobianError
from qlazy.data.datasets import load_data
from qlazy.training.history import DivergedError
from qlazy.training.loop import RUNAWAY, Record, train
from qlazy.training.losses import CrossEntropy, Logistic, Loss, SquaredError
from qlazy.training.methods import LBFGS, SGD, Adam, GradientDescent, GradientFlow, Method, TorchOptimizer

N, D = 12, 5
METHODS = [
    GradientDescent(),
    SGD(0.1, 4),
    SGD(0.1, 4, momentum=0.9),
    Adam(0.05),
    LBFGS(),
    LBFGS(learning_rate=0.3, line_search=False),
    GradientFlow(3.0),
]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(outputs: int = 1) -> Function:
    return Function(lambda w, x: x @ w.reshape(D, outputs), D * outputs)


def tanh_net() -> Function:
    def f(w: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(x @ w[: 4 * D].reshape(D, 4)) @ w[4 * D :].reshape(4, 1)

    return Function(f, 4 * D + 4)


def problem(model: Model) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    return normal(model.num_params, seed=1), (normal(N, D, seed=2), normal(N, 1, seed=3).sign())


def kernel(x: Tensor) -> np.ndarray:
    return (x @ x.T).numpy()


@given(st.integers(0, 100), st.sampled_from([0.01, 1.0, 30.0, 1e5]), st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_gradient_descent_on_a_linear_model_is_a_matrix_power(seed: int, alpha: float, steps: int) -> None:
    # y_k - y* = (I - rate K/n)^k (y_0 - y*) for the outputs y = a h, whatever a: a test of the factor 1/a^2.
    x, y, w = normal(N, D, seed=seed), normal(N, 1, seed=seed + 1), normal(D, seed=seed + 2) / alpha
    trace = train(linear(), w, (x, y), steps=steps, alpha=alpha, method=GradientDescent(0.2))
    start = alpha * (x @ w).numpy()[:, None]
    for step, outputs in zip(trace.steps, trace.train_outputs, strict=True):
        power = np.linalg.matrix_power(np.eye(N) - 0.2 * kernel(x) / N, int(step))
        np.testing.assert_allclose(outputs, y.numpy() + power @ (start - y.numpy()), atol=1e-9)
    np.testing.assert_allclose(trace.times, 0.2 * trace.steps)


@pytest.mark.parametrize("solver", ["LSODA", "Radau", "BDF", "RK45", "DOP853"])
@pytest.mark.parametrize("alpha", [0.1, 1.0, 1e4])
def test_flow_on_a_linear_model_is_a_matrix_exponential(solver: Any, alpha: float) -> None:
    # y(t) - y* = exp(-t K/n) (y(0) - y*)
    x, y, w = normal(N, D), normal(N, 1, seed=1), normal(D, seed=2) / alpha
    trace = train(linear(), w, (x, y), steps=10, alpha=alpha, method=GradientFlow(2.5, solver, rtol=1e-7))
    np.testing.assert_allclose(trace.times, 0.25 * trace.steps)
    start = alpha * (x @ w).numpy()[:, None]
    for time, outputs in zip(trace.times, trace.train_outputs, strict=True):
        decay = scipy.linalg.expm(-time * kernel(x) / N)
        np.testing.assert_allclose(outputs, y.numpy() + decay @ (start - y.numpy()), atol=2e-6)


def test_flow_copes_with_a_stiff_kernel() -> None:
    # Eigenvalues from 1 to 1e8: an explicit solver would need some 1e8 evaluations up to time 1.
    x = torch.diag(torch.logspace(0, 4, D, dtype=torch.float64))
    calls = 0

    def f(w: Tensor, x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return (x @ w).unsqueeze(1)

    y = torch.ones(D, 1, dtype=torch.float64)
    trace = train(Function(f, D), 0 * y[:, 0], (x, y), steps=4, method=GradientFlow(float(D)))
    expected = 1 - np.exp(-trace.times[:, None] * np.diag(x @ x) / D)
    np.testing.assert_allclose(trace.train_outputs[..., 0], expected, atol=1e-5)
    assert calls < 2000


@pytest.mark.parametrize("method", [GradientDescent(0.3), SGD(0.1, 5, 0.9), LBFGS(), GradientFlow(3.0)])
def test_outputs_move_at_a_speed_that_does_not_grow_with_the_scale(method: Method) -> None:
    # Linear and started at zero, the path of a h is the same at every a, and w - w0 falls as 1/a.
    x, y = normal(N, D), normal(N, 1, seed=1)
    one, far = (train(linear(), 0 * x[0], (x, y), steps=20, alpha=a, method=method) for a in (1.0, 1e6))
    np.testing.assert_allclose(one.train_outputs, far.train_outputs, atol=1e-7)
    np.testing.assert_allclose(one.drift, 1e6 * far.drift, atol=1e-7)


def test_drift_of_a_centred_net_falls_as_one_over_the_scale() -> None:
    # Theorem 2.2 of Chizat, Oyallon, Bach 2019: sup ||w_a - w0|| = O(1/a), sup ||a h - a hbar|| = O(1/a).
    w, data = problem(tanh_net())
    model = Centered(tanh_net(), w)
    runs = [train(model, w, data, steps=50, alpha=a, method=GradientDescent(0.3)) for a in (1e2, 1e3, 1e4)]
    drifts = [run.drift[-1] for run in runs]
    assert drifts[0] / drifts[1] == pytest.approx(10, rel=0.1)
    assert drifts[1] / drifts[2] == pytest.approx(10, rel=0.01)
    np.testing.assert_allclose(runs[1].train_outputs, runs[2].train_outputs, atol=0.02)


Step = Callable[[torch.optim.Optimizer, Callable[[], Tensor]], None]


def bare_loop(make: Callable[[list[Tensor]], torch.optim.Optimizer], alpha: float, steps: int) -> np.ndarray:
    """What anybody would write: a torch.optim loop on R(a h(w)) / a^2, with R spelled out."""
    start, (x, y) = problem(tanh_net())
    w = start.clone().requires_grad_()
    optimizer = make([w])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = ((alpha * tanh_net()(w, x) - y) ** 2).sum() / (2 * N) / alpha**2
        loss.backward()
        return loss.detach()

    path = [w.detach().numpy().copy()]
    for _ in range(steps):
        optimizer.step(closure)
        path.append(w.detach().numpy().copy())
    return np.stack(path)


@pytest.mark.parametrize("alpha", [1.0, 7.0])
@pytest.mark.parametrize(
    ("method", "make"),
    [
        (GradientDescent(0.2), lambda w: torch.optim.SGD(w, lr=0.2)),
        (SGD(0.2, N, momentum=0.8), lambda w: torch.optim.SGD(w, lr=0.2, momentum=0.8)),
        (Adam(0.03), lambda w: torch.optim.Adam(w, lr=0.03)),
        (Adam(0.03, (0.8, 0.99), 1e-6), lambda w: torch.optim.Adam(w, 0.03, (0.8, 0.99), 1e-6)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Method) else "torch",
)
def test_methods_are_those_of_torch(method: Method, make: Any, alpha: float) -> None:
    w, data = problem(tanh_net())
    trace = train(tanh_net(), w, data, steps=15, alpha=alpha, method=method, record=Record(tuple(range(16))))
    np.testing.assert_allclose(trace.params, bare_loop(make, alpha, 15), atol=1e-12)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_is_that_of_torch(search: str | None) -> None:
    def make(w: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.LBFGS(w, lr=0.5, max_iter=1, max_eval=26, history_size=10, line_search_fn=search)

    w, data = problem(tanh_net())
    method = LBFGS(learning_rate=0.5, history=10, line_search=search is not None)
    trace = train(tanh_net(), w, data, steps=12, method=method, record=Record(tuple(range(13))))
    np.testing.assert_allclose(trace.params, bare_loop(make, 1.0, 12), atol=1e-9)


OPTIMIZERS: dict[str, Any] = {
    "AdamW": lambda w: torch.optim.AdamW(w, lr=0.03),
    "decayed momentum": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RMSprop": lambda w: torch.optim.RMSprop(w, lr=0.01),
    "NAdam": lambda w: torch.optim.NAdam(w, lr=0.02),
    "Rprop": torch.optim.Rprop,
    "LBFGS": lambda w: torch.optim.LBFGS(w, lr=0.3, max_iter=4),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_any_optimizer_is_a_plain_loop_of_torch(make: Any) -> None:
    w, data = problem(tanh_net())
    trace = train(tanh_net(), w, data, steps=20, method=make, record=Record(tuple(range(21))))
    np.testing.assert_allclose(trace.params, bare_loop(make, 1.0, 20), rtol=0, atol=1e-12)


@pytest.mark.parametrize("plateau", [False, True])
@pytest.mark.parametrize("batch_size", [None, 5])
def test_a_scheduler_a_loss_of_torch_and_batches_are_a_plain_loop(
    plateau: bool, batch_size: int | None
) -> None:
    def make(params: list[Tensor]) -> tuple[torch.optim.Optimizer, Any]:
        optimizer = torch.optim.AdamW(params, lr=0.2)
        schedules = torch.optim.lr_scheduler
        if plateau:
            return optimizer, schedules.ReduceLROnPlateau(optimizer, patience=0, threshold=0.2)
        return optimizer, schedules.StepLR(optimizer, 4, 0.5)

    start, (x, y) = problem(tanh_net())
    w = start.clone().requires_grad_()
    optimizer, scheduler = make([w])
    generator = torch.Generator().manual_seed(3)
    order: list[Tensor] = []
    for _ in range(20):
        order = order or list(torch.randperm(N, generator=generator).split(batch_size or N))
        rows = order.pop(0)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(tanh_net()(w, x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        scheduler.step(*([loss.item()] if plateau else []))
    assert optimizer.param_groups[0]["lr"] < 0.2
    method = TorchOptimizer(make, batch_size, seed=3)
    trace = train(tanh_net(), start, (x, y), steps=20, method=method, loss=torch.nn.MSELoss())
    np.testing.assert_allclose(trace.params[-1], w.detach().numpy(), rtol=0, atol=1e-12)
    assert (trace.learning_rate, trace.loss) == (0.2, "function MSELoss(reduction='mean')")


def worn_out(params: list[Tensor]) -> tuple[torch.optim.Optimizer, Any]:
    optimizer = torch.optim.SGD(params, lr=0.1)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=3)


UNABLE: dict[str, Any] = {
    "SparseAdam": torch.optim.SparseAdam,
    "Adam": lambda params: torch.optim.Adam(params, capturable=True),
    "SGD with OneCycleLR": worn_out,
}


@pytest.mark.parametrize("seeds", [1, 4])
@pytest.mark.parametrize("name", UNABLE)
def test_an_optimizer_that_cannot_step_is_refused_by_its_name(name: str, seeds: int) -> None:
    w, (x, y) = problem(tanh_net())
    data = qlazy.Dataset("d", x, y, x, y, (), "drawn")

    def one() -> object:
        return train(tanh_net(), w, (x, y), steps=8, method=UNABLE[name])

    def several() -> object:
        net = {"net": tanh_net()}
        return qlazy.compare(net, data, seeds=seeds, steps=8, method=UNABLE[name], progress=False)

    with pytest.raises(ValueError, match=f"`method` must be able to take every step, but is {name}, which"):
        one() if seeds == 1 else several()


@pytest.mark.parametrize("make", [torch.optim.LBFGS, torch.optim.Adam])
@pytest.mark.parametrize("calls", [4, 5, 9, 17])
def test_what_a_model_raises_within_a_step_is_not_laid_on_the_optimizer(make: Any, calls: int) -> None:
    left = iter(range(calls))

    class StopError(Exception): ...

    def breaks(params: Tensor, x: Tensor) -> Tensor:
        if next(left, None) is None:
            raise StopError
        return (x @ params).tanh().unsqueeze(1)

    model = Function(breaks, 3)
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(StopError):
        train(model, model.init(0), (x, x[:, :1]), steps=20, method=make)


@pytest.mark.parametrize(
    ("method", "make", "other"),
    [
        (GradientDescent(0.2), torch.optim.SGD, 0.2),
        (SGD(0.2, N, momentum=0.8), torch.optim.SGD, 0.2),
        (Adam(0.03 / 7, epsilon=0), torch.optim.Adam, 0.03),
    ],
)
def test_one_rate_serves_every_scale(method: Method, make: Any, other: float) -> None:
    """At a = 7 an optimiser of torch walks as our own: gradient descent at its rate, Adam at its rate over a."""
    w, data = problem(tanh_net())
    more = {"momentum": method.momentum} if isinstance(method, SGD) else {}
    more = {"eps": 0} if isinstance(method, Adam) else more
    mine, theirs = (
        train(tanh_net(), w, data, steps=15, alpha=7.0, method=m)
        for m in (method, lambda params: make(params, lr=other, **more))
    )
    np.testing.assert_allclose(theirs.params, mine.params, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Adam, "`method` must be such as GradientDescent\\(\\) or torch.optim.AdamW, but is a class, Adam"),
        (torch.optim.Adam([torch.zeros(1)]), "`method` must be such as"),
        (lambda params: 3, "`method` must be .*: `make` must make a torch.optim.Optimizer"),
        (lambda params: torch.optim.Adam([torch.zeros(1)]), "`make` must give the optimiser the tensor"),
        (lambda params: torch.optim.Adam(params, learning=1), "but raises TypeError"),
    ],
)
def test_what_makes_no_optimizer_is_refused(method: Any, words: str) -> None:
    w, data = problem(tanh_net())
    with pytest.raises(TypeError, match=words):
        train(tanh_net(), w, data, steps=1, method=method)


def test_arrays_of_numpy_are_taken_and_left_alone() -> None:
    w, (x, y) = problem(tanh_net())
    arrays = w.numpy().copy(), x.numpy().copy(), y.numpy().copy()
    trace = train(tanh_net(), arrays[0], arrays[1:], steps=5)
    np.testing.assert_array_equal(trace.params, train(tanh_net(), w, (x, y), steps=5).params)
    np.testing.assert_array_equal(arrays[0], w.numpy())
    with pytest.raises(ValueError, match=r"`y` must have shape \(12, 1\) \(`y\[:, None\]`\), but is \(12,\)"):
        train(tanh_net(), w, (x, y[:, 0]), steps=1)


def test_lbfgs_evaluates_nothing_twice() -> None:
    seen: list[bytes] = []

    def f(w: Tensor, x: Tensor) -> Tensor:
        if w.requires_grad:
            seen.append(w.detach().numpy().tobytes())
        return tanh_net()(w, x)

    w, data = problem(tanh_net())
    train(Function(f, len(w)), w, data, steps=10, method=LBFGS(line_search=False))
    assert len(seen) == len(set(seen)) == 11


def test_sgd_passes_over_every_sample_once_an_epoch() -> None:
    # With one parameter a sample and unit inputs, a step moves the parameters of its batch and no other.
    x, y = torch.eye(N, dtype=torch.float64), torch.ones(N, 1, dtype=torch.float64)
    model = Function(lambda w, x: (x @ w).unsqueeze(1), N)
    method = SGD(0.1, 5)
    trace = train(model, 0 * x[0], (x, y), steps=6, method=method, record=Record(tuple(range(7))))
    moved = np.diff(trace.params, axis=0) != 0
    assert moved.sum(1).tolist() == [5, 5, 2, 5, 5, 2]
    assert (moved[:3].sum(0) == 1).all()
    assert (moved[:3] != moved[3:]).any()


def test_sgd_depends_on_its_seed_alone() -> None:
    w, data = problem(tanh_net())
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002

    def final(seed: int) -> np.ndarray:
        return train(tanh_net(), w, data, steps=20, method=SGD(0.1, 3, seed=seed)).params[-1]

    first = final(0)
    torch.rand(3)
    assert (first == final(0)).all()
    assert (first != final(1)).any()
    torch.set_rng_state(states[0])
    final(2)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002


def test_the_default_rate_is_half_the_inverse_of_the_largest_eigenvalue() -> None:
    x, y = normal(N, D), normal(N, 1, seed=1)
    trace = train(linear(), normal(D), (x, y), steps=30, alpha=50.0)
    assert trace.learning_rate == pytest.approx(N / np.linalg.eigvalsh(kernel(x))[-1] / 2)
    assert repr(trace.learning_rate) in trace.method
    assert (np.diff(trace.train_loss) < 0).all()


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (SquaredError(), normal(N, 3)),
        (Logistic(), normal(N, 3).sign()),
        (CrossEntropy(), torch.eye(3, dtype=torch.float64)[torch.arange(N) % 3]),
    ],
    ids=repr,
)
def test_every_loss_falls_and_is_recorded_unscaled(loss: Loss, targets: Tensor) -> None:
    x, w = normal(N, D), normal(3 * D, seed=1)
    trace = train(linear(3), w, (x, targets), steps=50, alpha=5.0, loss=loss)
    assert (np.diff(trace.train_loss) < 0).all()
    assert trace.loss == loss.convention
    outputs = 5 * linear(3)(torch.tensor(trace.params[-1]), x)
    assert trace.train_loss[-1] == pytest.approx(loss(outputs, targets).item())
    np.testing.assert_allclose(trace.train_outputs[-1], outputs)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_no_steps_are_legal_and_params_are_left_alone(method: Method) -> None:
    w, data = problem(tanh_net())
    before = w.clone()
    trace = train(tanh_net(), w, data, steps=0, method=method)
    assert trace.steps.tolist() == [0]
    assert (trace.params[0] == before.numpy()).all()
    trace = train(tanh_net(), w, data, steps=3, method=method)
    assert trace.train_loss[-1] < trace.train_loss[0]
    assert torch.equal(w, before)
    assert not w.requires_grad


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_recording_and_watching_do_not_change_the_path(method: Method) -> None:
    w, data = problem(tanh_net())
    losses: dict[int, float] = {}
    plain = train(tanh_net(), w, data, steps=9, method=method)
    with torch.no_grad():
        watched = train(
            tanh_net(), w, data, steps=9, method=method, record=Record(at=(4,)), observer=losses.__setitem__
        )
    assert watched.steps.tolist() == [0, 4, 9]
    assert (watched.params == plain.params[[0, 4, 9]]).all()
    assert list(losses) == list(range(10))
    if not isinstance(method, SGD):
        np.testing.assert_allclose([losses[0], losses[4], losses[9]], watched.train_loss, rtol=1e-12)


@given(st.integers(0, 10**6), st.integers(2, 50))
def test_records_are_ordered_and_hold_both_ends(last: int, count: int) -> None:
    steps = Record(count=count).steps(last)
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, last)
    assert len(steps) <= count


def test_records_are_spaced_evenly_in_the_logarithm_of_the_step() -> None:
    """As many as were asked for, from two up: the ends alone are two, and not three."""
    assert Record(count=5).steps(1000) == [0, 1, 10, 100, 1000]
    assert Record(count=3).steps(1000) == [0, 1, 1000]
    assert Record(count=2).steps(1000) == [0, 1000]
    assert Record().steps(0) == [0]
    assert Record(count=50).steps(3) == [0, 1, 2, 3]
    assert Record(at=(3, 1)).steps(5) == [0, 1, 3, 5]


def test_a_dataset_brings_its_test_part_and_its_description() -> None:
    data = load_data("iris", classes=("setosa", "virginica"))
    model = Function(lambda w, x: (x @ w).unsqueeze(1), 4)
    trace = train(model, torch.zeros(4, dtype=torch.float64), data, steps=20, alpha=2.0)
    assert trace.test_outputs is not None
    assert trace.test_loss is not None
    assert trace.test_outputs.shape == (len(trace.steps), len(data.x_test), 1)
    residual = trace.test_outputs[-1] - data.y_test.numpy()
    assert trace.test_loss[-1] == pytest.approx((residual**2).mean() / 2)
    assert trace.notes["data"] == data.description
    assert {"qlazy", "torch", "numpy"} <= set(trace.versions)
    assert trace.dtype == "float64"


def test_divergence_names_its_step_and_loses_nothing() -> None:
    # One mode of eigenvalue 1 at rate 10: the residual is multiplied by -9, the loss by 81, at every step.
    x = torch.ones(1, 1, dtype=torch.float64)
    model = Function(lambda w, x: x @ w[:, None], 1)
    step = int(np.ceil(np.log(RUNAWAY) / np.log(81)))
    with pytest.raises(DivergedError, match=f"diverged at step {step}: `loss` must stay below") as caught:
        train(
            model, 0 * x[0], (x, x), steps=100, method=GradientDescent(10.0), record=Record(tuple(range(101)))
        )
    assert caught.value.step == step
    assert caught.value.trace is not None
    assert caught.value.trace.steps.tolist() == list(range(step))
    np.testing.assert_allclose(caught.value.trace.train_loss, 0.5 * 81.0 ** np.arange(step))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.step, str(copy)) == (step, str(caught.value))


@pytest.mark.parametrize(
    "method", [GradientDescent(1.0), SGD(1.0, 1), Adam(0.5), GradientFlow(10.0)], ids=repr
)
def test_nan_on_the_way_names_its_step(method: Method) -> None:
    # sqrt(w) towards -1: the parameter passes zero, after which the root is not a number.
    x = torch.ones(1, 1, dtype=torch.float64)
    model = Function(lambda w, x: x * w.sqrt(), 1)
    with pytest.raises(DivergedError, match=r"diverged at step [1-9].* must be finite") as caught:
        train(model, x[0], (x, -x), steps=20, method=method, record=Record(tuple(range(21))))
    assert caught.value.trace is not None
    assert caught.value.trace.steps.tolist() == list(range(caught.value.step))
    assert np.isfinite(caught.value.trace.params).all()


def test_a_start_next_to_the_solution_is_not_taken_for_divergence() -> None:
    # From a loss of 1e-20 Adam leaves by 1e15 times, and comes back: what counts is the loss of zero outputs.
    x, w = normal(N, D), normal(D, seed=1)
    trace = train(linear(), w + 1e-10, (x, linear()(w, x)), steps=5, method=Adam(0.01))
    assert trace.train_loss[1] > RUNAWAY * trace.train_loss[0]


def test_an_interrupt_passes_through() -> None:
    def interrupt(step: int, loss: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    w, data = problem(tanh_net())
    with pytest.raises(KeyboardInterrupt):
        train(tanh_net(), w, data, steps=10, observer=interrupt)


def refused(message: str, error: type[Exception] = ValueError, **changes: Any) -> None:
    w, (x, y) = problem(linear())
    settings = {"model": linear(), "params": w, "x": x, "y": y, "steps": 2, **changes}
    model, params = settings.pop("model"), settings.pop("params")
    data = settings.pop("data", (settings.pop("x"), settings.pop("y")))
    with pytest.raises(error, match=message):
        train(model, params, data, **settings)


def spoilt(tensor: Tensor, row: int) -> Tensor:
    return tensor.index_fill(0, torch.tensor(row), torch.nan)


def test_bad_input_is_refused() -> None:
    w, (x, y) = problem(linear())
    refused("`alpha` must be positive, but is -1.0", alpha=-1.0)
    refused("`alpha` must be positive", alpha=float("inf"))
    refused("`steps` must be a whole number, not negative, but is -1", steps=-1)
    refused("`steps` must be a whole number", steps=1.5)
    refused(r"`params` must have shape \(5,\)", params=w[:4])
    refused(r"`y` must have shape \(12, 1\).*, but is \(12,\)", y=y[:, 0])
    refused(r"`y` must have shape \(12, 1\)", y=y[:6])
    refused("`y` must have the dtype of params", y=y.float())
    refused("`x` must have the dtype of params", x=x.float())
    refused("`x` must hold at least one sample", x=x[:0], y=y[:0])
    refused(
        "`x` must be a torch tensor, or a NumPy array .*, but is of dtype object", x=x.numpy().astype(object)
    )
    refused("`data` must be a Dataset or a pair", data=x)
    refused(r"`at` must name steps from 0 to 2, but is \[3\]", record=Record(at=(1, 3)))
    refused("`targets` must be .1 or -1", y=3 * y, loss=Logistic())
    refused(r"`params` must be finite.*first at \(2,\)", NotFiniteError, params=spoilt(w, 2))
    refused(r"`x` must be finite.*first at \(1, 0\)", NotFiniteError, x=spoilt(x, 1))
    refused(r"`y` must be finite.*first at \(4, 0\)", NotFiniteError, y=spoilt(y, 4))
    refused("`params` must be float64 from alpha", alpha=1e4, params=w.float(), x=x.float(), y=y.float())
    refused(
        "`params` must be float64 for gradient flow",
        method=GradientFlow(1.0),
        params=w.float(),
        x=x.float(),
        y=y.float(),
    )


def test_float32_stays_float32() -> None:
    w, (x, y) = problem(tanh_net())
    trace = train(tanh_net(), w.float(), (x.float(), y.float()), steps=5, alpha=10.0)
    assert trace.params.dtype == trace.train_outputs.dtype == np.float32
    assert trace.dtype == "float32"


def test_a_model_cut_off_from_its_params_is_refused() -> None:
    model = Function(lambda w, x: (x @ w.detach()).unsqueeze(1), D)
    refused("`model` must pass gradients on", ZeroJacobianError, model=model, method=GradientDescent(0.1))
    refused("zero", ZeroJacobianError, model=model)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientDescent(0.0), "`learning_rate` must be positive"),
        (lambda: SGD(-1.0, 2), "`learning_rate` must be positive"),
        (lambda: SGD(0.1, 0), "`batch_size` must be a positive whole number"),
        (lambda: SGD(0.1, 2, momentum=1.0), "`momentum` must be"),
        (lambda: Adam(float("nan")), "`learning_rate` must be positive"),
        (lambda: LBFGS(history=0), "`history` must be a positive whole number"),
        (lambda: GradientFlow(0.0), "`horizon` must be positive"),
        (lambda: GradientFlow(1.0, "Euler"), "`solver` must be one of LSODA"),  # type: ignore[arg-type]
        (lambda: GradientFlow(1.0, rtol=0.0), "`rtol` must be positive"),
        (lambda: Record(count=1), "`count` must be at least 2"),
    ],
)
def test_bad_settings_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_no_module_hides_a_name_of_the_package() -> None:
    # Importing a submodule binds its name in the package: one called `train` would replace the function.
    modules = {module.name for module in pkgutil.iter_modules(qlazy.__path__)}
    assert modules.isdisjoint(qlazy.__all__)
