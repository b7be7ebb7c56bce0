"""Tensors that carry the formula of every element, to learn what a QNode's angles are.

A QNode is run once on such tensors. Every torch operation on them acts on numbers and on an array of
:class:`Expression` side by side, so that each angle comes out as a formula of weights and inputs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import autoray
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.torch_private import (
    tree_flatten,
    tree_map,
    tree_unflatten,
    without_overrides,
    wrapper_subclass,
)
from qlazy.quantum.program.expression import Expression, Input, Stopped, as_expression, call

Formulas = NDArray[np.object_]

MAX_SIZE = 2000  # nodes of one formula; beyond it plain torch is the better evaluator


class NotSymbolic(Exception):
    """An operation that has no formula here: the circuit's structure depends on values, or it is too rich."""


class Printed:
    """A number without a formula, which can be printed but is no angle.

    PennyLane hashes operators by their rounded angles, for instance where it adds a noise model.
    """

    def __init__(self, name: str, *arguments: object) -> None:
        self._name, self._text = name, f"{name}{arguments}"

    def __repr__(self) -> str:
        return self._text

    def __float__(self) -> float:
        raise NotSymbolic(f"torch operation {self._name} on weights or inputs")

    def _with(self, other: object) -> Printed:
        return Printed(self._name, self._text, other)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _with


class Symbolic(Tensor):
    """A real tensor together with the formula of each element."""

    numbers: Tensor
    formulas: Formulas

    @staticmethod
    def __new__(cls, values: Tensor, formulas: Formulas) -> Symbolic:
        tensor = wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=values.dtype, device=values.device
        )
        tensor.numbers, tensor.formulas = values, formulas
        return tensor

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if stops_gradient(func):
            with without_overrides():
                return _stopped(func(*args, **(kwargs or {})))
        name = getattr(func, "__name__", "")
        if name in STRUCTURAL or (
            name in RULES and not kwargs
        ):  # what the operation of that name below means
            # Below __torch_function__ torch first imports its distributed tensors and SymPy: most of a second.
            return _with_formulas(func, name, args, dict(kwargs or {}))
        with without_overrides():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _with_formulas(func, func.overloadpacket.__name__, args, dict(kwargs or {}))

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Symbolic({self.formulas.tolist()})"


autoray.register_backend(Symbolic, "torch")


def symbols(name: str, values: Tensor) -> Symbolic:
    """The input ``name`` as a tensor: element k is the formula ``name[k]``, flat and row-major."""
    formulas = np.empty(values.shape, dtype=object)
    for index in range(values.numel()):
        formulas.flat[index] = Input(name, index, tuple(values.shape))
    return Symbolic(values, formulas)


def formula(angle: Any) -> Expression:
    """The formula of one scalar angle: symbolic, or a constant."""
    array = _formulas(angle)
    if np.size(array) != 1:
        raise NotSymbolic(f"an angle of shape {np.shape(array)}")
    return as_expression(np.asarray(array, dtype=object).reshape(-1)[0])


def stops_gradient(func: Any) -> bool:
    """Whether a call of ``func``, two frames up, is one of the QNode's author by which torch drops a gradient."""
    if not torch.is_grad_enabled():
        return True
    frame = sys._getframe(2)
    if func in STOPPING and frame.f_back and frame.f_globals.get("__name__") == WATCHING:
        frame = frame.f_back
    return func in STOPPING and frame.f_globals.get("__name__", "").split(".")[0] not in LIBRARIES


def _stopped(found: Any) -> Any:
    if not isinstance(found, Symbolic):
        return found
    return Symbolic(found.numbers, np.asarray(_stop(found.formulas), dtype=object))


def _values(argument: Any) -> Any:
    return argument.numbers if isinstance(argument, Symbolic) else argument


def _formulas(argument: Any) -> Any:
    if isinstance(argument, Symbolic):
        return argument.formulas
    if isinstance(argument, Tensor):
        if argument.is_complex():
            raise NotSymbolic("complex arithmetic on weights or inputs")
        return np.asarray(argument.tolist(), dtype=object)
    return argument


def _with_formulas(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values = func(*tree_map(_values, args), **tree_map(_values, kwargs))
    if name in STRUCTURAL:
        formulas = _rearranged(func, args, kwargs)
    elif name in RULES:
        formulas = [RULES[name](*map(_formulas, args), **kwargs)]
    else:
        raise NotSymbolic(f"torch operation {name} on weights or inputs")
    return _wrapped(values, formulas)


def _wrapped(values: Any, formulas: Iterable[Formulas]) -> Any:
    flat, spec = tree_flatten(values)
    tensors = []
    for value, array in zip(flat, formulas, strict=True):
        array = np.asarray(array, dtype=object).reshape(value.shape)
        if any(isinstance(f, Expression) and f.size > MAX_SIZE for f in array.flat):
            raise NotSymbolic(f"a formula of more than {MAX_SIZE} terms")
        tensors.append(Symbolic(value, array))
    return tree_unflatten(tensors, spec)


STOPPING = frozenset([Tensor.detach, Tensor.detach_, Tensor.data.__get__])  # type: ignore[attr-defined]
LIBRARIES = ("pennylane", "autoray")
"""Where a tensor is detached to look at its numbers, not to stop its gradient."""
WATCHING = "qlazy.quantum.pennylane.plain"
"""Where calls pass by that are looked at on their way."""

STRUCTURAL = frozenset(
    [
        "__getitem__",
        "view",
        "_unsafe_view",
        "reshape",
        "select",
        "slice",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "t",
        "expand",
        "clone",
        "detach",
        "alias",
        "cat",
        "stack",
        "index",
        "index_select",
        "repeat",
        "split",
        "split_with_sizes",
        "unbind",
        "flip",
        "roll",
        "diagonal",
        "_to_copy",
        "lift_fresh",
        "lift_fresh_copy",
        "movedim",
        "contiguous",
        "take",
        "gather",
        "tile",
        "unfold",
    ]
)
"""Operations that only move elements about."""


def _rearranged(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Formulas]:
    if func is Tensor.__getitem__ and _is_basic(args[1]):  # for thousands of angles from one tensor
        return [args[0].formulas[args[1]]]
    # Run on numbers 0, 1, 2, ... in place of the elements, an operation shows where each of them goes.
    pool: list[Any] = []

    def numbered(argument: Any) -> Any:
        if not isinstance(argument, Tensor) or not argument.is_floating_point():
            return argument
        start = len(pool)
        pool.extend(np.asarray(_formulas(argument), dtype=object).reshape(-1))
        return torch.arange(start, len(pool)).reshape(argument.shape)

    if kwargs.get("dtype") is not None and not kwargs["dtype"].is_floating_point:
        raise NotSymbolic(f"a conversion to {kwargs['dtype']}")
    plain = {key: value for key, value in kwargs.items() if key not in ("dtype", "layout", "pin_memory")}
    moved, _ = tree_flatten(func(*tree_map(numbered, args), **tree_map(numbered, plain)))
    elements = np.empty(len(pool), dtype=object)
    elements[:] = pool
    return [elements[indices.numpy()] for indices in moved]


def _is_basic(index: Any) -> bool:
    """Whether NumPy and torch take one element, or a view, by an index in the same way."""
    return all(
        type(i) in (int, slice) or i is Ellipsis for i in (index if type(index) is tuple else (index,))
    )


_stop = np.frompyfunc(lambda value: Stopped(value) if isinstance(value, Expression) else value, 1, 1)


def _call(function: str) -> Callable[[Any], Any]:
    return np.frompyfunc(lambda value: call(function, as_expression(value)), 1, 1)


def _remainder(array: Any, divisor: Any) -> Any:
    return np.frompyfunc(partial(Printed, "remainder"), 2, 1)(array, divisor)


def _round(array: Any, **options: Any) -> Any:
    def named(value: Any) -> Printed:
        return value if isinstance(value, Printed) else Printed("round", value, options)

    return np.frompyfunc(named, 1, 1)(array)


def _pow(base: Any, exponent: Any) -> Any:
    return base * base if np.isscalar(exponent) and exponent == 2 else base**exponent


def _sum(array: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    axis = None if not dim and dim != 0 else tuple(dim) if isinstance(dim, (list, tuple)) else dim
    return np.sum(array, axis=axis, keepdims=keepdim)


def _mean(array: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    total = np.asarray(_sum(array, dim, keepdim), dtype=object)
    return total / (array.size // max(total.size, 1))


RULES: dict[str, Callable[..., Any]] = {
    "add": lambda a, b, alpha=1: a + (b if alpha == 1 else alpha * b),
    "sub": lambda a, b, alpha=1: a - (b if alpha == 1 else alpha * b),
    "rsub": lambda a, b, alpha=1: b - (a if alpha == 1 else alpha * a),
    "__rsub__": lambda a, b: b - a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "__rdiv__": lambda a, b: b / a,
    "neg": lambda a: -a,
    "pow": _pow,
    "square": lambda a: a * a,
    "reciprocal": lambda a: 1 / a,
    "sum": _sum,
    "mean": _mean,
    "dot": np.dot,
    "mv": np.dot,
    "mm": np.dot,
    "matmul": np.matmul,
    "remainder": _remainder,
    "round": _round,
    "sin": _call("sin"),
    "cos": _call("cos"),
    "tan": _call("tan"),
    "asin": _call("arcsin"),
    "acos": _call("arccos"),
    "atan": _call("arctan"),
    "exp": _call("exp"),
    "log": _call("log"),
    "sqrt": _call("sqrt"),
}
