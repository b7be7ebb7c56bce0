"""The program as a value: counts, splitting of flat vectors, and refusals of what does not exist."""

import pytest

from qlazy.quantum.corpus import load_program
from qlazy.quantum.program.expression import Constant, Input
from qlazy.quantum.program.program import Gate, PauliSum, PauliTerm, Program

Z0 = (PauliSum.z(0),)


def program(*gates, qubits=("q[0]", "q[1]"), weights=None, data=None, observables=Z0):
    return Program("test", qubits, weights or {}, data or {}, gates, observables)


def test_counts_and_summary():
    example = load_program("data_reuploading", n=3, layers=2)
    assert (example.num_qubits, example.num_params, example.num_features, example.num_outputs) == (
        3,
        18,
        3,
        1,
    )
    assert str(example) == (
        "data_reuploading(n=3, layers=2): 3 qubits, 18 parameters, 3 features, 1 output, 18 gates"
    )


def test_terms_are_collected():
    terms = [PauliTerm(1.0, ((0, "Z"),)), PauliTerm(2.0), PauliTerm(0.5, ((0, "Z"),))]
    assert PauliSum.collect(terms).terms == (PauliTerm(1.5, ((0, "Z"),)), PauliTerm(2.0))


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (Gate("rzz", (Constant(1.0),), (0, 1)), "`gate` must be one of"),
        (Gate("rx", (), (0,)), "angles and wires"),
        (Gate("x", (), (2,)), "act on wires below 2"),
        (Gate("x", (), (0,), (0,), (1,)), "act on distinct wires"),
        (Gate("x", (), (0,), (1,), (2,)), "be 0 or 1"),
        (Gate("x", (), (0,), (1,)), "be 0 or 1, one a control"),
        (Gate("gphase", (Constant(1.0),), (), (0,), (1,)), "have a wire to be controlled"),
        (Gate("unitary", (), (0, 1), matrix=((1, 0), (0, 1))), "have 4 rows"),
        (Gate("rx", (Input("v"),), (0,)), "declared inputs"),
        (Gate("rx", (Input("w", 2),), (0,)), "w, element 2"),
    ],
)
def test_gates_are_checked(gate, message):
    with pytest.raises(ValueError, match=message):
        program(gate, weights={"w": (2,)})


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ((), "at least one term"),
        ((PauliTerm(float("nan")),), "finite"),
        ((PauliTerm(1.0, ((0, "A"),)),), "X, Y or Z"),
        ((PauliTerm(1.0, ((2, "X"),)),), "below 2"),
        ((PauliTerm(1.0, ((1, "X"), (0, "X"))),), "ascending"),
        ((PauliTerm(1.0, ((0, "X"), (0, "Z"))),), "ascending, distinct"),
    ],
)
def test_observables_are_checked(terms, message):
    with pytest.raises(ValueError, match=message):
        program(observables=(PauliSum(terms),))


def test_other_refusals():
    with pytest.raises(ValueError, match="one qubit"):
        program(qubits=())
    with pytest.raises(ValueError, match="be one or more"):
        program(observables=())
    with pytest.raises(ValueError, match="share a name"):
        program(weights={"w": ()}, data={"w": ()})
