"""Each selector against what its scores are by definition, and the look-ahead slopes against differences."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import qlazy
from qlazy.data.labels import label_codes
from qlazy.kernels.operator import tangent_kernel
from qlazy.tasks.subset.agreement import KernelAgreement, ranks_in_class
from qlazy.tasks.subset.baselines import (
    AllExamples,
    KernelHerding,
    LeverageScores,
    RandomSubset,
    SmallLoss,
    TracIn,
    herd,
    leverage_scores,
)
from qlazy.tasks.subset.features import DataFeatures, KernelComponents
from qlazy.tasks.subset.host_cp import HostCP, validation_slopes
from qlazy.tasks.subset.labels import margins, top_by_class
from qlazy.tasks.subset.selector import Batch, Task, weighted_gradient
from qlazy.training.losses import CrossEntropy, SquaredError

SELECTORS = (
    AllExamples(),
    RandomSubset(),
    RandomSubset(fresh=True),
    SmallLoss(),
    TracIn(),
    LeverageScores(),
    KernelHerding(),
    KernelAgreement(),
    HostCP(),
    HostCP(features=KernelComponents(4), priced=True),
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def net_task(n: int = 24, count: int = 6) -> Task:
    model = qlazy.mlp([3, 5, 3])
    x = torch.randn(n + 10, 3, generator=generator(), dtype=torch.float64)
    y = torch.nn.functional.one_hot(x.argmax(1), 3).double()
    params = model.init(generator())
    return Task(model, params, x[:n], y[:n], CrossEntropy(), count, (x[n:], y[n:]))


def circuit_task(n: int = 12, count: int = 3) -> Task:
    model = qlazy.load_circuit("hardware_efficient", n=2, layers=2)
    x = torch.rand(n + 6, 2, generator=generator(3), dtype=torch.float64)
    signs = (x[:, :1] > x[:, 1:]).double() * 2 - 1
    y = signs.expand(-1, model(model.init(generator()), x[:1]).shape[1])[:, :1]
    one = qlazy.Function(lambda w, rows: model(w, rows)[:, :1], model.num_params)
    return Task(one, model.init(generator()), x[:n], y[:n], SquaredError(), count, (x[n:], y[n:]))


TASKS = {"net": net_task, "circuit": circuit_task}


def batch_of(task: Task, b: int = 8, count: int = 2, learning_rate: float = 0.3) -> Batch:
    return Batch(torch.arange(b) + 1, task.params, learning_rate, count, generator(1))


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("selector", SELECTORS, ids=repr)
def test_the_laws_of_a_selector(make, selector) -> None:
    """Weights are not negative, at most 1 together, on no more than may be kept; the same again gives the same."""
    task = make()
    batch = batch_of(task)
    results = []
    for _ in range(2):
        state = selector.start(task, generator())
        (scores, weights), after = selector.weigh(
            task, state, dataclasses.replace(batch, generator=generator(1))
        )
        assert scores.shape == weights.shape == (8,)
        assert scores.isfinite().all()
        assert (weights >= 0).all()
        results.append((scores, weights))
        assert set(after) == set(state)
        assert all(isinstance(tensor, torch.Tensor) for tensor in after.values())
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)
    if not isinstance(selector, (RandomSubset, LeverageScores, KernelHerding, KernelAgreement)):
        assert float(weights.sum()) == pytest.approx(1.0)
        if not isinstance(selector, AllExamples):
            assert (weights > 0).sum() <= batch.count


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_look_ahead_slopes_are_differences_of_the_validation_loss(make) -> None:
    """d L_val(theta - eta sum_j w_j grad l_j)/d w_j by autograd per sample and central differences."""
    task = make()
    batch = batch_of(task)
    weights = torch.rand(8, generator=generator(2), dtype=torch.float64)
    x, y = task.validation

    def single(j: int) -> torch.Tensor:
        params = task.params.clone().requires_grad_()
        rows = batch.index[j : j + 1]
        loss = task.loss(task.model(params, task.x[rows]), task.y[rows])
        return torch.autograd.grad(loss, params)[0]

    gradients = torch.stack([single(j) for j in range(8)])
    np.testing.assert_allclose(
        weighted_gradient(task, task.params, batch.index, weights), weights @ gradients, atol=1e-10
    )

    def held(w: torch.Tensor) -> float:
        with torch.no_grad():
            return float(task.loss(task.model(task.params - batch.learning_rate * w @ gradients, x), y))

    h = 1e-5
    steps = h * torch.eye(8, dtype=torch.float64)
    differences = [(held(weights + step) - held(weights - step)) / (2 * h) for step in steps]
    np.testing.assert_allclose(validation_slopes(task, batch, weights), differences, atol=1e-8)


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("priced", [False, True])
def test_host_cp_descends_the_validation_loss_after_the_step(make, priced) -> None:
    """One batch again and again, the model held where it is: the look-ahead loss falls, far from by chance."""
    task, selector = make(), HostCP(learning_rate=0.03, memory=0, priced=priced)
    batch, losses = batch_of(task, b=10, learning_rate=1.0), []
    state = selector.start(task, generator())
    for _ in range(25):
        (scores, _), state = selector.weigh(task, state, batch)
        step = weighted_gradient(task, task.params, batch.index, scores / scores.sum())
        with torch.no_grad():
            losses.append(
                float(task.loss(task.model(task.params - step, task.validation[0]), task.validation[1]))
            )
    slopes = validation_slopes(task, batch, torch.full((10,), 0.1, dtype=torch.float64))
    spread = float(slopes.max() - slopes.min())
    assert losses[-1] < losses[0] - 0.15 * spread


def test_leverage_is_the_hat_matrix_and_counts_the_dimensions() -> None:
    """Sum tr K(K+r)^-1: the rank as r -> 0; a linear model has x_i^T (X^T X)^-1 x_i."""
    x = torch.randn(12, 3, generator=generator(), dtype=torch.float64)
    scores = leverage_scores(x @ x.T, 1e-9)
    np.testing.assert_allclose(scores, (x @ torch.linalg.inv(x.T @ x) * x).sum(1), atol=1e-6)
    assert float(scores.sum()) == pytest.approx(3.0, abs=1e-6)
    twice = torch.kron(x @ x.T, torch.eye(2, dtype=torch.float64))
    np.testing.assert_allclose(leverage_scores(twice, 1e-9, outputs=2), 2 * scores, atol=1e-6)


def test_herding_is_greedy_and_takes_everyone_once() -> None:
    kernel = torch.randn(9, 4, generator=generator(), dtype=torch.float64)
    kernel = kernel @ kernel.T
    order = herd(kernel).tolist()
    assert sorted(order) == list(range(9))
    for m in range(8):
        gain = kernel.mean(1) - kernel[:, order[:m]].sum(1) / (m + 1)
        rest = [i for i in range(9) if i not in order[:m]]
        assert order[m] == max(rest, key=lambda i: float(gain[i]))


def test_small_loss_and_tracin_are_what_they_say() -> None:
    task = net_task()
    batch = batch_of(task)
    (scores, _), _ = SmallLoss().weigh(task, {}, batch)
    rows = [slice(i, i + 1) for i in batch.index.tolist()]
    losses = [float(task.loss(task.model(task.params, task.x[r]), task.y[r])) for r in rows]
    np.testing.assert_allclose(-scores, losses, atol=1e-12)
    (scores, _), _ = TracIn().weigh(task, {}, batch)
    slopes = validation_slopes(task, batch, torch.zeros(8, dtype=torch.float64))
    np.testing.assert_allclose(scores, -slopes / batch.learning_rate, atol=1e-12)


def test_agreement_finds_shifted_labels() -> None:
    task = net_task(n=80, count=20)
    wrong = torch.arange(80) % 3 == 0
    shifted = task.y.clone()
    shifted[wrong] = shifted[wrong].roll(1, dims=1)
    state = KernelAgreement().start(dataclasses.replace(task, y=shifted), generator())
    chosen = state["scores"].argsort(descending=True)[:20]
    assert float(wrong[chosen].double().mean()) <= 0.1


def test_features() -> None:
    """Data: standardised. Tangent kernel: orthonormal, and spanning what the centred kernel spans."""
    task = net_task()
    data = DataFeatures().of(task)
    np.testing.assert_allclose(data.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(data.square().mean(0), 1, atol=1e-12)
    features = KernelComponents(5).of(task)
    np.testing.assert_allclose(features.T @ features / 24, torch.eye(5), atol=1e-9)
    blocks = tangent_kernel(task.model, task.params, task.x).gram()
    kernel = torch.einsum("iaja->ij", blocks)
    centering = torch.eye(24, dtype=torch.float64) - 1 / 24
    top = torch.linalg.eigvalsh(centering @ kernel @ centering)[-5:].sum()
    assert float((features.T @ kernel @ features / 24).trace()) == pytest.approx(float(top), rel=1e-9)


@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5), share=st.floats(0.01, 1.0))
def test_choices_by_class_are_proportional(sizes, share) -> None:
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    targets = torch.nn.functional.one_hot(labels, len(sizes)).double()
    if len(sizes) == 2:
        targets = targets[:, 1:] - targets[:, :1]
    count = max(1, round(share * len(labels)))
    scores = torch.rand(len(labels), generator=generator(len(labels)), dtype=torch.float64)
    chosen = top_by_class(scores, targets, count)
    assert len(chosen.unique()) == count
    assert (scores[chosen].diff() <= 0).all()
    for label, size in enumerate(sizes):
        taken = chosen[labels[chosen] == label]
        assert abs(len(taken) - count * size / len(labels)) < 1
        others = torch.tensor(sorted(set((labels == label).nonzero()[:, 0].tolist()) - set(taken.tolist())))
        if len(taken) and len(others):
            assert scores[taken].min() >= scores[others.long()].max()


def test_codes_margins_and_ranks() -> None:
    signs = torch.tensor([[1.0], [-1.0]])
    assert label_codes(signs).tolist() == [[0, 1], [1, 0]]
    assert margins(torch.tensor([[0.3], [0.4]]), signs).tolist() == pytest.approx([0.3, -0.4])
    one_hot = torch.eye(3)[:2]
    outputs = torch.tensor([[0.5, 0.1, 0.7], [0.0, 2.0, 1.0]])
    assert margins(outputs, one_hot).tolist() == pytest.approx([-0.2, 1.0])
    ranks = ranks_in_class(torch.tensor([0.1, 0.9, 0.5, 0.7]), torch.tensor([0, 0, 1, 1]))
    assert ranks.tolist() == [1.0, 0.5, 1.0, 0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeverageScores(0.0), "`ridge` must be positive"),
        (lambda: KernelComponents(0), "`components` must be positive"),
        (lambda: KernelAgreement(1.5), "`agreeing` must be more than 0 and at most 1"),
        (lambda: HostCP(gamma=-1.0), "`gamma` must be positive"),
        (lambda: HostCP(learning_rate=float("nan")), "`learning_rate` must be positive"),
        (lambda: HostCP(hidden=0), "`hidden` must be positive"),
        (lambda: HostCP(memory=-1), "`memory` must not be negative"),
    ],
)
def test_refused_settings(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("selector", [HostCP(), TracIn()])
def test_trusted_examples_are_asked_for(selector) -> None:
    task = dataclasses.replace(net_task(), validation=None)
    with pytest.raises(ValueError, match=f"`validation` must be given for {type(selector).__name__}"):
        selector.weigh(task, selector.start(task, generator()), batch_of(task))
