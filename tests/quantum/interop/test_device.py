"""The PennyLane device against default.qubit: values, derivatives and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp
from pennylane.exceptions import DeviceError

from qlazy.quantum.interop.device import AdjointDevice
from qlazy.quantum.interop.device_lowering import Lowering

W = 3
MEASURED: dict[str, Callable[[], Any]] = {
    "z": lambda: qml.expval(qml.Z(0)),
    "several": lambda: (qml.expval(qml.X(0) @ qml.Y(2)), qml.probs(wires=[2, 0])),
    "probs": lambda: qml.probs(),
    "sum": lambda: qml.expval(qml.Hamiltonian([0.5, -1.25], [qml.Z(0), qml.X(1) @ qml.X(2)])),
    "hermitian": lambda: qml.expval(qml.Hermitian(np.array([[1, 2j], [-2j, 0.5]]), 1)),
    "projector": lambda: qml.expval(qml.Projector([0, 1], [2, 1])),
}


def entangler(w: Any) -> None:
    qml.BasicEntanglerLayers(w, wires=range(W))


def layers(w: Any) -> None:
    qml.StronglyEntanglingLayers(qml.math.stack([w, w * 0.5, w - 1], -1), wires=range(W))


def controlled(w: Any) -> None:
    qml.Hadamard(0)
    qml.CRot(*w[0], wires=[0, 1])
    qml.ctrl(qml.RY, 2, control_values=[0])(w[1, 0], 0)
    qml.ControlledPhaseShift(w[1, 1], wires=[2, 1])
    qml.Toffoli([0, 1, 2])
    qml.U3(*w[1], wires=2)


def words(w: Any) -> None:
    qml.StatePrep(np.arange(1, 9) / np.sqrt(204), wires=range(W))
    qml.PauliRot(w[0, 0], "XIZ", wires=range(W))
    qml.IsingXY(w[0, 1], wires=[0, 2])
    qml.SingleExcitation(w[0, 2], wires=[1, 2])
    qml.adjoint(qml.IsingZZ)(w[1, 0], wires=[0, 1])
    qml.QubitUnitary(np.array([[0.6, 0.8], [0.8, -0.6]]), wires=1)
    qml.PhaseShift(w[1, 1] * w[1, 2], wires=0)


def reused(w: Any) -> None:
    for wire in range(W):
        qml.RX(w[0, 0], wire)
        qml.RY(w[1, wire] ** 2, wire)
    qml.QFT(wires=range(W))


BODIES = [entangler, layers, controlled, words, reused]
VALUES = np.random.default_rng(0).normal(size=(2, 3))


def flat(node: Any) -> Callable[[Any], Any]:
    def function(w: Any) -> Any:
        found = node(w)
        return qml.math.hstack(found) if isinstance(found, tuple) else found

    return function


def nodes(body: Callable[[Any], None], measured: str, interface: str) -> tuple[Any, Any]:
    def circuit(w: Any) -> Any:
        body(w)
        return MEASURED[measured]()

    ours = qml.QNode(circuit, AdjointDevice(wires=W), interface=interface)
    theirs = qml.QNode(
        circuit, qml.device("default.qubit", wires=W), interface=interface, diff_method="backprop"
    )
    return flat(ours), flat(theirs)


@pytest.mark.parametrize("measured", MEASURED)
@pytest.mark.parametrize("body", BODIES)
def test_torch(body: Callable[[Any], None], measured: str) -> None:
    ours, theirs = nodes(body, measured, "torch")
    w = torch.tensor(VALUES)
    assert torch.allclose(ours(w), theirs(w), atol=1e-10, rtol=0)
    mine, other = (torch.autograd.functional.jacobian(f, w) for f in (ours, theirs))
    assert torch.allclose(mine, other, atol=1e-10, rtol=0)
    assert float(other.abs().max()) > 1e-5


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # of default.qubit under autograd
@pytest.mark.parametrize("measured", MEASURED)
@pytest.mark.parametrize("body", BODIES)
def test_autograd(body: Callable[[Any], None], measured: str) -> None:
    ours, theirs = nodes(body, measured, "autograd")
    w = pnp.array(VALUES, requires_grad=True)
    assert np.allclose(ours(w), theirs(w), atol=1e-10, rtol=0)
    mine, other = (qml.jacobian(f)(w) for f in (ours, theirs))
    assert np.allclose(mine, other, atol=1e-10, rtol=0)
    step = np.zeros((2, 3))
    step[1, 0] = 1e-5
    slope = (np.asarray(ours(w + step)) - np.asarray(ours(w - step))) / 2e-5
    assert np.allclose(np.asarray(mine)[..., 1, 0], slope, atol=1e-8)


def test_a_torch_layer_trains_as_on_default_qubit_and_a_batch_is_one_sweep() -> None:
    losses = []
    for device in (AdjointDevice(wires=2), qml.device("default.qubit", wires=2)):

        @qml.qnode(device)
        def circuit(inputs: Any, weights: Any) -> Any:
            qml.AngleEmbedding(inputs, wires=range(2))
            qml.BasicEntanglerLayers(weights, wires=range(2))
            return [qml.expval(qml.Z(n)) for n in range(2)]

        layer = qml.qnn.TorchLayer(circuit, {"weights": (2, 2)}).double()
        with torch.no_grad():
            layer.weights.copy_(torch.tensor([[0.1, 0.7], [-0.4, 1.1]]))
        x = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)
        optimiser = torch.optim.Adam(layer.parameters(), 0.1)
        track = []
        for _ in range(5):
            optimiser.zero_grad()
            loss = (layer(x) - 0.3).square().mean()
            loss.backward()
            optimiser.step()
            track.append(loss.item())
        losses.append(track)
        if isinstance(device, AdjointDevice):
            assert len(device._lowering._engines) == 1
    assert np.allclose(*losses, atol=1e-9, rtol=0)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize("measure", [qml.state, lambda: qml.purity(wires=0), lambda: qml.vn_entropy(wires=0)])
def test_other_measurements_are_refused(measure: Callable[[], Any]) -> None:
    @qml.qnode(AdjointDevice(wires=2))
    def circuit() -> Any:
        qml.RX(0.3, 0)
        return measure()

    with pytest.raises(DeviceError, match="use default.qubit"):
        circuit()


def test_shots_are_refused() -> None:
    with pytest.raises(DeviceError, match="shots"):
        AdjointDevice(wires=2, shots=10)


HERMITIAN = np.array([[0.3, 0.2 - 0.5j], [0.2 + 0.5j, -1.1]])


@pytest.mark.parametrize(
    "observable",
    [
        lambda: qml.X(0) @ qml.Y(1),
        lambda: qml.Hamiltonian([0.5, -0.3, 1.2], [qml.Z(0), qml.X(0) @ qml.Z(1), qml.I(0)]),
        lambda: qml.Hermitian(HERMITIAN, wires=1),
        lambda: qml.Projector([1, 0], wires=[0, 1]),
        lambda: qml.Z(0) @ qml.Hermitian(HERMITIAN, wires=1),
    ],
)
@pytest.mark.parametrize("interface", ["torch", "autograd"])
def test_variances_and_their_slopes_are_those_of_default_qubit(
    observable: Callable[[], Any], interface: str
) -> None:
    found = []
    for device in (AdjointDevice(wires=2), qml.device("default.qubit", wires=2)):

        @qml.qnode(device, interface=interface)
        def circuit(w: Any) -> Any:
            qml.RY(w[0], 0)
            qml.RX(w[1], 1)
            qml.CNOT([0, 1])
            qml.RZ(w[2], 0)
            qml.RY(w[0], 1)
            return qml.var(observable()), qml.expval(qml.Z(0)), qml.var(qml.Z(1))

        if interface == "torch":
            w = torch.tensor([0.4, 1.1, -0.7], dtype=torch.float64, requires_grad=True)
            values = torch.stack(circuit(w))
            slopes = torch.autograd.functional.jacobian(lambda w, f=circuit: torch.stack(f(w)), w)
            found.append((values.detach().numpy(), slopes.numpy()))
        else:
            point = pnp.array([0.4, 1.1, -0.7], requires_grad=True)
            stacked = lambda w, f=circuit: qml.math.stack(f(w))  # noqa: E731
            found.append((np.asarray(stacked(point)), np.asarray(qml.jacobian(stacked)(point))))
    (values, slopes), (expected, expected_slopes) = found
    assert np.allclose(values, expected, atol=1e-10, rtol=0)
    assert np.allclose(slopes, expected_slopes, atol=1e-10, rtol=0)


def test_a_matrix_that_could_be_trained_is_refused_only_where_its_derivative_is_asked() -> None:
    @qml.qnode(AdjointDevice(wires=1), interface="autograd")
    def circuit(w: Any, matrix: Any) -> Any:
        qml.RY(w, 0)
        return qml.expval(qml.Hermitian(matrix, wires=0))

    w, matrix = pnp.array(0.4, requires_grad=True), pnp.array(HERMITIAN, requires_grad=True)
    expected = 0.3 * np.cos(0.2) ** 2 - 1.1 * np.sin(0.2) ** 2 + 0.2 * np.sin(0.4)
    assert np.allclose(circuit(w, matrix), expected, atol=1e-12)
    with pytest.raises(DeviceError, match="no derivative by an observable's coefficients"):
        qml.grad(circuit, argnums=1)(w, matrix)


def test_calls_are_tracked() -> None:
    device = AdjointDevice(wires=1)

    @qml.qnode(device)
    def circuit() -> Any:
        qml.RX(0.3, 0)
        return qml.expval(qml.Z(0))

    with qml.Tracker(device) as tracker:
        circuit()
    assert tracker.totals["executions"] == 1


BATCHES = {
    "angles": lambda: qml.expval(qml.Z(1)),
    "several outputs": lambda: (qml.expval(qml.Z(0)), qml.expval(qml.X(0) @ qml.Y(1))),
    "variances": lambda: (qml.var(qml.Z(0)), qml.expval(qml.Z(1))),
    "probabilities": lambda: qml.probs(wires=[0, 1]),
}


@pytest.mark.parametrize("is_trained", [False, True])
@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_gives_what_default_qubit_gives(name: str, is_trained: bool) -> None:
    found = []
    for device in (AdjointDevice(wires=2), qml.device("default.qubit", wires=2)):

        @qml.qnode(device, interface="torch")
        def circuit(x: Any, w: Any) -> Any:
            qml.AngleEmbedding(x, wires=range(2))
            qml.CRX(w[0], [0, 1])
            qml.RZ(w[1], wires=1)
            qml.RY(w[2], wires=1)
            qml.RZ(x[..., 1], wires=0)
            qml.Hadamard(0)
            return BATCHES[name]()

        x = torch.linspace(-1, 2, 10, dtype=torch.float64).reshape(5, 2).requires_grad_(is_trained)
        w = torch.tensor([0.4, 1.1, -0.7], dtype=torch.float64, requires_grad=True)
        outputs = circuit(x, w)
        values = torch.stack(outputs) if isinstance(outputs, list | tuple) else outputs
        weights = torch.arange(1.0, 1 + values.numel(), dtype=torch.float64).sin().reshape(values.shape)
        wanted = [w, x] if is_trained else [w]
        slopes = torch.autograd.grad((weights * values).sum(), wanted)
        found.append([values.detach(), *slopes])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)


def test_a_batch_of_inputs_is_one_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    lowered, lower = [], Lowering.lowered
    monkeypatch.setattr(
        Lowering, "lowered", lambda *args, **kw: lowered.append(lower(*args, **kw)) or lowered[-1]
    )
    device = AdjointDevice(wires=1)

    @qml.qnode(device, interface="torch")
    def circuit(x: Any, w: Any) -> Any:
        qml.RX(x, 0)
        qml.RY(w, 0)
        return qml.expval(qml.Z(0))

    x = torch.linspace(-1, 1, 7, dtype=torch.float64)
    w = torch.tensor(0.3, dtype=torch.float64)
    outputs = circuit(x, w)
    torch.testing.assert_close(outputs, x.cos() * w.cos())
    assert [one.angles.shape for one in lowered] == [(7, 2)]


@pytest.mark.parametrize("seed", range(4))
def test_one_device_runs_many_tapes_of_few_forms_as_default_qubit_does(seed: int) -> None:
    """Angles of 0 and of both signs, batches and single rows, gates in other places, in one order after another."""
    rng, device = np.random.default_rng(seed), AdjointDevice()
    gates = [qml.RX, qml.RY, qml.RZ, qml.Rot, qml.IsingXX, qml.CRX, qml.PhaseShift]
    forms = [[(gates[k], rng.permutation(3)) for k in rng.integers(len(gates), size=6)] for _ in range(2)]
    for turn in range(8):
        form, rows = forms[turn % 2], [None, 4][turn // 2 % 2]
        count = sum(gate.num_params for gate, _ in form)
        values = rng.normal(size=(count,) if rows is None else (count, rows))
        values[rng.integers(count)] *= 0.0
        found = []
        for used in (device, qml.device("default.qubit")):

            @qml.qnode(used, interface="torch")
            def circuit(w: Any, form: Any = form) -> Any:
                left = iter(w)
                for gate, wires in form:
                    gate(
                        *(next(left) for _ in range(gate.num_params)),
                        wires=[int(n) for n in wires[: gate.num_wires]],
                    )
                    qml.CNOT([int(n) for n in wires[:2]])
                return [qml.expval(qml.Z(0)), qml.expval(qml.Y(2)), qml.expval(qml.X(1))]

            w = torch.tensor(values, requires_grad=True)
            outputs = torch.stack(circuit(w))
            # Three products with one Jacobian: the first alone, the others from what is kept.
            places = torch.arange(outputs.numel(), dtype=torch.float64).reshape(outputs.shape)
            sums = [(outputs * (n + places).sin()).sum() for n in range(3)]
            products = [torch.autograd.grad(one, w, retain_graph=True)[0] for one in sums]
            found.append([outputs.detach(), *products])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)
    assert len(device._lowering._forms) <= 8


def test_a_batch_of_trained_angles_is_one_sweep_a_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all products with one output, or that a transform asks for at once; none for values."""
    from qlazy.simulator.cones.circuit import ConeCircuit
    from qlazy.simulator.rotations import RotationCircuit

    calls: list[tuple[str, int]] = []
    for kind in (ConeCircuit, RotationCircuit):
        for name in ("sweep", "weighted"):
            if name in vars(kind):
                monkeypatch.setattr(kind, name, _counted(vars(kind)[name], name, calls))
    device = AdjointDevice(wires=2)

    @qml.qnode(device, interface="torch")
    def circuit(w: Any) -> Any:
        qml.RX(w[0], 0)
        qml.CNOT([0, 1])
        qml.RY(w[1], 1)
        return [qml.expval(qml.Z(0)), qml.expval(qml.Z(1))]

    w = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(2, 5).requires_grad_()
    outputs = torch.stack(circuit(w))
    assert not calls
    whole = [torch.autograd.grad((outputs + n).prod(0).sum(), w, retain_graph=True)[0] for n in range(3)]
    assert {name for name, _ in calls} == {"weighted"}
    assert [rows for _, rows in calls] == [5] * len(calls)
    assert len(calls) <= 2 * len(whole)  # of the circuit, and of what it hands on to
    calls.clear()
    rows = [torch.autograd.grad(row, w, retain_graph=True)[0] for row in outputs.flatten()]
    assert len(rows) == 10
    assert {name for name, _ in calls} == {"sweep"}
    assert len(calls) <= 2
    calls.clear()
    jacobian = torch.func.jacrev(lambda w: torch.stack(circuit(w)))(w)
    assert len(calls) <= 2
    torch.testing.assert_close(jacobian.flatten(0, 1), torch.stack(rows))
    for n, found in enumerate(whole):
        weights = (outputs.flip(0) + n).detach()
        torch.testing.assert_close(found, torch.einsum("cb,cbwk->wk", weights, jacobian))


def test_many_outputs_are_differentiated_at_once_from_the_second_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from qlazy.simulator.rotations import RotationCircuit

    calls: list[tuple[str, int]] = []
    for name in ("sweep", "weighted"):
        monkeypatch.setattr(RotationCircuit, name, _counted(vars(RotationCircuit)[name], name, calls))

    def circuit(w: Any) -> Any:
        for wire in range(3):
            qml.RX(w[wire], wire)
        qml.CNOT([0, 1])
        return [qml.expval(pauli(wire)) for pauli in (qml.Z, qml.Y) for wire in range(3)]

    w = torch.tensor([0.3, -0.4, 1.1], dtype=torch.float64, requires_grad=True)
    rows = [
        torch.stack([torch.autograd.grad(output, w, retain_graph=True)[0] for output in node(w)])
        for node in (
            qml.QNode(circuit, device) for device in (AdjointDevice(wires=3), qml.device("default.qubit"))
        )
    ]
    assert [name for name, _ in calls] == ["weighted", "sweep"]
    torch.testing.assert_close(*rows)


def _counted(method: Callable[..., Any], name: str, calls: list[tuple[str, int]]) -> Callable[..., Any]:
    def counted(self: Any, *args: Any) -> Any:
        calls.append((name, len(args[-2])))
        return method(self, *args)

    return counted
