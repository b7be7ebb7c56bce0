"""The tasks of a tiled kernel: blocks of the Jacobian, then tiles. A task begun again writes the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import require_finite
from qlazy.kernels.tiles.chunks import ChunkedMatrix
from qlazy.kernels.tiles.description import KERNEL, LEFT, RIGHT
from qlazy.kernels.tiles.grid import Grid, TilePlace
from qlazy.kernels.tiles.rules import GRAM, gram_tile, jacobian_rows
from qlazy.models.model import Model

PIECE = 8  # tiles of a row that share the block on their left


class Strip(NamedTuple):
    """Some tiles of one row."""

    row: int
    columns: tuple[int, ...]


class Rows(NamedTuple):
    """A block of the Jacobian: of x, or of y."""

    name: str
    row: int


@final
@dataclass(frozen=True, eq=False)
class Job:
    """What every task needs: the store, and how the kernel is cut. The tasks that run the model get that as well."""

    root: Path
    grid: Grid
    rule: str
    outputs: int
    model: Model | None
    params: Tensor | None
    x: Tensor | None
    x2: Tensor | None

    def inputs(self, name: str, i: int) -> Tensor:
        """The samples of block i of the rows, or of the columns where ``name`` is RIGHT."""
        tensor = self.x2 if name == RIGHT else self.x
        assert tensor is not None
        samples = self.grid.size // self.outputs
        return tensor[i * samples : (i + 1) * samples]


def strips(places: Sequence[TilePlace]) -> Iterator[Strip]:
    """Tiles in tasks of at most PIECE, each within one row."""
    for row, group in groupby(places, lambda place: place[0]):
        columns = [j for _, j in group]
        for start in range(0, len(columns), PIECE):
            yield Strip(row, tuple(columns[start : start + PIECE]))


def write_jacobian(job: Job, task: Rows) -> None:
    """Compute one block of the Jacobian and write it."""
    assert job.model is not None and job.params is not None  # noqa: PT018
    block = jacobian_rows(job.model, job.params, job.inputs(task.name, task.row), job.outputs)
    require_finite("jacobian", block)
    _open(job, task.name).write(task.row, 0, block.numpy())


def write_tiles(job: Job, task: Strip) -> int:
    """Compute the tiles of a strip and write each, with its mirror image; returns how many."""
    kernel = _open(job, KERNEL)
    left = None if job.rule == GRAM else _block(job, LEFT, task.row)
    for column in task.columns:
        tile = _gram(job, task.row, column) if left is None else left @ _right(job, task, column, left).T
        require_finite("kernel", tile)
        on_diagonal = job.grid.symmetric and task.row == column
        # to the last bit, like the rest
        array = ((tile + tile.T) / 2 if on_diagonal else tile).numpy()
        kernel.write(task.row, column, array)
        if job.grid.symmetric and not on_diagonal:
            kernel.write(column, task.row, np.ascontiguousarray(array.T))
    return len(task.columns)


def _gram(job: Job, i: int, j: int) -> Tensor:
    assert job.model is not None and job.params is not None  # noqa: PT018
    x = job.inputs(LEFT, i)
    x2 = None if job.grid.symmetric and i == j else job.inputs(LEFT if job.grid.symmetric else RIGHT, j)
    return gram_tile(job.model, job.params, x, x2, job.outputs)


def _right(job: Job, task: Strip, column: int, left: Tensor) -> Tensor:
    if job.grid.symmetric and column == task.row:
        return left
    return _block(job, LEFT if job.grid.symmetric else RIGHT, column)


def _block(job: Job, name: str, i: int) -> Tensor:
    # A copy of its own: where a block lies in memory must not decide how it is multiplied.
    block: NDArray[Any] = _open(job, name).read(i, 0)
    return torch.from_numpy(block.copy())


def _open(job: Job, name: str) -> ChunkedMatrix:
    return ChunkedMatrix.open(job.root, name)
