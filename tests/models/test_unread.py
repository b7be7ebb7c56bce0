"""Columns of the inputs that outputs do not depend on: those that drawn circuits, programs and nets leave out."""

from __future__ import annotations

import warnings

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.checking import check as check_module
from qlazy.checking.panels import PANELS
from qlazy.models.unread import unread_columns, unread_text, unread_which

F64 = torch.float64
WIDTH = 6


def inputs_of(rng, rows=12):
    return torch.tensor(rng.uniform(-1.5, 1.5, (rows, WIDTH)))


def angle_circuit(rng, read):
    """Each column that is read turns a qubit, alone or times a weight or another; all qubits are entangled after."""
    kinds = [rng.integers(4) for _ in read]
    gates = [(qml.RX, qml.RY)[rng.integers(2)] for _ in read]

    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit(inputs, w):
        for place, (column, kind, gate) in enumerate(zip(read, kinds, gates, strict=True)):
            angle = inputs[column]
            if kind == 1:
                angle = angle * w[place]
            if kind == 2:
                angle = angle * inputs[read[0]] + angle
            if kind == 3:
                angle = torch.sin(angle) if isinstance(angle, torch.Tensor) else np.sin(angle)
            gate(angle + w[place], wires=place % 3)
        for wire in range(3):
            qml.RY(w[wire], wires=wire)
        for wire in range(3):
            qml.CNOT([wire, (wire + 1) % 3])
        for wire in range(3):
            qml.RX(w[wire + 3], wires=wire)
        return [qml.expval(qml.Z(0)), qml.expval(qml.Z(1) @ qml.X(2))]

    return qlazy.Circuit(circuit, {"w": (WIDTH,)})


def measuring_circuit(rng, read):
    """The last column that is read acts in a branch alone."""
    *first, last = read

    @qml.qnode(qml.device("default.qubit"))
    def circuit(inputs, w):
        for place, column in enumerate(first):
            qml.RX(inputs[column] + w[place], wires=place % 2)
        qml.CNOT([0, 1])
        qml.RY(w[4], wires=0)
        outcome = qml.measure(0)
        qml.cond(outcome, qml.RX)(inputs[last] + w[5], wires=1)
        return qml.expval(qml.Z(1))

    return qlazy.Circuit(circuit, {"w": (WIDTH,)})


def branching_circuit(rng, read):
    """The last column that is read decides in Python which gate there is, beyond a threshold that few rows pass."""
    *first, last = read

    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):
        for place, column in enumerate(first):
            qml.RX(inputs[column] + w[place], wires=place % 2)
        if inputs[last] > 1.0:
            qml.RY(w[4], wires=0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    return qlazy.Circuit(circuit, {"w": (WIDTH,)})


def amplitude_circuit(rng, read):
    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit(inputs, w):
        qml.AmplitudeEmbedding(inputs[list(read)], wires=range(3), pad_with=0.5, normalize=True)
        for wire in range(3):
            qml.RX(w[wire], wires=wire)
        for wire in range(3):
            qml.CNOT([wire, (wire + 1) % 3])
        return qml.expval(qml.Z(0))

    return qlazy.Circuit(circuit, {"w": (3,)})


def net(rng, read):
    class Reading(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(len(read), 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)
            )

        def forward(self, x):
            return self.layers(x[:, list(read)])

    return qlazy.Net(Reading())


KINDS = [angle_circuit, measuring_circuit, branching_circuit, amplitude_circuit, net]


@pytest.mark.filterwarnings("ignore::qlazy.SlowBackendWarning")
@pytest.mark.parametrize("make", KINDS)
def test_what_drawn_models_leave_out_is_named_and_nothing_else(make):
    rng = np.random.default_rng(KINDS.index(make))
    for _ in range(4):
        read = sorted(rng.choice(WIDTH, size=rng.integers(2, WIDTH + 1), replace=False).tolist())
        unread = tuple(column for column in range(WIDTH) if column not in read)
        assert unread_columns(make(rng, read), inputs_of(rng, 30)) == unread


def test_a_column_that_matters_in_one_row_is_read():
    """x_1 above a threshold that one row of 40 passes: no false word of it."""
    model = qlazy.Function(
        lambda w, x: (w[0] * x[:, 0] + torch.where(x[:, 1] > 1.9, w[1], w[1] * 0)).unsqueeze(1), 2
    )
    x = torch.linspace(-2, 2, 40, dtype=F64).unsqueeze(1).repeat(1, 3)
    x[:, 0] = x[:, 0].flip(0).sin()
    assert unread_columns(model, x) == (2,)


def test_angles_that_are_apart_by_whole_turns_are_read():
    """The outputs of such data are the same, and those of angles between are not."""
    x = torch.tensor([[0.3, 0.0], [0.4, 2 * np.pi], [0.5, 0.0]], dtype=F64) + 0.1
    model = qlazy.Function(lambda w, x: (w[0] * x[:, 0] + w[1] * x[:, 1].cos()).unsqueeze(1), 2)
    assert unread_columns(model, x) == ()


def test_states_bits_constants_and_random_outputs_are_not_spoken_of():
    @qml.qnode(qml.device("default.qubit", wires=1))
    def state(inputs, w):
        qml.StatePrep(inputs[:2], wires=0)  # of norm 1: a row with another entry is no state
        qml.RX(w[0], wires=0)
        return qml.expval(qml.Z(0))

    angles = torch.linspace(0, 1, 5, dtype=F64)
    x = torch.stack([angles.cos(), angles.sin(), angles], dim=1)
    assert unread_columns(qlazy.Circuit(state, {"w": (1,)}), x) == ()

    @qml.qnode(qml.device("default.qubit", wires=2))
    def bits(inputs, w):
        qml.BasisEmbedding(inputs[:2], wires=range(2))
        qml.RX(w[0], wires=0)
        return [qml.expval(qml.Z(0)), qml.expval(qml.Z(1))]

    x = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 1], [1, 1, 0]], dtype=F64)
    assert unread_columns(qlazy.Circuit(bits, {"w": (1,)}), x) == (2,)
    assert unread_columns(qlazy.Circuit(bits, {"w": (1,)}), x[:, [0, 1, 1]] * torch.tensor([1.0, 1, 0])) == ()
    noisy = qlazy.Function(lambda w, x: w[0] * x[:, :1] + torch.rand(len(x), 1, dtype=F64), 1)
    assert unread_columns(noisy, torch.rand(6, 3, dtype=F64)) == ()


@qml.qnode(qml.device("default.qubit", wires=2))
def two(inputs, w):
    qml.AngleEmbedding(inputs[:2], wires=range(2))
    qml.CNOT([0, 1])
    qml.RX(w[0], wires=1)
    return qml.expval(qml.Z(1))


def test_compare_and_check_say_so_once(monkeypatch):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(24, 4))
    data = qlazy.from_arrays(x, x[:, 3] > 0, train=16)
    circuit = qlazy.Circuit(two, {"w": (1,)})
    expected = "no output of circuit depends on columns 2 and 3 of the 4 of its inputs (counted from 0)"
    not_asked = PANELS["classical"]._replace(ask=lambda question: "Not asked.")
    monkeypatch.setattr(check_module, "PANELS", {**PANELS, "classical": not_asked})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", qlazy.UnreadInputsWarning)
        models = {"circuit": circuit, "net": qlazy.mlp([4, 2, 1])}
        qlazy.compare(models, data, alphas=(1.0,), seeds=2, steps=2, progress=False)
        assert [str(w.message).startswith(expected) for w in said] == [True]
        assert said[0].filename == __file__
        for panels in (("lazy", "classical"), ("classical",)):
            said.clear()
            settings = {"panels": panels, "seeds": 2, "steps": 2, "alphas": (1.0,), "progress": False}
            qlazy.check(circuit, data, **settings)
            assert [w.category for w in said] == [qlazy.UnreadInputsWarning]


@pytest.mark.filterwarnings("ignore::qlazy.UnreadInputsWarning")
def test_what_is_not_read_is_kept_and_said_by_all(tmp_path):
    """Names of columns come from the file where each is an input of its own, and not where components mix them."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(24, 4))
    rows = [",".join(map(str, [*row, int(row[3] > 0)])) for row in x.tolist()]
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(["length,width,weight,<age>,label", *rows]))
    data = qlazy.load_data(table, target="label", train=16)
    assert data.features == ("length", "width", "weight", "<age>")
    assert data.to(torch.float32).features == data.features
    mixed = qlazy.load_data(table, target="label", train=16, features=3)
    assert mixed.features == ()
    models = {"circuit": qlazy.Circuit(two, {"w": (1,)}), "net": qlazy.mlp([4, 2, 1])}
    settings = {"alphas": (1.0,), "seeds": 2, "steps": 2, "progress": False}
    comparison = qlazy.compare(models, data, **settings, out=tmp_path / "kept")
    which = "columns 2 and 3 of the 4 of its inputs (counted from 0: weight, <age>)"
    said = f"No output of circuit depends on {which}, whatever stands there; other models on these data may use it."
    for found in (comparison, qlazy.Comparison.load(tmp_path / "kept")):
        assert found.settings["unread inputs"] == {"circuit": which}
        verdict = found.verdict()
        assert said in verdict.sentences()
        assert str(verdict).endswith(f"\n{said}")
        for page in (verdict._repr_html_(), found.report(tmp_path / "page").read_text()):
            assert said.replace("<age>", "&lt;age&gt;") in page
    net = qlazy.compare({"net": models["net"]}, data, **settings)
    assert "unread inputs" not in net.settings
    assert "No output" not in str(net.verdict())

    checked = qlazy.check(models["circuit"], data, panels=("lazy",), out=tmp_path / "checked", **settings)
    said = said.replace("circuit", "two")  # by its own name
    for found in (checked, qlazy.Verdict.load(tmp_path / "checked")):
        assert found.paragraphs()[1] == said
        assert found.sentences()[1] == said
        assert found.facts["unread inputs"] == which


def test_columns_are_listed_in_words():
    assert unread_which((3,), 4) == "column 3 of the 4 of its inputs (counted from 0)"
    assert unread_which((0, 2, 5, 6, 7, 8, 9), 12).startswith("columns 0, 2 and 5 to 9 of the 12 ")
    assert unread_which((0, 1), 12).startswith("columns 0 and 1 of the 12 ")
    many = tuple(f"f{i}" for i in range(12))
    assert unread_which((1, 3), 12, many).endswith("(counted from 0: f1, f3)")
    assert unread_which(range(1, 12), 12, many).endswith(
        "(counted from 0: f1, f2, f3, f4, f5, f6, f7, f8, ...)"
    )
    assert unread_text("a", "column 3").startswith("no output of a depends on column 3, ")
