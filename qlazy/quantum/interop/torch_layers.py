"""PennyLane's TorchLayer as a layer of qlazy: the same circuit, weights and layout."""

from __future__ import annotations

from typing import Any, NoReturn

import pennylane as qml
import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, refuse, require, require_instance
from qlazy.base.torch_private import in_plain_autograd, plain_rows
from qlazy.quantum.circuit import CircuitLayer
from qlazy.quantum.interop.qnodes import circuit_of

MOST_ROWS = 64
TOLERANCE = 1e-7
"""Outputs of a layer and of its circuit, in double precision, may differ by so much."""


def from_torch_layer(layer: qml.qnn.TorchLayer) -> CircuitLayer:
    """The :class:`qlazy.CircuitLayer` with the circuit of a ``pennylane.qnn.TorchLayer`` and its present weights.

    Outputs and gradients are those of the layer, in its layout: (...) for one expectation value, (..., c) for a list of
    them or for probabilities, and (c, ..., 1) for a tuple of several. The weights are one vector ``weights``, the
    layer's own one after the other. Inputs have the dtype of the weights. The QNode is given one row at a time: at the
    first call the layer itself runs on a few, and a QNode that gives other numbers for a batch than for its rows is
    refused.

    A ``qlazy.Net`` turns each TorchLayer of its module so.

    Raises TypeError for what is no TorchLayer, and UnsupportedModelError for one with a ``forward`` of its own, with
    hooks, with some of its weights frozen, or with a circuit that :class:`qlazy.Circuit` refuses.
    """
    kind = qml.qnn.TorchLayer
    require_instance("layer", layer, kind, "qml.qnn.TorchLayer(qnode, weight_shapes)")
    own = type(layer).forward is not kind.forward or type(layer)._evaluate_qnode is not kind._evaluate_qnode
    must = "be a TorchLayer as PennyLane made it"
    require(
        not own, "layer", must, f"a {type(layer).__name__} with a `forward` of its own", UnsupportedModelError
    )
    hooks = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
    require(not hooks, "layer", must, "one with hooks", UnsupportedModelError)
    weights = {name: getattr(layer, name) for name in layer.qnode_weights}
    circuit = circuit_of(layer.qnode, {name: tuple(w.shape) for name, w in weights.items()}, layer.input_arg)
    values = torch.cat([weights[name].detach().reshape(-1) for name in circuit.weight_shapes])
    trained = {weight.requires_grad for weight in weights.values()}
    require(
        len(trained) == 1,
        "layer",
        "train all of its weights or none",
        "one with some frozen",
        UnsupportedModelError,
    )
    made = CircuitLayer(circuit, dtype=values.dtype).to(values.device)
    with torch.no_grad():
        made.weights.copy_(values)
    made.weights.requires_grad_(trained == {True})
    made.register_forward_hook(_Layout(layer, values.double()))
    return made


class _Layout:
    """Brings outputs (..., c) of a CircuitLayer into the layout of the TorchLayer that it was made of."""

    def __init__(self, layer: qml.qnn.TorchLayer, values: Tensor) -> None:
        self._layer, self._values = layer, values
        self._shapes: dict[
            int, torch.Size
        ] = {}  # of the layer's outputs for one row, by the number of features

    def __call__(self, module: CircuitLayer, inputs: tuple[Tensor], outputs: Tensor) -> Tensor:
        [x] = inputs
        if x.shape[-1] not in self._shapes:
            rows = x.unsqueeze(0) if x.ndim == 1 else x.flatten(0, -2)
            self._shapes[x.shape[-1]] = self._tried(module, _enough(plain_rows(rows).double()))
        return _laid_out(outputs, self._shapes[x.shape[-1]])

    def _tried(self, module: CircuitLayer, rows: Tensor) -> torch.Size:
        """The shape of the layer's outputs for one row, after a comparison on several."""
        with in_plain_autograd(), torch.no_grad():
            shape = self._layer(rows[0]).shape
            expected = _laid_out(module.circuit(self._values, rows), shape)
            try:
                together = self._layer(rows)
            except (
                Exception
            ):  # a circuit that PennyLane cannot broadcast: there is nothing to be compared with
                return shape
        fits = together.shape == expected.shape
        if not fits or not torch.allclose(together.double(), expected, atol=TOLERANCE, rtol=TOLERANCE):
            self._refuse(rows, together)
        return shape

    def _refuse(self, rows: Tensor, together: Tensor) -> NoReturn:
        """Of a layer that gives other numbers than its circuit with its parameters."""
        with in_plain_autograd(), torch.no_grad():
            alone = torch.stack([self._layer(row) for row in rows])
        if alone.shape == together.shape and torch.allclose(alone, together, atol=TOLERANCE, rtol=TOLERANCE):
            must = "run with the weights that are its parameters"
            actual = (
                "one whose parameters were replaced: copy numbers into them, `layer.NAME.data.copy_(...)`"
            )
            refuse("layer", must, actual, UnsupportedModelError)
        must = "give each row of a batch what it gives that row alone"
        refuse(
            "layer", must, "one that mixes rows: index features by `inputs[..., k]`", UnsupportedModelError
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> _Layout:
        return self  # what it holds is only read


def _enough(rows: Tensor) -> Tensor:
    """As many rows as features, so that an index meant for features finds a row; 2 to MOST_ROWS."""
    count = min(max(2, rows.shape[1]), MOST_ROWS)
    return rows.repeat(-(-count // len(rows)), 1)[:count]


def _laid_out(outputs: Tensor, shape: torch.Size) -> Tensor:
    """Outputs (..., c) as PennyLane lays them out that gives one row outputs of a shape: (), (c,) or (t, k)."""
    if len(shape) == 2:
        return outputs.unflatten(-1, shape).movedim(-2, 0)
    return outputs if len(shape) else outputs.squeeze(-1)
