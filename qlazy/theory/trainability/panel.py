"""Is a circuit flat? All measures of :mod:`qlazy.theory.trainability` of one circuit, and of its family over n."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from qlazy.base.errors import (
    KernelTooLargeError,
    NotConvergedError,
    UnsupportedModelError,
    generator_of,
    refuse,
    require,
    require_flag,
    require_instance,
    whole_of,
)
from qlazy.base.execution import progress_bar
from qlazy.data.datasets import Dataset
from qlazy.quantum.backends.lowered import Lowering
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.interop.loading import load_circuit
from qlazy.theory.trainability.algebra import lie_algebra
from qlazy.theory.trainability.concentration import (
    AMPLITUDES,
    fidelity_concentration,
    tangent_concentration,
    up_to_data,
)
from qlazy.theory.trainability.draws import EXAMPLE, checked, random_inputs
from qlazy.theory.trainability.expressibility import expressibility
from qlazy.theory.trainability.fisher import fisher_spectrum
from qlazy.theory.trainability.gradients import GradientVariance, gradient_variance
from qlazy.theory.trainability.result import AtSize, Trainability

SIZES = (4, 5, 6, 7, 8, 10, 12)
"""Qubits at which a family is measured where none are named."""

INPUTS = 32
"""Inputs that tangent kernels are measured on, at the most."""

RANDOM_INPUTS = 512
"""Inputs that fidelity kernels are measured on, at the most, and how many are drawn where none are given."""

WORK = 2**33
"""Amplitudes that the gates of one measurement may pass, in all; draws are fewer where they would be more."""

HAAR_QUBITS = 8
"""Up to here Haar's fidelities fill more than a bin or two of the histogram."""

Sizes = Mapping[int, Circuit] | Callable[[int], Circuit] | Sequence[int]
T = TypeVar("T")


def trainability(
    circuit: Circuit | str,
    x: Tensor | Dataset | Callable[[int], Tensor] | None = None,
    *,
    sizes: Sizes | None = None,
    samples: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> Trainability:
    """Whether the gradients and kernels of ``circuit`` vanish with its size, and what it is able to express.

    ``circuit`` is a Circuit or the name of a family (``"hardware_efficient"``), ``x`` its inputs (m, d), a Dataset
    whose training inputs are taken, or a function n -> (m, d); without it they are random, uniform on [0, 2 pi), for
    OpenQASM programs, which say how many features they take. Averages are over uniform angles, ``samples`` draws of
    them, fewer where states are large (the table says how many).

    ``sizes`` are the circuits at which to ask whether it vanishes: {n: Circuit}, a function n -> Circuit, taken at
    n = 4, 5, 6, 7, 8, 10, 12, or, for an OpenQASM file with a size ``n``, the numbers n. Such a file is measured at
    n = 4, 5, 6, 7, 8, 10, 12 unless others are named; ``sizes=()`` asks of the one size alone, as for a QNode without
    sizes. Inputs at sizes are random unless ``x`` is a function; a QNode there is given n features.

    What does not apply or does not fit is left out and told, but for the gradients, whose refusals are raised:
    see :func:`gradient_variance`.

    Raises TypeError for what is no circuit, ValueError for inputs, sizes and numbers that do not fit.
    """
    samples, generator = whole_of("samples", samples, 8, "be at least 8"), generator_of(seed)
    require_flag("progress", progress)
    own = load_circuit(circuit) if isinstance(circuit, str) else circuit
    require_instance("circuit", own, Circuit, EXAMPLE)
    inputs = checked(own, _inputs(own, x, generator))
    family = _family(own, sizes)
    plan = _Plan(own, inputs, samples, int(seed))
    with progress_bar(total=4 + len(family), unit="step", desc="trainability", progress=progress) as bar:
        gradients = plan.gradients()
        skipped: dict[str, str] = {}
        here = _at_size(plan, gradients, skipped)
        bar.update()
        found: dict[str, Any] = {}
        for name, measure in plan.measures.items():
            found[name] = _tried(name, measure, skipped)
            bar.update()
        measured = []
        for n, sized in sorted(family.items()):
            rows = checked(
                sized, x(n) if callable(x) else random_inputs(RANDOM_INPUTS, _features(sized, n), generator)
            )
            one = _Plan(sized, rows, samples, int(seed))
            measured.append(_at_size(one, one.gradients(), {}, n))
            bar.update()
    name = own.program.name if own.program else getattr(own.qnode.func, "__name__", "circuit")
    return Trainability(name, here, gradients, tuple(measured), **found, skipped=skipped, seed=int(seed))


@dataclass(frozen=True, eq=False)
class _Plan:
    """A circuit with its inputs, and as many draws as its states leave room for."""

    circuit: Circuit
    x: Tensor
    samples: int
    seed: int

    @property
    def measures(self) -> Mapping[str, Callable[[], Any]]:
        return {"fisher": self._fisher, "algebra": self._algebra, "expressibility": self._expressibility}

    def gradients(self) -> GradientVariance:
        return gradient_variance(
            self.circuit, self.x, samples=self._draws(4, 32, self.samples), seed=self.seed
        )

    def kernels(self) -> Mapping[str, Callable[[], Any]]:
        few = self.x[:INPUTS]
        fitting = max(3, AMPLITUDES >> min(self._wires, 60))
        many = self.x[: min(fitting, self._draws(32, INPUTS, RANDOM_INPUTS, up_to_data))]
        draws, others = self._draws(4 * len(few), 4, 20), self._draws(64 * len(many), 2, 10, up_to_data)
        return {
            "tangent kernel": lambda: tangent_concentration(self.circuit, few, samples=draws, seed=self.seed),
            "fidelity kernel": lambda: fidelity_concentration(
                self.circuit, many, samples=others, seed=self.seed
            ),
        }

    def _fisher(self) -> Any:
        draws = self._draws(32 * self.circuit.num_params, 0, 8)
        if not draws:
            must = "be small enough for all its tangent states"
            actual = f"one of {self.circuit.num_params} parameters and {self._gates} gates on {self._qubits} qubits"
            refuse("circuit", must, actual, KernelTooLargeError)
        return fisher_spectrum(self.circuit, self.x, samples=draws, seed=self.seed)

    def _algebra(self) -> Any:
        return lie_algebra(self.circuit, self.x)

    def _expressibility(self) -> Any:
        must = f"have at most {HAAR_QUBITS} qubits, for Haar's fidelities to fill more than a bin"
        require(self._qubits <= HAAR_QUBITS, "circuit", must, self._qubits, UnsupportedModelError)
        return expressibility(self.circuit, self.x, samples=2 * self.samples, seed=self.seed)

    def _draws(
        self, passes: int, least: int, most: int, part: Callable[[Lowering], Lowering] = lambda whole: whole
    ) -> int:
        """As many as there is work for, of so many passes each of a state through the circuit or a part of it."""
        try:
            lowering = part(self.circuit.lowering(self.x))
        except UnsupportedModelError:
            return most
        width = min(lowering.num_wires, lowering.cones.width)
        if width > 40:  # walks
            return most
        work = passes * max(1, len(lowering.operations)) * 2**width
        return max(least, min(most, WORK // max(1, work)))

    @property
    def _wires(self) -> int:
        try:
            return self._qubits
        except UnsupportedModelError:
            return 0

    @property
    def _qubits(self) -> int:
        return self.circuit.lowering(self.x).num_wires

    @property
    def _gates(self) -> int:
        return len(self.circuit.lowering(self.x).operations)


def _at_size(
    plan: _Plan, gradients: GradientVariance, skipped: dict[str, str], n: int | None = None
) -> AtSize:
    """The gradients as measured, and the kernels where there is data."""
    kernels = []
    if plan.x[0].numel() and len(plan.x) > 2:
        for name, measure in plan.kernels().items():
            if (found := _tried(name, measure, skipped)) is not None:
                kernels.append(found)
    else:
        few = "it takes no data" if not plan.x[0].numel() else "there are fewer than three inputs"
        skipped["concentration of kernels"] = few
    qubits = gradients.qubits if n is None else n
    return AtSize(
        qubits, plan.circuit.num_params, gradients.samples, gradients.largest, gradients.total, tuple(kernels)
    )


def _tried(name: str, measure: Callable[[], T], skipped: dict[str, str]) -> T | None:
    try:
        return measure()
    except (UnsupportedModelError, KernelTooLargeError, NotConvergedError) as error:
        skipped[name] = str(error)
        return None


def _inputs(circuit: Circuit, x: object, generator: torch.Generator) -> Tensor:
    if isinstance(x, Dataset):
        return x.x_train
    if callable(x):
        found: Any = x(
            circuit.program.num_qubits if circuit.program else len(circuit.qnode.device.wires or ())
        )
        return found
    if x is None:
        must = "be given for a QNode, which does not say how many features it takes"
        require(circuit.program is not None, "x", must, "None")
        assert circuit.program is not None
        return random_inputs(RANDOM_INPUTS, circuit.program.num_features, generator)
    must = "be a tensor (m, d), a Dataset or a function n -> (m, d)"
    require(isinstance(x, Tensor), "x", must, x, TypeError)
    assert isinstance(x, Tensor)
    return x


def _features(circuit: Circuit, n: int) -> int:
    return circuit.program.num_features if circuit.program else n


def _family(circuit: Circuit, sizes: Any) -> dict[int, Circuit]:
    """Circuits by their number of qubits."""
    must = "be {n: Circuit}, a function n -> Circuit, or numbers n for a program with a size n"
    program = circuit.program
    sized = program is not None and program.path is not None and "n" in program.sizes
    if sizes is None:
        sizes = SIZES if sized else ()
    if callable(sizes):
        sizes = {n: sizes(n) for n in SIZES}
    if isinstance(sizes, Mapping):
        for n, one in sizes.items():
            whole_of("sizes", n, 1, f"{must}; its keys are numbers of qubits")
            require_instance(f"sizes[{n}]", one, Circuit, EXAMPLE)
        return {int(n): one for n, one in sizes.items()}
    listed = isinstance(sizes, Sequence) and not isinstance(sizes, str | bytes)
    require(listed, "sizes", must, sizes, TypeError)
    numbers = [whole_of("sizes", n, 1, must) for n in sizes]
    require(not numbers or sized, "sizes", f"{must}, which this is not", numbers)
    if not numbers:
        return {}
    assert program is not None
    assert program.path is not None
    given: dict[str, Any] = dict(program.sizes)
    return {n: load_circuit(program.path, **(given | {"n": n})) for n in numbers}
