"""How far one has to walk to follow the main jobs: files that their calls enter, and runs of the user's own code."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pennylane as qml
import pytest
import torch

import qlazy
from qlazy import Circuit, GradientDescent, SquaredError, compare, mlp
from qlazy.comparison.compare.seeded import SeededModel
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.quantum.corpus import names

PACKAGE = Path(qlazy.__file__).parent


def entered(job: Callable[[], object]) -> Counter[str]:
    """The files of the package that calls enter during a job, and how often."""
    files: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            files[str(path.relative_to(PACKAGE))] += 1

    sys.setprofile(note)
    try:
        job()
    finally:
        sys.setprofile(None)
    return files


class Ansatz:
    """A QNode's function that counts how often it is run."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, inputs: torch.Tensor, weights: torch.Tensor) -> object:
        self.calls += 1
        for wire in range(2):
            qml.RX(inputs[wire], wires=wire)
            qml.RY(weights[wire], wires=wire)
        qml.CNOT(wires=[0, 1])
        return qml.expval(qml.Z(0))


def circuit_of(ansatz: Ansatz) -> Circuit:
    def circuit(inputs: torch.Tensor, weights: torch.Tensor) -> object:
        return ansatz(inputs, weights)

    return Circuit(qml.QNode(circuit, qml.device("default.qubit", wires=2)), {"weights": 2})


def few_samples() -> Dataset:
    x = torch.linspace(-1, 1, 16, dtype=torch.float64).reshape(8, 2)
    y = x.prod(1, keepdim=True)
    return Dataset("product", x[:5], y[:5], x[5:], y[5:], (), "a product")


def comparison_of(model: Model, seeds: tuple[int, ...] = (0,)) -> None:
    compare({"model": model}, few_samples(), alphas=[10.0], seeds=seeds, steps=5, progress=False)


def test_a_comparison_runs_the_users_function_four_times() -> None:
    """Once on tensors that carry formulas; and plainly, to hold the backend to it: at two rows, and at a point beside
    for a derivative. Neither more seeds nor bounds and edges ask more.
    """
    ansatz = Ansatz()
    comparison_of(circuit_of(ansatz), seeds=(0, 1))
    assert ansatz.calls == 4


def test_rows_of_another_shape_are_traced_on_their_own() -> None:
    ansatz = Ansatz()
    circuit = circuit_of(ansatz)
    params = torch.ones(2, dtype=torch.float64)
    for width in (2, 3, 2, 3):
        x = torch.ones(1, width, dtype=torch.float64)
        circuit(params, x)
        assert [f.size for f in circuit.lowering(x).formulas if f is not None] == [1, 1, 1, 1]
    assert ansatz.calls == 8
    assert circuit.lowering(x).layout.data == {"inputs": 0}


@pytest.mark.parametrize(
    "make",
    [lambda: circuit_of(Ansatz()), lambda: mlp([2, 4, 1], dtype=torch.float64)],
    ids=["circuit", "net"],
)
def test_a_run_of_a_comparison_enters_few_files(make: Callable[[], Model]) -> None:
    def checked(model: Model) -> SeededModel:
        seeded = SeededModel("m", model, few_samples(), 0, SquaredError(), GradientDescent(), 5, True)
        seeded.check()  # as a comparison does before its runs: backends are chosen and held to the QNode here
        return seeded

    checked(make()).run(10.0)  # what is imported and compiled at first is no part of the walk
    seeded = checked(make())
    files = entered(lambda: seeded.run(10.0))
    assert len(files) <= 50, sorted(files)


@pytest.mark.parametrize("name", names())
def test_loading_a_family_enters_few_files(name: str) -> None:
    qlazy.load_circuit(name)
    files = entered(lambda: qlazy.load_circuit(name))
    assert len(files) <= 27, sorted(files)


def test_a_program_is_run_without_pennylane() -> None:
    """From the text to the Jacobian: gates alone, and measured on the way."""
    program = """
import sys, torch, qlazy
for name in ("hardware_efficient", "teleportation"):
    circuit = qlazy.load_circuit(name)
    params = circuit.init(torch.Generator().manual_seed(0))
    x = torch.ones(2, circuit.program.num_features, dtype=torch.float64)
    assert float(circuit.jacobian(params, x).abs().max()) > 0
    print(circuit.backend)
assert "pennylane" not in sys.modules
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert found.stdout.split() == ["adjoint", "branches"]
