"""Circuits of many qubits by their light cones: the closed form, the full simulation, the QNode itself."""

from __future__ import annotations

import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.quantum.backends.lowered import LoweredCircuit
from qlazy.simulator import RotationCircuit
from qlazy.theory.light_cone import light_cone

QUBITS = 1_000


def drawn(model, samples, features):
    generator = torch.Generator().manual_seed(3)
    params = model.init(generator)
    return params, torch.rand(samples, features, generator=generator, dtype=torch.float64) * 6 - 3


@pytest.fixture(scope="module")
def wide():
    model = qlazy.load_circuit("light_cone", n=QUBITS)
    return model, *drawn(model, 3, QUBITS)


def test_a_thousand_qubits_are_what_the_closed_form_says(wide):
    model, params, x = wide
    expected = light_cone(QUBITS)
    assert model.backend == "adjoint"
    torch.testing.assert_close(model(params, x), expected(params, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(model.jacobian(params, x), expected.jacobian(params, x), rtol=0, atol=1e-12)
    gradient = torch.func.grad(lambda w: model(w, x).square().sum())(params)
    torch.testing.assert_close(gradient, torch.func.grad(lambda w: expected(w, x).square().sum())(params))


def test_kernels_products_and_lanes_of_a_thousand_qubits(wide):
    model, params, x = wide
    expected = light_cone(QUBITS)
    kernel = qlazy.tangent_kernel(model, params, x).to_dense()
    torch.testing.assert_close(kernel, qlazy.tangent_kernel(expected, params, x).to_dense())
    direction = torch.linspace(-1, 1, len(params), dtype=torch.float64)
    torch.testing.assert_close(model.jvp(params, x, direction), expected.jvp(params, x, direction))
    along = torch.func.jvp(torch.func.grad(lambda w: model(w, x).square().sum()), (params,), (direction,))[1]
    known = torch.func.jvp(torch.func.grad(lambda w: expected(w, x).square().sum()), (params,), (direction,))[
        1
    ]
    torch.testing.assert_close(along, known)
    lanes = torch.stack([params, params.flip(0)])
    mapped = torch.func.vmap(lambda w: model(w, x))(lanes)
    torch.testing.assert_close(mapped, torch.stack([expected(w, x) for w in lanes]))


def test_cones_are_told(wide):
    model = wide[0]
    assert model.cones.width == 3
    assert model.cones.num_wires == QUBITS
    assert model.cones.wires(0) == tuple(range(QUBITS))


def brickwork(wires, measure, depth=3):
    @qml.qnode(qml.device("default.qubit", wires=wires))
    def circuit(inputs, weights):
        for wire in range(wires):
            qml.RY(inputs[..., wire % 2], wires=wire)
        for layer in range(depth):
            for wire in range(wires):
                qml.RY(weights[layer, wire], wires=wire)
            for wire in range(layer % 2, wires - 1, 2):
                qml.CZ([wire, wire + 1])
        return measure()

    return qlazy.Circuit(circuit, {"weights": (depth, wires)})


def in_one_piece(model, x):
    return LoweredCircuit(model.lowering(x), RotationCircuit)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: qml.expval(qml.Z(9)),
        lambda: [qml.expval(qml.Z(wire)) for wire in range(14)],
        lambda: [qml.probs(wires=[3, 4]), qml.expval(qml.X(11) @ qml.Y(12))],
        lambda: qml.expval(qml.Hamiltonian([0.3, -1.2, 0.7], [qml.Z(2), qml.Z(7) @ qml.Z(8), qml.X(13)])),
    ],
    ids=["one", "every wire", "probabilities", "sum"],
)
def test_cones_give_what_one_state_gives(measure):
    model = brickwork(14, measure)
    params, x = drawn(model, 3, 2)
    jacobian, outputs = model.jacobian(params, x), model(params, x)
    whole = in_one_piece(model, x)
    torch.testing.assert_close(outputs, whole.outputs(params, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(jacobian, whole.jacobian(params, x), rtol=0, atol=1e-12)
    assert not isinstance(model._chosen.choice(None, x).backend.circuit.for_params, RotationCircuit)


def test_derivatives_outside_the_cone_are_exactly_zero():
    model = brickwork(40, lambda: qml.expval(qml.Z(20)))
    params, x = drawn(model, 2, 2)
    jacobian = model.jacobian(params, x)[:, 0].reshape(2, 3, 40)
    inside = list(model.cones.wires(0))
    outside = [wire for wire in range(40) if wire not in inside]
    assert len(inside) <= 7
    assert torch.equal(jacobian[:, :, outside], torch.zeros(2, 3, len(outside), dtype=torch.float64))
    assert jacobian.any(dim=0).sum() == 7


def test_second_derivatives_by_cones_are_those_of_one_state():
    model = brickwork(12, lambda: [qml.expval(qml.Z(5)), qml.expval(qml.Z(2))], depth=2)
    params, x = drawn(model, 2, 2)
    whole = in_one_piece(model, x)
    hessian = torch.func.hessian(lambda w: model(w, x).sum())(params)
    expected = torch.func.hessian(lambda w: whole.outputs(w, x).sum())(params)
    torch.testing.assert_close(hessian, expected)
    by_inputs = torch.func.jacrev(lambda rows: model(params, rows).sum(0))(x)
    torch.testing.assert_close(
        by_inputs, torch.func.jacrev(lambda rows: whole.outputs(params, rows).sum(0))(x)
    )


def test_the_widest_cone_is_named_where_it_does_not_fit():
    text = (
        'OPENQASM 3.0;\ninclude "stdgates.inc";\n@qlazy.data\ninput float y;\ninput float t;\nqubit[40] q;\n'
    )
    chain = "for int i in [0:30] { ry(t) q[i]; rx(y) q[i]; cx q[i], q[i + 1]; }\n"
    with pytest.raises(
        qlazy.UnsupportedModelError,
        match=r"`program` must have at most 24 wires, or light cones of at most so many.*, but is one of 40 with a "
        r"cone of \d+ \(the widest, of output 1, X30\): a state would take [\d.]+ GiB",
    ):
        qlazy.from_qasm(text + chain, observables=("Z q[3]", "X q[30]"))
    model = qlazy.from_qasm(text + chain, observables=("Z q[3]",))
    assert model.cones.width <= 5


def test_cones_are_known_once_a_qnode_has_run():
    model = brickwork(4, lambda: qml.expval(qml.Z(0)))
    with pytest.raises(ValueError, match="`circuit` must have run once"):
        _ = model.cones
    model(*drawn(model, 1, 2))
    assert model.cones.num_outputs == 1


def test_a_wide_qnode_is_held_to_its_cones():
    model = brickwork(40, lambda: [qml.expval(qml.Z(20)), qml.probs(wires=[3, 4])])
    params, x = drawn(model, 2, 2)
    model(params, x)
    assert (model.backend, model.backend_reason) == ("adjoint", "")


def test_a_wide_qnode_that_the_simulator_gets_wrong_is_refused(monkeypatch):
    from qlazy.simulator.cones.circuit import ConeCircuit

    right = ConeCircuit.values
    monkeypatch.setattr(ConeCircuit, "values", lambda *args: right(*args) + 1e-6)
    model = brickwork(40, lambda: qml.expval(qml.Z(20)))
    with pytest.raises(qlazy.UnsupportedModelError):
        model(*drawn(model, 2, 2))


MEASURING = """OPENQASM 3.0;
include "stdgates.inc";
const int n = 6;
@qlazy.data
input float y;
input array[float[64], n] t;
qubit[n] q;
bit[n] c;
for int k in [0:n - 1] { ry(t[k] + y) q[k]; }
for int k in [0:2:n - 2] { cz q[k], q[k + 1]; }
c[1] = measure q[1];
c[4] = measure q[4];
if (c[1]) { rx(t[2]) q[2]; } else { ry(y) q[0]; }
if (c[4]) { x q[5]; }
reset q[3];
ry(t[0]) q[3];
bit go = c[4];
@qlazy.bound 3
while (go) { ry(t[1]) q[4]; go = measure q[4]; }
"""


@pytest.mark.parametrize("observable", ["Z q[2]", "X q[0]", "Z q[5] X q[4]", "Z q[3]", "X q[1]"])
def test_programs_that_measure_are_run_on_what_their_outputs_depend_on(observable, monkeypatch):
    from qlazy.quantum.backends import branches

    whole = qlazy.from_qasm(MEASURING, observables=(observable,))
    monkeypatch.setattr(branches, "NARROW", 0)
    part = qlazy.from_qasm(MEASURING, observables=(observable,))
    params, x = drawn(whole, 2, 1)
    torch.testing.assert_close(part(params, x), whole(params, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(part.jacobian(params, x), whole.jacobian(params, x), rtol=0, atol=1e-12)
    assert part._chosen.choice(None, x).backend.num_wires < 6


def test_a_wide_program_that_measures_runs_where_its_outputs_depend_on_few_wires():
    wide = qlazy.from_qasm(MEASURING, n=60, observables=("Z q[2]",))
    narrow = qlazy.from_qasm(MEASURING, n=6, observables=("Z q[2]",))
    params, x = drawn(wide, 2, 1)
    torch.testing.assert_close(wide(params, x), narrow(params[:6], x), rtol=0, atol=1e-12)
    assert not wide.jacobian(params, x)[:, :, 6:].any()
    chain = MEASURING + "for int k in [0:n - 2] { cx q[k], q[k + 1]; }\n"
    with pytest.raises(
        qlazy.UnsupportedModelError,
        match=r"`program` must have at most 24 qubits, but is one of 60, of which .* 4[0-9]",
    ):
        qlazy.from_qasm(chain, n=60, observables=("Z q[40]",))
