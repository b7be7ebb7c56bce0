"""One Net in many threads at once: each computes with its own parameters."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import nn

from qlazy import Net, mlp
from qlazy.models.thread_copies import ReplicaPerThread, replica
from tests.makers import inputs, residual_net, rng

THREADS = 4


class Patient(nn.Module):
    """Gives other threads time to run between two uses of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.barrier = nn.Linear(3, 4), nn.Linear(4, 2), Barrier(THREADS)

    def __deepcopy__(self, memo):
        new = nn.Module.__new__(Patient)
        nn.Module.__init__(new)
        new.first, new.last = copy.deepcopy(self.first, memo), copy.deepcopy(self.last, memo)
        new.barrier = self.barrier
        return new

    def forward(self, x):
        hidden = self.first(x)
        self.barrier.wait(timeout=20)
        return self.last(torch.tanh(hidden))


def test_threads_that_meet_within_the_net():
    net, x = Net(Patient().double()), inputs(5, 3)
    draws = [torch.randn(net.num_params, generator=rng(seed), dtype=torch.float64) for seed in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda params: net(params, x), draws))
    plain = mlp([3, 4, 2])
    for params, outputs in zip(draws, found, strict=True):
        torch.testing.assert_close(outputs, plain(params, x), rtol=0, atol=0)


@pytest.mark.parametrize("what", ["__call__", "jacobian", "gram"])
def test_threads_that_run_freely(what):
    net, params, x = residual_net()
    draws = [params + seed for seed in range(40)]
    expected = [getattr(net, what)(w, x) for w in draws]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda w: getattr(net, what)(w, x), draws))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert torch.equal(net.params, Net(net.module).params)


def test_init_draws_the_same_in_every_thread():
    net = mlp([20, 50, 50, 1])
    with ThreadPoolExecutor(THREADS) as pool:
        draws = list(pool.map(lambda seed: net.init(rng(seed % 3)), range(60)))
    assert all(torch.equal(draw, net.init(rng(seed % 3))) for seed, draw in enumerate(draws))


def test_a_net_can_be_sent_to_another_process():
    net, params, x = residual_net()
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert torch.equal(other(params, x), net(params, x))


def test_a_replica_shares_tensors_and_nothing_else():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    one, other = replica(module), ReplicaPerThread(module).module
    for copied in (one, other):
        assert copied is not module
        assert copied[0] is not module[0]
        assert all(a is b for a, b in zip(copied.parameters(), module.parameters(), strict=True))
        assert all(a is b for a, b in zip(copied.buffers(), module.buffers(), strict=True))
