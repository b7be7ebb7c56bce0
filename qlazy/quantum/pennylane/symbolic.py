"""Tensors that carry the formula of every element, to learn what a QNode's angles are.

A QNode is run once on such tensors. Every torch operation on them acts on numbers and on an array of
:class:`Expression` side by side, so that each angle comes out as a formula of weights and inputs.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import autoray
import numpy as np
import pennylane as qml
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from qlazy.base.torch_private import (
    tree_flatten,
    tree_map,
    tree_unflatten,
    without_overrides,
    wrapper_subclass,
)
from qlazy.quantum.program.expression import (
    Block,
    Choose,
    Constant,
    Entry,
    Expression,
    Input,
    Stopped,
    apply_binary,
    as_expression,
    call,
)

Formulas = NDArray[np.object_]

MAX_SIZE = 2000  # nodes of one formula; beyond it plain torch is the better evaluator
MAX_NUMBERS = 2**16  # that one operation without formulas may take


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


class Symbolic(Tensor):
    """A real or complex tensor together with the formula of each element."""

    numbers: Tensor
    formulas: Formulas
    kin: weakref.WeakSet[Symbolic]
    """The tensors that share the numbers, and would have to change with them."""

    @staticmethod
    def __new__(cls, values: Tensor, formulas: Formulas) -> Symbolic:
        tensor = wrapper_subclass(
            cls, values.shape, strides=values.stride(), dtype=values.dtype, device=values.device
        )
        tensor.numbers, tensor.formulas = values, formulas
        tensor.kin = weakref.WeakSet([tensor])
        return tensor

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if stops_gradient(func):
            with without_overrides():
                return _stopped(func(*args, **(kwargs or {})))
        name = getattr(func, "__name__", "")
        if name in ("numpy", "__array__"):
            if not _is_constant(args[0]):
                raise NotSymbolic("NumPy on weights or inputs")
            return args[0].numbers.numpy()
        if (
            name in STRUCTURAL or name in WRITING or (name in RULES and not kwargs)
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


class _Lists(TorchFunctionMode):
    """Makes lists of formulas tensors, whose numbers torch would ask for; as there, gradients stop at them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        is_made = func in (torch.as_tensor, torch.tensor) and args and isinstance(args[0], list | tuple)
        if not is_made or not any(isinstance(part, Symbolic) for part in _leaves(args[0])):
            return func(*args, **(kwargs or {}))
        found = _stacked(args[0])
        return _stopped(found.to((kwargs or {}).get("dtype") or found.dtype))


def _leaves(parts: Sequence[Any]) -> Iterator[Any]:
    for part in parts:
        yield from _leaves(part) if isinstance(part, list | tuple) else (part,)


def _stacked(parts: Sequence[Any]) -> Tensor:
    """Nested lists of numbers and tensors as one tensor."""
    found = [_stacked(part) if isinstance(part, list | tuple) else part for part in parts]
    dtype = next((part.dtype for part in found if isinstance(part, Tensor)), None)
    return torch.stack([torch.as_tensor(part, dtype=dtype) for part in found])


_lock, _open = threading.Lock(), 0
_is_abstract = qml.math.is_abstract


@contextmanager
def abstract() -> Iterator[None]:
    """Within, PennyLane takes formulas for tensors whose values are not known, which it does not look at."""
    global _open
    with _lock:
        _open += 1
        qml.math.is_abstract = _is_without_values
    try:
        with _Lists():
            yield
    finally:
        with _lock:
            _open -= 1
            if not _open:
                qml.math.is_abstract = _is_abstract


def _is_without_values(tensor: Any, like: str | None = None) -> bool:
    if isinstance(tensor, Symbolic):
        return not _is_constant(tensor)
    return bool(_is_abstract(tensor, like))


def _is_constant(tensor: Symbolic) -> bool:
    """Whether no element depends on weights or inputs."""
    return not any(map(_depends, tensor.formulas.reshape(-1).tolist()))


def _depends(value: Any) -> bool:
    if isinstance(value, Complex):
        return bool(value.real.elements or value.imag.elements)
    return isinstance(value, Printed) or (isinstance(value, Expression) and bool(value.elements))


def symbols(name: str, values: Tensor) -> Symbolic:
    """The input ``name`` as a tensor: element k is the formula ``name[k]``, flat and row-major."""
    formulas = np.empty(values.shape, dtype=object)
    for index in range(values.numel()):
        formulas.flat[index] = Input(name, index, tuple(values.shape))
    return Symbolic(values, formulas)


def formula(angle: Any) -> Expression:
    """The formula of one scalar angle: symbolic, a constant, or a formula already."""
    if isinstance(angle, Expression):
        return angle
    array = _formulas(angle)
    if np.size(array) != 1:
        raise NotSymbolic(f"an angle of shape {np.shape(array)}")
    return _real(np.asarray(array, dtype=object).reshape(-1)[0])


def entries(
    name: str, function: Callable[[Tensor], Tensor], arguments: Iterable[Any], count: int
) -> list[Entry]:
    """``count`` numbers that ``function``, (..., m) to (..., count), makes of m scalars."""
    block = Block(name, function, tuple(formula(argument) for argument in arguments))
    return [Entry(block, index) for index in range(count)]


def _real(value: Any) -> Expression:
    if not isinstance(value, Complex):
        return as_expression(value)
    if value.imag != Constant(0.0):
        raise NotSymbolic("a complex number where one must be real")
    return value.real


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
        return np.asarray(argument.tolist(), dtype=object)
    return argument


def _with_formulas(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if func is Tensor.__getitem__ and args[0].is_floating_point() and _is_basic(args[1]):
        # Thousands of angles come from one tensor: on the way below each would look at all of its elements.
        whole, place = args
        return _viewing(_wrapped(whole.numbers[place], [whole.formulas[place]]), [whole])
    if name in WRITING:
        return _written(name, args, kwargs)
    if name in READING:
        if all(map(_is_constant, (part for part in args if isinstance(part, Symbolic)))):
            return func(*tree_map(_values, args), **kwargs)
        raise NotSymbolic("Python numbers or branches made of weights or inputs")
    tensors, _ = tree_flatten((args, kwargs))
    _check_pure(func, name, tensors)
    values = func(*tree_map(_values, args), **tree_map(_values, kwargs))
    is_real = all(not _is_complex(part) for part in [*tensors, *tree_flatten(values)[0]])
    try:
        if name in STRUCTURAL and _only_moves(name, args, kwargs):
            return _viewing(_wrapped(values, _rearranged(func, args, kwargs)), tensors)
        if is_real and name in RULES:
            return _wrapped(values, [RULES[name](*map(_formulas, args), **kwargs)])
        if not is_real and name in COMPLEX:
            return _wrapped(values, [COMPLEX[name](*map(_complex_formulas, args), **kwargs)])
    except TooRich:
        pass
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        if any(isinstance(f, Printed) for part in tensors for f in np.ravel(_formulas(part))):
            raise NotSymbolic(f"torch operation {name} on weights or inputs") from error
    return _wrapped(values, _blocks(func, name, args, kwargs, values))


def _written(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``mul_`` and the like on a tensor that shares its numbers with no other: the tensor gets other formulas."""
    target, *others = args
    if not isinstance(target, Symbolic) or len(target.kin) > 1:
        raise NotSymbolic(f"torch operation {name} on a part of weights or inputs")
    if name == "__setitem__":
        place, value = others
        numbers, formulas = target.numbers.clone(), target.formulas.copy()
        numbers[place] = _values(value)
        places = torch.arange(numbers.numel()).reshape(numbers.shape)[place].numpy()
        flat = formulas.reshape(-1)
        flat[places] = np.broadcast_to(np.asarray(_formulas(value), dtype=object), places.shape)
        target.numbers, target.formulas = numbers, flat.reshape(formulas.shape)
        return None
    found = getattr(Tensor, name[:-1])(*args, **kwargs)
    if found.shape != target.shape or found.dtype != target.dtype:
        raise NotSymbolic(f"torch operation {name} to another shape or dtype")
    target.numbers, target.formulas = found.numbers.clone(), found.formulas
    return target


class TooRich(Exception):
    """A formula of more than MAX_SIZE terms."""


def _check_pure(func: Any, name: str, tensors: Iterable[Any]) -> None:
    """Refuse what writes into its arguments, gives shapes that depend on values, or draws at random."""
    schema, tags = getattr(func, "_schema", None), set(getattr(func, "tags", ()))
    masked = any(isinstance(t, Symbolic) and t.dtype == torch.bool for t in tensors)
    if name in ("__getitem__", "index"):
        bad = masked
    else:
        bad = bool(tags & IMPURE) or (schema is not None and schema.is_mutable)
    if bad:
        raise NotSymbolic(f"torch operation {name} on weights or inputs")


IMPURE = {torch.Tag.nondeterministic_seeded, torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


def _is_complex(part: Any) -> bool:
    return isinstance(part, complex) or (isinstance(part, Tensor) and part.is_complex())


def _complex_formulas(argument: Any) -> Any:
    if isinstance(argument, complex):
        return Complex.of(argument)
    if not isinstance(argument, Tensor):
        return argument
    return np.frompyfunc(Complex.of, 1, 1)(np.asarray(_formulas(argument), dtype=object))


def _viewing(results: Any, arguments: Iterable[Any]) -> Any:
    for result in tree_flatten(results)[0]:
        for argument in arguments:
            if isinstance(argument, Symbolic) and argument is not result:
                shared = argument.numbers.untyped_storage().data_ptr()
                if result.numbers.untyped_storage().data_ptr() == shared:
                    argument.kin.update(result.kin)
                    result.kin = argument.kin
    return results


def _only_moves(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether no element changes its kind, nor is any chosen by a value."""
    leaves, _ = tree_flatten(args[1:] if name in INDEXING else ())
    if any(isinstance(leaf, Symbolic) for leaf in leaves):
        return False
    dtype, source = kwargs.get("dtype"), args[0] if args else None
    if dtype is None or not isinstance(source, Tensor):
        return True
    return bool(dtype.is_complex or (dtype.is_floating_point and not source.is_complex()))


INDEXING = frozenset(["__getitem__", "index", "index_select", "gather", "take"])


def _blocks(
    func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], values: Any
) -> list[Formulas]:
    """The elements of what an operation gives as numbers of a block: torch itself evaluates it."""
    leaves, spec = tree_flatten((args, kwargs))
    found, _ = tree_flatten(values)
    if not all(isinstance(value, Tensor) for value in found):
        raise NotSymbolic(f"torch operation {name} on weights or inputs")
    symbolic = [leaf for leaf in leaves if isinstance(leaf, Symbolic)]
    parts = [part for leaf in symbolic for part in _parts(leaf)]
    if len(parts) > MAX_NUMBERS:
        raise NotSymbolic(f"torch operation {name} on {len(parts)} numbers")
    shapes = [(leaf.shape, leaf.dtype) for leaf in symbolic]

    def of_one(numbers: Tensor) -> Tensor:
        given, start = [], 0
        for shape, dtype in shapes:
            size = shape.numel() * (2 if dtype.is_complex else 1)
            given.append(_rebuilt(numbers[start : start + size], shape, dtype))
            start += size
        arguments = iter(given)
        filled = [
            next(arguments) if isinstance(leaf, Symbolic) else _in_precision(leaf, numbers) for leaf in leaves
        ]
        with torch.enable_grad():
            results, _ = tree_flatten(_called(func, tree_unflatten(filled, spec)))
        return torch.cat([_flattened(result).to(numbers.dtype) for result in results])

    options = str([None if isinstance(leaf, Symbolic) else leaf for leaf in leaves])
    block = Block(name, partial(_on_all, of_one), tuple(parts), options)
    formulas, start = [], 0
    for value in found:
        formulas.append(_entries(block, start, value))
        start += value.numel() * (2 if value.is_complex() else 1)
    return formulas


def _called(func: Any, arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
    return func(*arguments[0], **arguments[1])


def _on_all(function: Callable[[Tensor], Tensor], numbers: Tensor) -> Tensor:
    if numbers.ndim == 1:
        return function(numbers)
    return torch.func.vmap(function)(numbers.flatten(0, -2)).unflatten(0, numbers.shape[:-1])


def _parts(tensor: Symbolic) -> list[Expression]:
    """The real numbers that a tensor is made of, as ``view_as_real`` orders them."""
    flat = tensor.formulas.reshape(-1)
    if any(isinstance(value, Printed) for value in flat):
        raise NotSymbolic("a number that is only printed")
    if not tensor.is_complex():
        return [_real(value) for value in flat]
    return [part for value in map(Complex.of, flat) for part in (value.real, value.imag)]


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


def _entries(block: Block, start: int, value: Tensor) -> Formulas:
    count = value.numel()
    formulas = np.empty(count, dtype=object)
    for place in range(count):
        if value.is_complex():
            formulas[place] = Complex(*(Entry(block, start + 2 * place + part) for part in (0, 1)))
        else:
            formulas[place] = Entry(block, start + place)
    return formulas


def _wrapped(values: Any, formulas: Iterable[Formulas]) -> Any:
    flat, spec = tree_flatten(values)
    tensors = []
    for value, array in zip(flat, formulas, strict=True):
        array = np.asarray(array, dtype=object).reshape(value.shape)
        if any(_size(f) > MAX_SIZE for f in array.flat):
            raise TooRich
        tensors.append(Symbolic(value, array))
    return tree_unflatten(tensors, spec)


def _size(value: Any) -> int:
    if isinstance(value, Complex):
        return max(value.real.size, value.imag.size)
    return value.size if isinstance(value, Expression) else 1


WRITING = frozenset(["__setitem__", "add_", "sub_", "mul_", "div_", "neg_", "clamp_", "pow_"])
"""Operations that write into a tensor."""

READING = frozenset(["_local_scalar_dense", "item", "equal", "is_nonzero", "set_"])
"""Operations that give plain numbers."""

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
        "resolve_conj",
        "resolve_neg",
        "take",
        "gather",
        "tile",
        "unfold",
    ]
)
"""Operations that only move elements about."""


def _rearranged(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Formulas]:
    # Run on numbers 0, 1, 2, ... in place of the elements, an operation shows where each of them goes.
    pool: list[Any] = []

    def numbered(argument: Any) -> Any:
        if not isinstance(argument, Tensor) or not (
            isinstance(argument, Symbolic) or argument.is_floating_point() or argument.is_complex()
        ):
            return argument
        start = len(pool)
        pool.extend(np.asarray(_formulas(argument), dtype=object).reshape(-1))
        return torch.arange(start, len(pool)).reshape(argument.shape)

    plain = {key: value for key, value in kwargs.items() if key not in ("dtype", "layout", "pin_memory")}
    moved, _ = tree_flatten(func(*tree_map(numbered, args), **tree_map(numbered, plain)))
    elements = np.empty(len(pool), dtype=object)
    elements[:] = pool
    return [elements[indices.numpy()] for indices in moved]


def _is_basic(index: Any) -> bool:
    """Whether NumPy and torch take one element, or a view, by an index in the same way."""
    parts = index if type(index) is tuple else (index,)
    return all(type(i) is int or i is Ellipsis or _is_forward(i) for i in parts)


def _is_forward(part: Any) -> bool:
    return (
        type(part) is slice
        and all(i is None or type(i) is int for i in (part.start, part.stop))
        and not part.step
    )


def _stopped_value(value: Any) -> Any:
    if isinstance(value, Complex):
        return Complex(_stopped_value(value.real), _stopped_value(value.imag))
    return Stopped(value) if isinstance(value, Expression) and value.elements else value


_stop = np.frompyfunc(_stopped_value, 1, 1)


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

_each = np.frompyfunc
COMPLEX: dict[str, Callable[..., Any]] = {
    **{name: RULES[name] for name in ("neg", "sum", "mean", "dot", "mv", "mm", "matmul")},
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "exp": _each(lambda z: z.exp(), 1, 1),
    "_conj": _each(lambda z: z.conjugate(), 1, 1),
    "real": _each(lambda z: z.real, 1, 1),
    "imag": _each(lambda z: z.imag, 1, 1),
    "view_as_real": lambda a: np.stack(
        [_each(lambda z: z.real, 1, 1)(a), _each(lambda z: z.imag, 1, 1)(a)], -1
    ),
    "complex": lambda a, b: _each(lambda x, y: Complex(x.real, y.real), 2, 1)(a, b),
}
"""Rules on arrays of Complex."""
