"""Amplitudes of a circuit as expectation values: real parts by a Hadamard test, as a program like any other."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.base.torch_private import jacrev, vmap
from qlazy.quantum.backends.programs import lowered_program
from qlazy.quantum.program.program import Gate, PauliSum, PauliTerm, Program

MAX_QUBITS = 7
"""Each of 2^n outputs is a sum of 2^n Pauli products."""


def hadamard_test(program: Program) -> Program:
    """A program whose outputs are Re <k|psi> for all 2^n k, of a circuit that prepares |psi> from |0...0>.

    A further qubit in |+> controls every gate, which leaves (|0>|0...0> + |1>|psi>) / sqrt 2: output k is the
    expectation value of |0><1| (x) |0...0><k| and its adjoint. The first qubit is the most significant bit of k.
    Raises UnsupportedModelError for a program that measures, or has more than 7 qubits.
    """
    require(
        program.is_unitary, "program", "be a circuit of gates", "one that measures", UnsupportedModelError
    )
    qubits = program.num_qubits
    require(
        qubits <= MAX_QUBITS, "program", f"have at most {MAX_QUBITS} qubits", qubits, UnsupportedModelError
    )
    gates = [gate for gate in program.operations if isinstance(gate, Gate)]
    return replace(
        program,
        name=f"hadamard_test({program.name})",
        qubits=(*program.qubits, "test"),
        operations=(Gate("h", wires=(qubits,)), *(_controlled(gate, qubits) for gate in gates)),
        observables=tuple(_transition(bits) for bits in product((0, 1), repeat=qubits)),
        text="",
        path=None,
        header="",
    )


@final
class Amplitudes:
    """Re <k|psi(theta)> (n, 2^k) of a circuit without data, for rows of angles theta (n, p).

    One batched run of the adjoint simulator, whatever n; autograd and ``torch.func`` pass through it to the angles,
    twice. Raises UnsupportedModelError as :func:`hadamard_test`, and for a circuit with data.
    """

    def __init__(self, program: Program) -> None:
        require(
            not program.data,
            "program",
            "be without data",
            f"with {sorted(program.data)}",
            UnsupportedModelError,
        )
        require(program.num_params > 0, "program", "have angles", "without any", UnsupportedModelError)
        self.program = program
        test = replace(hadamard_test(program), weights={}, data=program.weights)
        self._circuit = lowered_program(test)

    @property
    def num_params(self) -> int:
        return self.program.num_params

    @property
    def dimension(self) -> int:
        """2^k amplitudes."""
        return 2**self.program.num_qubits

    def __call__(self, angles: Tensor) -> Tensor:
        """Real parts of the amplitudes (n, 2^k), in the dtype of the angles (n, p)."""
        fits = angles.ndim == 2 and angles.shape[1] == self.num_params and angles.is_floating_point()
        require(fits, "angles", f"be real, of shape (n, {self.num_params})", tuple(angles.shape))
        return self._circuit.outputs(angles.new_empty(0), angles)

    def jacobian(self, angles: Tensor) -> Tensor:
        """Derivatives (n, 2^k, p) of every row, from one sweep."""

        def single(row: Tensor) -> Tensor:
            return self(row.unsqueeze(0))[0]

        found: Tensor = vmap(jacrev(single))(angles)
        return found

    def init(self, rows: int, generator: torch.Generator) -> Tensor:
        """Angles (rows, p), uniform over [0, 2 pi), float64."""
        return 2 * math.pi * torch.rand(rows, self.num_params, generator=generator, dtype=torch.float64)

    def __repr__(self) -> str:
        return f"Amplitudes({self.program.name}, num_params={self.num_params}, dimension={self.dimension})"


def _controlled(gate: Gate, wire: int) -> Gate:
    if not gate.wires:  # a global phase is a relative one where it is controlled
        return replace(gate, name="p", wires=(wire,))
    values = gate.control_values
    return replace(gate, controls=(*gate.controls, wire), control_values=(*values, 1))


def _transition(bits: tuple[int, ...]) -> PauliSum:
    """|0><1| on the last qubit and |0><b| on the others, plus the adjoint, in Pauli products.

    |0><0| = (I + Z) / 2 and |0><1| = (X + i Y) / 2; of each product of these the part with an even number of Y
    stays, twice.
    """
    words = product(*(("I", "Z") if bit == 0 else ("X", "Y") for bit in (*bits, 1)))
    terms = []
    for word in words:
        phase = 1j ** word.count("Y")
        if phase.imag:
            continue
        factors = tuple((wire, letter) for wire, letter in enumerate(word) if letter != "I")
        terms.append(PauliTerm(2 * phase.real / 2 ** len(word), factors))
    return PauliSum(tuple(terms))
