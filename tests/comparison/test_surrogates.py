"""The panel of surrogates: decisions from answers made by hand, models of known standing, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch
from scipy import stats

import qlazy
from qlazy.comparison.baselines.fidelity import fidelities
from qlazy.comparison.baselines.result import FIDELITY, FOURIER, TWIN, Rival
from qlazy.comparison.baselines.tuning import best, split_of, spread
from qlazy.quantum.pennylane.states import fidelity_kernel
from tests.makers import inputs, rng

SETTINGS = {"folds": 5, "candidates": 8, "method": "Adam(0.1)", "steps": 200}


def panel(shares, seeds=10, samples=400, classes=("a", "b"), noise=0.02, margin=0.02):
    """Answers with these mean shares of right ones, the same samples wrong but for a few that seeds draw."""
    chance = np.random.default_rng(0)
    order = chance.random(samples)
    rows = [
        [(order + noise * chance.standard_normal(samples) < share) for _ in range(seeds)] for share in shares
    ]
    rivals = tuple(Rival(name, 8, "", 1, 0.0) for name in ("circuit", TWIN, FOURIER, "x", "y")[: len(shares)])
    return qlazy.Surrogates(rivals, np.array(rows, float), classes, False, margin, {}, SETTINGS)


@pytest.mark.parametrize(
    ("shares", "decision", "standings"),
    [
        ((0.8, 0.8, 0.6), "classical", ["as well", "worse"]),
        ((0.8, 0.95, 0.6), "classical", ["better", "worse"]),
        ((0.9, 0.7, 0.6), "not classical", ["worse", "worse"]),
        ((0.8, 0.79, 0.6), "undecided", ["undecided", "worse"]),
    ],
)
def test_decisions_follow_from_intervals(shares, decision, standings) -> None:
    found = panel(shares, samples=100 if decision == "undecided" else 400)
    assert list(found.standings.values()) == standings
    assert found.decision == decision
    assert {"classical": "as well", "not classical": "beats every", "undecided": "undecided"}[
        decision
    ] in str(found)
    for name, one in found.differences.items():
        assert one.low < found.scores[name] - found.scores["circuit"] < one.high


def test_one_seed_makes_no_claim() -> None:
    found = panel((0.9, 0.6), seeds=1)
    assert found.decision == "undecided"
    assert "no interval and no claim" in found.sentences()[0]
    assert "[" not in found.table()
    assert "One seed has no interval" in found.caption


def test_what_diverged_decides_nothing() -> None:
    for fallen in (0, 1):
        found = panel((0.9, 0.6, 0.5))
        rivals = [replace(one, diverged=int(place == fallen)) for place, one in enumerate(found.rivals)]
        found = replace(found, rivals=tuple(rivals))
        assert found.decision == "undecided"
        assert found.standings[FOURIER] == ("worse" if fallen else "undecided")
        assert "diverged" in str(found)


def test_intervals_of_shares_are_shares() -> None:
    rivals = tuple(Rival(name, 1, "", 1, 0.0) for name in ("circuit", "x"))
    answers = np.array([[[0.0], [1.0]], [[1.0], [1.0]]])
    found = qlazy.Surrogates(rivals, answers, ("a", "b"), False, 0.02, {}, SETTINGS)
    assert found.differences["x"] == (0.5, -1.0, 1.0)


def test_real_errors_have_students_interval() -> None:
    """All samples alike, so that seeds alone matter: the paired t interval of their differences."""
    chance = np.random.default_rng(1)
    answers = np.repeat(chance.standard_normal((2, 6, 1)) * 0.01 + 0.5, 50, 2)
    rivals = tuple(Rival(name, 1, "", 1, 0.0) for name in ("circuit", "x"))
    found = qlazy.Surrogates(rivals, answers, (), False, 0.02, {}, SETTINGS).differences["x"]
    seeds = answers[1, :, 0] - answers[0, :, 0]
    low, high = stats.t.interval(0.95, 5, seeds.mean(), stats.sem(seeds))
    np.testing.assert_allclose(found, (seeds.mean(), low, high), atol=1e-5)


@pytest.fixture(scope="module")
def digits():
    return qlazy.load_data("digits", features=3, train=40, test=60)


@pytest.fixture(scope="module")
def circuit():
    return qlazy.load_circuit("hardware_efficient", n=3, layers=1)


@pytest.fixture(scope="module")
def found(circuit, digits):
    options = {"seeds": 3, "folds": 3, "candidates": 3, "steps": 30, "progress": False}
    return qlazy.surrogates(circuit, digits, **options)


def test_a_circuit_beside_the_others(found, tmp_path) -> None:
    assert [rival.name for rival in found.rivals] == [
        "circuit", TWIN, FOURIER, FIDELITY, "logistic regression", "RBF support vectors", "multilayer perceptron",
        "infinite net",
    ]  # fmt: skip
    assert found.answers.shape == (8, 3, 60)
    assert {rival.candidates for rival in found.rivals} == {3}
    assert not found.left_out
    assert found.scores["logistic regression"] > 0.85
    assert found.decision == "classical"
    found.save(tmp_path)
    loaded = qlazy.Surrogates.load(tmp_path)
    assert (loaded.table(), loaded.sentences(), loaded.caption) == (
        found.table(),
        found.sentences(),
        found.caption,
    )
    assert "<table>" in found._repr_html_()
    assert len(found.plot().axes[0].get_yticks()) == 8


def test_given_methods_are_taken_and_seeds_paired(circuit, digits, found) -> None:
    """The circuit's answers are those of a run of its own; a split a seed is trained and tuned on that split."""

    def splits(seed):
        return qlazy.load_data("digits", features=3, train=40, test=60, seed=seed)

    options = {"folds": 2, "candidates": 2, "steps": 12, "method": qlazy.Adam(0.1), "progress": False}
    one = qlazy.surrogates(circuit, splits, seeds=(1, 2), **options)
    for row, seed in enumerate((1, 2)):
        data = splits(seed)
        params = circuit.init(torch.Generator().manual_seed(seed))
        run = qlazy.train(circuit, params, data, steps=12, method=qlazy.Adam(0.1))
        expected = qlazy.accuracy(torch.from_numpy(run.test_outputs[-1]), data.y_test)
        assert one.answers[0, row].mean() == pytest.approx(float(expected))
    assert [rival.candidates for rival in one.rivals[:3]] == [1, 1, 2]
    assert one.own_splits


def test_a_circuit_without_entangling_gates_does_as_its_twin(digits) -> None:
    @qml.qnode(qml.device("default.qubit", wires=3))
    def product(inputs, weights):
        for wire in range(3):
            qml.RX(inputs[wire], wires=wire)
            qml.Rot(*weights[wire], wires=wire)
        return qml.expval(qml.Z(0) @ qml.Z(1) @ qml.Z(2))

    model = qlazy.Scaled(qlazy.Circuit(product, {"weights": (3, 3)}), 2.0)
    options = {"seeds": 3, "folds": 2, "candidates": 2, "steps": 20, "progress": False}
    one = qlazy.surrogates(model, digits, **options)
    np.testing.assert_array_equal(one.answers[0], one.answers[1])
    assert one.own_twin
    assert one.differences[TWIN] == (0, 0, 0)
    assert one.standings[TWIN] == "as well"
    assert one.decision == "classical"
    assert "its own unentangled twin" in str(one)


def test_a_circuit_for_parity_beats_all_others() -> None:
    """The sign of a product of five cosines from fifty samples, which learners of other forms cannot guess."""

    @qml.qnode(qml.device("default.qubit", wires=5))
    def parity(inputs, weights):
        for wire in range(5):
            qml.RY(inputs[wire] + weights[wire], wires=wire)
        for wire in range(4):
            qml.CNOT((wire, wire + 1))
        return qml.expval(qml.Z(4))

    x = np.random.default_rng(0).uniform(-np.pi, np.pi, (250, 5))
    data = qlazy.from_arrays(x, np.prod(np.cos(x), 1) > 0, train=50, test=200, scaling="none")
    model = qlazy.Circuit(parity, {"weights": 5})
    options = {"seeds": 4, "folds": 2, "candidates": 2, "steps": 100, "progress": False}
    one = qlazy.surrogates(model, data, method=qlazy.Adam(1.0), **options)
    assert one.decision == "not classical"
    assert "beats every other model tried" in one.sentences()[0]
    assert one.rivals[1].parameters == 1  # without its CNOTs it sees the last input alone


def test_nets_have_no_twin_and_regression_explains_variance() -> None:
    """A linear function of the inputs: ridge regression explains it, and so do the others, the better part."""
    chance = np.random.default_rng(0)
    x = chance.standard_normal((120, 2))
    data = qlazy.from_arrays(x, x @ [1.0, -2.0], train=60, regression=True)
    options = {"seeds": 2, "folds": 3, "candidates": 4, "steps": 40, "progress": False}
    one = qlazy.surrogates(qlazy.mlp([2, 4, 1]), data, **options)
    assert set(one.left_out) == {TWIN, FOURIER, FIDELITY}
    assert one.scores["ridge regression"] > 0.95
    assert all(score > 0.7 for name, score in one.scores.items() if name != "model")
    assert "Left out: unentangled twin, Fourier model and fidelity kernel (a circuit alone has them)." in str(
        one
    )
    assert "unexplained variance" in one.table()


def test_what_a_circuit_lacks_is_left_out_with_its_reason(digits) -> None:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def scaled(inputs, weights):
        qml.RX(weights[0] * inputs[0], wires=0)
        qml.RY(weights[1] + inputs[1] + inputs[2], wires=1)
        qml.CNOT((0, 1))
        return qml.expval(qml.Z(1))

    options = {"seeds": 2, "folds": 2, "candidates": 1, "steps": 2, "progress": False}
    one = qlazy.surrogates(qlazy.Circuit(scaled, {"weights": 2}), digits, **options)
    assert list(one.left_out) == [FOURIER]
    assert "weights[0] * inputs[0]" in one.sentences()[-1]


def test_fidelities_are_those_of_single_states(circuit) -> None:
    params, x = circuit.init(rng()), inputs(7, 3)
    expected = fidelity_kernel(circuit, params, x)[:, :4]
    torch.testing.assert_close(fidelities(circuit, params, x, 4), expected, rtol=0, atol=1e-12)


def test_folds_and_candidates(digits) -> None:
    split = split_of(digits, (0,), 4)
    held = np.concatenate([fold.held for fold in split.folds])
    assert sorted(held) == list(range(40))
    assert all(not set(fold.fit) & set(fold.held) for fold in split.folds)
    assert best(np.array([[0.5, 0.7, 0.7], [0.5, 0.7, 0.7]])) == 1
    assert best(np.array([[np.nan, 0.1], [1.0, 0.1]])) == 1
    points = spread(5, (-2, 2), (0, 1))
    np.testing.assert_allclose([a for a, _ in points], [1e-2, 1e-1, 1, 10, 100])
    assert len({b for _, b in points}) == 5
    assert all(1 <= b <= 10 for _, b in points)
    assert len(split_of(digits, (0,), 30).folds) == int(
        min((digits.y_train > 0).sum(), (digits.y_train < 0).sum())
    )
    with pytest.raises(ValueError, match="`data` must have two training samples or more"):
        split_of(replace(digits, y_train=digits.y_train.abs()), (0,), 2)


def test_a_model_that_does_not_fit_is_refused(circuit, digits) -> None:
    with pytest.raises(
        ValueError, match=r"`model` must have one output, -1 for one class and \+1 for the other"
    ):
        qlazy.surrogates(qlazy.mlp([3, 2]), digits, progress=False)
    for options in ({"seeds": 0}, {"folds": 1}, {"margin": -0.1}, {"method": "adam"}, {"seeds": (1, 1)}):
        with pytest.raises((ValueError, TypeError), match=f"`{next(iter(options))}` must"):
            qlazy.surrogates(circuit, digits, progress=False, **options)
