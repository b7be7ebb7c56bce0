"""``qlazy diff``: programs with their weights, counts, and its own check."""

from __future__ import annotations

from pathlib import Path

import pytest

from qlazy.commands import main as cli

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_diff_prints_programs_that_say_how_they_are_weighted(capsys) -> None:
    assert cli.main(["diff", "p2", "--wrt", "b[3, 0]"]) == cli.OK
    out = capsys.readouterr().out
    assert out.startswith("d/db[3, 0] of p2: 1 program, mode ancilla, loops exit\n")
    assert "// weight 1.0 where record[0] = 0" in out
    assert "record[0] = measure q[0];" in out


def test_diff_leaves_a_file_for_every_program(capsys, tmp_path: Path) -> None:
    command = [
        "diff",
        "qaoa_small_while",
        "--wrt",
        "t1",
        "--mode",
        "shift",
        "--loops",
        "discard",
        "--out",
        "d",
    ]
    assert cli.main(command) == cli.OK
    assert capsys.readouterr().out.endswith("12 files: d\n")
    assert len(list((tmp_path / "d").glob("qaoa_small_while_d_t1_*.qasm"))) == 12
    assert cli.main(["diff", "qaoa_small_if", "--wrt", "t1", "--mode", "sampled", "--out", "one"]) == cli.OK
    assert len(list((tmp_path / "one").iterdir())) == 1


@pytest.mark.parametrize("loops", ["exit", "discard"])
def test_diff_checks_itself(capsys, loops: str) -> None:
    command = ["diff", "repeat_until_success:rounds=3", "--wrt", "c", "--loops", loops, "--check"]
    assert cli.main(command) == cli.OK
    error = capsys.readouterr().out.split()[-1]
    assert float(error) < 1e-8


def test_diff_counts(capsys) -> None:
    assert cli.main(["diff", "vqe_large_while", "--wrt", "t1", "--loops", "discard", "--count"]) == cli.OK
    out = capsys.readouterr().out
    assert out.startswith("vqe_large_while: 40 qubits, 2364 gates, 93 measurements")
    assert out.splitlines()[-1].split() == ["t1", "248", "40"]


def test_diff_prints_the_sum_before_it_is_compiled(capsys) -> None:
    assert cli.main(["diff", "repeat_until_success:rounds=2", "--wrt", "b", "--additive"]) == cli.OK
    assert "sum over r = 1..2:" in capsys.readouterr().out


def test_diff_refusals(refused) -> None:
    assert "`--wrt` must name the parameter" in refused("diff", "p2")
    assert "must be one element of `a` of shape (4, 3), such as a[0, 0]" in refused(
        "diff", "p2", "--wrt", "a"
    )
    assert "`wrt` must name one of the inputs a, b, c, z" in refused("diff", "p2", "--wrt", "t")
