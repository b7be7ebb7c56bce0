"""Independent tasks in this process, on threads, in processes or on a Dask cluster; results as they come.

A task is ``function(shared, task)``. What all tasks share goes to every worker once. Nothing is scheduled here:
that is left to ``concurrent.futures``, joblib and Dask.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qlazy.errors import require

if TYPE_CHECKING:
    from distributed import Client

TaskFunction = Callable[[Any, Any], Any]
Results = Iterator[tuple[int, Any]]
"""Pairs (index of the task, its result), in the order in which tasks finish."""


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_workers(workers: int | None, client: Client | None) -> None:
    """Refuse impossible numbers of workers, and what is not a Dask client."""
    if workers is not None:
        require(client is None, "workers", "be absent where a client is given, which has its own", workers)
        require(isinstance(workers, int) and workers >= 1, "workers", "be a positive integer", workers)
    is_client = client is None or all(hasattr(client, name) for name in ("submit", "scatter", "cancel"))
    require(is_client, "client", "be a dask.distributed Client", type(client).__name__, TypeError)


def on_threads(function: TaskFunction, shared: Any, tasks: Sequence[Any], workers: int) -> Results:
    """Run tasks on threads of this process, or one after another where ``workers`` is 1."""
    if workers == 1:
        yield from ((index, function(shared, task)) for index, task in enumerate(tasks))
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="qlazy-task") as pool:
        futures = {pool.submit(function, shared, task): index for index, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def on_cluster(function: TaskFunction, shared: Any, tasks: Sequence[Any], client: Client) -> Results:
    """Run tasks on the workers of a Dask client, which need qlazy installed."""
    from distributed import as_completed as as_finished

    if not tasks:
        return
    handle = client.scatter(shared, broadcast=True, hash=False)
    futures = [client.submit(function, handle, task, pure=False) for task in tasks]
    places = {future.key: index for index, future in enumerate(futures)}
    try:
        for future, result in as_finished(futures, client.loop, with_results=True):
            yield places[future.key], result
    finally:
        client.cancel([*futures, handle])


@contextmanager
def connected(address: str | None) -> Iterator[Client | None]:
    """A client of the Dask scheduler at ``address``, such as tcp://host:8786; None without an address."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ImportError("a scheduler needs Dask: pip install 'qlazy-ntk[scale]'") from error
    with Client(address, timeout=CONNECT_SECONDS) as client:
        yield client


CONNECT_SECONDS = 10
