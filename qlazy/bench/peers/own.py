"""qlazy itself, called as its README would have it."""

from __future__ import annotations

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.torch_arrays import loss_gradient, native
from qlazy.bench.workloads import CircuitWorkload, Workload

__all__ = ["native", "ways"]


def ways(workload: Workload, dtype: str, threads: int) -> Ways:
    # What stands here is the user's own: a QNode or a module. The clock starts with the model.
    if isinstance(workload, CircuitWorkload):
        return _circuit(workload)
    from qlazy.bench.peers.torch_arrays import module
    from qlazy.models.nets import Net

    net = module(workload, dtype)
    return {"Net.gram": lambda: Net(net).gram}


def _circuit(workload: CircuitWorkload) -> Ways:
    import pennylane as qml

    from qlazy.bench.peers.pennylane_circuit import qnode
    from qlazy.quantum.circuit import Circuit

    node = qnode(workload, qml.device("default.qubit", wires=workload.wires))

    def make() -> Compute:
        model = Circuit(node, {"weights": workload.num_params})
        return loss_gradient(model) if workload.task == "loss gradient" else model.jacobian

    return {"backward" if workload.task == "loss gradient" else "Circuit.jacobian": make}
