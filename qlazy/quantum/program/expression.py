"""Angle expressions: what a gate's angle is, as a function of the inputs of its program.

A program is read once and evaluated for many weights and samples, so its angles are kept symbolic: `2*w[3] +
x[0]` is a small immutable tree. Constants fold while the tree is built; evaluation is plain torch arithmetic,
so every transform of torch.func passes through it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import torch

if TYPE_CHECKING:
    from torch import Tensor

Scalar = int | float
Element = tuple[str, int]


class Expression:
    """A real number of radians that depends on elements of the inputs of a program.

    ``size`` counts the nodes and ``depth`` the longest chain of them; ``elements`` are the (name, flat index)
    pairs used.
    """

    size: int
    depth: int
    elements: frozenset[Element]
    is_explicit: bool = True
    """Whether it is made of functions that are known here, so that it has derivatives that are expressions."""

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor | float:
        """The value of the expression; a constant stays a float, so that it takes the dtype of what it meets.

        ``values[name]`` has shape (..., number of elements): arrays are flat in the last axis, batches come
        first.
        """
        raise NotImplementedError

    def __add__(self, other: Expression | Scalar) -> Expression:
        return apply_binary("+", self, as_expression(other))

    def __radd__(self, other: Scalar) -> Expression:
        return as_expression(other) + self

    def __sub__(self, other: Expression | Scalar) -> Expression:
        return apply_binary("-", self, as_expression(other))

    def __rsub__(self, other: Scalar) -> Expression:
        return as_expression(other) - self

    def __mul__(self, other: Expression | Scalar) -> Expression:
        return apply_binary("*", self, as_expression(other))

    def __rmul__(self, other: Scalar) -> Expression:
        return as_expression(other) * self

    def __truediv__(self, other: Expression | Scalar) -> Expression:
        return apply_binary("/", self, as_expression(other))

    def __rtruediv__(self, other: Scalar) -> Expression:
        return as_expression(other) / self

    def __mod__(self, other: Expression | Scalar) -> Expression:
        return apply_binary("%", self, as_expression(other))

    def __pow__(self, other: Expression | Scalar) -> Expression:
        return apply_binary("**", self, as_expression(other))

    def __rpow__(self, other: Scalar) -> Expression:
        return as_expression(other) ** self

    def __neg__(self) -> Expression:
        if isinstance(self, Constant):
            return Constant(-self.value)
        return self.operand if isinstance(self, Negative) else Negative(self)


@dataclass(frozen=True)
class Constant(Expression):
    value: float
    size = 1
    depth = 1
    elements = frozenset()

    def evaluate(self, values: Mapping[str, Tensor]) -> float:
        return self.value

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True)
class Input(Expression):
    """Element ``index`` (flat, row-major) of the input ``name``; ``shape`` only serves the text form."""

    name: str
    index: int = 0
    shape: tuple[int, ...] = field(default=(), compare=False)
    size = 1
    depth = 1

    @property
    def elements(self) -> frozenset[Element]:  # type: ignore[override]
        return frozenset({(self.name, self.index)})

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor:
        return values[self.name][..., self.index]

    def __str__(self) -> str:
        place, rest = [], self.index
        for extent in reversed(self.shape):
            rest, position = divmod(rest, extent)
            place.append(str(position))
        return f"{self.name}[{', '.join(reversed(place))}]" if place else self.name


class _Node(Expression):
    """An inner node: its measures follow from those of its children, and are taken once."""

    def _measure(self, *children: Expression) -> None:
        object.__setattr__(self, "size", 1 + sum(child.size for child in children))
        object.__setattr__(self, "depth", 1 + max(child.depth for child in children))
        object.__setattr__(self, "elements", frozenset().union(*(child.elements for child in children)))
        object.__setattr__(self, "is_explicit", all(child.is_explicit for child in children))


@dataclass(frozen=True)
class Negative(_Node):
    operand: Expression

    def __post_init__(self) -> None:
        self._measure(self.operand)

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor | float:
        return -self.operand.evaluate(values)

    def __str__(self) -> str:
        return f"-{_enclose(self.operand, _LEVEL['**'])}"


@dataclass(frozen=True)
class Binary(_Node):
    """``left operator right`` with an operator of OpenQASM, + - * / % **, or one of torch by its name there."""

    operator: str
    left: Expression
    right: Expression

    def __post_init__(self) -> None:
        self._measure(self.left, self.right)

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor | float:
        return BINARY[self.operator](self.left.evaluate(values), self.right.evaluate(values))

    def __str__(self) -> str:
        if self.operator not in _LEVEL:
            return f"{self.operator}({self.left}, {self.right})"
        level = _LEVEL[self.operator]
        # ** groups to the right, all others to the left.
        left, right = (level + 1, level) if self.operator == "**" else (level, level + 1)
        return f"{_enclose(self.left, left)} {self.operator} {_enclose(self.right, right)}"


@dataclass(frozen=True)
class Call(_Node):
    """A function of one real argument: a standard one by its OpenQASM name, or one of torch by its name there."""

    function: str
    argument: Expression

    def __post_init__(self) -> None:
        self._measure(self.argument)

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor | float:
        argument = self.argument.evaluate(values)
        if isinstance(argument, float):
            return CALLED[self.function][0](argument)
        return CALLED[self.function][1](argument)

    def __str__(self) -> str:
        return f"{self.function}({self.argument})"


@dataclass(frozen=True)
class Stopped(_Node):
    """An expression whose derivatives count as zero: ``detach`` of torch, for which OpenQASM has no words."""

    operand: Expression

    def __post_init__(self) -> None:
        self._measure(self.operand)

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor | float:
        value = self.operand.evaluate(values)
        return value.detach() if isinstance(value, torch.Tensor) else value

    def __str__(self) -> str:
        return f"detach({self.operand})"


@dataclass(frozen=True)
class Choose(_Node):
    """``chosen`` where ``condition`` is not 0, ``other`` elsewhere."""

    condition: Expression
    chosen: Expression
    other: Expression

    def __post_init__(self) -> None:
        self._measure(self.condition, self.chosen, self.other)

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor | float:
        condition, chosen, other = (e.evaluate(values) for e in (self.condition, self.chosen, self.other))
        if isinstance(condition, float):
            return chosen if condition else other
        return torch.where(condition != 0, chosen, other)

    def __str__(self) -> str:
        return f"where({self.condition}, {self.chosen}, {self.other})"


@dataclass(frozen=True)
class Block:
    """A function of several numbers, (..., m) to (..., k), which autograd differentiates.

    Blocks are equal where names, ``options`` and arguments are.
    """

    name: str
    function: Callable[[Tensor], Tensor] = field(compare=False)
    arguments: tuple[Expression, ...]
    options: str = ""


@final
class Kept(threading.local):
    """What is found of blocks, in a thread from the outermost :meth:`scope` to its end: they stand in each other."""

    def __init__(self) -> None:
        self._found: dict[Any, Any] | None = None

    @property
    def found(self) -> dict[Any, Any]:
        assert self._found is not None
        return self._found

    @contextmanager
    def scope(self) -> Iterator[None]:
        if self._found is not None:
            yield
            return
        self._found = {}
        try:
            yield
        finally:
            self._found = None


@dataclass(frozen=True)
class Entry(_Node):
    """Number ``index`` of what a block gives."""

    block: Block
    index: int
    is_explicit = False

    def __post_init__(self) -> None:
        elements = frozenset[Element]().union(*(argument.elements for argument in self.block.arguments))
        for name, value in (("size", 1), ("depth", 1), ("elements", elements)):
            object.__setattr__(self, name, value)

    def evaluate(self, values: Mapping[str, Tensor]) -> Tensor:
        found = [torch.as_tensor(argument.evaluate(values)) for argument in self.block.arguments]
        like = next((f for f in found if f.ndim), found[0])
        stacked = torch.stack(torch.broadcast_tensors(*(f.to(like) for f in found)), -1)
        return self.block.function(stacked)[..., self.index]

    def __str__(self) -> str:
        return f"{self.block.name}({', '.join(map(str, self.block.arguments))})[{self.index}]"


# OpenQASM name -> (on a Python float, on a tensor). Only differentiable functions: these may take an input.
FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[Tensor], Tensor]]] = {
    "sin": (math.sin, torch.sin),
    "cos": (math.cos, torch.cos),
    "tan": (math.tan, torch.tan),
    "arcsin": (math.asin, torch.asin),
    "arccos": (math.acos, torch.acos),
    "arctan": (math.atan, torch.atan),
    "exp": (math.exp, torch.exp),
    "log": (math.log, torch.log),
    "sqrt": (math.sqrt, torch.sqrt),
    "abs": (abs, torch.abs),
    "sign": (lambda value: math.copysign(1.0, value) if value else 0.0, torch.sign),
}


# Those that OpenQASM has no words for, by their names in torch.
CALLED: dict[str, tuple[Callable[[float], float], Callable[[Tensor], Tensor]]] = {
    **FUNCTIONS,
    "tanh": (math.tanh, torch.tanh),
    "sinh": (math.sinh, torch.sinh),
    "cosh": (math.cosh, torch.cosh),
    "arcsinh": (math.asinh, torch.asinh),
    "sigmoid": (lambda value: float(torch.tensor(value, dtype=torch.float64).sigmoid()), torch.sigmoid),
    "log1p": (math.log1p, torch.log1p),
    "expm1": (math.expm1, torch.expm1),
    "erf": (math.erf, torch.erf),
    "floor": (lambda value: float(math.floor(value)), torch.floor),
}


def _remainder(left: Any, right: Any) -> Any:
    """The remainder that takes the sign of the dividend, as in C."""
    if isinstance(left, torch.Tensor):
        return torch.fmod(left, right)
    return (
        torch.fmod(right.new_tensor(left), right)
        if isinstance(right, torch.Tensor)
        else math.fmod(left, right)
    )


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": _remainder,
    "**": lambda left, right: left**right,
    "atan2": lambda left, right: _of_two(torch.atan2, left, right),
    "maximum": lambda left, right: _of_two(torch.maximum, left, right),
    "minimum": lambda left, right: _of_two(torch.minimum, left, right),
    "gt": lambda left, right: _of_two(torch.gt, left, right),
    "ge": lambda left, right: _of_two(torch.ge, left, right),
    "eq": lambda left, right: _of_two(torch.eq, left, right),
}
"""Comparisons give 1 or 0."""


def _of_two(function: Callable[[Tensor, Tensor], Tensor], left: Any, right: Any) -> Any:
    numbers = (left, right)
    like = next((n for n in numbers if isinstance(n, torch.Tensor)), torch.zeros((), dtype=torch.float64))
    found = function(*(n if isinstance(n, torch.Tensor) else like.new_tensor(n) for n in numbers)).to(like)
    return found if any(isinstance(n, torch.Tensor) for n in numbers) else float(found)


_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "**": 4}
_NEGATIVE_LEVEL = 3


def as_expression(value: Expression | Scalar) -> Expression:
    return value if isinstance(value, Expression) else Constant(float(value))


def call(function: str, argument: Expression) -> Expression:
    """``function(argument)``, folded for a constant (ValueError or OverflowError outside the domain)."""
    if isinstance(argument, Constant):
        return Constant(CALLED[function][0](argument.value))
    return Call(function, argument)


def apply_binary(operator: str, left: Expression, right: Expression) -> Expression:
    if isinstance(left, Constant) and isinstance(right, Constant):
        return Constant(float(BINARY[operator](left.value, right.value)))
    if operator in "+-" and right == Constant(0.0):
        return left
    if operator == "+" and left == Constant(0.0):
        return right
    if operator in ("*", "/", "**") and right == Constant(1.0):
        return left
    if operator == "*" and left == Constant(1.0):
        return right
    return Binary(operator, left, right)


def _level(expression: Expression) -> int:
    if isinstance(expression, Binary):
        return _LEVEL[expression.operator]
    negative = isinstance(expression, Negative) or (
        isinstance(expression, Constant) and math.copysign(1.0, expression.value) < 0
    )
    return _NEGATIVE_LEVEL if negative else 5


def _enclose(expression: Expression, level: int) -> str:
    return str(expression) if _level(expression) >= level else f"({expression})"
