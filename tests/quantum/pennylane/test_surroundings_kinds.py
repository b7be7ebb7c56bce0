"""A change is seen in every kind of object that Python lets a circuit read: the numbers are those of a plain call."""

from __future__ import annotations

import array
import collections
import contextvars
import ctypes
import dataclasses
import functools
import importlib
import operator
import sys
import types
import weakref

import numpy as np
import pennylane as qml
import pytest
import torch

from qlazy import Circuit
from tests.quantum.pennylane.changes import Kinds, of_a_class, registered, see_a_change, trace_once

F64 = torch.float64
PARAMS, X = torch.tensor([0.3], dtype=F64), torch.tensor([[0.4]], dtype=F64)
KINDS: Kinds = {}
kind = registered(KINDS)


@kind
def keyword_defaults_replaced():
    def helper(*, k=1.0):
        return k

    return lambda: helper(), lambda v: setattr(helper, "__kwdefaults__", {"k": v})


@kind
def code_replaced():  # as a notebook's autoreload does
    def helper():
        return 1.0

    def change(v):
        helper.__code__ = eval(f"lambda: {v!r}").__code__

    return lambda: helper(), change


@kind
def class_replaced():
    first, second = type("First", (), {"k": 1.0}), type("Second", (), {})
    thing = first()

    def change(v):
        second.k = v
        thing.__class__ = second

    return lambda: thing.k, change


@kind
def context_variable():
    variable = contextvars.ContextVar("variable", default=1.0)
    return lambda: variable.get(), variable.set


@kind
def weak_reference():
    class Thing:
        k = 1.0

    thing = Thing()
    reference = weakref.ref(thing)
    return lambda: reference().k, lambda v, thing=thing: setattr(thing, "k", v)


@kind
def buffer():
    numbers = array.array("d", [1.0])
    return lambda: numbers[0], lambda v: operator.setitem(numbers, 0, v)


@kind
def number_of_c():
    number = ctypes.c_double(1.0)
    return lambda: number.value, lambda v: setattr(number, "value", v)


@kind
def attribute_getter():
    thing, get = types.SimpleNamespace(a=types.SimpleNamespace(deep=1.0)), operator.attrgetter("a.deep")
    return lambda: get(thing), lambda v: setattr(thing.a, "deep", v)


@kind
def method_caller():
    class Thing:
        inner = 1.0

        def reading(self):
            return self.inner

    thing, call = Thing(), operator.methodcaller("reading")
    return lambda: call(thing), lambda v: setattr(thing, "inner", v)


@kind
def bound_getattr():
    thing = types.SimpleNamespace(k=1.0)
    get = functools.partial(getattr, thing)
    return lambda: get("k"), lambda v: setattr(thing, "k", v)


def made_by_init(box):
    class Made:
        def __init__(self):
            self.k = box["k"]

    return lambda: Made().k


def made_by_new(box):
    class Made:
        def __new__(cls):
            made = super().__new__(cls)
            made.k = box["k"]
            return made

    return lambda: Made().k


def made_by_a_factory(box):
    @dataclasses.dataclass
    class Made:
        k: float = dataclasses.field(default_factory=lambda: box["k"])

    return lambda: Made().k


def made_and_called(box):
    class Made:
        def __call__(self):
            return box["k"]

    return lambda: Made()()


def entered(box):
    class Entered:
        def __enter__(self):
            return box["k"]

        def __exit__(self, *_):
            return None

    def get():
        with Entered() as k:
            return k

    return get


def called_by_its_metaclass(box):
    class Meta(type):
        def __call__(cls):
            return box["k"]

    class Called(metaclass=Meta):
        pass

    return lambda: Called()


def indexed_class(box):
    class Indexed:
        def __class_getitem__(cls, _):
            return box["k"]

    return lambda: Indexed[0]


def written(box):
    class Written:
        def __str__(self):
            return str(box["k"])

    thing = Written()
    return lambda: float(f"{thing}")


def compared(box):
    class Compared:
        __hash__ = None

        def __eq__(self, other):
            return box["k"] == other

    thing = Compared()
    return lambda: 1.0 if thing == 1.0 else 2.5


def all_attributes(box):
    class All:
        def __getattribute__(self, name):
            return box[name]

    thing = All()
    return lambda: thing.k


def attribute_of_a_module(box):
    module = types.ModuleType("module_with_getattr")
    module.__getattr__ = lambda name: box[name]
    return lambda: module.k


def missing_key(box):
    class Missing(dict):
        def __missing__(self, _):
            return box["k"]

    thing = Missing()
    return lambda: thing["other"]


def bound_method(box):
    class Bound:
        def reading(self, given):
            return given["k"]

        bound = functools.partialmethod(reading, box)

    thing = Bound()
    return lambda: thing.bound()


def another_qnode(box):
    @qml.qnode(qml.device("default.qubit", wires=1))
    def inner():
        qml.RX(np.arccos(box["k"] / 4), 0)
        return qml.expval(qml.Z(0))

    return lambda: 4 * float(inner())


def forward_hook(box):
    module = torch.nn.Identity()
    module.register_forward_hook(lambda module, given, output: output * box["k"])
    return lambda: float(module(torch.ones(())))


for made in (
    made_by_init, made_by_new, made_by_a_factory, made_and_called, entered, called_by_its_metaclass, indexed_class,
    written, compared, all_attributes, attribute_of_a_module, missing_key, bound_method, another_qnode, forward_hook,
):  # fmt: skip
    KINDS[made.__name__] = of_a_class(made)


def subclassed(base: type, *given: object):
    """A number, container or array with an attribute of its own."""

    def found():
        thing = type("Own", (base,), {})(*given)
        thing.k = 1.0
        return lambda: thing.k, lambda v: setattr(thing, "k", v)

    return found


for base, given in ((list, ([1.0],)), (tuple, ([1.0],)), (dict, ()), (float, (1.0,)), (np.ndarray, (2,))):
    KINDS[f"an attribute of a subclass of {base.__name__}"] = subclassed(base, *given)


@kind
def values_of_a_dict():
    box = {"k": 1.0}
    values = box.values()
    return lambda: sum(values), lambda v: box.update(k=v)


@kind
def user_list():
    numbers = collections.UserList([1.0])
    return lambda: numbers[0], lambda v: operator.setitem(numbers, 0, v)


@kind
def objects_in_an_array():
    thing = types.SimpleNamespace(k=1.0)
    things = np.array([thing], dtype=object)
    return lambda: things[0].k, lambda v: setattr(thing, "k", v)


@kind
def default_of_a_dict():
    box = [1.0]
    numbers = collections.defaultdict(lambda: box[0])

    def get():
        found = numbers["k"]
        numbers.clear()
        return found

    return get, lambda v: operator.setitem(box, 0, v)


@kind
def dispatched_function():
    dispatched = functools.singledispatch(lambda given: 1.0)
    return lambda: dispatched(3), lambda v: dispatched.register(int)(lambda given: v)


@kind
def module_by_its_name():
    module = types.ModuleType("module_of_this_test")
    module.k = 1.0
    sys.modules["module_of_this_test"] = module
    return lambda: importlib.import_module("module_of_this_test").k, lambda v: setattr(module, "k", v)


@kind
def angle_of_an_operator():
    turn = qml.RX(1.0, 0)
    return lambda: turn.parameters[0], lambda v: setattr(turn, "data", (v,))


@kind
def attribute_that_appears():
    thing = types.SimpleNamespace()
    return lambda: 2.5 if hasattr(thing, "k") else 1.0, lambda v: setattr(thing, "k", v)


@kind
def column_of_a_table():
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([1.0, 2.0])
    return lambda: float(series.iloc[0]), lambda v: series.__setitem__(0, v)


@pytest.mark.parametrize("name", KINDS)
def test_a_change_is_seen_in_every_kind_of_object(name):
    see_a_change(KINDS[name])


@pytest.mark.parametrize("backend", ["auto", "torch", "device"])
def test_another_function_of_the_qnode_is_seen(backend):
    def turning(factor):
        def circuit(inputs, w):
            qml.RX(factor * w[0] + inputs[0], 0)
            return qml.expval(qml.Z(0))

        return circuit

    qnode = qml.QNode(turning(1.0), qml.device("default.qubit", wires=1))
    model = Circuit(qnode, {"w": (1,)}, backend=backend)
    for factor in (1.0, 2.5):
        qnode.func = turning(factor)
        torch.testing.assert_close(model(PARAMS, X), torch.cos(factor * PARAMS + X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_what_nobody_changes_is_traced_once(name):
    """None of these kinds looks changed where it is not."""
    trace_once(KINDS[name])
