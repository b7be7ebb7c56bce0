"""Programs as OpenQASM 3: what `to_qasm` writes, the reader reads back as the same program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from qlazy.quantum.program.classical import Register, Variable
from qlazy.quantum.program.expression import Input
from qlazy.quantum.program.program import PauliSum, PauliTerm, Program, Shape
from qlazy.quantum.program.statements import (
    UNITARY,
    Assign,
    Block,
    Branch,
    Gate,
    Measure,
    Reset,
    Statement,
    While,
)

HEADER = ("OPENQASM 3.0;", 'include "stdgates.inc";')
_ELEMENT = re.compile(r"(?P<name>[^\W\d]\w*)(?:\[(?P<index>\d+)\])?")
_PHYSICAL = re.compile(r"\$\d+")
_NAME = re.compile(r"[^\W\d]\w*")
_CONTROLLED = {("x", 2): "ccx", ("swap", 1): "cswap"} | {
    (name, 1): f"c{name}" for name in ("x", "y", "z", "h", "p", "rx", "ry", "rz")
}
_INVERSES = {"sxdg": "inv @ sx"}
_EXACT = 1e-12


_GATES = """U gphase p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu
CX phase cphase id u1 u2 u3"""
_WORDS = """pi tau euler sin cos tan arcsin arccos arctan exp log sqrt ceiling floor mod popcount rotl rotr sizeof
real imag OPENQASM include defcalgrammar def cal defcal gate extern box let break continue if else end return for
while in switch case default input output const readonly mutable qreg qubit creg bool bit int uint float angle
complex array void duration stretch inv pow ctrl negctrl durationof delay reset measure barrier im true false
pragma"""
RESERVED = frozenset((_GATES + " " + _WORDS).split())
"""Words of the language, of its library and of its constants: not every reader takes them as names."""


def to_qasm(program: Program) -> str:
    """The program as OpenQASM 3, with observables and data as qlazy writes them.

    Names that are words of the language or gates of its library end in ``_``, and a comment says so.
    """
    names = spoken_names(program)
    program = spoken(program)
    qubits = qubit_names(program)
    lines = [
        *HEADER,
        *name_comments(names),
        "",
        *([f"pragma qlazy.loops {program.loops}"] if program.loops != "exit" else []),
        *(f"pragma qlazy.observable {observable_text(o, qubits)}" for o in program.observables),
        "",
        *(_input(name, shape) for name, shape in program.weights.items()),
        *(line for name, shape in program.data.items() for line in ("@qlazy.data", _input(name, shape))),
        *declarations("qubit", qubits),
        *_variables(program.variables),
        "",
        *_block(program.operations, qubits),
    ]
    return "\n".join(lines) + "\n"


def name_comments(names: Mapping[str, str]) -> Iterator[str]:
    """A comment that says how names that others take for words of the language are written."""
    if names:
        yield f"// Renamed: {', '.join(f'{name} to {new}' for name, new in names.items())}"


def spoken_names(program: Program) -> dict[str, str]:
    """Names of inputs, variables and registers that are words of the language, with what is written for them."""
    used = [*program.weights, *program.data, *(v.name for v in program.variables), *program.qubits]
    taken = {name.partition("[")[0] for name in used}
    found = {}
    for name in dict.fromkeys(name.partition("[")[0] for name in used):
        if name in RESERVED:
            new = f"{name}_"
            while new in taken:
                new += "_"
            taken.add(new)
            found[name] = new
    return found


def spoken(program: Program) -> Program:
    """The program under names that every reader takes."""
    names = spoken_names(program)
    if not names:
        return program
    return replace(
        program,
        weights={names.get(name, name): shape for name, shape in program.weights.items()},
        data={names.get(name, name): shape for name, shape in program.data.items()},
        qubits=tuple(_written(name, names) for name in program.qubits),
        operations=_renamed(program.operations, names),
    )


def _written(text: str, names: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: names.get(match[0], match[0]), text)


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """A statement, an expression or a tuple of them with other names."""
    match part:
        case Input() | Variable():
            return replace(part, name=_written(part.name, names))
        case Register():
            return replace(part, bits=_renamed(part.bits, names), text=_written(part.text, names))
        case tuple():
            return tuple(_renamed(inner, names) for inner in part)
    if is_dataclass(part) and not isinstance(part, type):
        inner = {field.name: getattr(part, field.name) for field in fields(part) if field.name != "matrix"}
        return replace(part, **{name: _renamed(value, names) for name, value in inner.items()})
    return part


def qubit_names(program: Program) -> tuple[str, ...]:
    """The names of the qubits, or q[0], q[1], ... where some are none of the language."""
    if all(map(_PHYSICAL.fullmatch, program.qubits)) and len({*program.qubits}) == program.num_qubits:
        return program.qubits
    used = [*program.weights, *program.data, *(variable.name for variable in program.variables)]
    taken = {name.partition("[")[0] for name in used}
    names = [_ELEMENT.fullmatch(name) for name in program.qubits]
    if all(match and match["name"] not in taken for match in names) and _in_order(program.qubits):
        return program.qubits
    name = next(name for name in ("q", "qubits", "wires", "q_") if name not in taken)
    return tuple(f"{name}[{wire}]" for wire in range(program.num_qubits))


def _in_order(names: Sequence[str]) -> bool:
    """Whether the names are what registers declared one after the other give."""
    parts = [_ELEMENT.fullmatch(name) for name in names]
    runs = [(n, [m["index"] for m in group if m]) for n, group in groupby(parts, lambda m: m and m["name"])]
    whole = all(indices in ([None], [str(i) for i in range(len(indices))]) for _, indices in runs)
    return whole and len({name for name, _ in runs}) == len(runs)


def declarations(kind: str, names: Iterable[str]) -> Iterator[str]:
    """Declarations of single names and of registers `name[0]`, `name[1]`, ..., in order."""
    sizes: dict[str, int | None] = {}
    for name in names:
        if _PHYSICAL.fullmatch(name):
            continue  # a qubit of the machine is not declared
        match = _ELEMENT.fullmatch(name)
        assert match is not None
        size = None if match["index"] is None else max(int(match["index"]) + 1, sizes.get(match["name"]) or 0)
        sizes[match["name"]] = size
    for name, size in sizes.items():
        yield f"{kind} {name};" if size is None else f"{kind}[{size}] {name};"


def _input(name: str, shape: Shape) -> str:
    kind = f"array[float[64], {', '.join(map(str, shape))}]" if shape else "float[64]"
    return f"input {kind} {name};"


def _variables(variables: Sequence[Variable]) -> Iterator[str]:
    bits = [variable.name for variable in variables if variable.kind.name == "bit"]
    yield from declarations("bit", bits)
    arrays: dict[str, tuple[str, int]] = {}
    for variable in variables:
        match = _ELEMENT.fullmatch(variable.name)
        assert match is not None
        if variable.kind.name == "bit":
            continue
        if match["index"] is None:
            yield f"{variable.kind} {variable.name};"
        else:
            size = max(int(match["index"]) + 1, arrays.get(match["name"], ("", 0))[1])
            arrays[match["name"]] = str(variable.kind), size
    yield from (f"array[{kind}, {size}] {name};" for name, (kind, size) in arrays.items())


def _block(block: Block, qubits: Sequence[str]) -> Iterator[str]:
    for statement in block:
        yield from _statement(statement, qubits)


def _statement(statement: Statement, qubits: Sequence[str]) -> Iterator[str]:
    match statement:
        case Gate():
            yield from gate_lines(statement, qubits)
        case Measure(wire, target):
            yield f"measure {qubits[wire]};" if target is None else f"{target} = measure {qubits[wire]};"
        case Reset(wire):
            yield f"reset {qubits[wire]};"
        case Assign():
            yield f"{statement};"
        case Branch(condition, then, otherwise):
            yield f"if ({condition}) {{"
            yield from indented(_block(then, qubits))
            if otherwise:
                yield "} else {"
                yield from indented(_block(otherwise, qubits))
            yield "}"
        case While(condition, body, bound):
            yield f"@qlazy.bound {bound}"
            yield f"while ({condition}) {{"
            yield from indented(_block(body, qubits))
            yield "}"


def indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def gate_lines(gate: Gate, qubits: Sequence[str]) -> Iterator[str]:
    """A gate as calls of the standard library, in words on which all readers agree.

    A constant matrix of one qubit is U, whose phase readers differ in; so under controls, where phases count, it is
    rotations and a phase. One on several qubits is a sequence of controlled ones.
    """
    if gate.name != UNITARY:
        angles = f"({', '.join(map(str, gate.angles))})" if gate.angles else ""
        yield _call(gate, angles, qubits)
    elif len(gate.wires) > 1:
        for part in one_qubit_factors(gate):
            yield from gate_lines(part, qubits)
    else:
        theta, phi, lam, phase = _euler(np.array(gate.matrix))
        if not gate.controls:
            yield from _phase(gate, phase, qubits)
            yield _call(gate, f"({theta!r}, {phi!r}, {lam!r})", qubits)
            return
        yield from _phase(gate, phase + (theta + phi + lam) / 2, qubits)
        for name, angle in (("rz", lam), ("ry", theta), ("rz", phi)):
            if abs(angle) > _EXACT:
                yield _call(replace(gate, name=name), f"({angle!r})", qubits)


def _phase(gate: Gate, phase: float, qubits: Sequence[str]) -> Iterator[str]:
    if abs(phase) > _EXACT:
        called = f"{_modifiers(gate.control_values)}gphase({phase!r}) {_wires(gate.controls, qubits)}"
        yield called.rstrip() + ";"


def one_qubit_factors(gate: Gate) -> Iterator[Gate]:
    """A constant matrix on n qubits as matrices on one of them controlled by the others, first applied first.

    Givens rotations between basis states that follow each other in a Gray code, and so differ in one bit, bring the
    matrix to a diagonal one (Barenco et al. 1995, arXiv quant-ph/9503016, section 8).
    """
    matrix, n = np.array(gate.matrix), len(gate.wires)
    gray = [place ^ place >> 1 for place in range(2**n)]
    found: list[Gate] = []
    for column, state in enumerate(gray[:-1]):
        for above, below in reversed([*pairwise(gray[column:])]):
            if abs(matrix[below, state]) > _EXACT:
                rotation = _onto_first(matrix[above, state], matrix[below, state])
                matrix[[above, below]] = rotation @ matrix[[above, below]]
                found.append(_between(gate, above, below, rotation.conj().T))
    phases = np.diag(matrix)
    for even, odd in zip(gray[::2], gray[1::2], strict=True):
        if np.abs(phases[[even, odd]] - 1).max() > _EXACT:
            yield _between(gate, even, odd, np.diag(phases[[even, odd]]))
    yield from reversed(found)


def _onto_first(first: complex, second: complex) -> np.ndarray:
    """The unitary (2, 2) that takes (first, second) to (r, 0), r > 0."""
    return np.array([[np.conj(first), np.conj(second)], [-second, first]]) / np.hypot(abs(first), abs(second))


def _between(gate: Gate, first: int, second: int, matrix: np.ndarray) -> Gate:
    """A matrix on two basis states of ``gate.wires``, which differ in one bit."""
    n = len(gate.wires)
    bits = [first >> n - 1 - place & 1 for place in range(n)]
    target = n - (first ^ second).bit_length()
    if bits[target]:
        matrix = matrix[::-1, ::-1]
    others = [place for place in range(n) if place != target]
    return replace(
        gate,
        wires=(gate.wires[target],),
        controls=(*gate.controls, *(gate.wires[place] for place in others)),
        control_values=(*gate.control_values, *(bits[place] for place in others)),
        matrix=tuple(tuple(map(complex, row)) for row in matrix),
    )


def _call(gate: Gate, angles: str, qubits: Sequence[str]) -> str:
    all_ones = all(gate.control_values)
    short = _CONTROLLED.get((gate.name, len(gate.controls))) if all_ones else None
    name = "U" if gate.name == UNITARY else _INVERSES.get(gate.name, gate.name)
    called = short or f"{_modifiers(gate.control_values)}{name}"
    return f"{called}{angles} {_wires(gate.controls + gate.wires, qubits)}".rstrip() + ";"


def _modifiers(values: Sequence[int]) -> str:
    runs = ((("ctrl" if value else "negctrl"), len(list(group))) for value, group in groupby(values))
    return "".join(f"{name} @ " if count == 1 else f"{name}({count}) @ " for name, count in runs)


def _wires(wires: Iterable[int], qubits: Sequence[str]) -> str:
    return ", ".join(qubits[wire] for wire in wires)


def _euler(matrix: np.ndarray) -> tuple[float, float, float, float]:
    """theta, phi, lambda and a phase with matrix = e^{i phase} U(theta, phi, lambda)."""
    theta = 2 * np.arctan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
    # U = e^{i theta/2} [[cos, -e^{i lam} sin], [e^{i phi} sin, e^{i(phi+lam)} cos]] of theta/2
    if abs(matrix[0, 0]) >= abs(matrix[1, 0]):
        phase = np.angle(matrix[0, 0])
        phi = np.angle(matrix[1, 0]) - phase if abs(matrix[1, 0]) > _EXACT else 0.0
        lam = np.angle(matrix[1, 1]) - phase - phi
    else:
        lam = np.angle(-matrix[0, 1] / matrix[0, 0]) if abs(matrix[0, 0]) > _EXACT else 0.0
        phase = np.angle(-matrix[0, 1]) - lam
        phi = np.angle(matrix[1, 0]) - phase
    phase = (phase - theta / 2 + np.pi) % (2 * np.pi) - np.pi
    return float(theta), float(phi), float(lam), float(phase)


def observable_text(observable: PauliSum, qubits: Sequence[str]) -> str:
    """As a pragma writes it: `0.5 Z q[0] Z q[1] - 1.0 X q[2]`."""
    text = ""
    for term in observable.terms:
        sign = "-" if term.coefficient < 0 else "+" if text else ""
        text += f" {sign} {_product(term, qubits)}"
    return text.strip()


def _product(term: PauliTerm, qubits: Sequence[str]) -> str:
    factors = " ".join(f"{letter} {qubits[wire]}" for wire, letter in term.factors) or f"I {qubits[0]}"
    coefficient = abs(term.coefficient)
    return factors if coefficient == 1.0 else f"{coefficient!r} {factors}"
