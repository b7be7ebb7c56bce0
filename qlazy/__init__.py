"""qlazy: is this variational circuit learning, or is it a kernel method in disguise?

Circuits and classical nets are measured through one interface: tangent kernels, drift and linearisation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from qlazy.baselines import InfiniteNet
    from qlazy.comparison import Comparison
    from qlazy.data import Dataset, from_arrays, load_data
    from qlazy.estimators import TangentFeatures
    from qlazy.kernel import TangentKernel, tangent_kernel
    from qlazy.losses import CrossEntropy, Logistic, Square, accuracy
    from qlazy.methods import LBFGS, SGD, Adam, GradientDescent, GradientFlow
    from qlazy.model import Function, Model
    from qlazy.nets import Net, mlp
    from qlazy.prediction import LinearizedPath, kernel_regression
    from qlazy.quantum.circuit import Circuit, CircuitLayer, from_qasm, load
    from qlazy.quantum.differentiation import differentiate
    from qlazy.readout import Readout
    from qlazy.run import Run
    from qlazy.subset import (
        HostCP,
        KernelAgreement,
        KernelComponents,
        KernelHerding,
        LeverageScores,
        RandomSubset,
        SmallLoss,
        Subset,
        TracIn,
        WholeSet,
        flip_labels,
        hold_out,
        select_subset,
    )
    from qlazy.sweep import compare
    from qlazy.teaching import (
        DifferentiableTeacher,
        HardTeacher,
        NoTeacher,
        SelfTrained,
        StoppedTeacher,
        self_train,
        self_train_lanes,
    )
    from qlazy.tiles.computing import tiled_kernel
    from qlazy.tiles.kernel import TiledKernel
    from qlazy.trace import Trace
    from qlazy.training import Record, train
    from qlazy.transforms import Centered, Linearized, Scaled

_NAMES = {
    "baselines": ("InfiniteNet",),
    "comparison": ("Comparison",),
    "data": ("Dataset", "from_arrays", "load_data"),
    "estimators": ("TangentFeatures",),
    "kernel": ("TangentKernel", "tangent_kernel"),
    "losses": ("CrossEntropy", "Logistic", "Square", "accuracy"),
    "methods": ("LBFGS", "SGD", "Adam", "GradientDescent", "GradientFlow"),
    "model": ("Function", "Model"),
    "nets": ("Net", "mlp"),
    "prediction": ("LinearizedPath", "kernel_regression"),
    "quantum.circuit": ("Circuit", "CircuitLayer", "from_qasm", "load"),
    "quantum.differentiation": ("differentiate",),
    "readout": ("Readout",),
    "run": ("Run",),
    "subset": (
        "HostCP",
        "KernelAgreement",
        "KernelHerding",
        "LeverageScores",
        "RandomSubset",
        "SmallLoss",
        "Subset",
        "KernelComponents",
        "TracIn",
        "WholeSet",
        "flip_labels",
        "hold_out",
        "select_subset",
    ),
    "sweep": ("compare",),
    "teaching": (
        "DifferentiableTeacher",
        "HardTeacher",
        "NoTeacher",
        "SelfTrained",
        "StoppedTeacher",
        "self_train",
        "self_train_lanes",
    ),
    "tiles.computing": ("tiled_kernel",),
    "tiles.kernel": ("TiledKernel",),
    "trace": ("Trace",),
    "training": ("Record", "train"),
    "transforms": ("Centered", "Linearized", "Scaled"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
_PACKAGES = ("tensor",)  # with names of their own: qlazy.tensor.decompose

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # Names are imported when first used, so that a classical study never waits for PennyLane.
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
