"""What stands for one element of a tensor: a formula, a complex number of two, or a number that is only printed."""

from __future__ import annotations

from typing import Any

from qlazy.quantum.program.expression import Constant, Expression, Stopped, as_expression, call


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


class Complex:
    """A complex number by the formulas of its parts."""

    def __init__(self, real: Expression, imag: Expression) -> None:
        self.real, self.imag = real, imag

    @classmethod
    def of(cls, value: Any) -> Complex:
        if isinstance(value, Complex):
            return value
        if isinstance(value, Expression):
            return cls(value, Constant(0.0))
        return cls(Constant(complex(value).real), Constant(complex(value).imag))

    def conjugate(self) -> Complex:
        return Complex(self.real, -self.imag)

    def exp(self) -> Complex:
        size = call("exp", self.real)
        return Complex(_times(size, call("cos", self.imag)), _times(size, call("sin", self.imag)))

    def __add__(self, other: Any) -> Complex:
        other = Complex.of(other)
        return Complex(self.real + other.real, self.imag + other.imag)

    __radd__ = __add__

    def __neg__(self) -> Complex:
        return Complex(-self.real, -self.imag)

    def __sub__(self, other: Any) -> Complex:
        return self + -Complex.of(other)

    def __rsub__(self, other: Any) -> Complex:
        return Complex.of(other) - self

    def __mul__(self, other: Any) -> Complex:
        (a, b), (c, d) = (self.real, self.imag), (lambda z: (z.real, z.imag))(Complex.of(other))
        return Complex(_times(a, c) - _times(b, d), _times(a, d) + _times(b, c))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Complex:
        other = Complex.of(other)
        if other.imag == Constant(0.0):
            return Complex(self.real / other.real, self.imag / other.real)
        over = self * other.conjugate()
        size = other.real * other.real + other.imag * other.imag
        return Complex(over.real / size, over.imag / size)

    def __rtruediv__(self, other: Any) -> Complex:
        return Complex.of(other) / self


def _times(left: Expression, right: Expression) -> Expression:
    zero = Constant(0.0)
    return zero if zero in (left, right) else left * right


def depends(value: Any) -> bool:
    """Whether an element depends on weights or inputs."""
    if isinstance(value, Complex):
        return bool(value.real.elements or value.imag.elements)
    return isinstance(value, Printed) or (isinstance(value, Expression) and bool(value.elements))


def size_of(value: Any) -> int:
    """How many nodes the formula of an element has."""
    if isinstance(value, Complex):
        return max(value.real.size, value.imag.size)
    return value.size if isinstance(value, Expression) else 1


def real(value: Any) -> Expression:
    """The formula of an element that must be real. Raises NotSymbolic for another."""
    if not isinstance(value, Complex):
        return as_expression(value)
    if value.imag != Constant(0.0):
        raise NotSymbolic("a complex number where one must be real")
    return value.real


def stopped(value: Any) -> Any:
    """The same element, whose derivative is zero."""
    if isinstance(value, Complex):
        return Complex(stopped(value.real), stopped(value.imag))
    return Stopped(value) if isinstance(value, Expression) and value.elements else value
