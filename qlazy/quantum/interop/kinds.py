"""Circuits of other tools, told by where their classes come from: nothing of them is imported."""

from __future__ import annotations

from qlazy.base.errors import refuse, require

_READERS = {
    "qiskit.circuit": "qlazy.from_qiskit",
    "cirq": "qlazy.from_cirq",
    "braket.circuits": "qlazy.from_braket",
    "pytket": "qlazy.from_pytket",
    "pennylane.qnn": "qlazy.from_torch_layer",
}


def reader_of(value: object) -> str:
    """The function that makes a circuit of a value of another tool; nothing where none does."""
    homes = [kind.__module__ for kind in type(value).__mro__ if kind.__name__ in ("QuantumCircuit", "TorchLayer")
             or kind.__name__.endswith("Circuit")]  # fmt: skip
    return next(
        (
            reader
            for home in homes
            for package, reader in _READERS.items()
            if f"{home}.".startswith((f"{package}.", f"{package}._"))
        ),
        "",
    )


def refuse_circuits_of_other_tools(argument: str, value: object) -> None:
    """Refuse a circuit of another tool with the function that reads it."""
    if reader := reader_of(value):
        kind = type(value)
        home = kind.__module__.partition(".")[0]
        refuse(argument, f"go through {reader}", f"a {kind.__name__} of {home}", TypeError)


def require_circuit(circuit: object, reader: str, expected: str) -> None:
    """Refuse what is no circuit of the tool that ``reader`` reads; ``expected`` says what is one."""
    kind = circuit.__name__ if isinstance(circuit, type) else type(circuit).__name__
    require(reader_of(circuit) == reader, "circuit", f"be {expected}", f"a {kind}", TypeError)
