"""The arithmetic of OpenQASM on constants and angle expressions.

Integers follow C: division truncates towards zero, the remainder takes the sign of the dividend, 64 bits. One
departure, to keep a common slip from becoming a wrong angle: where a real number is wanted (`rx(1/2)`,
`pow(1/2) @`), a division of integers that leaves a remainder is refused.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from qlazy.quantum.program.classical import (
    Classical,
    Comparison,
    Converted,
    Kind,
    Literal,
    Local,
    Operation,
    Variable,
    bounds,
    depth,
    has_locals,
    wrapped,
)
from qlazy.quantum.program.expression import FUNCTIONS, Expression, as_expression, call
from qlazy.quantum.qasm.expressions.values import NUMBER_NAMES, Number

MAX_SIZE = 10_000
MAX_DEPTH = 200
MAX_ROUNDING = 1e-6
"""Radians by which a fixed-point angle may differ from the real number that stands for it."""
_INT64 = 2**63


class ArithmeticRefusal(ValueError):
    """An operation without a value; the caller adds the place."""


def type_name(value: object) -> str:
    if isinstance(value, Classical):
        return "measured value"
    return NUMBER_NAMES.get(type(value), "expression of an input")


def binary(symbol: str, left: Number, right: Number, real: bool = False) -> Number:
    """``left symbol right``; ``real`` says that a real number is wanted."""
    if isinstance(left, Classical) or isinstance(right, Classical):
        return _bounded(at_run_time(symbol, left, right, real))
    if symbol in _LOGIC:
        return _LOGIC[symbol](_truth(left), _truth(right))
    if symbol in _COMPARISONS:
        return _compare(symbol, left, right)
    if symbol in _BITWISE:
        return _bounded(_bitwise(symbol, left, right))
    if symbol not in _ARITHMETIC:
        raise ArithmeticRefusal(f"the operator `{symbol}` is not supported")
    _refuse_bool(symbol, left, right)
    if isinstance(left, Expression) or isinstance(right, Expression):
        return _symbolic(symbol, left, right)
    if isinstance(left, int) and isinstance(right, int):
        return _bounded(_integer(symbol, left, right, real))
    return _bounded(_real(symbol, float(left), float(right)))


def negative(value: Number) -> Number:
    _refuse_bool("-", value)
    return _bounded(Operation("-", (value,)) if isinstance(value, Classical) else -value)


def invert(value: Number) -> Number:
    if isinstance(value, Classical):
        return _bounded(Operation("!", (value,)))
    return not _truth(value)


def function(name: str, arguments: list[Number]) -> Number:
    """A standard function by its OpenQASM name, or by that under which exporters write it."""
    name = _ALIASES.get(name, name)
    if name in FUNCTIONS:
        (argument,) = _arity(name, arguments, 1)
        _refuse_bool(name, argument)
        return _call(name, as_real(argument))
    if name == "mod":
        left, right = _arity(name, arguments, 2)
        return binary("%", left, right)
    if name in _ROUNDING:
        (argument,) = _arity(name, arguments, 1)
        return _round(name, argument)
    if name == "popcount":
        (argument,) = _arity(name, arguments, 1)
        if isinstance(argument, Classical):
            return Operation("popcount", (argument,))
        if type(argument) is not int or argument < 0:
            raise ArithmeticRefusal("popcount needs a non-negative integer constant")
        return argument.bit_count()
    known = ", ".join([*FUNCTIONS, "mod", *_ROUNDING, "popcount"])
    raise ArithmeticRefusal(f"unknown function `{name}`; known are {known}")


def convert(value: Number, kind: Kind, explicit: bool = False) -> Number:
    """``value`` as a ``kind``; only an ``explicit`` cast may cut off a fraction or high bits."""
    if kind.name in ("float", "angle"):
        value = as_real(value)
        return value if isinstance(value, Expression) else _unrounded(float(value), kind)
    if isinstance(value, Classical):
        return value if _is_already(kind, value) else _bounded(Converted(kind, value, explicit))
    if isinstance(value, Expression) and has_locals(value):
        raise ArithmeticRefusal(f"a real number known at run time only cannot be {article(kind.name)}")
    if isinstance(value, Expression):
        raise ArithmeticRefusal(f"a value that depends on an input cannot be {article(kind.name)}")
    if kind.name == "bool":
        return bool(value)
    if explicit and isinstance(value, int):
        return wrapped(int(value), kind)
    return _fit(_whole(value, kind, explicit), kind)


def _unrounded(value: float, kind: Kind) -> float:
    """A known real number as it is: an ``angle[n]`` that would have to be rounded to 2 pi / 2^n is refused."""
    if kind.name == "angle" and kind.width is not None and kind.width < 24:
        step = 2 * math.pi / 2**kind.width
        if abs(value - round(value / step) * step) > MAX_ROUNDING:
            raise ArithmeticRefusal(
                f"an angle[{kind.width}] holds multiples of 2*pi/{2**kind.width} and would round {value!r}; write float"
            )
    return value


def _is_already(kind: Kind, value: Classical) -> bool:
    if isinstance(value, Variable):
        return value.kind == kind
    return kind.width is None and kind.name == value_kind(value)


def _whole(value: int | float, kind: Kind, explicit: bool) -> int:
    if isinstance(value, float) and not math.isfinite(value):
        raise ArithmeticRefusal(f"{value} cannot be {article(kind.name)}")
    if isinstance(value, float) and not explicit:
        raise ArithmeticRefusal(
            f"the float {value!r} is not {article(kind.name)}; write {kind.name}(...) to cut it"
        )
    return int(value)


def _fit(value: int, kind: Kind) -> int:
    low, high = bounds(kind)
    if not low <= value < high:
        raise ArithmeticRefusal(f"{value} does not fit into {kind}")
    return value


def article(name: str) -> str:
    return f"{'an' if name[0] in 'aiu' and name != 'uint' else 'a'} {name}"


def _truth(value: Number) -> bool:
    if isinstance(value, Expression) and has_locals(value):
        raise ArithmeticRefusal(
            "a condition must be a bool or an integer: compare the real number with another"
        )
    if isinstance(value, Expression):
        raise ArithmeticRefusal("a condition cannot depend on an input")
    return bool(value)


def _refuse_bool(symbol: str, *values: Number) -> None:
    if any(isinstance(v, bool) or (isinstance(v, Classical) and value_kind(v) == "bool") for v in values):
        raise ArithmeticRefusal(f"`{symbol}` is not defined for a bool")


def _compare(symbol: str, left: Number, right: Number) -> Number:
    if any(isinstance(side, Expression) and has_locals(side) for side in (left, right)):
        return _compare_reals(symbol, as_expression(as_real(left)), as_expression(as_real(right)))
    if isinstance(left, Expression) or isinstance(right, Expression):
        raise ArithmeticRefusal("a comparison cannot depend on an input")
    return _COMPARISONS[symbol](left, right)


def _compare_reals(symbol: str, left: Expression, right: Expression) -> Number:
    if left.elements or right.elements:
        raise ArithmeticRefusal("a comparison cannot depend on an input")
    return _bounded(Comparison(symbol, left, right))


def at_run_time(symbol: str, left: Number, right: Number, real: bool) -> Number:
    """``left symbol right`` where one of them is known at run time only."""
    if isinstance(left, Expression | float) or isinstance(right, Expression | float):
        return binary(symbol, as_real(left), as_real(right))
    if symbol in _ARITHMETIC:
        _refuse_bool(symbol, left, right)
    if symbol == "/" and real:
        raise ArithmeticRefusal(
            f"{left}/{right} divides integers at run time; write {left}/{right}.0 to divide reals"
        )
    return Operation(symbol, (_classical(left), _classical(right)))


def as_real(value: Number) -> int | float | Expression:
    """A value known at run time as part of an angle; any other as it is."""
    return Local(value) if isinstance(value, Classical) else value


def _classical(value: Number) -> Classical:
    if isinstance(value, Classical):
        return value
    assert not isinstance(value, Expression)
    return Literal(value)


def value_kind(value: Classical) -> str:
    """The name of the type of a value known at run time."""
    match value:
        case Variable(_, kind) | Converted(kind):
            return kind.name
        case Comparison():
            return "bool"
        case Operation(symbol):
            return "bool" if symbol in _LOGIC or symbol in _COMPARISONS or symbol == "!" else "int"
        case Literal(constant):
            return type(constant).__name__
    return "uint"


def _bitwise(symbol: str, left: Number, right: Number) -> Number:
    if type(left) is not int or type(right) is not int:
        raise ArithmeticRefusal(f"`{symbol}` needs integer constants")
    if symbol in ("<<", ">>") and not 0 <= right < 64:
        raise ArithmeticRefusal(f"a shift must be by 0 to 63, but is by {right}")
    return _BITWISE[symbol](left, right)


def _integer(symbol: str, left: int, right: int, real: bool) -> int:
    if symbol in "/%" and right == 0:
        raise ArithmeticRefusal("division by zero")
    if symbol == "**":
        return _integer_power(left, right)
    if symbol == "%":
        return int(math.copysign(1, left)) * (abs(left) % abs(right))
    if symbol == "/":
        return _integer_quotient(left, right, real)
    return _ARITHMETIC[symbol](left, right)


def _integer_quotient(left: int, right: int, real: bool) -> int:
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    if real and quotient * right != left:
        raise ArithmeticRefusal(
            f"{left}/{right} divides integers and would be {quotient}; write {left}.0/{right} to divide reals"
        )
    return quotient


def _integer_power(left: int, right: int) -> int:
    if right < 0:
        raise ArithmeticRefusal(f"an integer to the power {right} is no integer; write {left}.0 ** {right}")
    if abs(left) > 1 and right > 64:
        raise ArithmeticRefusal(f"{left} ** {right} does not fit into 64 bits")
    return left ** (right % 2 + 2 if abs(left) <= 1 and right > 1 else right)


def _real(symbol: str, left: float, right: float) -> float:
    try:
        if symbol == "%":
            return math.fmod(left, right)
        result = _ARITHMETIC[symbol](left, right)
    except ZeroDivisionError:
        raise ArithmeticRefusal("division by zero") from None
    except (ValueError, OverflowError):
        raise ArithmeticRefusal(f"{left!r} {symbol} {right!r} is not a finite real number") from None
    if isinstance(result, complex):
        raise ArithmeticRefusal(f"{left!r} ** {right!r} is not real")
    return result


def _symbolic(symbol: str, left: Number, right: Number) -> Number:
    if symbol in "/%" and not isinstance(right, Expression) and right == 0:
        raise ArithmeticRefusal("division by zero")
    if symbol == "%" and isinstance(right, Expression):
        raise ArithmeticRefusal("the divisor of a remainder must be a constant")
    return _bounded(_ARITHMETIC[symbol](as_expression(as_real(left)), as_expression(as_real(right))))


def _call(name: str, argument: int | float | Expression) -> Number:
    if isinstance(argument, Expression):
        return _bounded(call(name, argument))
    try:
        return _bounded(FUNCTIONS[name][0](float(argument)))
    except (ValueError, OverflowError):
        raise ArithmeticRefusal(f"{name}({argument!r}) is not a finite real number") from None


def _round(name: str, argument: Number) -> float:
    if isinstance(argument, Expression | Classical):
        raise ArithmeticRefusal(f"{name} of an input has no useful derivative and is refused")
    if not math.isfinite(argument):
        raise ArithmeticRefusal(f"{name}({argument!r}) is not a finite real number")
    return float(_ROUNDING[name](argument))


def _arity(name: str, arguments: list[Number], count: int) -> list[Number]:
    if len(arguments) != count:
        raise ArithmeticRefusal(
            f"{name} takes {count} argument{'s' * (count > 1)}, but is given {len(arguments)}"
        )
    return arguments


def _bounded(value: Any) -> Any:
    """Refuse what would grow without bound, and what is not a finite number."""
    if isinstance(value, Expression) and (value.size > MAX_SIZE or value.depth > MAX_DEPTH):
        raise ArithmeticRefusal(
            f"an angle expression may have at most {MAX_SIZE:,} terms, nested at most {MAX_DEPTH} deep"
        )
    if isinstance(value, Classical) and depth(value) > MAX_DEPTH:
        raise ArithmeticRefusal(f"an expression may be nested at most {MAX_DEPTH} deep")
    if type(value) is int and not -_INT64 <= value < _INT64:
        raise ArithmeticRefusal("an integer does not fit into 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ArithmeticRefusal("a constant is not finite")
    return value


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LOGIC: dict[str, Callable[[bool, bool], bool]] = {
    "&&": lambda left, right: left and right,
    "||": lambda left, right: left or right,
}
_BITWISE: dict[str, Callable[[int, int], int]] = {
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}
_ALIASES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "ceil": "ceiling", "ln": "log"}
_ROUNDING: dict[str, Callable[[float], int]] = {"ceiling": math.ceil, "floor": math.floor}
