"""qlazy itself, called as its README would have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.torch_arrays import loss_gradient, native
from qlazy.bench.workloads import Array, CircuitWorkload, PropagationWorkload, Workload

if TYPE_CHECKING:
    from qlazy.quantum.circuit import Circuit

__all__ = ["flops", "native", "ways"]


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


def flops(workload: Workload, params: Tensor, x: Tensor, *others: Tensor) -> int | None:
    """Of the gradients that a workload asks for, by ``Circuit.gradient_flops``.

    None for what is not counted by gradients: second derivatives, Jacobians of several outputs, which share their way
    forward, and what is no circuit.
    """
    if not isinstance(workload, CircuitWorkload) or workload.is_second:
        return None
    if workload.task == "jacobian" and workload.outputs > 1:
        return None
    once = _maker(workload)().gradient_flops(params.reshape(-1, workload.num_params)[0], x)
    return None if once is None else once * workload.gradients


def _maker(workload: CircuitWorkload) -> Callable[[], Circuit]:
    import pennylane as qml

    from qlazy.bench.peers.pennylane_circuit import qnode
    from qlazy.quantum.circuit import Circuit

    node = qnode(workload, qml.device("default.qubit", wires=workload.wires))
    return lambda: Circuit(node, {"weights": (workload.num_params,)})


def _circuit(workload: CircuitWorkload) -> Ways:
    model = _maker(workload)

    ways: dict[str, Ways] = {
        "jacobian": {"Circuit.jacobian": lambda: model().jacobian},
        "loss gradient": {"backward": lambda: loss_gradient(model())},
        "hessian": {"Circuit.hessian": lambda: _second(model().hessian)},
        "training": {"train_lanes": lambda: _trained(workload, model())},
        "hessian product": {"Circuit.hvp": lambda: _second(model().hvp)},
    }
    return ways[workload.task]


def _trained(workload: CircuitWorkload, circuit: Circuit) -> Compute:
    from qlazy.data.datasets import Dataset
    from qlazy.models.wrappers import Centered
    from qlazy.training.lanes import Lane, train_lanes
    from qlazy.training.loop import Record
    from qlazy.training.losses import SquaredError
    from qlazy.training.methods import GradientDescent

    def run(starts: Tensor, x: Tensor, targets: Tensor) -> Array:
        data = Dataset("bench", x, targets, x[:0], targets[:0], (), "")
        method = GradientDescent(workload.learning_rate)
        models = [(Centered(circuit, start), start) for start in starts]
        lanes = [Lane(model, start, alpha, method) for model, start in models for alpha in workload.alphas]
        record = Record(at=(workload.steps,))
        outcomes = train_lanes(lanes, data, steps=workload.steps, loss=SquaredError(), record=record)
        assert outcomes is not None
        return np.stack([outcome.trace.params[-1] for outcome in outcomes])

    return run


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
