"""The computations that are timed, told in a way that every tool can be given: lists of gates and widths of layers.

Nothing here but NumPy, so that a tool may live in an environment of its own. Other distributions add workloads by
entry points of the group ``qlazy.bench.workloads``: functions of ``quick`` that return a list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

GROUP = "qlazy.bench.workloads"
Array = NDArray[Any]
Axis = Literal["RY", "RZ"]
TimedTask = Literal["jacobian", "loss gradient", "kernel", "hessian", "hessian product", "training"]
WordsTask = Literal["propagation", "propagated gradients"]


class Angle(NamedTuple):
    """params[scale] * x[feature] + params[shift], each of which may be absent; radians."""

    shift: int | None = None
    feature: int | None = None
    scale: int | None = None


@dataclass(frozen=True)
class Gate:
    """RY, RZ, CNOT, CZ, or Rot(phi, theta, omega) = RZ(omega) RY(theta) RZ(phi); rotations are exp(-i angle P / 2)."""

    name: Literal["RY", "RZ", "Rot", "CNOT", "CZ"]
    wires: tuple[int, ...]
    angles: tuple[Angle, ...] = ()

    @property
    def rotations(self) -> tuple[tuple[str, Angle], ...]:
        """The gate as rotations about one axis, in the order in which they act; none for CNOT and CZ."""
        axes = ("RZ", "RY", "RZ") if self.name == "Rot" else (self.name,)
        return tuple(zip(axes, self.angles, strict=True)) if self.angles else ()


@dataclass(frozen=True)
class CircuitWorkload:
    """<Z> of ``outputs`` wires from ``first`` on, after ``gates``, for ``samples`` rows of as many features as wires.

    Training is gradient descent at ``learning_rate`` on F_a(w) = sum ||a (h(w) - h(w0)) - y||^2 / (2 n a^2), ``steps``
    of it from each of ``seeds`` starts w0 at each scale a of ``alphas``, from which the parameters at the end are asked
    for.
    """

    name: str
    title: str
    wires: int
    gates: tuple[Gate, ...]
    num_params: int
    samples: int
    outputs: int = 1
    task: TimedTask = "jacobian"
    first: int = 0
    steps: int = 0
    seeds: int = 0
    alphas: tuple[float, ...] = ()
    learning_rate: float = 0.25

    @property
    def gradients(self) -> int:
        """How many gradients of all samples are asked for: in training one a step and run."""
        return self.steps * self.seeds * len(self.alphas) if self.task == "training" else 1

    @property
    def measured(self) -> range:
        """The wires whose <Z> are outputs."""
        return range(self.first, self.first + self.outputs)

    @cached_property
    def angles(self) -> tuple[Angle, ...]:
        """Every angle of the circuit, in the order in which the gates act."""
        return tuple(angle for gate in self.gates for angle in gate.angles)

    def draw(self, seed: int) -> tuple[Array, ...]:
        """Parameters (p,), inputs (n, d) and, for a loss, targets (n, c), or for a product a direction (p,).

        For training starts (s, p) in place of parameters. New ones for each seed, float64.
        """
        rng = np.random.default_rng(seed)
        shape = (self.seeds, self.num_params) if self.task == "training" else self.num_params
        params = rng.uniform(0, 2 * np.pi, shape)
        x = rng.uniform(-1, 1, (self.samples, self.wires))
        targets = np.sign(rng.standard_normal((self.samples, self.outputs)))
        if self.task == "hessian product":
            return params, x, rng.standard_normal(self.num_params)
        return (params, x, targets) if self.task in ("loss gradient", "training") else (params, x)

    @property
    def is_second(self) -> bool:
        """Whether second derivatives are asked for, those of the sum of all outputs of all samples."""
        return self.task in ("hessian", "hessian product")


@dataclass(frozen=True)
class NetWorkload:
    """The tangent kernel (n, c, n, c) of a net on ``samples`` inputs.

    ``widths`` are those of a fully connected net with tanh between its layers or, where the inputs are images
    (1, ``size``, ``size``), the channels of 3x3 convolutions with ReLU after each, and the outputs of the one
    linear layer that follows.
    """

    name: str
    title: str
    widths: tuple[int, ...]
    samples: int
    size: int | None = None
    task: TimedTask = "kernel"

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Weights and biases in order: (out, in) or (out, in, 3, 3), then (out,)."""
        return tuple(shape for weight in self._weights() for shape in (weight, weight[:1]))

    def _weights(self) -> list[tuple[int, ...]]:
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        if self.size is None:
            return [(out, fan_in) for fan_in, out in pairs]
        convolutions = [(out, fan_in, 3, 3) for fan_in, out in pairs[:-1]]
        return [*convolutions, (self.widths[-1], self.widths[-2] * self.size**2)]

    @property
    def num_params(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def draw(self, seed: int) -> tuple[Array, ...]:
        """Parameters (p,), uniform in +-1/sqrt(fan in), and standard normal inputs: new ones for each seed."""
        rng = np.random.default_rng(seed)
        weights = self._weights()
        params = [
            rng.uniform(-1, 1, shape).ravel() / np.sqrt(np.prod(weights[i // 2][1:]))
            for i, shape in enumerate(self.shapes)
        ]
        row = (self.widths[0],) if self.size is None else (self.widths[0], self.size, self.size)
        return np.concatenate(params), rng.standard_normal((self.samples, *row))

    def split(self, params: Any) -> list[Any]:
        """A flat vector of any array library as the arrays of :attr:`shapes`."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes]).tolist()
        starts = [0, *ends[:-1]]
        return [params[a:b].reshape(shape) for a, b, shape in zip(starts, ends, self.shapes, strict=True)]


TIME_STEP = 0.1
PUBLISHED_WORDS = {8: 4_701, 16: 19_529, 32: 49_177, 64: 108_473}
"""Words left of ten steps at a cutoff of 1e-6 by qubits, as PauliPropagation.jl and ppvm have published them."""


@dataclass(frozen=True)
class PropagationWorkload:
    """Pauli propagation of the sum of all Z through ``steps`` Trotter steps of the transverse-field Ising chain.

    A step is exp(-i t ZZ) on all neighbours of the open chain, then exp(-i t X) on all wires, t = 0.1, J = h = 1; words
    whose coefficients, equal words merged, are under ``cutoff`` after a gate are dropped. The task is one propagation
    with the value at |0...0>, or values and derivatives by all angles for ``samples`` product states RY(x).
    """

    name: str
    title: str
    wires: int
    steps: int
    cutoff: float
    samples: int
    task: WordsTask = "propagation"

    @cached_property
    def gates(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The Pauli word and wires of each rotation exp(-i angle P / 2), in the order in which they act."""
        bonds = [("ZZ", (wire, wire + 1)) for wire in range(self.wires - 1)]
        return tuple([*bonds, *(("X", (wire,)) for wire in range(self.wires))] * self.steps)

    @property
    def num_params(self) -> int:
        return len(self.gates)

    @property
    def published(self) -> int | None:
        """How many words others have published to be left."""
        is_theirs = self.steps == 10 and self.cutoff == 1e-6 and self.task == "propagation"
        return PUBLISHED_WORDS.get(self.wires) if is_theirs else None

    def draw(self, seed: int) -> tuple[Array, ...]:
        """Angles (p,), those of the chain, and inputs (n, d): new ones for each seed."""
        x = np.random.default_rng(seed).uniform(-np.pi, np.pi, (self.samples, self.wires))
        return np.full(self.num_params, 2 * TIME_STEP), x


Workload = CircuitWorkload | NetWorkload | PropagationWorkload


def workloads(quick: bool = False) -> Mapping[str, Workload]:
    """All workloads by name; ``quick`` makes them tiny, to see that everything runs rather than how fast.

    Those of other distributions come last. Raises ValueError for what is no workload, or has the name of another.
    """
    all_of_them: tuple[Workload, ...] = (
        _layered("W1", *((3, 2, 5) if quick else (10, 10, 256))),
        _layered("W2", *((2, 2, 5) if quick else (6, 4, 1000))),
        _strongly_entangling("W3", *((3, 2, 4) if quick else (4, 3, 500))),
        _layered("W4", *((4, 1, 3) if quick else (14, 6, 32))),
        _layered("W5", *((5, 1, 2) if quick else (18, 4, 4))),
        _reuploading("W6", *((2, 2, 5) if quick else (6, 6, 256))),
        _layered("W7", *((2, 2, 5) if quick else (6, 4, 128)), task="loss gradient"),
        _mlp("W8", *(((3, 5, 4, 2), 4) if quick else ((64, 512, 512, 10), 200))),
        _cnn("W9", *(((1, 2, 2, 2, 2), 4, 3) if quick else ((1, 16, 16, 16, 10), 8, 200))),
        _cnn("W9-28", *(((1, 2, 2, 2, 2), 6, 3) if quick else ((1, 16, 16, 16, 10), 28, 200))),
        _training("W10", 3 if quick else 200, quick),
        _training("W10-two", 2, quick),
        _brickwork("W11", 4 if quick else 24),
        _brickwork("W11-300", 5 if quick else 300),
        _layered("W12", *((2, 2, 3) if quick else (8, 4, 4)), task="hessian"),
        _layered("W12-product", *((2, 2, 3) if quick else (8, 4, 4)), task="hessian product"),
        *(_chain(n, task, quick) for task in WORDS_TITLES for n in PUBLISHED_WORDS),
    )
    known: dict[str, Workload] = {workload.name: workload for workload in all_of_them}
    for entry in metadata.entry_points(group=GROUP):
        for workload in entry.load()(quick):
            if not isinstance(workload, Workload) or workload.name in known:
                must = "return workloads with names of their own"
                raise ValueError(f"`{entry.name}` of the group {GROUP} must {must}, but returns {workload!r}")
            known[workload.name] = workload
    return known


def _training(name: str, steps: int, quick: bool) -> CircuitWorkload:
    """The main job's training of a circuit: 4 qubits, 24 angles, 100 inputs, 3 seeds at 7 scales."""
    layered = _layered(name, *((2, 1, 4) if quick else (4, 3, 100)), task="training")
    scales = (1.0, 10.0) if quick else (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
    found = replace(layered, steps=steps, seeds=2 if quick else 3, alphas=scales)
    runs = f"{steps} steps of {found.seeds * len(scales)} runs, {found.seeds} seeds at {len(scales)} scales"
    return replace(found, title=f"{layered.title}: {runs}")


def _brickwork(name: str, n: int, depth: int = 3, samples: int = 4) -> CircuitWorkload:
    gates = [Gate("RY", (wire,), (Angle(feature=wire),)) for wire in range(n)]
    for layer in range(depth):
        gates += [Gate("RY", (wire,), (Angle(layer * n + wire),)) for wire in range(n)]
        gates += [Gate("CZ", (wire, wire + 1)) for wire in range(layer % 2, n - 1, 2)]
    title = (
        f"Jacobian: n={n}, brickwork of RY and CZ, depth {depth}, {samples} inputs, <Z> of the middle wire"
    )
    return CircuitWorkload(name, title, n, tuple(gates), depth * n, samples, first=n // 2)


WORDS_TITLES: dict[WordsTask, str] = {
    "propagation": "words and value",
    "propagated gradients": "values and derivatives by all angles for {} inputs",
}


def _chain(n: int, task: WordsTask, quick: bool) -> PropagationWorkload:
    is_value = task == "propagation"
    steps, cutoff, samples = (2, 0.0, 3) if quick else (10, 1e-6, 8 if is_value else 100)
    name = f"W13-{n}" if is_value else f"W13-{n}-gradients"
    wires = n // 8 + 2 if quick else n
    cut = f", cutoff {cutoff:g}" if cutoff else ""
    what = WORDS_TITLES[task].format(samples)
    title = f"Pauli propagation, {what}: Ising chain, n={wires}, {steps} steps{cut}, sum of Z"
    return PropagationWorkload(name, title, wires, steps, cutoff, samples, task)


TITLES = {
    "loss gradient": "gradient of the square loss",
    "training": "training by gradient descent",
    "hessian": "Hessian of the summed outputs",
    "hessian product": "product with the Hessian of the summed outputs",
}


def _layered(name: str, n: int, layers: int, samples: int, task: TimedTask = "jacobian") -> CircuitWorkload:
    gates = [Gate("RY", (wire,), (Angle(feature=wire),)) for wire in range(n)]
    for layer in range(layers):
        for wire in range(n):
            first = 2 * (layer * n + wire)
            gates += [Gate("RY", (wire,), (Angle(first),)), Gate("RZ", (wire,), (Angle(first + 1),))]
        gates += _ring(n, 1)
    what = TITLES.get(task, "Jacobian")
    title = f"{what}: n={n}, {layers} layers of RY RZ + CNOT ring, {samples} inputs, ⟨Z0⟩"
    return CircuitWorkload(name, title, n, tuple(gates), 2 * n * layers, samples, task=task)


def _strongly_entangling(name: str, n: int, layers: int, samples: int) -> CircuitWorkload:
    gates = [Gate("RY", (wire,), (Angle(feature=wire),)) for wire in range(n)]
    for layer in range(layers):
        for wire in range(n):
            first = 3 * (layer * n + wire)
            gates.append(Gate("Rot", (wire,), (Angle(first), Angle(first + 1), Angle(first + 2))))
        gates += _ring(n, layer % (n - 1) + 1)
    title = f"Jacobian: n={n}, {layers} strongly entangling layers, {samples} inputs, {n} outputs"
    return CircuitWorkload(name, title, n, tuple(gates), 3 * n * layers, samples, outputs=n)


def _reuploading(name: str, n: int, layers: int, samples: int) -> CircuitWorkload:
    gates: list[Gate] = []
    axes: tuple[Axis, Axis] = ("RY", "RZ")
    for layer in range(layers):
        for wire in range(n):
            first = 4 * (layer * n + wire)
            gates += [
                Gate(axis, (wire,), (Angle(first + 2 * i + 1, feature=wire, scale=first + 2 * i),))
                for i, axis in enumerate(axes)
            ]
        gates += _ring(n, 1)
    title = f"Jacobian: re-uploading (angles w x + b), n={n}, {layers} layers, {samples} inputs, ⟨Z0⟩"
    return CircuitWorkload(name, title, n, tuple(gates), 4 * n * layers, samples)


def _ring(n: int, step: int) -> list[Gate]:
    return [Gate("CNOT", (wire, (wire + step) % n)) for wire in range(n)]


def _mlp(name: str, widths: tuple[int, ...], samples: int) -> NetWorkload:
    title = f"kernel: MLP {'-'.join(map(str, widths))}, {samples} inputs, over all outputs"
    return NetWorkload(name, title, widths, samples)


def _cnn(name: str, widths: tuple[int, ...], size: int, samples: int) -> NetWorkload:
    layers = f"{len(widths) - 2} convolutions of {widths[1]} channels"
    title = f"kernel: CNN of {layers}, {size}x{size} images, {widths[-1]} outputs, {samples} inputs"
    return NetWorkload(name, title, widths, samples, size)
