"""An unchanged QNode on qlazy's PennyLane device, differentiated by torch, with its inputs as a batch."""

from __future__ import annotations

from functools import partial

import pennylane as qml

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.default_qubit import broadcast, broadcast_jacobian
from qlazy.bench.peers.pennylane_circuit import qnode, trained
from qlazy.bench.peers.torch_arrays import loss_gradient, native
from qlazy.bench.workloads import CircuitWorkload

__all__ = ["native", "ways"]


def ways(workload: CircuitWorkload, dtype: str, threads: int) -> Ways:
    node = qnode(workload, qml.device("qlazy.adjoint", wires=workload.wires), interface="torch")
    outputs = partial(broadcast, node)
    gradient = loss_gradient(outputs)
    computed: dict[str, Compute] = {
        "jacobian": partial(broadcast_jacobian, node),
        "loss gradient": gradient,
        "training": trained(workload, outputs, gradient),
    }
    return {"broadcast": lambda: computed[workload.task]}
