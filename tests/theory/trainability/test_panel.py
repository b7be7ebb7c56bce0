"""The whole question: deep circuits with a global observable are flat, shallow local ones are not."""

from __future__ import annotations

import math

import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.base.errors import UnsupportedModelError
from qlazy.drawing.style import caption_of
from qlazy.theory.trainability import Trainability

TEXT = qlazy.load_circuit("hardware_efficient").program.text


def deep(n: int) -> qlazy.Circuit:
    """2 n layers, and the parity of all qubits."""
    parity = " ".join(f"Z q[{k}]" for k in range(n))
    return qlazy.from_qasm(TEXT, n=n, layers=2 * n, observables=(parity,))


def shallow(n: int) -> qlazy.Circuit:
    return qlazy.load_circuit("brickwork", n=n)


def qnode(wires: int = 3) -> qlazy.Circuit:
    @qml.qnode(qml.device("default.qubit", wires=wires))
    def circuit(inputs, weights):  # type: ignore[no-untyped-def]
        qml.AngleEmbedding(inputs, wires=range(wires))
        qml.StronglyEntanglingLayers(weights, wires=range(wires))
        return qml.expval(qml.Z(0))

    return qlazy.Circuit(circuit, {"weights": (2, wires, 3)})


def inputs(rows: int, features: int) -> torch.Tensor:
    return math.pi * torch.rand(
        rows, features, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )


def run(*args, **kwargs) -> Trainability:
    return qlazy.trainability(*args, progress=False, **{"samples": 100, **kwargs})


def test_a_deep_circuit_with_a_global_observable_is_flat() -> None:
    found = run(deep(3), sizes={n: deep(n) for n in (4, 5, 6, 7, 8, 9)}, samples=300)
    assert found.decision == "flat"
    rate = found.gradient_scaling.rate
    assert rate.low > 0.6
    assert rate.high < 1.3
    assert found.sentences()[0].startswith(
        "The variance of the gradient over random angles, by the parameter where it is"
    )
    assert "vanishes exponentially with n: by a factor 2^(-b n), b = " in found.sentences()[0]


def test_a_shallow_circuit_with_a_local_observable_is_not() -> None:
    found = run(shallow(4), sizes=(4, 5, 6, 7, 8, 9), samples=500)
    assert found.decision == "not flat"
    assert "does not vanish" in found.sentences()[0]


@pytest.mark.slow
def test_up_to_twelve_qubits() -> None:
    assert qlazy.trainability(deep(4), sizes=deep, progress=False).decision == "flat"
    assert qlazy.trainability(shallow(4), progress=False).decision == "not flat"


def test_one_size_makes_no_claim_of_vanishing() -> None:
    found = run(qnode(), inputs(6, 3))
    assert found.decision == "one size"
    assert found.sizes == ()
    first = found.sentences()[0]
    assert first.startswith("Of one size, n = 3,")
    assert "vanishes exponentially" not in str(found)
    assert "cannot be told from one size" in first
    assert found.fisher.rank <= found.algebra.dimension == 63


def test_three_sizes_are_undecided() -> None:
    found = run(deep(3), sizes={n: deep(n) for n in (3, 4, 5)})
    assert found.decision == "undecided"


def test_a_function_of_n_gives_qnodes_and_their_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    from qlazy.theory.trainability import panel

    monkeypatch.setattr(panel, "SIZES", (2, 3))
    seen = []

    def rows(n: int) -> torch.Tensor:
        seen.append(n)
        return inputs(5, n)

    found = run(qnode(), rows, sizes=qnode)
    assert seen == [3, 2, 3]
    assert [at.qubits for at in found.sizes] == [2, 3]
    assert [at.kernel("fidelity").inputs for at in found.sizes] == [5, 5]


def test_a_family_is_measured_at_its_sizes_with_all_else_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from qlazy.theory.trainability import panel

    monkeypatch.setattr(panel, "SIZES", (2, 3))
    found = run(qlazy.load_circuit("hardware_efficient", n=2, layers=5))
    assert [(at.qubits, at.params) for at in found.sizes] == [(2, 20), (3, 30)]
    assert run("hardware_efficient", sizes=()).sizes == ()


def test_what_does_not_apply_is_told_and_the_rest_is_measured() -> None:
    tfim = run("tfim", sizes=())
    assert tfim.skipped == {"concentration of kernels": "it takes no data"}
    assert "Not measured: concentration of kernels (it takes no data)." in tfim.sentences()
    wide = run(qlazy.load_circuit("light_cone", n=9), sizes=(), samples=16)
    assert set(wide.skipped) == {"expressibility"}
    assert "at most 8 qubits" in wide.skipped["expressibility"]


def test_a_circuit_that_measures_has_gradients_alone() -> None:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.RX(inputs[0] + w[0], wires=0)
        qml.cond(qml.measure(0), qml.RX)(w[1], wires=1)
        return qml.expval(qml.Z(1))

    found = run(qlazy.Circuit(circuit, {"w": 2}), inputs(4, 1), samples=20)
    assert found.fisher is found.algebra is found.expressibility is None
    assert {"fisher", "algebra", "expressibility"} <= set(found.skipped)
    assert found.here.largest.value > 0
    assert found.plot().axes


def test_what_is_not_seen_is_not_told_for_zero() -> None:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, w):  # type: ignore[no-untyped-def]
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.RX(w[0], wires=0)
        return qml.expval(qml.X(0))

    found = run(qlazy.Circuit(circuit, {"w": (1,)}), inputs(5, 2))
    assert "is 0 ± 0, not told from zero; whether" in found.sentences()[0]
    assert "the entries of the tangent kernel do not differ between inputs" in str(found)
    wide = run(qlazy.load_circuit("light_cone", n=40, backend="paulis"), sizes=(), samples=20)
    assert "of 4^40 - 1 that there can be" in str(wide)
    assert "times 2^-n" not in str(wide)


def test_it_is_the_same_again_and_after_saving(tmp_path) -> None:  # type: ignore[no-untyped-def]
    sizes = {n: deep(n) for n in (2, 3, 4, 5)}
    found, again = (run(deep(2), sizes=sizes, seed=3, samples=40) for _ in range(2))
    assert found.save(tmp_path / "a").read_bytes() == again.save(tmp_path / "b").read_bytes()
    loaded = Trainability.load(tmp_path / "a")
    assert loaded.sentences() == found.sentences()
    assert loaded.table() == found.table()
    assert loaded.decision == found.decision
    assert loaded._repr_html_() == found._repr_html_()
    assert torch.equal(loaded.gradients.variances, found.gradients.variances)
    assert [len(axes.lines) for axes in loaded.plot().axes] == [len(axes.lines) for axes in found.plot().axes]
    (tmp_path / "a" / "trainability.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match="trainability.npz is damaged or not a qlazy result"):
        Trainability.load(tmp_path / "a")


def test_it_does_not_hang_on_where_angles_are_counted_from() -> None:
    """Angles plus a constant are as uniform as before: figures agree within their errors."""
    shifted = TEXT.replace("ry(theta[l, k, 0])", "ry(theta[l, k, 0] + 1.3)")
    one, other = (
        run(qlazy.from_qasm(text, n=3, layers=2), sizes=(), samples=2000).here for text in (TEXT, shifted)
    )
    for name in ("largest", "total"):
        a, b = getattr(one, name), getattr(other, name)
        assert abs(a.value - b.value) < 4 * math.hypot(a.error, b.error)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="`x` must be given for a QNode"):
        run(qnode())
    with pytest.raises(TypeError, match="`sizes` must be {n: Circuit}"):
        run(qnode(), inputs(3, 3), sizes=3)
    with pytest.raises(ValueError, match="`sizes` must be .* which this is not, but is \\[3, 4\\]"):
        run(qnode(), inputs(3, 3), sizes=(3, 4))
    with pytest.raises(TypeError, match="`sizes\\[4\\]` must be such as"):
        run(qnode(), inputs(3, 3), sizes={4: "brickwork"})
    with pytest.raises(TypeError, match="`circuit` must be such as"):
        run(qlazy.mlp([2, 1]), inputs(3, 2))
    with pytest.raises(qlazy.NotFiniteError, match="`x` must be finite"):
        run(qnode(), inputs(3, 3) * math.nan)
    with pytest.raises((ValueError, UnsupportedModelError), match="`name_or_path` must"):
        run("no_such_family")


def test_the_caption_names_the_parameters_of_variance_zero() -> None:
    """Angles of RZ on |0> move nothing: they have no place on a logarithmic axis, and are told."""

    @qml.qnode(qml.device("default.qubit", wires=3))
    def circuit(inputs, weights):  # type: ignore[no-untyped-def]
        for wire in range(3):
            qml.RZ(weights[wire], wires=wire)
            qml.RX(inputs[wire], wires=wire)
            qml.RY(weights[3 + wire], wires=wire)
        return qml.expval(qml.PauliZ(0))

    panel = run(qlazy.Circuit(circuit, {"weights": 6}), inputs(4, 3), samples=20)
    zero = [i for i, value in enumerate(panel.gradients.variances.sum(0).tolist()) if value == 0]
    assert {2, 5} <= set(zero)
    assert 3 not in zero
    caption = caption_of(panel.plot())
    assert caption.endswith(f"; not drawn: variance 0: parameters {', '.join(map(str, zero))}")

    @qml.qnode(qml.device("default.qubit", wires=1))
    def seen(inputs, weights):  # type: ignore[no-untyped-def]
        qml.RY(weights[0], wires=0)
        qml.RX(inputs[0], wires=0)
        qml.RX(weights[1], wires=0)
        return qml.expval(qml.PauliZ(0))

    whole = run(qlazy.Circuit(seen, {"weights": 2}), inputs(4, 1), samples=20)
    assert "not drawn" not in caption_of(whole.plot())
