"""One kernel in a dozen lines of text, and its arrays on disk."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qlazy.kernels.operator import TangentKernel
from qlazy.kernels.shots import MeasuredKernel, student_interval
from qlazy.kernels.spectrum import (
    alignment,
    centered_alignment,
    critical_rate,
    eigenvalues,
    label_energies,
    label_kernel,
    participation_ratio,
    rank_cutoff,
)

TOP = (1, 5, 10)


def kernel_facts(kernel: TangentKernel, labels: Tensor) -> dict[str, str]:
    """What there is to say about a kernel on inputs x and their labels (n, c), by name, ready to print."""
    matrix, samples = kernel.to_dense(), len(kernel.x)
    values = eigenvalues(matrix)
    nonzero = values[values > rank_cutoff(values)]
    facts = {
        "shape": f"{len(matrix)} x {len(matrix)}  ({samples} samples, {_count(kernel.outputs, 'output')})",
        "trace": _number(matrix.trace()),
        "largest eigenvalue": _number(values[0]),
        "rank": f"{len(nonzero)}  (at most {min(len(matrix), kernel.model.num_params)})",
        "participation ratio": _defined(lambda: participation_ratio(matrix)),
        "condition number": f"{_number(nonzero[0] / nonzero[-1])}  (of the nonzero eigenvalues)",
        "alignment": _defined(lambda: alignment(matrix, labels)),
        "centred alignment": _defined(
            lambda: centered_alignment(matrix, label_kernel(labels), kernel.outputs)
        ),
    }
    energies = label_energies(matrix, labels)
    for k in TOP:
        if k <= len(nonzero):
            facts[f"label energy in top {k}"] = _number(energies[k - 1])
    rate = _number(critical_rate(matrix, samples))
    facts["critical learning rate"] = f"{rate}  (loss 1/(2n) sum ||f - y||^2)"
    return facts


def measured_facts(measured: MeasuredKernel, exact: Tensor, predicted: Tensor | None) -> dict[str, str]:
    """What there is to say about a kernel from shots beside the exact matrix, by name, ready to print.

    ``predicted`` is the bias of the naive estimate on its diagonal (n c,), None where it is not known.
    """
    off = (measured.values - exact).abs()
    upper = torch.triu(torch.ones_like(off, dtype=torch.bool))
    inside = (off <= student_interval(measured.batches) * measured.errors)[upper].double().mean()
    foretold = "not known: outputs are not Pauli words" if predicted is None else _number(predicted.sum())
    return {
        "trace, exact": _number(exact.trace()),
        "trace from shots, unbiased": f"{measured.trace:.6g} +- {measured.trace_error:.2g}",
        "trace from shots, naive": _number(measured.naive.trace()),
        "bias of the naive trace, measured": _number(measured.naive_bias.trace()),
        "bias of the naive trace, predicted": foretold,
        "standard error of an entry": f"{_number(measured.errors.median())} (median), "
        f"{_number(measured.errors.max())} (largest)",
        "exact entries within 95 % error bars": f"{100 * float(inside):.1f} %",
    }


def facts_text(facts: dict[str, str]) -> str:
    """Names and values in two columns."""
    width = max(map(len, facts))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in facts.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _number(value: Tensor) -> str:
    return f"{float(value):.6g}"


def _defined(compute: Callable[[], Tensor]) -> str:
    """A figure that a special kernel leaves undefined says why."""
    try:
        return _number(compute())
    except ValueError as error:
        return f"undefined: {error}"
