"""QNodes that a plain call with NumPy arrays refuses, or answers otherwise, are refused in words on every backend."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.quantum.pennylane.plain import PlainQNode, Point
from tests.quantum.backends.qnode_zoo import Body, encode, then, z

BACKENDS = ("auto", "torch", "adjoint", "branches", "lightning", "device")
PARAMS = torch.tensor([0.4, 0.9], dtype=torch.float64)
X = torch.tensor([[0.3, -0.8], [1.1, 0.6]], dtype=torch.float64)

pytestmark = pytest.mark.filterwarnings("ignore")


def turn(i: Any, w: Any) -> None:
    qml.RX(w[0], 0)
    qml.RY(w[1], 1)
    qml.CNOT([1, 0])


def circuit_of(
    body: Body, backend: str = "auto", transforms: tuple[Any, ...] = (), **options: Any
) -> qlazy.Circuit:
    qnode = qml.QNode(body, qml.device("default.qubit", wires=2), **options)
    for transform in transforms:
        qnode = transform(qnode)
    return qlazy.Circuit(qnode, {"weights": 2}, backend=backend)


def of(observable: Callable[[], Any]) -> Body:
    return then(encode, turn, out=lambda: qml.expval(observable()))


COMPLEX: dict[str, Callable[[], Any]] = {
    "an imaginary multiple": lambda: 1j * qml.Z(0),
    "an imaginary part in a sum": lambda: qml.Z(0) + 0.5j * qml.X(1),
    "an imaginary multiple of a matrix": lambda: 1j * qml.Hadamard(0),
    "a hop in one direction": lambda: qml.jordan_wigner(qml.FermiC(0) * qml.FermiA(1)) + 0.1j * qml.Y(1),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COMPLEX)
def test_complex_outputs_are_refused(name: str, backend: str) -> None:
    circuit = circuit_of(of(COMPLEX[name]), backend)
    with pytest.raises(qlazy.UnsupportedModelError, match=r"^`qnode` must .*, but is"):
        circuit(PARAMS, X)


REAL: dict[str, Callable[[], Any]] = {
    "a complex one": lambda: (1 + 0j) * qml.Z(0),
    "conjugates that add up": lambda: (1 + 1j) * qml.Z(0) + (1 - 1j) * qml.Z(0),
    "a hop both ways": lambda: qml.jordan_wigner(
        qml.FermiC(0) * qml.FermiA(1) + qml.FermiC(1) * qml.FermiA(0)
    ),
    "a number operator": lambda: qml.jordan_wigner(qml.FermiC(1) * qml.FermiA(1)),
}


@pytest.mark.parametrize("backend", ["auto", "lightning", "device", "torch"])
@pytest.mark.parametrize("name", REAL)
def test_real_outputs_of_complex_numbers_are_checked_and_taken(name: str, backend: str) -> None:
    circuit = circuit_of(of(REAL[name]), backend)
    plain = [complex(circuit.qnode(row, PARAMS.numpy())).real for row in X.numpy()]
    np.testing.assert_allclose(circuit(PARAMS, X)[:, 0], plain, atol=1e-12)
    assert not circuit.backend_reason
    expected = circuit_of(of(REAL[name])).jacobian(PARAMS, X)
    torch.testing.assert_close(circuit.jacobian(PARAMS, X), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_outputs_are_refused_on_torch_under_transforms_too(name: str) -> None:
    with pytest.raises(qlazy.UnsupportedModelError, match=r"^`qnode` must .*, but is"):
        torch.func.jacrev(lambda w: circuit_of(of(COMPLEX[name]), "torch")(w, X))(PARAMS)


SOURCES: dict[str, Callable[[], Any]] = {
    "random": random.random,
    "numpy.random": lambda: np.random.random(),  # noqa: NPY002
    "torch": lambda: float(torch.rand(())),
}


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("name", SOURCES)
def test_gates_by_chance_are_refused_however_rare(name: str, backend: str) -> None:
    """A bit flip with a chance of 1e-9 is in no gate that any call here queues."""

    def rarely(inputs: Any, weights: Any) -> Any:
        turn(inputs, weights)
        encode(inputs, weights)
        if SOURCES[name]() < 1e-9:
            qml.X(0)
        return z(0)

    with pytest.raises(qlazy.UnsupportedModelError, match=f"drawing random numbers from {name} "):
        circuit_of(rarely, backend)(PARAMS, X)


GENERATORS: dict[str, Any] = {
    "Generator": np.random.default_rng(0),
    "RandomState": np.random.RandomState(0),
    "Random": random.Random(0),
    "a method of Random": random.Random(0).random,
    "torch.Generator": torch.Generator(),
    "in a list": [np.random.default_rng(0)],
    "in an object": SimpleNamespace(source=np.random.default_rng(0)),
}


def drawn(holder: Any) -> float:
    if isinstance(holder, torch.Generator):
        return float(torch.rand((), generator=holder))
    if isinstance(holder, list):
        return float(holder[0].random())
    if isinstance(holder, SimpleNamespace):
        return float(holder.source.random())
    return float(holder() if callable(holder) else holder.random())


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("name", GENERATORS)
def test_gates_by_the_chance_of_a_generator_of_its_own_are_refused(name: str, backend: str) -> None:
    """The global generators stand still; that in the closure moves at every call."""
    holder = GENERATORS[name]

    def rarely(inputs: Any, weights: Any) -> Any:
        turn(inputs, weights)
        encode(inputs, weights)
        if drawn(holder) < 1e-9:
            qml.X(0)
        return z(0)

    with pytest.raises(qlazy.UnsupportedModelError, match=r"drawing random numbers from its generator 1 \("):
        circuit_of(rarely, backend)(PARAMS, X)


def test_a_generator_that_is_held_and_not_drawn_from_is_no_chance() -> None:
    source = np.random.default_rng(0)
    angles = source.uniform(size=2)

    def held(inputs: Any, weights: Any) -> Any:
        encode(inputs, weights)
        qml.RX(angles[0] if source is not None else 0.0, 0)
        return z(0)

    circuit = circuit_of(held)
    circuit(PARAMS, X)
    assert circuit.backend == "adjoint"


def test_a_circuit_that_seeds_its_own_chance_runs() -> None:
    def seeded(inputs: Any, weights: Any) -> Any:
        encode(inputs, weights)
        qml.RX(random.Random(0).random(), 0)
        random.seed(3)
        qml.RY(random.random() + weights[0], 0)
        return z(0)

    circuit = circuit_of(seeded)
    plain = [float(circuit.qnode(row, PARAMS.numpy())) for row in X.numpy()]
    np.testing.assert_allclose(circuit(PARAMS, X)[:, 0], plain, atol=1e-12)


def forgets(inputs: Any, weights: Any) -> Any:
    encode(inputs, weights)
    turn(inputs, weights)
    z(0)
    return z(1)


def swaps(inputs: Any, weights: Any) -> Any:
    turn(inputs, weights)
    encode(inputs, weights)
    first, second = z(0), z(1)
    return second, first


@qml.transform
def _fails(tape: Any) -> Any:
    raise KeyError("no such gate")


@qml.transform
def _fails_on_results(tape: Any) -> Any:
    return [tape], lambda results: results[0] * results[7]


FAILING: dict[str, Callable[[str], qlazy.Circuit]] = {
    "a measurement not returned": lambda b: circuit_of(forgets, b),
    "measurements returned in another order": lambda b: circuit_of(swaps, b),
    "a gate on a wire that is not there": lambda b: circuit_of(then(encode, turn, lambda i, w: qml.X(7)), b),
    "an output of a wire that is not there": lambda b: circuit_of(then(encode, turn, out=lambda: z(7)), b),
    "a transform that fails": lambda b: circuit_of(then(encode, turn), b, (_fails,)),
    "a transform that fails on results": lambda b: circuit_of(then(encode, turn), b, (_fails_on_results,)),
    "a channel by a transform": lambda b: circuit_of(
        then(encode, turn), b, (lambda q: qml.noise.insert(q, qml.AmplitudeDamping, 0.1),)
    ),
    "one-shot without shots": lambda b: circuit_of(
        then(encode, turn, lambda i, w: qml.cond(qml.measure(0), qml.X)(1)), b, mcm_method="one-shot"
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FAILING)
def test_what_no_plain_call_runs_is_refused(name: str, backend: str) -> None:
    circuit = FAILING[name](backend)
    with pytest.raises(Exception):  # noqa: B017 - whatever PennyLane raises
        circuit.qnode(X[0].numpy(), PARAMS.numpy())
    with pytest.raises(qlazy.UnsupportedModelError, match=r"`\w+` must .*, but is"):
        circuit(PARAMS, X)


OTHERWISE: dict[str, Callable[[Any, Any], Any]] = {
    "a standard deviation": lambda i, w: qml.RX(w.std() * i[0], 0),
    "a variance": lambda i, w: qml.RX(i.var() * w[0], 0),
    "a repetition": lambda i, w: [qml.RX(angle * w[0], k // 2) for k, angle in enumerate(i.repeat(2))],
    "a type looked at": lambda i, w: qml.RX(0.3 if isinstance(w, np.ndarray) else 0.4, 0),
    "a type that decides a gate": lambda i, w: (qml.X if isinstance(i, torch.Tensor) else qml.Y)(1),
    "a wire by type": lambda i, w: qml.RX(w[0], int(isinstance(i, torch.Tensor))),
}


@pytest.mark.parametrize("backend", ["auto", "torch", "adjoint", "lightning", "device"])
@pytest.mark.parametrize("name", OTHERWISE)
def test_what_means_another_thing_on_numpy_arrays_is_refused(name: str, backend: str) -> None:
    circuit = circuit_of(then(encode, OTHERWISE[name], turn), backend)
    with pytest.raises(qlazy.UnsupportedModelError, match="`qnode` must queue the same at every call"):
        circuit(PARAMS, X)


def test_what_only_torch_runs_is_taken() -> None:
    circuit = circuit_of(then(encode, lambda i, w: qml.RX(torch.sin(w[0]), 0)))
    same = circuit_of(then(encode, lambda i, w: qml.RX(qml.math.sin(w[0]), 0)))
    assert torch.equal(circuit(PARAMS, X), same(PARAMS, X))


def _measuring(output: Callable[[Any, Any, Any], Any]) -> Body:
    def body(inputs: Any, weights: Any) -> Any:
        qml.RX(inputs[0], 0)
        bit = qml.measure(0)
        qml.cond(bit, qml.RY)(weights[0], 1)
        return qml.expval(output(weights, inputs, bit))

    return body


WEIGHED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a multiple": lambda w, i, m: w[1] * qml.Z(1),
    "a Hamiltonian": lambda w, i, m: qml.Hamiltonian([w[1], 1.0], [qml.Z(1), qml.X(0)]),
    "a sum": lambda w, i, m: qml.s_prod(w[1], qml.Z(1)) + qml.X(0),
    "a dot product": lambda w, i, m: qml.dot([w[1], i[1]], [qml.Z(1), qml.X(0)]),
    "a measured value": lambda w, i, m: w[1] * m,
}


@pytest.mark.parametrize("backend", ["auto", "branches", "device"])
@pytest.mark.parametrize("name", WEIGHED)
def test_weights_in_observables_beside_measurements_run_or_are_refused_with_a_remedy(
    name: str, backend: str
) -> None:
    circuit = circuit_of(_measuring(WEIGHED[name]), backend)
    if backend != "device" and name != "a measured value":  # which the branch simulator takes
        plain = PlainQNode(circuit.qnode, circuit.qnode.device)
        points = [Point({"weights": PARAMS.numpy()}, "inputs", row) for row in X.numpy()]
        expected = np.stack([plain.outputs(point) for point in points])
        np.testing.assert_allclose(circuit(PARAMS, X), expected, atol=1e-12)
        assert circuit.backend == "branches"
        return
    with pytest.raises(qlazy.UnsupportedModelError, match="observables of constants alone.*qlazy.Readout"):
        circuit(PARAMS, X)


@pytest.mark.parametrize("backend", ["auto", "adjoint", "torch", "lightning", "device"])
@pytest.mark.parametrize("interface", ["jax", "tf", "autograd"])
def test_interfaces_that_are_not_installed_are_none_of_the_backend_s(interface: str, backend: str) -> None:
    body = then(encode, turn)
    circuit = circuit_of(body, backend, interface=interface)
    plain = [float(circuit_of(body).qnode(row, PARAMS.numpy())) for row in X.numpy()]
    np.testing.assert_allclose(circuit(PARAMS, X)[:, 0], plain, atol=1e-12)
    assert circuit.jacobian(PARAMS, X).shape == (2, 1, 2)


def test_transforms_that_make_several_circuits() -> None:
    body = of(lambda: qml.Z(0) @ qml.Z(1) + 0.3 * qml.X(1))
    circuit = circuit_of(body, transforms=(qml.transforms.split_non_commuting,))
    plain = [float(circuit.qnode(row, PARAMS.numpy())) for row in X.numpy()]
    np.testing.assert_allclose(circuit(PARAMS, X)[:, 0], plain, atol=1e-12)
    torch.testing.assert_close(
        circuit.jacobian(PARAMS, X), circuit_of(body).jacobian(PARAMS, X), rtol=0, atol=1e-12
    )
    assert (circuit.backend, circuit.backend_reason) == ("adjoint", "")


class Drawn(qml.operation.Operation):
    num_wires = num_params = 1

    @staticmethod
    def compute_decomposition(angle: Any, wires: Any) -> list[Any]:
        return [qml.RX(angle + np.random.default_rng().uniform(), wires)]


HAMILTONIAN = qml.dot([0.3, 0.4], [qml.X(0), qml.Z(1)])
DRAWN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "RandomLayers": (lambda w: qml.RandomLayers(w[None], [0, 1], seed=None), "drawing RandomLayers anew"),
    "QDrift": (lambda w: qml.QDrift(HAMILTONIAN, w[0], n=3), "drawing QDrift anew"),
    "within": (lambda w: qml.adjoint(qml.QDrift(HAMILTONIAN, w[0], n=3)), "drawing Adjoint"),
    "of one's own": (lambda w: Drawn(w[0], 0), "giving other numbers each time"),
}


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("name", DRAWN)
def test_a_gate_that_draws_is_refused_in_words(name, backend):
    body, words = DRAWN[name]

    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, [0, 1])
        body(weights)
        return qml.expval(qml.Z(0)), qml.expval(qml.X(1))

    with pytest.raises(qlazy.UnsupportedModelError, match=f"give the same at every call, but is {words}"):
        circuit_of(circuit, backend)(PARAMS, X)


def test_a_transform_that_leaves_no_circuit_is_refused_in_words():
    @qml.gradients.param_shift
    @qml.qnode(qml.device("default.qubit", wires=1))
    def circuit(inputs, w):
        qml.RX(w + inputs[0], 0)
        return qml.expval(qml.Z(0))

    params, x = torch.zeros(1, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
    with pytest.raises(qlazy.UnsupportedModelError, match="No trainable parameters"):
        qlazy.Circuit(circuit, {"w": 1})(params, x)
