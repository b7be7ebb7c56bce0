"""What names stand for while a program is read: constants, variables, inputs, arrays, registers and gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from openqasm3 import ast

from qlazy.quantum.expression import Expression
from qlazy.quantum.qasm.source import Source

Number = int | float | Expression  # bool is an int to Python, and is told apart by its type
NUMBER_NAMES = {bool: "bool", int: "int", float: "float"}


@dataclass
class Array:
    """A rectangular array, row-major. Only declared arrays are assigned to."""

    shape: tuple[int, ...]
    elements: list[Number | None]  # None: declared without a value

    def part(self, index: int) -> Number | Array | None:
        """The element, or the sub-array, at ``index`` of the first axis."""
        if len(self.shape) == 1:
            return self.elements[index]
        count = math.prod(self.shape[1:])
        return Array(self.shape[1:], self.elements[index * count : (index + 1) * count])


@dataclass(frozen=True)
class Register:
    """Qubits by wire. ``single`` is one qubit, which broadcasts, unlike a register of one."""

    wires: tuple[int, ...]
    single: bool = False


@dataclass(frozen=True)
class GateDefinition:
    """A user's gate, lowered anew at each call."""

    name: str
    parameters: tuple[str, ...]
    qubits: tuple[str, ...]
    body: Sequence[ast.Statement]
    source: Source


@dataclass(frozen=True)
class StandardGate:
    """A gate of the standard library, or a built-in one."""

    name: str


Value = Number | Array | Register
GateLike = GateDefinition | StandardGate


class Role(Enum):
    """What a name was declared as: this decides who may see it and who may assign to it."""

    CONSTANT = "constant"
    VARIABLE = "variable"
    INPUT = "input"
    QUBITS = "qubits"
    PARAMETER = "gate parameter"


@dataclass(frozen=True)
class Kind:
    """A classical scalar type: its name and its width in bits, if it was given one."""

    name: str
    width: int | None = None

    def __str__(self) -> str:
        return self.name if self.width is None else f"{self.name}[{self.width}]"


@dataclass
class Binding:
    role: Role
    value: Value | None  # None: declared without a value
    kind: Kind | None = None


@dataclass
class Scope:
    """Names in one block, and the block around it. ``gate`` marks the body of that definition."""

    parent: Scope | None = None
    gate: GateDefinition | None = None
    names: dict[str, Binding] = field(default_factory=dict)

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def hidden(self, name: str) -> Role | None:
        """Why a gate body may not use ``name``: the role that the language keeps out of gate bodies."""
        scope: Scope | None = self
        inside = None
        while scope is not None:
            if name in scope.names:
                binding = scope.names[name]
                kept_out = binding.role in (Role.VARIABLE, Role.INPUT, Role.QUBITS)
                return binding.role if inside is not None and kept_out else None
            inside = inside or scope.gate
            scope = scope.parent
        return None


CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}
