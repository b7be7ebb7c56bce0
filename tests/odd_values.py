"""Wrong kinds of values for every argument of every public callable, and a call of each that is right."""

from __future__ import annotations

import warnings
from fractions import Fraction
from functools import cache, partial

import numpy as np
import torch
from torch import nn

import qlazy

QASM = 'OPENQASM 3.0; include "stdgates.inc"; input float w; qubit q; rx(w) q;'


def in_qiskit():
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("w"), 0)
    return circuit


def torch_layer():
    import pennylane as qml

    @qml.qnode(qml.device("default.qubit", wires=1))
    def circuit(inputs, w):
        qml.RX(w, 0)
        return qml.expval(qml.Z(0))

    return qml.qnn.TorchLayer(circuit, {"w": 1})


def quantized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(6, 2), 0.1, 0, torch.qint8)


ODD = {
    "None": lambda: None,
    "letter": lambda: "a",
    "digit": lambda: "3",
    "empty text": lambda: "",
    "bytes": lambda: b"a",
    "True": lambda: True,
    "a class": lambda: int,
    "an object": lambda: object(),
    "a function": lambda: torch.relu,
    "a module": lambda: nn.Tanh(),
    "a lambda without arguments": lambda: lambda: 3,
    "ragged": lambda: [[1.0], [2.0, 3.0]],
    "empty list": lambda: [],
    "list of None": lambda: [None, None],
    "tuple of texts": lambda: ("a", "b"),
    "empty dict": lambda: {},
    "dict": lambda: {1: 2},
    "set": lambda: {1, 2},
    "generator": lambda: (i for i in range(3)),
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "zero": lambda: 0,
    "negative": lambda: -1,
    "half": lambda: 1.5,
    "huge": lambda: 10**30,
    "complex": lambda: 2j,
    "fraction": lambda: Fraction(1, 3),
    "integers": lambda: np.arange(3),
    "floats": lambda: np.ones((6, 2)),
    "texts": lambda: np.array(["a", "b"]),
    "objects": lambda: np.array([None, 1], dtype=object),
    "0-d array": lambda: np.array(1.0),
    "0-d tensor": lambda: torch.tensor(1.0, dtype=torch.float64),
    "0-d bool": lambda: torch.tensor(True),
    "empty tensor": lambda: torch.zeros(0, 2, dtype=torch.float64),
    "complex tensor": lambda: torch.ones(6, 2, dtype=torch.complex128),
    "integer tensor": lambda: torch.ones(6, 2, dtype=torch.int64),
    "bool tensor": lambda: torch.ones(6, 2, dtype=torch.bool),
    "bfloat16": lambda: torch.ones(6, 2, dtype=torch.bfloat16),
    "NaN tensor": lambda: torch.full((6, 2), float("nan"), dtype=torch.float64),
    "meta": lambda: torch.ones(6, 2, device="meta"),
    "sparse": lambda: torch.ones(6, 2, dtype=torch.float64).to_sparse(),
    "quantized": quantized,
    "5-d tensor": lambda: torch.ones(1, 1, 1, 1, 1, dtype=torch.float64),
}


def table(folder):
    """A CSV file of two inputs and a target, where there is a folder for it."""
    if folder is None:
        return None
    path = folder / "table.csv"
    path.write_text("u,v,w\n" + "".join(f"{i},{i % 3},{i / 4}\n" for i in range(12)))
    return path


OPTIONS = {
    "linearly_separable": {"dimension": 3, "margin": 0.1},
    "hyperplanes": {"dimension": 3, "hyperplanes": 2, "hidden": 2, "task_seed": 3},
    "two_curves": {"dimension": 3, "degree": 2, "offset": 0.1, "noise": 0.1, "task_seed": 3},
    "hidden_manifold": {"dimension": 3, "manifold": 2, "task_seed": 3},
    "bars_and_stripes": {"height": 2, "width": 2, "noise": 0.1},
}
"""Of the data sets that are drawn."""


@cache
def compared():
    """A comparison of one run, made once: its methods leave it as it is."""
    return qlazy.compare(
        {"net": Point(None).net}, Point(None).data, alphas=[1.0], seeds=[0], steps=1, progress=False
    )


class Point:
    """What right calls are made of, anew for every call."""

    def __init__(self, folder):
        self.net = qlazy.mlp([2, 3, 1])
        self.params = self.net.init(torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(6, 2, generator=generator, dtype=torch.float64)
        self.y = self.x[:, :1].sign()
        self.data = qlazy.Dataset("d", self.x, self.y, self.x, self.y, ("a", "b"), "none")
        self.kernel = qlazy.tangent_kernel(self.net, self.params, self.x)
        self.dense = self.kernel.to_dense()
        self.path = qlazy.LinearizedPath(self.dense, self.y, self.y)
        self.folder = folder
        self.circuit = qlazy.from_qasm(QASM)
        self.program = self.circuit.program

    def file(self, name):
        return self.folder and self.folder / name


def fitted(estimator, X, y, sample_weight, **options):
    return estimator(**options).fit(X, y, sample_weight)


def calls(p):
    """Every public callable by name, with a right value for each argument."""
    x, y, net, w = p.x, p.y, p.net, p.params
    return {
        "Function": (
            qlazy.Function,
            {"f": lambda w, x: x @ w.reshape(2, 1), "num_params": 2, "blocks": None, "init": None},
        ),
        "Net": (qlazy.Net, {"module": nn.Linear(2, 1), "init": None}),
        "mlp": (
            qlazy.mlp,
            {"widths": [2, 3, 1], "activation": nn.Tanh, "bias": True, "dtype": torch.float64},
        ),
        "Scaled": (qlazy.Scaled, {"model": net, "alpha": 2.0}),
        "Centered": (qlazy.Centered, {"model": net, "anchor": w}),
        "Linearized": (qlazy.Linearized, {"model": net, "anchor": w}),
        "Readout": (qlazy.Readout, {"model": net, "outputs": 1}),
        "CircuitLayer": (qlazy.CircuitLayer, {"circuit": p.circuit, "dtype": torch.float64}),
        "Circuit": (qlazy.Circuit, {"qnode": p.program, "weight_shapes": {"w": ()}, "backend": "auto"}),
        "from_qasm": (qlazy.from_qasm, {"text": QASM, "observables": (), "data": (), "backend": "auto"}),
        "from_qiskit": (
            qlazy.from_qiskit,
            {"circuit": in_qiskit(), "observables": (), "data": (), "backend": "auto"},
        ),
        "from_torch_layer": (qlazy.from_torch_layer, {"layer": torch_layer()}),
        "from_qasm n": (
            lambda n: qlazy.from_qasm(QASM.replace("input", "const int n = 2; input"), n=n),
            {"n": 2},
        ),
        "load_circuit": (qlazy.load_circuit, {"name_or_path": "convolutional", "backend": "auto"}),
        "differentiate": (qlazy.differentiate, {"program": p.program, "wrt": "w", "mode": "ancilla"}),
        "model()": (net, {"params": w, "x": x}),
        "model.jacobian": (net.jacobian, {"params": w, "x": x}),
        "model.jvp": (net.jvp, {"params": w, "x": x, "tangent": w}),
        "model.vjp": (net.vjp, {"params": w, "x": x, "cotangent": y}),
        "model.gram": (net.gram, {"params": w, "x": x, "y": x}),
        "model.init": (net.init, {"generator": torch.Generator()}),
        "circuit()": (p.circuit, {"params": w[:1], "x": x[:, :0]}),
        "circuit.vjp": (p.circuit.vjp, {"params": w[:1], "x": x[:, :0], "cotangent": y}),
        "tangent_kernel": (
            qlazy.tangent_kernel,
            {"model": net, "params": w, "x": x, "x2": None, "allow_zero": False, "shots": None},
        ),
        "tangent_kernel shots": (
            lambda **given: qlazy.tangent_kernel(p.circuit, w[:1], x[:, :0], progress=False, **given),
            {"shots": 10, "generator": None},
        ),
        "TangentKernel": (
            qlazy.TangentKernel,
            {"model": net, "params": w, "x": x, "x2": None, "allow_zero": False},
        ),
        "kernel @": (lambda vector: p.kernel @ vector, {"vector": y}),
        "@ kernel": (lambda vector: p.kernel.__rmatmul__(vector), {"vector": y[:, 0]}),
        "kernel.eigh": (p.kernel.eigh, {"k": 2}),
        "kernel.solve": (p.kernel.solve, {"right": y[:, 0], "ridge": 0.1}),
        "kernel.plot": (p.kernel.plot, {"labels": y, "classes": ("no", "yes"), "style": {"font.size": 9.0}}),
        "tiled_kernel": (
            qlazy.tiled_kernel,
            {
                "model": net,
                "params": w,
                "x": x,
                "x2": None,
                "store": p.file("k.zarr"),
                "tile": 2,
                "workers": 1,
                "client": None,
                "allow_zero": False,
                "progress": False,
            },
        ),
        "TiledKernel.load": (qlazy.TiledKernel.load, {"store": p.file("absent")}),
        "kernel_regression": (
            qlazy.kernel_regression,
            {
                "kernel_train": p.dense,
                "kernel_test": p.dense,
                "targets": y,
                "ridge": 0.1,
                "offset_train": 0.0,
                "offset_test": 0.0,
            },
        ),
        "LinearizedPath": (qlazy.LinearizedPath, {"kernel": p.dense, "outputs0": y, "targets": y}),
        "path.outputs": (p.path.outputs, {"times": [1.0]}),
        "path.steps": (p.path.steps, {"learning_rate": 0.1, "counts": [1]}),
        "path.predict": (
            p.path.predict,
            {"kernel_test": p.dense, "outputs0_test": y, "duals": y.unsqueeze(0)},
        ),
        "InfiniteNet": (
            qlazy.InfiniteNet,
            {"activation": "relu", "hidden": 1, "weight_scale": 1.0, "bias_scale": 0.0},
        ),
        "InfiniteCircuit": (
            qlazy.InfiniteCircuit,
            {"circuit": p.circuit, "precision": 0.01, "max_walks": 10, "seed": 0},
        ),
        "InfiniteNet.train": (
            qlazy.InfiniteNet().train,
            {"data": p.data, "method": qlazy.GradientDescent(), "steps": 3},
        ),
        "TangentFeatures.fit": (
            lambda model, seed, params, X: qlazy.TangentFeatures(model, seed=seed, params=params).fit(X),
            {"model": net, "seed": 0, "params": None, "X": x.numpy()},
        ),
        "TangentFeatures.transform": (qlazy.TangentFeatures(net).fit(x.numpy()).transform, {"X": x.numpy()}),
        **{
            f"{name}.fit": (
                partial(fitted, getattr(qlazy, name)),
                {
                    "model": net,
                    "ridge": 0.1,
                    "scale": 1.0,
                    "centered": True,
                    "random_state": 0,
                    "X": x.numpy(),
                    "y": y,
                    "sample_weight": np.arange(1, 7),
                },
            )
            for name, y in (
                ("LinearizedRegressor", x[:, 0].numpy()),
                ("LinearizedClassifier", np.arange(6) % 2),
            )
        },
        **{
            f"{name}.predict": (
                getattr(qlazy, name)(net).fit(x.numpy(), np.arange(6) % 2).predict,
                {"X": x.numpy()},
            )
            for name in ("LinearizedRegressor", "LinearizedClassifier")
        },
        "load_data": (
            qlazy.load_data,
            {
                "name": "iris",
                "target": None,
                "columns": None,
                "regression": None,
                "classes": None,
                "features": 2,
                "train": 20,
                "test": 10,
                "seed": 0,
                "scaling": "angle",
                "dtype": torch.float64,
            },
        ),
        **{
            f"load_data {name}": (partial(qlazy.load_data, name, train=20, test=10), options)
            for name, options in OPTIONS.items()
        },
        "load_data file": (
            qlazy.load_data,
            {"name": table(p.folder), "target": "w", "columns": ["u", 1], "regression": True},
        ),
        "from_arrays": (
            qlazy.from_arrays,
            {
                "x": np.arange(40.0).reshape(20, 2),
                "y": np.arange(20) % 2,
                "name": "d",
                "classes": None,
                "features": 2,
                "train": 10,
                "test": 6,
                "seed": 0,
                "scaling": "angle",
                "regression": False,
                "dtype": torch.float64,
            },
        ),
        "Dataset": (
            qlazy.Dataset,
            {
                "name": "d",
                "x_train": x,
                "y_train": y,
                "x_test": x,
                "y_test": y,
                "classes": ("a", "b"),
                "description": "",
                "features": ("one", "two"),
            },
        ),
        "Dataset.to": (p.data.to, {"dtype": torch.float32, "device": "cpu"}),
        "train": (
            qlazy.train,
            {
                "model": net,
                "params": w,
                "data": p.data,
                "steps": 2,
                "alpha": 1.0,
                "loss": qlazy.SquaredError(),
                "method": qlazy.GradientDescent(),
                "record": qlazy.Record(),
                "observer": None,
            },
        ),
        "train pair": (lambda x, y: qlazy.train(net, w, (x, y), steps=1), {"x": x, "y": y}),
        "Record": (qlazy.Record, {"at": None, "count": 3}),
        "GradientDescent": (qlazy.GradientDescent, {"learning_rate": 0.1}),
        "SGD": (qlazy.SGD, {"learning_rate": 0.1, "batch_size": 2, "momentum": 0.0, "seed": 0}),
        "Adam": (
            qlazy.Adam,
            {"learning_rate": 0.1, "betas": (0.9, 0.99), "epsilon": 1e-8, "batch_size": 2, "seed": 0},
        ),
        "LBFGS": (qlazy.LBFGS, {"learning_rate": 0.1, "history": 3, "line_search": True}),
        "TorchOptimizer": (
            qlazy.TorchOptimizer,
            {"make": torch.optim.AdamW, "batch_size": 3, "seed": 0},
        ),
        "GradientFlow": (qlazy.GradientFlow, {"horizon": 1.0, "solver": "LSODA", "rtol": 1e-8, "atol": 1e-8}),
        "SquaredError()": (qlazy.SquaredError(), {"outputs": y, "targets": y}),
        "Logistic()": (qlazy.Logistic(), {"outputs": y, "targets": y}),
        "CrossEntropy()": (qlazy.CrossEntropy(), {"outputs": torch.eye(2), "targets": torch.eye(2)}),
        "accuracy": (qlazy.accuracy, {"outputs": y, "targets": y}),
        "check": (
            qlazy.check,
            {
                "model": net,
                "data": p.data,
                "panels": ["lazy"],
                "alphas": [1.0],
                "seeds": [0],
                "loss": qlazy.SquaredError(),
                "method": qlazy.GradientDescent(),
                "steps": 1,
                "centered": True,
                "small": 0.1,
                "key": None,
                "out": None,
                "workers": None,
                "progress": False,
            },
        ),
        "compare": (
            qlazy.compare,
            {
                "models": {"net": net},
                "data": p.data,
                "alphas": [1.0],
                "seeds": [0],
                "loss": qlazy.SquaredError(),
                "method": qlazy.GradientDescent(),
                "steps": 1,
                "centered": True,
                "baselines": (),
                "features": False,
                "out": None,
                "workers": None,
                "client": None,
                "progress": False,
            },
        ),
        "surrogates": (
            qlazy.surrogates,
            {
                "model": net,
                "data": p.data,
                "seeds": [0],
                "folds": 2,
                "candidates": 1,
                "steps": 1,
                "method": None,
                "loss": qlazy.SquaredError(),
                "margin": 0.02,
                "max_features": 9,
                "progress": False,
            },
        ),
        "Features.load": (qlazy.Features.load, {"folder": p.file("absent")}),
        "Surrogates.load": (qlazy.Surrogates.load, {"folder": p.file("absent")}),
        "untangled": (qlazy.untangled, {"circuit": p.circuit, "x": None}),
        "FourierModel": (qlazy.FourierModel, {"circuit": p.circuit, "max_features": 9, "seed": 0}),
        "trainability": (
            qlazy.trainability,
            {
                "circuit": p.circuit,
                "x": x[:, :0],
                "sizes": (),
                "samples": 8,
                "seed": 0,
                "progress": False,
            },
        ),
        "Trainability.load": (qlazy.Trainability.load, {"folder": p.file("absent")}),
        "Comparison.load": (qlazy.Comparison.load, {"folder": p.file("absent")}),
        "Comparison.figure": (
            compared().figure,
            {"name": "gap", "ax": None, "against": "alpha", "style": {"font.size": 9.0}},
        ),
        "Comparison.values": (compared().values, {"model": "net", "metric": "output gap"}),
        "Comparison.slopes": (compared().slopes, {"least": 10.0}),
        "Comparison.geometry": (compared().geometry, {"ridge": 1e-3}),
        "Comparison.verdict": (compared().verdict, {"small": 0.1}),
        "Comparison.xarray": (compared().xarray, {}),
        "Comparison.frame": (compared().frame, {}),
        "Verdict.load": (qlazy.Verdict.load, {"folder": p.file("absent")}),
        "Run.load": (qlazy.Run.load, {"folder": p.file("absent")}),
        "Subset.load": (qlazy.subset.Subset.load, {"path": p.file("absent")}),
        "SelfTrained.load": (qlazy.self_training.SelfTrained.load, {"path": p.file("absent")}),
        "History.load": (qlazy.History.load, {"path": p.file("absent")}),
        "select_subset": (
            qlazy.select_subset,
            {
                "model": net,
                "data": p.data,
                "fraction": 0.5,
                "selector": qlazy.subset.SmallLoss(),
                "validation": None,
                "params": None,
                "loss": qlazy.SquaredError(),
                "epochs": 1,
                "batch_size": 3,
                "learning_rate": 0.1,
                "seed": 0,
                "out": None,
                "progress": False,
            },
        ),
        "select_subset pair": (
            lambda x, y: qlazy.select_subset(
                net, (x, y), selector=qlazy.subset.SmallLoss(), epochs=1, batch_size=3, progress=False
            ),
            {"x": x, "y": y},
        ),
        "self_train": (
            qlazy.self_train,
            {
                "model": net,
                "data": p.data,
                "unlabeled": x,
                "teacher": qlazy.self_training.DifferentiableTeacher(),
                "steps": 2,
                "warmup": 1,
                "method": qlazy.Adam(0.1),
                "params": None,
                "teacher_params": None,
                "record": qlazy.Record(),
                "seed": 0,
                "progress": False,
            },
        ),
    }
