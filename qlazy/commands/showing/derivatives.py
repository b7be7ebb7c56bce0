"""Derivatives of programs in words: counts, the check against differences, and their files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qlazy.base.storage import atomic_write
from qlazy.base.tables import Table
from qlazy.quantum.backends.programs import lowered_program
from qlazy.quantum.derivatives import Derivative, Term
from qlazy.quantum.derivatives.elements import element_text, flat_place
from qlazy.quantum.derivatives.experiments import experiments
from qlazy.quantum.program.analysis import all_occurrences, occurrences, size_of
from qlazy.quantum.program.program import Program

_HEAD = ("parameter", "occurrences", "derivative programs")
STEP = 1e-5


def counts_text(program: Program, wrt: str | None) -> str:
    """Occurrences and derivative programs of one parameter or of all, and the size of the program."""
    found = all_occurrences(program) if wrt is None else (occurrences(program, wrt),)
    rows = tuple((each.parameter, str(each.occurrences), str(each.programs)) for each in found)
    facts = f"{program.name}: {size_of(program)}, on the worst path; loops {program.loops}"
    return f"{facts}\n\n{Table('', _HEAD, rows)}"


def check_error(derivative: Derivative, seed: int) -> float:
    """The largest difference from central differences of step 1e-5, good to about 1e-10, at random angles."""
    program, (name, _) = derivative.program, derivative.element
    generator = torch.Generator().manual_seed(seed)
    params, x = (
        6.3 * torch.rand(*shape, generator=generator, dtype=torch.float64)
        for shape in ((program.num_params,), (2, program.num_features))
    )
    outputs = lowered_program(program).outputs

    def shifted(step: float) -> Tensor:
        moved = {"params": params.clone(), "x": x.clone()}
        moved["params" if name in program.weights else "x"][..., flat_place(program, derivative.element)] += (
            step
        )
        return outputs(moved["params"], moved["x"])

    expected = (shifted(STEP) - shifted(-STEP)) / (2 * STEP)
    return float((derivative.evaluate(params, x) - expected).abs().max())


def derivative_text(derivative: Derivative) -> str:
    """One line: of what, in what, how many programs, by which rule."""
    program = derivative.program
    element = element_text(program, derivative.element)
    count = len(derivative)
    programs = f"{count} program{'' if count == 1 else 's'}"
    return f"d/d{element} of {program.name}: {programs}, mode {derivative.mode}, loops {program.loops}"


def programs(terms: Iterable[Term]) -> list[str]:
    """Every program as OpenQASM 3, once for every set of bases in which it is read out."""
    return [experiment.to_qasm() for term in terms for experiment in experiments(term)]


def counts_document(program: Program, wrt: str | None) -> dict[str, Any]:
    """What :func:`counts_text` says, as values."""
    found = all_occurrences(program) if wrt is None else (occurrences(program, wrt),)
    counts = [
        {"parameter": one.parameter, "occurrences": one.occurrences, "programs": one.programs}
        for one in found
    ]
    return {
        "program": program.name, "size": str(size_of(program)), "loops": program.loops, "parameters": counts,
    }  # fmt: skip


def derivative_document(derivative: Derivative) -> dict[str, Any]:
    """What :func:`derivative_text` says, as values."""
    program = derivative.program
    return {
        "program": program.name, "wrt": element_text(program, derivative.element), "count": len(derivative),
        "mode": derivative.mode, "loops": program.loops,
    }  # fmt: skip


def save_programs(terms: Sequence[Term], folder: str | os.PathLike[str]) -> list[Path]:
    """A file for every program, and for every set of bases in which it is read out; their paths."""
    paths = []
    for term in terms:
        found = experiments(term)
        for number, experiment in enumerate(found):
            suffix = f"_basis_{number}" if len(found) > 1 else ""
            paths.append(Path(folder, f"{term.program.name}{suffix}.qasm"))
            with atomic_write(paths[-1]) as file:
                file.write(experiment.to_qasm().encode())
    return paths
