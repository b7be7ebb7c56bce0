"""Names in Python files and modules, and what is said of those that are not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qlazy.checking.targets import is_python, load_target
from qlazy.commands import main as cli

FILE = """
import pennylane as qml
import torch

import beside


@qml.qnode(qml.device("default.qubit", wires=1))
def circuit(inputs, w=torch.zeros(1)):
    qml.RY(inputs[0] * beside.SCALE + w[0], 0)
    return qml.expval(qml.Z(0))


class Line(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 1)


def maker():
    return Line()


number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("SCALE = 2.0\n")
    (tmp_path / "of_a_user.py").write_text(FILE)
    return tmp_path / "of_a_user.py"


def test_which_texts_are_python() -> None:
    for text in ("a.py:b", "a/b c.py:d", "a.py", "package.module:name", "package:name.attribute"):
        assert is_python(text), text
    for text in (
        "mlp:relu",
        "mlp:16,relu",
        "hardware_efficient:n=2,layers=1",
        "a.qasm:n=6",
        "a.qasm",
        "tfim",
    ):
        assert not is_python(text), text


def test_names_in_a_file(file: Path) -> None:
    assert type(load_target(f"{file}:circuit")).__name__ == "QNode"
    assert load_target(f"{file}:Line").__name__ == "Line"
    assert load_target(f"{file}:number") == 3
    assert load_target("tests.systems:linear").__name__ == "linear"


SAID = {
    "{file}:nothing": "`model` must name something in .* \\(there: circuit, Line\\), but is nothing",
    "{file}": "`model` must name one model, as in .*of_a_user.py:NAME \\(there: circuit, Line\\)",
    "{file}/no.py:x": "`model` must be a Python file that is there",
    "no_such_module_here:x": "but is no_such_module_here, and there is no such file or module",
}


@pytest.mark.parametrize("text", SAID)
def test_what_is_not_there_is_said(text: str, file: Path) -> None:
    with pytest.raises(ValueError, match=SAID[text]):
        load_target(text.format(file=file))


BROKEN = {
    "x = 1\ndef f(:\n": "does not run: line 2: .*def f",
    "x = 1\ny = x / 0\n": "does not run: line 2: y = x / 0: ZeroDivisionError: division by zero",
    "import sys\nsys.exit(3)\n": r"does not run: line 2: sys.exit\(3\): SystemExit: 3",
    "import no_such_module_here\n": "does not run: line 1: .*ModuleNotFoundError",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_does_not_run_says_where(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken_of_a_user.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=BROKEN[text]):
        load_target(f"{path}:x")
    assert "broken_of_a_user" not in sys.modules


def test_a_module_with_the_name_of_a_family_is_a_module(tmp_path: Path, monkeypatch) -> None:
    """And without one the text is of the family, at sizes that cannot be read."""
    assert not is_python("tfim:n")
    (tmp_path / "tfim.py").write_text("import qlazy\nn = qlazy.mlp([2, 3, 1])\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_python("tfim:n")
    assert load_target("tfim:n").num_params == 13
    del sys.modules["tfim"]


@pytest.mark.usefixtures("elsewhere")
def test_the_command_prints_what_it_runs_and_the_sentence(capsys, file: Path, tmp_path: Path) -> None:
    options = [
        "--seeds",
        "2",
        "--steps",
        "3",
        "--alphas",
        "1",
        "--train",
        "8",
        "--test",
        "12",
        "--panels",
        "lazy",
    ]
    assert (
        cli.main(["check", f"{file}:maker", "--features", "2", *options, "--quiet", "--out", "here"])
        == cli.OK
    )
    out = capsys.readouterr().out
    _, model, _, sentence, *_ = out.splitlines()
    assert model.startswith("maker: ")
    assert sentence.startswith("maker on digits: ")
    assert "figures, tables and arrays: here; all in one page: here/report.html" in out.splitlines()[-1]
    page = (tmp_path / "here" / "report.html").read_text()
    assert f"qlazy check {file}:maker" in page
    for words, said in (
        ([f"{file}:circuit", "--shapes", "w"], "argument --shapes: must be a name and a shape"),
        ([f"{file}:circuit", "--features", "1", "--shapes", "v=1"], "`shapes` must name weights"),
        (
            [f"{file}:Line", "--features", "3"],
            "`x` must be inputs that Line takes, but is rows of shape (3,)",
        ),
        ([f"{file}:number"], "`model` must be a QNode"),
    ):
        assert cli.main(["check", *words, *options, "--quiet", "--out", "there"]) == cli.USAGE
        assert said in capsys.readouterr().err
