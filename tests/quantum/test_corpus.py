"""The corpus: counts as the README states them, closed forms, and the same circuits built elsewhere."""

import re

import numpy as np
import pennylane as qml
import pytest

from qlazy.quantum.corpus import families, folder, load_program, names
from tests import oracle

SIZES = [{}, {"n": 3}, {"n": 5}, {"n": 6, "layers": 1}, {"n": 3, "layers": 4}]
README = (folder() / "README.md").read_text(encoding="utf-8")


def rows():
    """The table of the README: name, then qubits, parameters, inputs and outputs as formulas in the sizes."""
    found = []
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if match := re.match(r"\[(\w+)\]", cells[0]):
            found.append((match[1], [cell.strip("`") for cell in cells[1:5]]))
    return found


def random(size, seed=0):
    return np.random.default_rng(seed).normal(size=size)


def test_the_readme_lists_every_family():
    assert sorted(name for name, _ in rows()) == list(names())
    assert len(names()) >= 10


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(
    ("name", "formulas"), rows(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_formulas_of_the_readme_are_those_of_the_circuits(name, formulas, sizes):
    known = load_program(name).sizes
    program = load_program(name, **{size: value for size, value in sizes.items() if size in known})
    counts = [program.num_qubits, program.num_params, program.num_features, program.num_outputs]
    functions = {"log2ceil": lambda n: int(np.ceil(np.log2(n))), "floor": lambda v: int(v // 1)}
    values = [eval(formula, {"__builtins__": {}}, {**functions, **program.sizes}) for formula in formulas]
    assert counts == values


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_each_family_says_what_it_is_and_where_it_is_from(family):
    assert len(family.description) > 20
    assert "arXiv" in family.source or "closed form" in family.source
    assert family.program.num_qubits <= 4
    assert str(family).startswith(f"{family.name}(")


@pytest.mark.parametrize("name", names())
def test_every_parameter_and_every_feature_is_used(name):
    program = load_program(name)
    used = set().union(*(angle.elements for angle in program.angles))
    shapes = {**program.weights, **program.data}
    assert used == {(key, i) for key, shape in shapes.items() for i in range(int(np.prod(shape)))}


def test_single_qubit_is_the_cosine():
    program = load_program("single_qubit")
    assert oracle.outputs(program, [0.7])[0] == pytest.approx(np.cos(0.7), abs=1e-15)
    assert oracle.jacobian(program, [0.7])[0, 0] ** 2 == pytest.approx(np.sin(0.7) ** 2, abs=1e-9)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_light_cone_is_its_closed_form(n):
    """Abedi, Beigi, Taghavi (arXiv 2202.08232): every <Z_k> involves the angles of three neighbours only."""
    x, a, b = random((3, n), n)
    left, right = (lambda v: np.roll(v, 1)), (lambda v: np.roll(v, -1))
    one = np.cos(x) * np.cos(a) * np.cos(b)
    three = np.cos(left(x)) * np.cos(x) * np.cos(right(x)) * np.cos(left(a)) * np.cos(right(a))
    expected = np.sum(one - three * np.sin(a) * np.sin(b)) / np.sqrt(n)
    result = oracle.outputs(load_program("light_cone", n=n), np.concatenate([a, b]), x)
    np.testing.assert_allclose(result, [expected], atol=1e-12)


def z_of_the_first_qubit(n, circuit):
    device = qml.device("default.qubit", wires=n)

    @qml.qnode(device)
    def evaluate(x):
        qml.AngleEmbedding(x, range(n), rotation="Y")
        circuit()
        return qml.expval(qml.Z(0))

    return lambda x: float(evaluate(x))


@pytest.mark.parametrize(("n", "layers"), [(1, 2), (2, 2), (3, 3), (4, 4)])
def test_strongly_entangling_is_the_template_of_pennylane(n, layers):
    weights, x = random((layers, n, 3)), random(n, 1)
    expected = z_of_the_first_qubit(n, lambda: qml.StronglyEntanglingLayers(weights, range(n)))(x)
    program = load_program("strongly_entangling", n=n, layers=layers)
    assert oracle.outputs(program, weights.ravel(), x)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "layers"), [(2, 1), (3, 2), (4, 3), (5, 1)])
def test_simplified_two_design_is_the_template_of_pennylane(n, layers):
    first, weights, x = random(n), random((layers, n - 1, 2), 1), random(n, 2)
    expected = z_of_the_first_qubit(n, lambda: qml.SimplifiedTwoDesign(first, weights, range(n)))(x)
    program = load_program("simplified_two_design", n=n, layers=layers)
    result = oracle.outputs(program, np.concatenate([first, weights.ravel()]), x)
    assert result[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [4, 5])
def test_qaoa_counts_cut_edges(n):
    """One layer cuts n (1/2 - sin(2 beta) sin(2 gamma) / 4) edges of a ring without triangles.

    Wang, Hadfield, Jiang, Rieffel (arXiv 1706.02998), with their angles in the half-angle convention.
    """
    program = load_program("qaoa_ring", n=n, layers=1)
    for gamma, beta in random((4, 2)):
        expected = n * (0.5 - np.sin(2 * beta) * np.sin(2 * gamma) / 4)
        assert oracle.outputs(program, [gamma, beta])[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_tfim_is_its_energy(n):
    """At zero angles the energy is that of the field's ground state; nowhere is it below the exact one."""
    program = load_program("tfim", n=n, layers=2)
    assert oracle.outputs(program, np.zeros(4))[0] == pytest.approx(-n, abs=1e-12)
    hamiltonian = -sum(
        oracle.product({k: "Z", (k + 1) % n: "Z"}, n) + oracle.product({k: "X"}, n) for k in range(n)
    )
    lowest = np.linalg.eigvalsh(hamiltonian)[0]
    assert all(oracle.outputs(program, random(4, seed))[0] >= lowest - 1e-12 for seed in range(5))
    state = oracle.unitary(program, random(4))[:, 0]
    energy = np.vdot(state, hamiltonian @ state).real
    assert oracle.outputs(program, random(4))[0] == pytest.approx(energy, abs=1e-12)


@pytest.mark.parametrize("name", ["convolutional", "tree_tensor_network", "matrix_product_state"])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_output_depends_on_every_feature(name, n):
    program = load_program(name, n=n)
    params, x = random(program.num_params), random(n, 1)
    for shift in 1e-3 * np.eye(n):
        assert abs(oracle.outputs(program, params, x + shift) - oracle.outputs(program, params, x)) > 1e-9


@pytest.mark.parametrize("name", ["qaoa_ring", "tfim", "light_cone"])
def test_rings_need_three_qubits(name):
    with pytest.raises(ValueError, match="the program requires n >= 3"):
        load_program(name, n=2)


def test_unknown_circuits():
    with pytest.raises(ValueError, match="but is 'tfm' \\(did you mean 'tfim'\\?\\)"):
        load_program("tfm")
    with pytest.raises(ValueError, match="none.qasm:1:1: cannot be read"):
        load_program("none.qasm")
