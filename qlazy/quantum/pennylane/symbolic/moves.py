"""Operations that only move elements about, and so the formulas with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qlazy.base.torch_private import tree_flatten, tree_map
from qlazy.quantum.pennylane.symbolic.carriers import Carrier, Formulas, formulas_of

STRUCTURAL = frozenset({
    "__getitem__", "view", "_unsafe_view", "reshape", "select", "slice", "squeeze", "unsqueeze", "permute", "transpose",
    "t", "expand", "clone", "detach", "alias", "cat", "stack", "index", "index_select", "repeat", "split",
    "split_with_sizes", "unbind", "flip", "roll", "diagonal", "_to_copy", "lift_fresh", "lift_fresh_copy", "movedim",
    "contiguous", "resolve_conj", "resolve_neg", "take", "gather", "tile", "unfold",
})  # fmt: skip
"""Operations that only move elements about."""

INDEXING = frozenset(["__getitem__", "index", "index_select", "gather", "take"])
"""Those of them that take places, which must not be formulas."""


def only_moves(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether no element changes its kind, nor is any chosen by a value."""
    leaves, _ = tree_flatten(args[1:] if name in INDEXING else ())
    if any(isinstance(leaf, Carrier) for leaf in leaves):
        return False
    dtype, source = kwargs.get("dtype"), args[0] if args else None
    if dtype is None or not isinstance(source, Tensor):
        return True
    return bool(dtype.is_complex or (dtype.is_floating_point and not source.is_complex()))


def rearranged(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Formulas]:
    """The elements of each result. Run on numbers 0, 1, 2, ... in their place, an operation shows where each goes."""
    pool: list[Any] = []

    def numbered(argument: Any) -> Any:
        if not isinstance(argument, Tensor) or not (
            isinstance(argument, Carrier) or argument.is_floating_point() or argument.is_complex()
        ):
            return argument
        start = len(pool)
        pool.extend(np.asarray(formulas_of(argument), dtype=object).reshape(-1))
        return torch.arange(start, len(pool)).reshape(argument.shape)

    plain = {key: value for key, value in kwargs.items() if key not in ("dtype", "layout", "pin_memory")}
    moved, _ = tree_flatten(func(*tree_map(numbered, args), **tree_map(numbered, plain)))
    elements = np.empty(len(pool), dtype=object)
    elements[:] = pool
    return [elements[indices.numpy()] for indices in moved]


def is_basic(index: Any) -> bool:
    """Whether NumPy and torch take one element, or a view, by an index in the same way."""
    parts = index if type(index) is tuple else (index,)
    return all(type(i) is int or i is Ellipsis or _is_forward(i) for i in parts)


def _is_forward(part: Any) -> bool:
    return (
        type(part) is slice
        and all(i is None or type(i) is int for i in (part.start, part.stop))
        and not part.step
    )
