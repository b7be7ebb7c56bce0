"""A QNode is traced again when what its function reads beside its arguments has changed."""

from __future__ import annotations

import collections
import functools
import operator
import os
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


class Base:
    factor = 1.0

    def of_the_base(self):
        return self.factor


class Scaler(Base):
    __slots__ = ("slot",)
    shared = 1.0

    def __init__(self):
        self.inner, self.kept, self.slot = 1.0, [1.0], 1.0

    def __call__(self, w):
        return self.inner * w

    def __getitem__(self, index):
        return self.kept[index]

    @property
    def by_property(self):
        return self.inner

    @staticmethod
    def by_class():
        return Scaler.shared

    def of_the_base(self):
        return super().of_the_base()

    def circuit(self, inputs, w):
        qml.RX(self.of_a_method() * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    def of_a_method(self):
        return self.inner


class Multiplying(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.factor = torch.nn.Parameter(torch.ones(1, dtype=F64)), 1.0

    def forward(self, w):
        return self.factor * self.weight.detach() * w


SCALER, MULTIPLYING = Scaler(), Multiplying()
NAMESPACE, SET, DEQUE, LARGE = (
    types.SimpleNamespace(scale=1.0),
    {1.0},
    collections.deque([1.0]),
    np.ones(10_000),
)
DEEP = {"a": {"b": {"c": {"d": {"e": {"f": 1.0}}}}}}


def in_an_inner_function(inputs, w):
    def layer():
        qml.RX(SCALE * w[0] + inputs[0], 0)

    layer()
    return qml.expval(qml.Z(0))


def in_a_comprehension(inputs, w):
    [qml.RX(SCALE * angle, 0) for angle in w]
    qml.RX(inputs[0], 0)
    return qml.expval(qml.Z(0))


def by_keyword(inputs, w, *, kept=CELL):
    qml.RX(kept[0] * w[0] + inputs[0], 0)
    return qml.expval(qml.Z(0))


def helpers(depth):
    return (lambda: SCALE) if depth == 0 else functools.partial(lambda inner: inner(), helpers(depth - 1))


os.environ["QLAZY_TEST_SCALE"] = "1.0"

PLACES = {
    "the environment": (
        scaling(lambda: float(os.environ["QLAZY_TEST_SCALE"])),
        lambda v: os.environ.update(QLAZY_TEST_SCALE=str(v)),
    ),
    "globals()": (scaling(lambda: globals()["SC" + "ALE"]), set_scale),
    "eval": (scaling(lambda: eval("SC" + "ALE")), set_scale),
    "a comprehension": (in_a_comprehension, set_scale),
    "an inner function": (in_an_inner_function, set_scale),
    "functions that call functions": (scaling(helpers(5)), set_scale),
    "dicts within dicts": (
        scaling(lambda: DEEP["a"]["b"]["c"]["d"]["e"]["f"]),
        lambda v: DEEP["a"]["b"]["c"]["d"]["e"].update(f=v),
    ),
    "a keyword's default": (by_keyword, lambda v: CELL.__setitem__(0, v)),
    "an object that is called": (scaling(lambda: SCALER(1.0)), lambda v: setattr(SCALER, "inner", v)),
    "a special method": (scaling(lambda: SCALER[0]), lambda v: SCALER.kept.__setitem__(0, v)),
    "a property": (scaling(lambda: SCALER.by_property), lambda v: setattr(SCALER, "inner", v)),
    "a static method": (scaling(lambda: SCALER.by_class()), lambda v: setattr(Scaler, "shared", v)),
    "a method of a base class": (scaling(lambda: SCALER.of_the_base()), lambda v: setattr(Base, "factor", v)),
    "a method of a method": (SCALER.circuit, lambda v: setattr(SCALER, "inner", v)),
    "a slot": (scaling(lambda: SCALER.slot), lambda v: setattr(SCALER, "slot", v)),
    "a namespace": (scaling(lambda: NAMESPACE.scale), lambda v: setattr(NAMESPACE, "scale", v)),
    "a set": (scaling(lambda: sum(SET)), lambda v: (SET.clear(), SET.add(v))),
    "a deque": (scaling(lambda: DEQUE[0]), lambda v: DEQUE.__setitem__(0, v)),
    "a large array": (scaling(lambda: LARGE[-1]), lambda v: LARGE.__setitem__(-1, v)),
    "a tensor's data": (scaling(lambda: TENSOR[0]), lambda v: TENSOR.data.fill_(v)),
    "an attribute of a module": (
        scaling(lambda: MULTIPLYING(1.0)[0]),
        lambda v: setattr(MULTIPLYING, "factor", v),
    ),
    "a parameter of a module": (
        scaling(lambda: MULTIPLYING(1.0)[0]),
        lambda v: MULTIPLYING.weight.data.fill_(v),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_change_is_seen_wherever_python_names_it(place):
    function, change = PLACES[place]
    model = Circuit(qml.QNode(function, qml.device("default.qubit", wires=1)), {"w": (1,)})
    try:
        for value in (1.0, 2.5, -0.5):
            change(value)
            torch.testing.assert_close(model(PARAMS, X), torch.cos(value * PARAMS + X), rtol=0, atol=1e-12)
            assert model.backend == "adjoint"
    finally:
        change(1.0)


@qml.transform
def factor_by_closure(tape):
    return [tape], lambda results: SCALE * results[0]


@qml.transform
def turned_by_argument(tape, angles):
    return [tape.copy(operations=[*tape.operations, qml.RX(angles[0], 0)])], lambda results: results[0]


def test_a_change_is_seen_in_transforms():
    """Outputs are f cos(w + x) for a transform that multiplies by f, cos(w + x + a) for one that turns by a more."""
    qnode = qml.QNode(scaling(lambda: 1.0), qml.device("default.qubit", wires=1))
    by_closure = Circuit(factor_by_closure(qnode), {"w": (1,)})
    by_argument = Circuit(turned_by_argument(qnode, CELL), {"w": (1,)})
    try:
        for value in (1.0, 2.5, -0.5):
            set_scale(value)
            CELL[0] = value
            expected = value * torch.cos(PARAMS + X), torch.cos(PARAMS + X + value)
            torch.testing.assert_close(by_closure(PARAMS, X), expected[0], rtol=0, atol=1e-12)
            torch.testing.assert_close(by_argument(PARAMS, X), expected[1], rtol=0, atol=1e-12)
            assert (by_closure.backend, by_argument.backend) == ("adjoint", "adjoint")
    finally:
        set_scale(1.0)
        CELL[0] = 1.0


class Nested:
    def __init__(self):
        self.angle, self.inner = 1.0, types.SimpleNamespace(deep=0.0)


def angle_of(settings):
    return settings.angle + deep_of(settings.inner)


def deep_of(inner):
    return inner.deep


def test_a_change_is_seen_in_objects_that_are_handed_on():
    """The circuit names no attribute of them: functions that it calls do, or methods that are handed in."""
    settings = Nested()
    kinds = {
        "to a function": lambda: angle_of(settings),
        "to a function in a list": lambda: next(f(settings) for f in (angle_of,)),
        "to a method by its name": lambda: operator.attrgetter("angle")(settings) + deep_of(settings.inner),
        "to map": lambda: sum(map(angle_of, [settings])),
    }
    for name, factor in kinds.items():
        settings.angle, settings.inner.deep = 1.0, 0.0
        model = Circuit(qml.QNode(scaling(factor), qml.device("default.qubit", wires=1)), {"w": (1,)})
        for angle, deep in ((1.0, 0.0), (2.0, 0.0), (2.0, 0.5)):
            settings.angle, settings.inner.deep = angle, deep
            expected = torch.cos((angle + deep) * PARAMS + X)
            torch.testing.assert_close(model(PARAMS, X), expected, rtol=0, atol=1e-12, msg=name)


def test_attributes_that_the_circuit_does_not_read_are_no_change():
    """A training loop counts and keeps losses in the object whose method the circuit is."""
    trainer = Scaler()
    trainer.history = []
    model = Circuit(qml.QNode(trainer.circuit, qml.device("default.qubit", wires=1)), {"w": (1,)})
    model(PARAMS, X)
    (chosen,) = model._chosen._choices.values()
    trainer.losses = [0.5]
    trainer.history.append(2.0)
    model(PARAMS, X)
    assert next(iter(model._chosen._choices.values())) is chosen


class Counting:
    def __init__(self):
        self.calls, self.seen, self.scale = 0, [], 1.0

    def __call__(self, inputs, w):
        self.calls += 1
        self.seen.append(self.calls)
        qml.RX(self.scale * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))


def test_what_a_circuit_counts_itself_is_no_change():
    counting = Counting()
    model = Circuit(qml.QNode(counting, qml.device("default.qubit", wires=1)), {"w": (1,)})
    model(PARAMS, X)
    traced = counting.calls
    model(PARAMS, X)
    assert counting.calls == traced == len(counting.seen)
    counting.scale = 2.5
    torch.testing.assert_close(model(PARAMS, X), torch.cos(2.5 * PARAMS + X), rtol=0, atol=1e-12)


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
    (chosen,) = model._chosen._choices.values()
    for _ in range(2):
        change(float("1.0"))
        model(PARAMS, X)
        assert next(iter(model._chosen._choices.values())) is chosen
