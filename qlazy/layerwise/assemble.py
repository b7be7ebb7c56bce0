"""Sum the kernels of all layers, a tile of samples at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from qlazy.layerwise.factors import AddTo, Factor

_TILE_ROWS = 256  # a tile between two outputs then stays in the processor's cache


def contract(left: Sequence[Factor], right: Sequence[Factor], kernel: Tensor, symmetric: bool) -> None:
    """Write the sum over layers of the kernels of ``left`` with ``right`` into ``kernel`` (n, c, m, c).

    ``symmetric`` says that both are factors of the same samples: half of the kernel is then copied.
    """
    outputs = kernel.shape[1]
    positions = max(factor.positions for factor in (*left, *right))
    size = max(1, min(_TILE_ROWS, 8 * _TILE_ROWS // positions))
    for rows in chunks(kernel.shape[0], size):
        for columns in chunks(kernel.shape[2], size):
            if symmetric and columns.start < rows.start:
                continue
            diagonal = symmetric and columns == rows
            tile = kernel.new_zeros(outputs, outputs, rows.stop - rows.start, columns.stop - columns.start)
            pairs = zip(left, right, strict=True)
            _fill(tile, [f.samples(rows).against(g.samples(columns)) for f, g in pairs], diagonal)
            kernel[rows, :, columns] = tile.permute(2, 0, 3, 1)
            if symmetric and not diagonal:
                kernel[columns, :, rows] = tile.permute(3, 1, 2, 0)


def chunks(length: int, size: int) -> Iterator[slice]:
    """Consecutive slices of ``size`` or less that cover ``length``."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


def _fill(tile: Tensor, layers: Sequence[AddTo], symmetric: bool) -> None:
    """Sum the layers into a tile (c, c, n, m), one pair of outputs after the other."""
    for a in range(len(tile)):
        for b in range(a if symmetric else 0, len(tile)):
            for add in layers:
                add(tile[a, b], a, b)
            if symmetric and a != b:
                tile[b, a] = tile[a, b].T
