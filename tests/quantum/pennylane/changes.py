"""Kinds of changes to what a circuit reads, and how each is seen.

A kind makes a getter of 1.0 and a change of it; the circuit turns by the getter's number, so that outputs are
cos(g w + x). The oracles are the getter itself, and the QNode called row by row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit

F64 = torch.float64
PARAMS, X = torch.tensor([0.3], dtype=F64), torch.tensor([[0.4]], dtype=F64)
Getter = Callable[[], float]
Kind = Callable[[], tuple[Getter, Callable[[float], object]]]
Kinds = dict[str, Kind]


def registered(kinds: Kinds) -> Callable[[Kind], Kind]:
    """A decorator that puts a kind among these by its name."""

    def register(make: Kind) -> Kind:
        kinds[make.__name__] = make
        return make

    return register


def of_a_class(make: Callable[[dict[str, float]], Getter]) -> Kind:
    """A kind whose getter makes or asks something of a class that reads a dict."""

    def found() -> tuple[Getter, Callable[[float], object]]:
        box = {"k": 1.0}
        return make(box), lambda v: box.update(k=v)

    return found


def qnode_of(get: Getter) -> qml.QNode:
    def circuit(inputs, w):
        qml.RX(get() * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    return qml.QNode(circuit, qml.device("default.qubit", wires=1))


def see_a_change(make: Kind) -> None:
    get, change = make()
    assert get() == pytest.approx(1.0)
    qnode = qnode_of(get)
    model = Circuit(qnode, {"w": (1,)})
    torch.testing.assert_close(model(PARAMS, X), torch.cos(get() * PARAMS + X), rtol=0, atol=1e-12)
    assert model.backend == "adjoint"
    change(2.5)
    factor = get()
    assert factor == pytest.approx(2.5)
    torch.testing.assert_close(model(PARAMS, X), torch.cos(factor * PARAMS + X), rtol=0, atol=1e-12)
    slope = -factor * torch.sin(factor * PARAMS + X)
    torch.testing.assert_close(model.jacobian(PARAMS, X)[0], slope, rtol=0, atol=1e-12)
    assert float(model(PARAMS, X)) == pytest.approx(float(qnode(np.array(X[0]), np.array(PARAMS))), abs=1e-12)


def trace_once(make: Kind) -> None:
    """What nobody changes looks unchanged: the getter is not asked again."""
    get, kept = make()
    calls = []

    def counted() -> float:
        calls.append(get())
        return calls[-1]

    model = Circuit(qnode_of(counted), {"w": (1,)})
    model(PARAMS, X)
    traced = len(calls)
    for _ in range(2):
        model(PARAMS, X)
    assert len(calls) == traced, kept
