"""Reproducible experiments, each a folder here: it prints its findings beside a paper's or a closed form, and draws.

A study is a module ``qlazy.studies.NAME.study`` with

    Settings     a frozen dataclass of StudySettings: defaults are the ``full()`` setting, ``quick()`` its own
    run(settings, out=None, progress=True) -> StudyResult
    figures(result) -> {name: matplotlib Figure}, drawn by the ``figures`` beside it

and a line in ``STUDIES`` below. ``run`` hands its experiments to :func:`qlazy.studies.experiments.carry_out`, which
leaves table, arrays, figures and report in the folder ``out`` if one is given, and goes on there where it was stopped.
What a study claims it claims as a :class:`~qlazy.studies.result.Finding`: what theory says, what was measured, the
error bar, and the verdict that follows from them. The docstring of the module says what it does not reproduce.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from qlazy.base.errors import require_choice

STUDIES = {
    "control_flow": "programs that measure: derivatives counted, the losses of P1 and P2, kernels, the lazy regime",
    "regimes": "what random features, linearised models and trained models can learn, for nets and for circuits",
    "lazy": "lazy training of nets and circuits: neurons, scale, width, population, images, re-uploading circuits",
    "shots_and_noise": "kernels from shots: bias, error bars, shots shared out; kernels and laziness under noise",
    "subset": "which fifth of mislabelled data to train on: HOST-CP, small loss, TracIn, the tangent kernel, chance",
    "tensor": "components that a symmetric tensor needs: lazily, by a descent that redraws, as states of circuits",
    "wide_circuits": "closed forms for wide and deep circuits on trial: mean kernel, drift, variance law, light cones",
    "large_circuits": "up to 1,000 qubits: mean kernels at random starts by size, training at 127 by Pauli propagation",
    "atlas": "circuits and nets on seven data sets: how lazy, from which scale, and whether training pays",
    "self_training": "few labels, and a teacher differentiated through: a net, a circuit and their linearisations",
}
"""The studies there are, each with what it is about."""


def find_study(name: str) -> ModuleType:
    """The module of a study. Raises ValueError for a name that is not in ``STUDIES``."""
    require_choice("name", name, STUDIES)
    return importlib.import_module(f"qlazy.studies.{name}.study")
