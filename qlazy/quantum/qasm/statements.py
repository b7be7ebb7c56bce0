"""Executing statements: control flow known while reading, gate calls, and what the language has beyond this
reader.

`execute` dispatches on the type of the syntax node; a new kind of statement is one more registered function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce, singledispatch
from typing import get_args

from openqasm3 import ast

from qlazy.quantum.program.classical import Classical, Operation, Variable
from qlazy.quantum.program.expression import as_expression
from qlazy.quantum.program.program import Gate, Semantics
from qlazy.quantum.program.statements import Block, Branch
from qlazy.quantum.qasm import pragmas
from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.evaluation import (
    angle,
    integer,
    known_condition,
    number,
    qubits,
)
from qlazy.quantum.qasm.expressions.values import (
    Binding,
    GateDefinition,
    GateLike,
    Number,
    Register,
    Role,
    StandardGate,
)
from qlazy.quantum.qasm.gates import modifiers
from qlazy.quantum.qasm.gates.bodies import check_gate_name, is_complex
from qlazy.quantum.qasm.gates.modifiers import Gates, ModifierRefusal
from qlazy.quantum.qasm.gates.standard import DEFINITIONS
from qlazy.quantum.qasm.parse import parse_expression
from qlazy.quantum.qasm.reader import MAX_GATES, Pragma, Reader
from qlazy.quantum.qasm.runtime import settle

_CALIBRATION = (
    "calibrations are not supported: they say by which pulses a machine makes a gate, not what it does"
)
_REFUSALS: dict[type, str] = {
    ast.ExternDeclaration: "external functions are not supported: what they return is not in the text; write a `def`",
    ast.CalibrationDefinition: _CALIBRATION,
    ast.CalibrationStatement: _CALIBRATION,
    ast.CalibrationGrammarDeclaration: _CALIBRATION,
}


# Our own annotations: what each may stand before.
_ANNOTATED: dict[str, tuple[type, str]] = {
    "qlazy.data": (ast.IODeclaration, "an input declaration"),
    "qlazy.bound": (ast.WhileLoop, "a while loop"),
}


@singledispatch
def execute(node: ast.QASMNode, reader: Reader) -> None:
    """Execute one statement."""
    reader.fail(node, _REFUSALS.get(type(node), f"{type(node).__name__} is not supported"))


def execute_all(statements: Iterable[ast.QASMNode], reader: Reader) -> None:
    """Execute statements in order; what a jump at run time may skip is guarded."""
    rest = list(statements)
    for position, statement in enumerate(rest, 1):
        if reader.is_global and not reader.including:
            reader.statement = statement
        reader.step(statement)
        _check_annotations(statement, reader)
        execute(statement, reader)
        if reader.jumped and position < len(rest):
            unless_jumped(rest[position:], statement, reader)
            return


def _check_annotations(node: ast.QASMNode, reader: Reader) -> None:
    for annotation in getattr(node, "annotations", []):
        if annotation.keyword not in _ANNOTATED:
            words = f"{annotation.keyword} {annotation.command or ''}"
            if near := pragmas.meant(words, _ANNOTATED):
                reader.fail(annotation, f"unknown annotation @{annotation.keyword}; write @{near}")
            continue  # other tools' annotations do not change the meaning
        kind, what = _ANNOTATED[annotation.keyword]
        if not isinstance(node, kind):
            reader.fail(annotation, f"@{annotation.keyword} stands before {what}")


@execute.register
def _(node: ast.Pragma, reader: Reader) -> None:
    word, _, rest = (node.command or "").partition(" ")
    if word not in pragmas.OWN:
        pragmas.foreign(node, reader)
        return
    if word == "qlazy.loops":
        reader.loops = _semantics(rest.strip(), node, reader)
        return
    assert node.span is not None
    line = node.span.start_line
    column = reader.source.lines[line - 1].index(word) + len(word) + 1
    if word == "qlazy.observable":
        reader.observables.append(Pragma(reader.source, rest, line, column))
    elif not known_condition(parse_expression(reader.source, rest, line, column), reader):
        reader.fail(node, f"the program requires {rest.strip()}")


def _semantics(word: str, node: ast.Pragma, reader: Reader) -> Semantics:
    known: dict[str, Semantics] = {semantics: semantics for semantics in get_args(Semantics)}
    if word not in known:
        reader.fail(node, f"qlazy.loops is {' or '.join(known)}, not `{word}`")
    return known[word]


@execute.register
def _(node: ast.CompoundStatement, reader: Reader) -> None:
    with reader.block():
        execute_all(node.statements, reader)


@execute.register
def _(node: ast.Box, reader: Reader) -> None:
    execute_all(node.body, reader)  # a box bounds time, which an exact simulation does not know


@execute.register
def _(node: ast.QuantumBarrier | ast.DelayInstruction, reader: Reader) -> None:
    for operand in node.qubits:
        qubits(operand, reader)


@execute.register
def _(node: ast.QuantumPhase, reader: Reader) -> None:
    applied = [_modifier(modifier, reader) for modifier in node.modifiers]
    phase = (Gate("gphase", (as_expression(arithmetic.as_real(angle(node.argument, reader))),)),)
    for wires in _broadcast(node, 0, sum(m.controls for m in applied), reader):
        reader.emit(_modified(phase, applied, wires, node, reader), node)


@execute.register
def _(node: ast.QuantumGate, reader: Reader) -> None:
    check_gate_name(node.name, reader)
    gate = reader.gates[node.name.name]
    applied = [_modifier(modifier, reader) for modifier in node.modifiers]
    arguments = [_argument(argument, gate, place, reader) for place, argument in enumerate(node.arguments)]
    num_angles, num_qubits = _arity(gate)
    if len(arguments) != num_angles:
        reader.fail(node, f"`{node.name.name}` takes {num_angles} angles, but is given {len(arguments)}")
    num_controls = sum(modifier.controls for modifier in applied)
    for wires in _broadcast(node, num_qubits, num_controls, reader):
        gates = _instantiate(gate, arguments, wires[num_controls:], node, reader)
        reader.emit(_modified(gates, applied, wires, node, reader), node)


def _argument(node: ast.Expression, gate: GateLike, place: int, reader: Reader) -> Number:
    """An angle. Amplitudes that an exporter hands over beside the gates that prepare them have no effect."""
    if isinstance(gate, GateDefinition) and place < len(gate.parameters) and is_complex(node):
        if gate.parameters[place] not in gate.names:
            return 0.0
        message = (
            f"`{gate.name}` needs a real angle in `{gate.parameters[place]}`, but this is a complex number"
        )
        reader.fail(node, message)
    return angle(node, reader)


def _arity(gate: GateLike) -> tuple[int, int]:
    if isinstance(gate, GateDefinition):
        return len(gate.parameters), len(gate.qubits)
    definition = DEFINITIONS[gate.name]
    return definition.num_angles, definition.num_qubits


def _instantiate(
    gate: GateLike,
    arguments: Sequence[Number],
    wires: tuple[int, ...],
    node: ast.QASMNode,
    reader: Reader,
) -> Gates:
    """The base gates of one call."""
    if isinstance(gate, StandardGate):
        return DEFINITIONS[gate.name].build(
            tuple(as_expression(arithmetic.as_real(a)) for a in arguments), wires
        )
    names = {
        name: Binding(Role.QUBITS, Register((w,), True)) for name, w in zip(gate.qubits, wires, strict=True)
    }
    for name, value in zip(gate.parameters, arguments, strict=True):
        names[name] = Binding(Role.PARAMETER, value)
    with reader.body_of(gate, names) as collected:
        execute_all(gate.body, reader)
    return tuple(statement for statement in collected if isinstance(statement, Gate))


def _broadcast(
    node: ast.QuantumGate | ast.QuantumPhase, num_qubits: int, num_controls: int, reader: Reader
) -> Iterator[tuple[int, ...]]:
    """The wires of each call: registers go in step, single qubits stay."""
    operands = [qubits(operand, reader) for operand in node.qubits]
    if len(operands) != num_controls + num_qubits:
        of_which = f" ({num_controls} of them controls)" if num_controls else ""
        expected = f"{num_controls + num_qubits} qubit operands{of_which}"
        reader.fail(node, f"{expected} are needed, but {len(operands)} are given")
    lengths = {len(operand.wires) for operand in operands if not operand.single}
    if len(lengths) > 1:
        reader.fail(
            node, f"registers of different lengths ({', '.join(map(str, sorted(lengths)))}) in one call"
        )
    for place in range(lengths.pop() if lengths else 1):
        wires = tuple(o.wires[0] if o.single else o.wires[place] for o in operands)
        if len(set(wires)) != len(wires):
            reader.fail(node, f"a gate acts on `{reader.qubits[_repeated(wires)]}` twice")
        yield wires


def _repeated(wires: tuple[int, ...]) -> int:
    return next(wire for wire in wires if wires.count(wire) > 1)


class _Modifier:
    """One of ctrl, negctrl, inv and pow, its argument evaluated."""

    def __init__(self, name: str, argument: int | float):
        self.name, self.argument = name, argument
        self.controls = int(argument) if name in ("ctrl", "negctrl") else 0

    def __call__(self, gates: Gates, controls: tuple[int, ...]) -> Gates:
        if self.name == "inv":
            return modifiers.inverse(gates)
        if self.name == "pow":
            return modifiers.power(gates, self.argument, MAX_GATES)
        return modifiers.controlled(gates, controls, 1 if self.name == "ctrl" else 0)


def _modifier(node: ast.QuantumGateModifier, reader: Reader) -> _Modifier:
    name = node.modifier.name
    if name == "pow":
        return _Modifier(name, _exponent(node, reader))
    count = 1 if node.argument is None else integer(node.argument, reader)
    if count < 1:
        reader.fail(node, f"{name}(n) needs at least one control, but n is {count}")
    return _Modifier(name, count)


def _exponent(node: ast.QuantumGateModifier, reader: Reader) -> int | float:
    assert node.argument is not None
    value = number(node.argument, reader, real=True)
    if not isinstance(value, int | float) or isinstance(value, bool):
        reader.fail(node, f"the exponent of pow must be a constant, but is {value}")
    return value


def _modified(
    gates: Gates, applied: list[_Modifier], wires: tuple[int, ...], node: ast.QASMNode, reader: Reader
) -> Gates:
    """``gates`` under its modifiers, the innermost first; the outermost takes the first controls."""
    end = sum(modifier.controls for modifier in applied)
    try:
        for modifier in reversed(applied):
            gates = modifier(gates, wires[end - modifier.controls : end])
            end -= modifier.controls
    except ModifierRefusal as refusal:
        reader.fail(node, str(refusal))
    return gates


class Skipped(Exception):
    """Raised after a jump at run time: nothing behind it in its block is reached."""


def block_apart(statements: Sequence[ast.QASMNode], reader: Reader, scoped: bool = True) -> Block:
    """A block that runs in some cases only. The flags it may raise are added to those already raised."""
    before, reader.jumped = reader.jumped, set()
    try:
        with reader.collecting() as collected:
            if scoped:
                with reader.block():
                    execute_all(statements, reader)
            else:
                execute_all(statements, reader)
    except Skipped:
        pass
    finally:
        reader.jumped |= before
    return tuple(collected)


def unless_jumped(statements: Sequence[ast.QASMNode], node: ast.QASMNode, reader: Reader) -> None:
    """Execute what stands behind a possible jump: only where no flag is up."""
    flags = reader.jumped
    settle(statements, node, reader)
    block = block_apart(statements, reader, scoped=False)
    reader.emit((Branch(none_of(flags), block, (), reader.place(node)),), node)


def none_of(flags: Iterable[Variable]) -> Classical:
    ordered: list[Classical] = [*sorted(flags, key=lambda flag: flag.name)]
    return Operation("!", (any_of(ordered),))


def any_of(values: Sequence[Classical]) -> Classical:
    return reduce(lambda left, right: Operation("||", (left, right)), values)
