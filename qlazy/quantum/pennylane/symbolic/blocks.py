"""Numbers that a function of torch makes of formulas, where no formula of their own is known.

Such a function, with its arguments, is a block; torch itself evaluates it, for one vector of arguments or many at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qlazy.base.torch_private import tree_flatten, tree_unflatten, vmap
from qlazy.quantum.pennylane.symbolic.carriers import Carrier, Formulas, formula, real_parts
from qlazy.quantum.pennylane.symbolic.elements import Complex, NotSymbolic
from qlazy.quantum.program.expression import Block, Entry

MAX_NUMBERS = 2**16  # that one operation without formulas may take


def entries(
    name: str, function: Callable[[Tensor], Tensor], arguments: Iterable[Any], size: int
) -> list[Entry]:
    """``size`` numbers that ``function``, (..., m) to (..., size), makes of m scalars."""
    block = Block(name, function, tuple(formula(argument) for argument in arguments))
    return [Entry(block, index) for index in range(size)]


def evaluated(
    func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], values: Any
) -> list[Formulas]:
    """The elements of what an operation without a rule gives, as numbers of a block."""
    leaves, spec = tree_flatten((args, kwargs))
    found, _ = tree_flatten(values)
    if not all(isinstance(value, Tensor) for value in found):
        raise NotSymbolic(f"torch operation {name} on weights or inputs")
    symbolic = [leaf for leaf in leaves if isinstance(leaf, Carrier)]
    parts = [part for leaf in symbolic for part in real_parts(leaf)]
    if len(parts) > MAX_NUMBERS:
        raise NotSymbolic(f"torch operation {name} on {len(parts)} numbers")
    sizes = [leaf.numel() * _reals(leaf.dtype) for leaf in symbolic]
    kinds = [(leaf.shape, leaf.dtype) for leaf in symbolic]

    def of_one(numbers: Tensor) -> Tensor:
        given = (_rebuilt(part, *kind) for part, kind in zip(numbers.split(sizes), kinds, strict=True))
        filled = [
            next(given) if isinstance(leaf, Carrier) else _in_precision(leaf, numbers) for leaf in leaves
        ]
        own_args, own_kwargs = tree_unflatten(filled, spec)
        with torch.enable_grad():
            results, _ = tree_flatten(func(*own_args, **own_kwargs))
        return torch.cat([_flattened(result).to(numbers.dtype) for result in results])

    options = str([None if isinstance(leaf, Carrier) else leaf for leaf in leaves])
    block = Block(name, partial(_on_all, of_one), tuple(parts), options)
    numbers = (Entry(block, index) for index in count())
    return [_elements(value, numbers) for value in found]


def _reals(dtype: torch.dtype) -> int:
    return 2 if dtype.is_complex else 1


def _on_all(function: Callable[[Tensor], Tensor], numbers: Tensor) -> Tensor:
    if numbers.ndim == 1:
        return function(numbers)
    return vmap(function)(numbers.flatten(0, -2)).unflatten(0, numbers.shape[:-1])


def _rebuilt(numbers: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    if dtype.is_complex:
        parts = numbers.reshape(*shape, 2)
        return torch.complex(parts[..., 0], parts[..., 1])
    return numbers.reshape(shape) if dtype.is_floating_point else numbers.reshape(shape).to(dtype)


def _in_precision(leaf: Any, like: Tensor) -> Any:
    """Constants, and dtypes to convert to, in the precision of the numbers."""
    if isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex()):
        return leaf.to(like.dtype.to_complex() if leaf.is_complex() else like.dtype)
    if isinstance(leaf, torch.dtype) and (leaf.is_floating_point or leaf.is_complex):
        return like.dtype.to_complex() if leaf.is_complex else like.dtype
    return leaf


def _flattened(result: Tensor) -> Tensor:
    return (torch.view_as_real(result.resolve_conj()) if result.is_complex() else result).reshape(-1)


def _elements(like: Tensor, numbers: Iterator[Entry]) -> Formulas:
    formulas = np.empty(like.numel(), dtype=object)
    for place in range(len(formulas)):
        formulas[place] = Complex(next(numbers), next(numbers)) if like.is_complex() else next(numbers)
    return formulas
