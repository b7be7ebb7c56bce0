"""The experiments of ``regimes`` on circuits: the three regimes at few features, beside nets of as many parameters.

RF trains the weights of an observable of Pauli words on the state of a random circuit, NT the linearised model of the
circuit and its observable at random angles, NN all of it. Circuits upload the features as angles in each of L layers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qlazy.base.tables import Table
from qlazy.models.model import Model
from qlazy.models.nets import mlp
from qlazy.models.wrappers import Readout
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.corpus import load_program
from qlazy.quantum.interop.loading import from_qasm
from qlazy.studies.experiments import Outcome
from qlazy.studies.regimes.quadratic_nets import least_norm, make_task, target_matrix
from qlazy.studies.result import Finding, mean_and_error
from qlazy.theory.quadratic import (
    GaussianMixture,
    QuadraticTask,
    gaussian_weights,
    network_fit,
    quadratic_net,
)
from qlazy.training.loop import Record, train
from qlazy.training.methods import LBFGS

TASKS = {
    "qf": "qf, B diagonal",
    "turned": "qf, B turned",
    "mg": "mg, D diagonal",
}
FAMILIES = ("circuit", "tanh net", "quadratic net")
REGIMES = ("RF", "NT", "NN")


class Fit(NamedTuple):
    """R / R0 of a model on the test part, and the rank of its Jacobian (n, p) over the training inputs.

    Of RF and NT, which are linear, the rank is that of their features; of NN that where training ended.
    """

    risk: float
    rank: int


class Sample(NamedTuple):
    """Training and test examples of a task, targets scaled to unit null risk."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor

    def risk(self, outputs: Tensor) -> float:
        """R / R0 on the test part, outputs (n, 1)."""
        return ((self.y_test - outputs).square().mean() / self.y_test.square().mean()).item()


def parameters(features: int, layers: int) -> int:
    """Of a circuit of that many layers with its observable: 3 d L angles and d + 1 weights."""
    return 3 * features * layers + features + 1


def equal_counts(features: int, layers: Sequence[int], seeds: int, samples: int, steps: int) -> Outcome:
    """R / R0 of every family in every regime on every task, (layers, seeds), beside what makes counts unequal.

    Equal counts are not equal models: parameters may be redundant, which the rank of the Jacobian shows, and cost very
    different numbers of multiplications. Both stand in a table of their own.
    """
    arrays: dict[str, NDArray[Any]] = {"circuit_layers": np.array(layers)}
    findings, rows = [], []
    ranks: dict[tuple[str, str], list[NDArray[Any]]] = {}
    for family, regime in itertools.product(FAMILIES, REGIMES):
        counts = [_count(family, regime, features, L) for L in layers]
        arrays[_key("count", family, regime)] = np.array(counts)
        arrays[_key("work", family, regime)] = np.array(
            [multiplications(family, regime, features, L) for L in layers]
        )
    for name, title in TASKS.items():
        task = small_task(name, features)
        found = np.array(
            [[_all_regimes(task, L, seed, samples, steps) for seed in range(seeds)] for L in layers]
        )  # (layers, seeds, families and regimes, 2)
        for place, (family, regime) in enumerate(itertools.product(FAMILIES, REGIMES)):
            values, rank = np.moveaxis(found[:, :, place], -1, 0)
            arrays[_key(name, family, regime)] = values
            arrays[_key(f"rank_{name}", family, regime)] = rank
            ranks.setdefault((family, regime), []).append(rank)
            spread = [mean_and_error(row) for row in values]
            rows.append((title, family, regime, *(f"{mean:.3f} ± {error:.3f}" for mean, error in spread)))
            count = arrays[_key("count", family, regime)][-1]
            quantity = f"{family} {regime}, {count} parameters, rank {rank[-1].min():g}"
            findings.append(Finding.reported(title, quantity, values[-1]))
    arrays["circuits_mg_bayes"], bayes = _bayes(features)
    findings.append(bayes)
    head = ("task", "family", "regime", *(f"p={parameters(features, L)}" for L in layers))
    risks = Table(f"R / R0 at equal counts, d={features}", head, tuple(rows))
    return Outcome(findings, arrays, [risks, _costs_table(arrays, ranks, features, layers)])


def _costs_table(
    arrays: Mapping[str, NDArray[Any]],
    ranks: Mapping[tuple[str, str], Sequence[NDArray[Any]]],
    features: int,
    layers: Sequence[int],
) -> Table:
    """Parameters, the least rank over tasks and seeds, and multiplications, by family, regime and layers."""
    rows = []
    for (family, regime), found in ranks.items():
        least = np.min([rank.min(1) for rank in found], axis=0)
        count, work = (arrays[_key(what, family, regime)] for what in ("count", "work"))
        rows.append(
            (family, regime, *(f"{c}, {r:g}, {w}" for c, r, w in zip(count, least, work, strict=True)))
        )
    head = ("family", "regime", *(f"L={L}" for L in layers))
    title = f"Parameters, least rank of the Jacobian and multiplications for one output, d={features}"
    return Table(title, head, tuple(rows))


def multiplications(family: str, regime: str, features: int, layers: int) -> int:
    """Real multiplications for one output, constants that all have in common left out.

    A circuit of d qubits and L layers applies 2 d L one-qubit gates to 2^d amplitudes, at eight multiplications each,
    and an observable takes two more an amplitude; nets multiply by every weight, and a quadratic unit by itself. The
    linearised circuit takes a sweep forth and back, three times the state, and one more for each parameter; the
    linearised net one more for each of its features.
    """
    d, size = features, _size(family, regime, features, layers)
    if family == "circuit":
        amplitudes = 2**d
        state = 16 * d * layers * amplitudes
        return {
            "RF": state + size * (2 * amplitudes + 1),
            "NT": 3 * state + size,
            "NN": state + d * (2 * amplitudes + 1),
        }[regime]
    units = {"tanh net": d + 1, "quadratic net": d + 2}[family]
    return size * (units if regime != "NT" else units + d + 1)


def _bayes(features: int, count: int = 200_000) -> tuple[NDArray[Any], Finding]:
    """The least risk of any function on mg, by its exact likelihood ratio, below that of the best quadratic form."""
    task = small_task("mg", features)
    assert isinstance(task, GaussianMixture)
    x, _ = task.sample(count, torch.Generator().manual_seed(11))
    kept = 1 - torch.tanh(task.log_likelihood_ratio(x) / 2).square()
    best = task.risk(network_fit(task, features)).item()
    error = kept.std().item() / math.sqrt(count)
    risk = kept.mean().item()
    return np.array(risk), Finding(
        TASKS["mg"], "Bayes, at most the best quadratic", best, risk, error, relation="<="
    )


def small_task(name: str, features: int) -> QuadraticTask:
    """The tasks of the study at small d; "turned" has its axes turned against the qubits, all else equal."""
    matrix = target_matrix(features)
    if name == "mg":
        return make_task("mg", matrix * (0.8 / matrix.max()))
    if name == "turned":
        generator = torch.Generator().manual_seed(1)
        turn = torch.linalg.qr(torch.randn(features, features, generator=generator, dtype=torch.float64))[0]
        matrix = turn @ matrix @ turn.T
        matrix = (matrix + matrix.T) / 2
    return make_task("qf", matrix)


def draw(task: QuadraticTask, samples: int, seed: int) -> Sample:
    """``samples`` to train on and twice as many to test on."""
    generator = torch.Generator().manual_seed(5000 + seed)
    (x, y), (x_test, y_test) = task.sample(samples, generator), task.sample(2 * samples, generator)
    scale = math.sqrt(task.null)
    return Sample(x, y / scale, x_test, y_test / scale)


def circuit_of(features: int, layers: int, observables: Sequence[str]) -> Circuit:
    """The corpus's data re-uploading circuit, measured in the Pauli words ``observables``."""
    text = load_program("data_reuploading").text
    return from_qasm(text, observables=observables, n=features, layers=layers)


def random_angles(circuit: Circuit, layers: int, generator: torch.Generator) -> Tensor:
    """Biases and phases uniform in [0, 2 pi), encoding weights from N(0, 1/L): each feature's frequencies stay O(1)."""
    params = circuit.init(generator)
    block = circuit.blocks["weight"]
    weights = torch.randn(block.stop - block.start, generator=generator, dtype=torch.float64)
    return torch.cat([weights / math.sqrt(layers), params[block.stop :]])


def pauli_words(qubits: int, count: int, generator: torch.Generator) -> list[str]:
    """``count`` distinct Pauli words other than the identity, drawn at random."""
    words = list(itertools.islice(itertools.product("IXYZ", repeat=qubits), 1, None))
    chosen = torch.randperm(len(words), generator=generator)[:count].tolist()
    return [" ".join(f"{p} q[{k}]" for k, p in enumerate(words[i]) if p != "I") for i in chosen]


def regress(features: Tensor, features_test: Tensor, sample: Sample) -> Fit:
    """Least squares over features (n, p) and (m, p) with a constant among them."""
    return Fit(sample.risk((features_test @ least_norm(features, sample.y)).unsqueeze(1)), rank_of(features))


def tangent_regression(model: Model, params: Tensor, sample: Sample) -> Fit:
    """The best linearised model at ``params``, by least squares over the columns of the Jacobian."""
    left, right = (model.jacobian(params, x)[:, 0] for x in (sample.x, sample.x_test))
    return regress(left, right, sample)


def trained(model: Model, params: Tensor, sample: Sample, steps: int) -> Fit:
    """The model after ``steps`` of L-BFGS on all parameters."""
    trace = train(
        model,
        params,
        (sample.x, sample.y),
        steps=steps,
        method=LBFGS(history=20),
        record=Record(at=(0, steps)),
    )
    final = torch.from_numpy(trace.params[-1])
    return Fit(sample.risk(model(final, sample.x_test)), rank_of(model.jacobian(final, sample.x)[:, 0]))


def rank_of(features: Tensor) -> int:
    """The rank of features or of a Jacobian (n, p), singular values to 1e-9 of the largest."""
    return int(torch.linalg.matrix_rank(features.detach(), rtol=1e-9))


def _all_regimes(task: QuadraticTask, layers: int, seed: int, samples: int, steps: int) -> list[Fit]:
    """Families by regimes, in the order of their names."""
    sample = draw(task, samples, seed)
    fits: list[Fit] = []
    for family in FAMILIES:
        counts = {regime: _size(family, regime, task.dimension, layers) for regime in REGIMES}
        fits += _RUNS[family](sample, counts, layers, seed, steps)
    return fits


def _circuits(sample: Sample, counts: Mapping[str, int], layers: int, seed: int, steps: int) -> list[Fit]:
    generator = torch.Generator().manual_seed(seed)
    d = sample.x.shape[1]
    model = Readout(circuit_of(d, layers, [f"Z q[{k}]" for k in range(d)]), d)
    assert isinstance(model.model, Circuit)
    angles = random_angles(model.model, layers, generator)
    params = torch.cat([angles, model.init(generator)[len(angles) :]])
    measured = circuit_of(d, layers, pauli_words(d, counts["RF"], generator))
    left, right = (_with_constant(measured(angles, x)) for x in (sample.x, sample.x_test))
    return [
        regress(left, right, sample),
        tangent_regression(model, params, sample),
        trained(model, params, sample, steps),
    ]


def _tanh_nets(sample: Sample, counts: Mapping[str, int], layers: int, seed: int, steps: int) -> list[Fit]:
    generator = torch.Generator().manual_seed(seed)
    d = sample.x.shape[1]
    wide, model = (mlp([d, counts[regime], 1], nn.Tanh) for regime in ("RF", "NT"))
    start, params = wide.init(generator), model.init(generator)
    outer = wide.blocks[
        "2.weight"
    ].start  # the last layer: its columns of the Jacobian are the hidden units and a one
    left, right = (wide.jacobian(start, x)[:, 0, outer:] for x in (sample.x, sample.x_test))
    return [
        regress(left, right, sample),
        tangent_regression(model, params, sample),
        trained(model, params, sample, steps),
    ]


def _quadratic_nets(
    sample: Sample, counts: Mapping[str, int], layers: int, seed: int, steps: int
) -> list[Fit]:
    generator = torch.Generator().manual_seed(seed)
    d = sample.x.shape[1]
    weights, tangent = (gaussian_weights(counts[regime], d, generator) for regime in ("RF", "NT"))
    pairs = (sample.x, sample.x_test)
    squares = [_with_constant((x @ weights.T).square()) for x in pairs]
    products = [_with_constant(((x @ tangent.T).unsqueeze(2) * x.unsqueeze(1)).flatten(1)) for x in pairs]
    model = quadratic_net(counts["NN"], d)
    return [
        regress(squares[0], squares[1], sample),
        regress(products[0], products[1], sample),
        trained(model, model.init(generator), sample, steps),
    ]


_RUNS: dict[str, Callable[[Sample, Mapping[str, int], int, int, int], list[Fit]]] = {
    "circuit": _circuits,
    "tanh net": _tanh_nets,
    "quadratic net": _quadratic_nets,
}


def _size(family: str, regime: str, features: int, layers: int) -> int:
    """Features (RF) or hidden units (NT, NN) for as many parameters as the circuit has, or the next fewer."""
    free = parameters(features, layers) - 1
    return (
        free if regime == "RF" or family == "circuit" else max(1, free // _PER_UNIT[family, regime](features))
    )


_PER_UNIT: dict[tuple[str, str], Callable[[int], int]] = {
    ("tanh net", "NT"): lambda d: d + 2,
    ("tanh net", "NN"): lambda d: d + 2,
    ("quadratic net", "NT"): lambda d: d,
    ("quadratic net", "NN"): lambda d: d + 1,
}


def _count(family: str, regime: str, features: int, layers: int) -> int:
    """Trained parameters."""
    size = _size(family, regime, features, layers)
    per = 1 if regime == "RF" or family == "circuit" else _PER_UNIT[family, regime](features)
    return size * per + 1


def _with_constant(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], 1)


def _key(task: str, family: str, regime: str) -> str:
    return f"circuits_{task}_{family}_{regime}".replace(" ", "_").lower()
