"""The command line, run in this process with tiny settings, and once as a program of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import qlazy
from qlazy import cli
from qlazy.comparison import Comparison
from qlazy.quantum.corpus import names, program_names
from qlazy.storage import load_arrays

TINY = ["--train", "8", "--test", "12", "--steps", "3", "--alphas", "1,10,100", "--seeds", "1"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_num_threads(threads)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What stderr says where a command is refused: nothing on stdout, no traceback, exit code 2."""
    assert cli.main(list(arguments)) == cli.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("qlazy: error: ")
    assert "Traceback" not in captured.err
    return captured.err


def test_compare_prints_tables_and_leaves_a_folder(capsys, tmp_path: Path) -> None:
    assert cli.main(["compare", "hardware_efficient:layers=1", "mlp:2", *TINY, "--out", "here"]) == cli.OK
    captured = capsys.readouterr()
    comparison = Comparison.load(tmp_path / "here")
    assert comparison.models == ("hardware_efficient:layers=1", "mlp:2")
    assert comparison.table() in captured.out
    assert "hardware_efficient:layers=1: 8 parameters" in captured.out
    assert captured.out.startswith("digits, classes 3 (-1) and 8 (+1), 8 training and 12 test examples")
    assert captured.out.endswith("figures, table and arrays: here; all in one page: here/report.html\n")
    page = (tmp_path / "here" / "report.html").read_text()
    assert "qlazy compare hardware_efficient:layers=1 mlp:2" in page
    assert "hardware_efficient:layers=1 is lazy by" in page
    assert {path.name for path in (tmp_path / "here").glob("*.svg")} >= {
        "drift.svg",
        "gap.svg",
        "accuracy.svg",
    }
    assert (tmp_path / "here" / "table.txt").read_text() == comparison.table() + "\n"


def test_compare_keeps_progress_off_stdout(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Comparison, "plot", lambda self, folder: [])
    assert cli.main(["compare", "mlp:2", *TINY, "--quiet"]) == cli.OK
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert cli.main(["compare", "mlp:2", *TINY]) == cli.OK
    assert capsys.readouterr().out == quiet.out


def test_models_may_stand_on_both_sides_of_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(cli, "compare", lambda arguments: seen.append(arguments.models) or cli.OK)
    assert cli.main(["compare", "a", "--seeds", "2", "b", "c"]) == cli.OK
    assert cli.main(["compare"]) == cli.OK
    assert seen == [["a", "b", "c"], []]


def test_the_defaults_have_about_the_same_number_of_parameters() -> None:
    from qlazy.options import MODELS, read_data
    from qlazy.specs import build_models

    data = read_data(cli._parse(["compare"]))
    counts = [model.num_params for model in build_models(MODELS, data).values()]
    assert len(counts) == 3
    assert max(counts) <= 1.1 * min(counts)


def test_a_diverged_run_is_reported_and_fails(capsys) -> None:
    """And the figures and the page are drawn all the same, of a comparison in which nothing came to its end."""
    arguments = ["compare", "mlp:2", *TINY, "--steps", "60", "--rate", "1e6", "--quiet"]
    assert cli.main(arguments) == cli.FAILED
    captured = capsys.readouterr()
    assert "qlazy: mlp:2, seed 0, a = 1: " in captured.err
    assert "diverged at step" in captured.err
    assert "training diverged: nothing can be said" in captured.out


def test_kernel_prints_facts_and_saves_arrays(capsys, tmp_path: Path) -> None:
    assert (
        cli.main(["kernel", "mlp:3", "--train", "20", "--test", "10", "--seed", "4", "--out", "k"]) == cli.OK
    )
    captured = capsys.readouterr()
    assert captured.err == ""
    facts = dict(line.split("  ", 1) for line in captured.out.splitlines() if "  " in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    arrays, settings = load_arrays(tmp_path / "k" / "kernel.npz")
    kernel, y = arrays["kernel"], arrays["y"][:, 0]
    values = np.linalg.eigvalsh(kernel)[::-1]
    assert facts["shape"].startswith("20 x 20")
    assert facts["trace"] == f"{np.trace(kernel):.6g}"
    assert facts["largest eigenvalue"] == f"{values[0]:.6g}"
    assert facts["effective rank"] == f"{values.sum() ** 2 / (values**2).sum():.6g}"
    assert facts["alignment"] == f"{y @ kernel @ y / np.linalg.norm(kernel) / (y @ y):.6g}"
    assert facts["critical learning rate"].split()[0] == f"{2 * 20 / values[0]:.6g}"
    # three hidden units on four inputs have 3 * 5 + 4 = 19 parameters, which bounds the rank
    assert facts["rank"] == "19  (at most 19)"
    assert settings["seed"] == 4
    assert {path.name for path in (tmp_path / "k").iterdir()} == {
        "kernel.npz",
        "kernel.png",
        "kernel.svg",
        "report.html",
    }


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["nothing"], "invalid choice: 'nothing'"),
        (["compare", "--nothing"], "unrecognized arguments: --nothing"),
        (["circuits", "tfim", "more"], "unrecognized arguments: more"),
        (["compare", "--alphas", "1,x"], "must be numbers with commas between, but is '1,x'"),
        (["compare", "--alphas", "1,-3", "mlp"], "`alphas` must be positive"),
        (["compare", "--ridge", "0", "mlp"], "`--ridge` must be positive, but is 0.0"),
        (["compare", "--seeds", "0"], "must be a positive integer, but is '0'"),
        (["compare", "--classes", "3", "mlp"], "classes"),
        (["compare", "--classes", "3,12", "mlp"], "12"),
        (["compare", "--features", "99", "mlp"], "`features` must be from 1 to 64"),
        (["compare", "mlp", "--method", "adam"], "`--rate` must be given with --method adam"),
        (["compare", "mlp", "--batch", "4"], "`--batch` must come with --method sgd, but is with gd"),
        (["compare", "mlp", "--method", "flow", "--rate", "1", "--horizon", "1"], "`--rate` must be absent"),
        (["compare", "mlp", "--rate", "-1"], "`rate` must be positive"),
        (["kernel", "nothing"], "must be the path of a file or one of brickwork"),
        (["kernel", "tfim"], "must have 4 inputs, as digits has 4 features"),
        (["circuits", "tfim", "--draw", "tfim.bmp"], "must end in .png, .svg, .pdf"),
        (["circuits", "tfim:n=3", "--n", "4"], "`sizes` must be given once each, but is n"),
        (["circuits", "nowhere.qasm"], "nowhere.qasm"),
    ],
)
def test_bad_input_is_refused(capsys, arguments: list[str], message: str) -> None:
    assert message in refused(capsys, *arguments)


def test_an_output_folder_that_is_a_file_is_refused(capsys, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    assert cli.main(["kernel", "mlp:2", "--train", "8", "--test", "8", "--out", "taken"]) == cli.USAGE
    assert "taken" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


def test_an_interrupt_says_so(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(qlazy, "compare", interrupted, raising=False)
    assert cli.main(["compare", "mlp:2", *TINY]) == cli.INTERRUPTED
    assert capsys.readouterr().err.startswith("qlazy: interrupted")


@pytest.mark.parametrize("command", ["compare", "kernel", "circuits"])
def test_help_shows_examples(capsys, command: str) -> None:
    assert cli.main([command, "--help"]) == cli.OK
    assert f"examples:\n  qlazy {command}" in capsys.readouterr().out


def test_threads_are_one_unless_told(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(cli, "circuits", lambda arguments: seen.append(torch.get_num_threads()) or cli.OK)
    cli.main(["circuits"])
    cli.main(["circuits", "--threads", "2"])
    assert seen == [1, 2]


def test_the_program_itself() -> None:
    program = [sys.executable, "-m", "qlazy.cli"]
    path = str(Path(qlazy.__file__).parent.parent)
    run = subprocess.run(
        [*program, "--version"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, f"qlazy {qlazy.__version__}\n", "")
    run = subprocess.run(
        [*program, "kernel", "nothing"], capture_output=True, text=True,
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1


def test_circuits_lists_programs_apart(capsys) -> None:
    assert cli.main(["circuits", "--programs"]) == cli.OK
    _, *rows = capsys.readouterr().out.splitlines()
    assert tuple(row.split()[0] for row in rows) == program_names()


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


def test_diff_refusals(capsys) -> None:
    assert "`--wrt` must name the parameter" in refused(capsys, "diff", "p2")
    assert "must be one element of `a` of shape (4, 3), such as a[0, 0]" in refused(
        capsys, "diff", "p2", "--wrt", "a"
    )
    assert "`wrt` must name one of the inputs a, b, c, z" in refused(capsys, "diff", "p2", "--wrt", "t")


def test_kernel_from_shots_prints_error_bars_and_both_biases(capsys, tmp_path: Path) -> None:
    tiny = ["--data", "moons", "--features", "2", "--train", "4", "--shots", "200", "--out", "here"]
    assert cli.main(["kernel", "hardware_efficient:layers=1", *tiny]) == cli.OK
    captured = capsys.readouterr()
    assert "4 samples, 9 circuits each, in 8 batches: 288 circuits, 7200 shots" in captured.err
    assert " +- " in captured.out
    shown = dict(line.rsplit("  ", 1) for line in captured.out.splitlines() if line.startswith("bias of"))
    measured, predicted = (float(value) for value in shown.values())
    arrays, _ = load_arrays(tmp_path / "here" / "kernel.npz")
    assert measured == pytest.approx(np.trace(arrays["naive"] - arrays["measured"]), rel=1e-4)
    # two circuits for each of 4 angles and 4 samples, of variance at most 1
    assert 0 < predicted <= 4 * 4 / (2 * 200)
    assert measured == pytest.approx(predicted, rel=0.8)
    assert (np.abs(arrays["measured"] - arrays["kernel"]) <= 6 * arrays["errors"]).all()
    assert "bias of the naive trace, predicted" in (tmp_path / "here" / "report.html").read_text()


def test_a_net_has_no_shots(capsys) -> None:
    assert "must be a circuit" in refused(capsys, "kernel", "mlp:2", "--train", "8", "--shots", "100")


def test_tiles_go_into_a_store(capsys, tmp_path: Path) -> None:
    command = [
        "tiles",
        "mlp:3",
        "--train",
        "20",
        "--test",
        "8",
        "--tile",
        "8",
        "--store",
        "k",
        "--verify",
        "--quiet",
    ]
    assert cli.main(command) == cli.OK
    assert capsys.readouterr().out.startswith("mlp:3: 20 x 20, trace ")
    assert qlazy.TiledKernel.load(tmp_path / "k").shape == (20, 20)
    assert "whose tile is 8, not 7" in refused(capsys, *command[:-4], "--store", "k", "--tile", "7")
