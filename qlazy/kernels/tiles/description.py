"""Which kernel a store holds: written once, before anything else, and compared whenever the store is used again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.storage import atomic_create, is_draft, read_as
from qlazy.base.version import __version__
from qlazy.kernels.tiles.grid import Grid
from qlazy.kernels.tiles.rules import JACOBIAN

FILE = "qlazy.json"
FORMAT = 3
KERNEL, LEFT, RIGHT = "kernel", "jacobian", "jacobian_y"
PROBES = 256  # entries of the kernel that are compared


@final
@dataclass(frozen=True)
class Description:
    """A kernel of shape (n c, m c) in tiles of ``tile`` samples, and what tells it from any other.

    ``told`` is of the model's code and settings and of the versions of libraries (:func:`qlazy.base.keys.told`).
    ``probe`` are entries of the kernel between a few samples, as a second lock.
    They agree to rounding, so that a store may be taken up on another machine with the same versions.
    """

    shape: tuple[int, int]
    outputs: int
    tile: int
    dtype: str
    rule: str
    num_params: int
    params: str
    x: str
    x2: str | None
    probe: tuple[float, ...]
    model: str
    told: str
    version: str = __version__
    format: int = FORMAT

    @property
    def grid(self) -> Grid:
        """The grid in rows and columns of the matrix."""
        return Grid(*self.shape, self.tile * self.outputs, self.x2 is None)

    @property
    def matrices(self) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
        """The shape and the chunk of each matrix in the store: the kernel, and the Jacobian where it is kept."""
        size, (rows, columns) = self.grid.size, self.shape
        found = {KERNEL: (self.shape, (size, size))}
        if self.rule == JACOBIAN:
            lengths = {LEFT: rows} if self.x2 is None else {LEFT: rows, RIGHT: columns}
            chunk = (size, self.num_params)
            found |= {name: ((length, self.num_params), chunk) for name, length in lengths.items()}
        return found

    @property
    def torch_dtype(self) -> torch.dtype:
        dtype = getattr(torch, self.dtype)
        assert isinstance(dtype, torch.dtype)
        return dtype


_COMPARED = ("shape", "outputs", "dtype", "tile", "rule", "num_params", "params", "x", "x2", "told")
_NAMES = {
    "x": "inputs x",
    "x2": "inputs x2",
    "num_params": "number of parameters",
    "told": "model's code and settings, and versions,",
}


def thinned(probe: Tensor) -> tuple[float, ...]:
    """At most PROBES entries of a kernel, spread over it."""
    entries = probe.flatten()
    return tuple(entries[:: -(-len(entries) // PROBES)].tolist())


def claim(folder: Path, mine: Description) -> None:
    """Make the folder the store of this kernel, or see that it is.

    Of two processes that begin at once one writes the description, and the other compares its own with that.
    """
    path = folder / FILE
    if not path.exists():
        others = [] if not folder.is_dir() else [p.name for p in folder.iterdir() if not is_draft(p)]
        new = not folder.exists() or (folder.is_dir() and set(others) <= {FILE})
        require(
            new, "store", f"be a new folder or hold a tiled kernel ({FILE})", f"{folder}, which is neither"
        )
        with suppress(FileExistsError):
            atomic_create(path, json.dumps(asdict(mine), indent=1, allow_nan=False).encode())
    _require_same(folder, mine, read(folder))


def read(folder: Path) -> Description:
    """The description in a store. Raises ValueError naming the file where it is damaged or of a later format."""
    path = folder / FILE
    try:
        contents = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(2, "not a tiled kernel, there is no file", str(path)) from None
    with read_as(path, "is damaged or not the description of a tiled kernel"):
        return _parsed(json.loads(contents.decode()))


def _parsed(values: Mapping[str, Any]) -> Description:
    require(values["format"] == FORMAT, "format", f"be {FORMAT}", values["format"])
    known = {entry.name: values[entry.name] for entry in fields(Description)}
    rows, columns = known.pop("shape")
    found = Description(
        shape=(int(rows), int(columns)), **{**known, "probe": tuple(map(float, known["probe"]))}
    )
    require(
        min(found.shape) > 0 and found.tile > 0 and found.outputs > 0, "sizes", "be positive", found.shape
    )
    found.torch_dtype  # noqa: B018 - refuses what is no dtype
    return found


def _require_same(folder: Path, mine: Description, theirs: Description) -> None:
    for name in _COMPARED:
        ours, found = getattr(mine, name), getattr(theirs, name)
        shown = "others" if isinstance(found, str) and len(found) == 64 else f"{found}, not {ours}"
        require(
            ours == found, "store", "hold the kernel of this model, params and inputs in these tiles",
            f"{folder}, whose {_NAMES.get(name, name)} are {shown}" if shown == "others"
            else f"{folder}, whose {_NAMES.get(name, name)} is {shown}",
        )  # fmt: skip
    close = np.allclose(mine.probe, theirs.probe, rtol=0, atol=_rounding(mine))
    require(
        close, "store", "hold the kernel of this model at these params",
        f"{folder}, of {theirs.model}, which computes another one",
    )  # fmt: skip


def _rounding(mine: Description) -> float:
    # Sums of p terms on another processor: far above rounding, far below any other model.
    scale = max(map(abs, mine.probe))
    return float(torch.finfo(mine.torch_dtype).eps) ** (2 / 3) * scale
