"""Every operation of PennyLane on the device: values and slopes of default.qubit, or a refusal that names it.

In torch and in autograd. Where default.qubit itself is off by one of the two (evolutions of sums by autograd, selected
rotations by torch, both held to their matrices below), what it gives by the other is the oracle of both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp
from pennylane.exceptions import DeviceError
from scipy.linalg import block_diag, expm

from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, lower

W = 6
HERMITIAN = np.array([[0.3, 0.2 - 0.5j], [0.2 + 0.5j, -1.1]])
SUM = qml.dot([0.5, -0.7, 0.3], [qml.X(0), qml.Z(1), qml.Y(0) @ qml.Z(1)])
COMMUTING = qml.dot([0.5, -0.7, 0.2], [qml.Z(0), qml.Z(1) @ qml.Z(0), qml.I(0)])


class Case(NamedTuple):
    """An operation of so many trained numbers, and the interface by which default.qubit is asked."""

    count: int
    make: Callable[[Any], Any]
    oracle: str = "torch"


def of_classes() -> dict[str, Case]:
    """Operations of angles alone, on the first wires."""
    found = {}
    for name in sorted(qml.ops.qubit.__all__):
        kind = getattr(qml, name, None)
        if not inspect.isclass(kind) or not issubclass(kind, qml.operation.Operation):
            continue
        count, shapes = kind.num_params, getattr(kind, "ndim_params", ())
        if not isinstance(count, int) or not isinstance(shapes, tuple) or any(shapes):
            continue
        wires = kind.num_wires if isinstance(kind.num_wires, int) else 3
        found[name] = Case(
            count, lambda w, kind=kind, count=count, wires=wires: kind(*w[:count], wires=range(wires))
        )
    return {name: case for name, case in found.items() if name not in OTHERS}


def block(w: Any, *shape: int) -> Any:
    return qml.math.reshape(w, shape)


def encoded(w: Any) -> Any:
    phases = [qml.PCPhase(angle, 1, [0]) for angle in w]
    return qml.QSVT(qml.BlockEncode(np.array([[0.4]]), [0]), phases)


def minus(w: Any) -> Any:
    return qml.DoubleExcitationMinus(w[0], range(4))


OTHERS: dict[str, Case] = {
    "PauliRot": Case(1, lambda w: qml.PauliRot(w[0], "XYZ", [0, 2, 1])),
    "PauliRot of identities": Case(1, lambda w: qml.PauliRot(w[0], "III", [0, 2, 1])),
    "PCPhase": Case(1, lambda w: qml.PCPhase(w[0], dim=5, wires=range(3))),
    "Snapshot": Case(0, lambda w: qml.Snapshot("here")),
    "evolve": Case(1, lambda w: qml.evolve(SUM, w[0])),
    "evolve commuting": Case(1, lambda w: qml.evolve(COMMUTING, w[0])),
    "evolve word": Case(1, lambda w: qml.evolve(qml.X(0) @ qml.Y(1), w[0])),
    "evolve projector": Case(1, lambda w: qml.evolve(qml.Projector([1, 0], [0, 1]), w[0])),
    "exp": Case(1, lambda w: qml.exp(qml.X(0), -0.5j * w[0])),
    "exp sum": Case(1, lambda w: qml.exp(SUM, 1j * w[0])),
    "exp commuting": Case(1, lambda w: qml.exp(COMMUTING, 1j * w[0])),
    "exp matrix": Case(1, lambda w: qml.exp(qml.Hermitian(HERMITIAN, 0), 1j * w[0])),
    "exp of coefficients": Case(
        2, lambda w: qml.exp(qml.dot([w[1], 0.3], [qml.Z(0), qml.Z(1)]), 1j * w[0]), "autograd"
    ),
    "ctrl exp": Case(1, lambda w: qml.ctrl(qml.exp(qml.X(0), -0.5j * w[0]), 2)),
    "ctrl evolve": Case(1, lambda w: qml.ctrl(qml.evolve(SUM, w[0]), [2, 3], control_values=[0, 1])),
    "adjoint evolve": Case(1, lambda w: qml.adjoint(qml.evolve(SUM, w[0]))),
    "adjoint exp": Case(1, lambda w: qml.adjoint(qml.exp(SUM, 1j * w[0]))),
    "adjoint of an excitation": Case(1, lambda w: qml.adjoint(minus(w))),
    "power of an excitation": Case(1, lambda w: qml.pow(minus(w), 2)),
    "ctrl excitation": Case(1, lambda w: qml.ctrl(minus(w), 4)),
    "ctrl excitation, plus": Case(1, lambda w: qml.ctrl(qml.DoubleExcitationPlus(w[0], range(4)), 4)),
    "power": Case(1, lambda w: qml.pow(qml.RX(w[0], 0), 0.5)),
    "prod": Case(2, lambda w: qml.prod(qml.RX(w[0], 0), qml.RZ(w[1], 1))),
    "ctrl GlobalPhase": Case(1, lambda w: qml.ctrl(qml.GlobalPhase(w[0]), [0, 1])),
    "DiagonalQubitUnitary": Case(0, lambda w: qml.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), [0, 1])),
    "BlockEncode": Case(0, lambda w: qml.BlockEncode(np.array([[0.1, 0.2], [0.3, 0.1]]), [0, 1])),
    "Select": Case(1, lambda w: qml.Select([qml.X(2), qml.RX(w[0], 2), qml.Z(2), qml.Y(2)], control=[0, 1])),
    "SelectPauliRot": Case(
        4, lambda w: qml.SelectPauliRot(w, control_wires=[0, 1], target_wire=2, rot_axis="Y"), "autograd"
    ),
    "MultiControlledX": Case(0, lambda w: qml.MultiControlledX([0, 1, 2, 3], control_values=[1, 0, 1])),
    "StatePrep": Case(0, lambda w: qml.StatePrep(np.arange(1, 5) / np.sqrt(30), [0, 1])),
    "BasisState": Case(0, lambda w: qml.BasisState([1, 0, 1], [0, 1, 2])),
    "AngleEmbedding": Case(3, lambda w: qml.AngleEmbedding(w, range(3), rotation="Y")),
    "IQPEmbedding": Case(3, lambda w: qml.IQPEmbedding(w, range(3), n_repeats=2)),
    "QAOAEmbedding": Case(3, lambda w: qml.QAOAEmbedding(w[:2], block(w, 1, 3), range(2))),
    "StronglyEntanglingLayers": Case(6, lambda w: qml.StronglyEntanglingLayers(block(w, 1, 2, 3), range(2))),
    "RandomLayers": Case(6, lambda w: qml.RandomLayers(block(w, 2, 3), range(3), seed=3)),
    "ParticleConservingU1": Case(4, lambda w: qml.ParticleConservingU1(block(w, 1, 2, 2), range(3))),
    "ParticleConservingU2": Case(5, lambda w: qml.ParticleConservingU2(block(w, 1, 5), range(3))),
    "FermionicDoubleExcitation": Case(1, lambda w: qml.FermionicDoubleExcitation(w[0], [0, 1], [2, 3])),
    "AllSinglesDoubles": Case(
        2, lambda w: qml.AllSinglesDoubles(w, range(4), np.array([1, 1, 0, 0]), [[0, 2]], [[0, 1, 2, 3]])
    ),
    "TrotterProduct": Case(1, lambda w: qml.TrotterProduct(SUM, w[0], n=2, order=2)),
    "ApproxTimeEvolution": Case(1, lambda w: qml.ApproxTimeEvolution(SUM, w[0], 2)),
    "CommutingEvolution": Case(1, lambda w: qml.CommutingEvolution(COMMUTING, w[0])),
    "ArbitraryUnitary": Case(15, lambda w: qml.ArbitraryUnitary(w, [0, 1])),
    "QFT": Case(0, lambda w: qml.QFT(range(3))),
    "GroverOperator": Case(0, lambda w: qml.GroverOperator(range(3))),
    "Reflection": Case(1, lambda w: qml.Reflection(qml.prod(qml.Hadamard(0), qml.Hadamard(1)), w[0])),
    "Qubitization": Case(0, lambda w: qml.Qubitization(SUM, control=[3, 4])),
    "QSVT": Case(2, encoded),
    "adjoint QSVT": Case(2, lambda w: qml.adjoint(encoded(w))),
}
CASES = {**of_classes(), **OTHERS}
NOT_RUN = {"QubitDensityMatrix"}
"""No operation of a state vector: refused by default.qubit as well."""


def outputs_of(device: str, make: Callable[[Any], Any], interface: str) -> Callable[[Any], Any]:
    @qml.qnode(qml.device(device, wires=W), interface=interface)
    def circuit(w: Any) -> Any:
        for wire in range(W):
            qml.RY(0.3 + 0.2 * wire, wire)
        qml.CNOT([0, 1])
        qml.CNOT([2, 3])
        make(w)
        for wire in range(W):
            qml.RX(0.4 - 0.1 * wire, wire)
        qml.CNOT([1, 2])
        return [
            qml.expval(qml.Z(0) @ qml.X(2)),
            qml.expval(qml.Y(1)),
            qml.expval(qml.Z(3)),
            qml.probs(wires=0),
        ]

    return lambda w: qml.math.hstack(circuit(w))


def point_of(case: Case) -> Any:
    return np.random.default_rng(5).normal(size=max(case.count, 1))


def answers(device: str, case: Case, interface: str) -> list[np.ndarray]:
    """Outputs (c,) and, where there are trained numbers, their Jacobian (c, p)."""
    function = outputs_of(device, case.make, interface)
    point = point_of(case)
    if interface == "torch":
        w = torch.tensor(point, requires_grad=case.count > 0)
        slopes = torch.autograd.functional.jacobian(function, w).numpy()
        return [function(w).detach().numpy(), *([slopes] if case.count else [])]
    w = pnp.array(point, requires_grad=case.count > 0)
    return [np.asarray(function(w)), *([np.asarray(qml.jacobian(function)(w))] if case.count else [])]


@pytest.mark.filterwarnings("ignore")  # of default.qubit
@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_RUN])
def test_an_operation(name: str) -> None:
    case = CASES[name]
    expected = answers("default.qubit", case, case.oracle)
    for interface in ("torch", "autograd"):
        for ours, theirs in zip(answers("qlazy.adjoint", case, interface), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    point = torch.tensor(point_of(case))
    for numbers in (point, point.numpy()):  # which nobody trains
        outputs = np.asarray(outputs_of("qlazy.adjoint", case.make, "auto")(numbers))
        np.testing.assert_allclose(outputs, expected[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("interface", ["torch", "autograd"])
def test_where_default_qubit_is_off(interface: str) -> None:
    """Against matrices: exp(-i t H) by SciPy, and rotations one for each value of the controls."""
    evolution, selected = CASES["evolve"], CASES["SelectPauliRot"]
    point = np.random.default_rng(5).normal(size=4)
    time = np.random.default_rng(5).normal(size=1)[0]
    turns = [qml.matrix(qml.RY(angle, 0)) for angle in point]
    for case, matrix, wires in (
        (evolution, expm(-1j * time * qml.matrix(SUM, wire_order=[0, 1])), 2),
        (selected, block_diag(*turns), 3),
    ):
        fixed = Case(0, lambda w, m=matrix, n=wires: qml.QubitUnitary(m, range(n)))
        [expected] = answers("default.qubit", fixed, "torch")
        np.testing.assert_allclose(answers("qlazy.adjoint", case, interface)[0], expected, rtol=0, atol=1e-12)


REFUSED = {
    "of real exponents": (lambda w: qml.exp(qml.X(0), 0.5 * w[0]), "exponentials that are unitary"),
    "of what is not Hermitian": (
        lambda w: qml.exp(qml.prod(qml.Hadamard(0), qml.Hermitian(HERMITIAN, 0)), 1j * w[0]),
        "Exp of what is Hermitian",
    ),
    "of a large sum": (
        lambda w: qml.evolve(qml.sum(*(qml.X(k) @ qml.Z((k + 1) % W) + qml.Z(k) for k in range(W))), w[0]),
        "Evolution of Pauli words that commute, or of constants on at most 5 wires",
    ),
}


@pytest.mark.parametrize("interface", ["torch", "autograd"])
@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=list(REFUSED))
def test_evolutions_that_are_refused(make: Callable[[Any], Any], words: str, interface: str) -> None:
    with pytest.raises(DeviceError, match=f"{words}.*use default.qubit"):
        answers("qlazy.adjoint", Case(1, make), interface)


def test_an_evolution_under_what_is_not_hermitian_is_not_lowered() -> None:
    """Its lower triangle alone would be read, and be taken for the whole."""
    op = qml.evolve(qml.prod(qml.Hadamard(0), qml.Hermitian(HERMITIAN, 0)), torch.tensor(0.3))
    with pytest.raises(NotLoweredError, match="an evolution under what is not Hermitian"):
        list(lower(op, {0: 0}))
    assert list(lower(qml.evolve(qml.Hermitian(HERMITIAN, 0), torch.tensor(0.3)), {0: 0}))
