"""Tensors of formulas: every torch operation acts on numbers and on formulas side by side.

A result has formulas of its own where the operation only moves elements (``moves``) or has a rule (``rules``), and is
otherwise a block (``blocks``), which torch evaluates when the formulas are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import autoray
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.torch_private import tree_flatten, tree_map, tree_unflatten, without_overrides
from qlazy.quantum.pennylane.symbolic.arrays import (
    OPERATORS,
    Size,
    called,
    elements_of,
    goes_back,
    joined,
    taking_arrays,
)
from qlazy.quantum.pennylane.symbolic.blocks import evaluated
from qlazy.quantum.pennylane.symbolic.carriers import (
    Carrier,
    Formulas,
    complex_formulas_of,
    formulas_of,
    is_constant,
    numbers_of,
)
from qlazy.quantum.pennylane.symbolic.detaching import stops_gradient
from qlazy.quantum.pennylane.symbolic.elements import NotSymbolic, Printed, size_of, stopped
from qlazy.quantum.pennylane.symbolic.moves import STRUCTURAL, is_basic, only_moves, rearranged
from qlazy.quantum.pennylane.symbolic.rules import COMPLEX, RULES
from qlazy.quantum.program.expression import Input

MAX_SIZE = 2000  # nodes of one formula; beyond it plain torch is the better evaluator

WRITING = frozenset(["__setitem__", "add_", "sub_", "mul_", "div_", "neg_", "clamp_", "pow_"])
"""Operations that write into a tensor."""

READING = frozenset(["_local_scalar_dense", "item", "equal", "is_nonzero", "set_"])
"""Operations that give plain numbers."""

IMPURE = {torch.Tag.nondeterministic_seeded, torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class TooRich(Exception):
    """A formula of more than MAX_SIZE terms."""


class Symbolic(Carrier):
    """A tensor on which torch's operations give tensors of formulas again."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if stops_gradient(func):
            with without_overrides():
                return without_gradient(func(*args, **(kwargs or {})))
        name = getattr(func, "__name__", "")
        if name == "numpy":
            if not is_constant(args[0]):
                raise NotSymbolic("NumPy on weights or inputs")
            return args[0].numbers.numpy()
        if name == "__getitem__" and goes_back(args[1]):
            places = np.arange(args[0].numel()).reshape(args[0].shape)[args[1]]
            return args[0].reshape(-1)[torch.from_numpy(places.copy())]
        if name in STRUCTURAL or name in WRITING or (name in RULES and not kwargs):
            # The operation of that name means the same in __torch_dispatch__, but on the way there torch imports its
            # distributed tensors and SymPy when first called: most of a second.
            return _with_formulas(func, name, args, dict(kwargs or {}))
        with without_overrides():
            return func(*args, **(kwargs or {}))

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return called(function, args, kwargs)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return joined(array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(elements_of(self), dtype=dtype)

    radians, degrees, conjugate = Tensor.deg2rad, Tensor.rad2deg, Tensor.conj

    @property
    def size(self) -> Size:
        return Size.of(self)

    def view(self, *form: Any) -> Tensor:
        return self if form and isinstance(form[0], type) else super().view(*form)

    def astype(self, dtype: Any, **_: Any) -> Tensor:
        """An array's, which a QNode written for NumPy calls."""
        known = dtype if isinstance(dtype, torch.dtype) else torch.from_numpy(np.empty(0, dtype)).dtype
        return self.to(known)

    def copy(self) -> Tensor:
        """An array's."""
        return self.clone()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _with_formulas(func, func.overloadpacket.__name__, args, dict(kwargs or {}))


autoray.register_backend(Symbolic, "torch")
for operator in OPERATORS:
    setattr(Symbolic, operator, taking_arrays(getattr(Tensor, operator)))


def symbols(name: str, values: Tensor) -> Symbolic:
    """The input ``name`` as a tensor: element k is the formula ``name[k]``, flat and row-major."""
    formulas = np.empty(values.shape, dtype=object)
    for index in range(values.numel()):
        formulas.flat[index] = Input(name, index, tuple(values.shape))
    return Symbolic(values, formulas)


def without_gradient(found: Any) -> Any:
    """The same tensor of formulas, whose derivatives are zero; anything else as it is."""
    if not isinstance(found, Symbolic):
        return found
    return Symbolic(found.numbers, np.asarray(_stop(found.formulas), dtype=object))


_stop = np.frompyfunc(stopped, 1, 1)


def _with_formulas(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the operation gives, with formulas; plain numbers and changes in place where it gives those."""
    if func is Tensor.__getitem__ and args[0].is_floating_point() and is_basic(args[1]):
        # Thousands of angles come from one tensor: on the way below each would look at all of its elements.
        whole, place = args
        return _sharing(_wrapped(whole.numbers[place], [whole.formulas[place]]), [whole])
    if name in WRITING:
        return _written(name, args, kwargs)
    if name in READING:
        if all(map(is_constant, (part for part in args if isinstance(part, Symbolic)))):
            return func(*tree_map(numbers_of, args), **kwargs)
        raise NotSymbolic("Python numbers or branches made of weights or inputs")
    tensors, _ = tree_flatten((args, kwargs))
    _check_pure(func, name, tensors)
    values = func(*tree_map(numbers_of, args), **tree_map(numbers_of, kwargs))
    is_real = all(not _is_complex(part) for part in [*tensors, *tree_flatten(values)[0]])
    try:
        if name in STRUCTURAL and only_moves(name, args, kwargs):
            return _sharing(_wrapped(values, rearranged(func, args, kwargs)), tensors)
        if is_real and name in RULES:
            return _wrapped(values, [RULES[name](*map(formulas_of, args), **kwargs)])
        if not is_real and name in COMPLEX:
            return _wrapped(values, [COMPLEX[name](*map(complex_formulas_of, args), **kwargs)])
    except TooRich:
        pass
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        if any(isinstance(f, Printed) for part in tensors for f in np.ravel(formulas_of(part))):
            raise NotSymbolic(f"torch operation {name} on weights or inputs") from error
    return _wrapped(values, evaluated(func, name, args, kwargs, values))


def _check_pure(func: Any, name: str, tensors: Iterable[Any]) -> None:
    """Refuse what writes into its arguments, gives shapes that depend on values, or draws at random."""
    schema, tags = getattr(func, "_schema", None), set(getattr(func, "tags", ()))
    if name in ("__getitem__", "index"):
        bad = any(isinstance(t, Symbolic) and t.dtype == torch.bool for t in tensors)
    else:
        bad = bool(tags & IMPURE) or (schema is not None and schema.is_mutable)
    if bad:
        raise NotSymbolic(f"torch operation {name} on weights or inputs")


def _is_complex(part: Any) -> bool:
    return isinstance(part, complex) or (isinstance(part, Tensor) and part.is_complex())


def _written(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``mul_`` and the like on a tensor that shares its numbers with no other: the tensor gets other formulas."""
    target, *others = args
    if not isinstance(target, Symbolic) or len(target.kin) > 1:
        raise NotSymbolic(f"torch operation {name} on a part of weights or inputs")
    if name == "__setitem__":
        place, value = others
        numbers, formulas = target.numbers.clone(), target.formulas.copy()
        numbers[place] = numbers_of(value)
        places = torch.arange(numbers.numel()).reshape(numbers.shape)[place].numpy()
        flat = formulas.reshape(-1)
        flat[places] = np.broadcast_to(np.asarray(formulas_of(value), dtype=object), places.shape)
        target.numbers, target.formulas = numbers, flat.reshape(formulas.shape)
        return None
    found = getattr(Tensor, name[:-1])(*args, **kwargs)
    if found.shape != target.shape or found.dtype != target.dtype:
        raise NotSymbolic(f"torch operation {name} to another shape or dtype")
    target.numbers, target.formulas = found.numbers.clone(), found.formulas
    return target


def _wrapped(values: Any, formulas: Iterable[Formulas]) -> Any:
    """Results of an operation, each with its formulas. Raises TooRich where one is too large."""
    flat, spec = tree_flatten(values)
    tensors = []
    for value, array in zip(flat, formulas, strict=True):
        array = np.asarray(array, dtype=object).reshape(value.shape)
        if any(size_of(f) > MAX_SIZE for f in array.flat):
            raise TooRich
        tensors.append(Symbolic(value, array))
    return tree_unflatten(tensors, spec)


def _sharing(results: Any, arguments: Iterable[Any]) -> Any:
    """The results, which are kin of the arguments whose memory they share."""
    for result in tree_flatten(results)[0]:
        for argument in arguments:
            if isinstance(argument, Symbolic) and argument is not result:
                shared = argument.numbers.untyped_storage().data_ptr()
                if result.numbers.untyped_storage().data_ptr() == shared:
                    argument.kin.update(result.kin)
                    result.kin = argument.kin
    return results
