"""Noise added to circuits, through PennyLane's own noise models and default.mixed, and what is known of it exactly.

Channels act on one qubit, with PennyLane's parameters: DepolarizingChannel(p) applies X, Y and Z with p/3 each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.backends.programs import without_last_measurements
from qlazy.quantum.circuit import Circuit

Channel = Literal["depolarizing", "amplitude_damping", "phase_damping", "bit_flip"]
Position = Literal["all", "end"]

_CHANNELS: dict[str, type[qml.operation.Channel]] = {
    "depolarizing": qml.DepolarizingChannel,
    "amplitude_damping": qml.AmplitudeDamping,
    "phase_damping": qml.PhaseDamping,
    "bit_flip": qml.BitFlip,
}

MAX_GLOBAL_WIRES = 4
"""Wires under one global channel: it has 4^n Kraus operators."""


class Damping(NamedTuple):
    """What a channel makes of the Pauli operators measured after it: X -> x X, Y -> y Y, Z -> z Z + offset."""

    x: float
    y: float
    z: float
    offset: float = 0.0


def damping(channel: Channel, strength: float) -> Damping:
    """The Pauli transfer of a channel in the Heisenberg picture (Nielsen and Chuang, chapter 8).

    A product of w letters on w noisy qubits is multiplied by the product of their factors where there is no offset.
    """
    _check(channel, strength)
    rest = 1 - strength
    return {
        "depolarizing": Damping(*(1 - 4 * strength / 3,) * 3),
        "amplitude_damping": Damping(rest**0.5, rest**0.5, rest, strength),
        "phase_damping": Damping(rest**0.5, rest**0.5, 1.0),
        "bit_flip": Damping(1.0, 1 - 2 * strength, 1 - 2 * strength),
    }[channel]


def with_noise(model: Circuit, channel: Channel, strength: float, *, position: Position = "all") -> Circuit:
    """The circuit on default.mixed, with a channel after every gate on each of its wires, or at the end on all wires.

    The result has backend "device": exact outputs and Jacobian, by parameter shifts, and ``model`` beside it is the
    noiseless one. By ``qml.noise.insert``; templates are expanded first. Raises UnsupportedModelError for an OpenQASM
    program that measures on its way.
    """
    _check(channel, strength)
    require(position in get_args(Position), "position", "be 'all' or 'end'", repr(position))
    return _on_mixed(
        model, lambda qnode: qml.noise.insert(qnode, _CHANNELS[channel], strength, position=position)
    )


def with_noise_model(model: Circuit, noise: qml.NoiseModel) -> Circuit:
    """The circuit on default.mixed under a noise model of PennyLane, which says what follows which gate."""
    require(
        isinstance(noise, qml.NoiseModel), "noise", "be a qml.NoiseModel", type(noise).__name__, TypeError
    )
    return _on_mixed(model, lambda qnode: qml.add_noise(qnode, noise, level="user"))


def with_global_depolarizing(model: Circuit, strength: float) -> Circuit:
    """The circuit with the state (1 - p) rho + p I / 2^n at its end: traceless observables are scaled by 1 - p."""
    require(0 <= strength <= 1, "strength", "be between 0 and 1", strength)
    wires = list(model.qnode.device.wires or ())
    must = f"have 1 to {MAX_GLOBAL_WIRES} wires on its device for a global channel"
    require(1 <= len(wires) <= MAX_GLOBAL_WIRES, "model", must, f"with {len(wires)}", UnsupportedModelError)
    kraus = _global_kraus(len(wires), strength)
    return _on_mixed(model, lambda qnode: _at_the_end(qnode, kraus=kraus, wires=wires))


def _check(channel: str, strength: float) -> None:
    require(channel in _CHANNELS, "channel", f"be one of {', '.join(_CHANNELS)}", repr(channel))
    require(0 <= strength <= 1, "strength", "be between 0 and 1", strength)


def _on_mixed(model: Circuit, add: Callable[[qml.QNode], qml.QNode]) -> Circuit:
    require(isinstance(model, Circuit), "model", "be a Circuit", repr(model), UnsupportedModelError)
    is_circuit = model.program is None or without_last_measurements(model.program).is_unitary
    must = "be a QNode, or an OpenQASM program that does not measure on its way, to take noise"
    require(is_circuit, "model", must, repr(model), UnsupportedModelError)
    qnode = model.qnode
    if qnode.device.name != "default.mixed":
        qnode = qnode.update(device=qml.device("default.mixed", wires=qnode.device.wires), diff_method=None)
    return Circuit(add(qnode), model.weight_shapes, backend="device")


def _global_kraus(wires: int, strength: float) -> list[NDArray[np.complex128]]:
    letters = [qml.matrix(gate(0)) for gate in (qml.Identity, qml.X, qml.Y, qml.Z)]
    words = [reduce(np.kron, product).astype(complex) for product in itertools.product(letters, repeat=wires)]
    share = strength / 4**wires
    return [np.sqrt(1 - strength + share if index == 0 else share) * word for index, word in enumerate(words)]


@qml.transform
def _at_the_end(
    tape: qml.tape.QuantumScript, kraus: list[NDArray[np.complex128]], wires: list[Any]
) -> tuple[Sequence[qml.tape.QuantumScript], Callable[[Sequence[Any]], Any]]:
    channel = qml.QubitChannel(kraus, wires=wires)
    return [tape.copy(operations=[*tape.operations, channel])], lambda results: results[0]
