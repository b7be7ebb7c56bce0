"""Sum the kernels of all layers, a tile of samples at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from qlazy.models.layerwise.factors import Factor

_TILE_ROWS = 256  # a tile then stays in the processor's cache


def contract(left: Sequence[Factor], right: Sequence[Factor], kernel: Tensor, symmetric: bool) -> None:
    """Write the sum over layers of the kernels of ``left`` with ``right`` into ``kernel`` (n, c, m, c).

    ``symmetric`` says that both are factors of the same samples: half of the kernel is then copied.
    """
    samples, outputs, others, _ = kernel.shape
    positions = max(factor.positions for factor in (*left, *right))
    size = max(1, min(_TILE_ROWS // outputs, 8 * _TILE_ROWS // positions))
    for rows in chunks(samples, size):
        for columns in chunks(others, size):
            if symmetric and columns.start < rows.start:
                continue
            block = kernel.new_zeros(kernel[rows, :, columns].shape)
            tile = block.flatten(2).flatten(0, 1)
            for f, g in zip(left, right, strict=True):
                f.samples(rows).add_kernel(g.samples(columns), tile)
            kernel[rows, :, columns] = block
            if symmetric and columns != rows:
                kernel[columns, :, rows] = block.permute(2, 3, 0, 1)


def chunks(length: int, size: int) -> Iterator[slice]:
    """Consecutive slices of ``size`` or less that cover ``length``."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
