"""Every argument of every public callable, given values of every wrong kind: a result that is documented, or our words.

"Our words" is an error that names the argument, or the part of it that is wrong, and says what it must be.
"""

import re
import shutil

import numpy as np
import pytest
import torch

import qlazy
from tests.odd_values import ODD, Point, calls

pytestmark = pytest.mark.filterwarnings("ignore")

NUMBERS = {"half", "huge", "fraction", "0-d array", "0-d tensor"}
PATHS = {"letter", "digit"}
TABLES = {"floats", "integer tensor", "bool tensor", "bfloat16"}
TAKEN = {
    "Function f": {"a function", "a module", "a lambda without arguments"},
    "Function init": {"None", "a class", "a function", "a module", "a lambda without arguments"},
    "Net init": {"None", "a class", "a function", "a module", "a lambda without arguments"},
    "Function blocks": {"None"},
    "Scaled alpha": NUMBERS,
    "Circuit weight_shapes": {"empty dict"},
    "from_qasm observables": {"empty list"},
    "from_qasm data": {"empty list"},
    "from_qiskit observables": {"empty list"},
    "from_qiskit data": {"empty list"},
    **{
        f"{name} {part}": {"empty list"} if part in ("observables", "data") else {"zero", "None"}
        for name in ("from_cirq", "from_braket", "from_pytket")
        for part in ("observables", "data", "cutoff", "max_weight")
    },
    "from_qasm n n": {"zero"},
    "model.gram y": {"None", "empty tensor", "NaN tensor"},
    **{
        f"{name} x": {"empty tensor", "NaN tensor"}
        for name in ("model()", "model.jacobian", "model.jvp", "model.gram")
    },
    "model.vjp x": {"NaN tensor"},
    **{f"{name} x": {"floats"} for name in ("tangent_kernel", "TangentKernel", "tiled_kernel")},
    **{f"{name} x2": {"None", "floats"} for name in ("tangent_kernel", "TangentKernel", "tiled_kernel")},
    "tangent_kernel shots": {"None"},
    "tangent_kernel shots shots": {"None"},
    "tangent_kernel shots generator": {"None"},
    "kernel.eigh k": {"None"},
    "kernel.plot classes": {"empty list", "tuple of texts"},
    "kernel.plot style": {"None", "empty list", "empty dict"},
    "kernel.solve ridge": NUMBERS | {"zero"},
    "tiled_kernel store": PATHS,
    "tiled_kernel tile": {"None"},
    "tiled_kernel workers": {"None"},
    "tiled_kernel client": {"None"},
    "kernel_regression ridge": NUMBERS | {"zero"},
    "kernel_regression offset_train": NUMBERS | {"zero", "negative"},
    "kernel_regression offset_test": NUMBERS | {"zero", "negative"},
    "path.outputs times": {"empty list", "generator", "integers"},
    "path.steps counts": {"empty list", "generator", "integers"},
    "path.steps learning_rate": NUMBERS,
    "InfiniteNet hidden": {"zero"},
    "InfiniteNet weight_scale": NUMBERS | {"zero"},
    "InfiniteNet bias_scale": NUMBERS | {"zero"},
    "TangentFeatures.fit seed": {"zero", "negative"},
    "TangentFeatures.fit params": {"None"},
    "TangentFeatures.fit X": TABLES,
    "TangentFeatures.transform X": TABLES,
    **{
        f"{name}.{part} X": TABLES
        for name in ("LinearizedRegressor", "LinearizedClassifier")
        for part in ("fit", "predict")
    },
    **{
        f"{name}.fit {part}": taken
        for name in ("LinearizedRegressor", "LinearizedClassifier")
        for part, taken in (
            ("ridge", NUMBERS | {"zero"}),
            ("scale", NUMBERS),
            ("random_state", {"None", "zero", "True"}),
            ("sample_weight", {"None"}),
        )
    },
    "LinearizedRegressor.fit y": TABLES,
    **{
        f"{name} {part}": {"None"}
        for name in ("load_data", "from_arrays")
        for part in ("classes", "features", "train", "test")
    },
    "load_data seed": {"zero"},
    **{f"load_data {part}": {"None"} for part in ("target", "columns", "regression")},
    "load_data linearly_separable margin": {"None", "zero", "half", "fraction", "0-d array", "0-d tensor"},
    "load_data two_curves offset": {"None", "zero", "negative"} | NUMBERS,
    "load_data two_curves noise": {"zero"} | NUMBERS,
    "load_data bars_and_stripes noise": {"zero"} | NUMBERS,
    **{
        f"load_data {name} task_seed": {"None", "zero"}
        for name in ("hyperplanes", "two_curves", "hidden_manifold")
    },
    "load_data file columns": {"None", "zero"},
    "load_data file target": {"zero", "negative"},
    "load_data file regression": {"None"},
    "from_arrays seed": {"zero"},
    "from_arrays name": {"letter", "digit", "empty text"},
    "Dataset name": {"letter", "digit", "empty text"},
    "Dataset description": {"letter", "digit", "empty text"},
    "Dataset classes": {"empty list", "tuple of texts"},
    "Dataset features": {"empty list", "tuple of texts"},
    "Dataset x_train": {"integer tensor", "bool tensor", "NaN tensor"},  # NaN is refused where it is used
    "Dataset x_test": {"integer tensor", "bool tensor", "NaN tensor"},
    "Dataset.to dtype": {"None"},
    "Dataset.to device": {"None"},
    "train steps": {"zero"},
    "train alpha": NUMBERS,
    "train observer": {
        "None",
        "a class",
        "a function",
        "a module",
        "a lambda without arguments",
    },  # errors are its own
    "Record at": {"None", "empty list", "set", "generator", "integers"},
    "GradientDescent learning_rate": NUMBERS | {"None"},
    "SGD learning_rate": NUMBERS,
    "SGD momentum": {"zero", "fraction"},
    "SGD seed": {"zero", "negative"},
    "Adam learning_rate": NUMBERS,
    "Adam epsilon": NUMBERS | {"zero"},
    "Adam batch_size": {"None"},
    "Adam seed": {"zero", "negative"},
    "LBFGS learning_rate": NUMBERS,
    "TorchOptimizer batch_size": {"None"},
    "TorchOptimizer seed": {"zero", "negative"},
    "train pair x": {"floats"},
    "select_subset pair x": {"floats"},
    "model.init generator": {"zero", "negative"},
    "GradientFlow horizon": NUMBERS,
    "GradientFlow rtol": NUMBERS,
    "GradientFlow atol": NUMBERS,
    "check alphas": {"set"},
    "check seeds": {"set", "generator", "integers"},
    "check small": NUMBERS,
    "check key": {"None", "letter", "digit"},
    "check out": {"None"} | PATHS,
    "check workers": {"None"},
    "compare alphas": {"set"},
    "compare seeds": {"set", "generator", "integers"},
    "surrogates seeds": {"set", "generator", "integers"},
    "surrogates method": {"None"},
    "surrogates margin": {"zero", "fraction"},
    "untangled x": {"None"},
    "FourierModel seed": {"zero"},
    "compare baselines": {"empty list"},
    "InfiniteCircuit precision": NUMBERS - {"half", "huge"},
    "InfiniteCircuit seed": {"zero", "negative"},
    "trainability x": {"None"},
    "trainability sizes": {"None", "empty list", "empty dict"},
    "trainability seed": {"zero", "negative"},
    "Comparison.figure ax": {"None"},
    "Comparison.figure style": {"None", "empty list", "empty dict"},
    "Comparison.slopes least": NUMBERS | {"zero", "negative", "infinity"},
    "Comparison.geometry ridge": NUMBERS,
    "Comparison.verdict small": NUMBERS,
    "compare out": {"None"} | PATHS,
    "compare workers": {"None"},
    "compare client": {"None"},
    "select_subset fraction": {"fraction", "0-d array", "0-d tensor"},
    "select_subset validation": {"None"},
    "select_subset params": {"None"},
    "select_subset learning_rate": NUMBERS | {"None"},
    "select_subset seed": {"zero"},
    "select_subset out": {"None"} | PATHS,
    "self_train warmup": {"zero"},
    "self_train params": {"None"},
    "self_train teacher_params": {"None"},
    "self_train seed": {"zero", "negative"},
}
"""Odd values that have a meaning, by callable and argument; True is one wherever a flag is wanted."""

FLAGS = {"bias", "allow_zero", "progress", "regression", "line_search", "centered", "features"}
OUR_WORDS = re.compile(r"`[^`]+`.* must ")
SKLEARNS = {
    *(
        f"{name}.{part}"
        for name in ("LinearizedRegressor", "LinearizedClassifier")
        for part in ("fit X", "fit y", "fit random_state", "predict X")
    ),
    "TangentFeatures.fit X",
    "TangentFeatures.transform X",
}  # a transformer refuses inputs as scikit-learn does
CALLED = {
    "train observer",
    "compare data",
    "surrogates data",
    "trainability x",
    "trainability sizes",
}  # a function's own errors come out as they are
FILES = {
    "TiledKernel.load",
    "Trainability.load",
    "Comparison.load",
    "Features.load",
    "Surrogates.load",
    "History.load",
    "Verdict.load",
    "Run.load",
    "Subset.load",
    "SelfTrained.load",
}  # a missing file is the operating system's error


def found(name, argument, odd, call, good):
    """What is wrong with the answer to one odd value, or nothing."""
    place = f"{name} {argument}"
    taken = TAKEN.get(place, set()) | ({"True"} if argument in FLAGS else set())
    try:
        call(**{**good, argument: ODD[odd]()})
    except qlazy.QasmError:
        ours = name.startswith(("from_qasm", "from_qiskit", "from_cirq", "from_braket", "from_pytket"))
    except OSError:
        ours = name in FILES and odd in PATHS
    except Exception as error:
        own = place in CALLED and callable(ODD[odd]())
        ours = bool(OUR_WORDS.match(str(error))) or place in SKLEARNS or own
        return "" if ours else f"{place}, {odd}: {error!r}"
    else:
        return "" if odd in taken else f"{place} takes {odd}"
    return "" if ours else f"{place}, {odd}"


@pytest.mark.parametrize("name", calls(Point(None)))
def test_odd_values(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    call, good = calls(Point(tmp_path))[name]
    wrong = []
    for argument in good:
        for odd in ODD:
            shutil.rmtree(tmp_path / "k.zarr", ignore_errors=True)
            wrong.append(found(name, argument, odd, call, good))
    assert not any(wrong), "\n".join(filter(None, wrong))


def test_right_calls_are_right(tmp_path):
    """The calls that are made odd run as they are: otherwise every refusal would be of something else."""
    point = Point(tmp_path)
    for name, (call, good) in calls(point).items():
        if name not in FILES:
            call(**good)


def in_numpy(value):
    """The same numbers, alone or in a list, as those that NumPy's functions return."""
    if type(value) is dict:
        return {name: in_numpy(each) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(in_numpy, value))
    return {int: np.int64, float: np.float64}.get(type(value), lambda value: value)(value)


OF_CHANCE = {"tangent_kernel shots"}
AS_GIVEN = {"TangentFeatures.fit", "LinearizedRegressor.fit", "LinearizedClassifier.fit"}
"""Estimators, whose parameters scikit-learn wants left as they were given."""


def test_numbers_of_numpy_are_numbers(tmp_path, monkeypatch):
    """They give what Python's own give, and are told alike: what is kept of a run is found by how it is told."""
    monkeypatch.chdir(tmp_path)
    rows = calls(Point(None)).items()
    numbered = {name for name, (_, good) in rows if repr(good) != repr(in_numpy(good))}
    for name in sorted(numbered - FILES - OF_CHANCE - AS_GIVEN):
        told = []
        for convert in (dict, in_numpy):
            (folder := tmp_path / str(len(told)) / name.replace(" ", "-")).mkdir(parents=True)
            call, good = calls(Point(folder))[name]
            text = repr(call(**convert(good)))
            told.append(re.sub(r"0x[0-9a-f]+|\d+\.\d+ s", "", text.replace(str(folder), "")))
        assert told[0] == told[1], name


def test_the_table_names_every_public_callable():
    """A new public name comes with a row of odd values."""
    held = {re.split(r"[.( ]", name)[0] for name in calls(Point(None))}
    # made here, not by users
    # of other tools, which are not always there: held to odd values by the tests of each
    results = {"from_cirq", "from_braket", "from_pytket"}
    results |= {"Comparison", "Features", "Surrogates", "Verdict", "History", "Run", "TiledKernel"}
    for name in qlazy.__all__:
        value = getattr(qlazy, name)
        error = isinstance(value, type) and issubclass(value, BaseException)
        if callable(value) and not error and name not in results and name != "Model":
            assert name in held, name


def test_products_from_the_left():
    point = Point(None)
    other = point.x[:3] + 0.1
    kernel = qlazy.tangent_kernel(point.net, point.params, point.x, other)
    dense = kernel.to_dense()
    free = qlazy.tangent_kernel(point.net, point.params, point.x, other)
    for left in (point.y[:, 0], torch.eye(6, dtype=torch.float64)[:2]):
        torch.testing.assert_close(left @ kernel, left @ dense)
        torch.testing.assert_close(left @ free, left @ dense)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": torch.ones(5, 1, dtype=torch.float64)}, "`y_train` must have shape \\(6, c\\)"),
        ({"x_test": torch.ones(6, 3, dtype=torch.float64)}, "`x_test` must have rows of shape \\(2,\\)"),
        ({"y_test": torch.ones(6, 2, dtype=torch.float64)}, "`y_test` must have rows of shape \\(1,\\)"),
        ({"x_train": torch.ones(6, 2)}, "`x_train` must have the dtype of y_train"),
        ({"y_test": torch.ones(6, 1)}, "`y_test` must have the dtype of y_train"),
        ({"classes": ("a", "b", "c")}, "`y_train` must have 3 columns for 3 classes"),
        ({"classes": "ab"}, "`classes` must be a tuple"),
        ({"features": "ab"}, "`features` must be a tuple of texts, a name for each column"),
        ({"features": ("one",)}, "`features` must have a name for each of the 2 columns of x_train, or none"),
        ({"x_test": torch.ones(4, 2, dtype=torch.float64)}, "`y_test` must have shape \\(4, c\\)"),
    ],
)
def test_arrays_of_a_data_set_fit_each_other(changes, words):
    given = calls(Point(None))["Dataset"][1]
    with pytest.raises((TypeError, ValueError), match=words):
        qlazy.Dataset(**{**given, **changes})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.int16])
def test_data_of_any_real_dtype_is_read(dtype):
    x = torch.arange(40).reshape(20, 2).to(dtype)
    found = qlazy.from_arrays(x, torch.arange(20) % 2)
    expected = qlazy.from_arrays(x.double(), torch.arange(20) % 2)
    torch.testing.assert_close(found.x_train, expected.x_train)


@pytest.mark.parametrize(
    "blocks",
    [
        {"a": slice(0, 1)},
        {"a": slice(1, 2)},
        {"a": slice(0, 2), "b": slice(1, 2)},
        {"a": slice(0, 2, 2)},
        {"a": slice(None, 2)},
        {1: slice(0, 2)},
        {"a": 2},
    ],
)
def test_blocks_cover_the_parameters(blocks):
    with pytest.raises((TypeError, ValueError), match="`blocks` must be a dict of names to slices"):
        qlazy.Function(lambda w, x: x @ w.reshape(2, 1), 2, blocks=blocks)


def test_a_function_that_returns_no_tensor_is_refused():
    model = qlazy.Function(lambda w, x: [1.0], 2)
    with pytest.raises(TypeError, match="`outputs` must be a torch tensor, but is list"):
        model(torch.zeros(2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="`init\\(generator\\)` must have shape"):
        qlazy.Function(lambda w, x: x, 2, init=lambda generator: torch.zeros(3)).init(torch.Generator())


def test_nets_without_values_are_refused():
    torch.set_default_device("meta")
    try:
        with pytest.raises(
            ValueError, match="`module` must hold values, but is on the meta device in 0.weight"
        ):
            qlazy.mlp([2, 3, 1])
    finally:
        torch.set_default_device(None)
