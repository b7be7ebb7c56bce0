"""Workers: results of every task once, errors as they are raised, on threads and on a Dask cluster."""

from __future__ import annotations

import sys
import threading

import pytest
import torch

from qlazy.base.execution import connected, in_processes, on_cluster, on_threads, require_workers


def power(base: int, exponent: int) -> int:
    if exponent < 0:
        raise ValueError(f"negative: {exponent}")
    return base**exponent


@pytest.mark.parametrize("workers", [1, 3])
def test_every_task_runs_once(workers):
    assert dict(on_threads(power, 2, range(20), workers)) == {i: 2**i for i in range(20)}
    assert not list(on_threads(power, 2, [], workers))


def test_a_cluster_gives_the_same(client):
    assert dict(on_cluster(power, 2, range(20), client)) == {i: 2**i for i in range(20)}
    assert not list(on_cluster(power, 2, [], client))


def test_processes_take_what_cannot_be_pickled_and_run_torch_as_this_one_does():
    def task(base: int, exponent: int) -> tuple[int, int]:
        return base**exponent, torch.get_num_threads()

    threads = torch.get_num_threads()
    assert dict(in_processes(task, 2, range(5), 2)) == {i: (2**i, threads) for i in range(5)}


def are_one(shared: list[object], places: tuple[int, int]) -> bool:
    return shared[places[0]] is shared[places[1]]


def test_what_tasks_share_stays_one_object_in_other_processes():
    """Runs whose models were copies of each other went other ways, to other last digits."""
    from distributed import Client, LocalCluster

    one = {"a model": 1}
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        assert dict(on_cluster(are_one, [one, one, dict(one)], [(0, 1), (0, 2)], client)) == {
            0: True,
            1: False,
        }
    assert dict(in_processes(are_one, [one, one, dict(one)], [(0, 1), (0, 2)], 2)) == {0: True, 1: False}


def test_errors_come_as_they_were_raised(client):
    for run in (
        lambda: on_threads(power, 2, [1, -1], 2),
        lambda: on_cluster(power, 2, [1, -1], client),
        lambda: in_processes(power, 2, [1, -1], 2),
    ):
        with pytest.raises(ValueError, match="negative: -1"):
            list(run())


def test_what_has_not_begun_is_given_up_after_an_error():
    begun, first = [], threading.Event()

    def task(_: None, index: int) -> None:
        begun.append(index)
        if index == 0:
            raise ValueError("the first")
        first.wait(0.01)

    with pytest.raises(ValueError, match="the first"):
        list(on_threads(task, None, range(1000), 2))
    assert len(begun) < 100


def test_connecting_to_a_scheduler(client, monkeypatch):
    with connected(None) as nobody:
        assert nobody is None
    with connected(client.scheduler.address) as other:
        assert dict(on_cluster(power, 3, [2], other)) == {0: 9}
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ImportError, match=r"pip install 'dask\[distributed\]'"),
        connected("tcp://127.0.0.1:1"),
    ):
        pass


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr("qlazy.base.execution.CONNECT_SECONDS", 0.2)
    with pytest.raises(OSError, match="127"), connected("tcp://127.0.0.1:1"):
        pass


def test_refused_workers(client):
    require_workers(None, client)
    with pytest.raises(ValueError, match="`workers` must be absent where a client is given"):
        require_workers(2, client)
    for workers in (0, -1, 1.5):
        with pytest.raises(ValueError, match="`workers` must be a positive integer"):
            require_workers(workers, None)
