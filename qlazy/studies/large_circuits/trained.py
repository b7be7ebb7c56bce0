"""A circuit of 127 qubits trained at several scales, and what dropping words changes of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from qlazy.comparison.compare import compare
from qlazy.data.datasets import Dataset
from qlazy.kernels.operator import tangent_kernel
from qlazy.quantum.circuit import Circuit
from qlazy.studies.experiments import Outcome
from qlazy.studies.large_circuits.heavy_hex import QUBITS, heavy_hex_circuit
from qlazy.studies.large_circuits.random_starts import features
from qlazy.studies.result import Finding
from qlazy.training.drift import kernel_change

TRAIN, TEST = 16, 8
SLOPES = {"parameter drift": -1.0, "kernel change": -1.0, "parameter gap": -2.0, "output gap": -1.0}


def scales(layers: int, alphas: Sequence[float], seeds: int, steps: int) -> Outcome:
    """Drift, kernel change and gaps against a; targets are the outputs of another draw of the circuit, scaled to 1."""
    circuit = heavy_hex_circuit(layers)
    data = _teacher(circuit)
    found = compare(
        {"heavy hex": circuit}, data, alphas=tuple(alphas), seeds=range(seeds), steps=steps, progress=False
    )
    slopes = found.slopes()
    findings = []
    for metric, expected in SLOPES.items():
        slope = slopes["heavy hex", metric]
        quantity = f"slope of {metric} against a, {QUBITS} qubits"
        findings.append(Finding("training", quantity, expected, slope.slope, slope.error, 0.1, runs=seeds))
    arrays = {"alphas": np.array(alphas, float)} | {
        metric.replace(" ", "_"): found.values("heavy hex", metric) for metric in SLOPES
    }
    return Outcome(findings, arrays)


def _teacher(circuit: Circuit) -> Dataset:
    x = features(QUBITS, TRAIN + TEST)
    with torch.no_grad():
        y = circuit(circuit.init(torch.Generator().manual_seed(1000)), x)
    y = (y - y.mean()) / y.std()
    return Dataset(
        name="teacher", x_train=x[:TRAIN], y_train=y[:TRAIN], x_test=x[TRAIN:], y_test=y[TRAIN:], classes=(),
        description="inputs uniform in [0, pi]; targets of a circuit of the same kind, standardized",
    )  # fmt: skip


def truncated(layers: int, cutoffs: Sequence[float], samples: int) -> Outcome:
    """Outputs and the kernel with words dropped, against exact propagation: the true errors beside their bounds."""
    exact, x = heavy_hex_circuit(layers), features(QUBITS, samples)
    params = exact.init(torch.Generator().manual_seed(0))
    outputs, jacobian = exact(params, x), exact.jacobian(params, x)
    kernel = tangent_kernel(exact, params, x).to_dense()
    rows = []
    for cutoff in cutoffs:
        circuit = heavy_hex_circuit(layers, cutoff)
        error = circuit.truncation_error(params, x)
        rows.append(
            (
                float((circuit(params, x) - outputs).abs().max()), float(error.bound.max()),
                float(error.root_mean_square.max()),
                float((circuit.jacobian(params, x) - jacobian).abs().max()), float(error.slope_bound.max()),
                float(kernel_change(tangent_kernel(circuit, params, x).to_dense(), kernel)),
                float(error.words.max()),
            )
        )  # fmt: skip
    off, bound, _, slope_off, slope_bound, change, _ = np.array(rows).T
    claims = (
        ("largest error of an output / bound", 1.0, float((off / bound).max())),
        ("largest error of a derivative / bound", 1.0, float((slope_off / slope_bound).max())),
        (f"kernel's relative error, cutoff {cutoffs[-1]:g}", 0.01, float(change[-1])),
    )
    findings = [Finding("truncation", what, most, found, relation="<=") for what, most, found in claims]
    return Outcome(findings, {"cutoffs": np.array(cutoffs), "truncated": np.array(rows)})
