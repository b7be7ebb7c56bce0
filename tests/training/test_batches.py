"""Batches: all samples at once are full batch, bit for bit, and the linearised model takes the model's batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import qlazy
from qlazy.training.losses import Objective, SquaredError
from qlazy.training.methods import batches

PAIRS = {
    "sgd": (qlazy.GradientDescent(0.2), lambda b: qlazy.SGD(0.2, b, seed=3)),
    "adam": (qlazy.Adam(0.05), lambda b: qlazy.Adam(0.05, batch_size=b, seed=3)),
    "torch": (
        qlazy.TorchOptimizer(torch.optim.AdamW),
        lambda b: qlazy.TorchOptimizer(torch.optim.AdamW, batch_size=b, seed=3),
    ),
}


def problem(seed: int, samples: int) -> tuple[qlazy.Model, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 2, generator=generator, dtype=torch.float64)
    net = qlazy.mlp([2, 3, 1])
    return net, net.init(seed).double(), (x, x[:, :1].sign())


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("seed", "samples"), [(0, 5), (1, 8)])
def test_a_batch_of_all_samples_is_full_batch_bit_for_bit(name, seed, samples) -> None:
    full, batched = PAIRS[name]
    model, params, pair = problem(seed, samples)
    whole = qlazy.train(model, params, pair, method=full, steps=7)
    for size in (samples, samples + 3):
        parts = qlazy.train(model, params, pair, method=batched(size), steps=7)
        np.testing.assert_array_equal(parts.params, whole.params)
        np.testing.assert_array_equal(parts.train_loss, whole.train_loss)
    smaller = qlazy.train(model, params, pair, method=batched(2), steps=7)
    assert not np.array_equal(smaller.params, whole.params)


def test_each_epoch_takes_every_sample_once() -> None:
    model, _, (x, y) = problem(2, 7)
    source = batches(Objective(model, x, y, 1.0, SquaredError()), 3, seed=5)
    for _ in range(3):
        epoch = torch.cat([next(source).x for _ in range(3)])
        assert sorted(map(tuple, epoch.tolist())) == sorted(map(tuple, x.tolist()))


@pytest.mark.parametrize(
    "method", [qlazy.SGD(0.3, 4, seed=1), qlazy.Adam(0.05, batch_size=4, seed=1)], ids=["sgd", "adam"]
)
def test_a_linear_model_is_its_linearisation_on_the_same_batches(method) -> None:
    """On other batches, or in another order, the two paths would part at the first step."""
    data = qlazy.load_data("iris", classes=("setosa", "versicolor"), features=2, train=12, test=20)
    linear = qlazy.Function(lambda w, x: (x * w).sum(1, keepdim=True), 2)
    comparison = qlazy.compare(
        {"linear": linear}, data, alphas=(1.0, 10.0), seeds=(0, 1), method=method, steps=9, progress=False
    )
    for run in comparison.runs:
        np.testing.assert_allclose(run.linear_params, run.trace.params, rtol=1e-9, atol=1e-12)
        assert np.abs(run.trace.params - run.trace.params[0]).max() > 1e-3 / run.alpha


def test_adam_without_batches_is_written_as_before() -> None:
    """Folders of finished runs are found by it."""
    assert repr(qlazy.Adam(0.1)) == "Adam(learning_rate=0.1, betas=(0.9, 0.999), epsilon=1e-08)"
    batched = qlazy.Adam(0.1, batch_size=4, seed=2)
    assert eval(repr(batched), {"Adam": qlazy.Adam}) == batched
