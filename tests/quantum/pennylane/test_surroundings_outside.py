"""A change is seen in settings of libraries, in files, in what other processes hold, and in the QNode's own parts."""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import pickle
import runpy
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest
import torch
from torch.overrides import BaseTorchFunctionMode

from qlazy import Circuit
from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError
from qlazy.base.torch_private import default_device
from qlazy.quantum.pennylane.tapes import transforms_of
from tests.quantum.pennylane.changes import F64, PARAMS, Kinds, X, registered, see_a_change, trace_once

FILES: Kinds = {}
UNTOLD: Kinds = {}
untold = registered(UNTOLD)


OPENED = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def closed_at_the_end():
    """Closes and removes what kinds have made."""
    yield
    OPENED.close()


def new_folder() -> Path:
    return Path(OPENED.enter_context(tempfile.TemporaryDirectory()))


def of_a_file(read, write=lambda path, v: path.write_text(str(v)), name="angle.txt"):
    def found():
        path = new_folder() / name
        write(path, 1.0)
        return lambda: read(path), lambda v: write(path, v)

    return found


def opened(path):
    with open(path) as file:  # noqa: PTH123 - the plainest way
        return float(file.read())


def from_json(path):
    with path.open() as file:
        return json.load(file)["k"]


def from_pickle(path):
    with path.open("rb") as file:
        return pickle.load(file)


def by_descriptor(path):
    number = os.open(path, os.O_RDONLY)
    try:
        return float(os.read(number, 100))
    finally:
        os.close(number)


def from_folder(path):
    """A file beside, of a name that changes."""
    return float(next(other for other in path.parent.iterdir()).read_text())


FILES |= {
    "open": of_a_file(opened),
    "a path's text": of_a_file(lambda path: float(path.read_text())),
    "a path's bytes": of_a_file(lambda path: float(path.read_bytes())),
    "a descriptor": of_a_file(by_descriptor),
    "np.load": of_a_file(
        lambda path: float(np.load(path)[0]), lambda path, v: np.save(path, np.array([v])), "k.npy"
    ),
    "np.memmap": of_a_file(
        lambda path: float(np.memmap(path, dtype=float, mode="r")[0]),
        lambda path, v: np.array([v]).tofile(path),
    ),
    "np.fromfile": of_a_file(
        lambda path: float(np.fromfile(path)[0]), lambda path, v: np.array([v]).tofile(path)
    ),
    "np.loadtxt": of_a_file(lambda path: float(np.loadtxt(path))),
    "torch.load": of_a_file(
        lambda path: float(torch.load(path)),
        lambda path, v: torch.save(torch.tensor(v, dtype=F64), path),
        "k.pt",
    ),
    "json": of_a_file(from_json, lambda path, v: path.write_text(json.dumps({"k": v}))),
    "pickle": of_a_file(from_pickle, lambda path, v: path.write_bytes(pickle.dumps(v))),
    "a script": of_a_file(
        lambda path: runpy.run_path(str(path))["k"], lambda path, v: path.write_text(f"k = {v}")
    ),
}


@untold
def size_of_a_file():
    def write(path, v):
        path.write_text("x" * int(4 * v))

    return of_a_file(lambda path: path.stat().st_size / 4, write)()


@untold
def file_of_a_folder():
    folder = new_folder()
    Path(folder, "1.0").touch()
    return lambda: float(os.listdir(folder)[0]), lambda v: Path(folder, "1.0").rename(  # noqa: PTH208
        Path(folder, str(v))
    )


def file_that_appears():
    folder = new_folder()
    path = Path(folder, "angle")

    def get():
        try:
            return float(path.read_text())
        except FileNotFoundError:
            return 1.0

    return get, lambda v: path.write_text(str(v))


@untold
def file_that_stays_open():
    folder = new_folder()
    path = Path(folder, "angle")
    path.write_text("1.0")
    file = OPENED.enter_context(path.open())

    def get():
        file.seek(0)
        return float(file.read())

    return get, lambda v: path.write_text(str(v))


def file_in_the_folder_of_work():
    folder = new_folder()
    here = os.getcwd()  # noqa: PTH109
    for name, k in (("one", "1.0"), ("other", "2.5")):
        Path(folder, name).mkdir()
        Path(folder, name, "angle").write_text(k)
    os.chdir(Path(folder, "one"))

    def get():
        return float(Path("angle").read_text())

    def change(v):
        os.chdir(Path(folder, "other"))

    change.undo = lambda: os.chdir(here)
    return get, change


@untold
def output_of_a_process():
    make = of_a_file(
        lambda path: float(
            subprocess.check_output([sys.executable, "-S", "-c", f"print(open({str(path)!r}).read())"])
        )
    )
    return make()


FILES["a file that appears"] = file_that_appears


@pytest.mark.parametrize("name", [*FILES, *UNTOLD])
def test_a_change_is_seen_in_files(name):
    see_a_change({**FILES, **UNTOLD}[name])


def test_a_change_of_the_folder_of_work_is_seen(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    see_a_change(file_in_the_folder_of_work)


@pytest.mark.parametrize("name", FILES)
def test_files_that_nobody_changes_are_read_once(name):
    trace_once(FILES[name])


def test_files_that_a_circuit_writes_are_no_change(tmp_path):
    def get():
        (tmp_path / "log").write_text("was here")
        return 1.0

    trace_once(lambda: (get, None))


def test_threads_that_trace_see_their_own_files_and_leave_python_as_it_was(tmp_path):
    before = builtins.open, io.open, os.open, os.listdir, subprocess.Popen.__init__
    errors = []

    def trace(i):
        try:
            path = tmp_path / str(i)
            path.write_text(f"{i}.0")
            model = Circuit(turning(lambda: opened(path)), {"w": (1,)})
            for k in (float(i), i + 0.5):
                path.write_text(str(k))
                torch.testing.assert_close(model(PARAMS, X), torch.cos(k * PARAMS + X), rtol=0, atol=1e-12)
            (read,) = model._chosen._read.values()
            assert len(read._last.places._buffers) == 1, "the file of another thread is looked at"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=trace, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert before == (builtins.open, io.open, os.open, os.listdir, subprocess.Popen.__init__)


def by_row(qnode, x):
    return torch.tensor([float(qnode(np.array(row), np.array(PARAMS))) for row in x], dtype=F64).reshape(
        -1, 1
    )


def hold_to_the_qnode(qnode, *changes, undo=lambda: None, backend="auto"):
    """The model gives what the QNode gives, before and after each change."""
    model = Circuit(qnode, {"w": (1,)}, backend=backend)
    found = []
    try:
        for change in (lambda: None, *changes):
            change()
            expected = by_row(qnode, X)
            torch.testing.assert_close(model(PARAMS, X), expected, rtol=0, atol=1e-12)
            found.append(float(expected))
    finally:
        undo()
    assert len(set(found)) == len(found), "a change changed nothing"


def turning(get):
    def circuit(inputs, w):
        qml.RX(get() * w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    return qml.QNode(circuit, qml.device("default.qubit", wires=1))


def test_a_change_of_the_default_type_is_seen():
    before = torch.get_default_dtype()
    hold_to_the_qnode(
        turning(lambda: float(torch.tensor(0.1))),
        lambda: torch.set_default_dtype(torch.float64 if before == torch.float32 else torch.float32),
        undo=lambda: torch.set_default_dtype(before),
    )


def test_a_change_of_the_default_device_is_seen():
    """On a device without numbers PennyLane's torch does not run: the circuit is refused, and right again after it."""
    model = Circuit(turning(lambda: 2.5 if torch.empty(1).is_meta else 1.0), {"w": (1,)})
    torch.testing.assert_close(model(PARAMS, X), torch.cos(PARAMS + X), rtol=0, atol=1e-12)
    torch.set_default_device("meta")
    try:
        with pytest.warns(SlowBackendWarning), pytest.raises(UnsupportedModelError):
            model(PARAMS, X)
    finally:
        torch.set_default_device(None)
    torch.testing.assert_close(model(PARAMS, X), torch.cos(PARAMS + X), rtol=0, atol=1e-12)
    with BaseTorchFunctionMode():  # in which torch 2.8 does not find that none is set any more
        assert default_device() == "cpu"
        torch.testing.assert_close(model(PARAMS, X), torch.cos(PARAMS + X), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore")  # of what runs on default.qubit then
def test_a_change_of_the_way_operators_are_decomposed_is_seen():
    class Turn(qml.operation.Operation):
        num_params, num_wires = 0, 1
        resource_keys = frozenset()

        @property
        def resource_params(self):
            return {}

        @staticmethod
        def compute_decomposition(wires):
            return [qml.RX(1.0, wires)]

    @qml.register_resources({qml.RX: 1})
    def other(wires, **_):
        qml.RX(2.5, wires)

    def circuit(inputs, w):
        qml.RX(w[0] + inputs[0], 0)
        Turn(0)
        return qml.expval(qml.Z(0))

    qml.add_decomps(Turn, other)
    hold_to_the_qnode(
        qml.QNode(circuit, qml.device("default.qubit", wires=1)),
        qml.decomposition.enable_graph,
        undo=qml.decomposition.disable_graph,
    )


def test_a_transform_that_is_added_in_place_is_seen():
    qnode = turning(lambda: 1.0)

    @qml.transform
    def turned(tape):
        return [tape.copy(operations=[*tape.operations, qml.RX(0.5, 0)])], lambda results: results[0]

    hold_to_the_qnode(qnode, lambda: transforms_of(qnode).add_transform(turned))


def test_the_readout_of_a_noisy_device_is_seen():
    def circuit(inputs, w):
        qml.RX(w[0] + inputs[0], 0)
        return qml.expval(qml.Z(0))

    device = qml.device("default.mixed", wires=1)
    model = Circuit(qml.QNode(circuit, device), {"w": (1,)}, backend="paulis")
    model(PARAMS, X)
    device.readout_err = 0.3
    with pytest.raises(UnsupportedModelError, match="readout errors"):
        model(PARAMS, X)


def test_a_model_of_noise_that_changes_is_seen():
    rate = [0.1]
    model = qml.NoiseModel({qml.noise.op_eq(qml.RX): lambda op, **_: qml.PhaseFlip(rate[0], op.wires)})

    def circuit(inputs, w):
        qml.RX(w[0] + inputs[0], 0)
        qml.RX(0.3, 0)
        return qml.expval(qml.Z(0))

    qnode = qml.add_noise(qml.QNode(circuit, qml.device("default.mixed", wires=1)), model)
    hold_to_the_qnode(qnode, lambda: rate.__setitem__(0, 0.3), backend="paulis")
