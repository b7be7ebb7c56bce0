"""What torch's operations do to formulas: functions of arrays of elements, under the operations' names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qlazy.quantum.pennylane.symbolic.elements import Complex, Printed
from qlazy.quantum.program.expression import Choose, Expression, apply_binary, as_expression, call


def _call(function: str) -> Callable[[Any], Any]:
    return np.frompyfunc(lambda value: call(function, as_expression(value)), 1, 1)


def _two(operator: str) -> Callable[[Any, Any], Any]:
    combine = np.frompyfunc(lambda a, b: apply_binary(operator, as_expression(a), as_expression(b)), 2, 1)
    return lambda a, b: combine(a, b)


def _reversed(operator: str) -> Callable[[Any, Any], Any]:
    combine = _two(operator)
    return lambda a, b: combine(b, a)


def _remainder(array: Any, divisor: Any) -> Any:
    """With the sign of the divisor, as in Python."""

    def remainder(left: Any, right: Any) -> Any:
        if isinstance(left, Printed):
            return Printed("remainder", left, right)
        left, right = as_expression(left), as_expression(right)
        return left - right * call("floor", left / right)

    return np.frompyfunc(remainder, 2, 1)(array, divisor)


def _choose(condition: Any, chosen: Any, other: Any) -> Any:
    def choose(c: Any, a: Any, b: Any) -> Any:
        if not isinstance(c, Expression):
            return a if c else b
        return Choose(c, as_expression(a), as_expression(b))

    return np.frompyfunc(choose, 3, 1)(condition, chosen, other)


def _relu(array: Any) -> Any:
    return _choose(_two("gt")(array, 0.0), array, 0.0)


def _clamp(array: Any, min: Any = None, max: Any = None) -> Any:
    """torch's, whose derivative is 1 at the bounds."""
    found = array
    for bound, beyond in ((min, lambda a, b: _two("gt")(b, a)), (max, _two("gt"))):
        if bound is not None:
            found = _choose(beyond(found, bound), bound, found)
    return found


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
    **{
        name: _call(name)
        for name in ("abs", "sign", "tanh", "sinh", "cosh", "sigmoid", "log1p", "expm1", "erf", "floor")
    },
    "asinh": _call("arcsinh"),
    "atan2": _two("atan2"),
    "arctan2": _two("atan2"),
    "maximum": _two("maximum"),
    "minimum": _two("minimum"),
    "gt": _two("gt"),
    "ge": _two("ge"),
    "eq": _two("eq"),
    "lt": _reversed("gt"),
    "le": _reversed("ge"),
    "where": _choose,
    "relu": _relu,
    "clamp": _clamp,
    "clamp_min": lambda a, bound: _clamp(a, min=bound),
    "clamp_max": lambda a, bound: _clamp(a, max=bound),
}

COMPLEX: dict[str, Callable[..., Any]] = {
    **{name: RULES[name] for name in ("neg", "sum", "mean", "dot", "mv", "mm", "matmul")},
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "exp": np.frompyfunc(lambda z: z.exp(), 1, 1),
    "_conj": np.frompyfunc(lambda z: z.conjugate(), 1, 1),
    "real": np.frompyfunc(lambda z: z.real, 1, 1),
    "imag": np.frompyfunc(lambda z: z.imag, 1, 1),
    "view_as_real": lambda a: np.stack(
        [np.frompyfunc(lambda z: z.real, 1, 1)(a), np.frompyfunc(lambda z: z.imag, 1, 1)(a)], -1
    ),
    "complex": lambda a, b: np.frompyfunc(lambda x, y: Complex(x.real, y.real), 2, 1)(a, b),
}
"""Rules on arrays of Complex."""
