"""The experiments of ``wide_circuits`` on scrambled circuits: one function an experiment, named after its claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.kernels.prediction import LinearizedPath
from qlazy.models.model import Model
from qlazy.models.wrappers import Centered, Scaled
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.interop.loading import load_circuit
from qlazy.quantum.scrambled import scrambled_circuit
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding, mean_and_error
from qlazy.theory import scrambled_laws as theory
from qlazy.training.drift import log_log_slope
from qlazy.training.history import History
from qlazy.training.loop import Record, train
from qlazy.training.methods import GradientDescent

NO_DATA = torch.zeros(1, 0, dtype=torch.float64)

MEAN, SPREAD, PLATEAU, BIAS = 0.05, 0.25, 0.15, 0.1
"""How far mean kernel, its spread, the plateau and the bias of shots may be from their laws, as shares of these."""

FROZEN = 0.1
"""A kernel that changes by less counts as frozen; the change claimed is about the square of the target."""


class Start(NamedTuple):
    """A scrambled circuit at random angles, with its output and kernel at the one input it has."""

    circuit: Circuit
    params: Tensor
    output: float
    kernel: float


def start(qubits: int, layers: int, seed: int) -> Start:
    generator = torch.Generator().manual_seed(seed)
    circuit = scrambled_circuit(qubits, layers, generator)
    params = circuit.init(generator)
    return Start(circuit, params, circuit(params, NO_DATA).item(), kernel_at(circuit, params))


def kernel_at(model: Model, params: Tensor) -> float:
    """K = ||grad f||^2 at the one input."""
    return model.jacobian(params, NO_DATA).square().sum().item()


def descend(
    begin: Start, target: float, steps: int, *, speed: float = 0.1, model: Model | None = None
) -> History:
    """Gradient descent on 1/2 (f - y)^2 at rate ``speed`` / K0: close to the flow."""
    model = begin.circuit if model is None else model
    y = torch.tensor([[target]], dtype=torch.float64)
    method = GradientDescent(speed / kernel_at(model, begin.params))
    return train(model, begin.params, (NO_DATA, y), steps=steps, method=method, record=Record(count=24))


def mean_kernel_and_fluctuation(qubits: int, layers: int, circuits: int) -> Outcome:
    """T1 and T2: mean and spread of K over circuits."""
    kernels = np.array([start(qubits, layers, 1000 + seed).kernel for seed in range(circuits)])
    mean, expected = kernels.mean(), theory.mean_kernel(layers, qubits)
    size = f"n={qubits}, L={layers}"
    spread = kernels.std(ddof=1) / mean
    centered = kernels - mean
    kurtosis = (centered**4).mean() / (centered**2).mean() ** 2
    spread_error = spread * math.sqrt(max(kurtosis - 1, 1) / (4 * circuits))
    fluctuation = theory.kernel_fluctuation(layers, qubits)
    findings = [
        Finding.mean("T1 mean kernel", f"K / law, {size}", 1.0, kernels / expected, MEAN),
        Finding(
            "T2 fluctuation",
            f"std K / mean K / law, {size}",
            1.0,
            float(spread / fluctuation),
            float(spread_error / fluctuation),
            SPREAD,
            runs=circuits,
        ),
    ]
    return Outcome(findings, {"ensemble_kernels": kernels})


def frozen_error(qubits: int, layers: int, alpha: float) -> Outcome:
    """T3: at a large scale the error decays as (1 - eta K)^t, on several samples."""
    generator = torch.Generator().manual_seed(3)
    circuit = scrambled_circuit(qubits, layers, generator, features=qubits)
    params = circuit.init(generator)
    x = 2 * torch.randn(3, qubits, generator=generator, dtype=torch.float64)
    y = torch.randn(3, 1, generator=generator, dtype=torch.float64)
    trace = train(Centered(circuit, params), params, (x, y), alpha=alpha, steps=60, record=Record(count=20))
    kernel = circuit.gram(params, x).reshape(3, 3).detach() / 3  # of the mean loss
    assert trace.learning_rate is not None
    errors = theory.frozen_error(kernel, -y.flatten(), trace.learning_rate, trace.steps.tolist())
    measured = torch.from_numpy(trace.train_outputs)[..., 0] - y.flatten()
    off = ((measured - errors).norm(dim=1).max() / y.norm()).item()
    finding = Finding("T3 frozen error", f"largest deviation, a={alpha:g}", 0.0, off, tolerance=5 / alpha)
    return Outcome([finding], {})


def noise_plateau(qubits: int, layers: int, steps: int) -> Outcome:
    """T4: the loss that noise on the parameters keeps up. A linear recurrence: the kernel is that on the way."""
    begin, noise, y = start(qubits, layers, 4), 2e-3, 0.3
    generator = torch.Generator().manual_seed(4)
    params, learning_rate = begin.params, 0.5 / begin.kernel
    losses, kernels = [], []
    for _ in range(steps):
        jacobian = begin.circuit.jacobian(params, NO_DATA).flatten()
        error = begin.circuit(params, NO_DATA).item() - y
        losses.append(error**2 / 2)
        kernels.append(float(jacobian.square().sum()))
        noisy = noise * torch.randn(len(params), generator=generator, dtype=torch.float64)
        params = params - learning_rate * error * jacobian + noisy
    late = slice(40, None)
    kernel = float(np.mean(kernels[late]))
    expected = theory.noise_plateau(
        torch.tensor([[kernel]], dtype=torch.float64), learning_rate, noise
    ).item()
    # successive losses are correlated by (1 - eta K)^2
    memory = (1 - learning_rate * kernel) ** 2
    _, error = mean_and_error(losses[late])
    error *= math.sqrt((1 + memory) / (1 - memory))
    mean = float(np.mean(losses[late]))
    plateau = Finding("T4 noise plateau", "loss / law", 1.0, mean / expected, error / expected, PLATEAU)
    return Outcome([plateau], {})


def depth(qubits: int, layers: Sequence[int], seeds: int, steps: int, target: float = 0.5) -> Outcome:
    """T5, T6, T7 and the finding: drift falls as L^-1/2, and the kernel follows f; it does not freeze."""
    table = np.array([[_deep(qubits, L, seed, steps, target) for seed in range(seeds)] for L in layers])
    drift, misfit, frozen, change, predicted, final, settled, law, off_frozen = np.moveaxis(table, 2, 0)
    slope = log_log_slope(layers, drift / misfit)
    deep, spread, finding = f"L={layers[-1]}", math.sqrt(2 / layers[-1]), "drift without freezing"
    findings = [
        Finding(
            "T5 frozen drift",
            "slope of drift / |e0| against L",
            -0.5,
            slope.slope,
            slope.error,
            0.05,
            runs=seeds,
        ),
        Finding.mean("T5 frozen drift", "drift / (|e0| / sqrt K0)", 1.0, (drift / frozen).ravel(), 0.1),
        Finding.mean("T6 kernel on the path", f"K / law, {deep}", 1.0, (final / settled)[-1], spread),
        Finding.mean(
            "T7 variance law", f"largest error in f, {deep}", 0.03, law[-1], relation="<=", effect=0.0
        ),
        Finding.mean(finding, f"|dK|/K less law, {deep}", 0.0, (change - predicted)[-1], spread),
        Finding.mean(finding, f"|dK|/K, {deep}", FROZEN, change[-1], relation=">=", effect=target**2),
    ]
    arrays = {
        "layers": np.array(layers, float), "drift": drift / misfit, "frozen_drift": frozen / misfit,
        "kernel_change": change, "predicted_change": predicted, "law_error": law, "frozen_error": off_frozen,
    }  # fmt: skip
    return Outcome(findings, arrays)


def _deep(qubits: int, layers: int, seed: int, steps: int, target: float) -> tuple[float, ...]:
    begin = start(qubits, layers, seed)
    trace = descend(begin, target, steps)
    final = kernel_at(begin.circuit, torch.from_numpy(trace.params[-1]))
    outputs = trace.train_outputs.ravel()
    times = trace.times.tolist()
    law = theory.variance_law(begin.output, target, begin.kernel, times).numpy()
    frozen = target + (begin.output - target) * np.exp(-begin.kernel * trace.times)
    settled = theory.scrambled_kernel_at(torch.tensor(outputs[-1]), layers, qubits).item()
    return (
        float(trace.drift[-1]), abs(begin.output - target),
        abs(begin.output - target) / math.sqrt(begin.kernel),
        abs(final / begin.kernel - 1), abs(theory.settled_kernel(begin.output, target) - 1), final, settled,
        float(np.abs(outputs - law).max()), float(np.abs(outputs - frozen).max()),
    )  # fmt: skip


def scale(qubits: int, layers: int, alphas: Sequence[float], steps: int) -> Outcome:
    """T8: at h = a (f - f0) drift, gap and kernel change all fall as 1/a.

    By the variance law |dK|/K = |2 f0 y / a + (y / a)^2| / (1 - f0^2): as 1/a from a well above |y / 2 f0| on, and as
    1/a^2 below, where an output that starts near zero makes the kernel blind to first order.
    """
    begin, y = start(qubits, layers, 8), torch.tensor([[0.5]], dtype=torch.float64)
    centered = Centered(begin.circuit, begin.params)
    method = GradientDescent(0.2 / begin.kernel)
    rows = []
    for alpha in alphas:
        trace = train(centered, begin.params, (NO_DATA, y), alpha=alpha, steps=steps, method=method)
        kernel = torch.tensor([[begin.kernel]], dtype=torch.float64)
        path = LinearizedPath(kernel, torch.zeros_like(y), y).steps(0.2 / begin.kernel, trace.steps.tolist())
        gap = np.abs(trace.train_outputs - path.numpy()).max()
        final = kernel_at(begin.circuit, torch.from_numpy(trace.params[-1]))
        rows.append((trace.drift.max(), gap, abs(final / begin.kernel - 1)))
    columns = dict(zip(("drift", "output gap", "|dK|/K"), np.array(rows).T, strict=True))
    findings = []
    for name, values in columns.items():
        slope = log_log_slope(alphas, values)
        findings.append(Finding("T8 output scale", f"slope of {name}", -1.0, slope.slope, tolerance=0.05))
    arrays = {f"scale_{name}": values for name, values in columns.items()}
    return Outcome(findings, {"alphas": np.array(alphas, float), **arrays})


def shots(qubits: int, layers: int, repeats: int, count: int = 100) -> Outcome:
    """T9: the bias of a kernel from shots, and the product of two batches that has none."""
    begin = start(qubits, layers, 9)
    shifts = math.pi / 2 * torch.eye(layers, dtype=torch.float64)
    plus, minus = (
        torch.stack([begin.circuit(begin.params + sign * shift, NO_DATA).squeeze() for shift in shifts])
        for sign in (1, -1)
    )
    generator = torch.Generator().manual_seed(9)
    first, second = (_estimates(plus, minus, count, repeats, generator) for _ in range(2))
    bias = theory.shot_bias(plus, minus, count).item()
    naive, product = (
        (each.sum(1) - begin.kernel).numpy() / bias for each in (first.square(), first * second)
    )
    findings = [
        Finding.mean("T9 shot bias", f"bias of one batch / law, S={count}", 1.0, naive, BIAS),
        Finding.mean("T9 shot bias", "bias of two batches / law of one", 0.0, product, BIAS),
    ]
    return Outcome(findings, {})


def _estimates(plus: Tensor, minus: Tensor, shots: int, repeats: int, generator: torch.Generator) -> Tensor:
    """Parameter-shift derivatives (repeats, L), each from ``shots`` outcomes +1 and -1 a circuit."""

    def mean(outputs: Tensor) -> Tensor:
        chance = ((1 + outputs.clamp(-1, 1)) / 2).expand(repeats, -1)
        return 2 * torch.binomial(torch.full_like(chance, shots), chance, generator=generator) / shots - 1

    return (mean(plus) - mean(minus)) / 2


def dynamics(qubits: int, layers: int, targets: Sequence[float], steps: int) -> Outcome:
    """Frozen kernel, critical, frozen error: where kernel and error end, by target."""
    begin = start(qubits, layers, 11)
    ends = []
    for target in targets:
        trace = descend(begin, target, steps)
        final = kernel_at(begin.circuit, torch.from_numpy(trace.params[-1]))
        ends.append((final / begin.kernel, float(trace.train_outputs[-1, 0, 0]) - target))
    kernels, errors = np.array(ends).T
    law = np.array([theory.settled_kernel(begin.output, target) for target in targets])
    left = np.array([theory.settled_error(target) for target in targets])
    spread = math.sqrt(2 / layers)
    findings = [
        Finding("three dynamics", "largest |K/K0 - law|", 0.0, float(np.abs(kernels - law).max()), tolerance=spread),
        Finding("three dynamics", "largest |error - law|", 0.0, float(np.abs(errors - left).max()), tolerance=0.05),
    ]  # fmt: skip
    arrays = {
        "targets": np.array(targets, float), "settled_kernels": kernels, "settled_errors": errors,
        "start_output": np.array(begin.output),
    }  # fmt: skip
    return Outcome(findings, arrays)


def edge(qubits: int, layers: int, steps: int) -> Outcome:
    """You, Chakrabarti, Wu: labels at the edge are learnt as 1/t; a rescaled measurement makes that exponential."""
    begin, factor = start(qubits, layers, 12), 1.5
    plain = descend(begin, 1.0, steps, speed=0.25)
    rescaled = descend(begin, 1.0, steps, speed=0.25, model=Scaled(begin.circuit, factor))
    arrays: dict[str, NDArray[Any]] = {}
    for name, trace in (("plain", plain), ("rescaled", rescaled)):
        clock = begin.kernel * trace.times
        arrays |= {f"edge_time_{name}": clock, f"edge_error_{name}": np.abs(1 - trace.train_outputs.ravel())}
    law = 1 - theory.variance_law(begin.output, 1.0, begin.kernel, plain.times.tolist()).numpy()
    late = plain.times > 0.15 * plain.times[-1]
    slope, expected = (
        log_log_slope(plain.times[late], values[late]) for values in (arrays["edge_error_plain"], law)
    )
    errors, times = arrays["edge_error_rescaled"], rescaled.times
    window = (errors < 0.05) & (errors > 1e-6)
    learning_rate = -np.polyfit(times[window], np.log(errors[window]), 1)[0]
    assert rescaled.learning_rate is not None
    settled = begin.kernel * factor**2 * theory.settled_kernel(begin.output, 1 / factor)
    inside = (
        -math.log1p(-rescaled.learning_rate * settled) / rescaled.learning_rate
    )  # of steps, not of the flow
    spread, name = math.sqrt(2 / layers), "sublinear at the edge"
    findings = [
        Finding(name, "slope of error against time", expected.slope, slope.slope, tolerance=spread),
        Finding(name, "rate, rescaled / law", 1.0, learning_rate / inside, tolerance=spread),
    ]
    return Outcome(findings, arrays)


def rank(qubits: int, layers: Sequence[int], samples: int) -> Outcome:
    """Rank of K: min(samples, L) until the orbit of the observable is filled."""
    x = 2 * torch.randn(samples, qubits, generator=torch.Generator().manual_seed(13), dtype=torch.float64)
    limit = min(samples, theory.orbit_dimension(qubits))
    ranks = []
    for L in layers:
        generator = torch.Generator().manual_seed(L)
        circuit = scrambled_circuit(qubits, L, generator, features=qubits)
        jacobian = circuit.jacobian(circuit.init(generator), x).squeeze(1)
        ranks.append(int(torch.linalg.matrix_rank(jacobian, rtol=1e-9)))
    off = max(abs(rank - min(L, limit)) for rank, L in zip(ranks, layers, strict=True))
    finding = Finding("rank of the kernel", "largest |rank - min(L, N^2/2)|", 0.0, float(off))
    arrays = {"rank_layers": layers, "ranks": ranks, "rank_limit": limit}
    return Outcome([finding], {name: np.array(values, float) for name, values in arrays.items()})


def fourier(encodings: int) -> Outcome:
    """A circuit that encodes x r times is a trigonometric polynomial of degree r in x."""
    circuit = load_circuit("data_reuploading", n=1, layers=encodings)
    params = circuit.init(torch.Generator().manual_seed(14))
    params[circuit.blocks["weight"]] = 1.0
    nodes = 2 * math.pi * torch.arange(64, dtype=torch.float64) / 64
    amplitudes = torch.fft.rfft(circuit(params, nodes.unsqueeze(1)).squeeze(1)).abs().numpy() / 64
    finding = Finding(
        "Fourier support", f"largest amplitude beyond {encodings}", 0.0,
        float(amplitudes[encodings + 1 :].max()), tolerance=1e-12,
    )  # fmt: skip
    return Outcome([finding], {"fourier": amplitudes})
