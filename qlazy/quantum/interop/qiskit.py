"""Circuits of Qiskit, by way of its exporter of OpenQASM 3."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, MappingView, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qlazy.base.errors import UnsupportedModelError, refuse, require
from qlazy.quantum.circuit import BackendName, Circuit
from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.program.printing import RESERVED
from qlazy.quantum.qasm import QasmError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_TOKEN = "zq{}_"  # a parameter in the text, before it becomes an element of an input
_LETTERS = re.compile(r"[^\W_]|_")


@dataclass(frozen=True)
class _Group:
    """A Parameter, or those elements of a ParameterVector that the circuit has (all, for data)."""

    name: str
    parameters: tuple[Any, ...]
    is_vector: bool


def from_qiskit(
    circuit: QuantumCircuit,
    *,
    observables: Sequence[Any] = (),
    data: Sequence[Any] = (),
    backend: BackendName = "auto",
    cutoff: float = 0.0,
    max_weight: int | None = None,
) -> Circuit:
    """A circuit from a ``qiskit.QuantumCircuit``, measurement and control flow included.

    ``params`` are the circuit's parameters in Qiskit's own order, that of ``circuit.parameters`` and of a list for
    ``assign_parameters``, without those of ``data``: names of a Parameter or of a whole ParameterVector, or these
    themselves, as in ``feature_map.parameters``. Their values are the columns of ``x``, in radians, in the order given.
    All elements of a vector of data are columns; of other vectors those that the circuit uses are parameters.

    ``observables`` are outputs, each a word such as "Z q[1]" on the circuit's registers, or Qiskit's Pauli or
    SparsePauliOp, whose rightmost letter is qubit 0; with none, the outputs are Z of every qubit, qubit 0 first.
    Registers that overlap, loose qubits and circuits placed on a device become one register ``q``.

    Gates outside Qiskit's standard ones are their definitions: a PauliEvolutionGate is its product formula.

    Raises ImportError without Qiskit (extra ``qiskit``), TypeError for what is no circuit, ValueError for names in
    ``data`` that the circuit lacks and for observables that are none, UnsupportedModelError for what Qiskit cannot
    write as OpenQASM 3, and QasmError for what is in that text and is not read.
    """
    try:
        import qiskit
    except ModuleNotFoundError as error:
        raise ImportError("`from_qiskit` needs the package qiskit: pip install qiskit") from error
    kind = type(circuit).__name__
    require(
        isinstance(circuit, qiskit.QuantumCircuit), "circuit", "be a qiskit.QuantumCircuit", kind, TypeError
    )
    plain = _expanded(_on_own_registers(circuit), _standard())
    names = [_data_name(each) for each in _whole(_several(data))]
    groups = _groups(plain, names)
    text = _text(plain, groups, names)
    outputs = [_observable(each, plain) for each in _several(observables)]
    try:
        program = program_from_qasm(text, outputs, [_spoken(groups)[name] for name in names])
    except QasmError as error:
        if error.file == "<observable>":
            raise
        raise QasmError(
            f"the circuit as Qiskit writes it: {error}", error.file, error.line, error.column
        ) from error
    program = replace(program, name=circuit.name)
    return Circuit.from_program(program, backend=backend, cutoff=cutoff, max_weight=max_weight)


def _several(given: Any) -> list[Any]:
    """A list of what was given, which may be one alone."""
    several = isinstance(given, list | tuple | MappingView)
    return list(given) if several else [given]


def _whole(given: list[Any]) -> list[Any]:
    """Vectors in place of their elements, all of them one after another, as ``circuit.parameters`` lists them."""
    from qiskit.circuit import ParameterVectorElement

    def vector_of(each: Any) -> Any:
        return each.vector if isinstance(each, ParameterVectorElement) else None

    whole: list[Any] = []
    for vector, run in itertools.groupby(given, vector_of):
        elements = list(run)
        if vector is not None:
            must = f"hold all elements of a ParameterVector in their order, or name it, {vector.name!r}"
            require(elements == list(vector), "data", must, elements)
        whole += elements if vector is None else [vector]
    return whole


def _data_name(given: Any) -> str:
    name = getattr(given, "name", given)
    require(
        isinstance(name, str), "data", "name Parameters or ParameterVectors of the circuit", given, TypeError
    )
    return name


def _on_own_registers(circuit: Any) -> Any:
    """The circuit with registers that hold each qubit once and in order; without a layout."""
    from qiskit import QuantumCircuit, QuantumRegister

    require(circuit.num_qubits, "circuit", "have a qubit", "without one")
    held = [qubit for register in circuit.qregs for qubit in register]
    if circuit.layout is None and held == circuit.qubits:
        return circuit
    plain = QuantumCircuit(QuantumRegister(circuit.num_qubits, "q"), name=circuit.name)
    plain.add_bits(circuit.clbits)
    plain.add_register(*circuit.cregs)
    return plain.compose(circuit, plain.qubits, circuit.clbits)


def _standard() -> frozenset[type]:
    """The classes of what the exporter writes as it stands."""
    from qiskit.circuit import Barrier, Delay, Store
    from qiskit.circuit.library import get_standard_gate_name_mapping

    gates = {name: gate.base_class for name, gate in get_standard_gate_name_mapping().items()}
    del gates["global_phase"]  # its definition is that of the circuit
    return frozenset({*gates.values(), Barrier, Delay, Store})


def _expanded(circuit: Any, standard: frozenset[type]) -> Any:
    """The circuit of standard gates: others, whose parameters the exporter loses, by their definitions."""
    from qiskit.circuit import ControlFlowOp

    plain = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp):
            blocks = [_expanded(block, standard) for block in operation.blocks]
            plain.append(operation.replace_blocks(blocks), instruction.qubits, instruction.clbits)
        elif getattr(operation, "base_class", type(operation)) in standard and _controls_are_ones(operation):
            plain.append(instruction)
        else:
            inner = _expanded(_definition(operation), standard)
            plain.compose(inner, instruction.qubits, instruction.clbits, inplace=True)
    return plain


def _definition(operation: Any) -> Any:
    """What an operation is made of; permutations and the like have no definition and are synthesised."""
    from qiskit import QuantumCircuit
    from qiskit.transpiler import TranspilerError
    from qiskit.transpiler.passes import HighLevelSynthesis

    definition = getattr(operation, "definition", None)
    if definition is None:
        alone = QuantumCircuit(operation.num_qubits, operation.num_clbits)
        alone.append(operation, alone.qubits, alone.clbits)
        try:
            definition = HighLevelSynthesis(basis_gates=["u", "cx"])(alone)
        except TranspilerError:
            definition = alone
        is_same = [each.operation.name for each in definition.data] == [operation.name]
        must = "be made of operations that have definitions"
        require(not is_same, "circuit", must, f"one with `{operation.name}`", UnsupportedModelError)
    return definition


def _controls_are_ones(operation: Any) -> bool:
    controls = getattr(operation, "num_ctrl_qubits", 0)
    return not controls or operation.ctrl_state == 2**controls - 1


def _groups(circuit: Any, data: Sequence[str]) -> dict[str, _Group]:
    """The parameters by the name of what declares them, in Qiskit's order."""
    found: dict[str, _Group] = {}
    for parameter in circuit.parameters:
        vector = getattr(parameter, "vector", None)
        if vector is None:
            found[parameter.name] = _Group(parameter.name, (parameter,), False)
        elif vector.name in data:
            found[vector.name] = _Group(vector.name, tuple(vector), True)
        else:
            before = found[vector.name].parameters if vector.name in found else ()
            found[vector.name] = _Group(vector.name, (*before, parameter), True)
    for name in data:
        if name not in found:
            known = ", ".join(found) or "none"
            refuse("data", f"name parameters of the circuit, which are {known}", repr(name))
    require(len({*data}) == len(data), "data", "name each once", list(data))
    return found


def _spoken(groups: dict[str, _Group]) -> dict[str, str]:
    """A name of OpenQASM for each group: its own, with `_` in place of what a name cannot hold."""
    spoken: dict[str, str] = {}
    for name in groups:
        new = "".join(letter if _LETTERS.match(letter) else "_" for letter in name)
        new = new if new and not new[0].isdigit() else f"_{new}"
        while new in RESERVED or new in spoken.values():
            new += "_"
        spoken[name] = new
    return spoken


def _text(circuit: Any, groups: dict[str, _Group], data: Sequence[str]) -> str:
    """The circuit as OpenQASM 3, its vectors as arrays, inputs in Qiskit's order and data in that of ``data``."""
    from qiskit import qasm3
    from qiskit.circuit import Parameter

    spoken = _spoken(groups)
    for register in (*circuit.qregs, *circuit.cregs):
        for name, new in spoken.items():
            require(
                new != register.name,
                "circuit",
                "name parameters and registers apart",
                f"with two called {name}",
            )
    tokens: dict[Any, Any] = {}
    elements: dict[str, str] = {}
    used = set(circuit.parameters)
    for name, group in groups.items():
        for place, parameter in enumerate(group.parameters):
            if parameter in used:
                token = _TOKEN.format(len(tokens))
                tokens[parameter] = Parameter(token)
                elements[token] = f"{spoken[name]}[{place}]" if group.is_vector else spoken[name]
    try:
        written = qasm3.dumps(circuit.assign_parameters(tokens))
    except Exception as error:  # of several kinds, of the exporter and of what it calls
        must = "be one that Qiskit can write as OpenQASM 3"
        refuse("circuit", must, f"refused by it: {error}", UnsupportedModelError)
    body = "\n".join(line for line in written.split("\n") if not re.match(r"input float\[64\] zq\d+_;", line))
    body = re.sub(r"\bzq\d+_(?!\w)", lambda match: elements[match[0]], body)
    body = re.sub(r"\bfor (\w+) in\b", r"for uint \1 in", body)  # older Qiskit leaves out the type
    header, _, rest = body.partition('include "stdgates.inc";\n')
    order = [*(name for name in groups if name not in data), *data]
    return f'{header}include "stdgates.inc";\n' + "".join(_declarations(order, groups, spoken)) + rest


def _declarations(order: Sequence[str], groups: dict[str, _Group], spoken: dict[str, str]) -> Iterator[str]:
    for name in order:
        group = groups[name]
        kind = f"array[float[64], {len(group.parameters)}]" if group.is_vector else "float[64]"
        yield f"input {kind} {spoken[name]};\n"


def _observable(given: Any, circuit: Any) -> str:
    """An observable as qlazy writes it."""
    if isinstance(given, str):
        return given
    from qiskit.quantum_info import Pauli, SparsePauliOp

    must = "be texts such as 'Z q[0]', or Pauli or SparsePauliOp of Qiskit"
    require(isinstance(given, Pauli | SparsePauliOp), "observables", must, type(given).__name__, TypeError)
    wires, n = given.num_qubits, circuit.num_qubits
    require(wires == n, "observables", f"act on the circuit's {n} qubits", f"an operator on {wires}")
    names = [f"{register.name}[{place}]" for register in circuit.qregs for place in range(register.size)]
    terms = []
    for word, coefficient in SparsePauliOp(given).simplify().to_list():
        real = np.isreal(coefficient) and np.isfinite(coefficient)
        require(real, "observables", "have real coefficients", f"{coefficient} for {word}")
        letters = [
            f"{letter} {name}" for letter, name in zip(reversed(word), names, strict=True) if letter != "I"
        ]
        terms.append(f"{coefficient.real!r} {' '.join(letters) or f'I {names[0]}'}")
    return " + ".join(terms)
