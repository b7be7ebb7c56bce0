"""The experiments of ``shots_and_noise`` on noise: closed forms of the kernel, and training under noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.tables import Table
from qlazy.kernels.prediction import LinearizedPath
from qlazy.models.model import Model
from qlazy.models.wrappers import Centered
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.interop.loading import from_qasm, load_circuit
from qlazy.quantum.pennylane.noise import Channel, damping, with_global_depolarizing, with_noise
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding
from qlazy.training.drift import kernel_change, kernel_distance, linearization_gap, log_log_slope
from qlazy.training.loop import Record, train

CHANNELS: tuple[Channel, ...] = ("depolarizing", "amplitude_damping")
SAMPLES = 3
EXACT = 1e-11

LARGE = 100.0
"""Scales from which change and gap are first powers of 1/a to a few percent, with a kernel of a tenth as well."""

PRODUCT = """
OPENQASM 3.0;
include "stdgates.inc";
@qlazy.data
input array[float[64], 2] x;
input array[float[64], 2, 2] a;
qubit[2] q;
for int k in [0:1] { ry(x[k]) q[k]; rx(a[k, 0]) q[k]; ry(a[k, 1]) q[k]; }
"""
"""Three gates on each of two qubits: depolarising after every gate commutes with them."""


class Laziness(NamedTuple):
    """Largest drift, kernel change at the end, largest output gap: three metrics, never one."""

    drift: float
    change: float
    gap: float


def closed_forms(strength: float) -> Outcome:
    """Kernels under noise that is known to scale them: at the end, after gates of one qubit, and globally."""
    hardware, product = (
        load_circuit("hardware_efficient", n=2, layers=1),
        from_qasm(PRODUCT, observables=["Z q[0] X q[1]"]),
    )
    single, two = load_circuit("single_qubit"), from_qasm(PRODUCT, observables=["Z q[0] Z q[1]"])
    decay, rest = damping("depolarizing", strength).z, damping("amplitude_damping", strength).z
    cases: list[tuple[str, Circuit, Circuit, float, float]] = [
        ("depolarising at the end, weight 1", hardware, _end(hardware, "depolarizing", strength), decay, 0.0),
        ("depolarising at the end, weight 2", two, _end(two, "depolarizing", strength), decay**2, 0.0),
        ("depolarising after 3 gates, weight 2", product, with_noise(product, "depolarizing", strength), decay**6, 0.0),
        ("depolarising of all qubits at once", hardware, with_global_depolarizing(hardware, strength), rest, 0.0),
        ("damping of one qubit", single, with_noise(single, "amplitude_damping", strength), rest, strength),
        ("damping at the end, weight 1", hardware, _end(hardware, "amplitude_damping", strength), rest, strength),
        ("dephasing at the end, weight 1", hardware, _end(hardware, "phase_damping", strength), 1.0, 0.0),
    ]  # fmt: skip
    findings, rows = [], []
    for name, exact, noisy, factor, offset in cases:
        params, x = _start(exact, 1)
        ratio = _trace(noisy, params, x) / _trace(exact, params, x)
        off = float((noisy(params, x) - factor * exact(params, x) - offset).abs().max())
        findings += [
            Finding(name, f"tr K over the exact one, p={strength:g}", factor**2, ratio, tolerance=EXACT),
            Finding(name, "outputs less the formula", 0.0, off, tolerance=EXACT),
        ]
        rows.append((name, f"{factor:.6f}", f"{offset:g}", f"{factor**2:.6f}", f"{ratio:.6f}"))
    head = ("noise", "factor of f", "offset", "its square", "tr K / tr K(exact)")
    return Outcome(findings, {}, [Table(f"Closed forms, strength {strength:g}", head, tuple(rows))])


def scale_in_disguise(strength: float, alphas: Sequence[float], steps: int) -> Outcome:
    """Noise at the end, which scales outputs by s, trains at scale a as the exact circuit does at a s.

    F_a of s h is s^2 F_{a s} of h, up to an offset that centring takes away, and the rate follows the kernel.
    """
    exact = load_circuit("hardware_efficient", n=2, layers=1)
    params, x = _start(exact, 1)
    findings = []
    for channel in CHANNELS:
        noisy, factor = _end(exact, channel, strength), damping(channel, strength).z
        for alpha in alphas:
            found = laziness(noisy, params, x, alpha, steps)
            expected = laziness(exact, params, x, alpha * factor, steps)
            findings += [
                Finding(
                    f"{channel} at the end, a={alpha:g}",
                    name,
                    theory,
                    value,
                    tolerance=1e-8 * abs(theory) + 1e-10,
                )
                for name, theory, value in zip(Laziness._fields, expected, found, strict=True)
            ]
    return Outcome(findings, {}, [])


def after_every_gate(strengths: Sequence[float], alphas: Sequence[float], steps: int) -> Outcome:
    """A circuit with noise after every gate: its kernel beside the exact one, and training at several scales.

    Noise that weakens a kernel by s^2 leaves a scale that works like a s: slopes want the larger a, the more noise.
    """
    exact = load_circuit("hardware_efficient", n=2, layers=2)
    params, x = _start(exact, 1)
    kernel, large = _kernel(exact, params, x), [alpha for alpha in alphas if alpha >= LARGE]
    clean = np.array([laziness(exact, params, x, alpha, steps) for alpha in alphas])
    findings: list[Finding] = []
    arrays: dict[str, NDArray[Any]] = {
        "strengths": np.array(strengths),
        "alphas": np.array(alphas),
        "lazy_exact": clean,
    }
    rows = [_row("none", 0.0, 1.0, 1.0, clean)]
    for channel in CHANNELS:
        kernels = [_kernel(with_noise(exact, channel, p), params, x) for p in strengths]
        trace = np.array([float(noisy.trace() / kernel.trace()) for noisy in kernels])
        cosine = np.array([1 - float(kernel_distance(noisy, kernel)) for noisy in kernels])
        lazy = np.array(
            [
                [laziness(with_noise(exact, channel, p), params, x, alpha, steps) for alpha in alphas]
                for p in strengths
            ]
        )
        arrays |= {f"trace_{channel}": trace, f"cosine_{channel}": cosine, f"lazy_{channel}": lazy}
        rows += [_row(channel, *row) for row in zip(strengths, trace, cosine, lazy, strict=True)]
        rising = float(np.diff(np.concatenate([[1.0], trace])).max())
        name = "largest rise of tr K with strength"  # of no sign that theory knows, at one point
        findings.append(Finding(f"{channel} after every gate", name, math.nan, rising, relation=""))
        for index, name in ((1, "kernel change"), (2, "output gap")):
            slope = log_log_slope(large, lazy[-1][[alpha in large for alpha in alphas], index]).slope
            what = f"slope of {name} against a, p={strengths[-1]:g}"
            findings.append(Finding(f"{channel} after every gate", what, -1.0, slope, tolerance=0.05))
    return Outcome(findings, arrays, [_table(rows, alphas[0], steps)])


def laziness(model: Model, params: Tensor, x: Tensor, alpha: float, steps: int) -> Laziness:
    """Training of the centred model at a scale, on fixed targets, beside its own linearised path."""
    y = torch.tensor([[0.8], [-0.9], [0.5]], dtype=torch.float64)
    trace = train(Centered(model, params), params, (x, y), alpha=alpha, steps=steps, record=Record(count=5))
    kernel = _kernel(model, params, x)
    last = _kernel(model, torch.from_numpy(trace.params[-1]), x)
    assert trace.learning_rate is not None
    path = LinearizedPath(kernel, torch.zeros_like(y), y).steps(trace.learning_rate, trace.steps.tolist())
    gap = linearization_gap(torch.from_numpy(trace.train_outputs), path, torch.zeros_like(y), y)
    return Laziness(float(trace.drift.max()), float(kernel_change(last, kernel)), float(gap.max()))


def _table(rows: Sequence[tuple[str, ...]], alpha: float, steps: int) -> Table:
    measures = tuple(f"{name}, a={alpha:g}" for name in ("drift", "|dK|/K", "gap"))
    head = ("noise", "strength", "tr K / exact", "cosine with K exact", *measures)
    title = f"hardware_efficient, n = 2, 2 layers, noise after every gate; {steps} steps"
    return Table(title, head, tuple(rows))


def _row(name: str, strength: float, trace: float, cosine: float, lazy: NDArray[Any]) -> tuple[str, ...]:
    return (name, f"{strength:g}", f"{trace:.4f}", f"{cosine:.4f}", *(f"{value:.3g}" for value in lazy[0]))


def _end(model: Circuit, channel: Channel, strength: float) -> Circuit:
    return with_noise(model, channel, strength, position="end")


def _start(model: Circuit, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    params = model.init(generator)
    assert model.program is not None
    rows = torch.rand(SAMPLES, model.program.num_features, generator=generator, dtype=torch.float64)
    return params, 2 * rows - 1


def _kernel(model: Model, params: Tensor, x: Tensor) -> Tensor:
    return model.gram(params, x).reshape(len(x), len(x)).detach()


def _trace(model: Model, params: Tensor, x: Tensor) -> float:
    return float(_kernel(model, params, x).trace())
