"""Matrices on disk as Zarr arrays, a file a chunk, each written at once and with a checksum of its own.

Zarr version 3, uncompressed (a kernel is close to random bits) with the codec crc32c; a chunk that has not
been written reads as NaN. The files are written by :func:`qlazy.base.storage.atomic_write`: a chunk that is there
is whole.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.errors import ContainsArrayError, ContainsGroupError
from zarr.storage import LocalStore

from qlazy.base.storage import atomic_create, atomic_write

CHECKSUM_BYTES = 4


@final
class DurableStore(LocalStore):
    """A folder in which every file is on the disk before it has its name."""

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await asyncio.to_thread(_write, self.root / key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._check_writable()
        with suppress(FileExistsError):
            await asyncio.to_thread(atomic_create, self.root / key, value.to_bytes())


def _write(path: Path, value: Buffer) -> None:
    with atomic_write(path) as file:
        file.write(value.as_buffer_like())


@final
class ChunkedMatrix:
    """One matrix of a store, read and written a chunk at a time."""

    def __init__(self, array: zarr.Array[Any], folder: Path) -> None:
        self.array = array
        self.folder = folder

    @classmethod
    def create(
        cls, root: Path, name: str, shape: tuple[int, int], chunk: tuple[int, int], dtype: str
    ) -> ChunkedMatrix:
        """Make the matrix, or open the one that another process has made in the meantime."""
        with suppress(ContainsArrayError):
            zarr.create_array(
                DurableStore(root), name=name, shape=shape, chunks=chunk, dtype=dtype, fill_value=np.nan,
                filters=(), compressors=Crc32cCodec(), config={"write_empty_chunks": True},
                dimension_names=("row", "column"),
            )  # fmt: skip
        return cls.open(root, name)

    @classmethod
    def open(cls, root: Path, name: str) -> ChunkedMatrix:
        """The matrix of that name. Raises ValueError naming a damaged or missing description."""
        path = root / name / "zarr.json"
        try:
            array = zarr.open_array(
                DurableStore(root), path=name, mode="r+", config={"write_empty_chunks": True}
            )
        except Exception as error:  # zarr raises nearly anything for JSON it does not understand
            raise ValueError(f"{path} is damaged or not there: {error}") from error
        return cls(array, root / name / "c")

    def path(self, i: int, j: int) -> Path:
        """The file of a chunk."""
        return self.folder / str(i) / str(j)

    def finished(self) -> set[tuple[int, int]]:
        """The chunks that are there. Raises ValueError naming one of the wrong size."""
        rows, columns = self.array.chunks
        size = rows * columns * self.array.dtype.itemsize + CHECKSUM_BYTES
        found = set()
        for row in _entries(self.folder):
            for entry in _entries(row.path):
                if not entry.name.isdecimal():
                    continue
                if entry.stat().st_size != size:
                    raise ValueError(f"{entry.path} is damaged: it must have {size} bytes, but has "
                                     f"{entry.stat().st_size}; remove it and start again")  # fmt: skip
                found.add((int(row.name), int(entry.name)))
        return found

    def read(self, i: int, j: int) -> NDArray[Any]:
        """A chunk, without its padding. Raises ValueError naming the file where it is damaged or missing."""
        if not self.path(i, j).exists():
            raise ValueError(f"{self.path(i, j)} is missing: the matrix is not finished; start it again")
        try:
            return np.asarray(self.array.blocks[i, j])
        except ValueError as error:
            raise ValueError(
                f"{self.path(i, j)} is damaged: {error} Remove it and start again, to have it computed anew"
            ) from error

    def write(self, i: int, j: int, block: NDArray[Any]) -> None:
        self.array.blocks[i, j] = block


def describe(root: Path, attributes: dict[str, Any]) -> None:
    """Make the folder a Zarr group with these attributes, unless it is one."""
    with suppress(ContainsGroupError):
        zarr.create_group(DurableStore(root), attributes=attributes)


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
