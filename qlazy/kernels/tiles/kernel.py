"""A tangent kernel on disk as a value: read a block at a time, every tile held to its checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from qlazy.base.errors import path_of, require, require_dtype, require_finite, whole_of
from qlazy.base.execution import progress_bar
from qlazy.base.memory import require_memory
from qlazy.kernels.iterative import leading_eigenpairs
from qlazy.kernels.operator import Eigenpairs
from qlazy.kernels.tiles.description import KERNEL, Description, read
from qlazy.kernels.tiles.grid import TilePlace

if TYPE_CHECKING:
    from qlazy.kernels.tiles.chunks import ChunkedMatrix


@final
@dataclass(frozen=True, eq=False, repr=False)
class TiledKernel:
    """A finished tangent kernel on disk, of shape (n c, m c), rows i*c + k. Made by :func:`qlazy.tiled_kernel`.

    ``@``, ``diagonal``, ``trace`` and blocks are read a tile at a time; every tile read is held to its checksum.
    The functions of :mod:`qlazy.kernels.lowrank` take it as they take a :class:`qlazy.TangentKernel`.
    """

    folder: Path
    """Where the store is."""
    description: Description
    """Its shape, dtype, tiles, and the key of what it was made of."""

    @classmethod
    def load(cls, store: str | os.PathLike[str]) -> TiledKernel:
        """The kernel in a store. Raises ValueError where it is damaged or not finished, OSError where there is none."""
        require_zarr()
        store = path_of("store", store)
        kernel = cls(Path(store).absolute(), read(Path(store)))
        missing = len(kernel.missing())
        require(
            missing == 0, "store", "hold a finished kernel (start tiled_kernel again to finish it)",
            f"{kernel.folder}, which lacks {missing} tiles",
        )  # fmt: skip
        return kernel

    @property
    def shape(self) -> tuple[int, int]:
        """(n c, m c): a row for each output of each sample of x, a column for each of x2."""
        return self.description.shape

    @property
    def outputs(self) -> int:
        """c."""
        return self.description.outputs

    @property
    def dtype(self) -> torch.dtype:
        """That of the parameters."""
        return self.description.torch_dtype

    @property
    def device(self) -> torch.device:
        """The CPU, on which tiles are read."""
        return torch.device("cpu")

    @property
    def is_symmetric(self) -> bool:
        """Whether it is the kernel of x with itself."""
        return self.description.grid.symmetric

    @property
    def array(self) -> Any:
        """The Zarr array, for other tools: ``dask.array.from_zarr(kernel.array)``."""
        return self._matrix.array

    def missing(self) -> list[TilePlace]:
        """The tiles that are to be computed still."""
        finished, grid = self._matrix.finished(), self.description.grid
        return [place for place in grid.computed() if not finished.issuperset(grid.copies(place))]

    def block(self, rows: slice, columns: slice) -> Tensor:
        """K[rows, columns] for slices without a step, as a tensor."""
        grid = self.description.grid
        rows, columns = (_bounded(s, size) for s, size in zip((rows, columns), self.shape, strict=True))
        result = torch.empty(rows.stop - rows.start, columns.stop - columns.start, dtype=self.dtype)
        if result.numel() == 0:
            return result
        for i, j in grid.covering(rows, columns):
            down, across = grid.row_slice(i), grid.column_slice(j)
            place = _shifted(_common(rows, down), rows), _shifted(_common(columns, across), columns)
            part = _shifted(_common(rows, down), down), _shifted(_common(columns, across), across)
            result[place] = self._tile(i, j)[part]
        return result

    def to_dense(self) -> Tensor:
        """The matrix in memory. Raises KernelTooLargeError where it does not fit."""
        require_memory(self.shape, torch.empty(0, dtype=self.dtype))
        return self.block(slice(None), slice(None))

    def __matmul__(self, right: Tensor) -> Tensor:
        """K v for v (m c,), or K V for V (m c, k): every tile is read once, of a symmetric kernel half of them."""
        rows, columns = self.shape
        require(
            right.ndim in (1, 2) and len(right) == columns, "right",
            f"have shape ({columns},) or ({columns}, k)", tuple(right.shape),
        )  # fmt: skip
        require_dtype("right", right, torch.empty(0, dtype=self.dtype), "the kernel")
        require_finite("right", right)
        grid = self.description.grid
        result = right.new_zeros(rows, *right.shape[1:])
        for i, j in grid.computed():
            tile, down, across = self._tile(i, j), grid.row_slice(i), grid.column_slice(j)
            result[down] += tile @ right[across]
            if grid.symmetric and i != j:
                result[across] += tile.T @ right[down]
        return result

    def diagonal(self) -> Tensor:
        """||J_ia||^2 for every sample and output, (n c,)."""
        self._require_symmetric("diagonal")
        return torch.cat([self._tile(i, i).diagonal() for i in range(self.description.grid.shape[0])])

    def trace(self) -> Tensor:
        """tr K, a scalar tensor."""
        return self.diagonal().sum()

    def eigh(self, k: int) -> Eigenpairs:
        """The ``k`` leading eigenpairs by block Lanczos: every step reads the store once. Raises NotConvergedError."""
        self._require_symmetric("eigh")
        size = self.shape[0]
        count = whole_of("k", k, 1)
        require(count <= size, "k", f"be at most the kernel's size {size}", k)
        like = torch.empty(0, dtype=self.dtype)
        return Eigenpairs(*leading_eigenpairs(lambda block: self @ block, size, count, like))

    def verify(self, *, progress: bool = True) -> None:
        """Read every tile: that it is there, holds to its checksum, is finite and mirrors its partner.

        Raises ValueError naming the first file that does not.
        """
        places = list(self.description.grid.computed())
        for place in progress_bar(places, unit="tile", desc="verify", progress=progress):
            for image in self.description.grid.copies(place):
                tile = self._tile(*image)
                path = self._matrix.path(*image)
                require(tile.isfinite().all(), str(path), "be finite", "not")
                mirrors = image == place or torch.equal(tile.T, self._tile(*place))
                require(mirrors, str(path), "mirror the tile across the diagonal", "another")

    def __repr__(self) -> str:
        return f"TiledKernel({self.folder}, shape={self.shape}, dtype={self.dtype})"

    @cached_property
    def _matrix(self) -> ChunkedMatrix:
        from qlazy.kernels.tiles.chunks import ChunkedMatrix

        return ChunkedMatrix.open(self.folder, KERNEL)

    def _tile(self, i: int, j: int) -> Tensor:
        return torch.from_numpy(self._matrix.read(i, j))

    def _require_symmetric(self, verb: str) -> None:
        require(
            self.is_symmetric, "x2", f"be absent for {verb}, which needs the kernel of x with itself", "given"
        )


def require_zarr() -> None:
    try:
        import zarr  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError("a tiled kernel needs the package zarr: pip install zarr") from error


def _bounded(part: slice, size: int) -> slice:
    start, stop, step = part.indices(size)
    require(step == 1, "block", "be slices without a step", part)
    return slice(start, max(start, stop))


def _common(one: slice, other: slice) -> slice:
    return slice(max(one.start, other.start), min(one.stop, other.stop))


def _shifted(part: slice, origin: slice) -> slice:
    return slice(part.start - origin.start, part.stop - origin.start)
