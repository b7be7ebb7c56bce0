"""Derivatives of programs, held to central differences, to each other and to the adjoint sweep."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qlazy
from qlazy.quantum.backends.programs import lowered_program
from qlazy.quantum.corpus import load_program, program_from_qasm
from qlazy.quantum.derivatives import additive_form, differentiate, find_element
from qlazy.quantum.program.analysis import occurrences
from tests.quantum.programs import HEADER, programs

PARAMS = torch.tensor([0.7, -0.4], dtype=torch.float64)
ROWS = torch.tensor([[0.3], [1.1]], dtype=torch.float64)
STEP = 1e-5


def differences(function, params, index, step=STEP):
    """Central differences, good to about 1e-10."""
    shift = step * torch.eye(len(params), dtype=params.dtype)[index]
    return (function(params + shift) - function(params - shift)) / (2 * step)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.sampled_from(["exit", "discard"]), st.sampled_from([("a", 0), ("b", 1)]))
def test_random_programs(text, loops, parameter):
    name, index = parameter
    program = replace(program_from_qasm(text), loops=loops)
    circuit = lowered_program(program)
    gadget = differentiate(program, name, "ancilla")
    found = gadget.evaluate(PARAMS, ROWS)
    shifted = differentiate(program, name, "shift").evaluate(PARAMS, ROWS)
    adjoint = circuit.jacobian(PARAMS, ROWS)[..., index]
    expected = differences(lambda params: circuit.outputs(params, ROWS), PARAMS, index)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(found, shifted, rtol=0, atol=1e-10)
    torch.testing.assert_close(found, adjoint, rtol=0, atol=1e-10)
    counted = occurrences(program, name)
    assert len(gadget) == counted.programs <= counted.occurrences


@pytest.mark.parametrize("modes", [("ancilla", "ancilla"), ("shift", "ancilla"), ("shift", "shift")])
def test_second_derivatives(modes):
    text = (
        f"{HEADER} t = a * b; c[0] = measure q[0]; if (c[0]) {{ t = t * a; }} rx(t) q[1]; crx(b) q[1], q[0];"
    )
    program = program_from_qasm(text)
    first = differentiate(program, "a", modes[0])
    second = differentiate(first, "b", modes[1])
    expected = differences(lambda params: first.evaluate(params, ROWS), PARAMS, 1)
    torch.testing.assert_close(second.evaluate(PARAMS, ROWS), expected, rtol=0, atol=1e-8)


def test_a_derivative_in_data():
    program = program_from_qasm(
        f"{HEADER} ry(b * x) q[0]; c[0] = measure q[0]; if (c[0]) {{ rx(x * x) q[1]; }}"
    )
    outputs = lowered_program(program).outputs
    expected = (outputs(PARAMS, ROWS + STEP) - outputs(PARAMS, ROWS - STEP)) / (2 * STEP)
    torch.testing.assert_close(
        differentiate(program, "x").evaluate(PARAMS, ROWS), expected, rtol=0, atol=1e-8
    )


def test_closed_form_of_a_rotation():
    """<Z> of RX(a) is cos a, and of RX(a) under a control at ry(b), 1 - sin^2(b/2) (1 - cos a)."""
    program = qlazy.load_circuit("single_qubit").program
    angle = torch.tensor([0.7], dtype=torch.float64)
    for mode in ("ancilla", "shift"):
        assert differentiate(program, "theta", mode).evaluate(angle).item() == pytest.approx(
            -np.sin(0.7), abs=1e-12
        )
    text = 'include "stdgates.inc"; input float a; input float b; qubit[2] q; ry(b) q[0]; crx(a) q[0], q[1];'
    program = program_from_qasm(text, observables=("Z q[1]",))
    a, b = PARAMS.tolist()
    for mode, count in (("ancilla", 2), ("shift", 4)):
        found = differentiate(program, "a", mode)
        assert len(found) == count
        assert found.evaluate(PARAMS).item() == pytest.approx(-(np.sin(b / 2) ** 2) * np.sin(a), abs=1e-12)


def test_branches_pair_their_sites():
    """The count of a branch is the larger of its blocks', and each path has the weight of its own site."""
    text = HEADER + "c[0] = measure q[0]; if (c[0]) { rx(2 * a) q[1]; ry(a) q[1]; } else { rz(b * a) q[1]; }"
    found = differentiate(program_from_qasm(text), "a")
    assert len(found) == 2
    weights = [sorted(str(w) for w, _ in e.weights) for term in found for e in list_of(term)]
    assert weights == [["2.0", "b"]] * len(list_of(found[0])) + [["1.0"]] * len(list_of(found[1]))


def list_of(term):
    from qlazy.quantum.derivatives.experiments import experiments

    return experiments(term)


def test_without_control_the_programs_are_circuits():
    found = differentiate(load_program("hardware_efficient"), ("theta", 3), "shift")
    assert len(found) == 2
    assert all(term.program.is_unitary for term in found)


def test_no_site_no_program():
    program = program_from_qasm(
        'include "stdgates.inc"; input float a; input float b; qubit q; rx(b) q; gphase(a);'
    )
    found = differentiate(program, "a")
    assert len(found) == 0
    assert found.evaluate(PARAMS).item() == 0.0
    assert str(additive_form(program, "a")) == "abort;"


@pytest.mark.parametrize(
    "name", ["p2", "teleportation", "dynamic_reuploading", "adaptive_ghz", "repeat_until_success"]
)
def test_the_corpus(name):
    program = load_program(name)
    generator = torch.Generator().manual_seed(2)
    params = torch.rand(program.num_params, generator=generator, dtype=torch.float64)
    x = torch.rand(3, program.num_features, generator=generator, dtype=torch.float64)
    jacobian = lowered_program(program).jacobian(params, x)
    element = next(reversed(program.weights)), 0
    index = program.num_params - int(np.prod(program.weights[element[0]]))
    found = differentiate(program, element).evaluate(params, x)
    torch.testing.assert_close(found, jacobian[..., index], rtol=0, atol=1e-10)


def test_sampling_is_unbiased_within_its_error():
    program = replace(load_program("repeat_until_success", rounds=6), loops="discard")
    params = torch.tensor([0.4, 1.2, -0.8], dtype=torch.float64)
    exact = differentiate(program, "c").evaluate(params)
    uniform = differentiate(program, "c", "sampled")
    skewed = replace(uniform, probabilities=tuple(1.0 / (1 + j) for j in range(len(uniform.derivative))))
    for sampled in (uniform, skewed):
        found = sampled.estimate(params, samples=20_000, generator=torch.Generator().manual_seed(1))
        # an output whose shares are all zero has no error to be measured in
        assert ((found.value - exact).abs() <= 4 * found.error + 1e-12).all()
        assert (found.error < 0.1).all()


def test_one_drawn_program_carries_its_importance_weight():
    sampled = differentiate(load_program("qaoa_small_shared"), "t1", "sampled")
    term = sampled.draw(torch.Generator().manual_seed(3))
    assert abs(float(str(term.weight))) == pytest.approx(0.5 * len(sampled.derivative))
    same = sampled.draw(torch.Generator().manual_seed(3))
    assert same.program.operations == term.program.operations


def test_one_program_of_a_long_loop_is_built_alone():
    found = differentiate(load_program("repeat_until_success", rounds=5000), "b", "shift")
    assert len(found) == 2 * 5000
    assert len(found[9_999].program.operations) == 5


@pytest.mark.parametrize(
    ("wrt", "message"),
    [
        ("d", "`wrt` must name one of the inputs a, b, c, z, but is d"),
        ("a", "`wrt` must be one element of `a` of shape \\(4, 3\\), such as a\\[0, 0\\], but is a"),
        ("a[4, 0]", "`wrt` must be one element of `a`"),
        (("a", 12), "`wrt` must be an element of `a`, of 12"),
        ("a + b", "`wrt` must be the name of an input"),
    ],
)
def test_refused_parameters(wrt, message):
    with pytest.raises(ValueError, match=message):
        differentiate(load_program("p2"), wrt)


def test_refused_modes_and_inputs():
    with pytest.raises(ValueError, match="`mode` must be one of ancilla, shift, sampled, but is 'adjoint'"):
        differentiate(load_program("p2"), "a[0, 0]", "adjoint")
    with pytest.raises(ValueError, match="`x` must be given, with 4 features, but is absent"):
        differentiate(load_program("p2"), "a[0, 0]").evaluate(torch.zeros(36, dtype=torch.float64))


def test_elements_are_found_in_any_writing():
    program = load_program("p2")
    assert {find_element(program, wrt) for wrt in ("a[1, 2]", "a[1][2]", " a [1,2] ", ("a", 5))} == {("a", 5)}


def test_a_circuit_stands_for_its_program():
    circuit = qlazy.load_circuit("light_cone", n=3)
    name = next(iter(circuit.program.weights))
    element = (name, 0)
    found, expected = differentiate(circuit, element), differentiate(circuit.program, element)
    assert found.program is circuit.program
    assert len(found.terms) == len(expected.terms)
    net = qlazy.mlp([1, 2, 1])
    for other in (net, "text", None):
        with pytest.raises(
            TypeError, match="`program` must be a Program, a Derivative, or a circuit of an OpenQASM"
        ):
            differentiate(other, element)
