"""A change is seen by whatever way a circuit reads it: without an attribute's name, by texts, and by other names."""

# ruff: noqa: B009, UP030, UP031, UP032 - the ways that are tried are these

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import operator
import sys
import types

import numpy as np
import pytest

from tests.quantum.pennylane.changes import Kinds, registered, see_a_change, trace_once

KINDS: Kinds = {}
kind = registered(KINDS)


class Holder:
    def __init__(self):
        self.k = 1.0

    def reading(self):
        return self.k


def of_a_holder(ask):
    """A kind that reads what an object holds, in a way of its own."""

    def found():
        holder = Holder()
        return (lambda: ask(holder)), lambda v: setattr(
            holder, "inner" if hasattr(holder, "inner") else "k", v
        )

    return found


def pattern(holder):
    match holder:
        case Holder(k=found):
            return found


WAYS = {
    "a field of a format": lambda holder: float("{0.k}".format(holder)),
    "a field of a format by name": lambda holder: float("{a.k:.3f}".format(a=holder)),
    "a field of format_map": lambda holder: float("{a.k}".format_map({"a": holder})),
    "a pattern": pattern,
    "a method by its name": lambda holder: getattr(holder, "reading")(),
    "a method by a name made up": lambda holder: getattr(holder, "read" + "ing")(),
    "a method caller made within": lambda holder: operator.methodcaller("reading")(holder),
    "the attribute of an attribute": lambda holder: holder.__getattribute__("k"),
    "the object's own attribute": lambda holder: object.__getattribute__(holder, "k"),
    "all members": lambda holder: dict(inspect.getmembers(holder))["k"],
    "an attribute that inspect gets": lambda holder: inspect.getattr_static(holder, "k"),
    "getattr by reduce": lambda holder: functools.reduce(getattr, ["k"], holder),
    "getattr by map": lambda holder: next(map(getattr, [holder], ["k"])),
    "eval": lambda holder: eval("holder.k"),
}
for name, ask in WAYS.items():
    KINDS[name] = of_a_holder(ask)


@kind
def attributes_by_position():
    class Point:
        __match_args__ = ("k",)

        def __init__(self):
            self.k = 1.0

    point = Point()

    def get():
        match point:
            case Point(found):
                return found

    return get, lambda v: setattr(point, "k", v)


@dataclasses.dataclass
class Fields:
    k: float = 1.0


@kind
def comparison_of_dataclasses():
    one, other = Fields(), Fields()
    return lambda: 1.0 if one == other else 2.5, lambda v: setattr(other, "k", v)


@kind
def order_of_dataclasses():
    made = dataclasses.make_dataclass("Ordered", ["k"], order=True)
    one, other = made(1.0), made(1.0)
    return lambda: 1.0 if one >= other else 2.5, lambda v: setattr(other, "k", v)


@kind
def text_of_a_dataclass():
    one = Fields()
    return lambda: float(repr(one).split("=")[1][:-1]), lambda v: setattr(one, "k", v)


@kind
def hash_of_a_dataclass():
    made = dataclasses.make_dataclass("Hashed", ["k"], unsafe_hash=True)
    one = made(1.0)
    start = hash(one)
    return lambda: 1.0 if hash(one) == start else 2.5, lambda v: setattr(one, "k", v)


@kind
def fields_of_a_dataclass():
    one = Fields()
    return lambda: getattr(one, dataclasses.fields(one)[0].name), lambda v: setattr(one, "k", v)


@kind
def copy_of_a_dataclass():
    one = Fields()
    return lambda: dataclasses.astuple(dataclasses.replace(one))[0], lambda v: setattr(one, "k", v)


class Written:
    k = 1.0

    def __str__(self):
        return str(self.k)


@kind
def text_by_percent():
    thing = Written()
    return lambda: float("%s" % thing), lambda v: setattr(thing, "k", v)


@kind
def number_by_percent():
    class Number:
        k = 1.0

        def __float__(self):
            return self.k

    thing = Number()
    return lambda: float("%.3f" % thing), lambda v: setattr(thing, "k", v)


@kind
def text_of_a_part():
    thing = types.SimpleNamespace(inner=Written())
    return lambda: float("{0.inner}".format(thing)), lambda v: setattr(thing.inner, "k", v)


@kind
def module_among_modules():
    module = types.ModuleType("another_module_of_this_test")
    module.k = 1.0
    sys.modules["another_module_of_this_test"] = module
    return lambda: sys.modules["another_module_of_this_test"].k, lambda v: setattr(module, "k", v)


@kind
def module_of_a_package():
    package, module = types.ModuleType("package_of_this_test"), types.ModuleType("package_of_this_test.inner")
    package.__path__, package.inner, module.k = [], module, 1.0
    sys.modules |= {"package_of_this_test": package, "package_of_this_test.inner": module}

    def get():
        from package_of_this_test.inner import k

        return k

    return get, lambda v: setattr(module, "k", v)


@kind
def module_beside():
    package, module = (
        types.ModuleType("other_package_of_this_test"),
        types.ModuleType("other_package_of_this_test.m"),
    )
    package.__path__, package.m, module.k = [], module, 1.0
    sys.modules |= {"other_package_of_this_test": package, "other_package_of_this_test.m": module}
    space = {"__package__": "other_package_of_this_test", "__name__": "other_package_of_this_test.n"}
    exec("def get():\n from .m import k\n return k", space)
    return space["get"], lambda v: setattr(module, "k", v)


@kind
def module_reloaded():
    module = types.ModuleType("reloaded_module_of_this_test")
    exec("K = 1.0\ndef reading(): return K", vars(module))
    return (
        lambda: module.reading(),
        lambda v: exec(f"K = {v}\ndef reading(): return K", vars(module)),
    )


@kind
def manager_of_a_context():
    box = [1.0]

    @contextlib.contextmanager
    def scaled():
        yield box[0]

    def get():
        with scaled() as k:
            return k

    return get, lambda v: box.__setitem__(0, v)


@kind
def method_dispatched():
    class Thing:
        k = 1.0

        @functools.singledispatchmethod
        def reading(self, given):
            return self.k

    thing = Thing()
    return lambda: thing.reading(3), lambda v: setattr(thing, "k", v)


@kind
def property_that_is_cached():
    class Thing:
        inner = 1.0

        @functools.cached_property
        def reading(self):
            return self.inner

    thing = Thing()

    def change(v):
        thing.inner = v
        vars(thing).pop("reading", None)

    return lambda: thing.reading, change


@kind
def cache_that_is_cleared():
    box = [1.0]

    @functools.cache
    def reading():
        return box[0]

    def change(v):
        box[0] = v
        reading.cache_clear()

    return reading, change


@kind
def default_of_a_method():
    class Thing:
        def reading(self, k=1.0):
            return k

    thing = Thing()
    return lambda: thing.reading(), lambda v: setattr(Thing.reading, "__defaults__", (v,))


@kind
def method_put_into_an_object():
    thing = Holder()
    return lambda: thing.reading(), lambda v: setattr(thing, "reading", lambda: v)


@kind
def bases_of_a_class():
    first, second = type("First", (), {"k": 1.0}), type("Second", (), {"k": 2.5})
    thing = type("Thing", (first,), {})()
    return lambda: thing.k, lambda v: setattr(type(thing), "__bases__", (second,))


@kind
def function_of_no_module():
    space = {"K": 1.0}
    exec("def get(): return K", space)
    return space["get"], lambda v: space.update(K=v)


@kind
def class_of_no_module():
    space = {"K": 1.0}
    exec("class Made:\n def __call__(self): return K", space)
    return space["Made"](), lambda v: space.update(K=v)


@kind
def function_in_the_name_of_another():
    box = [1.0]

    @functools.wraps(np.linspace)
    def get():
        return box[0]

    return get, lambda v: box.__setitem__(0, v)


@kind
def attribute_deleted():
    class Thing:
        k = 2.5

    thing = Thing()
    thing.k = 1.0
    return lambda: thing.k, lambda v: delattr(thing, "k")


@kind
def global_deleted():
    space = {"K": 1.0, "__builtins__": {**vars(__import__("builtins")), "K": 2.5}}
    exec("def get(): return K", space)
    return space["get"], lambda v: space.pop("K")


@kind
def built_in_replaced():
    space = {"__builtins__": {**vars(__import__("builtins")), "K": 1.0}}
    exec("def get(): return K", space)
    return space["get"], lambda v: space["__builtins__"].update(K=v)


@pytest.mark.parametrize("name", KINDS)
def test_a_change_is_seen_by_whatever_way_it_is_read(name):
    see_a_change(KINDS[name])


@pytest.mark.parametrize("name", KINDS)
def test_what_nobody_changes_is_traced_once(name):
    trace_once(KINDS[name])
