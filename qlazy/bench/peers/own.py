"""qlazy itself, called as its README would have it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.torch_arrays import loss_gradient, native
from qlazy.bench.workloads import CircuitWorkload, PropagationWorkload, Workload

__all__ = ["native", "ways"]


def ways(workload: Workload, dtype: str, threads: int) -> Ways:
    # What stands here is the user's own: a QNode or a module. The clock starts with the model.
    if isinstance(workload, CircuitWorkload):
        return _circuit(workload)
    if isinstance(workload, PropagationWorkload):
        from qlazy.bench.peers.words import own_words

        return _on_arrays(own_words.ways(workload, dtype, threads))
    from qlazy.bench.peers.torch_arrays import module
    from qlazy.models.nets import Net

    net = module(workload, dtype)
    return {"Net.gram": lambda: Net(net).gram}


def _circuit(workload: CircuitWorkload) -> Ways:
    import pennylane as qml

    from qlazy.bench.peers.pennylane_circuit import qnode
    from qlazy.quantum.circuit import Circuit

    node = qnode(workload, qml.device("default.qubit", wires=workload.wires))

    def model() -> Circuit:
        return Circuit(node, {"weights": workload.num_params})

    ways: dict[str, Ways] = {
        "jacobian": {"Circuit.jacobian": lambda: model().jacobian},
        "loss gradient": {"backward": lambda: loss_gradient(model())},
        "hessian": {"Circuit.hessian": lambda: _second(model().hessian)},
        "hessian product": {"Circuit.hvp": lambda: _second(model().hvp)},
    }
    return ways[workload.task]


def _on_arrays(ways: Ways) -> Ways:
    def taking_tensors(make: Callable[[], Compute]) -> Callable[[], Compute]:
        def made() -> Compute:
            compute = make()
            return lambda *tensors: compute(*(tensor.double().numpy() for tensor in tensors))

        return made

    return {name: taking_tensors(make) for name, make in ways.items()}


def _second(rule: Callable[..., Tensor]) -> Compute:
    """Second derivatives of the sum of the outputs, (n, 1)."""
    return lambda params, x, *direction: rule(params, x, params.new_ones(len(x), 1), *direction)
