"""Workers of a cluster and its scheduler die in the middle of a comparison: the files are those of a quiet one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import qlazy
from tests.killing import drafts, finished_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills by SIGKILL"),
    pytest.mark.filterwarnings("ignore"),  # of connections that break: they are meant to
]
RUNS = 24


def sweep(folder: Path, client: Any = None) -> qlazy.Comparison:
    data = qlazy.load_data("digits", features=3, train=12, test=12)
    nets = {f"net {width}": qlazy.mlp([3, width, 1]) for width in range(2, 6)}
    return qlazy.compare(
        nets, data, alphas=(1, 10, 100), seeds=2, steps=200, out=folder, client=client, progress=False
    )  # fmt: skip


def finished(folder: Path) -> int:
    return len(list(folder.glob("runs/*/run.npz")))


@contextmanager
def after_the_first_runs(folder: Path, act: Callable[[], object]) -> Iterator[list[int]]:
    """Act once some runs are finished; the list holds how many there were, or nothing where it never came to it."""
    found: list[int] = []

    def wait() -> None:
        end = time.monotonic() + 300
        while time.monotonic() < end:
            if count := finished(folder):
                found.append(count)
                act()
                return
            time.sleep(0.005)

    watch = threading.Thread(target=wait)
    watch.start()
    try:
        yield found
    finally:
        watch.join()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("quiet")
    assert len(sweep(folder).runs) == RUNS
    return finished_files(folder)


@pytest.fixture
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster


def test_a_worker_is_killed(quiet: dict[str, bytes], cluster: Any, tmp_path: Path) -> None:
    from distributed import Client

    victim = next(iter(cluster.workers.values())).process.pid

    def kill() -> None:
        os.kill(victim, signal.SIGKILL)

    with Client(cluster, set_as_default=False) as client, after_the_first_runs(tmp_path, kill) as then:
        comparison = sweep(tmp_path, client)
    assert then
    assert then[0] < RUNS, "all was done before the worker died"
    assert len(comparison.runs) == RUNS
    assert finished_files(tmp_path) == quiet
    assert not drafts(tmp_path)


SCHEDULER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        print(cluster.scheduler_address, *(nanny.process.pid for nanny in cluster.workers.values()), flush=True)
        sys.stdin.readline()
"""


@contextmanager
def scheduler_of_its_own() -> Iterator[tuple[str, Callable[[], None]]]:
    """A scheduler with two workers in other processes: its address, and what kills all three."""
    import subprocess
    import sys

    with subprocess.Popen(
        [sys.executable, "-c", SCHEDULER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address, *workers = process.stdout.readline().split()

        def kill() -> None:
            process.kill()
            for worker in workers:
                os.kill(int(worker), signal.SIGKILL)

        try:
            yield address, kill
        finally:
            with_lines = process.poll() is None
            if with_lines:
                process.communicate("\n", timeout=60)


def test_the_scheduler_is_killed_and_another_takes_up(quiet: dict[str, bytes], tmp_path: Path) -> None:
    from distributed import Client

    with scheduler_of_its_own() as (address, kill):
        client = Client(address, set_as_default=False, timeout=60)
        with after_the_first_runs(tmp_path, kill) as then, pytest.raises(Exception):  # noqa: B017 - Dask's own
            sweep(tmp_path, client)
        client.close(timeout=1)
    assert then
    assert then[0] <= finished(tmp_path) < RUNS
    with scheduler_of_its_own() as (address, _), Client(address, set_as_default=False) as client:
        comparison = sweep(tmp_path, client)
    assert len(comparison.runs) == RUNS
    assert finished_files(tmp_path) == quiet
    assert not drafts(tmp_path)
