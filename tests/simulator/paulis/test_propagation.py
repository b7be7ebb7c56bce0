"""Pauli propagation against the state simulator, against its own bound, and against published counts of words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qlazy.base.errors import UnsupportedModelError
from qlazy.simulator import (
    Cnot,
    Diagonal,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    Projector,
    RotationCircuit,
    Swap,
    Unitary,
)
from qlazy.simulator.paulis import propagation
from qlazy.simulator.paulis.circuit import PauliCircuit
from qlazy.simulator.paulis.propagation import Truncation, pack, propagate, unpack
from qlazy.simulator.paulis.steps import steps_of
from qlazy.simulator.paulis.words import words_of

OBSERVABLES = (
    PauliSum((PauliWord(0.7, "ZX", (0, 1)), PauliWord(0.2, "Y", (2,)), PauliWord(0.4, "", ()))),
    Projector((1, 0), (0, 2)),
)


def random_unitary(chance: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(chance.normal(size=(2, 2)) + 1j * chance.normal(size=(2, 2)))[0]


def random_operation(chance: np.random.Generator, wires: int) -> Operation:
    """Every kind of gate that words can pass."""
    order = [int(wire) for wire in chance.permutation(wires)]
    size, letter = int(chance.integers(1, 4)), str(chance.choice(list("XYZ")))
    word = "".join(chance.choice(list("XYZ"), size))
    kinds: list[Operation] = [
        PauliRotation(word, tuple(order[:size])),
        PauliRotation(word, tuple(order[:size])),
        PauliRotation(letter, (order[0],), sampled=bool(chance.integers(2))),
        PauliRotation(
            letter, (order[0],), None, tuple(order[1:size]), (int(chance.integers(2)),) * (size - 1)
        ),
        PauliRotation(letter, (order[0],), float(chance.choice([math.pi / 2, -math.pi, 0.3]))),
        Cnot(*order[:2]),
        Swap(*order[:2]),
        Unitary((order[0],), random_unitary(chance), tuple(order[1:size])),
        Unitary((order[0],), np.array([[0, 1], [1, 0]]), tuple(order[1:3])),
        Unitary(tuple(order[:3]), np.eye(8)[[0, 1, 2, 3, 4, 5, 7, 6]]),
        Diagonal(tuple(order[:2]), np.exp(1j * chance.normal(size=4))),
    ]
    return kinds[chance.integers(len(kinds))]


def random_circuit(seed: int, gates: int = 20) -> tuple[int, list[Operation]]:
    chance = np.random.default_rng(seed)
    wires = int(chance.integers(3, 6))
    first = [
        PauliRotation("Y", (wire,), sampled=True, wanted=bool(chance.integers(2))) for wire in range(wires)
    ]
    return wires, [*first, *(random_operation(chance, wires) for _ in range(gates))]


@pytest.mark.parametrize("seed", range(200))
def test_values_and_derivatives_are_those_of_states(seed: int) -> None:
    wires, operations = random_circuit(seed)
    states, words = (kind(wires, operations, OBSERVABLES) for kind in (RotationCircuit, PauliCircuit))
    wanted = [o.wanted for o in operations if isinstance(o, PauliRotation) and o.angle is None and o.sampled]
    chance = np.random.default_rng(seed)
    for _ in range(2):  # the second time by what the first has found
        shared = 2 * chance.normal(size=states.num_shared)
        sampled, weights = chance.normal(size=(3, states.num_sampled)), chance.normal(size=(3, 2))
        values, found = states.sweep(shared, sampled)
        np.testing.assert_allclose(words.values(shared, sampled), values, atol=1e-12)
        again, derivatives = words.sweep(shared, sampled)
        np.testing.assert_allclose(again, values, atol=1e-12)
        np.testing.assert_allclose(derivatives.shared, found.shared, atol=1e-12)
        np.testing.assert_allclose(derivatives.sampled[..., wanted], found.sampled[..., wanted], atol=1e-12)
        total, expected = (circuit.weighted(weights, shared, sampled) for circuit in (words, states))
        np.testing.assert_allclose(total.shared, expected.shared, atol=1e-12)
        np.testing.assert_allclose(total.sampled[:, wanted], expected.sampled[:, wanted], atol=1e-12)


def test_errors_stay_within_their_bound() -> None:
    dropped = 0
    for seed in range(250):
        wires, operations = random_circuit(seed)
        chance = np.random.default_rng(seed)
        truncation = Truncation(float(chance.choice([0.02, 0.1, 0.3])), int(chance.choice([2, 3, 2**30])))
        states, words = (
            RotationCircuit(wires, operations, OBSERVABLES),
            PauliCircuit(wires, operations, OBSERVABLES, truncation),
        )
        shared, sampled = chance.normal(size=states.num_shared), chance.normal(size=(2, states.num_sampled))
        values, slopes = states.sweep(shared, sampled)
        found, derivatives = words.sweep(shared, sampled)
        claimed = words.error(shared, sampled)
        bound = claimed.bound
        assert (np.abs(found - values) <= bound + 1e-12).all()
        off = np.abs(derivatives.shared - slopes.shared).max(-1, initial=0.0)
        assert (off <= claimed.slope_bound + 1e-12).all()
        dropped += int((bound > 0).sum())
    assert dropped > 500  # of 1,000 outputs: most lose something


def test_small_coefficients_with_large_derivatives_are_kept() -> None:
    """<Y> after H and RZ at theta = 1e-6: its coefficient is under the cutoff, its derivative of size 1."""
    operations = [Unitary((0,), np.array([[1, 1], [1, -1]]) / math.sqrt(2)), Cnot(0, 1), Cnot(0, 1)]
    operations = [*operations, PauliRotation("Z", (0,))]
    observables = [PauliSum((PauliWord(1.0, "Y", (0,)),))]
    angles = np.array([1e-6]), np.zeros((1, 0))
    kept = PauliCircuit(2, operations, observables, Truncation(1e-3)).sweep(*angles)[1].shared
    lost = (
        PauliCircuit(2, operations, observables, Truncation(1e-3, with_slopes=False)).sweep(*angles)[1].shared
    )
    np.testing.assert_allclose(np.abs(kept.ravel()), [1.0], atol=1e-9)
    assert abs(float(lost.ravel()[0])) < 1e-6


def test_derivatives_of_what_is_kept_are_its_differences() -> None:
    """Words of too many letters are dropped: the same ones at all angles."""
    wires, operations = random_circuit(3)
    words = PauliCircuit(wires, operations, OBSERVABLES, Truncation(0.0, 2))
    chance = np.random.default_rng(0)
    shared, sampled = chance.normal(size=words.num_shared), chance.normal(size=(2, words.num_sampled))
    assert words.error(shared, sampled).bound.max() > 0
    found = words.sweep(shared, sampled)[1].shared
    for number in range(words.num_shared):
        step = 1e-6 * np.eye(words.num_shared)[number]
        difference = (words.values(shared + step, sampled) - words.values(shared - step, sampled)) / 2e-6
        np.testing.assert_allclose(found[..., number], difference, atol=1e-8)


def test_rounding_by_chance_keeps_the_mean_of_values_and_derivatives() -> None:
    wires, operations = random_circuit(5)
    exact = PauliCircuit(wires, operations, OBSERVABLES)
    chance = np.random.default_rng(1)
    shared, sampled = chance.normal(size=exact.num_shared), chance.normal(size=(1, exact.num_sampled))
    values, derivatives = exact.sweep(shared, sampled)
    draws = [
        PauliCircuit(wires, operations, OBSERVABLES, Truncation(0.1, seed=seed)).sweep(shared, sampled)
        for seed in range(600)
    ]
    for found, expected in (
        (np.array([v for v, _ in draws]), values),
        (np.array([d.shared for _, d in draws]), derivatives.shared),
    ):
        error = found.std(0, ddof=1) / math.sqrt(len(draws))
        assert error.max() > 1e-3  # something is rounded
        assert (np.abs(found.mean(0) - expected) <= 4.5 * error + 1e-9).all()
    truncated = PauliCircuit(wires, operations, OBSERVABLES, Truncation(0.1)).values(shared, sampled)
    assert np.abs(truncated - values).max() > 1e-3  # which plain truncation does not keep


@pytest.mark.parametrize(("qubits", "count"), [(8, 4701), (16, 19529), (32, 49177), (64, 108473)])
def test_words_of_the_ising_chain_are_as_many_as_published(qubits: int, count: int) -> None:
    """J = h = 1, ten steps of .1, sum of Z, words under 1e-6 dropped once merged: figures of PauliPropagation.jl."""
    bonds = [PauliRotation("ZZ", (k, k + 1)) for k in range(qubits - 1)]
    fields = [PauliRotation("X", (k,)) for k in range(qubits)]
    steps = steps_of([*bonds, *fields] * 10)
    words = words_of(qubits, (PauliSum(tuple(PauliWord(1.0, "Z", (k,)) for k in range(qubits))),))
    angles = np.full(10 * (2 * qubits - 1), 0.2)
    found = propagate(steps, words.letters, words.coefficients, angles, Truncation(1e-6, with_slopes=False))
    assert len(found.slots) == count


def test_a_propagation_too_large_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagation, "MAX_BYTES", 2**20)
    operations = [
        PauliRotation(word, (wire, (wire + 1) % 7))
        for _ in range(6)
        for word in ("XY", "ZZ", "YX")
        for wire in range(7)
    ]
    circuit = PauliCircuit(7, operations, [PauliSum((PauliWord(1.0, "Z", (0,)),))])
    with pytest.raises(UnsupportedModelError, match=r"words when \d+ of 126 gates are left"):
        circuit.values(np.random.default_rng(0).normal(size=126), np.zeros((1, 0)))


def test_words_packed_and_unpacked_are_the_same() -> None:
    letters = np.random.default_rng(0).integers(0, 4, (50, 130)).astype(np.uint8)
    assert np.array_equal(unpack(pack(letters), 130), letters)


def test_what_words_cannot_pass_is_named() -> None:
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    with pytest.raises(UnsupportedModelError, match=r"a Unitary on wires \(0, 1\)"):
        PauliCircuit(2, [Unitary((0, 1), matrix)], OBSERVABLES[:1])
