"""NPZ files as tables: arrays with a row for each sample, by name."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from qlazy.base.errors import refuse, require
from qlazy.base.memory import available_bytes
from qlazy.base.storage import require_whole_array
from qlazy.data.columns import Table, is_position
from qlazy.data.labels import Labels

INPUTS = ("x", "data", "inputs", "features", "images")
TARGETS = ("y", "target", "targets", "label", "labels")
"""How people call the arrays of a file, in letters of either case."""


class Pair(NamedTuple):
    """Keys of inputs and of their targets: one each, or that of the training part and that of the test part."""

    inputs: tuple[str, ...]
    target: tuple[str, ...]

    def left_out(self, names: Sequence[str]) -> tuple[str, ...]:
        """The other keys of a file."""
        return tuple(name for name in names if name not in (*self.inputs, *self.target))


def read_npz(path: Path, target: str | None, chosen: Sequence[str | int]) -> Table:
    """The arrays of an NPZ file, with as many rows as ``target``, one of its keys: (n,) a column, (n, ...) several.

    All are read unless some are ``chosen``. Without a target the names tell: inputs (x, data, inputs, features or
    images) and their targets (y, target, targets, label or labels), alone or each with _train and _test.

    Columns of an array x (n, d) are called x[0], x[1], ... and those of (n, k, l) likewise, counted through.
    Pickled objects are refused, not read.

    Raises ValueError for what is no such file, an absent key and arrays of other shapes; OSError as reading does.
    """
    names = _members(path)
    told = told_pair(names) if target is None else None
    if told is not None and len(told.target) == 2:
        return replace(_joined(path, told), left_out=told.left_out(names))
    if told is not None:
        table = read_npz(path, told.target[0], chosen or told.inputs)
        return replace(table, target=told.target, left_out=() if chosen else told.left_out(names))
    if target not in names:
        known = f"be a key of {path.name}, of {', '.join(names) or 'none'}"
        hint = f" (untold: one of {', '.join(TARGETS)} beside one of {', '.join(INPUTS)}, or both in _train and _test)"
        refuse("target", known + hint * (target is None), "absent" if target is None else repr(target))
    parts = {str(one).partition("[")[0] for one in chosen}
    if not chosen or any(is_position(one) for one in chosen if one not in names):
        parts = set(names)  # which positions count
    wanted = [name for name in names if name == target or name in parts]
    arrays = {name: _array(path, name) for name in wanted}
    _require_rows(path, target, arrays)
    return _table(path, arrays, _from_0)


def told_pair(names: Sequence[str]) -> Pair | None:
    """The inputs and the targets by what they are called; None where that leaves none, or a choice."""
    lowered = {name.lower(): name for name in names}
    parts = {}
    for low, name in lowered.items():
        stem, twin = re.sub("^train_?|_?train$", "", low), lowered.get(low.replace("train", "test"))
        if stem != low and twin is not None:
            parts[stem] = name, twin
    found = [_pair(keys) for keys in ({name: (name,) for name in names}, parts)]
    pairs = [pair for pair in found if pair is not None]
    return pairs[0] if len(pairs) == 1 else None


def _pair(keys: Mapping[str, tuple[str, ...]]) -> Pair | None:
    inputs, targets = (
        [parts for name, parts in keys.items() if name.lower() in known] for known in (INPUTS, TARGETS)
    )
    return Pair(inputs[0], targets[0]) if len(inputs) == len(targets) == 1 else None


def _joined(path: Path, pair: Pair) -> Table:
    """Training part and test part, one after the other."""
    parts = [{name: _array(path, name) for name in names} for names in zip(*pair, strict=True)]
    for part, target in zip(parts, pair.target, strict=True):
        _require_rows(path, target, part)
    arrays = {}
    for names in pair:
        train, test = (part[name] for part, name in zip(parts, names, strict=True))
        must = f"hold rows of one shape in {' and '.join(names)}"
        require(train.shape[1:] == test.shape[1:], path.name, must, f"of {train.shape} and {test.shape}")
        arrays[names[0]] = np.concatenate([train, test])
    count = len(parts[0][pair.target[0]])

    def where(row: int) -> str:
        return f"{_from_0(row)} of training" if row < count else f"{_from_0(row - count)} of test"

    return replace(_table(path, arrays, where), target=pair.target[:1], train=count)


def _from_0(row: int) -> str:
    return f"row {row} (from 0)"


def _require_rows(path: Path, target: str, arrays: Mapping[str, Labels]) -> None:
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    like = arrays[target]
    must = f"hold a target {target} of shape (n,) or (n, c)"
    require(like.ndim in (1, 2) and like.size, path.name, must, f"of {shapes}")
    fits = all(array.ndim and len(array) == len(like) and array.size for array in arrays.values())
    must = f"hold arrays of {len(like)} rows, as {target} (`columns` chooses some)"
    require(fits, path.name, must, f"of {shapes}")


def _table(path: Path, arrays: Mapping[str, Labels], where: Callable[[int], str]) -> Table:
    columns: dict[str, Labels] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for name, array in arrays.items():
        rows = array.reshape(len(array), -1)
        parts = {name if rows.shape[1] == 1 else f"{name}[{j}]": part for j, part in enumerate(rows.T)}
        columns |= parts
        groups[name] = tuple(parts)
    return Table(path.name, columns, where, groups)


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
