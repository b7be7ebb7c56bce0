"""Values that move from reading to running.

While a program is read, a variable is whatever it is known to be. Where it is assigned something measured, or
is assigned in a block that may or may not run, it gets a *slot*, a variable of the program itself, and from
then on stands for what will be there.
"""

from __future__ import annotations

from collections.abc import Iterable

from openqasm3 import ast
from openqasm3.visitor import QASMVisitor

from qlazy.quantum.program.classical import Classical, Kind, Literal, Local, Variable, has_locals
from qlazy.quantum.program.expression import Expression, as_expression
from qlazy.quantum.program.statements import Assign
from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.values import Array, Binding, Bits, Number, Role
from qlazy.quantum.qasm.reader import Reader


def is_known(value: object) -> bool:
    """Whether a value is known while the program is read."""
    return not isinstance(value, Classical) and not (isinstance(value, Expression) and has_locals(value))


def shown(slot: Variable) -> Number:
    """A slot as a value: a float takes part in angles, anything else in conditions."""
    return Local(slot) if slot.kind.name in ("float", "angle") else slot


def new_variable(name: str, value: Number, kind: Kind, node: ast.QASMNode, reader: Reader) -> Binding:
    """A scalar declared with a value: with a slot where that is known at run time only."""
    if is_known(value):
        return Binding(Role.VARIABLE, value, kind)
    slot = reader.variable(name, kind)
    assign(slot, value, node, reader)
    return Binding(Role.VARIABLE, shown(slot), kind, (slot,))


def give_slots(name: str, binding: Binding, node: ast.QASMNode, reader: Reader, keep: bool = True) -> None:
    """Let a variable live at run time, with the value it has now unless that is about to be replaced."""
    value, kind = binding.value, binding.kind
    if binding.slots or isinstance(value, Bits) or kind is None:
        return
    if isinstance(value, Array):
        names = [f"{name}[{index}]" for index in range(len(value.elements))]
        binding.slots = tuple(reader.variable(each, kind) for each in names)
        for slot, element in zip(binding.slots, value.elements, strict=True):
            if element is not None:
                assign(slot, element, node, reader)
        binding.value = Array(value.shape, [shown(slot) for slot in binding.slots])
        return
    binding.slots = (reader.variable(name, kind),)
    if keep and value is not None:
        assert isinstance(value, int | float | Expression | Classical)
        assign(binding.slots[0], value, node, reader)
    binding.value = shown(binding.slots[0])


def assign(slot: Variable, value: Number, node: ast.QASMNode, reader: Reader) -> None:
    reader.emit((Assign(slot, _stored(slot.kind, value), reader.place(node)),), node)


def _stored(kind: Kind, value: Number) -> Classical | Expression:
    if kind.name in ("float", "angle"):
        return as_expression(arithmetic.as_real(value))
    assert not isinstance(value, Expression)
    return value if isinstance(value, Classical) else Literal(value)


def settle(statements: Iterable[ast.QASMNode], node: ast.QASMNode, reader: Reader) -> None:
    """Give slots to all variables assigned in ``statements``, which are about to be read as a block apart."""
    found = _Assigned()
    for statement in statements:
        found.visit(statement)
    for name in found.names:
        binding = reader.scope.find(name)
        if binding is not None and binding.role is Role.VARIABLE:
            give_slots(name, binding, node, reader)


def assigned(statements: Iterable[ast.QASMNode]) -> dict[str, int]:
    """The names assigned to, with how many times each."""
    found = _Assigned()
    for statement in statements:
        found.visit(statement)
    return found.names


class Visitor(QASMVisitor[None]):
    """The parser's visitor, which leaves out what stands in pairs: the cases of a `switch`."""

    def visit_SwitchStatement(self, node: ast.SwitchStatement) -> None:
        self.visit(node.target)
        for values, block in node.cases:
            for part in (*values, block):
                self.visit(part)
        if node.default is not None:
            self.visit(node.default)


class _Assigned(Visitor):
    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def visit_ClassicalAssignment(self, node: ast.ClassicalAssignment) -> None:
        target = node.lvalue.name if isinstance(node.lvalue, ast.IndexedIdentifier) else node.lvalue
        self.names[target.name] = self.names.get(target.name, 0) + 1

    def visit_QuantumMeasurementStatement(self, node: ast.QuantumMeasurementStatement) -> None:
        if node.target is not None:
            target = node.target.name if isinstance(node.target, ast.IndexedIdentifier) else node.target
            self.names[target.name] = self.names.get(target.name, 0) + 1


def outside_gates(node: ast.QASMNode, reader: Reader) -> None:
    if reader.scope.gates_around():
        reader.fail(node, "a gate is unitary: it can neither measure, reset nor assign")
