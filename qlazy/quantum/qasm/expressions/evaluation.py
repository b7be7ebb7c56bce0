"""Evaluating the expressions of the syntax tree: numbers, indices, and which qubits an operand names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import singledispatch
from typing import NoReturn

from openqasm3 import ast

from qlazy.quantum.program.classical import BIT, Classical, Kind, Literal, Operation, Variable, has_locals
from qlazy.quantum.program.classical import Register as Whole
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.arithmetic import ArithmeticRefusal
from qlazy.quantum.qasm.expressions.values import (
    PHYSICAL,
    Array,
    Binding,
    Bits,
    Number,
    Register,
    Role,
    Scope,
    Subroutine,
    Value,
    physical_name,
)
from qlazy.quantum.qasm.source import Source

MAX_RANGE = 1_000_000


@dataclass
class Context:
    """Where an expression is evaluated: the text it stands in, and the names it sees."""

    source: Source
    scope: Scope
    subroutines: dict[str, Subroutine] = field(default_factory=dict)

    def call(self, node: ast.FunctionCall) -> Value:
        """The value that a subroutine returns."""
        self.fail(node, "a subroutine cannot be called here")

    def fail(self, node: ast.QASMNode, message: str) -> NoReturn:
        raise self.source.error_at(node, message)

    def attempt(self, node: ast.QASMNode, operation: Callable[..., Number], *arguments: object) -> Number:
        """Run arithmetic; its refusal becomes an error at ``node``."""
        try:
            return operation(*arguments)
        except ArithmeticRefusal as refusal:
            self.fail(node, str(refusal))

    def binding(self, node: ast.Identifier) -> Binding:
        """What the name ``node`` was declared as, or an error if it may not be used here."""
        if node.name.startswith(PHYSICAL):
            return self._physical(node)
        binding = self.scope.find(node.name)
        if binding is None:
            self.fail(node, f"undeclared name `{node.name}`")
        if hidden := self.scope.hidden(node.name):
            what = {Role.VARIABLE: "a variable", Role.INPUT: "an input", Role.QUBITS: "a register"}[hidden]
            self.fail(
                node,
                f"a gate or subroutine sees its own parameters and global constants only; `{node.name}` is {what}",
            )
        return binding

    def _physical(self, node: ast.Identifier) -> Binding:
        """A physical qubit, which subroutines see as well, but gates do not."""
        if self.scope.gates_around():
            self.fail(node, f"a gate acts on its own qubits, not on the physical qubit `{node.name}`")
        name = physical_name(node.name)
        binding = self.scope.find(name)
        if binding is None:
            self.fail(node, f"the program has no physical qubit `{name}`")
        return binding


@singledispatch
def evaluate(node: ast.QASMNode, context: Context, real: bool = False) -> Value:
    """The value of an expression. ``real`` says that a real number is wanted, see `arithmetic.binary`."""
    context.fail(node, f"{_DESCRIPTIONS.get(type(node), type(node).__name__)} cannot be used here")


_DESCRIPTIONS: dict[type, str] = {
    ast.ImaginaryLiteral: "a complex number",
    ast.BitstringLiteral: "a bit string",
    ast.DurationLiteral: "a duration",
    ast.DurationOf: "a duration",
    ast.ArrayLiteral: "a list in braces",
    ast.Concatenation: "a concatenation",
    ast.QuantumMeasurement: "a measurement inside an expression",
}


@evaluate.register
def _(node: ast.IntegerLiteral, context: Context, real: bool = False) -> Value:
    return context.attempt(node, arithmetic.binary, "+", node.value, 0)


@evaluate.register
def _(node: ast.FloatLiteral, context: Context, real: bool = False) -> Value:
    return context.attempt(node, arithmetic.binary, "+", node.value, 0.0)


@evaluate.register
def _(node: ast.BooleanLiteral, context: Context, real: bool = False) -> Value:
    return node.value


@evaluate.register
def _(node: ast.Identifier, context: Context, real: bool = False) -> Value:
    value = context.binding(node).value
    if value is None:
        context.fail(node, f"`{node.name}` is used before it has a value")
    return value


@evaluate.register
def _(node: ast.UnaryExpression, context: Context, real: bool = False) -> Value:
    operand = number(node.expression, context, real)
    if node.op.name == "-":
        return context.attempt(node, arithmetic.negative, operand)
    if node.op.name == "!":
        return context.attempt(node, arithmetic.invert, operand)
    if isinstance(operand, bool | float | Expression):
        context.fail(
            node, f"`~` needs an integer or bits, but this is {arithmetic.type_name(operand)} {operand}"
        )
    width = _width(operand) or _unsigned_width(node.expression, context)
    if width is not None:
        return context.attempt(node, arithmetic.binary, "^", operand, 2**width - 1)
    return context.attempt(node, arithmetic.binary, "-", arithmetic.negative(operand), 1)


@evaluate.register
def _(node: ast.BinaryExpression, context: Context, real: bool = False) -> Value:
    left, right = _operand(node.lhs, context, real), _operand(node.rhs, context, real)
    value = context.attempt(node, arithmetic.binary, node.op.name, left, right, real)
    if node.op.name == "<<" and (width := _width(left)) is not None and isinstance(value, Classical):
        return Operation("&", (value, Literal(2**width - 1)))  # a register does not grow
    return value


def _operand(node: ast.Expression, context: Context, real: bool) -> Number:
    """A number; beside an operator a bit string such as "01" is one too."""
    return node.value if isinstance(node, ast.BitstringLiteral) else number(node, context, real)


def _unsigned_width(node: ast.Expression, context: Context) -> int | None:
    """How many bits an unsigned integer was declared or cast with."""
    kind = None
    if isinstance(node, ast.Identifier):
        kind = context.binding(node).kind
    elif isinstance(node, ast.Cast):
        kind = scalar_kind(node.type, context)
    if kind is None or kind.name not in ("uint", "bit"):
        return None
    return (64 if kind.name == "uint" else 1) if kind.width is None else kind.width


def _width(value: Number) -> int | None:
    """How many bits a value has, where it is made of measured ones."""
    match value:
        case Whole(bits):
            return len(bits)
        case Variable(_, Kind("bit")):
            return 1
        case Operation("&" | "|" | "^", (left, right)):
            widths = [_width(left), _width(right)]
            return max((w for w in widths if w is not None), default=None)
    return None


@evaluate.register
def _(node: ast.FunctionCall, context: Context, real: bool = False) -> Value:
    if node.name.name in context.subroutines:
        return context.call(node)
    integers = node.name.name in ("mod", "popcount")
    arguments = [number(argument, context, real=not integers) for argument in node.arguments]
    return context.attempt(node, arithmetic.function, node.name.name, arguments)


@evaluate.register
def _(node: ast.Cast, context: Context, real: bool = False) -> Value:
    kind = scalar_kind(node.type, context)
    value = number(node.argument, context, real=kind.name in ("float", "angle"))
    return context.attempt(node, arithmetic.convert, value, kind, True)


@evaluate.register
def _(node: ast.IndexExpression, context: Context, real: bool = False) -> Value:
    collection = evaluate(node.collection, context)
    if isinstance(collection, Register):
        return select(collection, node.index, context, node)
    if isinstance(collection, Bits):
        return select_bits(collection, node.index, context, node)
    if isinstance(collection, int | Classical) and isinstance(node.collection, ast.Identifier):
        return _bit(collection, node, context.binding(node.collection).kind, context)
    return element(collection, [node.index], context, node)


def _bit(value: int | Classical, node: ast.IndexExpression, kind: Kind | None, context: Context) -> Number:
    """Bit `u[i]` of an integer, the lowest first."""
    index = None if isinstance(node.index, ast.DiscreteSet) or len(node.index) != 1 else node.index[0]
    if kind is None or kind.name not in ("int", "uint"):
        context.fail(node, f"an index into {kind or 'a number'}")
    if index is None or isinstance(index, ast.RangeDefinition):
        context.fail(node, "of an integer one bit can be read at a time, such as `u[0]`")
    place = _wrap(integer(index, context), kind.width or 64, context, index)
    shifted = context.attempt(node, arithmetic.binary, ">>", value, place)
    lowest = context.attempt(node, arithmetic.binary, "&", shifted, 1)
    return context.attempt(node, arithmetic.convert, lowest, BIT) if isinstance(lowest, Classical) else lowest


@evaluate.register
def _(node: ast.SizeOf, context: Context, real: bool = False) -> Value:
    value = evaluate(node.target, context)
    if not isinstance(value, Array):
        context.fail(node, "sizeof needs an array")
    axis = 0 if node.index is None else integer(node.index, context)
    if not 0 <= axis < len(value.shape):
        context.fail(node, f"the array has {len(value.shape)} axes, and no axis {axis}")
    return value.shape[axis]


def number(node: ast.Expression, context: Context, real: bool = False) -> Number:
    """A scalar: constant or angle expression."""
    value = evaluate(node, context, real)
    if isinstance(value, Bits):
        return value.bits[0] if value.single else Whole(value.bits, value.text)
    if not isinstance(value, int | float | Expression | Classical):
        context.fail(node, f"a number is needed, but this is {_describe(value)}")
    return value


def integer(node: ast.Expression, context: Context) -> int:
    """A constant integer, as indices, sizes and bounds must be."""
    value = number(node, context)
    if isinstance(value, Expression):
        context.fail(node, "a constant integer is needed, but this depends on an input")
    if isinstance(value, Classical):
        context.fail(node, f"a constant integer is needed, but {value} is known at run time only")
    if type(value) is not int:
        context.fail(
            node, f"a constant integer is needed, but this is the {arithmetic.type_name(value)} {value}"
        )
    return value


def angle(node: ast.Expression, context: Context) -> Number:
    """An argument of a gate: a real number of radians."""
    value = number(node, context, real=True)
    if isinstance(value, bool) or (isinstance(value, Classical) and arithmetic.value_kind(value) == "bool"):
        context.fail(node, "an angle is needed, but this is a bool")
    return arithmetic.as_real(value)


def condition(node: ast.Expression, context: Context) -> bool | Classical:
    """A condition: true, false, or what decides at run time."""
    value = number(node, context)
    if isinstance(value, Classical):
        return value
    if isinstance(value, Expression):
        known = "must be a bool or an integer" if has_locals(value) else "cannot depend on an input"
        context.fail(node, f"a condition {known}")
    return bool(value)


def known_condition(node: ast.Expression, context: Context) -> bool:
    value = condition(node, context)
    if isinstance(value, Classical):
        context.fail(node, "a condition known while reading is needed, but this is measured")
    return value


def scalar_kind(node: ast.ClassicalType | None, context: Context) -> Kind:
    names: dict[type, str] = {
        ast.IntType: "int",
        ast.UintType: "uint",
        ast.FloatType: "float",
        ast.AngleType: "angle",
        ast.BoolType: "bool",
        ast.BitType: "bit",
    }
    name = names.get(type(node))
    if node is None or name is None:
        what = type(node).__name__.removesuffix("Type").lower()
        raise context.source.error_at(node or ast.Identifier("?"), f"the type {what} is not supported")
    size = getattr(node, "size", None)
    width = None if size is None else integer(size, context)
    if width is not None and not 1 <= width <= 64:
        context.fail(node, f"the width of {name} must be from 1 to 64 bits, but is {width}")
    return Kind(name, width)


def element(
    value: Value, indices: list[ast.IndexElement], context: Context, node: ast.QASMNode
) -> Number | Array:
    """The part of an array that ``indices`` name."""
    for place in _flat(indices, context, node):
        if not isinstance(value, Array):
            remedy = "; bit `i` of an integer `u` is `(u >> i) & 1`"
            context.fail(node, f"too many indices, or an index into {_describe(value)}{remedy}")
        part = value.part(_wrap(place, value.shape[0], context, node))
        if part is None:
            context.fail(node, "an element is used before it has a value")
        value = part
    assert not isinstance(value, Register | Bits)
    return value


def flat_index(array: Array, indices: list[ast.IndexElement], context: Context, node: ast.QASMNode) -> int:
    """Where in ``array.elements`` the one element that ``indices`` name stands."""
    places = list(_flat(indices, context, node))
    if len(places) != len(array.shape):
        context.fail(node, f"{len(array.shape)} indices are needed, but {len(places)} are given")
    position = 0
    for place, extent in zip(places, array.shape, strict=True):
        position = position * extent + _wrap(place, extent, context, node)
    return position


def _flat(indices: list[ast.IndexElement], context: Context, node: ast.QASMNode) -> Iterator[int]:
    for index in indices:
        if isinstance(index, ast.DiscreteSet):
            context.fail(node, "an array is indexed by integers, one element at a time")
        for place in index:
            if isinstance(place, ast.RangeDefinition):
                context.fail(place, "an array is indexed by integers, one element at a time")
            yield integer(place, context)


def _wrap(index: int, extent: int, context: Context, node: ast.QASMNode) -> int:
    """``index`` counted from the end if negative."""
    if not -extent <= index < extent:
        allowed = (
            f"must be from {-extent} to {extent - 1}" if extent else "has nothing to name in an empty array"
        )
        context.fail(node, f"the index {index} is out of range: it {allowed}")
    return index % extent


def integers(node: ast.RangeDefinition, context: Context) -> range:
    """The integers of `start:end` or `start:step:end`: inclusive at both ends."""
    if node.start is None or node.end is None:
        context.fail(node, "a range to loop over needs a start and an end")
    step = 1 if node.step is None else integer(node.step, context)
    if step == 0:
        context.fail(node, "the step of a range must not be 0")
    start, end = integer(node.start, context), integer(node.end, context)
    return range(start, end + (1 if step > 0 else -1), step)


def loop_values(node: ast.QASMNode, context: Context) -> Iterable[Number]:
    """What a `for` runs over."""
    if isinstance(node, ast.RangeDefinition):
        return integers(node, context)
    if isinstance(node, ast.DiscreteSet):
        return [number(value, context) for value in node.values]
    value = evaluate(node, context)
    if not isinstance(value, Array) or len(value.shape) != 1:
        context.fail(node, "a loop runs over a range, a set or an array with one axis")
    if None in value.elements:
        context.fail(node, "the array is used before all its elements have values")
    return [element for element in value.elements if element is not None]


def qubits(node: ast.QASMNode, context: Context) -> Register:
    """The qubits an operand names: a name, a selection of a register, or a concatenation."""
    if isinstance(node, ast.Concatenation):
        left, right = qubits(node.lhs, context), qubits(node.rhs, context)
        return _distinct(left.wires + right.wires, context, node)
    if isinstance(node, ast.IndexedIdentifier):
        value: Value = evaluate(node.name, context)
        for index in node.indices:
            value = select(_register(value, context, node), index, context, node)
    else:
        value = evaluate(node, context)
    return _register(value, context, node)


def select(register: Register, index: ast.IndexElement, context: Context, node: ast.QASMNode) -> Register:
    """One qubit, a slice or a set of a register."""
    if register.single:
        context.fail(node, "a single qubit cannot be indexed")
    size = len(register.wires)
    if isinstance(index, ast.DiscreteSet):
        places: Iterable[int] = [_wrap(integer(v, context), size, context, v) for v in index.values]
    elif len(index) != 1:
        context.fail(node, "a register has one index; name several qubits with a set, such as q[{0, 2}]")
    elif isinstance(index[0], ast.RangeDefinition):
        places = _slice(index[0], size, context)
    else:
        place = _wrap(integer(index[0], context), size, context, index[0])
        return Register((register.wires[place],), single=True)
    return _distinct(tuple(register.wires[place] for place in places), context, node)


def select_bits(bits: Bits, index: ast.IndexElement, context: Context, node: ast.QASMNode) -> Bits:
    """One bit, a slice or a set of a register of bits."""
    if bits.single:
        context.fail(node, "a single bit cannot be indexed")
    places = select(Register(tuple(range(len(bits.bits)))), index, context, node)
    chosen = tuple(bits.bits[place] for place in places.wires)
    return Bits(chosen, places.single)


def _slice(node: ast.RangeDefinition, size: int, context: Context) -> range:
    step = 1 if node.step is None else integer(node.step, context)
    if step == 0:
        context.fail(node, "the step of a range must not be 0")
    first, last = (0, -1) if step > 0 else (-1, 0)
    ends = [
        _wrap(default if end is None else integer(end, context), size, context, end or node)
        for end, default in ((node.start, first), (node.end, last))
    ]
    return range(ends[0], ends[1] + (1 if step > 0 else -1), step)


def _distinct(wires: tuple[int, ...], context: Context, node: ast.QASMNode) -> Register:
    if len(set(wires)) != len(wires):
        context.fail(node, "the selection names a qubit twice")
    if not wires:
        context.fail(node, "the selection is empty")
    return Register(wires)


def _register(value: Value, context: Context, node: ast.QASMNode) -> Register:
    if not isinstance(value, Register):
        context.fail(node, f"a qubit or register is needed, but this is {_describe(value)}")
    return value


def _describe(value: object) -> str:
    match value:
        case Register(single=True):
            return "a qubit"
        case Register():
            return "a register"
        case Array():
            return "an array"
        case Bits():
            return "a register of bits"
    return "a number"
