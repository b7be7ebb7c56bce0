"""Two circuits that differ in one thing, in turns on one device: each as on default.qubit, whatever came before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp
from pennylane.exceptions import DeviceError, WireError

FIRST, SECOND = np.array([[0.6, 0.8], [0.8, -0.6]]), np.array([[0.8, 0.6j], [0.6j, 0.8]])
HERMITIAN = np.array([[0.3, 0.2 - 0.5j], [0.2 + 0.5j, -1.1]])


class Gate(NamedTuple):
    """A gate as a function of angles and wires: how many there are of each."""

    angles: int
    wires: int
    make: Callable[[Sequence[Any], list[Any]], Any]


def of_class(kind: Any, wires: int | None = None) -> Gate:
    return Gate(kind.num_params, wires or kind.num_wires, lambda angles, on: kind(*angles, wires=on))


def word(letters: str) -> Gate:
    return Gate(1, len(letters), lambda angles, on: qml.PauliRot(angles[0], letters, wires=on))


def matrix(values: Any) -> Gate:
    return Gate(0, 1, lambda angles, on: qml.QubitUnitary(values, wires=on))


def controlled(value: int) -> Gate:
    return Gate(1, 2, lambda angles, on: qml.ctrl(qml.RY, on[0], control_values=[value])(angles[0], on[1]))


GATES = {
    "axis": (of_class(qml.RX), of_class(qml.RY)),
    "axis again": (of_class(qml.RZ), of_class(qml.RY)),
    "axis of two": (of_class(qml.IsingXX), of_class(qml.IsingYY)),
    "two or many": (of_class(qml.MultiRZ, 2), of_class(qml.IsingXX)),
    "many": (of_class(qml.MultiRZ, 2), of_class(qml.MultiRZ, 3)),
    "controlled axis": (of_class(qml.CRX), of_class(qml.CRY)),
    "controls": (of_class(qml.CRZ), of_class(qml.IsingZZ)),
    "control value": (controlled(0), controlled(1)),
    "controlled": (of_class(qml.CNOT), of_class(qml.CY)),
    "controls of both": (of_class(qml.CZ), of_class(qml.SWAP)),
    "fixed": (of_class(qml.S), of_class(qml.T)),
    "fixed again": (of_class(qml.SX), of_class(qml.Hadamard)),
    "letter": (of_class(qml.X), of_class(qml.Y)),
    "three wires": (of_class(qml.Toffoli), of_class(qml.CSWAP)),
    "three angles": (of_class(qml.Rot), of_class(qml.U3)),
    "word": (word("XY"), word("YX")),
    "matrix": (matrix(FIRST), matrix(SECOND)),
    "known or not": (of_class(qml.RZ), of_class(qml.PhaseShift)),
}  # fmt: skip
"""Gates that differ in one thing: class, word, control value or matrix."""
WITHOUT_FORM = "control value", "word", "matrix"
MEASURED: dict[str, tuple[Callable[[list[Any]], Any], Callable[[list[Any]], Any]]] = {
    "letter": (lambda on: qml.expval(qml.Z(on[0])), lambda on: qml.expval(qml.X(on[0]))),
    "wire": (lambda on: qml.expval(qml.Y(on[0])), lambda on: qml.expval(qml.Y(on[1]))),
    "product": (lambda on: qml.expval(qml.Z(on[0])), lambda on: qml.expval(qml.Z(on[0]) @ qml.Y(on[1]))),
    "letter of product": (
        lambda on: qml.expval(qml.Z(on[0]) @ qml.Y(on[1])),
        lambda on: qml.expval(qml.Y(on[0]) @ qml.Z(on[1])),
    ),
    "sum": (
        lambda on: qml.expval(qml.Z(on[0]) @ qml.Y(on[1])),
        lambda on: qml.expval(qml.Z(on[0]) + qml.Y(on[1])),
    ),
    "coefficient": (
        lambda on: qml.expval(0.5 * qml.Z(on[0]) + qml.X(on[1])),
        lambda on: qml.expval(1.5 * qml.Z(on[0]) + qml.X(on[1])),
    ),
    "coefficient of one word": (
        lambda on: qml.expval(2 * qml.Z(on[0])),
        lambda on: qml.expval(-2 * qml.Z(on[0])),
    ),
    "times": (
        lambda on: qml.expval(qml.Z(on[0]) + qml.Z(on[0])),
        lambda on: qml.expval(qml.Z(on[0])),
    ),
    "matrix": (
        lambda on: qml.expval(qml.Hermitian(HERMITIAN, on[0])),
        lambda on: qml.expval(qml.Hermitian(HERMITIAN.T, on[0])),
    ),
    "projector": (
        lambda on: qml.expval(qml.Projector([0], on[0])),
        lambda on: qml.expval(qml.Projector([1], on[0])),
    ),
    "kind": (lambda on: qml.expval(qml.Z(on[0])), lambda on: qml.var(qml.Z(on[0]))),
    "probabilities": (lambda on: qml.probs(wires=on[:1]), lambda on: qml.probs(wires=on[1:])),
}
"""Measurements that differ in one thing."""


class Drawn(NamedTuple):
    """A circuit of gates and measurements on wires, and what its numbers are."""

    gates: tuple[tuple[Gate, tuple[int, ...]], ...]
    measured: tuple[tuple[Callable[[list[Any]], Any], tuple[int, ...]], ...]
    trained: tuple[bool, ...]
    rows: int | None = None
    dtype: str = "float64"

    def __call__(self, *angles: Any) -> Any:
        left = iter(angles)
        for gate, wires in self.gates:
            gate.make([next(left) for _ in range(gate.angles)], list(wires))
        return [make(list(wires)) for make, wires in self.measured]

    @property
    def count(self) -> int:
        return sum(gate.angles for gate, _ in self.gates)

    def differing_in_gate(self, place: int, gate: Gate, wires: tuple[int, ...]) -> Drawn:
        gates = (*self.gates[:place], (gate, wires), *self.gates[place + 1 :])
        count = sum(gate.angles for gate, _ in gates)
        return self._replace(gates=gates, trained=(*self.trained, True, True, True)[:count])


def draw(rng: np.random.Generator, first: Gate | None = None, measure: Any = None) -> tuple[Drawn, int]:
    """Rotations of all wires, then gates that the device takes as they are, and ``first`` among them, and its place."""
    kinds = [gate for name, (gate, _) in GATES.items() if name not in WITHOUT_FORM]
    drawn = [kinds[n] for n in rng.integers(len(kinds), size=5)]
    place = int(rng.integers(5))
    if first is not None:
        drawn[place] = first
    turns = [(of_class(kind), (n,)) for kind in (qml.RX, qml.RZ) for n in range(3)]
    gates = [*turns, *((gate, wires_of(rng, gate.wires)) for gate in drawn), *turns[::-1]]
    made = [measure or MEASURED["letter"][0], MEASURED["letter of product"][0]]
    measured = *((make, wires_of(rng, 2)) for make in made), (on_all_wires, (0, 1, 2))
    count = sum(gate.angles for gate, _ in gates)
    return Drawn(tuple(gates), measured, (True,) * count), len(turns) + place


def on_all_wires(on: list[Any]) -> Any:
    return qml.expval(qml.Y(on[0]) @ qml.X(on[1]) @ qml.Z(on[2]))


def wires_of(rng: np.random.Generator, count: int) -> tuple[int, ...]:
    return tuple(map(int, rng.permutation(3)[:count]))


def with_other_gate(name: str, rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    one, other = GATES[name]
    drawn, place = draw(rng, one)
    wires = wires_of(rng, 3)
    on = wires[: one.wires]
    return drawn.differing_in_gate(place, one, on), drawn.differing_in_gate(
        place, other, wires[: other.wires]
    )


def with_other_measurement(name: str, rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    one, other = MEASURED[name]
    drawn, _ = draw(rng, measure=one)
    (_, wires), *rest = drawn.measured
    return drawn, drawn._replace(measured=((other, wires), *rest))


def with_other_wires(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, place = draw(rng, of_class(qml.CRX))
    gate, wires = drawn.gates[place]
    return drawn, drawn.differing_in_gate(place, gate, wires[::-1])


def in_other_order(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, _ = draw(rng)
    return drawn, drawn._replace(gates=(*drawn.gates[3:6], *drawn.gates[:3], *drawn.gates[6:]))


def with_one_more(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, _ = draw(rng)
    return drawn, drawn._replace(gates=(*drawn.gates, (of_class(qml.Hadamard), drawn.measured[0][1][:1])))


def measured_in_other_order(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, _ = draw(rng)
    return drawn, drawn._replace(measured=drawn.measured[::-1])


def measured_once(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, _ = draw(rng)
    return drawn, drawn._replace(measured=drawn.measured[:1])


def trained_elsewhere(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, _ = draw(rng)
    trained = rng.integers(2, size=(2, drawn.count)).astype(bool)
    trained[:, 0] = True, False
    trained[:, 1] = True
    one, other = (drawn._replace(trained=tuple(map(bool, row))) for row in trained)
    return one, other


def in_a_batch(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, _ = draw(rng)
    return drawn, drawn._replace(rows=3)


def in_single_precision(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    drawn, _ = draw(rng)
    return drawn, drawn._replace(dtype="float32")


PAIRS: dict[str, Callable[[np.random.Generator], tuple[Drawn, Drawn]]] = {
    **{f"gate: {name}": lambda rng, name=name: with_other_gate(name, rng) for name in GATES},
    **{f"measured: {name}": lambda rng, name=name: with_other_measurement(name, rng) for name in MEASURED},
    "wires": with_other_wires,
    "order": in_other_order,
    "one gate more": with_one_more,
    "order of measurements": measured_in_other_order,
    "measured once": measured_once,
    "trained": trained_elsewhere,
    "batch": in_a_batch,
    "precision": in_single_precision,
}
SAME_VALUES = "trained", "batch", "precision", "gate: known or not"


def in_torch(device: Any, drawn: Drawn, numbers: Any) -> list[Any]:
    """Outputs, and the slopes of a weighted sum of them by the parameters that are trained."""
    node = qml.QNode(drawn, device, interface="torch")
    angles = [
        torch.tensor(number, dtype=getattr(torch, drawn.dtype), requires_grad=trained)
        for number, trained in zip(numbers, drawn.trained, strict=True)
    ]
    outputs = torch.cat([part.flatten().double() for part in node(*angles)])
    total = (outputs * torch.arange(1.0, 1 + len(outputs), dtype=torch.float64).sin()).sum()
    slopes = torch.autograd.grad(total, [angle for angle in angles if angle.requires_grad])
    return [outputs.detach().numpy(), *(slope.numpy() for slope in slopes)]


def in_autograd(device: Any, drawn: Drawn, numbers: Any) -> list[Any]:
    """The same."""
    node = qml.QNode(drawn, device, interface="autograd")
    angles = [
        pnp.array(number, dtype=drawn.dtype, requires_grad=trained)
        for number, trained in zip(numbers, drawn.trained, strict=True)
    ]

    def outputs(*angles: Any) -> Any:
        return pnp.concatenate([pnp.reshape(part, (-1,)) for part in node(*angles)])

    def total(*angles: Any) -> Any:
        found = outputs(*angles)
        return pnp.sum(found * np.sin(np.arange(1.0, 1 + len(found))))

    trained = [n for n, is_trained in enumerate(drawn.trained) if is_trained]
    return [np.asarray(outputs(*angles)), *map(np.asarray, qml.grad(total, argnums=trained)(*angles))]


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # of default.qubit under autograd
@pytest.mark.parametrize("interface", [in_torch, in_autograd])
@pytest.mark.parametrize("name", PAIRS)
def test_what_differs_in_one_thing_is_told_apart(name: str, interface: Callable[..., list[Any]]) -> None:
    rng = np.random.default_rng(sorted(PAIRS).index(name))
    pair = PAIRS[name](rng)
    ours, theirs = qml.device("qlazy.adjoint", wires=3), qml.device("default.qubit", wires=3)
    same = rng.normal(size=max(drawn.count for drawn in pair))
    first, second = (interface(theirs, drawn, same[: drawn.count])[0] for drawn in pair[:2])
    differ = len(first) != len(second) or np.abs(first - second).max() > 1e-4
    assert differ or name in SAME_VALUES
    for drawn in (*pair, pair[0]):
        numbers = rng.normal(size=(drawn.count, *(() if drawn.rows is None else (drawn.rows,))))
        tolerance = 1e-10 if drawn.dtype == "float64" else 1e-5
        found, expected = (interface(device, drawn, numbers) for device in (ours, theirs))
        assert len(found) == len(expected)
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)


def test_what_is_refused_is_refused_after_its_form_was_run() -> None:
    device = qml.device("qlazy.adjoint", wires=2)

    def circuit(angles: Any, wire: int = 1) -> Any:
        qml.RX(angles[0], 0)
        qml.RY(angles[1], wire)
        return qml.expval(qml.Z(0))

    node, angles = qml.QNode(circuit, device), [0.3, 0.4]
    for _ in range(2):
        assert float(node(angles)) == pytest.approx(np.cos(0.3))
        with pytest.raises(DeviceError, match="analytic|shots"):
            qml.set_shots(node, 10)(angles)
        with pytest.raises(WireError, match="7"):
            node(angles, wire=7)
        with pytest.raises(ValueError, match="one for each of its entries, but there are 2 and 3"):
            node([torch.zeros(2), torch.zeros(3)])


def test_labels_of_wires_and_their_order_count_on_a_device_that_has_none() -> None:
    device, oracle = qml.device("qlazy.adjoint"), qml.device("default.qubit")
    for labels in (("a", "b"), ("b", "a"), (0, "a"), ("a", 0)) * 2:

        def circuit(angle: Any, labels: Any = labels) -> Any:
            qml.RX(angle, labels[0])
            qml.CNOT(labels)
            qml.RY(2 * angle, labels[0])
            return qml.expval(qml.Z("a")), qml.expval(qml.Z(labels[1]) @ qml.X(labels[0]))

        found, expected = (qml.QNode(circuit, one)(torch.tensor(0.4).double()) for one in (device, oracle))
        torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=0, atol=1e-12)
