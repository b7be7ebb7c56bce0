"""Subroutines: each call is read anew in its place, with its arguments bound by value."""

from __future__ import annotations

from openqasm3 import ast

from qlazy.quantum.program.classical import Kind
from qlazy.quantum.qasm.bits import assign_bits, bits_value, measured, new_bits, whole_of
from qlazy.quantum.qasm.control.branches import jump
from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.evaluation import evaluate, integer, number, qubits, scalar_kind
from qlazy.quantum.qasm.expressions.values import Array, Binding, Bits, Role, Subroutine, Value
from qlazy.quantum.qasm.reader import Frame, Jump, Reader
from qlazy.quantum.qasm.runtime import assign, is_known, new_variable, outside_gates, shown
from qlazy.quantum.qasm.statements import Skipped, execute, execute_all

MAX_CALLS = 100  # one inside another


@execute.register
def _(node: ast.SubroutineDefinition, reader: Reader) -> None:
    name = node.name.name
    if name in reader.subroutines or name in reader.gates:
        reader.fail(node.name, f"`{name}` is defined twice")
    seen: set[str] = set()
    for argument in node.arguments:
        if argument.name.name in seen:
            reader.fail(argument.name, f"`{argument.name.name}` is declared twice in `{name}`")
        seen.add(argument.name.name)
    reader.subroutines[name] = Subroutine(node, reader.source)


@execute.register
def _(node: ast.ExpressionStatement, reader: Reader) -> None:
    if not isinstance(node.expression, ast.FunctionCall) or (
        node.expression.name.name not in reader.subroutines
    ):
        if isinstance(node.expression, ast.FunctionCall) and node.expression.name.name in reader.gates:
            name = node.expression.name.name
            reader.fail(node, f"`{name}` is a gate, not a subroutine: call it as `{name} q[0];`")
        reader.fail(node, "an expression alone has no effect")
    call(node.expression, reader)


@execute.register
def _(node: ast.ReturnStatement, reader: Reader) -> None:
    frame = next((f for f in reversed(reader.frames) if f.kind == "subroutine"), None)
    if frame is None:
        reader.fail(node, "`return` stands outside a subroutine")
    if (node.expression is None) != (frame.returns is None):
        reader.fail(node, "what is returned is not what the subroutine declares")
    if node.expression is not None:
        _keep_result(node, frame, reader)
    jump(frame, node, reader)


def call(node: ast.FunctionCall, reader: Reader) -> Value | None:
    """Execute a subroutine; what it returns, or None."""
    name = node.name.name
    outside_gates(node, reader)
    subroutine = reader.subroutines[name]
    definition = subroutine.node
    if len(node.arguments) != len(definition.arguments):
        count = len(definition.arguments)
        reader.fail(node, f"`{name}` takes {count} arguments, but is given {len(node.arguments)}")
    if len(reader.frames) > MAX_CALLS:
        reader.fail(node, f"more than {MAX_CALLS} subroutines and loops are inside one another")
    reader.step(node)
    names = {
        formal.name.name: _bound(formal, actual, reader)
        for formal, actual in zip(definition.arguments, node.arguments, strict=True)
    }
    frame = Frame("subroutine", reader.depth, returns=definition.return_type)
    with reader.subroutine(subroutine, frame, names):
        try:
            execute_all(definition.body, reader)
        except Jump as jumped:
            if jumped.frame is not frame:
                raise
        except Skipped:
            raise AssertionError("a jump at run time ends the block that it stands in") from None
    if frame.leave is not None:
        reader.jumped.discard(frame.leave)
    if frame.returns is not None and frame.result is None:
        reader.fail(node, f"`{name}` does not return a value")
    return frame.result


def _bound(
    formal: ast.ClassicalArgument | ast.QuantumArgument, actual: ast.Expression, reader: Reader
) -> Binding:
    if isinstance(formal, ast.QuantumArgument):
        register = qubits(actual, reader)
        size = None if formal.size is None else integer(formal.size, reader)
        if (size is None) != register.single or (size is not None and size != len(register.wires)):
            wanted = "one qubit" if size is None else f"{size} qubits"
            reader.fail(actual, f"`{formal.name.name}` takes {wanted}, but this is {len(register.wires)}")
        return Binding(Role.QUBITS, register)
    if isinstance(formal.type, ast.ArrayType | ast.ArrayReferenceType):
        return _array(formal, actual, reader)
    kind = scalar_kind(formal.type, reader)
    if kind.name == "bit":
        bits = new_bits(formal.name.name, kind.width, reader)
        assign_bits(bits, bits_value(actual, len(bits.bits), reader), actual, reader)
        return Binding(Role.VARIABLE, bits, kind)
    value = reader.attempt(actual, arithmetic.convert, number(actual, reader), kind)
    return new_variable(formal.name.name, value, kind, actual, reader)


def _array(formal: ast.ClassicalArgument, actual: ast.Expression, reader: Reader) -> Binding:
    if formal.access is None or formal.access.name != "readonly":
        reader.fail(actual, "an array is handed over as `readonly array`: a subroutine cannot change it")
    value = evaluate(actual, reader)
    if not isinstance(value, Array):
        reader.fail(actual, "an array is needed")
    return Binding(Role.PARAMETER, Array(value.shape, list(value.elements)))


def _keep_result(node: ast.ReturnStatement, frame: Frame, reader: Reader) -> None:
    """Put the returned value where the call finds it."""
    assert node.expression is not None
    assert frame.returns is not None
    kind = scalar_kind(frame.returns, reader)
    if kind.name == "bit":
        _keep_bits(node, frame, kind, reader)
        return
    if isinstance(node.expression, ast.QuantumMeasurement):
        reader.fail(node, f"a measurement returns bits, but the subroutine declares {kind}")
    value = reader.attempt(
        node, arithmetic.convert, number(node.expression, reader, kind.name in ("float", "angle")), kind
    )
    if reader.depth == frame.depth and frame.result is None and is_known(value):
        frame.result = value
        return
    if frame.result is None:
        slot = reader.variable("result", kind)
        frame.result = shown(slot)
        frame.slot = slot
    assert frame.slot is not None
    assign(frame.slot, value, node, reader)


def _keep_bits(node: ast.ReturnStatement, frame: Frame, kind: Kind, reader: Reader) -> None:
    assert node.expression is not None
    size = 1 if kind.width is None else kind.width
    if frame.result is None:
        frame.result = new_bits("result", kind.width, reader)
    assert isinstance(frame.result, Bits)
    if isinstance(node.expression, ast.QuantumMeasurement):
        found = measured(node.expression, "measured", node, reader)
        if len(found.bits) != size:
            reader.fail(node, f"{len(found.bits)} bits are returned, but the subroutine declares {size}")
        assign_bits(frame.result, whole_of(found), node, reader)
    else:
        assign_bits(frame.result, bits_value(node.expression, size, reader), node, reader)
