"""qlazy: is this variational circuit learning, or is it a kernel method in disguise?

Circuits and classical nets are measured through one interface: tangent kernels, drift and linearisation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from qlazy.base import aliases
from qlazy.base.version import __version__
from qlazy.models.modules import conversions

if TYPE_CHECKING:
    from qlazy.base.errors import (
        KernelTooLargeError,
        LearningRateWarning,
        NotConvergedError,
        NotFiniteError,
        SlowBackendWarning,
        UnreadInputsWarning,
        UnsupportedModelError,
        ZeroJacobianError,
    )
    from qlazy.checking.check import check
    from qlazy.checking.verdict import Verdict
    from qlazy.comparison.baselines import FourierModel, InfiniteCircuit, InfiniteNet
    from qlazy.comparison.baselines.result import Surrogates
    from qlazy.comparison.baselines.surrogates import surrogates
    from qlazy.comparison.baselines.untangled import untangled
    from qlazy.comparison.compare import compare
    from qlazy.comparison.result import Comparison
    from qlazy.comparison.run import Run
    from qlazy.data.datasets import Dataset, from_arrays, load_data
    from qlazy.kernels.operator import TangentKernel, tangent_kernel
    from qlazy.kernels.prediction import LinearizedPath, kernel_regression
    from qlazy.kernels.tiles.computing import tiled_kernel
    from qlazy.kernels.tiles.kernel import TiledKernel
    from qlazy.models.model import Function, Model
    from qlazy.models.nets import Net, mlp
    from qlazy.models.wrappers import Centered, Linearized, Readout, Scaled
    from qlazy.quantum.circuit import Circuit, CircuitLayer
    from qlazy.quantum.derivatives import differentiate
    from qlazy.quantum.interop.circuits.braket_circuits import from_braket
    from qlazy.quantum.interop.circuits.cirq_circuits import from_cirq
    from qlazy.quantum.interop.circuits.pytket_circuits import from_pytket
    from qlazy.quantum.interop.loading import from_qasm, load_circuit
    from qlazy.quantum.interop.qiskit import from_qiskit
    from qlazy.quantum.interop.torch_layers import from_torch_layer
    from qlazy.quantum.qasm.source import QasmError
    from qlazy.tasks.features import TangentFeatures
    from qlazy.tasks.linearized import LinearizedClassifier, LinearizedRegressor
    from qlazy.tasks.self_training import self_train
    from qlazy.tasks.subset import select_subset
    from qlazy.theory.trainability.panel import trainability
    from qlazy.theory.trainability.result import Trainability
    from qlazy.training.features.result import Features
    from qlazy.training.history import DivergedError, History
    from qlazy.training.loop import Record, train
    from qlazy.training.losses import CrossEntropy, Logistic, SquaredError, accuracy
    from qlazy.training.methods import LBFGS, SGD, Adam, GradientDescent, GradientFlow, TorchOptimizer

_NAMES = {
    "base.errors": (
        "KernelTooLargeError",
        "LearningRateWarning",
        "NotConvergedError",
        "NotFiniteError",
        "SlowBackendWarning",
        "UnreadInputsWarning",
        "UnsupportedModelError",
        "ZeroJacobianError",
    ),
    "checking.check": ("check",),
    "checking.verdict": ("Verdict",),
    "comparison.baselines": ("FourierModel", "InfiniteCircuit", "InfiniteNet"),
    "comparison.baselines.result": ("Surrogates",),
    "comparison.baselines.surrogates": ("surrogates",),
    "comparison.baselines.untangled": ("untangled",),
    "comparison.compare": ("compare",),
    "comparison.result": ("Comparison",),
    "comparison.run": ("Run",),
    "data.datasets": ("Dataset", "from_arrays", "load_data"),
    "kernels.operator": ("TangentKernel", "tangent_kernel"),
    "kernels.prediction": ("LinearizedPath", "kernel_regression"),
    "kernels.tiles.computing": ("tiled_kernel",),
    "kernels.tiles.kernel": ("TiledKernel",),
    "models.model": ("Function", "Model"),
    "models.nets": ("Net", "mlp"),
    "models.wrappers": ("Centered", "Linearized", "Readout", "Scaled"),
    "quantum.circuit": ("Circuit", "CircuitLayer"),
    "quantum.interop.loading": ("from_qasm", "load_circuit"),
    "quantum.interop.circuits.braket_circuits": ("from_braket",),
    "quantum.interop.circuits.cirq_circuits": ("from_cirq",),
    "quantum.interop.circuits.pytket_circuits": ("from_pytket",),
    "quantum.interop.qiskit": ("from_qiskit",),
    "quantum.interop.torch_layers": ("from_torch_layer",),
    "quantum.derivatives": ("differentiate",),
    "quantum.qasm.source": ("QasmError",),
    "tasks.features": ("TangentFeatures",),
    "tasks.linearized": ("LinearizedClassifier", "LinearizedRegressor"),
    "tasks.self_training": ("self_train",),
    "tasks.subset": ("select_subset",),
    "theory.trainability.panel": ("trainability",),
    "theory.trainability.result": ("Trainability",),
    "training.features.result": ("Features",),
    "training.history": ("DivergedError", "History"),
    "training.loop": ("Record", "train"),
    "training.losses": ("CrossEntropy", "Logistic", "SquaredError", "accuracy"),
    "training.methods": ("LBFGS", "SGD", "Adam", "GradientDescent", "GradientFlow", "TorchOptimizer"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
_PACKAGES = tuple(name.removeprefix("qlazy.") for name in (*aliases.PUBLIC, *aliases.MOVED))

__all__ = ["__version__", *sorted(_HOME)]

aliases.install()
conversions.register("pennylane.qnn.torch.TorchLayer", "qlazy.quantum.interop.torch_layers:from_torch_layer")


def __getattr__(name: str) -> Any:
    # Names are imported when first used, so that a classical study never waits for PennyLane.
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")  # qlazy.subset.HostCP, qlazy.tensor.decompose
    if name not in _HOME:
        from qlazy.base.errors import did_you_mean

        near = did_you_mean(name, __all__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{near}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
