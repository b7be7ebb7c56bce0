"""Declarations: qubits, inputs, constants, variables, aliases, gates and includes."""

from __future__ import annotations

import math
import re
from pathlib import Path

from openqasm3 import ast

from qlazy.quantum.program.classical import BIT, Kind, has_locals
from qlazy.quantum.program.expression import Expression, Input
from qlazy.quantum.qasm.bits import assign_bits, bits_value, measure, new_bits, target_bits, whole_of
from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.evaluation import (
    element,
    evaluate,
    flat_index,
    integer,
    number,
    qubits,
    scalar_kind,
)
from qlazy.quantum.qasm.expressions.values import (
    PHYSICAL,
    Array,
    Binding,
    Bits,
    GateDefinition,
    Number,
    Register,
    Role,
    StandardGate,
    physical_name,
)
from qlazy.quantum.qasm.gates.bodies import check_body
from qlazy.quantum.qasm.gates.standard import EXTRA, STANDARD
from qlazy.quantum.qasm.parse import parse, without_comments
from qlazy.quantum.qasm.reader import MAX_QUBITS, QELIB1, Reader
from qlazy.quantum.qasm.runtime import assign, give_slots, is_known, new_variable, outside_gates
from qlazy.quantum.qasm.source import Source
from qlazy.quantum.qasm.statements import execute, execute_all


@execute.register
def _(node: ast.Include, reader: Reader) -> None:
    reader.count_include(node)
    if node.filename == "stdgates.inc":
        for name in (*STANDARD, *EXTRA):
            reader.define(node, name, StandardGate(name))
        return
    if node.filename == QELIB1:
        _include_version_2(reader)
        return
    path = _included(node, reader)
    if str(path) in (reader.source.file, *reader.including):
        reader.fail(node, f"{node.filename} includes itself")
    included = Source.read(path)
    included.include_from = reader.source.include_from
    included.version_2 = reader.source.version_2
    with reader.inside(included):
        declare_physical(reader)
        execute_all(parse(reader.source).statements, reader)


def _included(node: ast.Include, reader: Reader) -> Path:
    """The file of an include, which stands in a folder that is allowed: a text could read any file otherwise."""
    folders = reader.source.include_from
    if not folders:
        reader.fail(node, f"a text includes stdgates.inc and qelib1.inc alone, not {node.filename}, unless "
                    "`include_from` names a folder")  # fmt: skip
    where = ", ".join(str(folder) for folder in folders)
    try:
        path = reader.source.included(node.filename)
    except PermissionError:
        reader.fail(node, f"{node.filename} is outside of {where}: `include_from` allows other folders")
    if path is None:
        reader.fail(node, f"there is no file {folders[0] / node.filename} to include")
    return path


_QELIB1 = """
gate u0(g) a { id a; }
gate u(t, f, l) a { U(t, f, l) a; }
gate csx a, b { ctrl @ sx a, b; }
gate cu1(l) a, b { cp(l) a, b; }
gate cu3(t, f, l) a, b { cu(t, f, l, 0) a, b; }
gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }
gate rxx(t) a, b { h a; h b; rzz(t) a, b; h a; h b; }
gate c3x a, b, c, d { ctrl(3) @ x a, b, c, d; }
gate c3sqrtx a, b, c, d { ctrl(3) @ sx a, b, c, d; }
gate rccx a, b, c { h c; t c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; h c; }
gate rc3x a, b, c, d {
  h d; t d; cx c, d; tdg d; h d; cx a, d; t d; cx b, d; tdg d; cx a, d; t d; cx b, d; tdg d; h d;
  t d; cx c, d; tdg d; h d;
}
gate c4x a, b, c, d, e { ctrl(4) @ x a, b, c, d, e; }
"""


def _include_version_2(reader: Reader) -> None:
    """The library of OpenQASM 2: the standard one, and gates that version 3 has no longer."""
    source = Source(_QELIB1)
    source.file = QELIB1
    if reader.source.version_2:
        del reader.gates["CX"]  # built in, and in the library too
    for name in (*STANDARD, *EXTRA):
        reader.define(ast.Identifier(name), name, StandardGate(name))
    with reader.inside(source):
        execute_all(parse(source).statements, reader)


def declare_physical(reader: Reader) -> None:
    """The physical qubits that the text names, in the order of their numbers: one wire for each."""
    text = re.sub(r"(?m)^\s*(#?pragma\b|@).*$", "", without_comments(reader.source.text))
    names = {physical_name(name) for name in re.findall(r"\$[0-9]+", text)} - {*reader.qubits}
    for name in sorted(names, key=lambda name: (len(name), name)):
        register = Register((len(reader.qubits),), single=True)
        reader.outermost.names[name] = Binding(Role.QUBITS, register)
        reader.qubits.append(name)
    if len(reader.qubits) > MAX_QUBITS:
        message = f"a program may have at most {MAX_QUBITS:,} qubits, but has {len(reader.qubits):,}"
        raise reader.source.error(message, 1, 0)


@execute.register
def _(node: ast.QubitDeclaration, reader: Reader) -> None:
    size = 1 if node.size is None else integer(node.size, reader)
    if size < 1:
        reader.fail(node, f"a register must have at least one qubit, but `{node.qubit.name}` has {size}")
    start = len(reader.qubits)
    if start and reader.qubits[0].startswith(PHYSICAL):
        reader.fail(
            node,
            f"a program has physical qubits, such as `{reader.qubits[0]}`, or registers, not both: "
            "which physical qubits a register stands on is not said",
        )
    if start + size > MAX_QUBITS:
        reader.fail(node, f"a program may have at most {MAX_QUBITS:,} qubits, but has {start + size:,}")
    register = Register(tuple(range(start, start + size)), single=node.size is None)
    reader.declare(node.qubit, Binding(Role.QUBITS, register))
    name = node.qubit.name
    reader.qubits += [name] if node.size is None else [f"{name}[{place}]" for place in range(size)]


@execute.register
def _(node: ast.AliasStatement, reader: Reader) -> None:
    value = None if isinstance(node.value, ast.Concatenation) else evaluate(node.value, reader)
    if isinstance(value, Bits):
        reader.declare(node.target, Binding(Role.VARIABLE, value, BIT))
    else:
        reader.declare(node.target, Binding(Role.QUBITS, qubits(node.value, reader)))


@execute.register
def _(node: ast.QuantumGateDefinition, reader: Reader) -> None:
    parameters = tuple(argument.name for argument in node.arguments)
    operands = tuple(qubit.name for qubit in node.qubits)
    seen: set[str] = set()
    for item in (*node.arguments, *node.qubits):
        if item.name in seen:
            reader.fail(item, f"`{item.name}` is declared twice in the gate `{node.name.name}`")
        seen.add(item.name)
    name = node.name.name
    names = check_body(node, reader)
    reader.define(
        node.name, name, GateDefinition(name, parameters, operands, node.body, reader.source, names)
    )


@execute.register
def _(node: ast.IODeclaration, reader: Reader) -> None:
    if node.io_identifier.name != "input":
        reader.fail(
            node, "outputs are not supported; name what to return with `pragma qlazy.observable Z q[0]`"
        )
    array = node.type if isinstance(node.type, ast.ArrayType) else None
    kind = scalar_kind(array.base_type if array else node.type, reader)
    if kind.name not in ("float", "angle"):
        reader.fail(
            node,
            f"an input must be float or angle, so that one can differentiate in it, but is {kind}; "
            f"for a size write `const int {node.identifier.name} = ...;`",
        )
    shape = reader.shape(array.dimensions) if array else ()
    name = node.identifier.name
    elements: list[Number | None] = [Input(name, i, shape) for i in range(math.prod(shape))]
    value = Array(shape, elements) if array else Input(name)
    reader.declare(node.identifier, Binding(Role.INPUT, value, kind))
    annotated = any(annotation.keyword == "qlazy.data" for annotation in node.annotations)
    target = reader.data if annotated or name in reader.data_names else reader.weights
    target[name] = shape


@execute.register
def _(node: ast.ConstantDeclaration, reader: Reader) -> None:
    name = node.identifier.name
    if isinstance(node.type, ast.DurationType):
        reader.declare(node.identifier, Binding(Role.CONSTANT, None))
        return
    kind = scalar_kind(node.type, reader)
    size = reader.is_global and not reader.including and is_size(node)
    if size and name in reader.overrides:
        value: Number = reader.overrides[name]
    else:
        value = number(node.init_expression, reader, real=kind.name in ("float", "angle"))
    if isinstance(value, Expression) and not has_locals(value):
        reader.fail(node.init_expression, f"the constant `{name}` cannot depend on an input")
    if not is_known(value):
        reader.fail(node.init_expression, f"the constant `{name}` cannot depend on a measurement")
    value = reader.attempt(node.init_expression, arithmetic.convert, value, kind)
    reader.declare(node.identifier, Binding(Role.CONSTANT, value, kind))
    if size:
        reader.sizes[name] = int(value)  # type: ignore[arg-type]


def is_size(node: ast.ConstantDeclaration) -> bool:
    """A constant that a caller may set: an integer given by a literal."""
    init = node.init_expression
    if isinstance(init, ast.UnaryExpression) and init.op.name == "-":
        init = init.expression
    return isinstance(node.type, ast.IntType | ast.UintType) and isinstance(init, ast.IntegerLiteral)


@execute.register
def _(node: ast.ClassicalDeclaration, reader: Reader) -> None:
    init = node.init_expression
    if isinstance(node.type, ast.DurationType | ast.StretchType):
        reader.declare(node.identifier, Binding(Role.VARIABLE, None))  # only what has no effect uses it
        return
    if isinstance(node.type, ast.BitType):
        _declare_bits(node, reader)
        return
    if isinstance(init, ast.QuantumMeasurement):
        reader.fail(node, f"a measurement gives bits: declare `{node.identifier.name}` as `bit`")
    name = node.identifier.name
    if isinstance(node.type, ast.ArrayType):
        kind = scalar_kind(node.type.base_type, reader)
        array = _array(init, kind, reader.shape(node.type.dimensions), reader, node)
        binding = Binding(Role.VARIABLE, array, kind)
        if not all(map(is_known, array.elements)):
            give_slots(name, binding, node, reader)
    else:
        kind = scalar_kind(node.type, reader)
        if init is None:
            binding = Binding(Role.VARIABLE, None, kind)
        else:
            binding = new_variable(name, _converted(init, kind, reader), kind, node, reader)
    reader.declare(node.identifier, binding)


def _declare_bits(node: ast.ClassicalDeclaration, reader: Reader) -> None:
    init, size = node.init_expression, scalar_kind(node.type, reader).width
    count = 1 if size is None else size
    # What initialises the bits is evaluated before their name is known.
    value = (
        None if init is None or isinstance(init, ast.QuantumMeasurement) else bits_value(init, count, reader)
    )
    bits = new_bits(node.identifier.name, size, reader)
    if isinstance(init, ast.QuantumMeasurement):
        measure(init, bits, node, reader)
    elif value is not None:
        assign_bits(bits, value, node, reader)
    elif reader.frames[-1].kind != "program" or reader.depth:
        assign_bits(bits, 0, node, reader)  # new in every round
    reader.declare(node.identifier, Binding(Role.VARIABLE, bits, BIT))


def _converted(node: ast.Expression, kind: Kind, reader: Reader) -> Number:
    value = number(node, reader, real=kind.name in ("float", "angle"))
    return reader.attempt(node, arithmetic.convert, value, kind)


def _array(
    init: ast.Expression | None, kind: Kind, shape: tuple[int, ...], reader: Reader, node: ast.QASMNode
) -> Array:
    if init is None:
        return Array(shape, [None] * math.prod(shape))
    elements: list[Number | None] = []
    _fill(elements, init, kind, shape, reader)
    return Array(shape, elements)


def _fill(
    elements: list[Number | None], node: ast.Expression, kind: Kind, shape: tuple[int, ...], reader: Reader
) -> None:
    if not shape:
        elements.append(_converted(node, kind, reader))
    elif isinstance(node, ast.ArrayLiteral):
        if len(node.values) != shape[0]:
            reader.fail(node, f"{shape[0]} values are needed, but {len(node.values)} are given")
        for value in node.values:
            _fill(elements, value, kind, shape[1:], reader)
    else:
        elements += _copied(evaluate(node, reader), kind, shape, reader, node)


def _copied(
    value: object, kind: Kind, shape: tuple[int, ...], reader: Reader, node: ast.Expression
) -> list[Number | None]:
    if not isinstance(value, Array) or value.shape != shape:
        reader.fail(node, f"an array of shape {shape} is needed")
    return [v if v is None else reader.attempt(node, arithmetic.convert, v, kind) for v in value.elements]


@execute.register
def _(node: ast.ClassicalAssignment, reader: Reader) -> None:
    name = node.lvalue.name if isinstance(node.lvalue, ast.IndexedIdentifier) else node.lvalue
    binding = reader.binding(name)
    outside_gates(node, reader)
    if binding.role is not Role.VARIABLE or binding.kind is None:
        reader.fail(name, f"`{name.name}` is {_ROLE[binding.role]} and cannot be assigned to")
    if isinstance(binding.value, Bits):
        _assign_to_bits(node, reader)
        return
    value = _assigned(node, binding.kind, reader)
    place = _element(node, binding, reader)
    if not binding.slots and not is_known(value):
        give_slots(name.name, binding, node, reader, keep=isinstance(binding.value, Array))
    if binding.slots:
        assign(binding.slots[place], value, node, reader)
    elif isinstance(binding.value, Array):
        binding.value.elements[place] = value
    else:
        binding.value = value


def _element(node: ast.ClassicalAssignment, binding: Binding, reader: Reader) -> int:
    """Which element is assigned to; 0 for a scalar."""
    name = node.lvalue.name if isinstance(node.lvalue, ast.IndexedIdentifier) else node.lvalue
    if isinstance(binding.value, Array):
        if not isinstance(node.lvalue, ast.IndexedIdentifier):
            reader.fail(node, f"`{name.name}` is an array: assign to one element at a time")
        return flat_index(binding.value, node.lvalue.indices, reader, node)
    if isinstance(node.lvalue, ast.IndexedIdentifier):
        assert binding.kind is not None
        reader.fail(node, f"`{name.name}` is {arithmetic.article(binding.kind.name)} and has no elements")
    return 0


def _assign_to_bits(node: ast.ClassicalAssignment, reader: Reader) -> None:
    target = target_bits(node.lvalue, reader)
    value = (
        bits_value(node.rvalue, len(target.bits), reader)
        if node.op.name == "="
        else _combined(node, target, reader)
    )
    assign_bits(target, value, node, reader)


def _combined(node: ast.ClassicalAssignment, target: Bits, reader: Reader) -> Number:
    """The value of `c ^= ...`, kept within the width of the target."""
    rvalue = (
        node.rvalue.value if isinstance(node.rvalue, ast.BitstringLiteral) else number(node.rvalue, reader)
    )
    symbol = node.op.name.removesuffix("=")
    value = reader.attempt(node, arithmetic.binary, symbol, whole_of(target), rvalue)
    if symbol == "<<":
        return reader.attempt(node, arithmetic.binary, "&", value, 2 ** len(target.bits) - 1)
    return value


_ROLE = {
    Role.CONSTANT: "a constant",
    Role.INPUT: "an input",
    Role.QUBITS: "a register",
    Role.PARAMETER: "a gate parameter",
}


def _assigned(node: ast.ClassicalAssignment, kind: Kind, reader: Reader) -> Number:
    real = kind.name in ("float", "angle")
    value = number(node.rvalue, reader, real)
    if node.op.name != "=":
        symbol = node.op.name.removesuffix("=")
        value = reader.attempt(node, arithmetic.binary, symbol, _present(node.lvalue, reader), value, real)
    wraps = kind.name == "uint" and not isinstance(value, float)  # unsigned integers count modulo 2 ** width
    return reader.attempt(node, arithmetic.convert, value, kind, wraps)


def _present(target: ast.Identifier | ast.IndexedIdentifier, reader: Reader) -> Number:
    if isinstance(target, ast.Identifier):
        return number(target, reader)
    value = element(evaluate(target.name, reader), target.indices, reader, target)
    if isinstance(value, Array):
        reader.fail(target, "one element is needed, but this is an array")
    return value
