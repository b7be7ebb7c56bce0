"""``qlazy kernel``: its figures against NumPy, and its shots against their own error bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qlazy.base.storage import load_arrays
from qlazy.commands import main as cli

pytestmark = pytest.mark.usefixtures("elsewhere")


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
    assert facts["participation ratio"] == f"{values.sum() ** 2 / (values**2).sum():.6g}"
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


def test_a_net_has_no_shots(refused) -> None:
    assert "must be a circuit" in refused("kernel", "mlp:2", "--train", "8", "--shots", "100")


def test_an_output_folder_that_is_a_file_is_refused(capsys, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    assert cli.main(["kernel", "mlp:2", "--train", "8", "--test", "8", "--out", "taken"]) == cli.USAGE
    shown = capsys.readouterr()
    assert "must be a folder, but taken is a file" in shown.err
    assert shown.out == ""
    assert (tmp_path / "taken").read_text() == "mine"


def test_data_of_a_file_by_names_and_positions_of_columns(capsys, tmp_path: Path) -> None:
    rows = [f"{i / 7},{-i},{'no' if i % 2 else 'yes'},{i * i}" for i in range(20)]
    (tmp_path / "my.csv").write_text("\n".join(['a,b,"label, of two",t', *rows]))
    common = [
        "kernel",
        "mlp:2",
        "--data",
        "my.csv",
        "--columns",
        "a,1",
        "--train",
        "10",
        "--quiet",
        "--out",
        "here",
    ]
    assert cli.main([*common, "--target", '"label, of two"']) == cli.OK
    out = capsys.readouterr().out
    assert "my.csv, classes no (-1) and yes (+1), 10 training and 10 test samples; 2 features" in out
    assert "target label, of two: 2 classes, of texts; features a, b" in out
    assert cli.main([*common, "--target", "-1", "--scaling", "none"]) == cli.OK
    out = capsys.readouterr().out
    assert "my.csv, regression, 10 training and 10 test samples; 2 features, not scaled" in out
    assert cli.main([*common, "--target", "b,t", "--columns", "a"]) == cli.OK
    assert "(10 samples, 2 outputs)" in capsys.readouterr().out
    for options, words in (
        (["--target", "c"], "`target` must name columns of my.csv, of a, b, label, of two, t, or count"),
        (["--target", "2", "--task", "regression"], "must hold numbers, as 1.5, in column label, of two"),
        (["--target", ","], "argument --target: must be names of columns with commas between, but is ','"),
        (["--target", "2", "--data", "iris"], "`target` must be absent with iris"),
        (["--target", "2", "--data", "none.csv"], "none.csv: No such file or directory"),
        (["--data", "nothing"], "`name` must be one of digits, mnist"),
    ):
        assert cli.main([*common, *options]) == cli.USAGE
        assert words in capsys.readouterr().err


def test_data_that_are_drawn_take_options(capsys) -> None:
    common = ["kernel", "mlp:2", "--train", "10", "--test", "6", "--quiet", "--out", "here", "--data"]
    assert cli.main([*common, "two_curves:dimension=3,noise=0.1"]) == cli.OK
    out = capsys.readouterr().out
    assert "two_curves, classes first (-1) and second (+1), 10 training and 6 test samples; 3 features" in out
    assert "dimension = 3, noise = 0.1" in out
    for data, words in (
        ("two_curves:size=3", "`--data` must have options as in two_curves:option=3, of dimension, degree"),
        ("two_curves:noise=much", "`--data` must have options as in two_curves:option=3"),
        ("two_curves:noise=-1", "`noise` must be a finite number that is not negative, but is -1"),
        ("iris:noise=1", "`--data` must have options as in iris:option=3, of none"),
    ):
        assert cli.main([*common, data]) == cli.USAGE
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["kernel", "compare", "check", "study"])
def test_a_folder_that_cannot_be_made_is_known_before_the_work(command, tmp_path, refused, monkeypatch):
    def work(*_, **__):
        raise AssertionError("it worked before it looked")

    for place in (
        "commands.kernel.tangent_kernel",
        "comparison.compare.job.all_runs",
        "studies.experiments._kept",
    ):
        monkeypatch.setattr(f"qlazy.{place}", work)
    (tmp_path / "file").write_text("mine")
    words = {"study": ["wide_circuits"]}.get(command, ["mlp:2", "--train", "8", "--test", "8"])
    assert "file/below" in refused(command, *words, "--out", "file/below")
    assert (tmp_path / "file").read_text() == "mine"


def test_figures_are_written_as_asked(capsys, tmp_path: Path) -> None:
    small = ["kernel", "mlp:3", "--train", "12", "--test", "10", "--out", "k"]
    assert cli.main([*small, "--formats", "pdf,png", "--style", "ggplot"]) == cli.OK
    assert {path.name for path in (tmp_path / "k").glob("kernel.[ps]*")} == {"kernel.pdf", "kernel.png"}
    styled = (tmp_path / "k" / "kernel.png").read_bytes()
    assert cli.main([*small, "--formats", "png"]) == cli.OK
    assert not (tmp_path / "k" / "kernel.pdf").exists()
    assert (tmp_path / "k" / "kernel.png").read_bytes() != styled
    assert "class: 3, 8" in (tmp_path / "k" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--formats", "eps"], "`formats` must be names among png, svg, pdf, but is 'eps'"),
        (["--style", "none-such"], "`style` must be a style of matplotlib, such as ggplot"),
    ],
)
def test_other_formats_and_styles_are_refused_before_the_work(words, says, capsys, tmp_path: Path) -> None:
    assert cli.main(["kernel", "mlp:3", "--out", "k", *words]) == cli.USAGE
    assert says in capsys.readouterr().err
    assert not (tmp_path / "k").exists()
