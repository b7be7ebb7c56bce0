"""``qlazy compare`` in this process, with tiny settings."""

from __future__ import annotations

import html
import re
import warnings
from pathlib import Path

import pytest

from qlazy.commands import main as cli
from qlazy.commands.options.data import read_data
from qlazy.commands.options.models import MODELS
from qlazy.comparison.baselines.result import Surrogates
from qlazy.comparison.result import Comparison
from qlazy.comparison.specs import build_models
from qlazy.comparison.verdict import summary_table
from qlazy.theory.trainability import panel
from qlazy.theory.trainability.result import Trainability

pytestmark = pytest.mark.usefixtures("elsewhere")

TINY = ["--train", "8", "--test", "12", "--steps", "3", "--alphas", "1,10,100", "--seeds", "1"]


def test_compare_prints_the_answer_and_leaves_a_folder(capsys, tmp_path: Path) -> None:
    assert cli.main(["compare", "hardware_efficient:layers=1", "mlp:2", *TINY, "--out", "here"]) == cli.OK
    captured = capsys.readouterr()
    comparison = Comparison.load(tmp_path / "here")
    assert comparison.models == ("hardware_efficient:layers=1", "mlp:2")
    assert comparison.table() not in captured.out
    short = summary_table(comparison, comparison.verdict())
    assert f"\n\n{short}\n\n" in captured.out
    assert "hardware_efficient:layers=1: 8 parameters" in captured.out
    assert captured.out.startswith("digits, classes 3 (-1) and 8 (+1), 8 training and 12 test samples")
    where = (
        "figures, tables and arrays: here; all in one page: here/report.html (--tables prints all tables)\n"
    )
    assert captured.out.endswith(where)
    page = (tmp_path / "here" / "report.html").read_text()
    assert "qlazy compare hardware_efficient:layers=1 mlp:2" in page
    assert "hardware_efficient:layers=1 was trained from one seed, which allows no claim" in page
    assert {path.name for path in (tmp_path / "here").glob("*.svg")} >= {
        "drift.svg",
        "gap.svg",
        "accuracy.svg",
    }
    assert (tmp_path / "here" / "table.txt").read_text() == comparison.table() + "\n"


def test_compare_in_one_unit_at_one_loss_over_splits(capsys, tmp_path: Path) -> None:
    options = [
        "--splits",
        "per-seed",
        "--normalize",
        "--until-loss",
        "0.9",
        "--against",
        "kappa",
        "--seeds",
        "2",
    ]
    assert (
        cli.main(["compare", "mlp:2", *TINY, *options, "--surrogates", "--quiet", "--out", "here"]) == cli.OK
    )
    printed = capsys.readouterr().out
    assert "; another split for every seed" in printed
    page = (tmp_path / "here" / "report.html").read_text()
    panel = Surrogates.load(tmp_path / "here" / "surrogates" / "0-mlp-2")
    assert f"mlp:2: {panel.sentences()[0]}" in printed
    for text in (str(panel), panel.caption):
        assert text not in printed
        assert html.escape(text) in page
    assert f"mlp:2\n{panel.table()}" in printed
    assert (tmp_path / "here" / "surrogates-0-mlp-2.svg").exists()
    found = Comparison.load(tmp_path / "here")
    first, second = found.select("mlp:2", 1.0)
    assert not (first.test_targets == second.test_targets).all()
    assert (found.settings["normalized"], found.settings["until_loss"]) == (True, 0.9)
    assert "kappa" in (tmp_path / "here" / "gap.svg").read_text()


def test_compare_asks_circuits_whether_they_are_flat(
    capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = panel.trainability
    monkeypatch.setattr(
        panel,
        "trainability",
        lambda circuit, data, **given: whole(circuit, data, sizes=(2, 3), samples=20, **given),
    )
    models = ["hardware_efficient:layers=1", "mlp:2"]
    assert cli.main(["compare", *models, *TINY, "--trainability", "--quiet", "--out", "here"]) == cli.OK
    (folder,) = (tmp_path / "here" / "trainability").iterdir()
    found = Trainability.load(folder)
    first, second = found.tables()
    printed = capsys.readouterr().out
    assert f"hardware_efficient:layers=1: {first}" in printed
    assert str(second) not in printed
    assert second.rows[0][0] in (tmp_path / "here" / "report.html").read_text()
    assert [at.qubits for at in found.sizes] == [2, 3]


def test_compare_keeps_progress_off_stdout(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Comparison, "plot", lambda self, folder: [])
    assert cli.main(["compare", "mlp:2", *TINY, "--quiet"]) == cli.OK
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert cli.main(["compare", "mlp:2", *TINY]) == cli.OK
    assert capsys.readouterr().out == quiet.out


SAID = (
    r"qlazy: 3 runs trained in (\S+) s, at (\S+) GFLOP/s: (\S+) % of what a product of matrices reaches here, "
    r"(\S+) GFLOP/s \(float64, 1 thread\)\n"
)


def test_compare_tells_how_far_its_training_was_from_the_machine(capsys, tmp_path: Path) -> None:
    words = ["compare", "mlp:2", *TINY, "--out", "here"]
    assert cli.main(words) == cli.OK
    line = re.match(SAID, capsys.readouterr().err)
    assert line is not None
    seconds, rate, share, most = map(float, line.groups())
    products = 2 * (4 * 2 + 2 * 1) + 2 * 1  # forward, to the weights, to the inputs of the second layer
    assert rate * 1e9 * seconds == pytest.approx(3 * 3 * 8 * 2 * products, rel=0.06)  # runs, steps, samples
    assert share == pytest.approx(100 * rate / most, rel=0.2)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert cli.main(words) == cli.OK
    assert capsys.readouterr().err == "qlazy: 3 of 3 runs were there already\n"
    assert {path: path.read_bytes() for path in kept} == kept


def test_runs_that_were_there_are_counted_unless_quiet(capsys) -> None:
    """Two scales of three are there: of another scale there is one run for each seed to be made."""
    words = ["compare", "mlp:2", *TINY, "--seeds", "2", "--out", "here"]
    assert cli.main([*words, "--alphas", "1,10", "--quiet"]) == cli.OK
    assert capsys.readouterr().err == ""
    assert cli.main([*words, "--alphas", "1,10,100"]) == cli.OK
    replaced, first, second = capsys.readouterr().err.splitlines()
    assert replaced.startswith(
        "qlazy: the report of this run will take the place of that of `qlazy compare mlp:2 "
    )
    assert first == "qlazy: 4 of 6 runs were there already"
    assert second.startswith("qlazy: 2 runs trained in ")
    assert cli.main([*words, "--alphas", "1,10,100", "--quiet"]) == cli.OK
    assert capsys.readouterr().err == ""
    words = ["check", "mlp:2", *TINY, "--seeds", "2", "--panels", "lazy", "--out", "checked"]
    assert cli.main(words) == cli.OK
    assert capsys.readouterr().err == ""
    assert cli.main(words) == cli.OK
    assert capsys.readouterr().err == "qlazy: 6 of 6 runs were there already\n"


def test_the_defaults_have_about_the_same_number_of_parameters() -> None:
    data = read_data(cli._parse(["compare"]))
    counts = [model.num_params for model in build_models(MODELS, data).values()]
    assert len(counts) == 3
    assert max(counts) <= 1.1 * min(counts)


def test_a_diverged_run_is_reported_and_fails(capsys) -> None:
    """And the figures and the page are drawn all the same, of a comparison in which nothing came to its end."""
    arguments = ["compare", "mlp:2", *TINY, "--steps", "60", "--learning-rate", "1e6", "--quiet"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(arguments) == cli.FAILED
    captured = capsys.readouterr()
    assert re.match("qlazy: warning: .*rate.*\n", captured.err)
    assert "Warning" not in captured.err
    assert ".py" not in captured.err
    assert "qlazy: mlp:2, seed 0, a = 1: " in captured.err
    assert "diverged at step" in captured.err
    assert "training diverged: nothing can be said" in captured.out


def test_features_are_an_option(capsys, tmp_path: Path) -> None:
    arguments = ["compare", "mlp:2", *TINY, "--learnt-features", "--quiet"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    (learnt,) = Comparison.load(tmp_path / "qlazy-out" / "compare").features
    assert learnt.sentences()[0] in said
    assert "error barrier" not in said
    assert cli.main([*arguments, "--tables"]) == 0
    said = capsys.readouterr().out
    assert "kernel regression with the kernel at the end of training has a test accuracy" in said.lower()
    assert "error barrier" in said
