"""An independent interpreter of OpenQASM 3 programs that measure, to hold reader and simulator to.

It walks the reference parser's tree with plain Python values and one dense state vector, and meets one
sequence of measurement results at a time: a run follows the results it is given, and where they end it takes 0
and notes 1 as a run still to be done. Outputs are sums over all runs of <psi|O|psi> with unnormalised states.
Exponential in everything, and short.
"""

from __future__ import annotations

import math

import numpy as np
import openqasm3
from openqasm3 import ast

from tests.oracle import FIXED, PARAMETRIZED, PAULIS, embed

GATES = {**FIXED, **PARAMETRIZED}
CONTROLLED = {"cx": "x", "cy": "y", "cz": "z", "ch": "h", "crx": "rx", "cry": "ry", "crz": "rz", "cp": "p"}
FUNCTIONS = {"sin": math.sin, "cos": math.cos, "exp": math.exp, "sqrt": math.sqrt}


class Jump(Exception):
    def __init__(self, kind, value=None):
        super().__init__(kind)
        self.kind, self.value = kind, value


class Lost(Exception):
    """A run that while^(T) discards."""


def outputs(text, inputs, observables, loops="exit"):
    """Outputs (c,) for inputs by name and observables {wire: letter}, and the norm of what is left."""
    tree = openqasm3.parse(text)
    totals, norm, waiting = np.zeros(len(observables)), 0.0, [()]
    while waiting:
        run = Run(inputs, waiting.pop(), loops)
        try:
            run.block(tree.statements)
        except Jump:
            pass
        except Lost:
            run.state = 0 * run.state
        waiting += run.others
        norm += np.vdot(run.state, run.state).real
        for index, letters in enumerate(observables):
            matrix = np.eye(len(run.state))
            for wire, letter in letters.items():
                matrix = matrix @ embed(PAULIS[letter], (wire,), run.wires)
            totals[index] += np.vdot(run.state, matrix @ run.state).real
    return totals, norm


class Run:
    def __init__(self, inputs, results, loops):
        self.inputs, self.results, self.loops = inputs, results, loops
        self.taken, self.others = (), []
        self.wires, self.state = 0, np.ones(1, complex)
        self.scopes, self.subroutines = [{}], {}

    # Names: qubits are ("q", wires), bits a list of 0 and 1, everything else is a number.

    def find(self, name):
        return next(scope for scope in reversed(self.scopes) if name in scope)

    def __getitem__(self, name):
        return self.find(name)[name]

    def block(self, statements, **names):
        self.scopes.append(names)
        try:
            for statement in statements:
                getattr(self, "do_" + type(statement).__name__)(statement)
        finally:
            if len(self.scopes) > 1:
                self.scopes.pop()

    def do_Include(self, node): ...

    def do_Pragma(self, node): ...

    def do_QuantumBarrier(self, node): ...

    def do_QubitDeclaration(self, node):
        size = 1 if node.size is None else self.value(node.size)
        self.scopes[-1][node.qubit.name] = ("q", list(range(self.wires, self.wires + size)))
        self.state = np.kron(self.state, np.eye(2**size)[0])
        self.wires += size

    def do_IODeclaration(self, node):
        self.scopes[-1][node.identifier.name] = self.inputs[node.identifier.name]

    def do_ClassicalDeclaration(self, node):
        init, target = node.init_expression, node.identifier
        if isinstance(node.type, ast.BitType):
            size = 1 if node.type.size is None else self.value(node.type.size)
            value = [0] * size
            if isinstance(init, ast.QuantumMeasurement):
                value = self.measured(init)
            elif init is not None:
                value = self.bits(self.value(init), size)
        elif isinstance(node.type, ast.ArrayType):
            value = [self.value(each) for each in init.values]
        else:
            value = None if init is None else self.cast(node.type, self.value(init))
        self.scopes[-1][target.name] = value

    def cast(self, kind, value):
        if isinstance(value, list):
            value = sum(bit << place for place, bit in enumerate(value))
        return {ast.FloatType: float, ast.BoolType: bool}.get(type(kind), int)(value)

    def bits(self, value, size):
        if isinstance(value, list):
            return list(value)
        return [int(value) >> place & 1 for place in range(size)]

    def do_QuantumMeasurementStatement(self, node):
        found = self.measured(node.measure)
        if node.target is not None:
            self.store(node.target, found)

    def store(self, target, value):
        if isinstance(target, ast.Identifier):
            old = self[target.name]
            new = self.bits(value, len(old)) if isinstance(old, list) else self.cast_like(old, value)
            self.find(target.name)[target.name] = new
        else:
            old = self[target.name.name]
            places = self.places(target.indices[0], len(old))
            if isinstance(value, list) or len(places) > 1:
                for place, bit in zip(places, self.bits(value, len(places)), strict=True):
                    old[place] = bit
            else:
                old[places[0]] = value

    def cast_like(self, old, value):
        return float(value) if isinstance(old, float) else value

    def do_ClassicalAssignment(self, node):
        value = self.value(node.rvalue)
        if node.op.name != "=":
            target = node.lvalue
            present = self.value(target) if isinstance(target, ast.Identifier) else self.part(target)
            value = self.binary(node.op.name.removesuffix("="), present, value)
        self.store(node.lvalue, value)

    def part(self, node):
        value = self[node.name.name]
        places = self.places(node.indices[0], len(value))
        return value[places[0]] if len(places) == 1 else [value[place] for place in places]

    def places(self, index, size):
        (index,) = index
        if isinstance(index, ast.RangeDefinition):
            start = 0 if index.start is None else self.value(index.start)
            end = size - 1 if index.end is None else self.value(index.end)
            return list(range(start % size, end % size + 1))
        return [self.value(index) % size]

    # Quantum

    def qubits(self, node):
        if isinstance(node, ast.IndexedIdentifier):
            wires = self[node.name.name][1]
            return [wires[place] for place in self.places(node.indices[0], len(wires))]
        if isinstance(node, ast.IndexExpression):
            wires = self.qubits(node.collection)
            return [wires[place] for place in self.places(node.index, len(wires))]
        return self[node.name][1]

    def do_QuantumGate(self, node):
        name, angles = node.name.name, [self.value(each) for each in node.arguments]
        operands = [self.qubits(each) for each in node.qubits]
        for place in range(max(map(len, operands))):
            wires = [each[place] if len(each) > 1 else each[0] for each in operands]
            controls, name_ = (), name
            if name in CONTROLLED:
                controls, wires, name_ = (wires[0],), wires[1:], CONTROLLED[name]
            gate = GATES[name_]
            matrix = gate(*angles) if callable(gate) else gate
            self.state = embed(matrix, wires, self.wires, controls, (1,) * len(controls)) @ self.state

    def project(self, wire, bit):
        self.state = embed(np.diag([1 - bit, bit]), (wire,), self.wires) @ self.state

    def measure(self, wire):
        bit = self.results[len(self.taken)] if len(self.taken) < len(self.results) else 0
        if len(self.taken) >= len(self.results):
            self.others.append((*self.taken, 1))
        self.taken += (bit,)
        self.project(wire, bit)
        return bit

    def measured(self, node):
        return [self.measure(wire) for wire in self.qubits(node.qubit)]

    def do_QuantumReset(self, node):
        for wire in self.qubits(node.qubits):
            if self.measure(wire):
                self.state = embed(PAULIS["X"], (wire,), self.wires) @ self.state

    # Control

    def do_BranchingStatement(self, node):
        self.block(node.if_block if self.truth(self.value(node.condition)) else node.else_block)

    def do_CompoundStatement(self, node):
        self.block(node.statements)

    def do_SwitchStatement(self, node):
        value = self.value(node.target)
        value = self.cast(None, value)
        for labels, block in node.cases:
            if value in [self.value(label) for label in labels]:
                return self.block(block.statements)
        return self.block(node.default.statements) if node.default else None

    def do_WhileLoop(self, node):
        bound = next((int(a.command) for a in node.annotations if a.keyword == "qlazy.bound"), None)
        rounds = 0
        if self.loops == "discard" and bound == 0:
            raise Lost
        while self.truth(self.value(node.while_condition)):
            if bound is not None and self.loops == "discard" and rounds == bound - 1:
                raise Lost
            if rounds == bound:
                break
            rounds += 1
            if not self.round(node.block):
                break

    def round(self, statements, **names):
        try:
            self.block(statements, **names)
        except Jump as jump:
            if jump.kind not in ("break", "continue"):
                raise
            return jump.kind == "continue"
        return True

    def do_ForInLoop(self, node):
        domain = node.set_declaration
        if isinstance(domain, ast.RangeDefinition):
            step = 1 if domain.step is None else self.value(domain.step)
            values = range(self.value(domain.start), self.value(domain.end) + (1 if step > 0 else -1), step)
        else:
            values = [self.value(each) for each in domain.values]
        for value in values:
            if not self.round(node.block, **{node.identifier.name: value}):
                break

    def do_BreakStatement(self, node):
        raise Jump("break")

    def do_ContinueStatement(self, node):
        raise Jump("continue")

    def do_EndStatement(self, node):
        raise Jump("end")

    def do_SubroutineDefinition(self, node):
        self.subroutines[node.name.name] = node

    def do_ReturnStatement(self, node):
        measured = isinstance(node.expression, ast.QuantumMeasurement)
        raise Jump("return", self.measured(node.expression) if measured else self.value(node.expression))

    def do_ExpressionStatement(self, node):
        self.value(node.expression)

    def call(self, node):
        definition, names = self.subroutines[node.name.name], {}
        for formal, actual in zip(definition.arguments, node.arguments, strict=True):
            if isinstance(formal, ast.QuantumArgument):
                names[formal.name.name] = ("q", self.qubits(actual))
            elif isinstance(formal.type, ast.BitType):
                names[formal.name.name] = self.bits(self.value(actual), 1)
            else:
                names[formal.name.name] = self.cast(formal.type, self.value(actual))
        try:
            self.block(definition.body, **names)
        except Jump as jump:
            if jump.kind != "return":
                raise
            return jump.value
        return None

    # Values

    def value(self, node):
        match node:
            case ast.Identifier(name=name):
                return math.pi if name == "pi" else self[name]
            case ast.IntegerLiteral() | ast.FloatLiteral() | ast.BooleanLiteral() | ast.BitstringLiteral():
                return node.value
            case ast.UnaryExpression(op=op, expression=inner):
                value = self.value(inner)
                if op.name == "~":
                    return 2 ** len(value) - 1 - self.cast(None, value)
                return not self.truth(value) if op.name == "!" else -self.cast_number(value)
            case ast.BinaryExpression(op=op, lhs=lhs, rhs=rhs):
                return self.binary(op.name, self.value(lhs), self.value(rhs))
            case ast.FunctionCall(name=name) if name.name in self.subroutines:
                return self.call(node)
            case ast.FunctionCall(name=name, arguments=arguments):
                return FUNCTIONS[name.name](*(self.cast_number(self.value(each)) for each in arguments))
            case ast.Cast(type=kind, argument=argument):
                return self.cast(kind, self.value(argument))
            case ast.IndexExpression(collection=collection, index=index):
                value = self.value(collection)
                places = self.places(index, len(value))
                found = [value[place] for place in places]
                return found[0] if not isinstance(index[0], ast.RangeDefinition) else found
        raise TypeError(type(node).__name__)

    def cast_number(self, value):
        return self.cast(None, value) if isinstance(value, list) else value

    def truth(self, value):
        return bool(self.cast_number(value))

    def binary(self, symbol, left, right):
        width = len(left) if isinstance(left, list) else None
        left, right = self.cast_number(left), self.cast_number(right)
        if symbol in ("&&", "||"):
            return (left and right) if symbol == "&&" else (left or right)
        if symbol == "<<" and width is not None:
            return left << right & 2**width - 1
        if symbol == "/" and isinstance(left, int) and isinstance(right, int):
            return int(left / right)
        if symbol == "%" and isinstance(left, int) and isinstance(right, int):
            return int(math.fmod(left, right))
        return eval(f"left {symbol} right", {}, {"left": left, "right": right})
