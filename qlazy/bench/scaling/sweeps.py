"""The circuits whose cost is measured: a staircase of gates that can grow in one size alone.

Nothing here but NumPy, as in :mod:`qlazy.bench.workloads`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from qlazy.base.errors import require
from qlazy.bench.workloads import Angle, CircuitWorkload, Gate

Varied = Literal["qubits", "inputs", "parameters", "outputs"]
ScaledTask = Literal["jacobian", "loss gradient"]
TASKS: tuple[ScaledTask, ...] = get_args(ScaledTask)


class Sizes(NamedTuple):
    """All four sizes of a circuit and its data."""

    qubits: int
    inputs: int
    parameters: int
    outputs: int


@dataclass(frozen=True)
class Sweep:
    """One size at several values while the other three stay.

    The exponent is fitted to the sizes from ``fit_from`` on: below, what every call costs weighs too much.
    ``theory`` is the exponent that is expected; None where it is only known to be below 1.
    """

    varied: Varied
    sizes: tuple[int, ...]
    fit_from: int
    others: Sizes
    theory: float | None = 1.0

    def workload(self, size: int, task: ScaledTask) -> CircuitWorkload:
        """The circuit at one size."""
        return staircase(self.others._replace(**{self.varied: size}), task)

    @property
    def title(self) -> str:
        """The sizes that stay."""
        stay = [
            f"{value} {name if value > 1 else name.removesuffix('s')}"
            for name, value in self.others._asdict().items()
            if name != self.varied
        ]
        return ", ".join(stay)


def staircase(sizes: Sizes, task: ScaledTask) -> CircuitWorkload:
    """RY of the data on every wire, then steps of RY, RZ and a CNOT to the next wire, around the ring.

    The number of gates follows from the parameters alone, two a step, so that the qubits can grow by themselves. The
    last step ends on wire 0. From two rounds of the ring on every output depends on every wire, so that no light cone
    makes the circuit smaller: fewer parameters than four a qubit are refused with a ValueError, and so are odd ones and
    more outputs than wires.
    """
    n, inputs, parameters, outputs = sizes
    require(n >= 2, "qubits", "be at least 2", n)
    require(inputs >= 1, "inputs", "be positive", inputs)
    fits = parameters % 2 == 0 and parameters >= 4 * n
    require(fits, "parameters", f"be even and at least four a qubit, {4 * n}", parameters)
    require(1 <= outputs <= n, "outputs", f"be from 1 to the number of qubits, {n}", outputs)
    gates = [Gate("RY", (wire,), (Angle(feature=wire),)) for wire in range(n)]
    steps = parameters // 2
    for step in range(steps):
        wire = (step - steps) % n
        gates += [Gate("RY", (wire,), (Angle(2 * step),)), Gate("RZ", (wire,), (Angle(2 * step + 1),))]
        gates.append(Gate("CNOT", (wire, (wire + 1) % n)))
    title = f"{task}: n={n}, staircase of {parameters} angles, {inputs} inputs, {outputs} outputs"
    return CircuitWorkload(
        "staircase", title, n, tuple(gates), parameters, inputs, outputs=outputs, task=task
    )


def sweeps(quick: bool = False) -> Mapping[Varied, Sweep]:
    """The four sweeps by what grows in them; ``quick`` makes them tiny, to see that everything runs."""
    if quick:
        small = Sizes(qubits=3, inputs=4, parameters=16, outputs=1)
        every = (
            Sweep("qubits", (2, 3, 4), 2, small),
            Sweep("inputs", (4, 8, 16), 4, small),
            Sweep("parameters", (12, 24, 48), 12, small),
            Sweep("outputs", (1, 2, 3), 1, small, None),
        )
    else:
        usual = Sizes(qubits=10, inputs=64, parameters=80, outputs=1)
        every = (
            Sweep("qubits", (4, 6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18), 10, usual._replace(inputs=32)),
            Sweep("inputs", (16, 32, 64, 128, 256, 512, 1024, 2048), 64, usual),
            Sweep("parameters", (40, 80, 160, 320, 640, 1280), 80, usual),
            Sweep("outputs", (1, 2, 3, 4, 6, 8, 10), 1, usual, None),
        )
    return {sweep.varied: sweep for sweep in every}
