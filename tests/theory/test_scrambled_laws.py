"""The closed forms against simulations: exact identities to rounding, means within their standard errors."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

import qlazy
from qlazy.quantum.pennylane.states import fidelity_kernel, final_states
from qlazy.quantum.scrambled import haar_unitaries, scrambled_circuit
from qlazy.theory import light_cone as cone
from qlazy.theory import scrambled_laws as theory
from qlazy.theory.curvature import dqntk
from qlazy.training.loop import Record
from qlazy.training.methods import GradientDescent

NO_DATA = torch.zeros(1, 0, dtype=torch.float64)
PAULI_X = torch.tensor([[0, 1], [1, 0]], dtype=torch.complex128)
PAULI_Z = torch.tensor([[1, 0], [0, -1]], dtype=torch.complex128)
I = torch.eye(2, dtype=torch.complex128)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def on_first(matrix: Tensor, qubits: int) -> Tensor:
    for _ in range(qubits - 1):
        matrix = torch.kron(matrix, I)
    return matrix


def sampled_kernels(qubits: int, layers: int, count: int, observable: Tensor, seed: int = 0) -> Tensor:
    """K of ``count`` scrambled circuits, in the Heisenberg picture: the final state and the generators seen
    from the end are all independent and Haar-random. Nothing of the library but its Haar unitaries."""
    generator, N = rng(seed), 2**qubits
    states = haar_unitaries(count, N, generator)[:, :, 0]
    frames = haar_unitaries(count * layers, N, generator).reshape(count, layers, N, N)
    seen = torch.einsum("clba,cb->cla", frames.conj(), states)  # V^+ psi
    turned = torch.einsum("clab,bd,cld->cla", frames, on_first(PAULI_X, qubits), seen)  # G_l psi
    return torch.einsum("cla,ab,cb->cl", turned.conj(), observable, states).imag.square().sum(1)


def assert_mean(samples: Tensor, expected: float, sigmas: float = 4.0) -> None:
    error = samples.std() / math.sqrt(len(samples))
    assert abs(samples.mean() - expected) < sigmas * error, (samples.mean(), expected, error)
    assert error < 0.05 * abs(expected)  # or the test could not fail


@pytest.mark.parametrize(("qubits", "layers"), [(1, 4), (2, 8), (3, 6)])
def test_mean_kernel_of_scrambled_circuits(qubits: int, layers: int) -> None:
    samples = sampled_kernels(qubits, layers, 1500, on_first(PAULI_Z, qubits))
    assert_mean(samples, theory.mean_kernel(layers, qubits))


def test_mean_kernel_of_any_observable() -> None:
    observable = torch.diag(torch.tensor([3.0, 0.0, 1.0, -1.0], dtype=torch.float64)).to(torch.complex128)
    variance = 11 / 4 - (3 / 4) ** 2
    samples = sampled_kernels(2, 8, 2000, observable)
    assert_mean(samples, theory.mean_kernel(8, 2, variance))
    trace, square, N = 3.0, 11.0, 4  # the formula as it is published
    published = 8 * (N * square - trace**2) / (2 * (N - 1) * (N + 1) ** 2)
    assert theory.mean_kernel(8, 2, variance) == pytest.approx(published, rel=1e-14)


def test_mean_kernel_of_the_circuit_itself() -> None:
    """The model that studies use, gates and all, and the page's 3.780 at n = 4, L = 128."""
    assert theory.mean_kernel(128, 4) == pytest.approx(3.780, abs=1e-3)
    generator = rng(3)
    kernels = []
    for _ in range(60):
        circuit = scrambled_circuit(2, 40, generator)
        kernels.append(circuit.jacobian(circuit.init(generator), NO_DATA).square().sum())
    assert_mean(torch.stack(kernels), theory.mean_kernel(40, 2))


@pytest.mark.parametrize(("qubits", "layers"), [(1, 3), (2, 6), (2, 40), (3, 12)])
def test_fluctuation(qubits: int, layers: int) -> None:
    samples = sampled_kernels(qubits, layers, 3000, on_first(PAULI_Z, qubits), seed=1)
    measured = (samples.std() / samples.mean()).item()
    # the relative error of a standard deviation, with the sample's own kurtosis
    centered = samples - samples.mean()
    kurtosis = (centered**4).mean() / (centered**2).mean() ** 2
    error = measured * ((kurtosis - 1) / (4 * len(samples))).sqrt().item()
    expected = theory.kernel_fluctuation(layers, qubits)
    assert abs(measured - expected) < 4 * error, (measured, expected, error)


def test_fluctuation_in_its_limits() -> None:
    for qubits, layers in ((4, 64), (4, 4096), (6, 512), (8, 200000)):
        short = math.sqrt(2 / layers + 2 / 4**qubits)
        assert theory.kernel_fluctuation(layers, qubits) == pytest.approx(short, rel=0.1)
    assert theory.kernel_fluctuation(10**9, 2) > 0.2  # no 1/sqrt(L) law at few qubits
    assert theory.kernel_fluctuation(100, 40) == pytest.approx(math.sqrt(0.02), rel=1e-9)


def a_kernel() -> tuple[Tensor, Tensor]:
    features = torch.randn(4, 3, generator=rng(5), dtype=torch.float64)
    return features @ features.T, torch.randn(4, generator=rng(6), dtype=torch.float64)


def test_frozen_error_is_the_recurrence() -> None:
    kernel, error = a_kernel()
    expected, current = [], error
    for _ in range(6):
        expected.append(current)
        current = current - 0.1 * kernel @ current
    torch.testing.assert_close(theory.frozen_error(kernel, error, 0.1, range(6)), torch.stack(expected))


def test_noise_against_a_simulation() -> None:
    """A linear model with noisy parameters: f = J w, 4000 runs."""
    jacobian = torch.randn(2, 5, generator=rng(1), dtype=torch.float64) / 2
    kernel, target = jacobian @ jacobian.T, torch.tensor([1.0, -0.5], dtype=torch.float64)
    learning_rate, noise, generator = 0.6, 0.05, rng(2)
    w = torch.zeros(5000, 5, dtype=torch.float64)
    losses = []
    for _ in range(60):
        error = w @ jacobian.T - target
        losses.append(error.square().sum(1) / 2)
        w = w - learning_rate * error @ jacobian
        w = w + noise * torch.randn(w.shape, generator=generator, dtype=w.dtype)
    measured = torch.stack(losses)
    expected = theory.noisy_loss(kernel, -target, learning_rate, noise, range(60))
    errors = measured.std(1) / math.sqrt(5000)
    assert ((measured.mean(1) - expected).abs() < 4.5 * errors + 1e-12).all()
    far = theory.noisy_loss(kernel, -target, learning_rate, noise, [5000])[0]
    torch.testing.assert_close(theory.noise_plateau(kernel, learning_rate, noise), far)


def test_noise_plateau_of_one_sample() -> None:
    kernel = torch.tensor([[1.5]], dtype=torch.float64)
    expected = 0.1**2 / (2 * 0.4 * (2 - 0.4 * 1.5))
    assert theory.noise_plateau(kernel, 0.4, 0.1).item() == pytest.approx(expected, rel=1e-14)
    with pytest.raises(ValueError, match="`learning_rate` must be below 2 / lambda_max"):
        theory.noise_plateau(kernel, 1.4, 0.1)


def test_frozen_drift_is_the_linearised_path() -> None:
    """By gradient descent of the linearised model, whose kernel is frozen by construction."""
    model = scrambled_circuit(2, 10, rng(4), features=2)
    anchor = model.init(rng(5))
    x = torch.tensor([[0.3, -2.0], [1.4, 0.5], [-1.0, 1.1]], dtype=torch.float64)
    y = torch.tensor([[0.2], [-0.1], [0.3]], dtype=torch.float64)
    jacobian = model.jacobian(anchor, x).squeeze(1)
    error = model(anchor, x) - y
    start, moved = error, torch.zeros_like(anchor)
    for _ in range(3000):
        moved = moved - 0.3 * jacobian.T @ error.squeeze(1)
        error = start + (jacobian @ moved).unsqueeze(1)
    assert error.norm() < 1e-8
    torch.testing.assert_close(theory.frozen_drift(jacobian @ jacobian.T, start.flatten()), moved.norm())


def test_scrambled_kernel_from_the_final_states() -> None:
    """Averaged over the layers' generators at fixed final states, (n, n), and at one state from f alone."""
    qubits, N = 2, 4
    observable = on_first(PAULI_Z, qubits)
    states = haar_unitaries(2, N, rng(1))[:, :, 0]
    states[1] = (states[0] + 0.7 * states[1]) / (states[0] + 0.7 * states[1]).norm()
    generator, pauli = rng(3), on_first(PAULI_X, qubits)
    frames = haar_unitaries(20000, N, generator)
    turned = torch.einsum("lab,bc,ldc->lad", frames, pauli, frames.conj())
    derivatives = torch.einsum("na,lab,bc,nc->ln", states.conj(), turned, observable, states).imag
    products = derivatives[:, :, None] * derivatives[:, None, :]
    expected = theory.scrambled_kernel(states, observable, 1)
    errors = products.std(0) / math.sqrt(len(products))
    assert ((products.mean(0) - expected).abs() < 4 * errors).all()
    outputs = torch.einsum("na,ab,nb->n", states.conj(), observable, states).real
    torch.testing.assert_close(theory.scrambled_kernel_at(outputs, 1, qubits), expected.diagonal())


def test_the_mean_over_states_of_the_scrambled_kernel_is_the_mean_kernel() -> None:
    """E f^2 = 1 / (N + 1) for a Pauli word on Haar states."""
    for qubits in (1, 2, 5):
        f = torch.tensor(1 / math.sqrt(2**qubits + 1), dtype=torch.float64)
        at = theory.scrambled_kernel_at(f, 7, qubits).item()
        assert at == pytest.approx(theory.mean_kernel(7, qubits), rel=1e-13)


@pytest.mark.parametrize("target", [0.3, -0.8, 1.0, 1.5])
def test_variance_law_solves_its_equation(target: float) -> None:
    """By partial fractions, k t = [...] between f0 and f, with k = K0 / (1 - f0^2)."""
    f0, k0 = 0.2, 1.7
    times = torch.linspace(0, 3, 7, dtype=torch.float64)
    f = theory.variance_law(f0, target, k0, times)

    def primitive(f: Tensor) -> Tensor:
        if target == 1.0:  # of -1 / ((1 - f)^2 (1 + f)) and the sign of f - 1
            return 1 / (2 * (1 - f)) + torch.log((1 + f) / (1 - f)) / 4
        y = target
        return (
            torch.log1p(-f) / (2 * (1 - y))
            + torch.log1p(f) / (2 * (1 + y))
            - torch.log((f - y).abs()) / (1 - y**2)
        )

    start = torch.tensor(f0, dtype=torch.float64)
    elapsed = primitive(f) - primitive(start)
    torch.testing.assert_close(elapsed, k0 / (1 - f0**2) * times, rtol=1e-6, atol=1e-8)


def test_three_dynamics() -> None:
    late = torch.tensor([0.0, 400.0, 800.0], dtype=torch.float64)
    for target in (0.3, -0.8, 1.5):
        f = theory.variance_law(0.2, target, 1.0, late)[-1].item()
        assert f - target == pytest.approx(theory.settled_error(target), abs=1e-8)
        assert (1 - f**2) / (1 - 0.2**2) == pytest.approx(theory.settled_kernel(0.2, target), abs=1e-8)
    edge = 1 - theory.variance_law(0.0, 1.0, 1.0, late)
    assert (2 * late * edge)[1:].tolist() == pytest.approx([1.0, 1.0], abs=0.02)  # error -> 1/(2 eta K0 t)


def test_variance_law_of_a_trained_circuit() -> None:
    circuit = scrambled_circuit(3, 120, rng(8))
    params = circuit.init(rng(9))
    f0 = circuit(params, NO_DATA).item()
    k0 = circuit.jacobian(params, NO_DATA).square().sum().item()
    learning_rate, y = 0.05 / k0, torch.tensor([[0.8]], dtype=torch.float64)
    trace = qlazy.train(
        circuit,
        params,
        (NO_DATA, y),
        steps=120,
        method=GradientDescent(learning_rate),
        record=Record(count=12),
    )
    law = theory.variance_law(f0, 0.8, k0, trace.times.tolist())
    frozen = 0.8 + (f0 - 0.8) * torch.exp(-k0 * torch.tensor(trace.times))
    measured = torch.tensor(trace.train_outputs).flatten()
    off_law, off_frozen = (measured - law).abs().max(), (measured - frozen).abs().max()
    assert off_law < 0.05
    assert off_law < off_frozen / 2


def test_relative_dqntk_of_deep_circuits() -> None:
    """mu / K^2 = -f / (1 - f^2) up to sqrt(2/L): the slope of K against f, without training."""
    measured, expected = [], []
    for seed in range(4):
        generator = rng(seed)
        circuit = scrambled_circuit(2, 150, generator)
        params = circuit.init(generator)
        kernel = circuit.jacobian(params, NO_DATA).square().sum()
        measured.append(dqntk(circuit, params, NO_DATA).squeeze() / kernel**2)
        expected.append(theory.relative_dqntk(circuit(params, NO_DATA).squeeze()))
    measured, expected = torch.stack(measured), torch.stack(expected)
    assert expected.abs().max() > 0.4
    assert (measured - expected).abs().max() < 1.5 * math.sqrt(2 / 150)


def test_shot_bias_of_sampled_kernels() -> None:
    circuit = scrambled_circuit(2, 12, rng(1))
    params = circuit.init(rng(2))
    shifts = math.pi / 2 * torch.eye(12, dtype=torch.float64)
    plus, minus = (
        torch.stack([circuit(params + sign * shift, NO_DATA).squeeze() for shift in shifts])
        for sign in (1, -1)
    )
    exact = circuit.jacobian(params, NO_DATA).square().sum()
    torch.testing.assert_close(((plus - minus) / 2).square().sum(), exact, rtol=1e-10, atol=0)
    shots, generator = 50, rng(3)

    def estimate(count: int) -> Tensor:
        means = [
            2 * torch.binomial(torch.full((count, 12), float(shots), dtype=torch.float64),
                               ((1 + f) / 2).expand(count, 12), generator=generator) / shots - 1
            for f in (plus, minus)
        ]  # fmt: skip
        return (means[0] - means[1]) / 2

    first, second = estimate(20000), estimate(20000)
    assert_mean(first.square().sum(1) - exact, theory.shot_bias(plus, minus, shots).item())
    two = (first * second).sum(1) - exact
    assert abs(two.mean()) < 4 * two.std() / math.sqrt(20000)


@pytest.mark.parametrize("qubits", [3, 4, 5, 6])
def test_light_cone_is_the_circuit(qubits: int) -> None:
    simulated, closed = qlazy.load_circuit("light_cone", n=qubits), cone.light_cone(qubits)
    params = closed.init(rng(qubits))
    x = torch.randn(3, qubits, generator=rng(1), dtype=torch.float64)
    for measure in (simulated, simulated.jacobian, simulated.gram):
        other = closed if measure is simulated else getattr(closed, measure.__name__)
        torch.testing.assert_close(measure(params, x), other(params, x), rtol=0, atol=1e-10)


def test_light_cone_means_are_exact() -> None:
    """K and f f' are of degree two in every angle, so that three nodes an angle average them exactly."""
    model = cone.light_cone(3)
    x = torch.randn(2, 3, generator=rng(2), dtype=torch.float64)
    nodes = [2 * math.pi * j / 3 for j in range(3)]
    grid = torch.tensor(list(itertools.product(nodes, repeat=6)), dtype=torch.float64)
    outputs = torch.func.vmap(lambda w: model(w, x).squeeze(1))(grid)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda w: model(w, x).squeeze(1)))(grid)
    kernels = torch.einsum("gip,gjp->ij", jacobian, jacobian) / len(grid)
    torch.testing.assert_close(kernels, cone.mean_kernel(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(outputs.T @ outputs / len(grid), cone.covariance(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(outputs.mean(0), torch.zeros(2, dtype=x.dtype), rtol=0, atol=1e-12)


def test_thousands_of_qubits() -> None:
    model = cone.light_cone(4096)
    x = math.pi * torch.rand(3, 4096, generator=rng(1), dtype=torch.float64)
    kernel = model.gram(model.init(rng(2)), x).reshape(3, 3)
    torch.testing.assert_close(kernel, cone.mean_kernel(x), rtol=0, atol=0.03)


def test_states_and_their_fidelity() -> None:
    circuit = scrambled_circuit(2, 3, rng(1), features=2)
    params, x = circuit.init(rng(2)), torch.randn(4, 2, generator=rng(3), dtype=torch.float64)
    states = final_states(circuit, params, x)
    outputs = torch.einsum("na,ab,nb->n", states.conj(), on_first(PAULI_Z, 2), states).real
    torch.testing.assert_close(outputs, circuit(params, x).squeeze(1))
    # the layers cancel out: products of cos^2((x - x') / 2)
    expected = torch.cos((x[:, None] - x[None]) / 2).square().prod(2)
    torch.testing.assert_close(fidelity_kernel(circuit, params, x), expected)


def test_orbit_dimension_bounds_the_rank() -> None:
    circuit = scrambled_circuit(1, 6, rng(4), features=1)
    x = torch.linspace(-3, 3, 9, dtype=torch.float64).unsqueeze(1)
    jacobian = circuit.jacobian(circuit.init(rng(5)), x).squeeze(1)
    assert int(torch.linalg.matrix_rank(jacobian, rtol=1e-9)) == theory.orbit_dimension(1) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.mean_kernel(0, 2), "`layers` must be positive, but is 0"),
        (lambda: theory.variance_law(1.0, 0.0, 1.0, [1.0]), "`output0` must lie strictly between"),
        (lambda: theory.shot_bias(torch.ones(2), torch.ones(2), 0), "`shots` must be positive"),
        (lambda: cone.light_cone(2), "`qubits` must be at least 3, but is 2"),
        (lambda: scrambled_circuit(6, 1, rng()), "`qubits` must be 1 to 5, but is 6"),
    ],
)
def test_refusals(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
