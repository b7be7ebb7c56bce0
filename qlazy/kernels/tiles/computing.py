"""Computing a tangent kernel into a store, tile by tile, from where it stopped."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from qlazy.base.errors import path_of, require, require_finite, require_flag, whole_of
from qlazy.base.execution import cores, on_cluster, on_threads, progress_bar, require_workers
from qlazy.base.keys import digest, told
from qlazy.base.storage import remove_stale_drafts
from qlazy.kernels.operator import TangentKernel
from qlazy.kernels.tiles.description import LEFT, RIGHT, Description, claim, read, thinned
from qlazy.kernels.tiles.kernel import TiledKernel, require_zarr
from qlazy.kernels.tiles.rules import JACOBIAN, gram_tile, rule_for
from qlazy.models.model import Model, refuse_zero_jacobian
from qlazy.models.wrappers import Centered

if TYPE_CHECKING:
    from qlazy.base.execution import Client

TILE_ROWS = 1024
"""Rows of a tile unless told: 8 MiB of float64."""
_PROBED = 4  # samples whose kernel tells one model from another


def tiled_kernel(
    model: Model,
    params: Tensor,
    x: Tensor | NDArray[np.generic],
    x2: Tensor | NDArray[np.generic] | None = None,
    *,
    store: str | os.PathLike[str],
    tile: int | None = None,
    workers: int | None = None,
    client: Client | None = None,
    allow_zero: bool = False,
    key: str | None = None,
    progress: bool = True,
) -> TiledKernel:
    """Compute the tangent kernel K = J(x) J(y)^T, (n c, m c), into the Zarr store ``store``, tile by tile.

    Arguments are those of :func:`qlazy.tangent_kernel`, rows i*c + k. A tile is the kernel between ``tile``
    samples and ``tile`` others, by default as many as give 1024 rows. Memory is a few tiles a worker, whatever n.
    Without ``x2`` the tiles above the diagonal are computed, and mirrored. Where the Jacobian (n c, p) is smaller
    than the kernel it is computed once, kept in the store, and a tile is a product of two of its blocks; a net gives
    its tiles layer by layer.

    Killed at any moment and started again it does what is missing, and the store holds the same bits as an
    uninterrupted one. Two processes may work on one store. ``workers`` are threads, one for each core unless told
    (with ``torch.set_num_threads(1)`` they do not wait for each other); with a Dask ``client`` the work is done by
    its workers, on whatever machines, which need to see the store under the same path.

    A model that cannot be told from others (:func:`qlazy.compare`) is computed into a new store only, unless ``key``, a
    text of your own, stands for it.

    Raises ValueError where the store holds another kernel or a damaged file, naming it; OSError where it cannot be
    written; TypeError, NotFiniteError, ZeroJacobianError and ValueError as :func:`qlazy.tangent_kernel`; ImportError
    without zarr.
    """
    require_zarr()
    require_workers(workers, client)
    require_flag("progress", progress)
    operator = TangentKernel(model, params, x, x2, allow_zero=allow_zero)
    folder = path_of("store", store).absolute()
    description = _describe(operator, tile, key)
    claim(folder, description)
    remove_stale_drafts(folder)
    _prepare(folder, description)
    _fill(folder, description, operator, cores() if workers is None else workers, client, progress)
    return TiledKernel(folder, read(folder))


def _describe(kernel: TangentKernel, tile: int | None, key: str | None) -> Description:
    tile = None if tile is None else whole_of("tile", tile, 1, "be a positive integer")
    supported = kernel.dtype in (torch.float64, torch.float32)
    require(supported, "params", "be float64 or float32 for a tiled kernel", kernel.dtype)
    samples = max(1, TILE_ROWS // kernel.outputs) if tile is None else tile
    probe = _probe(kernel)
    require_finite("kernel", probe)
    require(
        torch.equal(probe, _probe(kernel)),
        "model",
        "compute the same kernel twice",
        "random, from shots perhaps",
    )
    if not probe.any() and not kernel.allow_zero:
        refuse_zero_jacobian(kernel.model, kernel.params, kernel.x, kernel.outputs)
    return Description(
        shape=kernel.shape,
        outputs=kernel.outputs,
        tile=min(samples, max(len(kernel.x), 0 if kernel.x2 is None else len(kernel.x2))),
        dtype=str(kernel.dtype).removeprefix("torch."),
        rule=rule_for(kernel.model, *kernel.shape),
        num_params=kernel.model.num_params,
        params=digest(kernel.params),
        x=digest(kernel.x),
        x2=None if kernel.x2 is None else digest(kernel.x2),
        probe=thinned(probe),
        model=repr(kernel.model),
        told=told("model", _uncentered(kernel.model), kernel.x, list, key) or secrets.token_hex(16),
    )


def _uncentered(model: Model) -> Model:
    """The model inside, whose kernel is the same."""
    while isinstance(model, Centered):
        model = model.model
    return model


def _probe(kernel: TangentKernel) -> Tensor:
    x, x2 = (None if t is None else t[_spread(len(t))] for t in (kernel.x, kernel.x2))
    assert x is not None
    return gram_tile(kernel.model, kernel.params, x, x2, kernel.outputs)


def _spread(samples: int) -> Tensor:
    return torch.linspace(0, samples - 1, min(samples, _PROBED)).round().long()


def _prepare(folder: Path, description: Description) -> None:
    """Make the arrays of the store, unless they are there."""
    from qlazy.kernels.tiles.chunks import ChunkedMatrix, describe

    describe(
        folder,
        {"qlazy": {"kernel": "J(x) J(y)^T", "model": description.model, "outputs": description.outputs}},
    )
    for name in description.matrices:
        ChunkedMatrix.create(folder, name)


def _fill(
    folder: Path,
    description: Description,
    kernel: TangentKernel,
    workers: int,
    client: Client | None,
    progress: bool,
) -> None:
    """Compute what is missing: the Jacobian's blocks where they are kept, then tiles."""
    from qlazy.kernels.tiles.chunks import ChunkedMatrix
    from qlazy.kernels.tiles.work import Job, Rows, strips, write_jacobian, write_tiles

    grid = description.grid
    missing = TiledKernel(folder, description).missing()
    job = Job(
        folder, grid, description.rule, kernel.outputs, kernel.model, kernel.params, kernel.x, kernel.x2
    )
    by_products = description.rule == JACOBIAN
    if missing and by_products:
        sides = zip((LEFT,) if description.x2 is None else (LEFT, RIGHT), grid.shape, strict=False)
        blocks = [
            Rows(name, i)
            for name, count in sides
            for i in sorted(set(range(count)) - {i for i, _ in ChunkedMatrix.open(folder, name).finished()})
        ]
        with _bar(len(blocks), "Jacobian", "block", progress) as bar:
            for _ in _run(write_jacobian, job, blocks, workers, client):
                bar.update()
        job = Job(folder, grid, description.rule, kernel.outputs, None, None, None, None)
    tasks = list(strips(missing))
    total = sum(1 for _ in grid.computed())
    with _bar(total, "kernel", "tile", progress, total - len(missing)) as bar:
        for _, count in _run(write_tiles, job, tasks, workers, client):
            bar.update(count)


def _run(function: Any, job: Any, tasks: Sequence[Any], workers: int, client: Client | None) -> Iterator[Any]:
    return (
        on_threads(function, job, tasks, workers)
        if client is None
        else on_cluster(function, job, tasks, client)
    )


def _bar(total: int, what: str, unit: str, progress: bool, initial: int = 0) -> tqdm[Any]:
    return progress_bar(total=total, initial=initial, desc=what, unit=unit, progress=progress)
