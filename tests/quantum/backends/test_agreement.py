"""The adjoint simulator against default.qubit on random circuits, and how a backend is chosen."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qlazy import Circuit, Linearized, Scaled, from_qasm, load_circuit
from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError
from qlazy.quantum.corpus import load_program, names, program_names
from tests.makers import inputs, reuploading, rng

WIRES = 4

FIXED = {
    1: (qml.X, qml.Y, qml.Z, qml.Hadamard, qml.S, qml.T, qml.SX, lambda wires: qml.adjoint(qml.S(wires))),
    2: (qml.CNOT, qml.CZ, qml.CY, qml.CH, qml.SWAP, qml.ISWAP, qml.SISWAP, qml.ECR),
    3: (qml.Toffoli, qml.CSWAP, qml.CCZ, lambda wires: qml.MultiControlledX(wires, control_values=[0, 1])),
}
ONE_ANGLE = {
    1: (qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.U1, lambda a, wires: qml.adjoint(qml.PhaseShift(a, wires))),
    2: (
        qml.CRX, qml.CRY, qml.CRZ, qml.ControlledPhaseShift, qml.CPhaseShift00, qml.CPhaseShift01,
        qml.CPhaseShift10, qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.IsingXY, qml.MultiRZ, qml.PSWAP,
        qml.SingleExcitation, qml.SingleExcitationPlus, qml.SingleExcitationMinus, qml.FermionicSWAP,
        lambda a, wires: qml.PauliRot(a, "YX", wires), lambda a, wires: qml.PauliRot(a, "IZ", wires),
        lambda a, wires: qml.ctrl(qml.PhaseShift(a, wires[1]), wires[0], control_values=[0]),
        lambda a, wires: qml.ctrl(qml.GlobalPhase(a), wires[0]),
    ),
    3: (
        lambda a, wires: qml.PauliRot(a, "XZY", wires), qml.MultiRZ,
        lambda a, wires: qml.ctrl(qml.RX(a, wires[2]), wires[:2], control_values=[1, 0]),
        lambda a, wires: qml.ctrl(qml.U1(a, wires[2]), wires[:2]),
        lambda a, wires: qml.ctrl(qml.IsingXX(a, wires[1:]), wires[0]),
        lambda a, wires: qml.adjoint(qml.ctrl(qml.PhaseShift(a, wires[2]), wires[:2])),
    ),
    4: (qml.DoubleExcitation, qml.OrbitalRotation, lambda a, wires: qml.DoubleExcitationPlus(a, wires)),
}  # fmt: skip
OBSERVABLES = (
    lambda: [qml.expval(qml.Z(0))],
    lambda: [qml.expval(qml.X(1) @ qml.Y(2)), qml.expval(qml.Z(3))],
    lambda: [qml.expval(0.3 * qml.Z(0) - 1.5 * qml.X(1) @ qml.Z(2) + 0.7 * qml.Identity(0))],
    lambda: [qml.expval(qml.Hermitian(np.array([[1.0, 2j], [-2j, -0.5]]), wires=1)), qml.expval(qml.Y(3))],
    lambda: [qml.expval(qml.Projector([1, 0], wires=[2, 0]))],
    lambda: [qml.probs(wires=[1, 3])],
    lambda: [qml.probs()],
    lambda: [qml.expval(qml.Hadamard(2))],
)
ANGLES = (
    lambda p, x, i: p[i % 5],
    lambda p, x, i: p[i % 5] * x[i % 2],
    lambda p, x, i: torch.sin(p[(i + 1) % 5]) + 0.3 * x[0] ** 2,
    lambda p, x, i: x[i % 2],
    lambda p, x, i: 0.7 - p[i % 5] * p[(i + 2) % 5] / 2,
    lambda p, x, i: torch.sum(p[:2] * x) + torch.mean(p),
    lambda p, x, i: 0.4 + i,
)


@st.composite
def gates(draw):
    size = draw(st.integers(1, WIRES))
    wires = draw(st.permutations(range(WIRES)))[:size]
    if size in FIXED and draw(st.booleans()):
        return draw(st.sampled_from(FIXED[size])), None, wires
    return draw(st.sampled_from(ONE_ANGLE[size])), draw(st.sampled_from(ANGLES)), wires


def qnode_of(sequence, observables):
    @qml.qnode(qml.device("default.qubit", wires=WIRES))
    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=[0, 1], rotation="Y")
        for index, (gate, angle, wires) in enumerate(sequence):
            if angle is None:
                gate(wires=wires)
            else:
                gate(angle(weights, inputs, index), wires=wires)
        qml.U3(weights[0], inputs[1], weights[4], wires=2)
        qml.U2(weights[1], weights[4] * 0.2, wires=0)
        qml.CRot(weights[2], weights[3], inputs[0], wires=[3, 1])
        return observables()

    return circuit


def reference_jacobian(qnode, params, x):
    """Plain autograd through default.qubit, a sample at a time: some PennyLane gates do not run under vmap."""

    def outputs(weights, row):
        results = qnode(row, weights)
        return torch.cat(
            [torch.as_tensor(r).reshape(-1) for r in (results if isinstance(results, list) else [results])]
        )

    rows = [torch.autograd.functional.jacobian(lambda w, r=row: outputs(w, r), params) for row in x]
    return torch.stack([outputs(params, row) for row in x]), torch.stack(rows)


@settings(max_examples=80)
@given(st.lists(gates(), max_size=6), st.sampled_from(OBSERVABLES))
def test_jacobian_of_random_circuits(sequence, observables):
    qnode = qnode_of(sequence, observables)
    adjoint = Circuit(qnode, {"weights": 5}, backend="adjoint")
    params, x = 3 * inputs(5, seed=len(sequence)), 2 * inputs(2, 2)
    outputs, jacobian = reference_jacobian(qnode, params, x)
    torch.testing.assert_close(adjoint(params, x), outputs, rtol=0, atol=1e-10)
    torch.testing.assert_close(adjoint.jacobian(params, x), jacobian, rtol=0, atol=1e-10)


UNITARY = [*names(), *(name for name in program_names() if load_program(name).is_unitary)]
EVERY_GATE = """OPENQASM 3; include "stdgates.inc"; input array[float[64], 3] w; qubit[4] q; h q;
    rx(w[0]) q[0]; ry(2 * w[1]) q[1]; rz(w[2] / 3) q[2]; p(w[0] * w[1]) q[3]; U(w[0], w[1], 0.3) q[0];
    y q[0]; s q[1]; tdg q[2]; sx q[3]; swap q[0], q[2]; cx q[1], q[3]; cz q[0], q[1]; ccx q[0], q[1], q[2];
    negctrl @ x q[2], q[3]; negctrl @ ctrl @ z q[0], q[1], q[2]; ctrl @ rx(w[1]) q[3], q[0];
    ctrl @ negctrl @ p(w[2]) q[1], q[2], q[3]; ctrl @ U(w[1], 0.4, w[2]) q[2], q[0];
    negctrl @ gphase(w[0]) q[1]; cswap q[3], q[0], q[1]; pow(0.3) @ h q[2]; ctrl @ pow(0.5) @ y q[0], q[3];
    negctrl @ s q[1], q[2]; ctrl(3) @ ry(w[2]) q[0], q[1], q[2], q[3]; rx(0.7) q[1];"""


@pytest.mark.parametrize("name", [*UNITARY, "every gate"])
def test_programs_on_the_adjoint_simulator(name):
    """Families and programs are lowered without their QNode, which backend "torch" runs: the two agree."""

    def load(backend="auto"):
        if name == "every gate":
            return from_qasm(EVERY_GATE, observables=["Z q[0] X q[2]", "Y q[1]", "Z q[3]"], backend=backend)
        return load_circuit(name, backend=backend)

    adjoint, reference = load("adjoint"), load("torch")
    params, x = adjoint.init(rng()), inputs(3, adjoint.program.num_features)
    assert load().backend == "adjoint"
    torch.testing.assert_close(adjoint(params, x), reference(params, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(adjoint.jacobian(params, x), reference.jacobian(params, x), rtol=0, atol=1e-12)


def test_a_program_that_ignores_its_data_is_refused():
    with pytest.raises(UnsupportedModelError, match="`program` must depend on its data"):
        from_qasm("OPENQASM 3; input float x; input float w; qubit q; U(w, 0, 0) q;", data=["x"])


TEMPLATES = {
    "iqp": (lambda x, w: qml.IQPEmbedding(x, wires=range(3), n_repeats=2), 3),
    "basic": (lambda x, w: qml.BasicEntanglerLayers(w.reshape(2, 3) * x, wires=range(3)), 3),
    "qft": (lambda x, w: [qml.AngleEmbedding(x, range(3)), qml.QFT(wires=range(3))], 3),
    "two-design": (
        lambda x, w: [
            qml.AngleEmbedding(x, range(3)),
            qml.SimplifiedTwoDesign(w[:3], w[None, :4].reshape(1, 2, 2), wires=range(3)),
        ],
        3,
    ),
    "trotter": (
        lambda x, w: [
            qml.AngleEmbedding(x, range(3)),
            qml.ApproxTimeEvolution(qml.Z(0) @ qml.Z(1) + 0.5 * qml.X(2), w[0], 2),
        ],
        3,
    ),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates(name):
    template, features = TEMPLATES[name]

    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit(inputs, weights):
        template(inputs, weights)
        qml.StronglyEntanglingLayers(
            qml.math.concatenate([weights, weights])[:9].reshape(1, 3, 3), wires=range(3)
        )
        return qml.expval(qml.Z(0) @ qml.X(2))

    adjoint, reference = (Circuit(circuit, {"weights": 6}, backend=b) for b in ("adjoint", "torch"))
    params, x = adjoint.init(rng()), inputs(3, features)
    torch.testing.assert_close(adjoint.jacobian(params, x), reference.jacobian(params, x), rtol=0, atol=1e-12)


def conditional(inputs, weights):
    if inputs[0] > 0:
        qml.RX(weights[0], wires=0)
    qml.RY(inputs[0], wires=0)
    return qml.expval(qml.Z(0))


def rich(inputs, weights):
    copy = weights * 1
    copy[:1].tanh_()
    qml.RX(copy[0] * inputs[0], wires=0)
    return qml.expval(qml.Z(0))


def leaking(inputs, weights):
    qml.RX(weights[0], wires=0)
    qml.RZ(weights[0] * inputs[0], wires=0)
    qml.RY(float(np.sin(np.asarray([0.3]))[0]), wires=0)
    return qml.expval(qml.X(0))


def on_qubit(function):
    return qml.QNode(function, qml.device("default.qubit", wires=2))


def test_a_circuit_that_is_too_rich_runs_on_torch_and_says_so():
    model = Circuit(on_qubit(rich), {"weights": (1,)})
    params, x = torch.tensor([0.3], dtype=torch.float64), inputs(3, 1)
    with pytest.warns(SlowBackendWarning, match="tanh"):
        jacobian = model.jacobian(params, x)
    assert model.backend == "torch"
    assert "tanh" in model.backend_reason
    angle = torch.tanh(params) * x[:, 0]
    expected = -torch.sin(angle) * x[:, 0] / torch.cosh(params) ** 2  # d cos(tanh(w) x) / dw
    torch.testing.assert_close(jacobian[:, 0, 0], expected, rtol=0, atol=1e-12)


def test_a_structure_that_depends_on_data_is_refused_by_the_adjoint_simulator():
    with pytest.raises(UnsupportedModelError, match="adjoint simulator"):
        Circuit(on_qubit(conditional), {"weights": (1,)}, backend="adjoint")(
            torch.zeros(1), torch.zeros(1, 1)
        )


def test_constants_from_outside_torch_are_constants():
    model = Circuit(on_qubit(leaking), {"weights": (1,)})
    reference = Circuit(on_qubit(leaking), {"weights": (1,)}, backend="torch")
    params, x = inputs(1), inputs(3, 1)
    assert model.backend == "auto"
    torch.testing.assert_close(model(params, x), reference(params, x))
    assert model.backend == "adjoint"


def test_gradients_with_respect_to_inputs():
    model, exact = (
        Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)}, backend=b)
        for b in ("adjoint", "torch")
    )
    params, x = model.init(rng()), inputs(3, 3).requires_grad_()
    found, expected = (torch.autograd.grad(m(params, x).square().sum(), x)[0] for m in (model, exact))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


MAPPED = {"one batch": (None, 2), "a batch each": (0, 3), "one row each": (0, 1)}


@pytest.mark.parametrize(("in_dim", "rows"), MAPPED.values(), ids=MAPPED)
@pytest.mark.parametrize("backend", ["adjoint", "lightning"])
def test_parameters_mapped_by_vmap(backend, in_dim, rows):
    model = Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)}, backend=backend)
    params = torch.stack([model.init(rng(seed)) for seed in range(3)])
    x = torch.stack([inputs(rows, 3, seed=seed) for seed in range(3)]) if in_dim == 0 else inputs(rows, 3)
    each = x if in_dim == 0 else [x] * 3

    def loss(w, x):
        return (model(w, x) ** 3).sum()

    for function in (model, model.jacobian, torch.func.grad(loss), torch.func.grad(loss, 1)):
        mapped = torch.func.vmap(function, (0, in_dim))(params, x)
        one_by_one = torch.stack([function(w, rows) for w, rows in zip(params, each, strict=True)])
        torch.testing.assert_close(mapped, one_by_one, rtol=0, atol=1e-13)


def test_training_of_many_parameters_side_by_side():
    model = Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)})
    x, y = inputs(4, 3), torch.tensor([[1.0], [-1.0], [1.0], [-1.0]], dtype=torch.float64)
    start = torch.stack([model.init(rng(seed)) for seed in range(3)])

    def step(w):
        return w - 0.1 * torch.func.grad(lambda w: (model(w, x) - y).square().mean())(w)

    together, alone = start, list(start)
    for _ in range(5):
        together, alone = torch.func.vmap(step)(together), [step(w) for w in alone]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-13)


def test_directional_derivatives_mapped_by_vmap():
    model = Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)})
    params = torch.stack([model.init(rng(seed)) for seed in range(3)])
    x = inputs(2, 3)

    def along(w, v):
        return torch.func.jvp(lambda w: model(w, x), (w,), (v,))[1]

    mapped = torch.func.vmap(along)(params, params.cos())
    expected = torch.stack([along(w, w.cos()) for w in params])
    torch.testing.assert_close(mapped, expected, rtol=0, atol=1e-13)


def test_training_the_linearised_circuit_reaches_its_parameters():
    model = Circuit(reuploading, {"encoding": (2, 3), "weights": (2, 3, 3)})
    anchor, x = model.init(rng()), inputs(3, 3)
    linear = Linearized(Scaled(model, 2.0), anchor)
    leaf = (anchor + 0.1).requires_grad_()
    (gradient,) = torch.autograd.grad(linear(leaf, x).square().sum(), leaf)
    expected = 2 * linear.vjp(anchor, x, linear(leaf, x).detach())
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


def test_results_do_not_depend_on_the_number_of_threads():
    model = load_circuit("hardware_efficient", n=5, layers=2)
    params, x = model.init(rng()), inputs(40, 5)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(model.jacobian(params, x))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_one_gradient_for_every_row_or_their_sum():
    model = load_circuit("hardware_efficient", n=4, layers=2)
    params, x = model.init(rng()), inputs(37, 4)
    weights = inputs(37, 1, seed=5)
    expected = torch.tensordot(weights, model.jacobian(params, x), 2)
    torch.testing.assert_close(model.vjp(params, x, weights), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", ["auto", "adjoint", "torch"])
def test_a_state_that_does_not_fit_is_refused_before_it_is_made(backend):
    with pytest.raises(
        UnsupportedModelError, match=r"at most 24 wires.*, but is one of 30.*: a state would take 16 GiB"
    ):
        load_circuit("hardware_efficient", n=30, layers=1, backend=backend)
