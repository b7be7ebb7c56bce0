"""Formulas in NumPy: a tensor of formulas is an array of objects there, each the tensor of one element.

NumPy calls the operators and methods of such elements, ``a + b`` or ``a.sin()``, and what it makes of them becomes one
tensor again. What it computes with numbers alone, comparisons for instance, is no formula.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.torch_private import tree_map
from qlazy.quantum.pennylane.symbolic.carriers import Carrier, is_constant
from qlazy.quantum.pennylane.symbolic.elements import NotSymbolic

Objects = NDArray[np.object_]

OF_TORCH: dict[Any, Callable[..., Any]] = {
    np.where: torch.where,
    np.clip: torch.clamp,
    np.sign: torch.sign,
    np.real: lambda array: array.real,
    np.imag: lambda array: array.imag,
    np.angle: torch.angle,
    np.mean: torch.mean,
    np.std: functools.partial(torch.std, correction=0),
    np.var: functools.partial(torch.var, correction=0),
    np.max: torch.amax,
    np.min: torch.amin,
    np.sort: lambda array, axis=-1: torch.sort(array, dim=axis).values,
    np.argsort: torch.argsort,
    np.argmax: torch.argmax,
    np.argmin: torch.argmin,
    np.vdot: torch.vdot,
    np.zeros_like: torch.zeros_like,
    np.ones_like: torch.ones_like,
}
"""Functions of NumPy that look at numbers, or at types, by those of torch that do the same."""

OPERATORS = (
    *(f"__{how}{name}__" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow") for how in ("", "r")),
    *(f"__{name}__" for name in ("iadd", "isub", "imul", "itruediv", "matmul", "rmatmul", "gt", "ge", "lt", "le")),
)  # fmt: skip
"""Those of tensors that an array may stand beside."""


class Size(int):
    """How many elements there are, as an array says it; called, what a tensor says: the length of each axis."""

    shape: torch.Size

    @classmethod
    def of(cls, tensor: Tensor) -> Size:
        found = cls(tensor.numel())
        found.shape = tensor.shape
        return found

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


def goes_back(index: Any) -> bool:
    """Whether an index takes elements from the last to the first, which tensors do not."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, slice) and part.step is not None and part.step < 0 for part in parts)


def taking_arrays(operator: Callable[[Tensor, Any], Any]) -> Callable[[Tensor, Any], Any]:
    """The same operator of a tensor, with arrays too on its other side."""

    @functools.wraps(operator)
    def taking(tensor: Tensor, other: Any) -> Any:
        return operator(tensor, in_torch(other))

    return taking


def elements_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor as an array: of its numbers where they are constants, otherwise of objects."""
    if isinstance(tensor, Carrier) and is_constant(tensor):
        return tensor.numbers.numpy()
    found = np.empty(tensor.numel(), dtype=object)
    for place, element in enumerate(tensor.reshape(-1)):
        found[place] = element
    return found.reshape(tuple(tensor.shape))


def has_formulas(value: Any) -> bool:
    """Whether it is an array of objects some of which are formulas."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype.hasobject
        and any(isinstance(element, Carrier) for element in value.flat)
    )


def joined(array: Any) -> Any:
    """An array with formulas among its elements as one tensor; anything else as it is."""
    return stacked(array.tolist()) if has_formulas(array) else array


def in_torch(value: Any) -> Any:
    """An array as a tensor, in double precision where its numbers are not whole; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.hasobject:
        return joined(value)
    precise = {"f": np.float64, "c": np.complex128}.get(value.dtype.kind, value.dtype)
    return torch.from_numpy(np.array(value, dtype=precise, subok=False))


def called(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function of NumPy gives for tensors of formulas. Raises NotSymbolic where it does not take them."""
    name = f"NumPy's {getattr(function, '__name__', function)}"
    try:
        if function in OF_TORCH:
            return OF_TORCH[function](*tree_map(in_torch, args), **kwargs)
        return tree_map(joined, function(*tree_map(_in_numpy, args), **tree_map(_in_numpy, kwargs)))
    except (TypeError, ValueError, AttributeError) as error:
        raise NotSymbolic(f"{name} on weights or inputs") from error


def stacked(parts: Sequence[Any] | Any) -> Tensor:
    """Nested lists of numbers and tensors as one tensor."""
    if not isinstance(parts, list | tuple):
        return torch.as_tensor(parts)
    found = [stacked(part) if isinstance(part, list | tuple) else part for part in parts]
    dtypes = [part.dtype for part in found if isinstance(part, Tensor)]
    if any(isinstance(part, complex) for part in found):
        dtypes.append(torch.complex128)
    dtype = functools.reduce(torch.promote_types, dtypes) if dtypes else None
    return torch.stack([torch.as_tensor(part, dtype=dtype) for part in found])


def _in_numpy(value: Any) -> Any:
    return elements_of(value) if isinstance(value, Carrier) else value
