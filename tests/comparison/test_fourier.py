"""Fourier models: what a circuit's encoding reaches, held to the circuit itself, whose outputs are linear in it."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.comparison.baselines.learners import KernelRidge
from tests.makers import inputs, rng


def reuploading(uploads: int, prefactors: tuple[float, ...], wires: int):
    @qml.qnode(qml.device("default.qubit", wires=wires))
    def circuit(inputs, weights):
        for upload in range(uploads):
            factor = prefactors[upload % len(prefactors)]
            (qml.RX, qml.RY, qml.RZ)[upload % 3](factor * inputs[0] + 0.3, wires=upload % wires)
            for wire in range(wires):
                qml.Rot(*weights[upload, wire], wires=wire)
            for wire in range(wires - 1):
                qml.CNOT((wire, wire + 1))
        return [qml.expval(qml.Z(wire)) for wire in range(wires)]

    return qlazy.Circuit(circuit, {"weights": (uploads, wires, 3)})


def left_over(features, outputs, fit: int) -> float:
    """The largest error on rows from ``fit`` on of the least squares fit to those before."""
    weights = torch.linalg.lstsq(features[:fit], outputs[:fit]).solution
    return float((features[fit:] @ weights - outputs[fit:]).abs().max())


@pytest.mark.parametrize("uploads", [1, 2, 4])
@pytest.mark.parametrize("factor", [1.0, 0.7])
@pytest.mark.parametrize("wires", [1, 3])
def test_features_of_l_uploads_reproduce_any_trained_circuit(uploads, factor, wires) -> None:
    """2 L + 1 features; without the highest frequency the circuit is out of reach."""
    circuit = reuploading(uploads, (factor,), wires)
    x = torch.linspace(-1, 1, 80, dtype=torch.float64)[torch.randperm(80, generator=rng())].unsqueeze(1)
    x = x * torch.pi / factor
    data = (x[:20], torch.sign(x[:20]).expand(-1, circuit(circuit.init(rng()), x).shape[1]).contiguous())
    params = torch.tensor(
        qlazy.train(circuit, circuit.init(rng()), data, steps=20, method=qlazy.Adam(0.1)).params[-1]
    )
    features, outputs = qlazy.FourierModel(circuit).features(x), circuit(params, x)
    assert features.shape == (80, 2 * uploads + 1)
    assert left_over(features, outputs, 40) < 1e-10
    spectrum = qlazy.FourierModel(circuit).spectrum(x)
    np.testing.assert_allclose(np.sort(spectrum.values.ravel()), factor * np.arange(1, uploads + 1))
    assert spectrum.complete
    highest = int(np.argmax(spectrum.values)) + 1
    kept = [i for i in range(2 * uploads + 1) if i not in (highest, highest + uploads)]
    assert left_over(features[:, kept], outputs, 40) > 1e-3


@pytest.mark.parametrize("seed", range(8))
def test_random_circuits_of_one_input_are_linear_in_their_features(seed) -> None:
    """Rotations about words, under controls or not, by multiples of x, with weights between and several outputs."""
    chance = np.random.default_rng(seed)
    wires, gates = int(chance.integers(1, 4)), []
    for _ in range(5):
        on = chance.permutation(wires).tolist()
        kind = str(
            chance.choice(
                ["RX", "RY", "RZ", "PhaseShift", *(["CRX", "CRZ", "IsingXY", "IsingZZ"] * (wires > 1))]
            )
        )
        gates.append(
            (
                kind,
                on[: 1 if kind in ("RX", "RY", "RZ", "PhaseShift") else 2],
                float(chance.choice([0.5, 1, 2])),
            )
        )

    @qml.qnode(qml.device("default.qubit", wires=wires))
    def circuit(inputs, weights):
        for layer, (kind, on, factor) in enumerate(gates):
            for wire in range(wires):
                qml.Rot(*weights[layer, wire], wires=wire)
            getattr(qml, kind)(factor * inputs[0] - weights[layer, 0, 0] / 2, wires=on)
        for wire in range(wires):
            qml.Rot(*weights[-1, wire], wires=wire)
        return qml.probs(wires=range(wires))

    model = qlazy.Circuit(circuit, {"weights": (6, wires, 3)})
    x = 4 * torch.pi * torch.rand(240, 1, generator=rng(), dtype=torch.float64)
    features = qlazy.FourierModel(model).features(x)
    assert features.shape[1] < 80
    assert left_over(features, model(model.init(rng()), x), 200) < 1e-10


def several(formulas, controlled: bool = False):
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, weights):
        for layer, formula in enumerate(formulas):
            for wire in range(2):
                qml.Rot(*weights[layer, wire], wires=wire)
            if controlled:
                qml.CRY(formula(inputs), wires=(0, 1))
            else:
                qml.RY(formula(inputs), wires=layer % 2)
            qml.CZ((0, 1))
        for wire in range(2):
            qml.Rot(*weights[-1, wire], wires=wire)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(0) @ qml.Y(1))

    return qlazy.Circuit(circuit, {"weights": (len(formulas) + 1, 2, 3)})


@pytest.mark.parametrize(
    ("circuit", "width"),
    [
        (several([lambda x: x[0] - 0.5 * x[1], lambda x: 2 * (x[0] + 0.1) / 3]), 9),
        (several([lambda x: torch.tanh(x[0]), lambda x: x[0] * x[1], lambda x: x[1]]), 27),
        (several([lambda x: x[0], lambda x: x[0]], controlled=True), 9),
    ],
    ids=["sums", "functions", "controlled"],
)
def test_several_inputs_functions_of_them_and_controlled_gates(circuit, width) -> None:
    """A controlled rotation has halves of the frequencies as well: 0, 1/2, 1, 3/2, 2 of two."""
    x, params = 3 * inputs(160, 2), circuit.init(rng())
    features = qlazy.FourierModel(circuit).features(x)
    assert features.shape[1] == width
    assert left_over(features, circuit(params, x), 120) < 1e-10


def test_more_frequencies_than_asked_for_are_a_seeded_part() -> None:
    circuit = reuploading(6, (1.0, 3.0, 9.0), 2)
    x = inputs(3, 1)
    whole = qlazy.FourierModel(circuit).spectrum(x).values.ravel()
    assert set(whole) == set(range(1, 27))
    models = [qlazy.FourierModel(circuit, max_features=21, seed=seed) for seed in (0, 0, 1)]
    parts = [model.spectrum(x) for model in models]
    assert all(not part.complete and len(part.values) == 10 for part in parts)
    assert all(set(part.values.ravel()) < set(whole) for part in parts)
    np.testing.assert_array_equal(parts[0].values, parts[1].values)
    assert not np.array_equal(parts[0].values, parts[2].values)
    assert models[0].features(x).shape == (3, 21)
    torch.testing.assert_close(models[0].kernel(x).diagonal(), torch.ones(3, dtype=torch.float64))


def test_encodings_without_fixed_frequencies_are_refused_by_name() -> None:
    @qml.qnode(qml.device("default.qubit", wires=1))
    def scaled(inputs, weights):
        qml.RX(weights[0] * inputs[0], wires=0)
        qml.RY(weights[1], wires=0)
        return qml.expval(qml.Z(0))

    @qml.qnode(qml.device("default.qubit", wires=2))
    def amplitudes(inputs, weights):
        qml.AmplitudeEmbedding(inputs, wires=(0, 1), normalize=True)
        qml.RY(weights[0] + weights[1], wires=0)
        return qml.expval(qml.Z(0))

    for qnode, width, word in (
        (scaled, 1, r"sums of data and weights.*weights\[0\]"),
        (amplitudes, 4, "amplitudes"),
    ):
        with pytest.raises(qlazy.UnsupportedModelError, match=word):
            qlazy.FourierModel(qlazy.Circuit(qnode, {"weights": 2})).features(inputs(2, width))


def test_as_a_baseline_it_follows_the_path_of_its_kernel() -> None:
    """Gradient descent on its features from zero, step by step."""
    data = qlazy.load_data("digits", features=2, train=12, test=9)
    circuit = qlazy.load_circuit("hardware_efficient", n=2, layers=1)
    model = qlazy.FourierModel(circuit)
    found = qlazy.compare(
        {"circuit": circuit}, data, alphas=(1,), seeds=(0,), steps=7, method=qlazy.GradientDescent(0.5),
        baselines=[model], progress=False,
    )  # fmt: skip
    (baseline,) = found.baselines
    features, weights = (
        model.features(data.x_train),
        torch.zeros(model.features(data.x_train).shape[1], 1).double(),
    )
    for _ in range(7):
        weights -= 0.5 / 12 * features.T @ (features @ weights - data.y_train)
    np.testing.assert_allclose(baseline.test_outputs[-1], model.features(data.x_test) @ weights, atol=1e-12)
    ridge = KernelRidge(model.kernel(torch.cat([data.x_train, data.x_test]), data.x_train), data)
    own = ridge.predict((1e-3,), np.arange(12), np.arange(12, 21), 0)
    gram = features.T @ features + 1e-3 * torch.eye(features.shape[1]).double()
    torch.testing.assert_close(
        own,
        model.features(data.x_test) @ torch.linalg.solve(gram, features.T @ data.y_train),
        rtol=0,
        atol=1e-9,
    )
