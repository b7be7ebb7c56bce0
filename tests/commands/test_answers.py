"""What commands print: the answer on a screen, all of the page where asked, and what a second report replaces."""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from qlazy.base.tables import Table
from qlazy.commands import main as cli
from qlazy.commands import study
from qlazy.studies.experiments import Outcome, carry_out
from qlazy.studies.result import Finding, StudyResult

pytestmark = pytest.mark.usefixtures("elsewhere")

DATA = ["--data", "moons", "--features", "2", "--train", "30", "--test", "20"]
TRAINED = [*DATA, "--steps", "4", "--seeds", "2"]
COMMANDS = {
    "compare": ["compare", "hardware_efficient:layers=1", "strongly_entangling:layers=1", "mlp", *TRAINED],
    "check": ["check", "mlp:3", *TRAINED, "--panels", "lazy"],
    "kernel": ["kernel", "mlp:3", *DATA],
    "study": ["study", "made"],
    "tiles": ["tiles", "mlp:3", *DATA],
}
WITH_TABLES = ("compare", "check", "study")
LINES, COLUMNS = 40, 120


@dataclass(frozen=True)
class Settings:
    runs: int = 3

    @classmethod
    def quick(cls) -> Settings:
        return cls()

    @classmethod
    def full(cls) -> Settings:
        return cls(runs=4)


def carried_out(settings: Settings, out: Path, progress: bool) -> StudyResult:
    """A study of 30 claims, of which every third is left undecided."""
    findings = [
        Finding.mean("one", f"mean {n}", 1.0, [1.0, 1.1, 0.9 - n % 3 // 2], tolerance=0.5) for n in range(30)
    ]
    tables = (Table("a further table", ("name", "value"), tuple((f"row {n}", "3.25") for n in range(30))),)
    experiments = {"one": lambda: Outcome(findings, {"a": np.ones(2)}, tables)}
    return carry_out("made", settings, experiments, lambda result: {}, out=out, progress=progress)


@pytest.fixture(autouse=True)
def made_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "find_study", lambda name: SimpleNamespace(Settings=Settings, run=carried_out))


def of_page(folder: Path) -> str:
    """The words of a page, cells and paragraphs apart."""
    text = (folder / "report.html").read_text()
    return html.unescape(re.sub(r"<[^>]+>", "\n", text))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_answer_is_a_screen(command: str, capsys) -> None:
    assert cli.main([*COMMANDS[command], "--quiet"]) == cli.OK
    said = capsys.readouterr().out
    lines = [part for line in said.splitlines() for part in textwrap.wrap(line, COLUMNS) or [""]]
    assert len(lines) <= LINES
    where = r": qlazy-out/[\w.]+(; all in one page: qlazy-out/\w+/report.html.*)?$"
    assert re.search(where, said.splitlines()[-1])


@pytest.mark.parametrize("command", WITH_TABLES)
def test_all_that_the_page_says_is_printed_where_asked(command: str, capsys, tmp_path: Path) -> None:
    """Every cell of every table, and every paragraph: in short a part of them, in the same words."""
    printed = {}
    for options in ((), ("--tables",)):
        assert cli.main([*COMMANDS[command], "--quiet", *options]) == cli.OK
        printed[options] = capsys.readouterr().out
    place = "made" if command == "study" else command
    page = of_page(tmp_path / "qlazy-out" / place)
    before, _, numbers = page.partition("\nNumbers\n")
    cells = [cell for cell in numbers.partition("What was asked")[0].splitlines() if cell.strip()]
    paragraphs = [line for line in before.splitlines() if len(line) > 200 and " lies " in line]
    assert len(cells) > 20
    for text in (*cells, *paragraphs):
        assert text in printed["--tables",]
    assert len(printed[()]) < 0.6 * len(printed["--tables",])


class Terminal:
    """A terminal of 60 columns, as far as one asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)


def test_sentences_fit_the_terminal(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*COMMANDS["compare"], "--quiet"]
    assert cli.main(words) == cli.OK
    whole = capsys.readouterr().out
    Terminal(monkeypatch)
    assert cli.main(words) == cli.OK
    wrapped = capsys.readouterr().out
    assert wrapped != whole
    assert wrapped.split() == whole.split()
    verdict = next(part for part in wrapped.split("\n\n") if part.startswith("mlp "))
    assert max(map(len, verdict.splitlines())) <= 60


KERNEL = ["kernel", "mlp:2", *DATA, "--out", "here"]
REPLACED = {
    "compare": (["compare", "mlp:2", *TRAINED, "--out", "here"], ["--alphas", "1"]),
    "check": (
        ["check", "mlp:2", *TRAINED, "--alphas", "1", "--panels", "lazy", "--out", "here"],
        ["--small", ".2"],
    ),
    "kernel": (KERNEL, ["--seed", "1"]),
    "study": (["study", "made", "--out", "here"], ["--full"]),
}


@pytest.mark.parametrize("command", REPLACED)
def test_a_report_that_is_replaced_is_named(command: str, capsys) -> None:
    words, others = REPLACED[command]
    assert cli.main([*words, *others]) == cli.OK
    assert "takes the place" not in capsys.readouterr().err
    assert cli.main(words) == cli.OK
    said = capsys.readouterr().err
    earlier = "study made --full" if command == "study" else " ".join([*words, *others])
    assert f"qlazy: the report of this run will take the place of that of `qlazy {earlier}` in here\n" in said


def test_a_report_of_the_same_command_is_not_named(capsys) -> None:
    """Whatever it prints, and wherever it runs; and none is with ``--quiet``."""
    for words in (KERNEL, *([*KERNEL, *same] for same in (["--json"], ["--threads", "1"], ["--quiet"], []))):
        assert cli.main(words) == cli.OK
        assert "takes the place" not in capsys.readouterr().err
    assert cli.main([*KERNEL, "--seed", "1", "--quiet"]) == cli.OK
    assert capsys.readouterr().err == ""


def test_a_report_of_another_command_is_named_too(capsys) -> None:
    words, _ = REPLACED["compare"]
    for one in (KERNEL, words):
        assert cli.main(one) == cli.OK
        said = capsys.readouterr().err
    assert f"the place of that of `qlazy {' '.join(KERNEL)}` in here" in said
