"""Measurement, reset, and bits: declared, assigned, measured into."""

from __future__ import annotations

from openqasm3 import ast

from qlazy.quantum.program.classical import BIT, Classical, Converted, Kind, Literal, Operation, Variable
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.program.statements import Measure, Reset
from qlazy.quantum.qasm.expressions.arithmetic import value_kind
from qlazy.quantum.qasm.expressions.evaluation import evaluate, number, qubits, select_bits
from qlazy.quantum.qasm.expressions.values import Bits, Number, Role
from qlazy.quantum.qasm.reader import Reader
from qlazy.quantum.qasm.runtime import assign, outside_gates
from qlazy.quantum.qasm.statements import execute


@execute.register
def _(node: ast.QuantumMeasurementStatement, reader: Reader) -> None:
    measure(node.measure, None if node.target is None else target_bits(node.target, reader), node, reader)


@execute.register
def _(node: ast.QuantumReset, reader: Reader) -> None:
    outside_gates(node, reader)
    wires = qubits(node.qubits, reader).wires
    reader.emit(tuple(Reset(wire, reader.place(node)) for wire in wires), node)


def measure(
    node: ast.QuantumMeasurement, target: Bits | None, statement: ast.QASMNode, reader: Reader
) -> None:
    """Measure a qubit into a bit, or a register into as many."""
    outside_gates(statement, reader)
    wires = qubits(node.qubit, reader).wires
    if target is not None and len(target.bits) != len(wires):
        reader.fail(statement, f"{len(wires)} qubits are measured into {len(target.bits)} bits")
    bits = target.bits if target is not None else (None,) * len(wires)
    place = reader.place(statement)
    reader.emit(tuple(Measure(w, bit, place) for w, bit in zip(wires, bits, strict=True)), statement)


def measured(node: ast.QuantumMeasurement, name: str, statement: ast.QASMNode, reader: Reader) -> Bits:
    """The result of a measurement, in new bits."""
    register = qubits(node.qubit, reader)
    bits = new_bits(name, None if register.single else len(register.wires), reader)
    measure(node, bits, statement, reader)
    return bits


def new_bits(name: str, size: int | None, reader: Reader) -> Bits:
    """Bits of the program: one called ``name``, or a register of them."""
    slot = reader.variable(name, BIT)
    if size is None:
        return Bits((slot,), True, slot.name)
    return Bits(tuple(Variable(f"{slot.name}[{place}]", BIT) for place in range(size)), False, slot.name)


def target_bits(node: ast.Identifier | ast.IndexedIdentifier, reader: Reader) -> Bits:
    """The bits that an assignment names."""
    name = node.name if isinstance(node, ast.IndexedIdentifier) else node
    binding = reader.binding(name)
    if binding.role is not Role.VARIABLE or not isinstance(binding.value, Bits):
        reader.fail(node, f"a measurement gives bits, but `{name.name}` is not declared as `bit`")
    bits = binding.value
    for index in node.indices if isinstance(node, ast.IndexedIdentifier) else ():
        bits = select_bits(bits, index, reader, node)
    return bits


def assign_bits(target: Bits, value: Number, node: ast.QASMNode, reader: Reader) -> None:
    """Put an integer into bits, the lowest first."""
    size = len(target.bits)
    if isinstance(value, float | Expression):
        reader.fail(node, f"bits take an integer, but this is {value}")
    if not isinstance(value, Classical):
        if not 0 <= value < 2**size:
            reader.fail(node, f"{int(value)} does not fit into {size} bit{'s' * (size > 1)}")
        for place, bit in enumerate(target.bits):
            assign(bit, int(value) >> place & 1, node, reader)
    elif size == 1:
        assign(target.bits[0], value if value_kind(value) == "bit" else Converted(BIT, value), node, reader)
    else:
        whole = reader.variable("whole", Kind("uint", size))  # read before any bit of it changes
        assign(whole, value, node, reader)
        for place, bit in enumerate(target.bits):
            shifted = Operation(">>", (whole, Literal(place)))
            assign(bit, Operation("&", (shifted, Literal(1))), node, reader)


def bits_value(node: ast.Expression, size: int, reader: Reader) -> Number:
    """What may be assigned to ``size`` bits: a bit string of that width, or an integer."""
    if isinstance(node, ast.BitstringLiteral):
        if node.width != size:
            reader.fail(node, f"a bit string of {size} bits is needed, but this has {node.width}")
        return node.value
    value = evaluate(node, reader)
    if isinstance(value, Bits) and len(value.bits) != size:
        reader.fail(node, f"{size} bits are needed, but these are {len(value.bits)}")
    return number(node, reader) if not isinstance(value, Bits) else whole_of(value)


def whole_of(bits: Bits) -> Classical:
    """Bits as one integer."""
    from qlazy.quantum.program.classical import Register

    return bits.bits[0] if bits.single else Register(bits.bits, bits.text)
