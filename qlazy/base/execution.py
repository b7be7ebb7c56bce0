"""Independent tasks in this process, on threads, in processes or on a Dask cluster; results as they come.

A task is ``function(shared, task)``. What all tasks share is unpacked once by every worker. Nothing is scheduled
here: that is left to ``concurrent.futures``, joblib and Dask. Workers run torch on as many threads as this process
does, so that the numbers are those of this process, bit for bit.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require, whole_of

if TYPE_CHECKING:
    from distributed import Client as Client
    from tqdm.auto import tqdm

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
        fits = whole_of("workers", workers, 1, "be a positive integer") < 2**31
        require(fits, "workers", "be a positive integer", workers)
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


def in_processes(function: TaskFunction, shared: Any, tasks: Sequence[Any], workers: int) -> Results:
    """Run tasks in processes of this machine, which start anew: no `if __name__ == "__main__"` is needed."""
    import torch
    from joblib import Parallel, delayed, parallel_config

    threads = torch.get_num_threads()
    name, packed = _packed(function, shared)
    calls = (delayed(_in_process)(name, packed, threads, index, task) for index, task in enumerate(tasks))
    with parallel_config(backend="loky", inner_max_num_threads=threads):
        yield from Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)(calls)


_unpacked: dict[str, tuple[TaskFunction, Any]] = {}
_unpacking = threading.Lock()


def _packed(function: TaskFunction, shared: Any) -> tuple[str, NDArray[np.uint8]]:
    """A function and what all tasks share in one piece, with its name: objects that are one stay one.

    An array rather than bytes: joblib puts a large one where all workers map it.
    """
    import cloudpickle

    packed = np.frombuffer(cloudpickle.dumps((function, shared)), np.uint8)
    return sha256(packed.tobytes()).hexdigest(), packed


def _unpack(name: str, packed: NDArray[np.uint8]) -> tuple[TaskFunction, Any]:
    """What was packed, unpacked once by every worker."""
    with _unpacking:
        if name not in _unpacked:
            _unpacked.clear()
            _unpacked[name] = pickle.loads(packed.tobytes())
        return _unpacked[name]


def _in_process(name: str, packed: NDArray[np.uint8], threads: int, index: int, task: Any) -> tuple[int, Any]:
    import torch

    torch.set_num_threads(threads)  # of this worker, which is ours alone
    function, shared = _unpack(name, packed)
    return index, function(shared, task)


def on_cluster(function: TaskFunction, shared: Any, tasks: Sequence[Any], client: Client) -> Results:
    """Run tasks on the workers of a Dask client, which need qlazy installed."""
    import torch
    from distributed import as_completed as as_finished

    if not tasks:
        return
    name, packed = _packed(function, shared)  # Dask takes lists apart, and then what runs share are copies
    handle = client.scatter(packed, broadcast=True, hash=False)
    threads = torch.get_num_threads()
    futures = [client.submit(_on_worker, name, handle, task, threads, pure=False) for task in tasks]
    places = {future.key: index for index, future in enumerate(futures)}
    try:
        for future, result in as_finished(futures, client.loop, with_results=True):
            yield places[future.key], result
    finally:
        client.cancel([*futures, handle])


def _on_worker(name: str, packed: NDArray[np.uint8], task: Any, threads: int) -> Any:
    import torch

    function, shared = _unpack(name, packed)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return function(shared, task)
    finally:
        torch.set_num_threads(before)


@contextmanager
def connected(address: str | None) -> Iterator[Client | None]:
    """A client of the Dask scheduler at ``address``, such as tcp://host:8786; None without an address."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ImportError("a scheduler needs Dask: pip install 'dask[distributed]'") from error
    with Client(address, timeout=CONNECT_SECONDS) as client:
        yield client


CONNECT_SECONDS = 10


def require_package(package: str, what: str) -> None:
    """Refuse what needs a package that is not installed, before any work. Raises ImportError with the remedy."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"{what} needs the package {package}: pip install {package}")


def progress_bar(steps: Iterable[Any] | None = None, *, progress: bool, **options: Any) -> tqdm[Any]:
    """A bar of tqdm where somebody watches, on a terminal and in a notebook; nothing where stderr is redirected."""
    from tqdm.auto import tqdm

    in_notebook = any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__)
    is_watched = in_notebook or bool(getattr(sys.stderr, "isatty", lambda: False)())
    return tqdm(steps, disable=not (progress and is_watched), **options)
