"""Circuits in words: the list of families, and one circuit with its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qlazy.base.tables import aligned
from qlazy.quantum.corpus import Family
from qlazy.quantum.pennylane.drawing import draw_text
from qlazy.quantum.program.printing import to_qasm
from qlazy.quantum.program.program import Program, Shape

_HEAD = ("circuit", "sizes", "qubits", "parameters", "inputs", "outputs", "description")


def families_text(families: Sequence[Family]) -> str:
    """A table of the families, each at its default sizes."""
    return aligned([_HEAD, *(_row(family) for family in families)])


def circuit_text(program: Program) -> str:
    """What a circuit is, its weights and data, its outputs and its gates: drawn, or as OpenQASM 3 where it measures."""
    facts = [("weights", program.weights), ("data", program.data)]
    drawn = draw_text(program) if program.is_unitary else to_qasm(program).rstrip()
    lines = [str(program), *(f"{name}: {_shapes(inputs)}" for name, inputs in facts), "", drawn]
    return "\n".join([*lines, "", program.header.strip()]).rstrip()


def family_document(family: Family) -> dict[str, Any]:
    """A family as values, at its default sizes."""
    program = family.program
    return {
        "name": family.name, "sizes": dict(program.sizes), "qubits": program.num_qubits,
        "parameters": program.num_params, "inputs": program.num_features, "outputs": program.num_outputs,
        "description": family.description,
    }  # fmt: skip


def circuit_document(program: Program) -> dict[str, Any]:
    """A circuit as values, with its program as OpenQASM 3."""
    shapes = {
        kind: {name: list(shape) for name, shape in inputs.items()}
        for kind, inputs in (("weights", program.weights), ("data", program.data))
    }
    return {
        "name": program.name, "sizes": dict(program.sizes), "qubits": program.num_qubits,
        "parameters": program.num_params, "outputs": program.num_outputs, "measures": not program.is_unitary, **shapes,
        "qasm": to_qasm(program),
    }  # fmt: skip


def _row(family: Family) -> tuple[str, ...]:
    program = family.program
    sizes = ",".join(f"{name}={value}" for name, value in program.sizes.items())
    counts = (program.num_qubits, program.num_params, program.num_features, program.num_outputs)
    return (family.name, sizes or "-", *map(str, counts), family.description)


def _shapes(inputs: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name}{list(shape) if shape else ''}" for name, shape in inputs.items()) or "none"
