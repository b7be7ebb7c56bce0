"""Tensors that carry the formula of each element, before any operation on them."""

from __future__ import annotations

import weakref
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.torch_private import wrapper_subclass
from qlazy.quantum.pennylane.symbolic.elements import Complex, NotSymbolic, Printed, depends, real
from qlazy.quantum.program.expression import Expression

Formulas = NDArray[np.object_]


class Carrier(Tensor):
    """A real or complex tensor together with the formula of each element."""

    numbers: Tensor
    formulas: Formulas
    kin: weakref.WeakSet[Carrier]
    """The tensors that share the numbers, and would have to change with them."""

    @staticmethod
    def __new__(cls, values: Tensor, formulas: Formulas) -> Self:
        tensor = wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=values.dtype, device=values.device
        )
        tensor.numbers, tensor.formulas = values, formulas
        tensor.kin = weakref.WeakSet([tensor])
        return tensor

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"{type(self).__name__}({self.formulas.tolist()})"


def numbers_of(argument: Any) -> Any:
    """The plain tensor of numbers where an argument carries formulas; any other argument itself."""
    return argument.numbers if isinstance(argument, Carrier) else argument


def formulas_of(argument: Any) -> Any:
    """The elements of a tensor as an array of objects; what is no tensor itself."""
    if isinstance(argument, Carrier):
        return argument.formulas
    if isinstance(argument, Tensor):
        return np.asarray(argument.tolist(), dtype=object)
    if isinstance(argument, np.ndarray) and argument.dtype.hasobject:
        return np.asarray(np.frompyfunc(_element, 1, 1)(argument.view(np.ndarray)), dtype=object)
    return argument


def _element(value: Any) -> Any:
    return value.formulas.item() if isinstance(value, Carrier) else value


def complex_formulas_of(argument: Any) -> Any:
    """The same, every element a :class:`Complex`, also of a complex number that is no tensor."""
    if isinstance(argument, complex):
        return Complex.of(argument)
    if not isinstance(argument, Tensor):
        return argument
    return np.frompyfunc(Complex.of, 1, 1)(np.asarray(formulas_of(argument), dtype=object))


def formula(angle: Any) -> Expression:
    """The formula of one scalar angle: symbolic, a constant, or a formula already."""
    if isinstance(angle, Expression):
        return angle
    array = formulas_of(angle)
    if np.size(array) != 1:
        raise NotSymbolic(f"an angle of shape {np.shape(array)}")
    return real(np.asarray(array, dtype=object).reshape(-1)[0])


def real_parts(tensor: Carrier) -> list[Expression]:
    """The real numbers that a tensor is made of, as ``view_as_real`` orders them."""
    flat = tensor.formulas.reshape(-1)
    if any(isinstance(value, Printed) for value in flat):
        raise NotSymbolic("a number that is only printed")
    if not tensor.is_complex():
        return [real(value) for value in flat]
    return [part for value in map(Complex.of, flat) for part in (value.real, value.imag)]


def is_constant(tensor: Carrier) -> bool:
    """Whether no element depends on weights or inputs."""
    return not any(map(depends, tensor.formulas.reshape(-1).tolist()))
