"""A QNode is traced again when what its function reads beside its arguments has changed."""

from __future__ import annotations

import functools
import pickle
import types

import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit

F64 = torch.float64
PARAMS, X = torch.tensor([0.3], dtype=F64), torch.tensor([[0.4]], dtype=F64)
SCALE = 1.0
SETTINGS = {"scale": 1.0, "list": [1.0]}
ARRAY, TENSOR = np.ones(2), torch.ones(1, dtype=F64)
MODULE = types.ModuleType("settings_of_a_test")
MODULE.scale = 1.0


class Settings:
    scale = 1.0

    def __init__(self) -> None:
        self.own = 1.0


OBJECT = Settings()


def helper():
    return SCALE


def set_scale(value):
    global SCALE
    SCALE = value


def scaling(factor):
    def circuit(inputs, w):
        qml.RX(factor() * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    return circuit


def by_partial(factor, inputs, w):
    qml.RX(factor[0] * w[0] + inputs[0], 0)
    return qml.expval(qml.Z(0))


CELL = [1.0]
KINDS = {
    "a global": (scaling(lambda: SCALE), set_scale),
    "a global of a function that is called": (scaling(lambda: helper()), set_scale),
    "an entry of a dict": (scaling(lambda: SETTINGS["scale"]), lambda v: SETTINGS.update(scale=v)),
    "an entry of a list within": (
        scaling(lambda: SETTINGS["list"][0]),
        lambda v: SETTINGS["list"].__setitem__(0, v),
    ),
    "an attribute": (scaling(lambda: OBJECT.own), lambda v: setattr(OBJECT, "own", v)),
    "an attribute of a class": (scaling(lambda: Settings.scale), lambda v: setattr(Settings, "scale", v)),
    "an attribute of a module": (scaling(lambda: MODULE.scale), lambda v: setattr(MODULE, "scale", v)),
    "an array": (scaling(lambda: ARRAY[1]), lambda v: ARRAY.__setitem__(1, v)),
    "a tensor": (scaling(lambda: TENSOR[0]), lambda v: TENSOR.fill_(v)),
    "a list bound to a partial": (functools.partial(by_partial, CELL), lambda v: CELL.__setitem__(0, v)),
}


@pytest.mark.parametrize("backend", ["auto", "adjoint", "lightning", "device", "torch"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_seen(kind, backend):
    function, change = KINDS[kind]
    model = Circuit(qml.QNode(function, qml.device("default.qubit", wires=1)), {"w": (1,)}, backend=backend)
    try:
        for value in (1.0, 2.5, -0.5):
            change(value)
            torch.testing.assert_close(model(PARAMS, X), torch.cos(value * PARAMS + X), rtol=0, atol=1e-12)
            slope = -value * torch.sin(value * PARAMS + X)
            torch.testing.assert_close(model.jacobian(PARAMS, X)[0], slope, rtol=0, atol=1e-12)
    finally:
        change(1.0)


def test_what_does_not_change_is_traced_once():
    calls = []

    def circuit(inputs, w):
        calls.append(SCALE)
        qml.RX(SCALE * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    model = Circuit(qml.QNode(circuit, qml.device("default.qubit", wires=1)), {"w": (1,)})
    model(PARAMS, X)
    traced = len(calls)
    model(PARAMS, X)
    model.jacobian(PARAMS, X)
    assert len(calls) == traced
    model.retrace()
    model(PARAMS, X)
    assert len(calls) == 2 * traced


def test_a_circuit_that_was_called_is_pickled():
    model = Circuit(qml.QNode(circuit_of_the_module, qml.device("default.qubit", wires=1)), {"w": (1,)})
    expected = model(PARAMS, X)
    torch.testing.assert_close(pickle.loads(pickle.dumps(model))(PARAMS, X), expected, rtol=0, atol=0)


def circuit_of_the_module(inputs, w):
    qml.RX(SCALE * w[0] + inputs[0], 0)
    return qml.expval(qml.Z(0))


class Bare:
    pass


BARE = Bare()


def with_a_cell():
    scale = 1.0

    def circuit(inputs, w):
        qml.RX(scale * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    def change(value):
        nonlocal scale
        scale = value

    return circuit, change


def with_a_late_attribute():
    def circuit(inputs, w):
        qml.RX(
            getattr(BARE, "scale", 1.0) * w[0]
            + (BARE.scale - BARE.scale if hasattr(BARE, "scale") else 0)
            + inputs[0],
            0,
        )
        return qml.expval(qml.Z(0))

    return circuit, lambda value: setattr(BARE, "scale", value)


def with_a_longer_list():
    factors = [1.0]

    def circuit(inputs, w):
        qml.RX(sum(factors) * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    return circuit, lambda value: factors.append(value - sum(factors))


def with_another_dict():
    settings = {"scale": 1.0}

    def circuit(inputs, w):
        qml.RX(settings["scale"] * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    def change(value):
        settings.clear()
        settings["scale"] = value

    return circuit, change


@pytest.mark.parametrize("make", [with_a_cell, with_a_late_attribute, with_a_longer_list, with_another_dict])
def test_places_that_change_otherwise_are_seen(make):
    function, change = make()
    model = Circuit(qml.QNode(function, qml.device("default.qubit", wires=1)), {"w": (1,)})
    model(PARAMS, X)
    for value in (2.5, -0.5):
        change(value)
        torch.testing.assert_close(model(PARAMS, X), torch.cos(value * PARAMS + X), rtol=0, atol=1e-12)


def test_equal_numbers_in_other_objects_are_no_change():
    function, change = with_a_cell()
    model = Circuit(qml.QNode(function, qml.device("default.qubit", wires=1)), {"w": (1,)})
    model(PARAMS, X)
    (chosen,) = model._chosen.values()
    for _ in range(2):
        change(float("1.0"))
        model(PARAMS, X)
        assert next(iter(model._chosen.values())) is chosen
