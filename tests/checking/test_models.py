"""Several models named in texts, those of Python files among them, for `compare`, `kernel` and `tiles`."""

from __future__ import annotations

from pathlib import Path

import pytest

import qlazy
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
        with pytest.raises(ValueError, match="must be absent where no model is a QNode of a Python file"):
            named_models(["mlp"], data, **options)
    with pytest.raises(ValueError, match="must be given once each"):
        named_models([f"{files[0]}:circuit"] * 2, data)


@pytest.mark.usefixtures("elsewhere")
def test_commands_take_files(files, data, capsys, refused):
    mine, _ = files
    options = ("--alphas", "1,10", "--seeds", "2", "--steps", "3", "--workers", "2")
    assert cli.main(["compare", f"{mine}:circuit", "mlp", *SHORT, *options]) == cli.OK
    assert "circuit: 12 parameters\nmlp: 13 parameters" in capsys.readouterr().out
    assert cli.main(["kernel", f"{mine}:free", "--inputs", "x", "--shapes", "w=1", *SHORT]) == cli.OK
    assert "free, 1 parameters" in capsys.readouterr().out
    assert cli.main(["tiles", f"{mine}:net", *SHORT]) == cli.OK
    assert "net: 8 x 8" in capsys.readouterr().out
    for command in ("compare", "kernel", "tiles"):
        assert "no/mine.py" in refused(command, "no/mine.py:circuit", *SHORT)
        assert "(there: circuit, free, net)" in refused(command, mine, *SHORT)
