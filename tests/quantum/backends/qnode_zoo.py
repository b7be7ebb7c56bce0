"""QNodes as people write them: embeddings, templates, gates, measurements, options, transforms, Python in between.

Each is a QNode of ``inputs`` and weights, with the shapes of its weights and rows that it admits. The oracle of every
one is the QNode itself, called row by row with NumPy arrays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
import torch

Body = Callable[..., Any]
W2 = {"weights": 2}


class Zoo(NamedTuple):
    """One QNode, and rows (n, d) to call it on; ``refused`` where it may be refused in words."""

    qnode: qml.QNode
    shapes: dict[str, Any]
    rows: Any
    refused: str = ""


ZOO: dict[str, Callable[[], Zoo]] = {}

GENERIC = np.array([[0.4, -1.3, 2.2, 0.7], [-0.9, 0.35, 1.1, -2.1]])


def add(
    name: str,
    body: Body,
    shapes: dict[str, Any] = W2,
    *,
    d: int = 2,
    wires: Any = 3,
    rows: Any = None,
    device: str = "default.qubit",
    refused: str = "",
    transforms: tuple[Any, ...] = (),
    **options: Any,
) -> None:
    assert name not in ZOO, name

    def make() -> Zoo:
        made = qml.device(device) if wires is None else qml.device(device, wires=wires)
        qnode = qml.QNode(body, made, **options)
        for transform in transforms:
            qnode = transform(qnode)
        return Zoo(qnode, shapes, GENERIC[:, :d] if rows is None else np.asarray(rows), refused)

    ZOO[name] = make


def z(wire: Any = 0) -> Any:
    return qml.expval(qml.Z(wire))


def then(*parts: Callable[[Any, Any], Any], out: Callable[[], Any] = z) -> Body:
    """A body of parts, each given inputs and weights."""

    def body(inputs: Any, weights: Any) -> Any:
        for part in parts:
            part(inputs, weights)
        return out()

    return body


def encode(i: Any, w: Any) -> None:
    qml.RY(i[0], 0)
    qml.RX(i[1], 1)
    qml.CNOT([0, 1])


def mix(i: Any, w: Any) -> None:
    qml.CNOT([1, 0])
    qml.RY(w[0], 0)
    qml.RX(w[1], 1)
    qml.CNOT([0, 1])


def turn(i: Any, w: Any) -> None:
    """Two plain rotations, after which <Z> shows what came before."""
    qml.RX(w[0], 0)
    qml.RY(w[1], 0)


# -- embeddings ----------------------------------------------------------------------------------------------------

STATES = np.array([[0.5, 0.1, -0.7, 0.2], [0.3, -0.6, 0.2, 0.9]])
BITS = np.array([[1, 0], [0, 1], [1, 1]])
for rotation in "XYZ":
    add(
        f"AngleEmbedding {rotation}",
        then(
            lambda i, w: qml.Hadamard(0),
            lambda i, w, r=rotation: qml.AngleEmbedding(i, range(2), rotation=r),
            mix,
        ),
    )
add("AngleEmbedding scaled", then(lambda i, w: qml.AngleEmbedding(np.pi * i, range(2)), mix))
add("AngleEmbedding trained", then(lambda i, w: qml.AngleEmbedding(i * w, range(2)), mix))
add(
    "AmplitudeEmbedding normalized",
    then(lambda i, w: qml.AmplitudeEmbedding(i, range(2), normalize=True), mix),
    rows=STATES,
)
add(
    "AmplitudeEmbedding padded",
    then(lambda i, w: qml.AmplitudeEmbedding(i, range(2), pad_with=0.3, normalize=True), mix),
    d=3,
)
add(
    "AmplitudeEmbedding unit rows",
    then(lambda i, w: qml.AmplitudeEmbedding(i, range(2)), mix),
    rows=STATES / np.linalg.norm(STATES, axis=1, keepdims=True),
)
add(
    "AmplitudeEmbedding at the end",
    then(lambda i, w: qml.AmplitudeEmbedding(i, [1, 2], normalize=True), mix, out=lambda: z(1)),
    rows=STATES,
)
add("StatePrep", then(lambda i, w: qml.StatePrep(i, range(2), normalize=True), mix), rows=STATES)
add(
    "StatePrep of a function",
    then(lambda i, w: qml.StatePrep(qml.math.stack([qml.math.cos(i[0]), qml.math.sin(i[0])]), 0), mix),
)
add(
    "MottonenStatePreparation",
    then(lambda i, w: qml.MottonenStatePreparation(i / qml.math.sqrt(qml.math.sum(i**2)), range(2)), mix),
    rows=STATES,
)
add("BasisEmbedding", then(lambda i, w: qml.BasisEmbedding(i, range(2)), mix), rows=BITS)
add("BasisState", then(lambda i, w: qml.BasisState(i, range(2)), mix), rows=BITS)
add("X where a bit is set", then(lambda i, w: [qml.X(k) for k in range(2) if i[k]], mix), rows=BITS)
add("bits as angles", then(lambda i, w: [qml.RX(np.pi * i[k], k) for k in range(2)], mix), rows=BITS)
add("IQPEmbedding", then(lambda i, w: qml.IQPEmbedding(i, range(2), n_repeats=2), mix))
add("IQPEmbedding pattern", then(lambda i, w: qml.IQPEmbedding(i, range(2), pattern=[[1, 0]]), mix))
add("QAOAEmbedding", then(lambda i, w: qml.QAOAEmbedding(i, w, range(2))), {"weights": (2, 3)})
add(
    "QAOAEmbedding Z fields",
    then(lambda i, w: qml.QAOAEmbedding(i, w, range(2), local_field="Z")),
    {"weights": (1, 3)},
)
add(
    "re-uploading",
    then(lambda i, w: [[qml.RY(i[0] * w[k] + w[k + 1], 0), qml.RZ(i[1], 0)] for k in range(3)]),
    {"weights": 4},
)
add(
    "re-uploading in a loop over layers",
    then(lambda i, w: [qml.Rot(*(layer * i[:1] + 0.1), wires=0) for layer in w]),
    {"weights": (2, 3)},
)

# -- templates -----------------------------------------------------------------------------------------------------

add(
    "StronglyEntanglingLayers",
    then(encode, lambda i, w: qml.StronglyEntanglingLayers(w, range(3))),
    {"weights": (2, 3, 3)},
)
add(
    "StronglyEntanglingLayers CZ, ranges",
    then(encode, lambda i, w: qml.StronglyEntanglingLayers(w, range(3), ranges=[2, 1], imprimitive=qml.CZ)),
    {"weights": (2, 3, 3)},
)
add(
    "BasicEntanglerLayers",
    then(encode, lambda i, w: qml.BasicEntanglerLayers(w, range(3))),
    {"weights": (2, 3)},
)
add(
    "BasicEntanglerLayers RZ",
    then(encode, lambda i, w: qml.BasicEntanglerLayers(w, range(3), rotation=qml.RZ)),
    {"weights": (2, 3)},
)
add("RandomLayers", then(encode, lambda i, w: qml.RandomLayers(w, range(3), seed=5)), {"weights": (2, 3)})
add(
    "SimplifiedTwoDesign",
    then(encode, lambda i, w: qml.SimplifiedTwoDesign(w[:3], w[3:].reshape(1, 2, 2), range(3))),
    {"weights": 7},
)
add(
    "two weights",
    lambda inputs, first, layers: (
        qml.AngleEmbedding(inputs, range(2)),
        qml.SimplifiedTwoDesign(first, layers, range(2)),
        z(),
    )[-1],
    {"first": 2, "layers": (1, 1, 2)},
)
add(
    "ParticleConservingU1",
    then(encode, lambda i, w: qml.ParticleConservingU1(w, range(2), init_state=[1, 0])),
    {"weights": (1, 1, 2)},
)
add(
    "ParticleConservingU2",
    then(lambda i, w: qml.ParticleConservingU2(w, range(2), init_state=[1, 0]), encode),
    {"weights": (1, 3)},
)
add(
    "GateFabric",
    then(lambda i, w: qml.GateFabric(w, range(4), init_state=[1, 1, 0, 0]), encode),
    {"weights": (1, 1, 2)},
    wires=4,
)
add(
    "AllSinglesDoubles",
    then(
        lambda i, w: qml.AllSinglesDoubles(
            w, range(4), np.array([1, 1, 0, 0]), singles=[[0, 2]], doubles=[[0, 1, 2, 3]]
        ),
        encode,
    ),
    wires=4,
)
add(
    "UCCSD",
    then(
        lambda i, w: qml.UCCSD(
            w, range(4), s_wires=[[0, 1, 2]], d_wires=[[[0, 1], [2, 3]]], init_state=np.array([1, 1, 0, 0])
        ),
        encode,
    ),
    wires=4,
)
add("ArbitraryUnitary", then(encode, lambda i, w: qml.ArbitraryUnitary(w, [0, 1])), {"weights": 15})
add(
    "ArbitraryStatePreparation",
    then(lambda i, w: qml.ArbitraryStatePreparation(w, [0, 1]), encode),
    {"weights": 6},
)
add("QFT", then(encode, mix, lambda i, w: qml.QFT(range(3)), mix))
add("AQFT", then(encode, mix, lambda i, w: qml.AQFT(1, range(3)), mix))
add("GroverOperator", then(encode, mix, lambda i, w: qml.GroverOperator(range(3))))
add("Permute", then(encode, mix, lambda i, w: qml.Permute([2, 0, 1], range(3))))
add(
    "MPS",
    then(encode, lambda i, w: qml.MPS(range(4), 2, _block, 2, template_weights=w)),
    {"weights": (3, 2)},
    wires=4,
)
add(
    "TTN",
    then(encode, lambda i, w: qml.TTN(range(4), 2, _block, 2, template_weights=w)),
    {"weights": (3, 2)},
    wires=4,
)
add(
    "MERA",
    then(encode, lambda i, w: qml.MERA(range(4), 2, _block, 2, template_weights=w)),
    {"weights": (5, 2)},
    wires=4,
)
add(
    "QAOA layers",
    then(
        encode,
        lambda i, w: (
            qml.qaoa.cost_layer(w[0], qml.Z(0) @ qml.Z(1)),
            qml.qaoa.mixer_layer(w[1], qml.X(0) + qml.X(1)),
        ),
    ),
)
add("qml.layer", then(encode, lambda i, w: qml.layer(lambda v: mix(None, v), 2, w)), {"weights": (2, 2)})
add(
    "ApproxTimeEvolution",
    then(
        encode,
        lambda i, w: qml.ApproxTimeEvolution(
            qml.Hamiltonian([0.3, 0.7], [qml.X(0), qml.Z(0) @ qml.Y(1)]), w[0], 2
        ),
        turn,
    ),
)
add(
    "TrotterProduct 1",
    then(
        encode,
        lambda i, w: qml.TrotterProduct(
            qml.dot([0.4, 0.9], [qml.X(0), qml.Z(0) @ qml.Z(1)]), w[0], n=2, order=1
        ),
        turn,
    ),
)
add(
    "TrotterProduct 2 of data",
    then(
        encode,
        lambda i, w: qml.TrotterProduct(qml.dot([0.4, 0.9], [qml.X(0), qml.Z(1)]), i[0], order=2),
        turn,
    ),
)
add(
    "CommutingEvolution",
    then(
        encode,
        lambda i, w: qml.CommutingEvolution(qml.Hamiltonian([1.0, 0.5], [qml.Z(0), qml.Z(1)]), w[0]),
        turn,
    ),
)
add(
    "ControlledSequence",
    then(encode, lambda i, w: qml.ControlledSequence(qml.RX(w[0], 2), control=[0, 1]), turn),
)
add(
    "QuantumPhaseEstimation",
    then(
        encode,
        lambda i, w: qml.QuantumPhaseEstimation(qml.PhaseShift(w[0], 0), estimation_wires=[1, 2]),
        turn,
        out=lambda: z(1),
    ),
)
add(
    "Select",
    then(encode, lambda i, w: qml.Select([qml.RX(w[0], 2), qml.RY(w[1], 2)], control=[0]), out=lambda: z(2)),
)
add(
    "SelectPauliRot",
    then(encode, lambda i, w: qml.SelectPauliRot(w, [0], 2, rot_axis="X"), out=lambda: z(2)),
)
add("FlipSign", then(encode, lambda i, w: qml.FlipSign([1, 0], [0, 1]), turn))
add("Reflection", then(encode, lambda i, w: qml.Reflection(qml.RX(0.4, 0), w[0]), turn))
add(
    "AmplitudeAmplification",
    then(
        encode, mix, lambda i, w: qml.AmplitudeAmplification(qml.Hadamard(0), qml.FlipSign(1, [0]), iters=1)
    ),
)
add(
    "BasisRotation",
    then(
        lambda i, w: qml.X(0),
        lambda i, w: qml.BasisRotation([0, 1], np.array([[0.6, 0.8], [-0.8, 0.6]])),
        encode,
        mix,
    ),
)
add(
    "BlockEncode of constants",
    then(encode, mix, lambda i, w: qml.BlockEncode(np.array([[0.3, 0.1], [0.2, 0.4]]), range(2))),
)
add(
    "DiagonalQubitUnitary of constants",
    then(encode, lambda i, w: qml.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), [0, 1]), mix),
)
add(
    "QubitUnitary of constants",
    then(encode, lambda i, w: qml.QubitUnitary(np.array([[0, 1j], [1j, 0]]), 0), mix),
)
add(
    "FermionicSingleExcitation",
    then(lambda i, w: qml.X(0), lambda i, w: qml.FermionicSingleExcitation(w[0], [0, 1, 2]), encode, turn),
)
add(
    "ISWAP and friends",
    then(
        encode,
        mix,
        lambda i, w: (
            qml.ISWAP([0, 1]),
            qml.SISWAP([1, 2]),
            qml.ECR([0, 2]),
            qml.SX(0),
            qml.T(1),
            qml.S(0),
            qml.CH([0, 1]),
            qml.CCZ([0, 1, 2]),
            qml.CSWAP([0, 1, 2]),
            qml.Toffoli([0, 1, 2]),
        ),
    ),
)
add(
    "MultiControlledX",
    then(encode, mix, lambda i, w: qml.MultiControlledX([0, 1, 2], control_values=[0, 1]), out=lambda: z(2)),
)


def _block(weights: Any, wires: Any) -> None:
    qml.RY(weights[0], wires[0])
    qml.RY(weights[1], wires[1])
    qml.CNOT(wires)


# -- gates with angles ---------------------------------------------------------------------------------------------

ONE = ["RX", "RY", "RZ", "PhaseShift", "U1"]
TWO = [
    "CRX",
    "CRY",
    "CRZ",
    "ControlledPhaseShift",
    "CPhaseShift00",
    "CPhaseShift01",
    "CPhaseShift10",
    "IsingXX",
    "IsingYY",
    "IsingZZ",
    "IsingXY",
    "PSWAP",
    "SingleExcitation",
    "SingleExcitationPlus",
    "SingleExcitationMinus",
    "FermionicSWAP",
]
for gate in ONE:
    add(gate, then(encode, lambda i, w, g=gate: getattr(qml, g)(w[0] * i[0], 0), turn))
for gate in TWO:
    add(gate, then(encode, lambda i, w, g=gate: getattr(qml, g)(w[0] + i[1], [0, 1]), turn))
add("Rot", then(encode, lambda i, w: qml.Rot(w[0], w[1], i[0], 0), turn))
add("U2", then(encode, lambda i, w: qml.U2(w[0], w[1], 0), turn))
add("U3", then(encode, lambda i, w: qml.U3(w[0], w[1], i[0], 0), turn))
add("CRot", then(encode, lambda i, w: qml.CRot(w[0], w[1], i[0], [0, 1]), turn))
add(
    "DoubleExcitation",
    then(lambda i, w: (qml.X(0), qml.X(1), qml.DoubleExcitation(w[0], range(4))), encode, turn),
    wires=4,
)
add(
    "OrbitalRotation",
    then(lambda i, w: (qml.X(0), qml.OrbitalRotation(w[0], range(4))), encode, turn),
    wires=4,
)
add("MultiRZ", then(encode, lambda i, w: qml.MultiRZ(w[0], [0, 1, 2]), turn))
add("PauliRot", then(encode, lambda i, w: qml.PauliRot(w[0] * i[1], "XYZ", [0, 1, 2]), turn))
add("GlobalPhase", then(encode, lambda i, w: qml.GlobalPhase(w[0]), turn))
add("controlled global phase", then(encode, lambda i, w: qml.ctrl(qml.GlobalPhase(w[0]), 0), turn))
add("PCPhase", then(encode, lambda i, w: qml.PCPhase(w[0], dim=2, wires=[0, 1]), turn))
add("adjoint", then(encode, lambda i, w: qml.adjoint(qml.Rot)(w[0], w[1], i[0], wires=0), turn))
add("adjoint of a function", then(encode, lambda i, w: qml.adjoint(mix)(i, w), turn))
add("ctrl", then(encode, lambda i, w: qml.ctrl(qml.RX, control=1)(w[0], wires=0), turn))
add(
    "ctrl on zero",
    then(
        encode,
        lambda i, w: qml.ctrl(qml.Rot(w[0], w[1], 0.3, 2), [0, 1], control_values=[0, 1]),
        turn,
        out=lambda: z(2),
    ),
)
add("ctrl of a function", then(encode, lambda i, w: qml.ctrl(turn, 2)(i, w), turn))
add("pow", then(encode, lambda i, w: qml.pow(qml.RX(w[0], 0), 3), turn))
add("root", then(encode, lambda i, w: qml.pow(qml.RX(w[0], 0), 0.5), turn))
add("product of gates", then(encode, lambda i, w: qml.RX(w[0], 0) @ qml.RY(w[1], 1), turn))
add("product with a list of wires", then(encode, lambda i, w: qml.CNOT([0, 1]) @ qml.RX(w[0], 0), turn))
add("exp", then(encode, lambda i, w: qml.exp(qml.X(0) @ qml.Y(1), -0.5j * w[0]), turn))
add("evolve", then(encode, lambda i, w: qml.evolve(qml.Z(0) @ qml.X(1), w[0]), turn))
add("evolve a sum", then(encode, lambda i, w: qml.evolve(qml.X(0) + 0.5 * qml.Z(1), w[0]), turn))
add(
    "QubitUnitary of a weight",
    then(
        encode,
        lambda i, w: qml.QubitUnitary(
            qml.math.stack(
                [
                    qml.math.stack([qml.math.cos(w[0]), -qml.math.sin(w[0])]),
                    qml.math.stack([qml.math.sin(w[0]), qml.math.cos(w[0])]),
                ]
            ),
            0,
        ),
        turn,
    ),
)
add("change_op_basis", then(encode, lambda i, w: qml.change_op_basis(qml.Hadamard(0), qml.RZ(w[0], 0)), turn))
add("barrier, snapshot, identity", then(encode, lambda i, w: (qml.Barrier([0, 1]), qml.Identity(0)), mix))
add("a constant angle", then(encode, lambda i, w: qml.RX(0.3, 0), mix))

# -- measurements --------------------------------------------------------------------------------------------------

both = (encode, mix)
SPARSE = qml.Hamiltonian([0.5, 1.5], [qml.Z(0), qml.X(1)]).sparse_matrix([0, 1])
H = np.array([[1.0, 0.5 - 0.2j], [0.5 + 0.2j, -0.3]])
add("a list", then(*both, out=lambda: [z(0), z(1)]))
add("a tuple of one", then(*both, out=lambda: (z(0),)))
add("a dict", then(*both, out=lambda: {"a": z(0), "b": z(1)}))
add(
    "X Y tensor",
    then(
        *both, lambda i, w: (qml.S(1), qml.Rot(0.3, 0.4, 0.5, 0)), out=lambda: qml.expval(qml.X(0) @ qml.Y(1))
    ),
)
add("identity beside", then(*both, out=lambda: qml.expval(qml.Z(0) @ qml.I(1) + 2 * qml.I(0))))
add("Hermitian", then(*both, out=lambda: qml.expval(qml.Hermitian(H, 0))))
add("Projector", then(*both, out=lambda: qml.expval(qml.Projector([1, 0], [0, 1]))))
add("Projector of a state", then(*both, out=lambda: qml.expval(qml.Projector(np.array([0.6, 0.8]), [0]))))
add(
    "Hamiltonian",
    then(*both, out=lambda: qml.expval(qml.Hamiltonian([0.3, -1.2], [qml.Z(0), qml.X(0) @ qml.X(1)]))),
)
add("large coefficients", then(*both, out=lambda: qml.expval(1e9 * qml.Z(1) + 1e9 * qml.X(0) @ qml.Y(1))))
add("tiny coefficients", then(*both, out=lambda: qml.expval(1e-9 * qml.Z(1))))
add(
    "SparseHamiltonian",
    then(*both, out=lambda: qml.expval(qml.SparseHamiltonian(SPARSE, [0, 1]))),
)
add("probs of wires", then(*both, out=lambda: qml.probs(wires=[1, 0])))
add("probs of all", then(*both, out=lambda: qml.probs()))
add("probs of an observable", then(*both, out=lambda: qml.probs(op=qml.X(0))))
add("probs of a Hermitian", then(*both, out=lambda: qml.probs(op=qml.Hermitian(H, 0))))
add("probs and expval", then(*both, out=lambda: (qml.probs(wires=0), z(1))))
add("var", then(*both, out=lambda: qml.var(qml.Z(0))))
add("purity", then(*both, out=lambda: qml.purity([0])))
add("vn_entropy", then(*both, out=lambda: qml.vn_entropy([0])))
add("mutual_info", then(*both, out=lambda: qml.mutual_info([0], [1])))
add("state", then(*both, out=lambda: qml.state()), refused="returning complex numbers|state|expectation")
add("density matrix", then(*both, out=lambda: qml.density_matrix([0])), refused="complex|density|expectation")
add("sample", then(*both, out=lambda: qml.sample(qml.Z(0))), refused="sample|shots|expectation")
add("counts", then(*both, out=lambda: qml.counts()), refused="counts|shots|expectation")
add(
    "coefficient of a weight",
    lambda inputs, weights: (
        encode(inputs, weights),
        mix(inputs, weights),
        qml.expval(weights[0] * qml.Z(0)),
    )[-1],
)
add(
    "coefficients of data",
    lambda inputs, weights: (
        encode(inputs, weights),
        mix(inputs, weights),
        qml.expval(qml.Hamiltonian(inputs, [qml.Z(0), qml.X(1)])),
    )[-1],
)
add(
    "coefficients of both",
    lambda inputs, weights: (
        encode(inputs, weights),
        mix(inputs, weights),
        qml.expval(inputs[0] * qml.Z(0) + weights[0] * qml.X(0)),
    )[-1],
)

# -- wires, devices, options ---------------------------------------------------------------------------------------

named = then(
    lambda i, w: (
        qml.RY(i[0], "a"),
        qml.RX(i[1], "b"),
        qml.CNOT(["a", "b"]),
        qml.RY(w[0], "a"),
        qml.RX(w[1], "b"),
    ),
    out=lambda: z("a"),
)
add("named wires", named, wires=["a", "b"])
add(
    "named wires in another order",
    then(lambda i, w: (qml.RY(i[0] + w[0], "a"), qml.RX(w[1] * i[1], "b")), out=lambda: qml.probs()),
    wires=["b", "a"],
)
add("no wires given", then(*both), wires=None)
add(
    "no wires given, probs",
    then(lambda i, w: (qml.RY(i[0] + w[0], 2), qml.RX(w[1] * i[1], 0)), out=lambda: qml.probs()),
    wires=None,
)
add(
    "negative and mixed labels",
    then(
        lambda i, w: (qml.RY(i[0] + w[0], -1), qml.CNOT([-1, "q"]), qml.RX(w[1] * i[1], "q")),
        out=lambda: z("q"),
    ),
    wires=[-1, "q", 7],
)
add("lightning", then(*both), device="lightning.qubit")
for method in ("parameter-shift", "adjoint", "finite-diff", "backprop", None):
    add(f"diff_method {method}", then(*both), diff_method=method)
for interface in ("autograd", "torch", "numpy", None):
    add(f"interface {interface}", then(*both), interface=interface)
add("unused wires", then(*both), wires=6)
add(
    "weights by keyword only",
    (lambda: lambda inputs, *, weights: (encode(inputs, weights), mix(inputs, weights), z())[-1])(),
)
add("weights first", lambda weights, inputs: (encode(inputs, weights), mix(inputs, weights), z())[-1])
add(
    "a default argument",
    lambda inputs, weights, scale=2.0: (encode(inputs, weights), mix(inputs, scale * weights), z())[-1],
)
add(
    "a scalar weight",
    lambda inputs, weight: (encode(inputs, None), qml.RX(weight, 0), z())[-1],
    {"weight": 1},
)
add(
    "a matrix of weights",
    then(encode, lambda i, w: [qml.RY(w[k, 0], k) for k in range(2)]),
    {"weights": (2, 2)},
)
add(
    "scalar inputs",
    lambda inputs, weights: (qml.RY(inputs * weights[0], 0), qml.RX(weights[1], 0), z())[-1],
    rows=np.array([0.3, -1.4]),
)
add(
    "rows that are matrices",
    then(
        lambda i, w: [qml.RY(i[k, 0] + w[k], k) for k in range(2)],
        lambda i, w: [qml.RX(i[k, 1], k) for k in range(2)],
        mix,
    ),
    rows=np.arange(8.0).reshape(2, 2, 2) / 3,
)
add("inputs[..., 0]", then(lambda i, w: (qml.RY(i[..., 0], 0), qml.RX(i[..., 1], 1)), mix))

# -- measured on the way -------------------------------------------------------------------------------------------


def measured(inputs: Any, weights: Any) -> Any:
    qml.RY(inputs[0] + weights[0], 0)
    m = qml.measure(0)
    qml.cond(m, qml.RX)(weights[1], 1)
    return qml.expval(qml.Z(1))


def measured_value(inputs: Any, weights: Any) -> Any:
    qml.RY(inputs[0] * weights[0], 0)
    m = qml.measure(0)
    qml.RX(weights[1], 0)
    return qml.expval(m), qml.expval(qml.Z(0))


def measured_probs(inputs: Any, weights: Any) -> Any:
    qml.RY(inputs[0] * weights[0], 0)
    m = qml.measure(0)
    qml.RX(weights[1], 0)
    return qml.probs(op=m)


def measured_and_reset(inputs: Any, weights: Any) -> Any:
    qml.RY(inputs[0] + weights[0], 0)
    qml.measure(0, reset=True)
    qml.RX(weights[1], 0)
    qml.CNOT([0, 1])
    return qml.expval(qml.Z(1))


def measured_twice(inputs: Any, weights: Any) -> Any:
    qml.RY(inputs[0] + weights[0], 0)
    qml.RY(weights[1], 1)
    a, b = qml.measure(0), qml.measure(1)
    qml.cond(a + b == 1, qml.X)(2)
    return qml.expval(qml.Z(2))


add("measure and cond", measured)
add("expval of a measured value", measured_value)
add("probs of a measured value", measured_probs)
add("measure and reset", measured_and_reset)
add("two measured values", measured_twice)
add("deferred measurements", measured, transforms=(qml.defer_measurements,), wires=4)

# -- transforms ----------------------------------------------------------------------------------------------------


@qml.transform
def doubled(tape: Any) -> Any:
    return (tape,), lambda results: 2 * results[0]


@qml.transform
def averaged(tape: Any) -> Any:
    shifted = tape.copy(operations=[*tape.operations, qml.RX(0.3, 0)])
    return (tape, shifted), lambda results: (results[0] + results[1]) / 2


for transform in (
    qml.compile,
    qml.transforms.merge_rotations,
    qml.transforms.cancel_inverses,
    qml.transforms.single_qubit_fusion,
    qml.transforms.commute_controlled,
    qml.transforms.undo_swaps,
    qml.transforms.split_non_commuting,
    qml.transforms.split_to_single_terms,
    qml.transforms.unitary_to_rot,
    qml.transforms.combine_global_phases,
    doubled,
    averaged,
):
    name = getattr(transform, "__name__", None) or getattr(transform, "_transform", transform).__name__
    add(
        f"transform {name}",
        then(encode, lambda i, w: qml.RX(0.2, 0), mix, out=lambda: qml.expval(0.5 * qml.Z(0) + qml.X(0))),
        transforms=(transform,),
    )
add(
    "decompose",
    then(encode, lambda i, w: qml.Rot(w[0], w[1], 0.1, 0)),
    transforms=(functools.partial(qml.transforms.decompose, gate_set={"RX", "RY", "RZ", "CNOT"}),),
)
add(
    "zero-noise extrapolation",
    then(*both),
    transforms=(
        functools.partial(
            qml.noise.mitigate_with_zne,
            scale_factors=[1, 3],
            folding=qml.noise.fold_global,
            extrapolate=qml.noise.poly_extrapolate,
            extrapolate_kwargs={"order": 1},
        ),
    ),
)

# -- Python in between ---------------------------------------------------------------------------------------------

add("NumPy on inputs", then(lambda i, w: qml.RY(np.sin(i[0]) + np.arctan(i[1]), 0), turn))
add("math on inputs", then(lambda i, w: qml.RY(math.sin(i[0]), 0), turn))
add("float of an input", then(lambda i, w: qml.RY(float(i[0]) ** 2, 0), turn))
add("a branch on inputs", then(lambda i, w: qml.RY(i[0], 0) if i[0] > 0.2 else qml.RX(w[0], 0), turn))
add(
    "a gate where an input is large",
    then(lambda i, w: qml.RX(w[1], 0), lambda i, w: qml.X(0) if i[1] > 0.3 else None, turn),
)
add("qml.cond on data", then(lambda i, w: qml.cond(i[0] > 0, qml.RX)(w[0], wires=0), turn))
add(
    "a loop as long as an input",
    then(lambda i, w: [qml.RX(w[0], 0) for _ in range(int(i[0]))], turn),
    rows=np.array([[2, 0], [0, 1]]),
)
add("an enumeration of inputs", then(lambda i, w: [qml.RY(v, k) for k, v in enumerate(i)], mix))
add("sqrt of a weight", then(encode, lambda i, w: qml.RX(i[0] * w[0] ** 0.5, 0), turn))
add("exponentials", then(encode, lambda i, w: qml.RX(qml.math.exp(-w[0]) * i[0], 0), turn))
for function in (
    "tanh",
    "sin",
    "arctan",
    "abs",
    "sqrt",
    "log1p" if hasattr(qml.math, "log1p") else "cosh",
    "square",
):
    add(
        f"qml.math.{function}",
        then(encode, lambda i, w, f=function: qml.RX(getattr(qml.math, f)(w[0]) * i[0], 0), turn),
    )
add("a sum and a mean", then(encode, lambda i, w: qml.RX(qml.math.sum(w) * qml.math.mean(i), 0), turn))
add("a maximum", then(encode, lambda i, w: qml.RX(qml.math.max(w), 0), turn))
add("a dot product", then(encode, lambda i, w: qml.RX(qml.math.dot(i, w), 0), turn))
add("a modulus", then(encode, lambda i, w: qml.RX(w[0] % 1.7, 0), turn))
add("where", then(encode, lambda i, w: qml.RX(qml.math.where(i[0] > 0, w[0], 2 * w[0]), 0), turn))
add(
    "an array of constants",
    then(encode, lambda i, w: [qml.RX(c * w[0], 0) for c in np.linspace(0, 1, 3)], turn),
)


class Callable_:
    """A QNode's function may be any callable."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def body(self, inputs: Any, weights: Any) -> Any:
        qml.RY(self.scale * inputs[0], 0)
        turn(inputs, weights)
        return z()


add("a bound method", Callable_(1.7).body)
add(
    "a closure over an array",
    (lambda table: then(encode, lambda i, w: qml.RX(table[1] * w[0], 0), turn))(np.array([0.3, 1.2])),
)
add(
    "a closure over a tensor",
    (lambda table: then(encode, lambda i, w: qml.RX(float(table[1]) * w[0], 0), turn))(
        torch.tensor([0.3, 1.2])
    ),
)


def written_into(inputs: Any, weights: Any) -> Any:
    inputs[0] = inputs[0] * 2
    qml.RY(inputs[0], 0)
    turn(inputs, weights)
    return z()


add("inputs written into", written_into)
