"""Convolutional nets on real images against the scale a, beside a truly linearised net.

A VGG-like net, centred and without batch norm, is trained by SGD on R(a h(w)) / a^2 with the square loss, all scales
of a seed from the same start, at the same rate, on the same batches. The linearised net is :class:`qlazy.Linearized`
itself, trained in the same way; a net of frozen gates would not be it. After Chizat, Oyallon, Bach (2019, arXiv
1812.07956), who take VGG-11 on CIFAR-10; here a net for two cores learns a few hundred images. All in float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qlazy.base.tables import Table
from qlazy.data.datasets import Dataset, load_data
from qlazy.kernels.operator import tangent_kernel
from qlazy.models.model import Model
from qlazy.models.nets import Net
from qlazy.models.wrappers import Centered, Linearized
from qlazy.studies.experiments import Outcome
from qlazy.studies.result import Finding, mean_and_error
from qlazy.training.drift import activation_stability, relative_drift
from qlazy.training.history import History
from qlazy.training.loop import Record, train
from qlazy.training.losses import accuracy
from qlazy.training.methods import SGD

CLASSES = tuple("0123456789")
BATCH, MOMENTUM = 50, 0.9
LARGEST_SIDE = 14
"""Images of more pixels a side are averaged down to it."""
PLATEAU = 10.0
"""From this scale on, accuracy is claimed to have stopped falling."""
FALL = 0.02
"""By so much, at least, accuracy is claimed to fall on the way there; the plateau may slope as much."""
METRICS = ("train accuracy", "test accuracy", "activation stability", "||dw||/||w0||")


def images(name: str, train_size: int, test_size: int, seed: int) -> Dataset:
    """All ten digits as images (n, 1, side, side) of mean 0 and variance 1, targets one-hot less 1/10.

    ``name`` is "mnist" or "digits". Mean and variance are those of all training pixels together.
    """
    flat = load_data(
        name, classes=CLASSES, features={"mnist": 784, "digits": 64}[name], train=train_size, test=test_size,
        scaling="none", seed=seed, dtype=torch.float32,
    )  # fmt: skip
    fit, held = (_shrunk(x) for x in (flat.x_train, flat.x_test))
    mean, deviation = fit.mean(), fit.std()
    x_train, x_test = ((x - mean) / deviation for x in (fit, held))
    y_train, y_test = (y - 1 / len(CLASSES) for y in (flat.y_train, flat.y_test))
    return replace(flat, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def vgg(side: int, width: int) -> Net:
    """Four convolutions in two pooled blocks of ``width`` and 2 ``width`` channels, and a linear layer to ten outputs.

    He initialisation: variance 2 / fan in before a ReLU, 1 / fan in at the end, biases zero.
    """
    layers: list[nn.Module] = []
    for channels, new in ((1, width), (width, 2 * width)):
        layers += [
            nn.Conv2d(channels, new, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(new, new, 3, padding=1),
            nn.ReLU(),
        ]
        layers += [nn.MaxPool2d(2)]
    features = 2 * width * (side // 4) ** 2
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, len(CLASSES)))

    def init(generator: torch.Generator) -> Tensor:
        return torch.cat([_he(p, generator) for p in module.parameters()])

    return Net(module, init=init)


def scales(
    name: str, width: int, train_size: int, test_size: int, alphas: Sequence[float], seeds: int, epochs: int
) -> Outcome:
    """Accuracy, activation stability and drift against a, and the linearised net's accuracy."""
    measured, linear, apart = np.zeros((4, len(alphas), seeds)), np.zeros((2, seeds)), np.zeros(seeds)
    for seed in range(seeds):
        data = images(name, train_size, test_size, seed)
        net = vgg(data.x_train.shape[-1], width)
        anchor = net.init(torch.Generator().manual_seed(seed))
        model, method = Centered(net, anchor), _method(net, anchor, data, seed)
        steps = epochs * -(-train_size // BATCH)
        for i, alpha in enumerate(alphas):
            trace = _trained(model, anchor, data, steps, alpha, method)
            final = torch.from_numpy(trace.params[-1])
            stable = activation_stability(model, final, anchor, data.x_test)
            measured[:, i, seed] = *_accuracies(trace, data), stable, relative_drift(final, anchor)
        tangent = _trained(Linearized(model, anchor), anchor, data, steps, 1.0, method)
        linear[:, seed] = _accuracies(tangent, data)
        apart[seed] = _distance(trace, tangent)
    arrays = {"net_alphas": np.array(alphas), "net_measured": measured, "net_linear": linear}
    return Outcome(
        _findings(alphas, measured, linear, apart, test_size),
        arrays,
        [_table(name, alphas, measured, linear)],
    )


def _trained(model: Model, anchor: Tensor, data: Dataset, steps: int, alpha: float, method: SGD) -> History:
    ends = Record(at=(0, steps))
    return train(model, anchor, data, steps=steps, alpha=alpha, method=method, record=ends)


def _method(net: Net, anchor: Tensor, data: Dataset, seed: int) -> SGD:
    """Momentum SGD whose effective rate, rate / (1 - momentum), is 0.7 n / lambda_max(K_0), of the first 100 images."""
    few = data.x_train[:100]
    largest = tangent_kernel(net, anchor, few).eigh(1).values.item()
    return SGD(0.7 * len(few) / largest * (1 - MOMENTUM), BATCH, MOMENTUM, seed)


def _findings(
    alphas: Sequence[float], measured: NDArray[Any], linear: NDArray[Any], apart: NDArray[Any], answers: int
) -> list[Finding]:
    _, test, stable, _ = measured
    first, last = f"a = {alphas[0]:g}", f"a = {alphas[-1]:g}"
    findings = [
        Finding.mean("CNN", f"fall of test accuracy, {first} to {last}", FALL, test[0] - test[-1], relation=">="),
        Finding.mean(
            "CNN", f"linearised less {last}, test accuracy", 0.0, linear[1] - test[-1], 0.01, answers=answers
        ),
        Finding.mean("CNN", f"outputs of {last} from the linearised, relative", 0.05, apart, relation="<=", effect=0.0),
        Finding.mean("CNN", f"activation stability, {last}", 0.999, stable[-1], relation=">=", effect=1.0),
        Finding.reported("CNN", f"activation stability, {first}", stable[0]),
    ]  # fmt: skip
    if alphas[-2] >= PLATEAU:
        quantity = f"a = {alphas[-2]:g} less {last}, test accuracy"
        plateau = Finding.mean("CNN", quantity, 0.0, test[-2] - test[-1], 0.02, answers=answers)
        findings.append(plateau)
    return findings


def _table(name: str, alphas: Sequence[float], measured: NDArray[Any], linear: NDArray[Any]) -> Table:
    def cell(values: NDArray[Any]) -> str:
        mean, error = mean_and_error(values)
        return f"{mean:.4f} ± {error:.4f}"

    rows = [(f"{alpha:g}", *map(cell, measured[:, i])) for i, alpha in enumerate(alphas)]
    rows.append(("linearised", *map(cell, linear), "-", "-"))
    title = f"Convolutional nets on {name}: mean and standard error of {linear.shape[1]} seeds"
    return Table(title, ("a", *METRICS), tuple(rows))


def _accuracies(trace: History, data: Dataset) -> tuple[float, float]:
    """On the training and the test images, at the end."""
    assert trace.test_outputs is not None
    pairs = ((trace.train_outputs, data.y_train), (trace.test_outputs, data.y_test))
    train_part, test_part = (float(accuracy(torch.from_numpy(outputs[-1]), y)) for outputs, y in pairs)
    return train_part, test_part


def _distance(trace: History, tangent: History) -> float:
    """||f - fbar|| / ||fbar|| on the test images, at the end."""
    assert trace.test_outputs is not None
    assert tangent.test_outputs is not None
    linear = tangent.test_outputs[-1]
    return float(np.linalg.norm(trace.test_outputs[-1] - linear) / np.linalg.norm(linear))


def _shrunk(x: Tensor) -> Tensor:
    side = math.isqrt(x.shape[1])
    pictures = x.reshape(-1, 1, side, side)
    return nn.functional.avg_pool2d(pictures, side // LARGEST_SIDE) if side > LARGEST_SIDE else pictures


def _he(parameter: Tensor, generator: torch.Generator) -> Tensor:
    if parameter.ndim == 1:
        return torch.zeros_like(parameter)
    before_relu = parameter.ndim == 4
    deviation = math.sqrt((2 if before_relu else 1) / parameter[0].numel())
    return deviation * torch.randn(parameter.numel(), generator=generator)
