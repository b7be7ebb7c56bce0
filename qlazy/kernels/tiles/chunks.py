"""Matrices on disk as Zarr arrays, a file a chunk, each written at once and with a checksum of its own.

Zarr version 3, uncompressed (a kernel is close to random bits) with the codec crc32c; a chunk that has not
been written reads as NaN. The files are written by :func:`qlazy.base.storage.atomic_write`: a chunk that is there
is whole. Beside it, in ``seals``, lies a digest of its checksum, its place and the store's description, so that a
chunk of another place or store is told. A chunk without its seal was not finished.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.errors import ContainsArrayError, ContainsGroupError
from zarr.storage import LocalStore, MemoryStore

from qlazy.base.storage import atomic_create, atomic_write, digest_of_file
from qlazy.kernels.tiles.description import FILE, Description, read

CHECKSUM_BYTES = 4
SEALS = "seals"


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

    def __init__(self, array: zarr.Array[Any], root: Path, name: str) -> None:
        self.array = array
        self.name = name
        self.folder = root / name / "c"
        self._seals = root / SEALS / name
        self._store = digest_of_file(root / FILE)

    @classmethod
    def create(cls, root: Path, name: str) -> ChunkedMatrix:
        """Make the matrix as the store's description says, or open the one that another process has made."""
        if not (root / name / "zarr.json").exists():
            with suppress(ContainsArrayError):
                _make(DurableStore(root), name, read(root))
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
        if _described(array) != _described(_make(MemoryStore(), name, read(root))):
            raise ValueError(f"{path} is damaged: it describes another matrix than {root / FILE}")
        return cls(array, root, name)

    def path(self, i: int, j: int) -> Path:
        """The file of a chunk."""
        return self.folder / str(i) / str(j)

    def finished(self) -> set[tuple[int, int]]:
        """The chunks that are there, with their seals. Raises ValueError naming one of the wrong size."""
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
                if self._seal(row.name, entry.name).exists():
                    found.add((int(row.name), int(entry.name)))
        return found

    def read(self, i: int, j: int) -> NDArray[Any]:
        """A chunk, without its padding. Raises ValueError naming the file where it is damaged or missing."""
        if not self.path(i, j).exists():
            raise ValueError(f"{self.path(i, j)} is missing: the matrix is not finished; start it again")
        remedy = "Remove it and start again, to have it computed anew"
        if self._read_seal(i, j) != self._sealed(i, j):
            raise ValueError(f"{self.path(i, j)} is damaged or not the chunk of this place. {remedy}")
        try:
            return np.asarray(self.array.blocks[i, j])
        except ValueError as error:
            raise ValueError(f"{self.path(i, j)} is damaged: {error} {remedy}") from error

    def write(self, i: int, j: int, block: NDArray[Any]) -> None:
        """Write a chunk, then its seal."""
        self.array.blocks[i, j] = block
        with atomic_write(self._seal(i, j)) as file:
            file.write(self._sealed(i, j))

    def _seal(self, i: int | str, j: int | str) -> Path:
        return self._seals / str(i) / str(j)

    def _read_seal(self, i: int, j: int) -> bytes:
        path = self._seal(i, j)
        return path.read_bytes() if path.is_file() else b""

    def _sealed(self, i: int, j: int) -> bytes:
        """64 hexadecimal digits of a chunk's checksum, its place and its store."""
        with self.path(i, j).open("rb") as file:
            file.seek(-CHECKSUM_BYTES, os.SEEK_END)
            checksum = file.read().hex()
        return sha256(f"{self._store} {self.name} {i} {j} {checksum}".encode()).hexdigest().encode()


def _described(array: zarr.Array[Any]) -> str:
    return str(array.metadata.to_dict())  # as text: NaN, which is not yet written, equals itself there


def _make(store: Store, name: str, description: Description) -> zarr.Array[Any]:
    shape, chunk = description.matrices[name]
    return zarr.create_array(
        store, name=name, shape=shape, chunks=chunk, dtype=description.dtype, fill_value=np.nan,
        filters=(), compressors=Crc32cCodec(), config={"write_empty_chunks": True},
        dimension_names=("row", "column"),
    )  # fmt: skip


def describe(root: Path, attributes: dict[str, Any]) -> None:
    """Make the folder a Zarr group with these attributes, unless it is one. Raises ValueError where that is damaged."""
    try:
        with suppress(ContainsGroupError):
            zarr.create_group(DurableStore(root), attributes=attributes)
    except OSError:
        raise
    except Exception as error:  # as in ChunkedMatrix.open
        raise ValueError(f"{root / 'zarr.json'} is damaged: {error}") from error


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
