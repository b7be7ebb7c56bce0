"""Figures of a comparison are the same wherever angles are drawn, in whatever order qubits and parameters stand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.comparison import metrics
from qlazy.comparison.run import Run
from qlazy.comparison.verdict import METRICS as DECIDING
from tests.comparison.test_figures import made_up_run

QUBITS, GATES, SAMPLES = 3, 12, 10
TURNED = {"RX": 2, "RY": 2, "RZ": 2, "CRX": 4, "CRZ": 4}
"""Periods in units of pi: a controlled rotation by 2 pi is a controlled sign."""


class Drawn:
    """A circuit drawn at random: gates on wires, each turned by an input or by a weight of its own."""

    def __init__(self, generator: np.random.Generator) -> None:
        names = generator.choice([*TURNED, "CNOT"], GATES)
        pairs = [tuple(map(int, generator.permutation(QUBITS)[:2])) for _ in names]
        self.gates = list(zip(map(str, names), pairs, strict=True))
        self.turned = [i for i, (name, _) in enumerate(self.gates) if name in TURNED]
        self.weights = generator.uniform(0, 2 * math.pi, len(self.turned))
        self.periods = math.pi * np.array([TURNED[self.gates[i][0]] for i in self.turned])

    def circuit(self, wires: np.ndarray, places: np.ndarray) -> qlazy.Circuit:
        """With qubit q on wire ``wires[q]`` and weight k in place ``places[k]``."""
        of = {gate: int(places[k]) for k, gate in enumerate(self.turned)}
        wire = [int(w) for w in wires]

        @qml.qnode(qml.device("default.qubit", wires=QUBITS))
        def run(inputs, weights):
            for q in range(QUBITS):
                qml.RY(inputs[q], wire[q])
            for i, (name, pair) in enumerate(self.gates):
                on = [wire[q] for q in pair]
                if name == "CNOT":
                    qml.CNOT(on)
                else:
                    getattr(qml, name)(weights[of[i]], on if name[0] == "C" else on[0])
            for q in range(QUBITS):
                qml.RY(inputs[q], wire[q])
                qml.CNOT([wire[q], wire[(q + 1) % QUBITS]])
            return qml.expval(qml.Z(wire[0]))

        return qlazy.Circuit(run, {"weights": (len(self.turned),)})


@pytest.mark.parametrize("seed", range(3))
def test_every_figure_is_the_same_after_turns_and_permutations(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(seed)
    drawn = Drawn(generator)
    count = len(drawn.weights)
    same, order, wires = np.arange(count), generator.permutation(count), generator.permutation(QUBITS)
    plain = np.arange(QUBITS)
    turns = drawn.periods * generator.integers(-3, 4, count)
    moved = np.empty(count)
    moved[order] = drawn.weights
    starts = {
        "plain": (drawn.circuit(plain, same), drawn.weights),
        "turned": (drawn.circuit(plain, same), drawn.weights + turns),
        "qubits": (drawn.circuit(np.roll(wires, 1), same), drawn.weights),
        "parameters": (drawn.circuit(plain, order), moved),
    }
    at = {id(circuit): torch.from_numpy(start.copy()) for circuit, start in starts.values()}
    monkeypatch.setattr(qlazy.Circuit, "init", lambda self, _: at[id(self)].clone())
    x = torch.from_numpy(generator.uniform(-2, 2, (2 * SAMPLES, QUBITS)))
    y = x.prod(1, keepdim=True).sign()
    data = qlazy.Dataset("drawn", x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:], ("a", "b"), "drawn")
    models = {name: circuit for name, (circuit, _) in starts.items()}
    found = qlazy.compare(models, data, alphas=(1.0, 30.0), seeds=(0,), steps=40, progress=False)
    wanted = [*metrics.METRICS, *metrics.MOVES, *metrics.KERNELS, *metrics.SCALES, *found.results]
    for metric in wanted:
        first = found.values("plain", metric)
        for name in list(starts)[1:]:
            np.testing.assert_allclose(
                found.values(name, metric), first, rtol=1e-6, atol=1e-9, err_msg=f"{metric}, {name}"
            )
    for metric, of in DECIDING.items():
        values = [[of(run) for run in found.select(name)] for name in starts]
        np.testing.assert_allclose(values, values[:1] * len(values), rtol=1e-6, err_msg=metric)
    said = [str(one.verdict()).split(" ", 1)[1] for one in (only(found, name) for name in starts)]
    assert len(set(said)) == 1


def only(comparison: qlazy.Comparison, model: str) -> qlazy.Comparison:
    return replace(comparison, runs=tuple(comparison.select(model)))


def test_a_whole_turn_of_a_controlled_rotation_is_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: by 2 pi a controlled rotation becomes another gate."""

    @qml.qnode(qml.device("default.qubit", wires=2))
    def run(inputs, weights):
        qml.RY(inputs[0], 0)
        qml.RY(weights[0], 1)
        qml.CRX(weights[1], [0, 1])
        qml.RY(inputs[0], 0)
        qml.CNOT([1, 0])
        return qml.expval(qml.Z(0))

    circuit = qlazy.Circuit(run, {"weights": (2,)})
    x, start = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None], torch.tensor([0.3, 0.7]).double()
    jacobians = [
        circuit.jacobian(start + torch.tensor([0.0, turn]), x) for turn in (0, 2 * math.pi, 4 * math.pi)
    ]
    torch.testing.assert_close(jacobians[0], jacobians[2], check_dtype=False)
    assert (jacobians[0] - jacobians[1]).abs().max() > 0.1


def of_drift(params: list[list[float]], curvature: float) -> Run:
    run = made_up_run("one", 0, 1.0)
    trace = replace(run.trace, params=np.array(params))
    return replace(run, trace=trace, curvature=curvature, kernel_initial=np.diag([16.0, 4.0, 1.0, 1.0]))


def test_drifts_are_those_of_their_formulas() -> None:
    """Largest at the second step; ||Dh||_n = sqrt(16 / 4) = 2, so that the linearisation fails over 2 / .5 = 4."""
    run = of_drift([[1.0, 1.0], [4.0, 5.0], [1.0, 2.0], [1.0, 2.0]], 0.5)
    assert run.parameter_drift == 5.0
    assert run.rms_drift == pytest.approx(5 / math.sqrt(2))
    assert run.largest_drift == 4.0
    assert run.linear_length == pytest.approx(4.0)
    assert run.drift_over_length == pytest.approx(5 / 4)


def test_a_linear_model_is_linear_at_any_distance() -> None:
    run = of_drift([[1.0, 1.0], [4.0, 5.0], [1.0, 2.0], [1.0, 2.0]], 0.0)
    assert run.linear_length == math.inf
    assert run.drift_over_length == 0.0
    assert math.isnan(of_drift([[1.0, 1.0]] * 4, math.nan).drift_over_length)


def test_the_length_does_not_depend_on_the_scale_of_a_model_and_the_sine_has_its_own() -> None:
    """h = a sin(w) at w0: |Dh| / |D^2 h| = |cot w0|."""
    x, y = torch.zeros(2, 1).double(), torch.tensor([[0.3], [0.5]]).double()
    data = qlazy.Dataset("one", x, y, x, y, (), "one")
    function = qlazy.Function(lambda w, x: w.sin() + 0 * x, 1)
    models = {"one": function, "ten": qlazy.Scaled(function, 10.0)}
    found = qlazy.compare(models, data, alphas=(1.0,), seeds=(3,), steps=2, progress=False)
    start = found.runs[0].trace.params[0, 0]
    for run in found.runs:
        assert run.linear_length == pytest.approx(abs(1 / math.tan(start)), rel=1e-6)


def test_the_table_shows_them() -> None:
    table = str(replace_table(made_up_run("one", 0, 1.0)))
    assert "rms drift" in table
    assert "drift over length" in table
    assert "radians" in table


def replace_table(run: Run) -> object:
    return qlazy.Comparison((replace(run, curvature=0.5),), {}).moves_table()
