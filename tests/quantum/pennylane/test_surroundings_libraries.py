"""A change is seen in objects of libraries, whose code is not followed, and in the user's own classes below theirs."""

from __future__ import annotations

import collections
import configparser
import ctypes
import decimal
import io
import mmap
import multiprocessing
import sqlite3
import string
import threading
import types
import weakref
from multiprocessing import shared_memory

import numpy as np
import pennylane as qml
import pytest
import torch

from tests.quantum.pennylane.changes import F64, Kinds, of_a_class, registered, see_a_change, trace_once

KINDS: Kinds = {}
UNTOLD: Kinds = {}
kind, untold = registered(KINDS), registered(UNTOLD)


def put(holder, key):
    return lambda v: holder.__setitem__(key, v)


@kind
def shared_value():
    value = multiprocessing.Value("d", 1.0)
    return lambda: value.value, lambda v: setattr(value, "value", v)


@kind
def shared_value_without_a_lock():
    value = multiprocessing.RawValue("d", 1.0)
    return lambda: value.value, lambda v: setattr(value, "value", v)


@kind
def shared_array():
    values = multiprocessing.Array("d", [1.0])
    return lambda: values[0], put(values, 0)


@kind
def shared_memory_of_processes():
    memory = shared_memory.SharedMemory(create=True, size=8)
    weakref.finalize(memory, lambda name: None, memory.name)
    memory.buf.cast("d")[0] = 1.0
    array = np.ndarray(1, buffer=memory.buf)

    def get():
        return float(np.frombuffer(memory.buf, count=1)[0])

    def change(v):
        array[0] = v
        memory.unlink()

    return get, change


@kind
def memory_map():
    memory = mmap.mmap(-1, 8)
    memory[:8] = np.float64(1.0).tobytes()
    return lambda: float(np.frombuffer(memory[:8])[0]), lambda v: memory.__setitem__(
        slice(8), np.float64(v).tobytes()
    )


@kind
def pointer_of_c():
    number = ctypes.c_double(1.0)
    pointer = ctypes.pointer(number)
    return lambda: pointer.contents.value, lambda v: setattr(number, "value", v)


@kind
def union_of_c():
    class Either(ctypes.Union):
        _fields_ = (("number", ctypes.c_double), ("bits", ctypes.c_int64))

    one = Either(number=1.0)
    return lambda: one.number, lambda v: setattr(
        one, "bits", ctypes.c_int64.from_buffer(ctypes.c_double(v)).value
    )


@kind
def text_in_memory():
    text = io.StringIO("1.0")

    def change(v):
        text.truncate(0)
        text.seek(0)
        text.write(str(v))

    return lambda: float(text.getvalue()), change


@kind
def bytes_in_memory():
    held = io.BytesIO(b"1.0")

    def change(v):
        held.seek(0)
        held.write(str(v).encode())

    return lambda: float(held.getvalue()), change


@untold
def table_of_a_data_base():
    base = sqlite3.connect(":memory:")
    base.execute("create table angles (k)")
    base.execute("insert into angles values (1.0)")
    return (
        lambda: base.execute("select k from angles").fetchone()[0],
        lambda v: base.execute("update angles set k = ?", (v,)),
    )


@kind
def local_of_a_thread():
    local = threading.local()
    local.k = 1.0
    return lambda: local.k, lambda v: setattr(local, "k", v)


@kind
def section_of_a_configuration():
    settings = configparser.ConfigParser()
    settings.read_dict({"circuit": {"angle": "1.0"}})
    return lambda: settings.getfloat("circuit", "angle"), lambda v: settings.set("circuit", "angle", str(v))


@kind
def precision_of_decimals():
    decimal.getcontext().prec = 28
    third = decimal.Decimal(1) / 3

    def change(v):
        decimal.getcontext().prec = 3

    def get():
        return 1.0 if +third == third else 2.5

    return get, change


@kind
def format_of_arrays():
    array = np.array([1.2345])
    np.set_printoptions(precision=8)
    return lambda: 1.0 if str(array) == "[1.2345]" else 2.5, lambda v: np.set_printoptions(precision=2)


@kind
def setting_of_a_layer():
    layer = torch.nn.LeakyReLU(negative_slope=1.0)
    return lambda: -float(layer(torch.tensor(-1.0))), lambda v: setattr(layer, "negative_slope", v)


@kind
def mode_of_a_module():
    layer = torch.nn.BatchNorm1d(1, momentum=0.0, eps=1e-12).double()
    layer.num_batches_tracked = None
    layer.running_var.fill_(0.16)

    def get():
        out = layer(torch.tensor([[-1.0], [1.0]], dtype=F64))
        return float(out[1, 0].detach())

    return get, lambda v: layer.eval()


@kind
def mode_of_a_module_of_ones_own():
    class Noisy(torch.nn.Module):
        def forward(self, x):
            return 2.5 * x if torch.nn.Module.eval and not self.training else x

    module = Noisy()
    return lambda: float(module(torch.ones(()))), lambda v: module.eval()


@kind
def mean_of_a_distribution():
    distribution = torch.distributions.Normal(torch.tensor(1.0, dtype=F64), 1.0)
    return lambda: float(distribution.mean), lambda v: distribution.loc.fill_(v)


@kind
def parameter_of_a_frozen_distribution():
    stats = pytest.importorskip("scipy.stats")
    frozen = stats.norm(loc=1.0)
    return lambda: float(frozen.mean()), lambda v: frozen.kwds.update(loc=v)


@kind
def coefficients_of_a_spline():
    interpolate = pytest.importorskip("scipy.interpolate")
    spline = interpolate.CubicSpline([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])
    return lambda: float(spline(0.0)), lambda v: spline.c.__setitem__((3, 0), v)


@kind
def coefficients_of_a_spline_replaced():
    interpolate = pytest.importorskip("scipy.interpolate")
    spline = interpolate.CubicSpline([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])
    return lambda: float(spline(0.0)), lambda v: setattr(spline, "c", v * spline.c)


@kind
def rotation_in_space():
    spatial = pytest.importorskip("scipy.spatial.transform")
    if not isinstance(spatial.Rotation.__init__, types.FunctionType):
        pytest.skip("compiled in SciPy before 1.17: Python shows nothing of its numbers")
    turn = spatial.Rotation.from_rotvec([[0.0, 0.0, 1.0]])

    def change(v):
        turn[0] = spatial.Rotation.from_rotvec([0.0, 0.0, v])

    return lambda: float(turn.as_rotvec()[0, 2]), change


@kind
def sparse_matrix():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.dok_matrix((1, 1))
    matrix[0, 0] = 1.0
    return lambda: float(matrix[0, 0]), put(matrix, (0, 0))


@kind
def polynomial_of_numpy():
    polynomial = np.poly1d([1.0])
    return lambda: float(polynomial(0.0)), put(polynomial, 0)


@kind
def mask_of_an_array():
    masked = np.ma.array([1.0, 1.5], mask=[False, True])
    return lambda: float(masked.sum()), lambda v: masked.mask.__setitem__(1, False)


@kind
def record_of_an_array():
    records = np.zeros(1, dtype=[("k", float)])
    record = records[0]
    record["k"] = 1.0
    return lambda: float(record["k"]), put(record, "k")


@kind
def vectorized_function():
    box = [1.0]
    function = np.vectorize(lambda x: box[0] * x)
    return lambda: float(function(1.0)), put(box, 0)


@untold
def function_made_a_ufunc():
    box = [1.0]
    function = np.frompyfunc(lambda x: box[0] * x, 1, 1)
    return lambda: float(function(1.0)), put(box, 0)


@kind
def template_of_text():
    template = string.Template("1.0")
    return lambda: float(template.substitute()), lambda v: setattr(template, "template", str(v))


@kind
def chain_of_maps():
    chain = collections.ChainMap({}, {"k": 1.0})
    return lambda: chain["k"], lambda v: chain.maps[1].update(k=v)


@kind
def proxy_of_an_object():
    class Thing:
        k = 1.0

    thing = Thing()
    proxy = weakref.proxy(thing)
    return lambda: proxy.k, lambda v, thing=thing: setattr(thing, "k", v)


@kind
def bound_method_of_a_library():
    reading = torch.nn.LeakyReLU(negative_slope=1.0).forward
    return lambda: -float(reading(torch.tensor(-1.0))), lambda v: setattr(
        reading.__self__, "negative_slope", v
    )


@kind
def scalar_of_an_operator():
    product = qml.s_prod(1.0, qml.Z(0))
    return lambda: float(product.scalar), lambda v: setattr(product, "scalar", v)


@kind
def keys_with_attributes():
    key = types.SimpleNamespace(k=1.0)
    key = type("Key", (), {"k": 1.0})()
    table = {key: 0}
    return lambda: sum(one.k for one in table), lambda v: setattr(key, "k", v)


@kind
def items_of_a_dict():
    box = {"k": [1.0]}
    items = box.items()
    return lambda: sum(value[0] for _, value in items), lambda v: box.update(k=[v])


@kind
def descriptor_of_a_class():
    class Descriptor:
        def __init__(self):
            self.inner = 1.0

        def __get__(self, thing, kind):
            return self.inner

    class Thing:
        k = Descriptor()

    thing = Thing()
    return lambda: thing.k, lambda v: setattr(vars(Thing)["k"], "inner", v)


def gate_of_ones_own(box):
    class Turn(qml.operation.Operation):
        num_params, num_wires = 0, 1

        @staticmethod
        def compute_decomposition(wires):
            return [qml.RX(box["k"], wires)]

    def get():
        with qml.QueuingManager.stop_recording():
            return float(Turn(0).decomposition()[0].parameters[0])

    return get


def function_of_autograd(box):
    class Times(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return box["k"] * x

    return lambda: float(Times.apply(torch.ones(())))


def formatter_of_ones_own(box):
    class Formatter(string.Formatter):
        def get_value(self, key, args, kwargs):
            return box["k"]

    formatter = Formatter()
    return lambda: float(formatter.format("{a}"))


def encoder_of_ones_own(box):
    import json

    class Encoder(json.JSONEncoder):
        def default(self, thing):
            return box["k"]

    return lambda: float(json.dumps(object(), cls=Encoder))


def part_of_a_mapping(box):
    class Table(collections.abc.Mapping):
        def __getitem__(self, key):
            return box[key]

        def __iter__(self):
            return iter(box)

        def __len__(self):
            return len(box)

    table = Table()
    return lambda: table.get("k")


for made in (
    gate_of_ones_own,
    function_of_autograd,
    formatter_of_ones_own,
    encoder_of_ones_own,
    part_of_a_mapping,
):
    KINDS[made.__name__] = of_a_class(made)


@kind
def cell_of_a_mixed_table():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"name": ["a"], "k": [1.0]})
    return lambda: float(frame["k"].iloc[0]), lambda v: frame.__setitem__("k", [v])


@pytest.mark.parametrize("name", [*KINDS, *UNTOLD])
def test_a_change_is_seen_in_objects_of_libraries(name):
    see_a_change({**KINDS, **UNTOLD}[name])


@pytest.mark.parametrize("name", KINDS)
def test_what_nobody_changes_is_traced_once(name):
    trace_once(KINDS[name])
