"""The mean tangent kernel at random starts against the number of qubits, by random walks of Pauli words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qlazy.quantum.circuit import BackendName, Circuit
from qlazy.quantum.interop.loading import load_circuit
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding
from qlazy.theory import light_cone
from qlazy.theory.mean_kernel import mean_kernel

CHANCE = 0.25
"""A mean kernel whose relative error is larger is not fitted: it concentrates below what walks can see."""


class Family(NamedTuple):
    """A family of circuits with sizes besides the number of qubits, and what its kernel does as that grows."""

    name: str
    sizes: Mapping[str, int]
    law: str

    def circuit(self, qubits: int, backend: BackendName = "paulis") -> Circuit:
        return load_circuit(self.name, backend=backend, n=qubits, **dict(self.sizes))

    @property
    def label(self) -> str:
        rest = ", ".join(f"{name} {value}" for name, value in self.sizes.items())
        return f"{self.name} ({rest})" if rest else self.name


EXPONENTIAL, POLYNOMIAL, CONSTANT = "concentrates exponentially", "falls as a power", "does not concentrate"
FAMILIES = (
    Family("light_cone", {}, CONSTANT),
    Family("brickwork", {"layers": 8}, CONSTANT),
    Family("tree_tensor_network", {}, POLYNOMIAL),
    Family("matrix_product_state", {}, CONSTANT),
    Family("hardware_efficient", {"layers": 3}, EXPONENTIAL),
)


def against_size(qubits: Sequence[int], precision: float, walks: int) -> Outcome:
    """E K(x, x) of every family against n: by its fits, exponential, a power, or neither."""
    found = {family.label: _means(family, qubits, precision, walks) for family in FAMILIES}
    findings = [finding for family in FAMILIES for finding in _fits(family, qubits, found[family.label])]
    arrays = {
        "qubits": np.array(qubits),
        "labels": np.array(list(found)),
        "means": np.array(list(found.values())),
    }
    return Outcome(findings, arrays)


def _means(family: Family, qubits: Sequence[int], precision: float, walks: int) -> np.ndarray:
    """(sizes, 2): the mean over inputs of E K(x, x), and its error."""
    means = []
    for n in qubits:
        found = mean_kernel(family.circuit(n), features(n, 4), precision=precision, max_walks=walks)
        mean = float(found.tangent.diagonal().mean())
        means.append((mean, mean * min(found.relative_error, 1e9) if mean else 0.0))
    return np.array(means)


def _fits(family: Family, qubits: Sequence[int], means: np.ndarray) -> list[Finding]:
    """What the kernel does between the first size and the last that walks can see."""
    seen = [k for k, (mean, error) in enumerate(means) if mean > 0 and error < CHANCE * mean]
    first, last = means[seen[0]], means[seen[-1]]
    spread = math.hypot(first[1] / first[0], last[1] / last[0])
    fall = math.log(last[0] / first[0])
    if family.law == EXPONENTIAL:
        each = qubits[seen[-1]] - qubits[seen[0]]
        return [
            Finding(
                "against size",
                f"{family.label}: ln K a qubit",
                -0.2,
                fall / each,
                spread / each,
                relation="<=",
            )
        ]
    exponent = math.log(qubits[seen[-1]] / qubits[seen[0]])
    quantity = f"{family.label}: exponent of K in n, n = {qubits[seen[0]]} to {qubits[seen[-1]]}"
    if family.law == CONSTANT:
        return [Finding("against size", quantity, 0.0, fall / exponent, spread / exponent, 0.15)]
    return [Finding("against size", quantity, -0.15, fall / exponent, spread / exponent, relation="<=")]


def against_draws(qubits: Sequence[int], draws: int, precision: float) -> Outcome:
    """The mean kernel over walks is the mean of kernels at random angles."""
    findings = []
    for family in FAMILIES:
        for n in qubits:
            circuit, x = family.circuit(n, "auto"), features(n, 2)
            mean = mean_kernel(circuit, x, precision=precision)
            generator = torch.Generator().manual_seed(n)
            with torch.no_grad():
                traces = [
                    float(circuit.jacobian(circuit.init(generator), x).square().sum()) for _ in range(draws)
                ]
            ratios = np.array(traces) / float(mean.tangent.trace())
            error = math.hypot(float(ratios.std(ddof=1)) / math.sqrt(draws), mean.relative_error)
            quantity = f"{family.label}: tr K, draws / walks, n = {n}"
            findings.append(Finding("against draws", quantity, 1.0, float(ratios.mean()), error, 0.2))
    return Outcome(findings, {})


def against_closed_form(qubits: Sequence[int], precision: float) -> Outcome:
    """The light-cone circuits have theirs at any number of qubits."""
    findings = []
    for n in qubits:
        x = features(n, 4)
        circuit = load_circuit("light_cone", n=n, backend="paulis")
        found = mean_kernel(circuit, x, precision=min(precision, 0.01))
        ratio = float(found.tangent.trace() / light_cone.mean_kernel(x).trace())
        findings.append(
            Finding(
                "closed form", f"light_cone: tr K / formula, n = {n}", 1.0, ratio, found.relative_error, 0.05
            )
        )
    return Outcome(findings, {})


def features(qubits: int, count: int) -> Tensor:
    """Inputs (count, n), uniform in [0, pi]."""
    generator = torch.Generator().manual_seed(qubits)
    return math.pi * torch.rand(count, qubits, generator=generator, dtype=torch.float64)
