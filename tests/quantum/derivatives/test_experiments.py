"""Derivative programs run elsewhere: on PennyLane devices, and as OpenQASM 3 by qiskit's importer and Aer."""

from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qlazy.quantum.corpus import load_program, program_from_qasm
from qlazy.quantum.derivatives import differentiate
from tests.quantum.programs import programs

SHOTS = 40_000
SIGMAS = 4.0


def point(program, seed=1):
    generator = torch.Generator().manual_seed(seed)
    params = 3 * torch.rand(program.num_params, generator=generator, dtype=torch.float64)
    return params, torch.rand(1, program.num_features, generator=generator, dtype=torch.float64)


def device(wires):
    return qml.device("default.qubit", wires=wires, seed=11)


def assert_within(found, error, exact):
    assert ((found - exact).abs() <= SIGMAS * error + 1e-9).all(), (found, error, exact)


CASES = [
    ("p2", {}, "a[3, 0]", "exit"),
    ("repeat_until_success", {"rounds": 3}, "b", "exit"),
    ("repeat_until_success", {"rounds": 3}, "b", "discard"),
    ("teleportation", {}, "pair", "exit"),
    ("dynamic_reuploading", {"n": 2}, "bias[0, 1]", "exit"),
    ("adaptive_ghz", {}, "theta[1]", "exit"),
    ("amplitude_amplification", {"rounds": 2}, "prepare", "exit"),
]


@pytest.mark.parametrize("mode", ["ancilla", "shift"])
@pytest.mark.parametrize(("name", "sizes", "wrt", "loops"), CASES)
def test_shots_on_a_device(name, sizes, wrt, loops, mode):
    program = replace(load_program(name, **sizes), loops=loops)
    derivative = differentiate(program, wrt, mode)
    params, x = point(program)
    found = derivative.estimate(params, x, shots=4_000, device=device)
    assert_within(found.value, found.error, derivative.evaluate(params, x))
    assert float(found.error.max()) < 0.2


@pytest.mark.parametrize(("name", "sizes", "wrt", "loops"), [CASES[0], CASES[2], CASES[4]])
def test_aer_agrees(name, sizes, wrt, loops):
    importer = pytest.importorskip("qiskit_qasm3_import")
    aer = pytest.importorskip("qiskit_aer")
    simulator = aer.AerSimulator(seed_simulator=5)
    program = replace(load_program(name, **sizes), loops=loops)
    derivative = differentiate(program, wrt)
    params, x = point(program)
    mean = variance = 0.0
    for experiment in derivative.experiments():
        circuit = importer.parse(experiment.to_qasm(params, x[0]))
        counts = simulator.run(circuit, shots=SHOTS).result().get_counts()
        found = experiment.from_counts(counts, params, x[0])
        mean, variance = mean + found.mean, variance + found.variance
    assert_within(mean, variance.sqrt(), derivative.evaluate(params, x)[0])


def test_symbols_are_kept_for_those_who_bind_them_later():
    importer = pytest.importorskip("qiskit_qasm3_import")
    experiment = next(differentiate(load_program("teleportation"), "theta").experiments())
    circuit = importer.parse(experiment.to_qasm())
    assert {parameter.name for parameter in circuit.parameters} == {"theta", "phi", "pair"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.sampled_from(["ancilla", "shift"]), st.sampled_from(["exit", "discard"]))
def test_what_is_emitted_can_be_read(text, mode, loops):
    """The reader takes every emitted text, with symbols or numbers, and it measures nothing but what it declares."""
    program = replace(program_from_qasm(text), loops=loops)
    params, x = point(program)
    for experiment in list(differentiate(program, "a", mode).experiments())[:3]:
        for emitted in (experiment.to_qasm(), experiment.to_qasm(params, x[0])):
            again = program_from_qasm(emitted)
            assert again.num_qubits == experiment.term.program.num_qubits
            read = {variable.name for variable in again.variables}
            assert sum(name.startswith("record") for name in read) <= experiment.num_records


def test_counts_are_read_as_qiskit_writes_them():
    """Registers from the last declared, bits from the last: "out record"."""
    program = load_program("p2")
    term = differentiate(program, "b[3, 0]")[0]
    (experiment,) = differentiate(program, "b[3, 0]").experiments()
    params, x = point(program)
    assert (experiment.num_records, experiment.num_bits) == (1, 2)
    found = experiment.from_counts({"10 0": 3, "00 0": 1, "11 1": 4}, params, x[0])
    bits = np.array([[0, 1]] * 3 + [[0, 0]] + [[1, 1]] * 4)
    records = np.array([[0]] * 4 + [[1]] * 4)
    expected = experiment.moments(records, bits, params, x[0])
    torch.testing.assert_close(found, expected)
    # output 1/2 (1 - Z q[3]) Z a, where the path is that of b: bits are q[3], ancilla in the order of wires
    assert term.program.num_qubits == 5
    assert float(found.mean[0]) == pytest.approx(-0.0 + (3 * 0.5 * (-1 + 1) + 0.5 * (1 - 1)) / 8)
