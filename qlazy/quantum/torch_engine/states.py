"""The states that a circuit prepares, all samples at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.backends.lowered import MAX_WIRES, LoweredCircuit
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.torch_engine.engine import TorchCircuit
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation

MOST = 2**27
"""Amplitudes of all samples that are held at once: 2 GiB."""


def batched_states(circuit: Circuit, params: Tensor, x: Tensor) -> Tensor:
    """|psi(x)> (n, 2^w) before measurement, up to a phase of each sample, complex128; x has shape (n, ...).

    Raises UnsupportedModelError for a circuit that is not one of unitary gates, and for states beyond memory.
    """
    circuit.check(params, x)
    must = "be exact to have states, without shots or noise"
    require(circuit.backend != "device", "circuit", must, "one with backend='device'", UnsupportedModelError)
    lowering = circuit.lowering(x)
    size = len(x) * 2**lowering.num_wires if lowering.num_wires <= MAX_WIRES else MOST + 1
    must = f"have states of at most {MOST:,} amplitudes over all samples"
    actual = f"one of {lowering.num_wires} wires, for {len(x)} samples"
    require(size <= MOST, "circuit", must, actual, UnsupportedModelError)
    lowered = LoweredCircuit(lowering, _on_cpu)
    with torch.no_grad():
        angles = lowered.angle_values(params.double(), x.double().flatten(1))
    engine = lowered.for_params
    assert isinstance(engine, TorchCircuit)
    return engine.states(*(part.numpy() for part in angles))


def _on_cpu(wires: int, operations: Sequence[Operation], observables: Sequence[Observable]) -> TorchCircuit:
    return TorchCircuit(wires, operations, observables, torch.device("cpu"))
