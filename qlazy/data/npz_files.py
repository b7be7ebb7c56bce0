"""NPZ files as tables: arrays with a row for each sample, by name."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from qlazy.base.errors import refuse, require
from qlazy.base.memory import available_bytes
from qlazy.base.storage import require_whole_array
from qlazy.data.columns import Table
from qlazy.data.labels import Labels


def read_npz(path: Path, target: str | None, chosen: Sequence[str | int]) -> Table:
    """The arrays of an NPZ file, with as many rows as ``target``, one of its keys: (n,) a column, (n, d) d of them.

    All are read unless some are ``chosen``.

    Columns of an array x (n, d) are called x[0], x[1], ... Pickled objects are refused, not read.

    Raises ValueError for what is no such file, an absent key and arrays of other shapes; OSError as reading does.
    """
    names = _members(path)
    if target not in names:
        known = f"be a key of {path.name}, of {', '.join(names) or 'none'}"
        refuse("target", known, "absent" if target is None else repr(target))
    parts = {one.partition("[")[0] for one in chosen if isinstance(one, str)} if chosen else set(names)
    wanted = [name for name in names if name == target or name in parts]
    arrays = {name: _array(path, name) for name in wanted}
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    like = arrays[target]
    must = f"hold a target {target} of shape (n,) or (n, c)"
    require(like.ndim in (1, 2) and like.size, path.name, must, f"of {shapes}")
    fits = all(array.ndim in (1, 2) and len(array) == len(like) and array.size for array in arrays.values())
    must = f"hold arrays of {len(like)} rows, as {target} (`columns` chooses some)"
    require(fits, path.name, must, f"of {shapes}")
    return _table(path, arrays)


def _table(path: Path, arrays: Mapping[str, Labels]) -> Table:
    columns: dict[str, Labels] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for name, array in arrays.items():
        lone = array.ndim == 1 or array.shape[1] == 1
        parts = (
            {name: array.reshape(-1)} if lone else {f"{name}[{j}]": part for j, part in enumerate(array.T)}
        )
        columns |= parts
        groups[name] = tuple(parts)
    return Table(path.name, columns, lambda row: f"row {row} (from 0)", groups)


def _members(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
    except zipfile.BadZipFile:
        refuse(path.name, "be an NPZ file, as numpy.savez writes one", "none")
    size, free = sum(one.file_size for one in members), available_bytes(torch.device("cpu"))
    must = f"fit in the {free / 2**30:.1f} GiB of memory available"
    require(2 * size <= free, path.name, must, f"of {size / 2**30:.1f} GiB")
    return tuple(one.filename.removesuffix(".npy") for one in members)


def _array(path: Path, name: str) -> Labels:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            require_whole_array(member, archive.getinfo(f"{name}.npy").file_size)
        with np.load(path, allow_pickle=False) as arrays:
            found = arrays[name]
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        must = f"hold arrays of numbers or texts, {name} among them; pickled objects are not read"
        refuse(path.name, must, f"another there ({error})")
    require(isinstance(found, np.ndarray), path.name, f"hold an array {name}", "other bytes there")
    return np.asarray(found)
