"""``qlazy circuits``: the list, one at its sizes, drawings."""

from __future__ import annotations

from pathlib import Path

import pytest

from qlazy.commands import main as cli
from qlazy.quantum.corpus import load_program, names, program_from_qasm, program_names
from qlazy.quantum.program.printing import spoken

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_circuits_lists_every_family(capsys) -> None:
    assert cli.main(["circuits"]) == cli.OK
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["circuit", "sizes", "qubits", "parameters", "inputs", "outputs", "description"]
    assert tuple(row.split()[0] for row in rows) == names()
    (row,) = (row.split() for row in rows if row.startswith("hardware_efficient "))
    assert row[1:6] == ["n=4,layers=3", "4", "24", "4", "1"]


@pytest.mark.parametrize(
    "arguments", [["hardware_efficient:n=3,layers=2"], ["hardware_efficient", "--n", "3", "--layers", "2"]]
)
def test_circuits_shows_one_at_its_sizes(capsys, arguments: list[str]) -> None:
    assert cli.main(["circuits", *arguments]) == cli.OK
    out = capsys.readouterr().out
    assert out.startswith("hardware_efficient(n=3, layers=2): 3 qubits, 12 parameters")
    assert "2: ──RY──RY──RZ" in out


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_circuits_draws(capsys, tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / f"drawn.{suffix}"
    assert cli.main(["circuits", "light_cone:n=3", "--draw", str(path)]) == cli.OK
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes().startswith(magic)


def test_circuits_lists_programs_apart(capsys) -> None:
    assert cli.main(["circuits", "--programs"]) == cli.OK
    _, *rows = capsys.readouterr().out.splitlines()
    assert tuple(row.split()[0] for row in rows) == program_names()


@pytest.mark.parametrize("name", program_names())
def test_a_program_that_measures_is_shown_as_a_program(capsys, tmp_path: Path, name: str) -> None:
    """What is printed can be read again, as the program that it is of."""
    assert cli.main(["circuits", name]) == cli.OK
    out = capsys.readouterr().out
    program = load_program(name)
    assert out.startswith(f"{program}\n")
    if program.is_unitary:
        assert "0: ─" in out
        return
    text = out[out.index("OPENQASM 3.0;") :].removesuffix(f"{program.header.strip()}\n")
    again = program_from_qasm(text)
    expected = spoken(program)
    assert (again.operations, again.observables) == (expected.operations, expected.observables)


def test_a_program_that_measures_is_not_drawn(refused) -> None:
    message = refused("circuits", "teleportation", "--draw", "t.png")
    assert "`teleportation` must be a circuit of gates to be drawn, but is one that measures" in message
