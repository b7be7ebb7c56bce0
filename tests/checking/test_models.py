"""Several models named in texts, those of Python files among them, for `compare`, `kernel` and `tiles`."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import qlazy
from qlazy.checking import neighbours
from qlazy.checking.models import named_models
from qlazy.commands import main as cli

FILE = """
import numpy as np
import pennylane as qml
import torch


@qml.qnode(qml.device("default.qubit", wires=2))
def circuit(inputs, weights=np.zeros((2, 2, 3))):
    qml.AngleEmbedding(inputs, wires=range(2))
    qml.StronglyEntanglingLayers(weights, wires=range(2))
    return qml.expval(qml.Z(0))


@qml.qnode(qml.device("default.qubit", wires=2))
def free(x, w):
    qml.AngleEmbedding(x, wires=range(2))
    qml.RX(w[0], 0)
    return qml.expval(qml.Z(0) @ qml.Z(1))


net = torch.nn.Linear(2, 1)
"""
SHORT = ("--features", "2", "--train", "8", "--test", "8", "--quiet")


@pytest.fixture
def data():
    return qlazy.load_data("digits", features=2, train=8, test=8)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    for name in ("mine.py", "hers.py"):
        (tmp_path / name).write_text(FILE)
    return str(tmp_path / "mine.py"), str(tmp_path / "hers.py")


def test_short_names_in_the_order_given(files, data):
    mine, _ = files
    models = named_models(["mlp", f"{mine}:circuit", "hardware_efficient", f"{mine}:net"], data)
    assert list(models) == ["mlp", "circuit", "hardware_efficient", "net"]


def test_what_is_called_alike_keeps_its_file(files, data):
    names = [f"{file}:circuit" for file in files]
    assert list(named_models(names, data)) == names


def test_a_net_is_as_large_as_the_circuits_of_files_beside_it(files, data):
    """12 parameters: widths 2, h, 1 have 4 h + 1, which comes nearest at h = 3."""
    models = named_models(["mlp", f"{files[0]}:circuit", f"{files[0]}:net"], data)
    assert models["circuit"].num_params == 12
    assert models["mlp"].num_params == 13


def test_shapes_and_inputs_belong_to_qnodes(files, data):
    models = named_models([f"{files[0]}:free"], data, {"w": 1}, "x")
    assert models["free"].num_params == 1
    for options in ({"shapes": {"w": 1}}, {"inputs": "x"}):
        for texts in (["mlp"], ["mlp", f"{files[0]}:net"], ["mlp", f"{files[0]}:circuit"]):
            with pytest.raises(ValueError, match="must name an argument of a QNode of a Python file"):
                named_models(texts, data, **options)
    mixed = [f"{files[0]}:{name}" for name in ("free", "net", "circuit")]
    models = named_models(mixed, data, {"w": 1, "weights": (3, 2, 3)}, "x")
    assert [model.num_params for model in models.values()] == [1, 3, 18]
    with pytest.raises(ValueError, match="must be given once each"):
        named_models([f"{files[0]}:circuit"] * 2, data)


HELPED = """
import numpy as np
import pennylane as qml
import torch

from helper import SCALE


class Turned(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 1)

    def forward(self, x):
        return super().forward(SCALE * x)


@qml.qnode(qml.device("default.qubit", wires=1))
def circuit(inputs, weights=np.zeros(1)):
    qml.RY(SCALE * inputs[0] + inputs[1] + weights[0], 0)
    return qml.expval(qml.Z(0))
"""


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "a", tmp_path / "b"]
    for scale, folder in enumerate(made, 1):
        folder.mkdir()
        (folder / "helper.py").write_text(f"SCALE = {scale}\n")
        (folder / "own.py").write_text(HELPED)
    return made


def test_each_file_imports_its_own_neighbour(folders, data):
    models = list(named_models([f"{folder}/own.py:circuit" for folder in folders], data).values())
    at = torch.tensor([[0.3, 0.1]], dtype=torch.float64)
    for scale, model in enumerate(models, 1):
        assert float(model(torch.zeros(1).double(), at)) == pytest.approx(
            np.cos(0.3 * scale + 0.1), abs=1e-12
        )


def test_a_file_imports_its_own_neighbour_where_the_caller_has_one_of_that_name(folders, data, monkeypatch):
    """One that no file of a model imported, such as a notebook's own."""
    foreign = types.ModuleType("helper")
    foreign.__file__, foreign.SCALE = "/elsewhere/helper.py", 7
    monkeypatch.setitem(sys.modules, "helper", foreign)
    [model] = named_models([f"{folders[1]}/own.py:circuit"], data).values()
    at = torch.tensor([[0.3, 0.1]], dtype=torch.float64)
    assert float(model(torch.zeros(1).double(), at)) == pytest.approx(np.cos(0.7), abs=1e-12)
    assert foreign.SCALE == 7


def test_files_of_one_name_go_to_workers(folders, data):
    models = named_models([f"{folder}/own.py:Turned" for folder in folders], data)
    found = [
        qlazy.compare(models, data, alphas=(1, 10), seeds=2, steps=3, workers=workers, progress=False).rows()
        for workers in (None, 2)
    ]
    assert found[0] == found[1]


BESIDE = {
    "a module": ("from helper import SCALE", {"helper.py": "SCALE = {}"}),
    "a module of a module": (
        "import reader\nSCALE = reader.SCALE",
        {"reader.py": "from scales import SCALE", "scales.py": "SCALE = {}"},
    ),
    "a module in a package": (
        "import pack.inner\nSCALE = pack.inner.SCALE",
        {"pack/__init__.py": "from . import inner", "pack/inner.py": "SCALE = {}"},
    ),
    "a module in a plain folder": ("from folder.inner import SCALE", {"folder/inner.py": "SCALE = {}"}),
}
"""How a file comes by a number that stands beside it."""


@pytest.mark.parametrize("kind", BESIDE)
def test_whatever_lies_beside_a_file_is_its_own_and_the_callers_stays(kind, tmp_path, data, monkeypatch):
    """Of two files, and of a caller who had imported the same names before and does so again."""
    head, parts = BESIDE[kind]
    text = HELPED.replace("from helper import SCALE", head)
    for scale in (1, 2, 3):
        for name, part in {**parts, "own.py": text}.items():
            file = tmp_path / str(scale) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(part.format(scale) if name in parts else part)
    monkeypatch.setattr(neighbours, "_RUN", {})
    monkeypatch.setattr(sys, "path", [str(tmp_path / "3"), *sys.path])
    for name in [name for name in sys.modules if f"{name.partition('.')[0]}.py" in {"own.py", *parts}]:
        monkeypatch.delitem(sys.modules, name)
    before: dict[str, int] = {}
    exec(head, before)
    at = torch.tensor([[0.3, 0.1]], dtype=torch.float64)
    models = named_models([f"{tmp_path / str(scale)}/own.py:circuit" for scale in (1, 2)], data).values()
    for scale, model in enumerate(models, 1):
        expected = np.cos(0.3 * scale + 0.1)
        assert float(model(torch.zeros(1).double(), at)) == pytest.approx(expected, abs=1e-12)
    after: dict[str, int] = {}
    exec(head, after)
    assert (before["SCALE"], after["SCALE"]) == (3, 3)


LATER = {
    "in a function": ("def made():\n    import helper\n    return helper.SCALE\n", {}),
    "by a text": ("import importlib\nmade = lambda: importlib.import_module('helper').SCALE\n", {}),
    "in a module beside": (
        "from middle import made\n",
        {"middle.py": "def made():\n    from helper import SCALE\n    return SCALE\n"},
    ),
    "in a package beside": (
        "from inside.inner import made\n",
        {"inside/inner.py": "def made():\n    from helper import SCALE\n    return SCALE\n"},
    ),
}
"""How a file imports ``helper`` when it is called."""


@pytest.mark.parametrize("kind", LATER)
def test_a_neighbour_imported_later_is_refused_where_another_has_its_name(kind, folders, data, monkeypatch):
    """Of another file, whichever is named first, or of the caller; a file alone is taken."""
    text, parts = LATER[kind]
    for name, part in {"late.py": text + "net = __import__('torch').nn.Linear(2, 1)\n", **parts}.items():
        file = folders[1] / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(part)
    late, other = f"{folders[1]}/late.py:net", f"{folders[0]}/own.py:circuit"
    for texts in ([late, other], [other, late], [late]):
        monkeypatch.setattr(neighbours, "_RUN", {})
        for name in ("helper", "middle", "inside", "inside.inner", "late", "own"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        if len(texts) == 1:
            assert list(named_models(texts, data)) == ["net"]
            monkeypatch.setitem(sys.modules, "helper", types.ModuleType("helper"))
        with pytest.raises(ValueError, match="must be in files that import helper at their heads"):
            named_models(texts, data)


@pytest.mark.usefixtures("elsewhere")
def test_commands_take_files(files, data, capsys, refused):
    mine, _ = files
    options = ("--alphas", "1,10", "--seeds", "2", "--steps", "3", "--workers", "2")
    assert cli.main(["compare", f"{mine}:circuit", "mlp", *SHORT, *options]) == cli.OK
    assert "circuit: 12 parameters; mlp: 13 parameters" in capsys.readouterr().out
    assert cli.main(["kernel", f"{mine}:free", "--inputs", "x", "--shapes", "w=1", *SHORT]) == cli.OK
    assert "free, 1 parameters" in capsys.readouterr().out
    assert cli.main(["tiles", f"{mine}:net", *SHORT]) == cli.OK
    assert "net: 8 x 8" in capsys.readouterr().out
    for command in ("compare", "kernel", "tiles"):
        assert "no/mine.py" in refused(command, "no/mine.py:circuit", *SHORT)
        assert "(there: circuit, free, net)" in refused(command, mine, *SHORT)
