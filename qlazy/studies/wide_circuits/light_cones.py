"""The experiments of ``wide_circuits`` on the light-cone circuits, which are exact at any number of qubits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.prediction import LinearizedPath
from qlazy.quantum.interop.loading import load_circuit
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding
from qlazy.theory import light_cone as cone
from qlazy.theory import scrambled_laws as theory
from qlazy.training.drift import kernel_change, log_log_slope
from qlazy.training.loop import train
from qlazy.training.methods import GradientDescent

SAMPLES = 3

SPEED = 0.1
"""Of the fastest mode, a step. At 1 the angles of the 1/m control, which must turn by O(1), overshoot by whole turns
a step, hundreds of them in a run, and end anywhere: |dK|/K is then .3 at large m, where descent leads to .97."""

FROZEN = 64
"""Qubits from which |dK|/K is small enough (.16) to fall as its first power: slopes are fitted from there."""


def simulation(qubits: Sequence[int]) -> Outcome:
    """T10: the closed form is the circuit, outputs and Jacobian."""
    worst = 0.0
    for m in qubits:
        circuit, closed = load_circuit("light_cone", n=m), cone.light_cone(m)
        params, x = closed.init(torch.Generator().manual_seed(m)), _inputs(m, m)
        pairs = (
            (circuit(params, x), closed(params, x)),
            (circuit.jacobian(params, x), closed.jacobian(params, x)),
        )
        worst = max(worst, *(float((simulated - exact).abs().max()) for simulated, exact in pairs))
    return Outcome(
        [
            Finding(
                "T10 light cones", f"simulation less formula, n<={max(qubits)}", 0.0, worst, tolerance=1e-10
            )
        ],
        {},
    )


def width(qubits: Sequence[int], seeds: int, steps: int) -> Outcome:
    """T10 in training: the kernel freezes with m, with the 1/sqrt(m) scaling and not with 1/m.

    Each angle moves by O(m^-1/2); the largest of the 2 m, as of so many Gaussians, by sqrt(log(2 m) / m). What that
    does to the kernel has random signs, which leaves 1/m.
    """
    runs = {
        name: np.array([[_wide(m, power, seed, steps) for seed in range(seeds)] for m in qubits])
        for name, power in (("lazy", 0.5), ("control", 1.0))
    }
    largest, change, gap, ratio, mean = np.moveaxis(runs["lazy"], 2, 0)
    sizes = np.array(qubits, float)
    wide = sizes >= FROZEN
    spread_law = log_log_slope(sizes, np.sqrt(np.log(2 * sizes) / sizes)).slope
    slopes = {
        "sup |dtheta|": (sizes, largest, spread_law),
        "|dK|/K": (sizes[wide], change[wide], -1.0),
        "output gap": (sizes[wide], gap[wide], -1.0),
    }
    findings = []
    for name, (at, values, expected) in slopes.items():
        slope, quantity = log_log_slope(at, values), f"slope of {name} against m"
        findings.append(
            Finding("T10 light cones", quantity, expected, slope.slope, slope.error, 0.05, runs=seeds)
        )
    control, turned = runs["control"][:, :, 1], runs["control"][:, :, 0]
    kept, m = control[-1] / control[0], f"m={qubits[-1]}"
    findings += [
        Finding.mean("T10 light cones", f"drift / frozen drift, {m}", 1.0, ratio[-1], 0.02),
        Finding.mean("T10 light cones", f"tr K / tr E K, {m}", 1.0, mean[-1], 0.05),
        Finding.mean("T10 control 1/m", "|dK|/K at the last m / first m", 1.0, kept, 0.1),
        Finding.mean("T10 control 1/m", f"|dK|/K, {m}", 0.9, control[-1], relation=">="),
        Finding.mean("T10 control 1/m", f"sup |dtheta|, {m}", 2.0, turned[-1], relation=">="),
    ]  # fmt: skip
    arrays = {
        "qubits": np.array(qubits, float),
        "wide_largest": largest,
        "wide_change": change,
        "wide_gap": gap,
    }
    return Outcome(findings, {**arrays, "control_change": runs["control"][:, :, 1]})


def gaussian(qubits: Sequence[int], draws: int) -> Outcome:
    """Outputs over random angles: their covariance is exact at every m, and they are Gaussian as m grows."""
    kurtoses, errors = [], []
    for m in qubits:
        model, x = cone.light_cone(m), _inputs(m, 77)[:1]
        generator = torch.Generator().manual_seed(m)
        outputs = torch.stack([model(model.init(generator), x).squeeze() for _ in range(draws)])
        variance = cone.covariance(x).item()
        kurtoses.append(float((outputs**4).mean()) / variance**2 - 3)
        errors.append(math.sqrt(96 / draws))  # of the fourth moment of a Gaussian, whose variance is known
        spread = float(outputs.square().mean()) / variance
    findings = [
        Finding(
            "Gaussian outputs", f"variance / formula, m={qubits[-1]}", 1.0, spread, math.sqrt(2 / draws), 0.05
        ),
        Finding("Gaussian outputs", f"excess kurtosis, m={qubits[-1]}", 0.0, kurtoses[-1], errors[-1], 0.3),
    ]
    arrays = {
        "gaussian_qubits": np.array(qubits, float),
        "kurtosis": np.array(kurtoses),
        "kurtosis_error": np.array(errors),
    }
    return Outcome(findings, arrays)


def _wide(qubits: int, power: float, seed: int, steps: int) -> tuple[float, ...]:
    model, generator = cone.light_cone(qubits, power), torch.Generator().manual_seed(100 + seed)
    params, x = model.init(generator), _inputs(qubits, seed)
    y = torch.tensor([[1.0], [-1.0], [0.5]], dtype=torch.float64)
    kernel = tangent_kernel(model, params, x).to_dense()
    learning_rate = SPEED * SAMPLES / float(torch.linalg.eigvalsh(kernel)[-1])
    trace = train(model, params, (x, y), steps=steps, method=GradientDescent(learning_rate))
    outputs0 = torch.from_numpy(trace.train_outputs[0])
    path = LinearizedPath(kernel, outputs0, y).steps(learning_rate, trace.steps.tolist()).numpy()
    final = tangent_kernel(model, torch.from_numpy(trace.params[-1]), x).to_dense()
    moved = trace.params[-1] - trace.params[0]
    frozen = theory.frozen_drift(kernel, (outputs0 - y).flatten()).item()
    return (
        float(np.abs(moved).max()), kernel_change(final, kernel).item(),
        float(np.linalg.norm(trace.train_outputs - path, axis=(1, 2)).max() / (outputs0 - y).norm()),
        float(np.linalg.norm(moved)) / frozen,
        float(kernel.trace() / cone.mean_kernel(x).trace()),
    )  # fmt: skip


def _inputs(qubits: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * math.pi * torch.rand(SAMPLES, qubits, generator=generator, dtype=torch.float64)
