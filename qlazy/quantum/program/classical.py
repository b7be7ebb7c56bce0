"""Classical values that are known only while a program runs: measured bits, and what is computed from them.

A `Classical` expression is a small immutable tree over variables, with the arithmetic of OpenQASM on
integers: a register of bits is the integer whose lowest bit is its first. Such a tree decides branches and
loops, and as a `Local` it takes part in angles. It never depends on the inputs of a program, so that which way
a program goes is the same for all parameters.
"""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qlazy.quantum.program.expression import (
    Binary,
    Call,
    Constant,
    Expression,
    Input,
    Negative,
    apply_binary,
    as_expression,
    call,
)

Scalar = int | float  # bool is an int to Python
State = Mapping[str, "Scalar | Expression"]
"""The values of variables by name; a float may depend on inputs, and is a formula then."""


class ClassicalError(ValueError):
    """An operation on classical values that has no result."""


@dataclass(frozen=True)
class Kind:
    """A classical scalar type: bit, bool, int, uint, float or angle, and its width in bits, if it has one."""

    name: str
    width: int | None = None

    def __str__(self) -> str:
        return self.name if self.width is None else f"{self.name}[{self.width}]"


BIT = Kind("bit")


class Classical:
    """An integer or bool (or, for a variable of kind float, a real number) known at run time.

    ``variables`` are all that it reads.
    """

    variables: frozenset[Variable]

    def evaluate(self, state: State) -> Scalar:
        """The value in one classical state. Raises ClassicalError where it has none."""
        raise NotImplementedError


@dataclass(frozen=True)
class Variable(Classical):
    """A classical variable of a program. Names are unique; the bits of a register are ``c[0]``, ``c[1]``, ..."""

    name: str
    kind: Kind

    @property
    def variables(self) -> frozenset[Variable]:  # type: ignore[override]
        return frozenset({self})

    def evaluate(self, state: State) -> Scalar:
        value = read(self, state)
        if isinstance(value, Expression):
            raise ClassicalError(f"a condition cannot depend on an input, but `{self.name}` is {value}")
        return value

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Literal(Classical):
    value: int | float
    variables = frozenset()

    def evaluate(self, state: State) -> Scalar:
        return self.value

    def __str__(self) -> str:
        return str(self.value).lower() if isinstance(self.value, bool) else repr(self.value)


@dataclass(frozen=True)
class Register(Classical):
    """Bits as one unsigned integer, the first bit the lowest; ``text`` is how the program calls them."""

    bits: tuple[Variable, ...]
    text: str = field(default="", compare=False)

    @property
    def variables(self) -> frozenset[Variable]:  # type: ignore[override]
        return frozenset(self.bits)

    def evaluate(self, state: State) -> int:
        return sum(int(bit.evaluate(state)) << place for place, bit in enumerate(self.bits))

    def __str__(self) -> str:
        return self.text or _selection([str(bit) for bit in self.bits])


def _selection(names: list[str]) -> str:
    """Bits of one register as the language selects them: a slice, or a set."""
    register = names[0].partition("[")[0]
    places = [int(name.removeprefix(f"{register}[").removesuffix("]")) for name in names]
    if places == list(range(places[0], places[0] + len(places))):
        return f"{register}[{places[0]}:{places[-1]}]"
    return f"{register}[{{{', '.join(map(str, places))}}}]"


@dataclass(frozen=True)
class Operation(Classical):
    """``symbol`` of OpenQASM applied to one operand (``!``, ``-``, a function's name) or between two."""

    symbol: str
    operands: tuple[Classical, ...]

    @property
    def variables(self) -> frozenset[Variable]:  # type: ignore[override]
        return frozenset().union(*(operand.variables for operand in self.operands))

    def evaluate(self, state: State) -> Scalar:
        values = [operand.evaluate(state) for operand in self.operands]
        try:
            return (UNARY if len(values) == 1 else BINARY)[self.symbol](*values)
        except (ArithmeticError, ValueError) as error:
            raise ClassicalError(f"{self} has no value: {error}") from None

    def __str__(self) -> str:
        texts = [f"({o})" if isinstance(o, Operation) else str(o) for o in self.operands]
        if self.symbol.isalpha():
            return f"{self.symbol}({', '.join(map(str, self.operands))})"
        return f"{self.symbol}{texts[0]}" if len(texts) == 1 else f"{texts[0]} {self.symbol} {texts[1]}"


@dataclass(frozen=True)
class Converted(Classical):
    """A value made one of another type: by a cast, which ``wraps`` into the width, or by an assignment."""

    kind: Kind
    operand: Classical
    wraps: bool = field(
        default=False, compare=False
    )  # no difference in a program that reads without an error

    @property
    def variables(self) -> frozenset[Variable]:  # type: ignore[override]
        return self.operand.variables

    def evaluate(self, state: State) -> Scalar:
        value = self.operand.evaluate(state)
        if self.wraps and isinstance(value, int) and self.kind.name in ("int", "uint", "bit"):
            return wrapped(int(value), self.kind)
        return convert(value, self.kind, explicit=True)

    def __str__(self) -> str:
        return f"{self.kind}({self.operand})"


@dataclass(frozen=True)
class Comparison(Classical):
    """``left symbol right`` between real numbers, which may use variables but no input."""

    symbol: str
    left: Expression
    right: Expression

    @property
    def variables(self) -> frozenset[Variable]:  # type: ignore[override]
        return variables_of(self.left) | variables_of(self.right)

    def evaluate(self, state: State) -> bool:
        left, right = resolve(self.left, state), resolve(self.right, state)
        for side in (left, right):
            if not isinstance(side, Constant):
                raise ClassicalError(f"a condition cannot depend on an input, but {self} compares {side}")
        return bool(BINARY[self.symbol](left.value, right.value))  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return f"{self.left} {self.symbol} {self.right}"


@dataclass(frozen=True)
class Local(Expression):
    """A classical value in an angle: ``rx(theta * c[0])``.

    Its ``elements`` are none; a float variable may still hold a formula of inputs, which `resolve` puts in.
    """

    value: Classical
    size = 1
    depth = 1
    elements = frozenset()

    def __str__(self) -> str:
        return f"({self.value})" if isinstance(self.value, Operation) else str(self.value)


def read(variable: Variable, state: State) -> Scalar | Expression:
    """What ``variable`` holds: a bit that was never assigned is 0, anything else must have been."""
    if variable.name in state:
        return state[variable.name]
    if variable.kind.name == "bit":
        return 0
    raise ClassicalError(f"`{variable.name}` is used before it has a value")


def resolve(expression: Expression, state: State) -> Expression:
    """``expression`` with the values of variables put in: a formula of inputs alone, constants folded."""
    if not has_locals(expression):
        return expression
    match expression:
        case Local(Variable() as variable):
            return as_expression(read(variable, state))
        case Local(value):
            return Constant(float(value.evaluate(state)))
        case Negative(operand):
            return -resolve(operand, state)
        case Binary(symbol, left, right):
            divisor = resolve(right, state)
            if symbol in "/%" and divisor == Constant(0.0):
                raise ClassicalError(f"division by zero in {expression}")
            return _folded(apply_binary, symbol, resolve(left, state), divisor)
        case Call(function, argument):
            return _folded(call, function, resolve(argument, state))
    raise TypeError(f"unknown expression {type(expression).__name__}")


def _folded(function: Callable[..., Expression], *arguments: object) -> Expression:
    try:
        return function(*arguments)
    except (ArithmeticError, ValueError) as error:
        raise ClassicalError(f"an angle has no value for what is measured: {error}") from None


def variables_of(expression: Expression) -> frozenset[Variable]:
    """The classical variables in an angle."""
    match expression:
        case Local(value):
            return value.variables
        case Negative(operand) | Call(_, operand):
            return variables_of(operand)
        case Binary(_, left, right):
            return variables_of(left) | variables_of(right)
    return frozenset()


def has_locals(expression: Expression) -> bool:
    """Whether the angle uses classical values."""
    match expression:
        case Local():
            return True
        case Negative(operand) | Call(_, operand):
            return has_locals(operand)
        case Binary(_, left, right):
            return has_locals(left) or has_locals(right)
        case Constant() | Input():
            return False
    return False


def depth(value: Classical) -> int:
    """The longest chain of operations in a classical expression."""
    match value:
        case Operation(_, operands):
            return 1 + max(map(depth, operands))
        case Converted(_, operand):
            return 1 + depth(operand)
        case Comparison(_, left, right):
            return 1 + max(left.depth, right.depth)
    return 1


def convert(value: Scalar, kind: Kind, explicit: bool = False) -> Scalar:
    """``value`` as a ``kind``. Raises ClassicalError where it does not fit."""
    if kind.name in ("float", "angle"):
        return float(value)
    if kind.name == "bool":
        return bool(value)
    if isinstance(value, float) and not explicit:
        raise ClassicalError(f"the float {value!r} does not fit into {kind}")
    return _fit(int(value), kind)


def wrapped(value: int, kind: Kind) -> int:
    """The lowest bits of ``value``, in two's complement for an int: what a cast keeps."""
    low, high = bounds(kind)
    return (value - low) % (high - low) + low


def bounds(kind: Kind) -> tuple[int, int]:
    """The least value of a kind of integers, and the first that is too large."""
    width = (1 if kind.name == "bit" else 64) if kind.width is None else kind.width
    return (-(2 ** (width - 1)), 2 ** (width - 1)) if kind.name == "int" else (0, 2**width)


def _fit(value: int, kind: Kind) -> int:
    low, high = bounds(kind)
    if not low <= value < high:
        raise ClassicalError(f"{value} does not fit into {kind}")
    return value


def _whole(function: Callable[[int, int], int]) -> Callable[[Scalar, Scalar], int]:
    def apply(left: Scalar, right: Scalar) -> int:
        if isinstance(left, float) or isinstance(right, float):
            raise ClassicalError("an integer is needed")
        return _fit(function(int(left), int(right)), Kind("int", 65))

    return apply


def _quotient(left: Scalar, right: Scalar) -> Scalar:
    """Truncated towards zero between integers, as in C."""
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


def _remainder(left: Scalar, right: Scalar) -> Scalar:
    """With the sign of the dividend, as in C."""
    return left - right * int(_quotient(left, right))


def _shift(function: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def apply(left: int, right: int) -> int:
        if not 0 <= right < 64:
            raise ClassicalError(f"a shift must be by 0 to 63, but is by {right}")
        return function(left, right)

    return apply


def _power(left: int, right: int) -> int:
    if right < 0 or (abs(left) > 1 and right > 64):
        raise ClassicalError(f"{left} ** {right} does not fit into 64 bits")
    return int(left ** (right % 2 + 2 if abs(left) <= 1 and right > 1 else right))


UNARY: dict[str, Callable[..., Scalar]] = {
    "!": lambda a: not a,
    "-": lambda a: -a,
    "popcount": lambda a: int(a).bit_count(),
}
BINARY: dict[str, Callable[..., Scalar]] = {
    "&&": lambda a, b: bool(a and b),
    "||": lambda a, b: bool(a or b),
    "==": op.eq,
    "!=": op.ne,
    "<": op.lt,
    "<=": op.le,
    ">": op.gt,
    ">=": op.ge,
    "&": _whole(op.and_),
    "|": _whole(op.or_),
    "^": _whole(op.xor),
    "<<": _whole(_shift(op.lshift)),
    ">>": _whole(_shift(op.rshift)),
    "+": _whole(op.add),
    "-": _whole(op.sub),
    "*": _whole(op.mul),
    "/": _whole(lambda a, b: int(_quotient(a, b))),
    "%": _whole(lambda a, b: int(_remainder(a, b))),
    "**": _whole(_power),
}
"""The operators, on values that are ints and bools (and floats for comparisons)."""
